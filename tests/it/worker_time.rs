//! Time of an allocation: how much is left unused, and what a kill soon after a signal costs.
#![expect(clippy::print_stdout, reason = "measurements are for people")]

use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::Signal;
use regatta::clock::{Clock, SystemClock};
use regatta::event::{Cursor, Event, StopReason};
use regatta::layout::SweepFolder;
use regatta::setting;
use regatta::worker::checkpoint::Shelf;
use serde_json::{Value, json};

use crate::toy_trial::ToyTrial;
use crate::worker_chaos::Dice;
use crate::worker_process::{send, wait_until, worker};

/// A trial that lasts for hours.
fn long(model: &Value) -> ToyTrial {
    let mut trial = ToyTrial::new(model);
    let mut settings = trial.assignment.trial.settings.as_ref().clone();
    settings.insert("epochs".to_owned(), json!(100_000));
    settings.insert("schedule".to_owned(), json!({ "name": "constant" }));
    let settings = setting::resolve(&settings).expect("settings");
    trial.assignment.trial.settings = settings.into();
    trial
}

fn saved(trial: &ToyTrial, attempt: u32) -> Vec<Cursor> {
    let saved = |event| match event {
        Event::CheckpointWritten { cursor, .. } => Some(cursor),
        _ => None,
    };
    trial.events(attempt).into_iter().filter_map(saved).collect()
}

/// A checkpoint takes `save` seconds, a kill follows the signal after `grace`, which is less.
fn kill_after_the_grace(save: f64, grace: f64) {
    const STEP: f64 = 0.02;
    let mut trial = long(&json!({ "steps_per_epoch": 10, "step_seconds": STEP }));
    trial.assignment.budget.grace = grace;
    trial.assignment.budget.checkpoint_every = 600.0;
    // The learning rate stays: only the first epoch is the best.
    trial.assignment.objective.metric = "train/learning_rate".to_owned();
    let updates = |cursor: Cursor| (cursor.epoch - 1) * 10 + cursor.step;
    let mut command = worker(&trial);
    command.env("REGATTA_FAULTS", format!("checkpoint.save:0:99=slow{save}"));
    command.env("RUST_LOG", "trace");
    let mut child = command.spawn().expect("worker");
    wait_until("four checkpoints", || {
        trial.folder().journal(1).exists() && saved(&trial, 1).len() >= 4
    });
    let clock = SystemClock::new();
    clock.sleep(Duration::from_secs_f64(save / 2.0));
    send(&child, Signal::SIGTERM);
    clock.sleep(Duration::from_secs_f64(grace));
    child.kill().expect("kill");
    let ended = child.wait().expect("wait");
    assert!(ended.signal() == Some(9) || ended.code() == Some(75), "{ended:?}");

    // Twice the time of a checkpoint, or a second.
    let interval = (2.0 * save).max(1.0);
    let told = trial.events(1).into_iter().find_map(|event| match event {
        Event::Warning { text } if text.contains("budget.grace") => Some(text),
        _ => None,
    });
    assert!(
        told.as_ref().is_some_and(|text| text.contains("a checkpoint is now made every")),
        "{told:?}"
    );
    let copies: Vec<_> = saved(&trial, 1).into_iter().map(updates).collect();
    let fits =
        |seconds: f64, steps: u64| f64::from(u32::try_from(steps).expect("few")) * STEP <= seconds;
    for pair in copies.windows(2) {
        // Saving took longer than told on a busy machine: then the interval is longer too.
        assert!(fits(2.0 * interval, pair[1] - pair[0]), "{copies:?}");
    }
    let log = std::fs::read_to_string(trial.folder().log(1)).expect("log");
    let last =
        log.lines().rev().find_map(|line| line.split_once("TRACE step epoch ")).expect("a step").1;
    let (epoch, step) = last.split_once(" step ").expect("cursor");
    let last = Cursor { epoch: epoch.parse().expect("epoch"), step: step.parse().expect("step") };

    let shelf = Shelf::new(trial.assignment.trial.id.clone(), trial.folder().checkpoints());
    let newest = shelf.newest(None, &clock).expect("checkpoints").found.expect("a checkpoint");
    let redone = updates(last) - updates(newest.saved.manifest.state.cursor);
    println!(
        "a checkpoint of {save} s, killed {grace} s after SIGTERM: {redone} steps of {STEP} s done \
         again, at most {:.0} fit into the interval of {interval} s; checkpoints at {copies:?}",
        interval / STEP
    );
    // One that was being written when the kill came is lost with it.
    assert!(fits(interval + save + STEP, redone), "{redone} steps");
}

