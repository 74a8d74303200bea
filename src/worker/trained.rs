//! What a trial left to be used: its settings, the weights of its best epoch, what its journals tell.

use std::io;

use crate::clock::Clock;
use crate::event::{Event, Fingerprint};
use crate::id::TrialId;
use crate::journal;
use crate::layout::TrialFolder;
use crate::setting::Settings;
use crate::sweep::Assignment;

use super::checkpoint::{CheckpointError, Chosen, Shelf};
use super::learner::State;

/// A trained network, not yet built.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The trial.
    pub trial: TrialId,
    /// Name of its sweep.
    pub sweep: String,
    /// Words for the checkpoint, such as `1-9`.
    pub checkpoint: String,
    /// The epoch after which it was saved; none where only weights were.
    pub epoch: Option<u64>,
    /// Settings of the trial.
    pub settings: Settings,
    /// Seed of the trial.
    pub seed: u64,
    /// The arrays of the checkpoint; its `optimizer.…` is not needed.
    pub state: State,
    /// The files it was trained and validated on.
    pub data: Option<Fingerprint>,
    /// Fraction of the training pixels that is foreground; none where no journal tells.
    pub train_density: Option<f64>,
}

/// Why a trial cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrainedError {
    /// It has nothing to use.
    #[error("trial {trial} has no checkpoint yet")]
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
    /// Reads a trial: the checkpoint of its best epoch; the newest, or weights alone, where there is
    /// none, with a warning.
    ///
    /// # Errors
    /// When nothing was saved, or what was cannot be read.
    pub fn read(
        assignment: &Assignment,
        folder: &TrialFolder,
        clock: &dyn Clock,
        warnings: &mut Vec<String>,
    ) -> Result<Self, TrainedError> {
        let trial = assignment.trial.id.clone();
        let shelf = Shelf::new(trial.clone(), folder.checkpoints());
        let mut found = Vec::new();
        let chosen = shelf
            .chosen(clock, &mut found)
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
        Ok(Self {
            checkpoint,
            epoch: manifest.as_ref().map(|found| found.state.cursor.epoch.saturating_sub(1)),
            settings,
            seed: assignment.trial.seed,
            state,
            data: manifest.and_then(|found| found.data),
            train_density,
            sweep: assignment.sweep.clone(),
            trial,
        })
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
