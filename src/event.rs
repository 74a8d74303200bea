//! What happens: to an attempt ([`Event`]) and by the controller's hand ([`Act`]).
//!
//! One value per happening; journals keep them, callbacks judge them, SQLite is built from them.
//! A kind that this version does not know is kept as `Unknown`, never an error.

mod act;
mod end;
mod exit;
mod pace;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::id::{AttemptUuid, Token, TrialId};
use crate::metric::Metrics;

pub use act::{Act, Decision};
pub use end::{Outcome, StopReason};
pub use exit::ExitCode;
pub use pace::{Pace, Spread};

/// The next unit of work: `step` optimizer updates of epoch `epoch` are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cursor {
    /// Epoch, counted from 1.
    pub epoch: u64,
    /// Steps already done in that epoch. Equal to the steps of an epoch: its evaluation is due.
    pub step: u64,
}

impl Cursor {
    /// The beginning of training.
    pub const START: Self = Self { epoch: 1, step: 0 };
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {} step {}", self.epoch, self.step)
    }
}

/// Identity of the files that a trial was trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// SHA-256 in hex over names, splits and contents of all files used.
    pub sha256: String,
    /// The same over the files for validation alone; unknown to workers of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_sha256: Option<String>,
    /// Number of image files for training.
    pub train_files: u64,
    /// Number of image files for validation.
    pub val_files: u64,
}

/// Something that happened to an attempt. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// First record of a journal: what this file is.
    Header {
        /// Version of the journal format.
        format: u32,
        /// The trial.
        trial: TrialId,
        /// Number of the attempt within the trial, from 1.
        attempt: u32,
        /// Unique name of the attempt.
        uuid: AttemptUuid,
        /// The submission it belongs to, if any.
        token: Option<Token>,
        /// Who started it: `slurm:123_4:1`, `local:…`, or free text.
        origin: String,
        /// Name of the machine.
        host: String,
        /// Process id on that machine.
        pid: u32,
        /// Version of the worker program.
        worker_version: String,
        /// Folder on this machine where checkpoints go that the shared folder refuses.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scratch: Option<PathBuf>,
    },
    /// What the attempt works with and on, for the record.
    Surroundings {
        /// SHA-256 in hex of the worker program.
        binary_sha256: Option<String>,
        /// Model of the processor.
        cpu: String,
        /// Processors of this machine.
        cores: u32,
        /// Name of the GPU, if there is one.
        gpu: Option<String>,
        /// Version of its driver.
        driver: Option<String>,
        /// Name and version of the operating system's kernel.
        system: String,
        /// The command line.
        command: Vec<String>,
        /// The folder it was started in.
        folder: PathBuf,
        /// Environment variables that matter, none that holds a secret.
        environment: BTreeMap<String, String>,
        /// All settings of the trial.
        settings: serde_json::Map<String, serde_json::Value>,
    },
    /// The learner is ready and training begins.
    Started {
        /// Where it goes on.
        cursor: Cursor,
        /// The checkpoint it resumed from (file name), if any.
        resumed_from: Option<String>,
        /// Number of trainable parameters.
        parameters: u64,
        /// `cpu` or the name of the device.
        device: String,
        /// Threads used for computing.
        threads: u32,
        /// Version of libtorch, or of the toy learner.
        library: String,
        /// Data it is trained on, if there are any.
        data: Option<Fingerprint>,
        /// Optimizer updates in an epoch.
        steps_per_epoch: u64,
        /// Epochs to do in all.
        epochs: u64,
        /// Seconds left for this attempt, if limited.
        time_left: Option<f64>,
        /// Seconds from the start of the process to this record.
        seconds_to_start: f64,
        /// Training seconds of earlier attempts.
        elapsed_before: f64,
        /// What is not as it was when the checkpoint was written (`threads: 1, were 4`): the results
        /// are then not bit-equal to those of an uninterrupted trial.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        differs: Vec<String>,
        /// How long work took in earlier attempts, where the machine is the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected: Option<Pace>,
        /// Fraction of the training pixels that is foreground: what a prediction is compared with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        train_density: Option<f64>,
    },
    /// One optimizer update is done. Not recorded.
    StepEnded {
        /// The next unit.
        cursor: Cursor,
        /// Training loss of the minibatch.
        loss: f64,
        /// Duration of the step.
        seconds: f64,
    },
    /// A whole epoch is trained and evaluated.
    EpochEnded {
        /// The epoch, from 1.
        epoch: u64,
        /// Optimizer updates since the start of training.
        step: u64,
        /// All values of this epoch.
        metrics: Metrics,
        /// SHA-256 in hex over the weights.
        weights_sha256: String,
        /// Training time of this epoch (all attempts).
        train_seconds: f64,
        /// Evaluation time.
        eval_seconds: f64,
        /// Training samples a second, loading and augmentation included.
        images_per_second: f64,
        /// Whether the objective is the best so far.
        is_best: bool,
    },
    /// A copy for a checkpoint was taken and is being written. Not recorded.
    CheckpointBegun {
        /// Where training would go on.
        cursor: Cursor,
    },
    /// A checkpoint is complete on disk.
    CheckpointWritten {
        /// File name of its manifest.
        name: String,
        /// Where training would go on.
        cursor: Cursor,
        /// Time for copying and writing, until it was on disk.
        seconds: f64,
        /// Time that training stood still for it: a copy in memory.
        #[serde(default)]
        pause: f64,
        /// Size.
        bytes: u64,
        /// The folder, where it is not the trial's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        folder: Option<PathBuf>,
    },
    /// A checkpoint could not be written; training goes on.
    CheckpointFailed {
        /// Where training stood.
        cursor: Cursor,
        /// What went wrong.
        error: String,
        /// The file that at least the weights were saved to, if that went well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weights: Option<PathBuf>,
    },
    /// A sign of life between epochs.
    Heartbeat {
        /// Where training stands.
        cursor: Cursor,
        /// Latest training loss.
        loss: Option<f64>,
        /// Estimated seconds to the end of the trial.
        remaining: Option<f64>,
    },
    /// A look at the machine.
    Sample {
        /// Values by name (`gpu/utilisation`, `process/memory`).
        metrics: Metrics,
    },
    /// Something worth telling that does not stop training.
    Warning {
        /// What.
        text: String,
    },
    /// Training diverged or the network collapsed, and the best epoch's weights were put back.
    RolledBack {
        /// What went wrong.
        reason: StopReason,
        /// Where training stood.
        from: Cursor,
        /// The epoch whose weights were put back; 0: the beginning.
        to_epoch: u64,
        /// Rollbacks so far, this one included.
        rollbacks: u32,
        /// What the learning rate is now multiplied by.
        learning_rate_factor: f64,
    },
    /// `guards.patience` is used up: training is complete.
    EndedEarly {
        /// The last epoch.
        epoch: u64,
        /// What did not improve (`guards.metric`).
        metric: String,
        /// The last epoch in which it did; 0: none.
        since: u64,
        /// The best epoch by the sweep's objective.
        best_epoch: Option<u64>,
        /// Whether the weights are those of the best epoch.
        restored: bool,
    },
    /// The loop was asked to stop.
    StopRequested {
        /// Why.
        reason: StopReason,
        /// Where training stood.
        cursor: Cursor,
        /// For a time budget: the predicted seconds of the next unit with a checkpoint.
        predicted: Option<f64>,
        /// The predicted seconds of the checkpoint that follows; [`Event::Ended`] has what it took.
        #[serde(default)]
        predicted_save: Option<f64>,
        /// Seconds that were left.
        time_left: Option<f64>,
    },
    /// Last record: how the attempt ended.
    Ended {
        /// How.
        outcome: Outcome,
        /// What asked for it, when it stopped early.
        reason: Option<StopReason>,
        /// Where training would go on.
        cursor: Cursor,
        /// Training seconds over all attempts.
        elapsed: f64,
        /// Seconds that were left unused, if limited.
        time_left: Option<f64>,
        /// Seconds from the request to stop to this record.
        #[serde(default)]
        seconds_to_leave: Option<f64>,
        /// What went wrong, when it failed or diverged.
        error: Option<String>,
    },
    /// A kind of another version.
    #[serde(other)]
    Unknown,
}

