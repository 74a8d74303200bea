//! Disks that refuse for real: full, read-only, gone, or too small for a file.
//!
//! Where mounting is not allowed only the last two are tried.
#![expect(clippy::disallowed_methods, reason = "disks are mounted and filled here")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use nix::sys::signal::Signal;
use regatta::clock::SystemClock;
use regatta::event::{Event, Outcome, StopReason};
use regatta::journal;
use regatta::layout::{self, CheckpointName, SweepFolder};
use regatta::worker::checkpoint::{Shelf, sha256_hex};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stage::skip;
use crate::toy_trial::ToyTrial;
use crate::worker_process::{send, wait_until, worker};

/// Four epochs of sixty steps: about five seconds.
fn toy() -> Value {
    json!({ "steps_per_epoch": 60, "step_seconds": 0.02 })
}

/// Something mounted, until dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// A small disk in memory; none where that is not allowed.
    fn disk(at: PathBuf, test: &str) -> Option<Self> {
        layout::create_folder(&at).expect("folder");
        if mount(&["-t", "tmpfs", "-o", "size=512k", "none"], &at) {
            return Some(Self(at));
        }
        skip(test, "mount is not allowed here");
        None
    }

    /// A folder seen through a second mount that cannot be written. What is open already stays so.
    fn read_only(folder: &Path) -> Self {
        let source = folder.to_string_lossy();
        assert!(mount(&["--bind", &source], folder));
        let mounted = Self(folder.to_owned());
        assert!(mount(&["-o", "remount,bind,ro", &source], folder));
        mounted
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let try_once = |options: &[&str]| {
            let mut command = Command::new("umount");
            command.args(options).arg(&self.0).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        // Busy while somebody reads a folder there.
        if !(0..50).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            try_once(&[])
        }) {
            try_once(&["--lazy"]);
        }
    }
}

fn mount(options: &[&str], at: &Path) -> bool {
    let mut command = Command::new("mount");
    command.args(options).arg(at).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A trial on a disk of its own. Fields are dropped in this order.
struct OnDisk {
    disk: Mounted,
    trial: ToyTrial,
    home: TempDir,
}

impl OnDisk {
    fn new(test: &str) -> Option<Self> {
        let home = tempfile::tempdir().expect("folder");
        let disk = Mounted::disk(home.path().join("disk"), test)?;
        let mut trial = often_saving();
        trial.sweep = SweepFolder::new(disk.0.join("toy"));
        Some(Self { disk, trial, home })
    }

    /// Takes all room, and what is freed of it, until the worker has said something.
    fn fill_until(&self, worker: &Working, words: &str) -> PathBuf {
        let path = self.disk.0.join("filler");
        let mut filler = fs::File::create(&path).expect("filler");
        wait_until(words, || {
            while filler.write_all(&[1; 512]).is_ok() {}
            worker.said(words)
        });
        path
    }
}

fn often_saving() -> ToyTrial {
    let mut trial = ToyTrial::new(&toy());
    trial.assignment.budget.checkpoint_every = 0.3;
    trial
}

/// A worker at work, and what it says.
struct Working {
    child: Child,
    words: Arc<Mutex<String>>,
}

impl Working {
    /// Starts it, and waits for its first checkpoint.
    fn start(trial: &ToyTrial, args: &[&str]) -> Self {
        let mut command = worker(trial);
        let mut child = command.args(args).stderr(Stdio::piped()).spawn().expect("worker");
        let words = Arc::new(Mutex::new(String::new()));
        let (mut pipe, mine) = (child.stderr.take().expect("pipe"), Arc::clone(&words));
        // A pipe, since it has no room to run out of.
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut part) {
                mine.lock().expect("lock").push_str(&String::from_utf8_lossy(&part[..length]));
            }
        });
        wait_until("the first checkpoint", || newest(trial).is_some());
        Self { child, words }
    }

    fn said(&self, words: &str) -> bool {
        self.words.lock().expect("lock").contains(words)
    }

    fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("wait")
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn newest(trial: &ToyTrial) -> Option<CheckpointName> {
    trial.folder().checkpoints().names().expect("names").last().copied()
}

