//! The process that looks after one submission: starts its tasks, warns, ends and restarts them.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::record::{Process, Record, Stage, Task};
use crate::clock::Clock;
use crate::id::{Token, TrialId};
use crate::layout::{
    Limit, Lines, LockError, Locked, Root, SweepFolder, create_folder, lock, open_append,
    read_piece,
};

/// Pause between two looks at everything.
const TICK: Duration = Duration::from_millis(50);
/// How long the folder may be away before it counts as moved or removed.
const AWAY: Duration = Duration::from_secs(2);
/// Exit code of a worker that stopped early with a checkpoint.
const RUN_ME_AGAIN: i32 = 75;

/// Why a supervisor gave up.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// There is no such submission.
    #[error("nothing is submitted at {}", path.display())]
    Nothing {
        /// Where its record should be.
        path: PathBuf,
    },
    /// Another process looks after it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The folder cannot be used.
    #[error("failed to look after {token}: {source}")]
    Io {
        /// The submission.
        token: Token,
        /// Why.
        source: io::Error,
    },
}

/// Looks after a submission until all its tasks are over. The hidden verb `local-supervisor` of the
/// controller's program.
///
/// # Errors
/// When the submission does not exist, is looked after already, or its folder cannot be used.
pub async fn supervise(
    folder: &SweepFolder,
    token: Token,
    clock: &dyn Clock,
) -> Result<(), SupervisorError> {
    // Away from the terminal of the controller. It fails where this process leads a group already.
    let _ = nix::unistd::setsid();
    let _lock = lock(&folder.local_lock(token), Duration::from_secs(5))?;
    let failed = |source| SupervisorError::Io { token, source };
    let Some(mut record) = Record::read(folder, token).map_err(failed)? else {
        return Err(SupervisorError::Nothing { path: folder.local_state(token) });
    };
    if record.abandoned || record.supervisor.is_some() {
        return Ok(());
    }
    create_folder(&Root::new(&record.root).local_slots()).map_err(failed)?;
    record.supervisor = Process::of(std::process::id());
    record.write(folder).map_err(failed)?;
    let supervisor = Supervisor {
        folder,
        clock,
        record,
        running: BTreeMap::new(),
        wishes_read: 0,
        leaving: false,
        away_since: None,
        changed: false,
    };
    supervisor.watch().await.map_err(failed)
}

struct Supervisor<'a> {
    folder: &'a SweepFolder,
    clock: &'a dyn Clock,
    record: Record,
    running: BTreeMap<usize, Running>,
    /// Bytes of the wishes that are read.
    wishes_read: u64,
    /// This process was asked to end: nothing more is started.
    leaving: bool,
    /// Since when nothing is found where the record should be.
    away_since: Option<Duration>,
    /// The record differs from the one on disk.
    changed: bool,
}

/// A task's process.
struct Running {
    child: Child,
    process: Option<Process>,
    _slot: Locked,
    since: Duration,
    warned: bool,
    /// Why it was asked to end, and when.
    asked: Option<(Why, Duration)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    TimeLimit,
    Cancel,
    Requeue,
    Leaving,
}

