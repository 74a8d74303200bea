//! The real program: signals, exit codes, `kill -9`.
#![expect(clippy::disallowed_methods, reason = "the program under test is started here")]

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regatta::clock::{Clock, SystemClock};
use regatta::event::{Event, Outcome, StopReason};
use regatta::layout;
use regatta::sweep::Assignment;
use serde_json::json;

use crate::toy_trial::ToyTrial;

/// The worker on this trial, without faults and without terminal.
pub(crate) fn worker(trial: &ToyTrial) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regatta-worker"));
    command.args(["run", "--index", "1", "--job"]).arg(trial.job_file());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.env_remove("REGATTA_FAULTS");
    command
}

pub(crate) fn status(trial: &ToyTrial, args: &[&str], faults: &str) -> ExitStatus {
    worker(trial).args(args).env("REGATTA_FAULTS", faults).status().expect("worker")
}

/// Waits until something holds, a minute at most.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = SystemClock::new();
    while !holds() {
        assert!(clock.monotonic() < Duration::from_secs(60), "waited for {what}");
        clock.sleep(Duration::from_millis(5));
    }
}

/// Starts the worker and waits until it has done an epoch.
pub(crate) fn start(trial: &ToyTrial) -> Child {
    let child = worker(trial).spawn().expect("worker");
    let journal = trial.folder().journal(1);
    wait_until("the first epoch", || {
        std::fs::read_to_string(&journal).is_ok_and(|text| text.contains("epoch_ended"))
    });
    child
}

pub(crate) fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("pid");
    kill(Pid::from_raw(pid), signal).expect("signal");
}

pub(crate) fn reason(trial: &ToyTrial, attempt: u32) -> Option<StopReason> {
    match trial.events(attempt).last() {
        Some(Event::Ended { reason, .. }) => *reason,
        other => panic!("no end: {other:?}"),
    }
}

/// What the trial is when nothing cuts it.
pub(crate) fn uncut(toy: &serde_json::Value) -> String {
    let trial = ToyTrial::new(toy);
    assert_eq!(trial.run_uncut(), Outcome::Finished);
    trial.essence()
}

#[test]
fn a_warning_signal_ends_in_a_checkpoint_and_the_next_start_finishes() {
    let toy = json!({ "step_seconds": 0.02 });
    for (signal, expected) in [
        (Signal::SIGUSR1, StopReason::Warned),
        (Signal::SIGUSR2, StopReason::Warned),
        (Signal::SIGTERM, StopReason::Terminated),
        (Signal::SIGINT, StopReason::Interrupted),
    ] {
        let trial = ToyTrial::new(&toy);
        let mut child = start(&trial);
        // SLURM sends SIGCONT before every such signal.
        send(&child, Signal::SIGCONT);
        send(&child, signal);
        assert_eq!(child.wait().expect("wait").code(), Some(75), "{signal}");
        assert_eq!(reason(&trial, 1), Some(expected));
        assert_eq!(status(&trial, &[], "").code(), Some(0));
        let resumed = trial
            .events(2)
            .into_iter()
            .any(|event| matches!(event, Event::Started { resumed_from: Some(_), .. }));
        assert!(resumed);
        assert_eq!(trial.essence(), uncut(&toy));
    }
}

#[test]
fn sigcont_alone_is_nothing() {
    let trial = ToyTrial::new(&json!({ "step_seconds": 0.01 }));
    let mut child = start(&trial);
    send(&child, Signal::SIGCONT);
    assert_eq!(child.wait().expect("wait").code(), Some(0));
}

