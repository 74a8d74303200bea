//! Random trials, cut at random moments in all ways there are: real processes and signals.
//!
//! `REGATTA_TEST_SEED` repeats one case: the same trial and the same cuts. Where exactly a signal
//! falls is the machine's business.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an environment variable is read, and the summary is for people"
)]

mod tally;

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use nix::sys::signal::Signal;
use regatta::clock::{Clock, SystemClock};
use regatta::event::{Cursor, Outcome};
use regatta::layout;
use regatta::setting;
use regatta::worker::checkpoint::Shelf;
use serde_json::{Value, json};

use crate::toy_trial::ToyTrial;
use crate::worker_process::{send, worker};

use tally::{Log, Tally};

/// Numbers that depend on the seed only (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number from `low` to `high`, both included.
    pub(crate) fn whole(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// A number of seconds, in whole milliseconds.
    #[expect(clippy::cast_precision_loss, reason = "small")]
    pub(crate) fn seconds(&mut self, low_ms: u64, high_ms: u64) -> f64 {
        self.whole(low_ms, high_ms) as f64 / 1000.0
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.next() % all.len() as u64).expect("small")]
    }
}

/// How an attempt is cut.
#[derive(Clone, Debug)]
enum Cut {
    /// One signal or several in a row, milliseconds between them.
    Signals(Vec<Signal>),
    Kill,
    /// It gets so many seconds.
    Time(f64),
    /// A cancel mark, and what `scancel` sends with it or nothing.
    Mark(Option<Signal>),
    /// A fault rule that kills.
    Fault(String),
}

impl Cut {
    fn any(dice: &mut Dice) -> Self {
        use Signal::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
        let gentle = [SIGTERM, SIGTERM, SIGUSR1, SIGUSR2, SIGINT];
        match dice.whole(0, 11) {
            0..=3 => Self::Signals(vec![*dice.pick(&gentle)]),
            4 => Self::Signals((0..dice.whole(2, 5)).map(|_| *dice.pick(&gentle)).collect()),
            5..=7 => Self::Kill,
            8 => Self::Time(dice.seconds(300, 1500)),
            9 => Self::Mark(Some(SIGTERM).filter(|_| dice.whole(0, 3) > 0)),
            _ => {
                // Some points are passed a few times in an attempt, others with every file.
                const POINTS: [(&str, u64); 12] = [
                    ("exclusive.link", 0),
                    ("write.create", 12),
                    ("write.content", 12),
                    ("write.sync", 12),
                    ("write.rename", 12),
                    ("write.done", 12),
                    ("journal.append", 12),
                    ("journal.sync", 5),
                    ("checkpoint.save", 4),
                    ("checkpoint.manifest", 4),
                    ("checkpoint.prune", 1),
                    ("link", 6),
                ];
                let (point, most) = *dice.pick(&POINTS);
                Self::Fault(format!("{point}:{}=kill", dice.whole(0, most)))
            }
        }
    }

    fn kind(&self) -> String {
        match self {
            Self::Signals(signals) if signals.len() > 1 => "several signals".to_owned(),
            Self::Signals(signals) => signals.iter().map(|signal| signal.as_str()).collect(),
            Self::Kill => "SIGKILL".to_owned(),
            Self::Time(_) => "time left".to_owned(),
            Self::Mark(_) => "cancel mark".to_owned(),
            Self::Fault(_) => "killed at a fault point".to_owned(),
        }
    }
}

/// A random trial and what happens to it.
struct Case {
    trial: ToyTrial,
    /// Steps of an epoch, seconds of a step and between checkpoints.
    steps: u64,
    step_seconds: f64,
    every: f64,
    /// Makes the disk slow, in some cases.
    slow: String,
}

impl Case {
    fn any(dice: &mut Dice) -> Self {
        let steps = dice.whole(6, 24);
        let step_seconds = dice.seconds(6, 25);
        let schedule = match dice.whole(0, 2) {
            0 => json!({ "name": "constant" }),
            1 => json!({ "name": "warmup_cosine", "warmup_epochs": 1 }),
            _ => json!({ "name": "plateau", "patience": 0, "factor": 0.5 }),
        };
        let settings = json!({
            "model": {
                "name": "toy", "steps_per_epoch": steps, "step_seconds": step_seconds,
                "eval_seconds": dice.seconds(0, 60), "save_seconds": dice.seconds(0, 30),
            },
            "epochs": dice.whole(3, 6), "batch_size": dice.whole(1, 8),
            "gradient_accumulation": dice.whole(1, 3),
            "optimizer": { "lr": 0.05 }, "schedule": schedule,
        });
        let settings = setting::resolve(settings.as_object().expect("object")).expect("settings");
        let every = dice.seconds(150, 500);
        let mut trial = ToyTrial::new(&json!({}));
        trial.assignment.trial.settings = settings.into();
        trial.assignment.trial.seed = dice.whole(0, 1000);
        trial.assignment.budget.checkpoint_every = every;
        trial.assignment.budget.margin = 0.1;
        let slow =
            [String::new(), format!("checkpoint.manifest:0:999=slow{}", dice.seconds(5, 90))];
        let slow = dice.pick(&slow).clone();
        Self { trial, steps, step_seconds, every, slow }
    }

