//! Who runs jobs: SLURM, or its twin on this machine. One trait, the same worker behind it.
//!
//! What a scheduler says of a task is evidence for people and for the controller's decisions; how an
//! attempt ended stands in its journal. Only this wing starts processes.

mod any;
mod local;
pub mod program;
mod simulated;
mod slurm;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use any::AnyScheduler;
pub use local::{LocalScheduler, SupervisorError, supervise};
pub use simulated::{Ending, Fate, Moment, SimulatedScheduler, TaskLaunch};
#[doc(hidden)]
pub use slurm::hear;
pub use slurm::{Grace, Limits, MAX_AGE, QueueCache, Slurm, SlurmSettings, cluster_key};

use jiff::Timestamp;

use crate::event::ExitCode;
use crate::id::Token;
use crate::layout::SweepFolder;
use crate::script::JobScript;

/// A job to submit: everything is staged already.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Its mark; also the job's name and comment.
    pub token: Token,
    /// The folder it belongs to; script and job file are named by `layout`.
    pub folder: SweepFolder,
    /// Number of tasks; line N of the job file is task N's.
    pub tasks: u32,
    /// Tasks that may run at the same time, if limited.
    pub throttle: Option<u32>,
    /// Wall-clock limit of a task, if any.
    pub time_limit: Option<Duration>,
    /// Seconds before the limit at which the task is warned.
    pub warn_before: Duration,
    /// Times a task that stopped with a checkpoint may be started again under the same job.
    pub restart_limit: u32,
}

impl Submission {
    /// Describes the job of a script.
    #[must_use]
    pub fn of(script: &JobScript) -> Self {
        Self {
            token: script.token,
            folder: script.folder.clone(),
            tasks: script.tasks,
            throttle: script.throttle,
            time_limit: script.resources.time_limit(),
            warn_before: script.warn_before,
            restart_limit: script.restart_limit,
        }
    }
}

/// A scheduler's id of a job (`123`), and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobRef {
    /// The scheduler's id.
    pub id: String,
    /// The submission.
    pub token: Token,
    /// The folder of its sweep.
    pub folder: PathBuf,
    /// Number of its tasks: without it nobody could tell that the last ones are forgotten.
    pub tasks: u32,
}

/// One task of a job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskRef {
    /// The job.
    pub job: JobRef,
    /// Number of the task, from 0.
    pub index: u32,
}

impl fmt::Display for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.job.id, self.index)
    }
}

/// What the scheduler says of a task. It is a witness, not the judge: how an attempt ended stands in
/// its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Waits to be started, with the scheduler's reason.
    Pending(String),
    /// Is being started, runs, is stopped, or is being cleaned up.
    Running,
    /// Is over.
    Ended(TaskEnd),
    /// A word that this version does not know.
    Unknown(String),
}

/// How the scheduler says a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskEnd {
    /// With exit code 0.
    Completed,
    /// With another exit code or a signal.
    Failed,
    /// At its time limit.
    TimedOut,
    /// Over its memory limit.
    OutOfMemory,
    /// With its node.
    NodeFailed,
    /// For a more important job.
    Preempted,
    /// By somebody's wish.
    Cancelled,
}

impl TaskEnd {
    /// Reads the word that a scheduler has for an end, as journals keep it: SLURM's job states
    /// (`man squeue`, "JOB STATE CODES"), which the local scheduler uses too. Case and tails such as
    /// in `CANCELLED by 0` do not matter.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        let first = word.split([' ', '+', ',']).next().unwrap_or_default();
        Some(match first.to_ascii_uppercase().as_str() {
            "COMPLETED" => Self::Completed,
            "FAILED" => Self::Failed,
            "TIMEOUT" | "DEADLINE" => Self::TimedOut,
            "OUT_OF_MEMORY" => Self::OutOfMemory,
            "NODE_FAIL" | "BOOT_FAIL" => Self::NodeFailed,
            "PREEMPTED" => Self::Preempted,
            "CANCELLED" | "REVOKED" => Self::Cancelled,
            _ => return None,
        })
    }
}

/// A task as the scheduler sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskReport {
    /// Its state.
    pub state: TaskState,
    /// The scheduler's own word, for people (`PREEMPTED`).
    pub word: String,
    /// Starts after the first.
    pub restarts: u32,
    /// The node it runs or ran on, where known.
    pub node: Option<String>,
    /// How its process ended, where known.
    pub exit: Option<ExitCode>,
    /// Nobody said so: it follows from what was not said. Two answers must.
    pub inferred: bool,
}

