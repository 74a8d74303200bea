//! What a trial left to be used: its settings, a checkpoint, how it ended, what its journals tell.

mod flags;

use std::io;

pub use flags::Flag;

use crate::clock::Clock;
use crate::event::{Event, Fingerprint, Outcome};
use crate::id::TrialId;
use crate::journal;
use crate::layout::TrialFolder;
use crate::setting::Settings;
use crate::sweep::Assignment;

use super::checkpoint::{CheckpointError, Choice, Chosen, Manifest, Shelf};
use super::learner::State;
use super::record::TrialResult;

/// A trained network, not yet built.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The trial as it was staged.
    pub assignment: Assignment,
    /// Its settings.
    pub settings: Settings,
    /// The arrays of the checkpoint; its `optimizer.…` is not needed.
    pub state: State,
    /// Words for the checkpoint, such as `1-9`.
    pub checkpoint: String,
    /// What is known of the checkpoint; none of weights that were saved alone.
    pub manifest: Option<Manifest>,
    /// How the trial ended; none while it has not.
    pub outcome: Option<Outcome>,
    /// Fraction of the training pixels that is foreground; none where no journal tells.
    pub train_density: Option<f64>,
}

/// Why a trial cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrainedError {
    /// It has nothing to use.
    #[error("trial {trial} has no checkpoint yet: let it train until its first epoch has ended")]
    Nothing {
        /// The trial.
        trial: TrialId,
    },
    /// Its checkpoints cannot be read.
    #[error("trial {trial}: {source}")]
    Checkpoint {
        /// The trial.
        trial: TrialId,
        /// Why.
        source: CheckpointError,
    },
    /// Its settings are of another version.
    #[error("trial {trial}: {source}")]
    Settings {
        /// The trial.
        trial: TrialId,
        /// Why.
        source: serde_json::Error,
    },
}

impl Trained {
    /// Reads a trial and a checkpoint of it: the chosen one; the newest, or weights alone, where there
    /// is none such, with a warning.
    ///
    /// # Errors
    /// When nothing was saved, or what was cannot be read.
    pub fn read(
        assignment: Assignment,
        folder: &TrialFolder,
        choice: Choice,
        clock: &dyn Clock,
        warnings: &mut Vec<String>,
    ) -> Result<Self, TrainedError> {
        let trial = assignment.trial.id.clone();
        let shelf = Shelf::new(trial.clone(), folder.checkpoints());
        let outcome = TrialResult::read(folder).map(|result| result.outcome);
        let mut found = Vec::new();
        let chosen = shelf
            .chosen(choice, clock, &mut found)
            .map_err(|source| TrainedError::Checkpoint { trial: trial.clone(), source })?;
        warnings.extend(found.into_iter().map(|warning| format!("trial {trial}: {warning}")));
        let Some(Chosen { words: checkpoint, arrays: state, manifest }) = chosen else {
            return Err(TrainedError::Nothing { trial });
        };
        let settings = Settings::from_resolved(&assignment.trial.settings)
            .map_err(|source| TrainedError::Settings { trial: trial.clone(), source })?;
        let train_density = density(folder).unwrap_or_else(|error| {
            warnings.push(format!("trial {trial}: its journals cannot be read: {error}"));
            None
        });
        Ok(Self { assignment, settings, state, checkpoint, manifest, outcome, train_density })
    }

    /// The trial.
    #[must_use]
    pub fn trial(&self) -> &TrialId {
        &self.assignment.trial.id
    }

    /// Seed of the trial.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.assignment.trial.seed
    }

    /// The epoch after which it was saved; none where only weights were.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.manifest.as_ref().map(|found| found.state.cursor.epoch.saturating_sub(1))
    }

    /// Whether it is known to be the end of the best epoch.
    #[must_use]
    pub fn is_best(&self) -> bool {
        self.manifest.as_ref().is_some_and(|found| found.state.is_best())
    }

    /// The files it was trained and validated on; none where nothing tells.
    #[must_use]
    pub fn data(&self) -> Option<&Fingerprint> {
        self.manifest.as_ref()?.data.as_ref()
    }
}

/// What the newest attempt that told it says of the density of the training masks.
fn density(folder: &TrialFolder) -> io::Result<Option<f64>> {
    for attempt in folder.attempts()?.into_iter().rev() {
        let records = journal::replay::<Event>(&folder.journal(attempt))?.records;
        let told = records.iter().rev().find_map(|record| match &record.body {
            Event::Started { train_density, .. } => *train_density,
            _ => None,
        });
        if told.is_some() {
            return Ok(told);
        }
    }
    Ok(None)
}
