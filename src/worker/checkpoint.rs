//! Saved training states that are never overwritten.
//!
//! A checkpoint is a pair of files: the tensors with the loop's state, free of time and attempt, and
//! a manifest that is renamed into place last. It exists when its manifest does. The current one is
//! the highest (attempt, generation) that is whole.

mod file;

use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{Cursor, Fingerprint};
use crate::id::TrialId;
use crate::layout::{self, CheckpointName, TrialFolder};
use crate::metric::Metrics;

use super::learner::State;
use super::plateau::Plateau;

pub use file::{sha256_hex, weights_sha256};

/// Version of both files.
pub const FORMAT: u32 = 1;

/// Checkpoints that are kept beside the best one.
const KEPT: usize = 2;

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
}

impl LoopState {
    /// The beginning of training.
    #[must_use]
    pub fn start() -> Self {
        Self { cursor: Cursor::START, loss_sum: 0.0, best: None, last: None, plateau: None }
    }

    /// Says whether this is the end of the best epoch.
    fn is_best(&self) -> bool {
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
    /// Version of the worker program.
    pub worker_version: String,
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

/// What is to be saved.
#[derive(Debug)]
pub struct Content<'a> {
    /// The learner's arrays.
    pub arrays: &'a State,
    /// The loop's state.
    pub state: &'a LoopState,
    /// Time worked.
    pub worked: Worked,
    /// When (UTC).
    pub now: Timestamp,
}

/// A checkpoint that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its name.
    pub name: CheckpointName,
    /// Size of both files.
    pub bytes: u64,
}

