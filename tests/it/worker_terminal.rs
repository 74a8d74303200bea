//! Ctrl-C in a real terminal: once saves and leaves, twice leaves at once.
#![expect(clippy::disallowed_methods, reason = "the program under test is started here")]

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::pty::openpty;
use nix::sys::signal::Signal;
use regatta::clock::{Clock, SystemClock};
use regatta::event::StopReason;
use regatta::worker::checkpoint::Shelf;
use serde_json::{Value, json};

use crate::stage::skip;
use crate::toy_trial::ToyTrial;
use crate::worker_process::{reason, send, status, uncut, wait_until, worker};

const CTRL_C: &[u8] = b"\x03";

fn toy() -> Value {
    json!({ "step_seconds": 0.05 })
}

/// A worker in a terminal of its own, and the keyboard.
fn in_terminal(trial: &ToyTrial, faults: &str) -> (Child, std::fs::File) {
    let pair = openpty(None, None).expect("terminal");
    let inner = worker(trial);
    // The terminal belongs to a session; setsid makes one and becomes the worker.
    let mut command = Command::new("setsid");
    command.arg("--ctty").arg(inner.get_program()).args(inner.get_args());
    command.env("REGATTA_FAULTS", faults);
    let child = command.stdin(pair.slave).stdout(Stdio::null()).stderr(Stdio::null());
    (child.spawn().expect("worker"), pair.master.into())
}

fn wait_for_log(trial: &ToyTrial, words: &str) {
    wait_until(words, || {
        std::fs::read_to_string(trial.folder().log(1)).is_ok_and(|text| text.contains(words))
    });
}

fn has_setsid(test: &str) -> bool {
    let found = Command::new("setsid").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        skip(test, "setsid is missing");
    }
    found
}

#[test]
fn ctrl_c_saves_and_a_second_one_ends_at_once() {
    if !has_setsid("ctrl_c_saves_and_a_second_one_ends_at_once") {
        return;
    }
    // Before the second checkpoint is begun, and between its two files.
    for slow in ["checkpoint.save:1=slow40", "checkpoint.manifest:1=slow40"] {
        let trial = ToyTrial::new(&toy());
        let (mut child, mut keyboard) = in_terminal(&trial, slow);
        wait_for_log(&trial, "epoch 1/4");
        wait_until("the first checkpoint", || {
            !trial.folder().checkpoints().names().expect("names").is_empty()
        });
        keyboard.write_all(CTRL_C).expect("key");
        wait_for_log(&trial, "asked to stop");
        assert_eq!(child.try_wait().expect("wait"), None, "the first one waits for the checkpoint");
        keyboard.write_all(CTRL_C).expect("key");
        assert_eq!(child.wait().expect("wait").code(), Some(130), "{slow}");
        let shelf = Shelf::new(trial.assignment.trial.id.clone(), trial.folder().checkpoints());
        let finding = shelf.newest(None, &SystemClock::new()).expect("checkpoints");
        assert!(finding.found.is_some() && finding.warnings.is_empty(), "{finding:?}");
        assert_eq!(status(&trial, &[], "").code(), Some(0));
        assert_eq!(trial.essence(), uncut(&toy()));
    }
}

#[test]
fn one_ctrl_c_ends_in_a_checkpoint() {
    if !has_setsid("one_ctrl_c_ends_in_a_checkpoint") {
        return;
    }
    let trial = ToyTrial::new(&toy());
    let (mut child, mut keyboard) = in_terminal(&trial, "");
    wait_for_log(&trial, "epoch 1/4");
    keyboard.write_all(CTRL_C).expect("key");
    assert_eq!(child.wait().expect("wait").code(), Some(75));
    assert_eq!(reason(&trial, 1), Some(StopReason::Interrupted));
}

#[test]
fn without_a_terminal_a_second_interrupt_changes_nothing() {
    let trial = ToyTrial::new(&toy());
    let mut child =
        worker(&trial).env("REGATTA_FAULTS", "checkpoint.save:1=slow1").spawn().expect("worker");
    wait_for_log(&trial, "epoch 1/4");
    for _ in 0..5 {
        send(&child, Signal::SIGINT);
        SystemClock::new().sleep(Duration::from_millis(50));
    }
    assert_eq!(child.wait().expect("wait").code(), Some(75));
    assert_eq!(reason(&trial, 1), Some(StopReason::Interrupted));
    assert_eq!(status(&trial, &[], "").code(), Some(0));
    assert_eq!(trial.essence(), uncut(&toy()));
}