    /// Updates done at a cursor.
    fn updates(&self, cursor: Cursor) -> u64 {
        (cursor.epoch - 1) * self.steps + cursor.step
    }

    /// Updates that the newest checkpoint holds; all that there are must be whole.
    fn on_disk(&self) -> u64 {
        let shelf =
            Shelf::new(self.trial.assignment.trial.id.clone(), self.trial.folder().checkpoints());
        let finding = shelf.newest(None, &SystemClock::new()).expect("checkpoints");
        assert!(finding.warnings.is_empty(), "{:?}", finding.warnings);
        finding.found.map_or(0, |found| self.updates(found.saved.manifest.state.cursor))
    }

    /// What the log of an attempt tells; it is empty where there was no attempt.
    fn log(&self, attempt: u32) -> Log {
        let text = std::fs::read_to_string(self.trial.folder().log(attempt)).unwrap_or_default();
        let mut log = Log::default();
        for line in text.lines() {
            let Some((at, words)) = line.split_once(' ') else { continue };
            let (Ok(at), words) = (at.parse::<Timestamp>(), words.trim_start()) else { continue };
            let Some((_, words)) = words.split_once(' ') else { continue };
            let words = words.trim_start();
            let updates = |text: &str| {
                let mut words = text.split_whitespace();
                let mut number = || words.find_map(|word| word.parse::<u64>().ok());
                let (epoch, step) = (number().expect("epoch"), number().expect("step"));
                self.updates(Cursor { epoch, step })
            };
            if let Some((_, place)) = words.split_once(" at epoch ")
                && words.starts_with("from ")
            {
                log.start = Some((at, updates(place)));
            } else if let Some(place) = words.strip_prefix("step ") {
                log.last = Some((at, updates(place)));
                log.steps.insert(updates(place), at);
            } else if let Some(place) = words.strip_prefix("checkpoint begun at ") {
                log.begun.push((at, updates(place)));
            } else if let Some(place) = words.strip_prefix("asked to stop at ") {
                log.asked = Some((at, updates(place.split(':').next().expect("place"))));
            }
        }
        log
    }

    /// Starts an attempt and cuts it; returns how it ended.
    fn cut(&self, cut: Option<&Cut>, dice: &mut Dice) -> ExitStatus {
        let mut command = worker(&self.trial);
        command.env("RUST_LOG", "trace").env("REGATTA_FAULTS", &self.slow);
        if let Some(Cut::Time(seconds)) = cut {
            command.args(["--time-left", &seconds.to_string()]);
        }
        if let Some(Cut::Fault(rule)) = cut {
            command.env("REGATTA_FAULTS", format!("{rule},{}", self.slow));
        }
        let attempt = self.attempts() + 1;
        // Drawn in any case, so that the next cut does not depend on this one.
        let (after, updates) = (Duration::from_millis(dice.whole(0, 250)), dice.whole(0, 40));
        let by_time = dice.whole(0, 3) == 0;
        let mut child = command.spawn().expect("worker");
        let clock = SystemClock::new();
        if let Some(Cut::Signals(_) | Cut::Kill | Cut::Mark(_)) = cut {
            if !by_time {
                self.wait_for(&mut child, attempt, updates);
            }
            clock.sleep(after / if by_time { 1 } else { 10 });
        }
        // One that is waited for already has no process id any more.
        let ended = child.try_wait().expect("wait");
        match cut.filter(|_| ended.is_none()) {
            Some(Cut::Signals(signals)) => {
                for signal in signals {
                    send(&child, *signal);
                    clock.sleep(Duration::from_millis(5));
                }
            }
            Some(Cut::Kill) => child.kill().expect("kill"),
            Some(Cut::Mark(with)) => {
                layout::create_folder(self.trial.folder().path()).expect("folder");
                layout::write_atomic(&self.trial.folder().cancel_mark(), b"").expect("mark");
                if let Some(signal) = with {
                    send(&child, *signal);
                }
            }
            _ => {}
        }
        let ended = child.wait().expect("wait");
        layout::remove(&self.trial.folder().cancel_mark()).expect("remove");
        ended
    }

