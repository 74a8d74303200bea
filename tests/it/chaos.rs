//! Random lives of a trial, in one process on a virtual clock: stopped, killed, on a disk that refuses
//! or rots. Whatever befalls it, it ends bit for bit as if nothing had.
//!
//! `REGATTA_TEST_SEED=N` repeats one life.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests read the environment; documents cite what this one prints"
)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use regatta::clock::Clock;
use regatta::event::{Event, Outcome, StopReason};
use regatta::journal;
use regatta::layout::{self, fault, is_dead, with_faults};
use regatta::setting::{self, Settings};
use regatta::worker::attempt::{self, Request};
use regatta::worker::record::TrialResult;
use regatta::worker::stop::StopFlag;
use regatta::worker::toy::ToyLearner;
use serde_json::json;

use crate::chaos_cut::{Cut, REFUSING, WORDS, WRITING, quiet_kills};
use crate::saved::saved;
use crate::toy_trial::{ToyTrial, virtual_clock};
use crate::watched::{Moment, Watched};

/// What happened in all lives.
#[derive(Debug, Default)]
struct Tally {
    lives: u64,
    attempts: u64,
    stops: u64,
    kills: u64,
    refusals: u64,
    damaged: u64,
    no_progress: u64,
    between: u64,
    redone: u64,
    /// Steps redone by a kill on a disk that works, as multiples of what lies between checkpoints.
    worst: f64,
}

