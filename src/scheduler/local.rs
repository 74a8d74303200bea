//! SLURM's twin on this machine: tasks as child processes, a few at a time.
//!
//! Every submission has a supervisor, a process of its own that outlives the controller. It starts
//! the same script that sbatch would get. What it must know and what it did stands in
//! `jobs/<token>.local.json`; it holds a lock while it lives. People's wishes reach it through a
//! file beside. Slots are locks too, shared by all submissions under the same root.

mod record;
mod supervisor;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::process::{Child, Command};

use record::{Process, Record, Stage, Task};
pub use supervisor::{SupervisorError, supervise};

use jiff::Timestamp;

use super::{
    JobRef, Reports, Scheduler, SchedulerError, Submission, TaskRef, TaskReport, TaskState,
};
use crate::id::Token;
use crate::layout::{LockError, Root, SweepFolder, create_folder, lock, open_append};

const PROGRAM: &str = "local scheduler";
/// How long a supervisor may take to say that it is there.
const TO_START: Duration = Duration::from_secs(20);
/// Some ticks of a supervisor: one that lives on has then read what was wished.
const TO_READ: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_millis(20);

/// Runs jobs on this machine.
#[derive(Clone, Debug)]
pub struct LocalScheduler {
    program: PathBuf,
    root: Root,
    slots: u32,
    kill_wait: Duration,
}

impl LocalScheduler {
    /// Makes one that starts `program local-supervisor --folder F --token T` for each submission and
    /// lets `slots` tasks run at a time under this root.
    #[must_use]
    pub fn new(program: PathBuf, root: Root, slots: u32) -> Self {
        Self { program, root, slots: slots.max(1), kill_wait: Duration::from_secs(30) }
    }

    /// Sets the time between asking a task to end and killing it; 30 s as with SLURM by default.
    #[must_use]
    pub fn with_kill_wait(mut self, kill_wait: Duration) -> Self {
        self.kill_wait = kill_wait;
        self
    }

    fn record(&self, job: &Submission) -> Record {
        Record {
            token: job.token,
            root: self.root.path().to_owned(),
            slots: self.slots,
            throttle: job.throttle,
            time_limit: job.time_limit,
            warn_before: job.warn_before,
            kill_wait: self.kill_wait,
            restart_limit: job.restart_limit,
            host: hostname(),
            supervisor: None,
            abandoned: false,
            tasks: (0..job.tasks).map(|_| Task::new()).collect(),
        }
    }

    fn start_supervisor(&self, job: &Submission) -> Result<Child, SchedulerError> {
        let messages = open_append(&job.folder.local_messages(job.token)).map_err(refused)?;
        let errors = messages.try_clone().map_err(refused)?;
        #[expect(clippy::disallowed_methods, reason = "this wing starts processes")]
        let mut command = Command::new(&self.program);
        command.arg("local-supervisor").arg("--folder").arg(job.folder.path());
        command.arg("--token").arg(job.token.to_string());
        // What befalls the controller in a test is not meant for its children.
        command.env_remove("REGATTA_FAULTS");
        command.stdin(Stdio::null()).stdout(messages).stderr(errors);
        command.spawn().map_err(refused)
    }
}

