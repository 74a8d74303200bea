//! Why attempts stop, and how they end.

use serde::{Deserialize, Serialize};

/// Why an attempt was asked to stop, from the weakest to the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The attempt's time ends before the next unit of work and a checkpoint would.
    TimeBudget,
    /// The trial's `max_train_time` over all attempts is used up.
    TrainTime,
    /// SIGUSR1 or SIGUSR2: the scheduler's early warning.
    Warned,
    /// SIGTERM: preemption, the end of the time limit, or a cancel.
    Terminated,
    /// SIGINT: somebody pressed Ctrl-C.
    Interrupted,
    /// A cancel mark stands in the trial's folder.
    Cancelled,
    /// A newer attempt claimed the trial.
    Superseded,
    /// The network had learnt, and does not tell foreground from background any more.
    Collapsed,
    /// A guard saw that training has diverged.
    Diverged,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The trial is complete.
    Finished,
    /// Stopped early with a checkpoint; run it again.
    Stopped,
    /// Stopped early with a checkpoint as the trial's `max_train_time` is used up: to run it again
    /// would bring nothing.
    Spent,
    /// Training diverged; the last healthy checkpoint is kept.
    Diverged,
    /// An error ended it.
    Failed,
    /// It left at once or early because another attempt owns the trial.
    Superseded,
}

impl Outcome {
    /// Returns the worker's exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Finished | Self::Superseded | Self::Spent => 0,
            Self::Failed => 1,
            Self::Diverged => 65,
            Self::Stopped => 75,
        }
    }
}
