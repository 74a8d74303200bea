//! What an attempt is asked to do, and why it may fail.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::layout::TrialFolder;
use crate::setting::Settings;
use crate::sweep::Assignment;
use crate::worker::checkpoint::CheckpointError;
use crate::worker::claim::{ClaimError, Patience};
use crate::worker::learner::{Learner, LearnerError};
use crate::worker::progress::LogFile;
use crate::worker::surroundings::Program;

/// What an attempt is asked to do.
#[derive(Clone, Debug)]
pub struct Request {
    /// The trial and its limits.
    pub assignment: Assignment,
    /// Where it lives.
    pub folder: TrialFolder,
    /// Time that the scheduler gives, if limited.
    pub time_left: Option<Duration>,
    /// Who started it: `slurm:123_4:1`.
    pub origin: String,
    /// When another attempt is taken for dead.
    pub patience: Patience,
    /// Where the program log goes.
    pub log: LogFile,
    /// A folder on this node for checkpoints that the trial's folder refuses.
    pub scratch: Option<PathBuf>,
    /// Whether training goes on while a checkpoint is written. On a virtual clock it should not: that
    /// clock stands still while a thread works.
    pub write_behind: bool,
    /// Epochs between two reports in the log; none: about twenty reports in all.
    pub report_every: Option<u64>,
    /// For the record.
    pub program: Program,
}

impl Request {
    /// Asks for a trial without limits of time, with usual patience.
    #[must_use]
    pub fn new(assignment: Assignment, folder: TrialFolder) -> Self {
        Self {
            assignment,
            folder,
            time_left: None,
            origin: "by hand".to_owned(),
            patience: Patience::default(),
            log: LogFile::default(),
            scratch: None,
            write_behind: true,
            report_every: None,
            program: Program::default(),
        }
    }
}

/// Makes the learner that the settings name, for a seed.
pub type BuildLearner<'a> =
    dyn Fn(&Settings, u64, &Arc<dyn Clock>) -> Result<Box<dyn Learner>, LearnerError> + 'a;

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// The trial could not be claimed.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// A file of the trial could not be used.
    #[error("failed to {what} in {}: {source}", folder.path().display())]
    Folder {
        /// What was tried.
        what: &'static str,
        /// The trial's folder.
        folder: TrialFolder,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The settings are those of another version.
    #[error("the settings cannot be read: {0}")]
    Settings(#[from] serde_json::Error),
    /// Earlier attempts brought nothing.
    #[error("{0}")]
    NoProgress(String),
    /// The learner cannot go on.
    #[error(transparent)]
    Learner(#[from] LearnerError),
    /// The checkpoints cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A bug.
    #[error("panicked: {0}")]
    Panic(String),
}

impl AttemptError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Learner(LearnerError::Data { hint, .. }) => hint.as_deref(),
            Self::Checkpoint(CheckpointError::OtherData { .. }) => {
                Some("give the changed data another `data.name`: that makes another trial")
            }
            Self::Checkpoint(CheckpointError::Unreadable { .. }) => {
                Some("nothing was changed; `regatta retry` when the disk answers again")
            }
            _ => None,
        }
    }
}