impl Scheduler for LocalScheduler {
    fn name(&self) -> &'static str {
        "local"
    }

    async fn submit(&self, job: &Submission) -> Result<JobRef, SchedulerError> {
        create_folder(&job.folder.logs()).map_err(refused)?;
        self.record(job).write(&job.folder).map_err(refused)?;
        let mut supervisor = self.start_supervisor(job)?;
        let mut waited = Duration::ZERO;
        while waited < TO_START {
            if read(&job.folder, job.token)?.is_some_and(|record| record.supervisor.is_some()) {
                return Ok(job_ref(&job.folder, job.token, job.tasks));
            }
            if let Ok(Some(status)) = supervisor.try_wait() {
                let log = job.folder.local_messages(job.token);
                let words = format!("its process ended ({status}); see {}", log.display());
                return Err(SchedulerError::Refused { program: PROGRAM, words });
            }
            tokio::time::sleep(PAUSE).await;
            waited += PAUSE;
        }
        Err(unavailable("its process does not come up"))
    }

    async fn states(&self, jobs: &[JobRef]) -> Result<Reports, SchedulerError> {
        let mut reports = Reports::new();
        for job in jobs {
            let folder = SweepFolder::new(&job.folder);
            // In this order: a supervisor that ends in between has written its last word.
            let supervised = is_supervised(&folder, job.token)?;
            let Some(record) = read(&folder, job.token)? else { continue };
            for (index, task) in (0..).zip(&record.tasks) {
                if let Some(report) = report(&record, task, supervised) {
                    reports.insert(TaskRef { job: job.clone(), index }, report);
                }
            }
        }
        Ok(reports)
    }

    async fn cancel(&self, tasks: &[TaskRef]) -> Result<(), SchedulerError> {
        let mut wished = false;
        for task in tasks {
            let folder = SweepFolder::new(&task.job.folder);
            if is_supervised(&folder, task.job.token)? {
                wish(task, "cancel")?;
                wished = true;
            }
        }
        if wished {
            tokio::time::sleep(TO_READ).await;
        }
        // A supervisor may have ended, or been killed, before it read that.
        let mut orphans = Vec::new();
        for task in tasks {
            let folder = SweepFolder::new(&task.job.folder);
            if !is_supervised(&folder, task.job.token)?
                && let Some(record) = read(&folder, task.job.token)?
                && record.host == hostname()
                && let Some(Some(process)) =
                    record.tasks.get(task.index as usize).map(|task| task.process)
            {
                orphans.push(process);
            }
        }
        end(&orphans, self.kill_wait).await;
        Ok(())
    }

    async fn requeue(&self, task: &TaskRef) -> Result<(), SchedulerError> {
        let folder = SweepFolder::new(&task.job.folder);
        let look = || -> Result<Option<Task>, SchedulerError> {
            let record = read(&folder, task.job.token)?;
            Ok(record.and_then(|record| record.tasks.get(task.index as usize).cloned()))
        };
        let before = look()?;
        if is_supervised(&folder, task.job.token)? {
            wish(task, "requeue")?;
            if before.as_ref().is_some_and(|t| matches!(t.stage, Stage::Pending | Stage::Running)) {
                return Ok(());
            }
        }
        // Of a task that is over: its supervisor may be about to leave and not have read that.
        while is_supervised(&folder, task.job.token)? {
            if look()?.map(|t| t.restarts) > before.as_ref().map(|t| t.restarts) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        if look()?.map(|t| t.restarts) > before.map(|t| t.restarts) {
            return Ok(());
        }
        let words = format!("the job of {task} is over; submit it anew");
        Err(SchedulerError::Refused { program: PROGRAM, words })
    }

    async fn find(
        &self,
        token: Token,
        folder: &SweepFolder,
        _: Timestamp,
    ) -> Result<Option<JobRef>, SchedulerError> {
        let Some(record) = read(folder, token)? else { return Ok(None) };
        let tasks = u32::try_from(record.tasks.len()).unwrap_or(u32::MAX);
        let found = Some(job_ref(folder, token, tasks));
        if record.supervisor.is_some() {
            return Ok(found);
        }
        // Its supervisor may be on its way. Whoever has the lock decides whether it may begin.
        let _held = match lock(&folder.local_lock(token), Duration::ZERO) {
            Err(LockError::Held { .. }) => return Ok(found),
            other => other.map_err(unavailable)?,
        };
        let Some(mut record) = read(folder, token)? else { return Ok(None) };
        if record.supervisor.is_some() {
            return Ok(found);
        }
        record.abandoned = true;
        record.write(folder).map_err(unavailable)?;
        Ok(None)
    }
}

/// What can be said of a task; nothing of one that ended, or never began, unseen.
fn report(record: &Record, task: &Task, supervised: bool) -> Option<TaskReport> {
    let report = task.report(&record.host);
    let over = !matches!(task.stage, Stage::Pending | Stage::Running);
    if supervised || over {
        return Some(report);
    }
    if record.host != hostname() && task.stage == Stage::Running {
        let state = TaskState::Unknown(format!("nobody watches it on {}", record.host));
        return Some(TaskReport { state, ..report });
    }
    task.process.is_some_and(Process::is_alive).then_some(report)
}

fn is_supervised(folder: &SweepFolder, token: Token) -> Result<bool, SchedulerError> {
    let path = folder.local_lock(token);
    if !path.exists() {
        return Ok(false);
    }
    match lock(&path, Duration::ZERO) {
        Ok(_) => Ok(false),
        Err(LockError::Held { .. }) => Ok(true),
        Err(error) => Err(unavailable(error)),
    }
}

fn wish(task: &TaskRef, verb: &str) -> Result<(), SchedulerError> {
    let mut line = String::new();
    let _ = writeln!(line, "{verb} {}", task.index);
    let path = SweepFolder::new(&task.job.folder).local_wishes(task.job.token);
    open_append(&path).and_then(|mut file| file.write_all(line.as_bytes())).map_err(unavailable)
}

/// Asks process groups to end, and ends those that do not.
async fn end(processes: &[Process], kill_wait: Duration) {
    processes.iter().for_each(|process| process.signal(Signal::SIGTERM));
    let mut waited = Duration::ZERO;
    while waited < kill_wait && processes.iter().any(|process| process.is_alive()) {
        tokio::time::sleep(PAUSE).await;
        waited += PAUSE;
    }
    processes.iter().for_each(|process| process.signal(Signal::SIGKILL));
}

fn read(folder: &SweepFolder, token: Token) -> Result<Option<Record>, SchedulerError> {
    Record::read(folder, token).map_err(|error| {
        let words = format!("{}: {error}", folder.local_state(token).display());
        match error.kind() {
            std::io::ErrorKind::InvalidData => SchedulerError::Garbled { program: PROGRAM, words },
            _ => SchedulerError::Unavailable { program: PROGRAM, words },
        }
    })
}

fn job_ref(folder: &SweepFolder, token: Token, tasks: u32) -> JobRef {
    JobRef { id: token.to_string(), token, folder: folder.path().to_owned(), tasks }
}

fn hostname() -> String {
    nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned()
}

fn refused(error: impl std::fmt::Display) -> SchedulerError {
    SchedulerError::Refused { program: PROGRAM, words: error.to_string() }
}

fn unavailable(error: impl std::fmt::Display) -> SchedulerError {
    SchedulerError::Unavailable { program: PROGRAM, words: error.to_string() }
}