impl Supervisor<'_> {
    async fn watch(mut self) -> io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        while !self.is_over() {
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                _ = hangup.recv() => {}
                _ = interrupt.recv() => self.leave(),
                _ = terminate.recv() => self.leave(),
            }
            self.tick()?;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        let waits = |task: &Task| task.stage == Stage::Pending;
        self.running.is_empty() && (self.leaving || !self.record.tasks.iter().any(waits))
    }

    fn leave(&mut self) {
        self.leaving = true;
        for index in self.running.keys().copied().collect::<Vec<_>>() {
            self.ask(index, Why::Leaving);
        }
    }

    fn tick(&mut self) -> io::Result<()> {
        self.read_wishes()?;
        self.reap();
        self.mind_the_time();
        self.mind_the_folder();
        if !self.leaving && self.away_since.is_none() {
            self.start_some();
        }
        if self.changed {
            // A full disk is no reason to forget the children; the next tick tries again.
            self.changed = self.record.write(self.folder).is_err();
        }
        Ok(())
    }

    fn read_wishes(&mut self) -> io::Result<()> {
        let bytes = read_piece(
            &self.folder.local_wishes(self.record.token),
            self.wishes_read,
            Limit::WISHES,
        )?;
        let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else { return Ok(()) };
        self.wishes_read += end as u64 + 1;
        for line in String::from_utf8_lossy(&bytes[..end]).lines() {
            let Some((verb, index)) = line.split_once(' ') else { continue };
            let Ok(index) = index.parse::<usize>() else { continue };
            match verb {
                "cancel" => self.wish(index, Why::Cancel),
                "requeue" => self.wish(index, Why::Requeue),
                _ => {}
            }
        }
        Ok(())
    }

    fn wish(&mut self, index: usize, why: Why) {
        let Some(task) = self.record.tasks.get_mut(index) else { return };
        match (task.stage, why) {
            (Stage::Running, _) => return self.ask(index, why),
            (Stage::Pending, Why::Cancel) => task.stage = Stage::Cancelled,
            (Stage::Pending, _) => {}
            (_, Why::Requeue) => restart(task),
            _ => {}
        }
        self.changed = true;
    }

    /// Asks a task to end. A cancel is stronger than what was asked before.
    fn ask(&mut self, index: usize, why: Why) {
        let now = self.clock.monotonic();
        let Some(running) = self.running.get_mut(&index) else { return };
        match running.asked {
            Some((_, since)) if why == Why::Cancel => running.asked = Some((why, since)),
            Some(_) => {}
            None => {
                running.asked = Some((why, now));
                running.signal(Signal::SIGTERM);
            }
        }
    }

    fn reap(&mut self) {
        let mut ended = Vec::new();
        for (index, running) in &mut self.running {
            if let Ok(Some(status)) = running.child.try_wait() {
                use std::os::unix::process::ExitStatusExt;
                let signal = status.signal().unwrap_or_default();
                ended.push((*index, status.code().unwrap_or(128 + signal)));
            }
        }
        for (index, code) in ended {
            let Some(running) = self.running.remove(&index) else { continue };
            if let Some(process) = running.process {
                process.sweep();
            }
            self.finish(index, code, running.asked.map(|(why, _)| why));
        }
    }

    fn finish(&mut self, index: usize, code: i32, why: Option<Why>) {
        let again = code == RUN_ME_AGAIN && self.may_restart(index);
        let task = &mut self.record.tasks[index];
        task.process = None;
        task.exit = Some(code);
        match (why, code) {
            (Some(Why::Cancel), _) => task.stage = Stage::Cancelled,
            (Some(Why::Requeue), _) => restart(task),
            (_, 0) => task.stage = Stage::Completed,
            (Some(Why::TimeLimit), _) => task.stage = Stage::TimedOut,
            (Some(Why::Leaving), _) => task.stage = Stage::Preempted,
            (None, _) if again => restart(task),
            (None, _) => task.stage = Stage::Failed,
        }
        self.changed = true;
    }

    /// As the script under SLURM does: below the limit, and nobody has cancelled the trial.
    fn may_restart(&self, index: usize) -> bool {
        let cancelled = match trial_of(self.folder, self.record.token, index) {
            Some(trial) => self.folder.trial(&trial).cancel_mark().exists(),
            None => true,
        };
        !cancelled && self.record.tasks[index].restarts < self.record.restart_limit
    }

    fn mind_the_time(&mut self) {
        let now = self.clock.monotonic();
        let mut late = Vec::new();
        for (index, running) in &mut self.running {
            let ran = now.saturating_sub(running.since);
            if running.asked.is_some_and(|(_, asked)| now >= asked + self.record.kill_wait) {
                running.signal(Signal::SIGKILL);
            }
            let Some(limit) = self.record.time_limit else { continue };
            let warning = limit.saturating_sub(self.record.warn_before);
            if !running.warned && !self.record.warn_before.is_zero() && ran >= warning {
                running.warned = true;
                running.signal(Signal::SIGUSR2);
            }
            if ran >= limit {
                late.push(*index);
            }
        }
        late.into_iter().for_each(|index| self.ask(index, Why::TimeLimit));
    }

    /// Scripts and job files are named by their places: of a folder that was moved nothing can be started
    /// any more. What runs is left to its end; the rest is given up, so that whoever finds the folder
    /// where it is now finds nobody at it.
    fn mind_the_folder(&mut self) {
        let now = self.clock.monotonic();
        // A file server that does not answer has moved nothing.
        if !matches!(self.folder.local_state(self.record.token).try_exists(), Ok(false)) {
            self.away_since = None;
            return;
        }
        let since = *self.away_since.get_or_insert(now);
        if now.saturating_sub(since) >= AWAY {
            self.leaving = true;
        }
    }

    fn start_some(&mut self) {
        let throttle = self.record.throttle.map_or(usize::MAX, |limit| limit.max(1) as usize);
        while self.running.len() < throttle {
            let waiting = (0..).zip(&self.record.tasks).filter(|(_, t)| t.stage == Stage::Pending);
            // Those that have run go to the end of the queue.
            let Some(index) = waiting.min_by_key(|(index, task)| (task.restarts, *index)) else {
                return;
            };
            let index: usize = index.0;
            let Some(slot) = self.free_slot() else { return };
            self.start(index, slot);
        }
    }

    fn free_slot(&self) -> Option<Locked> {
        let root = Root::new(&self.record.root);
        (0..self.record.slots).find_map(|slot| lock(&root.local_slot(slot), Duration::ZERO).ok())
    }

    fn start(&mut self, index: usize, slot: Locked) {
        self.changed = true;
        match self.spawn(index) {
            Ok(child) => {
                let process = child.id().and_then(Process::of);
                let task = &mut self.record.tasks[index];
                task.stage = Stage::Running;
                task.process = process;
                let since = self.clock.monotonic();
                let running =
                    Running { child, process, _slot: slot, since, warned: false, asked: None };
                self.running.insert(index, running);
            }
            Err(error) => {
                tracing::warn!(%error, index, "failed to start a task");
                self.record.tasks[index].stage = Stage::Failed;
            }
        }
    }

    fn spawn(&self, index: usize) -> io::Result<Child> {
        let token = self.record.token;
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let log = open_append(&self.folder.local_log(token, number))?;
        let errors = log.try_clone()?;
        let restarts = self.record.tasks[index].restarts;
        #[expect(clippy::disallowed_methods, reason = "this wing starts processes")]
        let mut command = Command::new("bash");
        command.arg(self.folder.script(token)).stdin(Stdio::null()).stdout(log).stderr(errors);
        command.env("REGATTA_TASK", index.to_string());
        command.env("REGATTA_ORIGIN", format!("local:{token}_{index}:{restarts}"));
        match self.record.time_limit {
            Some(limit) => command.env("REGATTA_TIME_LEFT", limit.as_secs().to_string()),
            None => command.env_remove("REGATTA_TIME_LEFT"),
        };
        command.process_group(0).spawn()
    }
}

impl Running {
    fn signal(&self, signal: Signal) {
        if let Some(process) = self.process {
            process.signal(signal);
        }
    }
}

fn restart(task: &mut Task) {
    task.stage = Stage::Pending;
    task.restarts += 1;
}

fn trial_of(folder: &SweepFolder, token: Token, index: usize) -> Option<TrialId> {
    #[derive(serde::Deserialize)]
    struct Line {
        trial: TrialId,
    }
    let mut lines = Lines::open(&folder.job_file(token), 0, Limit::TRIAL).ok()?;
    for _ in 0..index {
        lines.next_line().ok()??;
    }
    serde_json::from_slice::<Line>(lines.next_line().ok()??.bytes).ok().map(|line| line.trial)
}
