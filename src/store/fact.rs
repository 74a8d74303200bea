//! What is known of a trial: the facts from which its state follows.

use jiff::Timestamp;

use crate::event::{ExitCode, Outcome, StopReason};
use crate::id::Token;
use crate::scheduler::TaskReport;

/// Everything known of one trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The newest submission that was not refused.
    pub submission: Option<SubmissionFact>,
    /// Where a submission after that came to nothing.
    pub refused: Option<RefusalFact>,
    /// The newest cancel, if no submission came after it.
    pub cancelled: Option<CancelFact>,
    /// The newest attempt that did not leave for another one.
    pub attempt: Option<AttemptFact>,
    /// Now.
    pub now: Timestamp,
}

/// A submission that holds the trial.
#[derive(Clone, Debug, PartialEq)]
pub struct SubmissionFact {
    /// Its mark.
    pub token: Token,
    /// `slurm` or `local`.
    pub scheduler: String,
    /// When it was about to be submitted.
    pub intended_at: Timestamp,
    /// Whether the scheduler has it.
    pub fate: Fate,
    /// Number of the trial's task in it.
    pub task: u32,
    /// How the scheduler said that the task ended, as the controller's journal keeps it.
    pub ended: Option<TaskEndFact>,
    /// What the controller saw when the task vanished.
    pub lost: Option<(String, Timestamp)>,
    /// The newest poll.
    pub seen: Option<Sighting>,
    /// What the scheduler said under this job's number that is not about this job.
    pub foreign: Option<String>,
}

/// A submission that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalFact {
    /// In the scheduler's words.
    pub words: String,
    /// Whether for a limit: later it may go.
    pub limit: bool,
    /// Whether it never arrived.
    pub absent: bool,
}

/// How the scheduler said that a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEndFact {
    /// Its word.
    pub word: String,
    /// The node.
    pub node: Option<String>,
    /// Exit code and signal.
    pub exit: Option<ExitCode>,
    /// When the controller heard it.
    pub at: Timestamp,
}

/// Whether a scheduler has a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// No answer was heard.
    Unheard,
    /// It is this job.
    Accepted {
        /// The scheduler's id.
        job: String,
    },
}

/// What the scheduler said when it was last asked about a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// What.
    pub sight: Sight,
    /// When.
    pub at: Timestamp,
}

/// A task in the scheduler's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It was there.
    Seen(TaskReport),
    /// The scheduler answered and did not know it.
    Absent,
}

/// Somebody's wish that the trial stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelFact {
    /// Login name.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// An attempt, as its journal tells.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptFact {
    /// Its number.
    pub number: u32,
    /// The submission it belongs to, if any.
    pub token: Option<Token>,
    /// The machine it works on.
    pub host: Option<String>,
    /// When its journal began, by its own clock; `None` for a claim without a journal.
    pub started_at: Option<Timestamp>,
    /// Its newest record, by its own clock.
    pub seen_at: Option<Timestamp>,
    /// When the controller last heard something new of it, by the controller's clock.
    pub heard_at: Option<Timestamp>,
    /// Seconds by which its clock is ahead of the controller's, where that is known: at least so many.
    pub skew: Option<f64>,
    /// What it was asked to stop for.
    pub stop: Option<StopReason>,
    /// Its last word.
    pub end: Option<EndFact>,
}

/// The last word of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct EndFact {
    /// How it ended; `None` for a word of another version.
    pub outcome: Option<Outcome>,
    /// What it stopped for.
    pub reason: Option<StopReason>,
    /// What went wrong.
    pub error: Option<String>,
    /// When.
    pub at: Timestamp,
}