/// One life.
struct Life {
    rng: ChaCha8Rng,
    trial: ToyTrial,
    every: f64,
    per_epoch: u64,
    epochs: u64,
    tally: Tally,
    /// Whether the last attempt wrote on a thread, which a virtual clock knows nothing of.
    behind: bool,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (per_epoch, epochs) = (rng.random_range(3..=12), rng.random_range(2..=5));
        let schedules = [
            json!({ "name": "constant" }),
            json!({ "name": "warmup_cosine", "warmup_epochs": 1, "final_factor": 0.1 }),
            json!({ "name": "plateau", "metric": "val/jaccard", "patience": 0, "factor": 0.5 }),
        ];
        let given = json!({
            "model": {
                "name": "toy", "steps_per_epoch": per_epoch, "step_seconds": 1,
                "eval_seconds": rng.random_range(0..=2), "save_seconds": 0.5 * f64::from(rng.random_range(0..=2)),
            },
            "epochs": epochs, "batch_size": 4, "optimizer": { "lr": 0.05 },
            "schedule": schedules[rng.random_range(0..schedules.len())],
            "gradient_accumulation": rng.random_range(1..=3),
        });
        let mut trial = ToyTrial::new(&json!({}));
        let settings = setting::resolve(given.as_object().expect("object")).expect("settings");
        trial.assignment.trial.settings = settings.into();
        let every = [0.0, 3.0, 12.0, 100.0][rng.random_range(0..4)];
        trial.assignment.budget.checkpoint_every = every;
        trial.assignment.budget.margin = 1.0;
        Self { rng, trial, every, per_epoch, epochs, tally: Tally::default(), behind: false }
    }

    /// Runs one attempt; returns how it ended, its first step and the steps done when it ended.
    fn attempt(&mut self, start: u32, cut: &Cut, refusals: &str) -> (Outcome, Option<u64>, u64) {
        self.behind = self.rng.random_bool(0.3);
        let clock: Arc<dyn Clock> = Arc::new(virtual_clock());
        let (stop, reached) = (StopFlag::default(), Rc::new(Cell::new(0)));
        let first = Rc::new(Cell::new(None));
        let mut request = Request { write_behind: self.behind, ..self.trial.request(start) };
        let mut faults = refusals.to_owned();
        let (mut signal_after, mut kill_after) = (None, None);
        match cut {
            Cut::Time(seconds) => request.time_left = Some(Duration::from_secs(*seconds)),
            Cut::Signal(steps) => signal_after = Some(*steps),
            Cut::Kill(steps) => {
                kill_after = Some(*steps);
                faults.push_str(",test.kill=dead");
            }
            Cut::KillWriting(point, skip) => faults.push_str(&format!(",{point}:{skip}=dead")),
            Cut::Nothing => {}
        }
        let per_epoch = self.per_epoch;
        let build = |settings: &Settings, seed, clock: &Arc<dyn Clock>| {
            let toy = ToyLearner::new(settings, seed, Arc::clone(clock))?;
            let (stop, reached, first) = (stop.clone(), Rc::clone(&reached), Rc::clone(&first));
            let mut steps = 0;
            Ok(Watched::boxed(toy, move |moment| {
                let Moment::Step(cursor) = moment else {
                    assert!(!is_dead(), "killed");
                    return;
                };
                let done = (cursor.epoch - 1) * per_epoch + cursor.step;
                first.set(first.get().or(Some(done)));
                if kill_after == Some(steps) {
                    let _ = fault("test.kill");
                }
                assert!(!is_dead(), "killed");
                reached.set(done + 1);
                steps += 1;
                if signal_after == Some(steps) {
                    stop.raise(StopReason::Terminated);
                }
            }))
        };
        let run = || {
            let outcome = attempt::run(&request, &clock, &stop, &build);
            // The dead tell nothing: the outcome of one that was killed is what a process leaves.
            if is_dead() { Outcome::Failed } else { outcome }
        };
        let outcome = with_faults(&faults, run).expect("rules");
        (outcome, first.get(), reached.get())
    }

    fn draw_cut(&mut self) -> Cut {
        match self.rng.random_range(0..10) {
            0..=1 => Cut::Time(self.rng.random_range(3..60)),
            2..=3 => Cut::Signal(self.rng.random_range(1..25)),
            4..=6 => Cut::Kill(self.rng.random_range(0..25)),
            7..=8 => {
                let point = WRITING[self.rng.random_range(0..WRITING.len())];
                Cut::KillWriting(point, self.rng.random_range(0..12))
            }
            _ => Cut::Nothing,
        }
    }

    fn draw_refusals(&mut self) -> String {
        if self.rng.random_bool(0.7) {
            return String::new();
        }
        let mut one = || {
            let point = REFUSING[self.rng.random_range(0..REFUSING.len())];
            let word = WORDS[self.rng.random_range(0..WORDS.len())];
            // A journal may be refused for several epochs.
            let most = if point.starts_with("journal") { 15 } else { 3 };
            let (skip, times) = (self.rng.random_range(0..10), self.rng.random_range(1..=most));
            format!("{point}:{skip}:{times}={word}")
        };
        (0..2).map(|_| one()).collect::<Vec<_>>().join(",")
    }

    /// Damages what lies on the disk, between two attempts. Returns whether a checkpoint was hit.
    fn rot(&mut self) -> bool {
        let folder = self.trial.folder();
        let kind = self.rng.random_range(0..20);
        // What rots when all is done is not the worker's to mend.
        let finished =
            TrialResult::read(&folder).is_some_and(|result| result.outcome == Outcome::Finished);
        match kind {
            _ if finished => false,
            0..=1 => {
                let names = folder.checkpoints().names().expect("names");
                let Some(newest) = names.last() else { return false };
                let files =
                    [folder.checkpoints().tensors(*newest), folder.checkpoints().manifest(*newest)];
                let path = &files[self.rng.random_range(0..2)];
                let mut bytes = std::fs::read(path).expect("read");
                let at = self.rng.random_range(0..bytes.len());
                if self.rng.random_bool(0.5) {
                    bytes.truncate(at);
                } else {
                    bytes[at] ^= 1 << self.rng.random_range(0..8);
                }
                layout::write_atomic(path, &bytes).expect("damage");
                true
            }
            2 => {
                let attempts = folder.attempts().expect("attempts");
                let Some(last) = attempts.last() else { return false };
                use std::io::Write as _;
                let mut file = layout::open_append(&folder.journal(*last)).expect("journal");
                file.write_all(b"12345678 {\"seq\":99,\"torn").expect("torn");
                false
            }
            3 => {
                let path = folder.checkpoints().path().to_owned();
                let existed = path.exists();
                let _ = std::fs::remove_dir_all(path);
                existed
            }
            _ => false,
        }
    }

    /// Lives until the trial is finished.
    fn live(&mut self) {
        let mut killed_at: Option<(u64, bool)> = None;
        for start in 0..200 {
            let damaged = start > 0 && self.rot();
            if let (true, Some((_, sound))) = (damaged, &mut killed_at) {
                *sound = false;
            }
            self.tally.damaged += u64::from(damaged);
            let (cut, refusals) = (self.draw_cut(), self.draw_refusals());
            self.tally.refusals += u64::from(!refusals.is_empty());
            let (outcome, first, reached) = self.attempt(start, &cut, &refusals);
            self.tally.attempts += 1;
            if std::env::var_os("REGATTA_TEST_SEED").is_some() {
                let names = self.trial.folder().checkpoints().names().expect("names");
                let names: Vec<_> = names.iter().map(ToString::to_string).collect();
                println!(
                    "{start}: every {} {cut:?} `{refusals}` damaged {damaged} behind {}: {outcome:?} \
                     from {first:?} to {reached}; {names:?}",
                    self.every, self.behind
                );
            }
            // 1. What the attempt before had done and this one had to do again.
            if let (Some((before, sound)), Some(first)) = (killed_at, first) {
                let redone = before.saturating_sub(first);
                self.tally.redone += redone;
                self.tally.between += u64::from(redone > 0);
                if sound && refusals.is_empty() {
                    self.check_redone(redone, &cut);
                }
            }
            if first.is_some() {
                killed_at = None;
            }
            // 2. How this one ended.
            match (outcome, &cut) {
                (Outcome::Finished, _) => return,
                (Outcome::Stopped, _) => {
                    self.tally.stops += 1;
                    self.tally.between += u64::from(self.stopped_between());
                }
                (Outcome::Failed, _) if self.gave_up() => self.tally.no_progress += 1,
                (Outcome::Failed, Cut::Kill(_) | Cut::KillWriting(..)) => {
                    self.tally.kills += 1;
                    if first.is_some() {
                        killed_at = Some((reached, refusals.is_empty() && !self.behind));
                    }
                }
                (Outcome::Failed, _) if !refusals.is_empty() => {}
                other => panic!("{other:?} {refusals}"),
            }
        }
        panic!("not finished after 200 attempts");
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn check_redone(&mut self, redone: u64, cut: &Cut) {
        // A step takes 1 s. The first checkpoint of an attempt comes after 30 s at most; the step,
        // the evaluation and the copy that are under way when it is due come on top.
        let interval = self.every.max(1.0) + 1.0 + 2.0 + 1.0;
        let share = redone as f64 / interval;
        assert!(share <= 1.0, "{redone} steps redone, {interval} between checkpoints ({cut:?})");
        self.tally.worst = self.tally.worst.max(share);
    }

    fn last_journal(&self) -> Vec<Event> {
        let folder = self.trial.folder();
        let last = *folder.attempts().expect("attempts").last().expect("one");
        let read = journal::replay::<Event>(&folder.journal(last)).expect("journal");
        read.records.into_iter().map(|record| record.body).collect()
    }

    /// Says whether the last attempt was stopped where no checkpoint stood.
    fn stopped_between(&self) -> bool {
        let events = self.last_journal();
        let asked = events.iter().position(|event| matches!(event, Event::StopRequested { .. }));
        let Some(asked) = asked else { return false };
        let Event::StopRequested { cursor: here, .. } = events[asked] else { return false };
        let there = |event: &Event| match event {
            Event::CheckpointWritten { cursor, .. } | Event::Started { cursor, .. } => {
                *cursor == here
            }
            _ => false,
        };
        !events[..asked].iter().any(there)
    }

    fn gave_up(&self) -> bool {
        let gave_up = |event: &Event| matches!(event, Event::Ended { error: Some(error), .. } if error.starts_with("no progress: "));
        self.last_journal().iter().any(gave_up)
    }

    /// What must be the same as if nothing had befallen it.
    fn essence(&self) -> String {
        let folder = self.trial.folder();
        let mut epochs = BTreeMap::new();
        for attempt in folder.attempts().expect("attempts") {
            let path = folder.journal(attempt);
            for record in journal::replay::<Event>(&path).expect("journal").records {
                if let Event::EpochEnded { epoch, step, metrics, weights_sha256, is_best, .. } =
                    record.body
                {
                    let line = format!("{step} {metrics:?} {weights_sha256} {is_best}");
                    let before = epochs.insert(epoch, line.clone()).unwrap_or_else(|| line.clone());
                    assert_eq!(before, line, "epoch {epoch} was done twice and differs");
                }
            }
        }
        assert_eq!(epochs.len() as u64, self.epochs, "an epoch has no record");
        let result = self.trial.result();
        format!(
            "{epochs:#?}\n{:?} {:?} {:?} {:?} {:?}",
            result.outcome,
            result.metrics,
            result.weights_sha256,
            result.best_value,
            result.best_epoch
        )
    }
}

