//! The words for how a trial stands.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::scheduler::TaskEnd;

/// How a trial stands. Ends are told apart and never merged; what is not understood is shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum TrialState {
    /// Part of the plan; nothing was submitted.
    Planned,
    /// With the scheduler; no attempt began.
    Submitted,
    /// An attempt works on it.
    Running,
    /// Stopped with a checkpoint; the same job will run again.
    Waiting,
    /// Complete.
    Finished,
    /// An error ended it.
    Failed,
    /// Training diverged.
    Diverged,
    /// Over its memory limit.
    OutOfMemory,
    /// Its node failed.
    NodeFailed,
    /// Its time was used up.
    TimedOut,
    /// A more important job took its place.
    Preempted,
    /// Somebody did not want it.
    Cancelled,
    /// It vanished without a word.
    Lost,
    /// The scheduler used a word that this version does not know.
    Unknown(String),
}

impl TrialState {
    /// All states with a fixed word, in the order in which they are shown.
    pub const ALL: [Self; 13] = [
        Self::Planned,
        Self::Submitted,
        Self::Running,
        Self::Waiting,
        Self::Finished,
        Self::Failed,
        Self::Diverged,
        Self::OutOfMemory,
        Self::NodeFailed,
        Self::TimedOut,
        Self::Preempted,
        Self::Cancelled,
        Self::Lost,
    ];

    /// Returns its word, as in JSON and in the database; an unknown one as `unknown(text)`.
    #[must_use]
    pub fn word(&self) -> String {
        let word = match self {
            Self::Planned => "planned",
            Self::Submitted => "submitted",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Diverged => "diverged",
            Self::OutOfMemory => "out_of_memory",
            Self::NodeFailed => "node_failed",
            Self::TimedOut => "timed_out",
            Self::Preempted => "preempted",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Unknown(text) => return format!("unknown({text})"),
        };
        word.to_owned()
    }

    /// Says whether it goes on by itself: submitted, running or waiting, or not understood.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        matches!(self, Self::Submitted | Self::Running | Self::Waiting | Self::Unknown(_))
    }

    /// Says whether the worker's own last word made it, so that only a new submission changes it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Diverged)
    }
}

impl From<TaskEnd> for TrialState {
    fn from(end: TaskEnd) -> Self {
        match end {
            TaskEnd::Completed => Self::Finished,
            TaskEnd::Failed => Self::Failed,
            TaskEnd::TimedOut => Self::TimedOut,
            TaskEnd::OutOfMemory => Self::OutOfMemory,
            TaskEnd::NodeFailed => Self::NodeFailed,
            TaskEnd::Preempted => Self::Preempted,
            TaskEnd::Cancelled => Self::Cancelled,
        }
    }
}

impl From<String> for TrialState {
    fn from(word: String) -> Self {
        let known = Self::ALL.into_iter().find(|state| state.word() == word);
        known.unwrap_or_else(|| {
            let inner = word.strip_prefix("unknown(").and_then(|rest| rest.strip_suffix(')'));
            Self::Unknown(inner.unwrap_or(&word).to_owned())
        })
    }
}

impl From<TrialState> for String {
    fn from(state: TrialState) -> Self {
        state.word()
    }
}

impl fmt::Display for TrialState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_comes_back_and_a_foreign_one_is_kept() {
        for state in TrialState::ALL.into_iter().chain([TrialState::Unknown("REVOKED".to_owned())])
        {
            let json = serde_json::to_string(&state).expect("json");
            assert_eq!(serde_json::from_str::<TrialState>(&json).expect("back"), state);
        }
        let foreign = TrialState::from("teleported".to_owned());
        assert_eq!(foreign, TrialState::Unknown("teleported".to_owned()));
    }
}