/// Reads the newest checkpoint; all that stand must be whole.
fn whole(trial: &ToyTrial) -> CheckpointName {
    let shelf = Shelf::new(trial.assignment.trial.id.clone(), trial.folder().checkpoints());
    let finding = shelf.newest(None, &SystemClock::new()).expect("checkpoints");
    assert!(finding.warnings.is_empty(), "{:?}", finding.warnings);
    finding.found.expect("a checkpoint").saved.name
}

/// All events. A line may be torn: a disk that becomes full takes a part of it.
fn events(trial: &ToyTrial, attempt: u32) -> Vec<Event> {
    let path = trial.folder().journal(attempt);
    let replay = journal::replay::<Event>(&path).expect("journal");
    replay.records.into_iter().map(|record| record.body).collect()
}

/// Result and tensors of the last checkpoint.
fn end(trial: &ToyTrial) -> String {
    let result = trial.result();
    let tensors = fs::read(trial.folder().checkpoints().link("last")).expect("last");
    assert_eq!(result.outcome, Outcome::Finished);
    let (best, tensors) = ((result.best_value, result.best_epoch), sha256_hex(&tensors));
    format!("{:?} {:?} {best:?} {tensors}", result.weights_sha256, result.metrics)
}

/// Weights and metrics of each epoch.
fn epochs(trial: &ToyTrial) -> BTreeMap<u64, String> {
    let mut epochs = BTreeMap::new();
    for attempt in trial.folder().attempts().expect("attempts") {
        for event in events(trial, attempt) {
            if let Event::EpochEnded { epoch, weights_sha256, metrics, .. } = event {
                epochs.insert(epoch, format!("{weights_sha256} {metrics:?}"));
            }
        }
    }
    epochs
}

fn assert_uncut(trial: &ToyTrial) {
    let uncut = ToyTrial::new(&toy());
    assert_eq!(uncut.run_uncut(), Outcome::Finished);
    assert_eq!(end(trial), end(&uncut));
    assert_eq!(epochs(trial), epochs(&uncut));
}

#[test]
fn a_disk_that_becomes_full_costs_nothing_but_checkpoints() {
    let Some(on) = OnDisk::new("a_disk_that_becomes_full_costs_nothing_but_checkpoints") else {
        return;
    };
    let working = Working::start(&on.trial, &[]);
    let filler = on.fill_until(&working, "failed to save at");
    let before = whole(&on.trial);
    fs::remove_file(filler).expect("room");
    wait_until("a new checkpoint", || newest(&on.trial) > Some(before));
    assert_eq!(working.wait().code(), Some(0));
    let failed = |event: &Event| match event {
        Event::CheckpointFailed { error, .. } => error.contains("No space left"),
        _ => false,
    };
    assert!(events(&on.trial, 1).iter().any(failed));
    assert_uncut(&on.trial);
}

#[test]
fn a_folder_that_becomes_read_only_costs_nothing_but_checkpoints() {
    let test = "a_folder_that_becomes_read_only_costs_nothing_but_checkpoints";
    let Some(on) = OnDisk::new(test) else { return };
    let working = Working::start(&on.trial, &[]);
    let read_only = Mounted::read_only(on.trial.folder().path());
    wait_until("a warning", || working.said("failed to save at"));
    assert!(working.said("Read-only file system"));
    let before = whole(&on.trial);
    drop(read_only);
    wait_until("a new checkpoint", || newest(&on.trial) > Some(before));
    assert_eq!(working.wait().code(), Some(0));
    assert_uncut(&on.trial);
}