/// Lives one life and the undisturbed one of the same trial.
fn live(seed: u64) -> Tally {
    let mut quiet = Life::new(seed);
    assert_eq!(quiet.attempt(0, &Cut::Nothing, "").0, Outcome::Finished);
    let mut life = Life::new(seed);
    life.live();
    assert_eq!(life.essence(), quiet.essence());
    let (saved, whole) = (saved(&life.trial.folder()), saved(&quiet.trial.folder()));
    // Of the last state a disk that refuses may have taken the weights alone.
    let weights = |name: &str| name.starts_with("model.");
    assert!(whole.is_whole && saved.arrays.keys().any(|name| weights(name)));
    let taken = |(name, _): &(&String, &Vec<u8>)| saved.is_whole || weights(name);
    assert!(saved.arrays.iter().eq(whole.arrays.iter().filter(taken)), "another state was saved");
    Tally { lives: 1, ..life.tally }
}

fn live_all(seeds: impl Iterator<Item = u64>) {
    quiet_kills();
    let mut all = Tally::default();
    let mut failed = Vec::new();
    for seed in seeds {
        match std::panic::catch_unwind(|| live(seed)) {
            Ok(one) => {
                all.lives += one.lives;
                all.attempts += one.attempts;
                all.stops += one.stops;
                all.kills += one.kills;
                all.refusals += one.refusals;
                all.damaged += one.damaged;
                all.no_progress += one.no_progress;
                all.between += one.between;
                all.redone += one.redone;
                all.worst = all.worst.max(one.worst);
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
                failed.push(format!("seed {seed}: {}", text.unwrap_or_default()));
            }
        }
    }
    println!("{all:?}");
    assert!(
        failed.is_empty(),
        "{} lives lost something; REGATTA_TEST_SEED=N repeats one\n{}",
        failed.len(),
        failed.into_iter().take(5).collect::<Vec<_>>().join("\n")
    );
    assert!(3 * all.between >= all.stops + all.kills, "too few cuts between checkpoints: {all:?}");
}

fn seeds(count: u64) -> Box<dyn Iterator<Item = u64>> {
    match std::env::var("REGATTA_TEST_SEED") {
        Ok(seed) => Box::new(std::iter::once(seed.parse().expect("a number"))),
        Err(_) => Box::new(0..count),
    }
}

#[test]
fn whatever_befalls_a_trial_it_ends_as_if_nothing_had() {
    live_all(seeds(500));
}

#[test]
#[ignore = "long"]
fn whatever_befalls_ten_thousand_trials_they_end_as_if_nothing_had() {
    live_all(seeds(10_000));
}