/// Why checkpoints cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The folder cannot be read.
    #[error("failed to list checkpoints: {source}")]
    List {
        /// Why.
        #[from]
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

/// The checkpoints of a trial, as one attempt sees them.
#[derive(Debug)]
pub struct Checkpoints {
    folder: TrialFolder,
    trial: TrialId,
    seed: u64,
    data: Option<Fingerprint>,
    attempt: u32,
    generation: u32,
    best: Option<CheckpointName>,
    damaged: Vec<CheckpointName>,
}

impl Checkpoints {
    /// Names them; nothing is read or made.
    #[must_use]
    pub fn new(folder: TrialFolder, trial: TrialId, seed: u64, attempt: u32) -> Self {
        Self {
            folder,
            trial,
            seed,
            data: None,
            attempt,
            generation: 0,
            best: None,
            damaged: Vec::new(),
        }
    }

    /// Reads the newest whole checkpoint of a trial trained on `data`. Damaged ones are passed over
    /// with a sentence each in `warnings`.
    ///
    /// # Errors
    /// When the folder cannot be read, or the checkpoint belongs to another trial or other data.
    pub fn newest(
        &mut self,
        data: Option<Fingerprint>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Saved>, CheckpointError> {
        self.data = data;
        let names = self.folder.checkpoint_names()?;
        for name in names.iter().rev().copied() {
            match file::read(&self.folder, name) {
                Ok(saved) => {
                    self.check_identity(&saved)?;
                    self.best = self.find_best(&names, &saved);
                    return Ok(Some(saved));
                }
                Err(why) => {
                    self.damaged.push(name);
                    warnings.push(format!(
                        "checkpoint {name} is damaged ({why}); the one before it is used"
                    ));
                }
            }
        }
        Ok(None)
    }

    /// Reads the checkpoint of the best epoch; where there is none, the newest whole one.
    ///
    /// # Errors
    /// As for [`Self::newest`].
    pub fn best(&mut self, warnings: &mut Vec<String>) -> Result<Option<Saved>, CheckpointError> {
        let Some(newest) = self.newest(None, warnings)? else { return Ok(None) };
        match self.best.map(|name| (name, file::read(&self.folder, name))) {
            Some((_, Ok(best))) => return Ok(Some(best)),
            Some((name, Err(why))) => {
                warnings.push(format!("the best checkpoint {name} is damaged ({why})"));
            }
            None => {}
        }
        warnings.push(format!("checkpoint {} is used, which is not the best epoch's", newest.name));
        Ok(Some(newest))
    }

    fn check_identity(&self, saved: &Saved) -> Result<(), CheckpointError> {
        let (name, manifest) = (saved.name, &saved.manifest);
        if manifest.trial != self.trial {
            let (found, trial) = (manifest.trial.clone(), self.trial.clone());
            return Err(CheckpointError::Foreign { name, found, trial });
        }
        match (&manifest.data, &self.data) {
            (Some(before), Some(now)) if before.sha256 != now.sha256 => {
                Err(CheckpointError::OtherData {
                    name,
                    before: before.sha256.clone(),
                    now: now.sha256.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// The newest checkpoint at the end of the best epoch that `saved` knows of.
    fn find_best(&self, names: &[CheckpointName], saved: &Saved) -> Option<CheckpointName> {
        let best = saved.manifest.state.best?;
        let same = |name: &CheckpointName| {
            file::read_manifest(&self.folder, *name)
                .is_ok_and(|found| found.state.is_best() && found.state.best == Some(best))
        };
        names.iter().rev().copied().find(same)
    }

    /// Writes the next checkpoint, points the links at it and prunes older ones.
    ///
    /// # Errors
    /// When it cannot be written whole; then nothing of it is left and the older ones stand.
    pub fn write(&mut self, content: &Content<'_>) -> io::Result<Written> {
        let name =
            CheckpointName { attempt: self.attempt, generation: self.generation.saturating_add(1) };
        layout::fault("checkpoint.save")?;
        layout::create_folder(&self.folder.checkpoints())?;
        let weights_sha256 = weights_sha256(content.arrays);
        let manifest = Manifest {
            format: FORMAT,
            trial: self.trial.clone(),
            seed: self.seed,
            settings_version: crate::setting::SETTINGS_VERSION,
            worker_version: env!("CARGO_PKG_VERSION").to_owned(),
            written: content.now,
            state: content.state.clone(),
            worked: content.worked,
            weights_sha256,
            tensors_sha256: String::new(),
            bytes: 0,
            data: self.data.clone(),
        };
        let bytes = file::write(&self.folder, name, manifest, content.arrays)?;
        self.generation = name.generation;
        if content.state.is_best() {
            self.best = Some(name);
        }
        self.tidy(name);
        Ok(Written { name, bytes })
    }

    /// Links and pruning are comfort: what fails here is tried again with the next checkpoint.
    fn tidy(&mut self, name: CheckpointName) {
        let tensors = self.folder.tensors(name);
        let mut done = layout::link_latest(&self.folder.checkpoint_link("last"), &tensors);
        if self.best == Some(name) {
            let best = layout::link_latest(&self.folder.checkpoint_link("best"), &tensors);
            done = done.and(best);
        }
        if let Err(error) = done.and_then(|()| self.prune()) {
            tracing::warn!("failed to tidy up checkpoints: {error}");
        }
    }

    /// Removes what is older than the last two, except the best. Only the owner of the newest may.
    fn prune(&mut self) -> io::Result<()> {
        let names = self.folder.checkpoint_names()?;
        if names.last().is_none_or(|newest| newest.attempt != self.attempt) {
            return Ok(());
        }
        let whole: Vec<_> =
            names.iter().copied().filter(|name| !self.damaged.contains(name)).collect();
        let old = whole.iter().rev().skip(KEPT).filter(|name| Some(**name) != self.best);
        for name in old.chain(&self.damaged) {
            layout::fault("checkpoint.prune")?;
            // The manifest first: without it there is no checkpoint, and never half of one.
            layout::remove(&self.folder.manifest(*name))?;
            layout::remove(&self.folder.tensors(*name))?;
        }
        self.damaged.clear();
        for litter in self.folder.checkpoint_litter(self.attempt)? {
            layout::remove(&litter)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