/// What stands in the [words](Event::words) of every rollback, and in no other's.
pub const WORDS_OF_A_ROLLBACK: &str = ": rolled back to ";

/// How a worker's warning begins that its validation split leaks.
pub const WORDS_OF_A_LEAK: &str = "copying the mask of the nearest training slice scores ";

/// How the [words](Event::words) of an early end begin.
pub const WORDS_OF_AN_EARLY_END: &str = "ended early after epoch ";

impl Event {
    /// The trial and the number of the attempt whose journal this is, where the record says so.
    #[must_use]
    pub fn owner(&self) -> Option<(&str, u32)> {
        match self {
            Self::Header { trial, attempt, .. } => Some((trial.as_str(), *attempt)),
            _ => None,
        }
    }

    /// Says whether a journal keeps it.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        !matches!(self, Self::StepEnded { .. } | Self::CheckpointBegun { .. })
    }

    /// Returns what a person reads of a rollback or an early end; nothing for other events.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::RolledBack { reason, from, to_epoch, rollbacks, learning_rate_factor } => {
                let what = if *reason == StopReason::Collapsed { "collapse" } else { "divergence" };
                let to = match to_epoch {
                    0 => "the beginning".to_owned(),
                    epoch => format!("epoch {epoch}"),
                };
                format!(
                    "{what} at {from}{WORDS_OF_A_ROLLBACK}{to} (rollback {rollbacks}), learning rate \
                     times {learning_rate_factor}"
                )
            }
            Self::EndedEarly { epoch, metric, since, best_epoch, restored } => {
                let whose = match best_epoch {
                    Some(best) if *restored => format!("epoch {best}, the best by the objective"),
                    _ => format!("epoch {epoch}, the last"),
                };
                format!(
                    "{WORDS_OF_AN_EARLY_END}{epoch}: no improvement of {metric} since epoch {since} \
                     (guards.patience); the weights are those of {whose}"
                )
            }
            _ => String::new(),
        }
    }

    /// Says whether it must be on disk before work goes on.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        matches!(
            self,
            Self::Header { .. }
                | Self::Surroundings { .. }
                | Self::Started { .. }
                | Self::EpochEnded { .. }
                | Self::RolledBack { .. }
                | Self::EndedEarly { .. }
                | Self::StopRequested { .. }
                | Self::Ended { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_from_the_future_is_unknown_not_an_error() {
        let event: Event =
            serde_json::from_str(r#"{"event":"teleported","to":"mars"}"#).expect("read");
        assert_eq!(event, Event::Unknown);
        let act: Act = serde_json::from_str(r#"{"act":"bribed"}"#).expect("read");
        assert_eq!(act, Act::Unknown);
    }

    #[test]
    fn only_who_need_not_run_again_exits_with_zero() {
        let codes = [
            Outcome::Finished,
            Outcome::Superseded,
            Outcome::Spent,
            Outcome::Failed,
            Outcome::Diverged,
            Outcome::Stopped,
        ]
        .map(Outcome::exit_code);
        assert_eq!(codes, [0, 0, 0, 1, 65, 75]);
    }

    #[test]
    fn the_stronger_reason_wins() {
        assert!(StopReason::TimeBudget < StopReason::Terminated);
        assert!(StopReason::Terminated < StopReason::Superseded);
    }
}