#[test]
fn repeated_signals_do_not_cut_a_slow_checkpoint() {
    let toy = json!({ "step_seconds": 0.02, "save_seconds": 0.6 });
    let trial = ToyTrial::new(&toy);
    let mut child = start(&trial);
    let clock = SystemClock::new();
    for signal in
        [Signal::SIGTERM, Signal::SIGTERM, Signal::SIGUSR2, Signal::SIGINT, Signal::SIGINT]
    {
        send(&child, signal);
        clock.sleep(Duration::from_millis(60));
    }
    assert_eq!(child.wait().expect("wait").code(), Some(75));
    assert!(matches!(reason(&trial, 1), Some(StopReason::Terminated | StopReason::Interrupted)));
    let events = trial.events(1);
    // A best epoch that waited may be written last.
    let saved = events.iter().filter_map(|event| match event {
        Event::CheckpointWritten { cursor, .. } => Some(*cursor),
        _ => None,
    });
    let Some(Event::Ended { cursor, .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!(saved.max(), Some(*cursor));
}

#[test]
fn a_cancel_mark_is_the_reason_even_when_a_signal_comes_with_it() {
    let trial = ToyTrial::new(&json!({ "step_seconds": 0.05 }));
    let mut child = start(&trial);
    layout::write_atomic(&trial.folder().cancel_mark(), b"").expect("mark");
    send(&child, Signal::SIGTERM);
    assert_eq!(child.wait().expect("wait").code(), Some(75));
    assert_eq!(reason(&trial, 1), Some(StopReason::Cancelled));
}

#[test]
fn exit_codes_tell_how_it_ended() {
    let diverging = ToyTrial::new(&json!({ "diverge_at": 12 }));
    assert_eq!(status(&diverging, &[], "").code(), Some(65));
    let failing = ToyTrial::new(&json!({ "fail_at": 12 }));
    assert_eq!(status(&failing, &[], "").code(), Some(1));
    assert_eq!(failing.result().error.as_deref(), Some("told to fail at step 12"));
    let short = ToyTrial::new(&json!({ "step_seconds": 0.05 }));
    assert_eq!(status(&short, &["--time-left", "1"], "").code(), Some(75));
    assert_eq!(reason(&short, 1), Some(StopReason::TimeBudget));
    assert_eq!(status(&short, &["--time-left", "0"], "").code(), Some(75));
    let good = ToyTrial::new(&json!({}));
    for _ in 0..2 {
        assert_eq!(status(&good, &[], "").code(), Some(0));
    }
    assert_eq!(good.folder().attempts().expect("attempts"), [1]);
    for bad in [&["--index", "7"][..], &["--time-left", "soon"], &["--trial", "x"]] {
        assert_eq!(status(&good, bad, "").code(), Some(2), "{bad:?}");
    }
}

#[test]
fn a_staged_trial_folder_can_be_run() {
    let trial = ToyTrial::new(&json!({}));
    let folder = trial.folder();
    layout::create_folder(folder.path()).expect("folder");
    let staged = serde_json::to_vec(&trial.assignment).expect("json");
    layout::write_atomic(&folder.assignment(), &staged).expect("trial.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_regatta-worker"));
    command.args(["run", "--trial"]).arg(folder.path()).stderr(Stdio::null());
    assert_eq!(command.status().expect("worker").code(), Some(0));
    assert_eq!(std::fs::read(folder.assignment()).expect("read"), staged, "not written again");
    let log = std::fs::read_to_string(folder.log(1)).expect("log");
    assert!(log.contains("epoch 4/4") && log.contains("finished"), "{log}");
}

#[test]
fn a_value_with_quotes_commands_and_newlines_arrives_unchanged() {
    let note = "a 'single' \"double\" `tick` $(touch /tmp/owned) ${HOME} \\ \n#SBATCH --x\r\n\t é 線虫 🚣 \u{7f} {{ x }}";
    let trial = ToyTrial::new(&json!({ "note": note }));
    assert_eq!(status(&trial, &[], "").code(), Some(0));
    let written = std::fs::read(trial.folder().assignment()).expect("trial.json");
    let read: Assignment = serde_json::from_slice(&written).expect("assignment");
    assert_eq!(read.trial.settings["model"]["note"], note);
    assert_eq!(read, trial.assignment);
}

#[test]
fn killed_at_any_moment_it_ends_the_same() {
    let toy = json!({});
    let whole = uncut(&toy);
    let moments = [
        "exclusive.link=kill",
        "write.rename=kill",
        "journal.append=kill",
        "journal.append:4=kill",
        "journal.sync:3=kill",
        "checkpoint.save:1=kill",
        "write.create:3=kill",
        "write.sync:4=kill",
        "checkpoint.manifest:1=kill",
        "write.done:5=kill",
        "checkpoint.prune=kill",
        "write.rename:8=kill",
    ];
    let mut trial = ToyTrial::new(&toy);
    // Every step is a chance to save.
    trial.assignment.budget.checkpoint_every = 0.0;
    let mut killed = 0;
    for moment in moments {
        let mut ended = status(&trial, &[], moment);
        if ended.code() == Some(1) {
            // Two were killed before they had saved anything: somebody asks for it once more.
            let error = trial.result().error.unwrap_or_default();
            assert!(error.starts_with("no progress: "), "{error}");
            ended = status(&trial, &[], moment);
        }
        if ended.signal() == Some(9) {
            killed += 1;
        } else {
            assert_eq!(ended.code(), Some(0), "{moment}");
        }
    }
    assert!(killed >= 8, "only {killed} moments came before the end");
    assert_eq!(status(&trial, &[], "").code(), Some(0));
    assert_eq!(trial.essence(), whole);
    let left = layout::list(trial.folder().checkpoints().path()).expect("list");
    assert!(left.len() <= 8 && !left.iter().any(|name| name.starts_with('.')), "{left:?}");
}

#[test]
fn the_links_are_right_after_a_kill_just_before_them() {
    let toy = json!({ "steps_per_epoch": 3 });
    let whole = uncut(&toy);
    let mut killed = 0;
    loop {
        let trial = ToyTrial::new(&toy);
        let ended = status(&trial, &[], &format!("link:{killed}=kill"));
        if ended.code() == Some(0) {
            break;
        }
        assert_eq!(ended.signal(), Some(9));
        killed += 1;
        assert_eq!(status(&trial, &[], "").code(), Some(0));
        assert_eq!(trial.essence(), whole);
    }
    assert!(killed >= 2, "it was never killed there");
}