#[test]
fn a_checkpoint_on_the_nodes_disk_is_taken_up_there() {
    let Some(on) = OnDisk::new("a_checkpoint_on_the_nodes_disk_is_taken_up_there") else { return };
    let trial = &on.trial;
    let node = Mounted::disk(on.home.path().join("node"), "").expect("a second disk");
    let id = &trial.assignment.trial.id;
    // What others left there, of this trial and of another one.
    let uuid = regatta::id::AttemptUuid::at(jiff::Timestamp::UNIX_EPOCH);
    let other = "ffffffffffffffff".parse().expect("id");
    let foreign = [
        layout::scratch_folder(&node.0, id, 9, uuid),
        layout::scratch_folder(&node.0, &other, 1, uuid),
    ];
    let name = CheckpointName { attempt: 9, generation: 1 };
    for folder in &foreign {
        layout::create_folder(folder.path()).expect("folder");
        layout::write_atomic(&folder.manifest(name), b"{}").expect("file");
    }
    let args = ["--scratch", node.0.to_str().expect("utf-8")];
    let working = Working::start(trial, &args);
    let read_only = Mounted::read_only(trial.folder().checkpoints().path());
    wait_until("a checkpoint on the node", || working.said("the trial's folder refused"));
    send(&working.child, Signal::SIGTERM);
    assert_eq!(working.wait().code(), Some(75));
    drop(read_only);
    let first = events(trial, 1);
    let spilled = first.iter().rev().find_map(|event| match event {
        Event::CheckpointWritten { name, cursor, folder: Some(folder), .. } => {
            Some((name.clone(), *cursor, folder.clone()))
        }
        _ => None,
    });
    let (name, cursor, folder) = spilled.expect("a checkpoint on the node");
    assert!(folder.starts_with(&node.0) && folder.join(&name).exists());
    let Some(Event::Ended { reason, cursor: ended, .. }) = first.last() else {
        panic!("no end: {first:?}")
    };
    assert_eq!((*reason, *ended), (Some(StopReason::Terminated), cursor), "all of it is saved");
    let held = |folder: &Path| layout::list(folder).expect("list");
    let before = held(&folder);

    let again = worker(trial).args(args).status().expect("worker");
    assert_eq!(again.code(), Some(0));
    let resumed = events(trial, 2).into_iter().find_map(|event| match event {
        Event::Started { cursor, resumed_from, .. } => Some((resumed_from, cursor)),
        _ => None,
    });
    assert_eq!(resumed, Some((Some(name), cursor)));
    assert_eq!(held(&folder), before, "another attempt's folder is left alone");
    for folder in &foreign {
        assert_eq!(held(folder.path()).len(), 1, "{folder:?}");
    }
    assert_uncut(trial);
}

#[test]
fn a_trial_whose_folder_is_removed_goes_on_and_leaves_its_end() {
    let trial = often_saving();
    let working = Working::start(&trial, &[]);
    // Somebody may be making a file in it just now.
    wait_until("it is removed", || fs::remove_dir_all(trial.folder().path()).is_ok());
    assert_eq!(working.wait().code(), Some(0));
    let uncut = ToyTrial::new(&toy());
    assert_eq!(uncut.run_uncut(), Outcome::Finished);
    assert_eq!(end(&trial), end(&uncut));
    let events = events(&trial, 1);
    assert!(
        matches!(events.last(), Some(Event::Ended { outcome: Outcome::Finished, .. })),
        "{events:?}"
    );
}

/// Sets how long a file that a process writes may become.
fn limit(child: &Child, bytes: &str) -> bool {
    let mut command = Command::new("prlimit");
    command.args(["--pid", &child.id().to_string(), &format!("--fsize={bytes}:")]);
    command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[test]
fn a_limit_on_the_size_of_files_does_not_kill() {
    let trial = often_saving();
    let working = Working::start(&trial, &[]);
    if !limit(&working.child, "1000") {
        return skip("a_limit_on_the_size_of_files_does_not_kill", "prlimit is missing");
    }
    wait_until("a failed checkpoint", || working.said("failed to save at"));
    wait_until("a failed record", || working.said("failed to write the journal"));
    assert!(working.said("File too large"));
    let before = whole(&trial);
    assert!(limit(&working.child, "unlimited"));
    wait_until("a new checkpoint", || newest(&trial) > Some(before));
    assert_eq!(working.wait().code(), Some(0));
    assert_uncut(&trial);
}
