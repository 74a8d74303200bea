//! Saved training states that are never overwritten.
//!
//! A checkpoint is a pair of files: the tensors with the loop's state, free of time and attempt, and
//! a manifest that is renamed into place last. It exists when its manifest does. The current one is
//! the highest (attempt, generation) that is whole. [`shelf`] finds it, [`saver`] makes the next one,
//! [`writing`] does that on a thread.

mod file;
mod saver;
mod shelf;
mod writing;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{Cursor, Event, Fingerprint, Pace};
use crate::id::TrialId;
use crate::layout::CheckpointName;
use crate::metric::Metrics;

use super::health::Health;
use super::learner::State;
use super::plateau::Plateau;

pub(crate) use file::{parse_manifest, parse_tensors};
pub use file::{sha256_hex, weights_sha256};
pub use saver::{NotSaved, Owner, Places, Saver, Written};
pub use shelf::{Choice, Chosen, Finding, Found, Shelf};
pub use writing::{Done, Writing};

/// Version of both files.
pub const FORMAT: u32 = 1;

/// What the loop itself must remember to go on bit for bit. Free of time and attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoopState {
    /// The next unit of work.
    pub cursor: Cursor,
    /// Sum of the losses of this epoch's steps so far.
    pub loss_sum: f64,
    /// The best epoch so far.
    pub best: Option<Best>,
    /// The last complete epoch.
    pub last: Option<EpochValues>,
    /// State of a plateau schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plateau: Option<Plateau>,
    /// What the guards remember.
    #[serde(default)]
    pub health: Health,
}

/// Where a line of training stands. Weights that were put back begin another line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Times that weights were put back.
    pub rewinds: u32,
    /// The next unit of work.
    pub cursor: Cursor,
}

impl Place {
    /// The beginning of training.
    pub const START: Self = Self { rewinds: 0, cursor: Cursor::START };
}

impl LoopState {
    /// The beginning of training.
    #[must_use]
    pub fn start() -> Self {
        Self {
            cursor: Cursor::START,
            loss_sum: 0.0,
            best: None,
            last: None,
            plateau: None,
            health: Health::default(),
        }
    }

    /// Returns the place in the line of training.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { rewinds: self.health.rewinds(), cursor: self.cursor }
    }

    /// Says whether this is the end of the best epoch.
    #[must_use]
    pub fn is_best(&self) -> bool {
        let ended = Cursor { epoch: self.cursor.epoch.saturating_sub(1), step: self.cursor.step };
        self.best.is_some_and(|best| ended == Cursor { epoch: best.epoch, step: 0 })
    }
}

/// The best epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Which, from 1.
    pub epoch: u64,
    /// Value of the objective.
    pub value: f64,
}

/// Values of a complete epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochValues {
    /// Which, from 1.
    pub epoch: u64,
    /// All metrics.
    pub metrics: Metrics,
    /// SHA-256 in hex over the weights.
    pub weights_sha256: String,
}

/// Seconds worked, over all attempts. It stands in the manifest only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Worked {
    /// Since the start of training.
    pub elapsed: f64,
    /// Training steps of the current epoch.
    pub epoch_seconds: f64,
    /// How long work takes.
    #[serde(default)]
    pub pace: Pace,
}

/// What a checkpoint was made with. On the same a resumed trial is bit-equal to an uncut one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Version of the worker program.
    pub worker_version: String,
    /// SHA-256 in hex of the worker program; none where it could not be read.
    pub binary_sha256: Option<String>,
    /// Name and version of the library.
    pub library: String,
    /// `cpu` or the name of the device.
    pub device: String,
    /// Model of the processor.
    pub cpu: String,
    /// Threads used for computing.
    pub threads: u32,
}

impl Made {
    /// Returns what is another thing now, a phrase each; nothing where results will be bit-equal.
    #[must_use]
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let binary =
            |made: &Self| made.binary_sha256.as_ref().map(|sum| sum.chars().take(12).collect());
        let of = |what: &str, before: Option<String>, after: Option<String>| match (before, after) {
            (Some(before), Some(after)) if before != after => {
                Some(format!("{what}: {after}, was {before}"))
            }
            _ => None,
        };
        let texts = |made: &Self| {
            [
                ("worker", Some(made.worker_version.clone())),
                ("program", binary(made)),
                ("library", Some(made.library.clone())),
                ("device", Some(made.device.clone())),
                ("processor", Some(made.cpu.clone())),
                ("threads", Some(made.threads.to_string())),
            ]
        };
        let pairs = texts(self).into_iter().zip(texts(now));
        pairs.filter_map(|((what, before), (_, after))| of(what, before, after)).collect()
    }
}

/// The manifest of a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`]
    pub format: u32,
    /// The trial.
    pub trial: TrialId,
    /// Seed of the trial.
    pub seed: u64,
    /// Meaning of the settings ([`crate::setting::SETTINGS_VERSION`]).
    pub settings_version: u32,
    /// What it was made with; none in checkpoints of version 0.1.
    #[serde(default)]
    pub made: Option<Made>,
    /// When it was written (UTC).
    pub written: Timestamp,
    /// The loop's state.
    #[serde(flatten)]
    pub state: LoopState,
    /// Time worked.
    #[serde(flatten)]
    pub worked: Worked,
    /// SHA-256 in hex over the arrays `model.…`.
    pub weights_sha256: String,
    /// SHA-256 in hex of the file of tensors.
    pub tensors_sha256: String,
    /// Size of the file of tensors.
    pub bytes: u64,
    /// The files it was trained on.
    pub data: Option<Fingerprint>,
    /// Ends of epochs that the journal's disk had not taken yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unrecorded: Vec<Event>,
}

/// A checkpoint that was read back.
#[derive(Debug)]
pub struct Saved {
    /// Its name.
    pub name: CheckpointName,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its arrays.
    pub arrays: State,
}

/// A training state in memory that is to be saved.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its number within the attempt.
    pub generation: u32,
    /// The learner's arrays.
    pub arrays: Arc<State>,
    /// The loop's state.
    pub state: LoopState,
    /// Time worked.
    pub worked: Worked,
    /// When (UTC).
    pub at: Timestamp,
    /// Ends of epochs that stand in no journal yet.
    pub unrecorded: Vec<Event>,
}

/// Why checkpoints cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The folder cannot be read.
    #[error("failed to list the checkpoints in {}: {source}", path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There are some, and the disk gives none of them.
    #[error("failed to read checkpoint {name}, and no other one is whole: {source}")]
    Unreadable {
        /// The newest.
        name: CheckpointName,
        /// Why.
        source: io::Error,
    },
    /// It belongs to another trial.
    #[error("checkpoint {name} belongs to trial {found}, this is {trial}")]
    Foreign {
        /// Name of the checkpoint.
        name: CheckpointName,
        /// Whose it is.
        found: TrialId,
        /// Who asks.
        trial: TrialId,
    },
    /// The data have changed since.
    #[error("the data have changed since checkpoint {name}: fingerprint {now} instead of {before}")]
    OtherData {
        /// Name of the checkpoint.
        name: CheckpointName,
        /// Fingerprint then.
        before: String,
        /// Fingerprint now.
        now: String,
    },
}

#[cfg(test)]
mod tests;
