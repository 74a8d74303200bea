//! What is taken out: a trial, one of its checkpoints, and what is known of it.

use crate::clock::Clock;
use crate::event::Outcome;
use crate::layout::TrialFolder;
use crate::setting::{Model, Settings};
use crate::sweep::Assignment;
use crate::worker::checkpoint::{CheckpointError, Found, Manifest, Saved, Shelf};
use crate::worker::learner::State;
use crate::worker::record::TrialResult;

/// Which checkpoint is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// That of the best epoch; where it is not there, the newest, with a warning.
    Best,
    /// The newest, which may stand within an epoch.
    Last,
}

/// A trial with a checkpoint of it.
#[derive(Debug)]
pub struct Source {
    /// The trial as it was staged.
    pub assignment: Assignment,
    /// Its settings.
    pub settings: Settings,
    /// Seed of the trial.
    pub seed: u64,
    /// The arrays; `optimizer.…` is not needed.
    pub state: State,
    /// Name of the checkpoint, or words for what it is.
    pub checkpoint: String,
    /// What is known of the checkpoint; none of weights that were saved alone.
    pub manifest: Option<Manifest>,
    /// Whether it is the end of the best epoch.
    pub is_best: bool,
    /// How the trial ended; none while it has not.
    pub outcome: Option<Outcome>,
}

/// Why there is nothing to take out.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It has no network.
    #[error("trial {0} is of the toy learner, which has no network: there is nothing to export")]
    Toy(String),
    /// Nothing was saved.
    #[error("trial {0} has no checkpoint yet: let it train until its first epoch has ended")]
    Nothing(String),
    /// Its settings are not this version's.
    #[error("the settings of trial {trial} cannot be read: {source}")]
    Settings {
        /// The trial.
        trial: String,
        /// Why.
        source: serde_json::Error,
    },
    /// Checkpoints cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl Source {
    /// Reads the trial's chosen checkpoint.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or the trial is of the toy learner.
    pub fn read(
        assignment: Assignment,
        folder: &TrialFolder,
        choice: Choice,
        clock: &dyn Clock,
        warnings: &mut Vec<String>,
    ) -> Result<Self, SourceError> {
        let trial = &assignment.trial;
        let name = || trial.id.to_string();
        let settings = Settings::from_resolved(&trial.settings)
            .map_err(|source| SourceError::Settings { trial: name(), source })?;
        if matches!(settings.model, Model::Toy(_)) {
            return Err(SourceError::Toy(name()));
        }
        let shelf = Shelf::new(trial.id.clone(), folder.checkpoints());
        let outcome = TrialResult::read(folder).map(|result| result.outcome);
        let seed = trial.seed;
        let finding = shelf.newest(None, clock)?;
        warnings.extend(finding.warnings);
        let Some(Found { saved: newest, .. }) = finding.found else {
            // Weights may have been saved alone.
            let alone = shelf.best(clock, warnings)?;
            let (checkpoint, state) = alone.ok_or_else(|| SourceError::Nothing(name()))?;
            let (manifest, is_best) = (None, false);
            return Ok(Self {
                assignment,
                settings,
                seed,
                state,
                checkpoint,
                manifest,
                is_best,
                outcome,
            });
        };
        let chosen = match (choice, newest.manifest.state.best) {
            (Choice::Best, Some(best)) => shelf.of_epoch(best, clock)?.unwrap_or(newest),
            _ => newest,
        };
        let Saved { name: checkpoint, manifest, arrays: state } = chosen;
        let is_best = manifest.state.is_best();
        if choice == Choice::Best && !is_best {
            warnings
                .push(format!("checkpoint {checkpoint} is used, which is not the best epoch's"));
        }
        let (checkpoint, manifest) = (checkpoint.to_string(), Some(manifest));
        Ok(Self { assignment, settings, seed, state, checkpoint, manifest, is_best, outcome })
    }
}