    fn attempts(&self) -> u32 {
        self.trial.folder().attempts().expect("attempts").last().copied().unwrap_or(0)
    }

    /// Waits until an attempt has done so many updates, or has ended.
    fn wait_for(&self, child: &mut Child, attempt: u32, updates: u64) {
        let clock = SystemClock::new();
        let until = clock.monotonic() + Duration::from_secs(60);
        while child.try_wait().expect("wait").is_none() && clock.monotonic() < until {
            let log = self.log(attempt);
            if let (Some((_, start)), Some((_, now))) = (log.start, log.last)
                && now >= start + updates
            {
                return;
            }
            clock.sleep(Duration::from_millis(3));
        }
    }
}

/// Cuts a random trial until it is finished, and compares it with the uncut one.
fn try_seed(seed: u64) -> Tally {
    let mut dice = Dice(seed);
    let case = Case::any(&mut dice);
    let cuts: Vec<_> = (0..dice.whole(3, 7)).map(|_| Cut::any(&mut dice)).collect();
    let mut tally = Tally { cases: 1, ..Tally::default() };
    // Two starts in a row may be refused: each refusal allows the next two.
    let plan = cuts.iter().map(Some).chain([None; 4]);
    for cut in plan {
        let before = case.attempts();
        let ended = case.cut(cut, &mut dice);
        let attempt = case.attempts();
        tally.attempts += u64::from(attempt - before);
        let what = format!("seed {seed}, attempt {attempt}, {cut:?}: {ended:?}");
        match (ended.code(), ended.signal()) {
            (Some(0), _) => break,
            (Some(1), _) => {
                let error = case.trial.result().error.unwrap_or_default();
                assert!(error.starts_with("no progress: "), "{what}: {error}");
                tally.gave_up += 1;
            }
            (Some(75), _) => {
                let cut = cut.unwrap_or_else(|| panic!("{what}: nobody cut it"));
                tally.note(&case, cut, attempt, false);
                let asked = case.log(attempt).asked.map_or(0, |asked| asked.1);
                assert!(case.on_disk() >= asked, "{what}: it left before it had saved");
            }
            (_, Some(9)) => {
                let cut = cut.unwrap_or_else(|| panic!("{what}: nobody killed it"));
                if attempt > before {
                    tally.note(&case, cut, attempt, true);
                }
            }
            // It had not begun to listen.
            (_, Some(_)) => assert_eq!(attempt, before, "{what}"),
            _ => panic!("{what}"),
        }
    }
    assert_eq!(case.trial.result().outcome, Outcome::Finished, "seed {seed}: {cuts:?}");
    let mut whole = ToyTrial::new(&Value::Object(serde_json::Map::new()));
    whole.assignment = case.trial.assignment.clone();
    assert_eq!(whole.run_uncut(), Outcome::Finished);
    assert_eq!(case.trial.essence(), whole.essence(), "seed {seed}: {cuts:?}");
    tally
}

/// Tries all seeds, some at a time; prints the summary.
fn try_all(seeds: &[u64]) -> Tally {
    let (open, all) = (Mutex::new(seeds.iter()), Mutex::new(Tally::default()));
    // The processes sleep most of the time.
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let Some(seed) = open.lock().expect("lock").next() else { return };
                    let tally = std::panic::catch_unwind(|| try_seed(*seed));
                    let tally = tally.unwrap_or_else(|panic| {
                        println!("REGATTA_TEST_SEED={seed} repeats this case");
                        std::panic::resume_unwind(panic)
                    });
                    all.lock().expect("lock").add(tally);
                }
            });
        }
    });
    let tally = all.into_inner().expect("tally");
    println!("{}", tally.summary());
    tally
}

#[test]
fn a_trial_cut_at_random_moments_ends_as_the_uncut_one() {
    if let Ok(seed) = std::env::var("REGATTA_TEST_SEED") {
        println!("{:?}", try_all(&[seed.parse().expect("a number")]));
        return;
    }
    let tally = try_all(&(1..=20).collect::<Vec<_>>());
    assert!(tally.between * 3 >= tally.training, "{}", tally.summary());
    assert!(tally.redone.len() >= 10, "{}", tally.summary());
}

#[test]
#[ignore = "takes minutes"]
fn three_hundred_trials_cut_at_random_moments() {
    let now = SystemClock::new().now().as_microsecond();
    let mut dice = Dice(u64::try_from(now).expect("after 1970"));
    let seeds: Vec<_> = (0..300).map(|_| dice.next() >> 16).collect();
    println!("seeds {seeds:?}");
    let tally = try_all(&seeds);
    assert!(tally.between * 3 >= tally.training, "{}", tally.summary());
}