#[test]
fn where_the_grace_is_too_short_checkpoints_are_made_more_often() {
    kill_after_the_grace(0.8, 0.4);
}

#[test]
#[ignore = "takes half a minute"]
fn where_two_seconds_are_too_short_checkpoints_are_made_more_often() {
    kill_after_the_grace(3.0, 2.0);
}

/// What one attempt made of its time, in seconds.
struct Use {
    given: f64,
    /// Not used, as seen from outside.
    unused: f64,
    /// From the wish to stop to the end: foreseen and needed.
    predicted: f64,
    needed: f64,
}

/// Lets a random trial run out of its time.
fn use_time(dice: &mut Dice, low_ms: u64, high_ms: u64, place: &Path) -> Use {
    let model = json!({
        "steps_per_epoch": dice.whole(5, 60), "step_seconds": dice.seconds(5, 150),
        "eval_seconds": dice.seconds(0, 1000), "save_seconds": dice.seconds(0, 200),
    });
    let mut trial = long(&model);
    let home = tempfile::tempdir_in(place).expect("folder");
    trial.sweep = SweepFolder::new(home.path().join("toy"));
    trial.assignment.budget.margin = 1.0;
    trial.assignment.budget.checkpoint_every = dice.seconds(400, 1500);
    // Each checkpoint takes another time, around one that is typical of the trial.
    let typical = dice.whole(5, 800);
    let mut slow = String::new();
    for _ in 0..40 {
        let seconds = dice.seconds(typical * 7 / 10, typical * 13 / 10);
        write!(slow, "checkpoint.save=slow{seconds},").expect("text");
    }
    let given = dice.seconds(low_ms, high_ms);
    let clock = SystemClock::new();
    let began = clock.monotonic();
    let mut command = worker(&trial);
    command.args(["--time-left", &given.to_string()]).env("REGATTA_FAULTS", slow);
    let ended = command.status().expect("worker");
    let took = (clock.monotonic() - began).as_secs_f64();
    assert_eq!(ended.code(), Some(75));
    let events = trial.events(1);
    let predicted = events.iter().find_map(|event| match event {
        Event::StopRequested { reason: StopReason::TimeBudget, predicted_save, .. } => {
            *predicted_save
        }
        _ => None,
    });
    let Some(Event::Ended { cursor, seconds_to_leave: Some(needed), .. }) = events.last() else {
        panic!("no end: {events:?}")
    };
    assert!(saved(&trial, 1).contains(cursor), "{events:?}");
    let predicted = predicted.expect("a prediction");
    Use { given, unused: given - took, predicted, needed: *needed }
}

/// Lets `count` trials use their time, six at once, and prints what came of it.
fn use_times(seed: u64, count: u64, low_ms: u64, high_ms: u64) -> Vec<Use> {
    // In memory, where there is one: others may keep a disk busy for longer than the margin.
    let place = Path::new("/dev/shm");
    let place = if place.is_dir() { place } else { &std::env::temp_dir() };
    let (seeds, all) = (Mutex::new(0..count), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let Some(number) = seeds.lock().expect("lock").next() else { return };
                    let used = use_time(&mut Dice(seed + number), low_ms, high_ms, place);
                    all.lock().expect("lock").push(used);
                }
            });
        }
    });
    let all = all.into_inner().expect("uses");
    for Use { given, unused, predicted, needed } in &all {
        println!(
            "given {given:5.2} s, unused {unused:5.2} s; to leave: foreseen {predicted:5.2} s, needed {needed:5.2} s"
        );
    }
    let sorted = |of: &dyn Fn(&Use) -> f64| {
        let mut all: Vec<_> = all.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        (all[0], all[all.len() / 2], all[all.len() - 1])
    };
    let (least, median, most) = sorted(&|used| used.unused);
    let over = sorted(&|used| used.predicted - used.needed);
    println!(
        "{count} attempts of {}..{} ms, margin 1 s: unused {least:.2} s at least, {median:.2} s in the \
         median, {most:.2} s at most; foreseen minus needed to leave {:.2} / {:.2} / {:.2} s",
        low_ms, high_ms, over.0, over.1, over.2
    );
    all
}

/// That time is not overrun is tested on a virtual clock (`resume.rs`), and measured by the long test
/// below: on a busy machine a process may be late through no fault of its own.
#[test]
fn an_attempt_whose_time_ends_leaves_with_its_last_step_saved() {
    assert_eq!(use_times(100, 6, 4000, 6000).len(), 6);
}

#[test]
#[ignore = "takes minutes"]
fn thirty_attempts_use_their_time() {
    for used in use_times(1000, 30, 6000, 20_000) {
        assert!(used.unused > 0.0, "{} s too late of {}", -used.unused, used.given);
    }
}