/// Reports by task number; tasks that the scheduler does not know are absent.
pub type Reports = BTreeMap<TaskRef, TaskReport>;

/// Reports, and of when they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// The reports.
    pub reports: Reports,
    /// When the scheduler told; `None`: now. It knew nothing of jobs that are newer.
    pub at: Option<Timestamp>,
}

/// Why a scheduler did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// It looked at the request and said no; nothing was submitted.
    #[error("{program} refused: {words}")]
    Refused {
        /// Which program said so.
        program: &'static str,
        /// In its words.
        words: String,
    },
    /// It said no because there is a limit to what one may submit; nothing was submitted. Later, or
    /// with fewer tasks, it may go.
    #[error("{program} refused for a limit: {words}")]
    Limit {
        /// Which program said so.
        program: &'static str,
        /// In its words.
        words: String,
    },
    /// It could not be asked or did not answer in time: whether it acted is not known.
    #[error("{program} did not answer: {words}")]
    Unavailable {
        /// Which program.
        program: &'static str,
        /// What was seen.
        words: String,
    },
    /// The program is not installed here; nothing was done.
    #[error("{program} is not to be found on this machine")]
    Missing {
        /// Which program.
        program: &'static str,
    },
    /// The answer makes no sense: whether it acted is not known.
    #[error("{program} answered what nobody understands: {words}")]
    Garbled {
        /// Which program.
        program: &'static str,
        /// The answer.
        words: String,
    },
}

impl SchedulerError {
    /// Says whether it is certain that nothing was done.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Limit { .. } | Self::Missing { .. })
    }

    /// Says whether there is no cluster to ask from here, or none that answers.
    #[must_use]
    pub fn is_no_cluster(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::Unavailable { .. } => true,
            // SLURM's programs are installed, and nothing tells them where its controller is.
            Self::Refused { words, .. } | Self::Garbled { words, .. } => {
                words.contains("configuration source")
            }
            Self::Limit { .. } => false,
        }
    }

    /// Returns what a person may do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused { words, .. } => slurm::hint(words),
            Self::Limit { .. } => {
                Some("wait until some jobs have ended, or lower `max_in_flight` in the sweep file")
            }
            Self::Missing { .. } => {
                Some("log in to the cluster, or run on this machine with `--scheduler local`")
            }
            Self::Unavailable { .. } => {
                Some("SLURM may be busy; nothing is lost, the same command may be given again")
            }
            Self::Garbled { .. } => None,
        }
    }
}

/// Runs jobs.
pub trait Scheduler {
    /// Returns its name in journals and on the command line: `slurm`, `local`.
    fn name(&self) -> &'static str;

    /// Submits a staged job and returns its id.
    fn submit(&self, job: &Submission) -> impl Future<Output = Result<JobRef, SchedulerError>>;

    /// Asks once for all tasks of these jobs. An error never means that jobs are gone.
    fn states(&self, jobs: &[JobRef]) -> impl Future<Output = Result<Reports, SchedulerError>>;

    /// As [`Self::states`], but what it told a moment ago will do.
    fn recent(&self, jobs: &[JobRef]) -> impl Future<Output = Result<Recent, SchedulerError>> {
        async { Ok(Recent { reports: self.states(jobs).await?, at: None }) }
    }

    /// Returns what the newest answer of [`Self::states`] said under the numbers of our jobs that is not
    /// about them: a number is given out again after a crash. It is seen, not believed.
    fn foreign(&self) -> Vec<(JobRef, String)> {
        Vec::new()
    }

    /// Ends tasks. Tasks that are over or unknown are no error.
    fn cancel(&self, tasks: &[TaskRef]) -> impl Future<Output = Result<(), SchedulerError>>;

    /// Starts a task again under the same id.
    fn requeue(&self, task: &TaskRef) -> impl Future<Output = Result<(), SchedulerError>>;

    /// Looks for a submission whose id was never heard, made at the moment `since`. `None`: it is certain
    /// that no such job waits or runs, and that none will; one that is over and forgotten may have
    /// been, and what it did stands in the journals of its attempts.
    fn find(
        &self,
        token: Token,
        folder: &SweepFolder,
        since: Timestamp,
    ) -> impl Future<Output = Result<Option<JobRef>, SchedulerError>>;
}
