//! What is known of a trial: the facts from which its state follows.

use jiff::Timestamp;

use crate::event::{Outcome, StopReason};
use crate::id::Token;
use crate::scheduler::TaskReport;

/// Everything known of one trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The newest submission that was not refused.
    pub submission: Option<SubmissionFact>,
    /// The scheduler's words, where a submission after that was refused.
    pub refused: Option<String>,
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
    pub ended: Option<(String, Timestamp)>,
    /// What the controller saw when the task vanished.
    pub lost: Option<(String, Timestamp)>,
    /// The newest poll.
    pub seen: Option<Sighting>,
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
    /// When its journal began; `None` for a claim without a journal.
    pub started_at: Option<Timestamp>,
    /// Its newest record.
    pub seen_at: Option<Timestamp>,
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
