//! What the local scheduler keeps of a submission: `jobs/<token>.local.json`.

use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::event::ExitCode;
use crate::id::Token;
use crate::layout::{Limit, SweepFolder, read_limited, write_atomic};
use crate::scheduler::{TaskEnd, TaskReport, TaskState};

/// A submission and how far it is. Written by the submitter once, then by the supervisor alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) token: Token,
    /// Where the slots are.
    pub(super) root: std::path::PathBuf,
    pub(super) slots: u32,
    pub(super) throttle: Option<u32>,
    pub(super) time_limit: Option<Duration>,
    pub(super) warn_before: Duration,
    pub(super) kill_wait: Duration,
    pub(super) restart_limit: u32,
    /// The machine on which process ids mean something.
    pub(super) host: String,
    /// The supervisor, once there is one.
    pub(super) supervisor: Option<Process>,
    /// Nobody heard of this submission in time: no supervisor may begin with it.
    pub(super) abandoned: bool,
    pub(super) tasks: Vec<Task>,
}

/// A task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) stage: Stage,
    pub(super) restarts: u32,
    /// The script's process while it runs; its process group has the same number.
    pub(super) process: Option<Process>,
    /// Exit code of the latest start; 128 + n for signal n.
    pub(super) exit: Option<i32>,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    Pending,
    Running,
    Completed,
    Failed,
    TimedOut,
    Preempted,
    Cancelled,
}

impl Record {
    pub(super) fn read(folder: &SweepFolder, token: Token) -> std::io::Result<Option<Self>> {
        match read_limited(&folder.local_state(token), Limit::LOCAL_STATE) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn write(&self, folder: &SweepFolder) -> std::io::Result<()> {
        write_atomic(&folder.local_state(self.token), &serde_json::to_vec_pretty(self)?)
    }
}

impl Task {
    pub(super) fn new() -> Self {
        Self { stage: Stage::Pending, restarts: 0, process: None, exit: None }
    }

    pub(super) fn report(&self, host: &str) -> TaskReport {
        let ended = |end, word| (TaskState::Ended(end), word);
        let (state, word) = match self.stage {
            Stage::Pending => (TaskState::Pending("waits for a slot".to_owned()), "PENDING"),
            Stage::Running => (TaskState::Running, "RUNNING"),
            Stage::Completed => ended(TaskEnd::Completed, "COMPLETED"),
            Stage::Failed => ended(TaskEnd::Failed, "FAILED"),
            Stage::TimedOut => ended(TaskEnd::TimedOut, "TIMEOUT"),
            Stage::Preempted => ended(TaskEnd::Preempted, "PREEMPTED"),
            Stage::Cancelled => ended(TaskEnd::Cancelled, "CANCELLED"),
        };
        let node = (self.stage != Stage::Pending).then(|| host.to_owned());
        let exit = self.exit.filter(|_| matches!(state, TaskState::Ended(_)));
        // As a shell says it: 128 and the signal.
        let exit = exit.and_then(|code| u32::try_from(code).ok());
        let exit = exit.map(|code| ExitCode { code, signal: 0 });
        TaskReport {
            state,
            word: word.to_owned(),
            restarts: self.restarts,
            node,
            exit,
            inferred: false,
        }
    }
}

/// A process that cannot be taken for a later one of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    pid: i32,
    /// Clock ticks between the machine's boot and its start.
    started: u64,
}

impl Process {
    /// Describes a living process; `None` when there is none.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        alive_since(pid).map(|started| Self { pid, started })
    }

    pub(super) fn is_alive(self) -> bool {
        alive_since(self.pid) == Some(self.started)
    }

    /// Sends a signal to its process group, if it still lives.
    pub(super) fn signal(self, signal: Signal) {
        if self.is_alive() {
            let _ = killpg(Pid::from_raw(self.pid), signal);
        }
    }

    /// Ends what its process group left behind when it ended itself.
    pub(super) fn sweep(self) {
        let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
    }
}

/// Start of a process from `/proc/PID/stat` (proc(5): field 3 is the state, 22 the start). A zombie
/// is no living process, though `kill` finds it.
fn alive_since(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let alive = !matches!(*fields.first()?, "Z" | "X");
    alive.then(|| fields.get(19)?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_too() {
        let me = Process::of(std::process::id()).expect("alive");
        assert!(me.is_alive());
        assert!(!Process { started: me.started + 1, ..me }.is_alive());
        assert_eq!(Process::of(u32::MAX), None);
    }
}
