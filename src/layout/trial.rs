//! The folder of one trial, and the names in it.

use std::path::{Path, PathBuf};

use super::{CheckpointFolder, list, number, refuse_link};

/// The folder of one trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialFolder(PathBuf);

impl TrialFolder {
    /// Names the folder; nothing is made.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Refuses a trial's folder that leads out of the root through a link.
    ///
    /// # Errors
    /// When one of its folders is a link.
    pub fn guard(&self) -> std::io::Result<()> {
        let folders = [self.0.clone(), self.claims(), self.checkpoints().path().to_owned()];
        folders.iter().try_for_each(|path| refuse_link(path))
    }

    /// The trial as resolved: one [`crate::sweep::Assignment`].
    #[must_use]
    pub fn assignment(&self) -> PathBuf {
        self.0.join("trial.json")
    }

    /// What a worker found that only looked.
    #[must_use]
    pub fn check_said(&self) -> PathBuf {
        self.0.join("check.json")
    }

    /// Final values and how it ended.
    #[must_use]
    pub fn result(&self) -> PathBuf {
        self.0.join("result.json")
    }

    /// The mark that a cancel leaves: the script does not requeue, the worker stops.
    #[must_use]
    pub fn cancel_mark(&self) -> PathBuf {
        self.0.join("cancel")
    }

    /// The claims on this trial.
    #[must_use]
    pub fn claims(&self) -> PathBuf {
        self.0.join("claims")
    }

    /// The claim of attempt `attempt`.
    #[must_use]
    pub fn claim(&self, attempt: u32) -> PathBuf {
        self.claims().join(attempt.to_string())
    }

    /// Numbers of the attempts that claimed this trial, ascending.
    ///
    /// # Errors
    /// When the folder cannot be read; a missing one has no claims.
    pub fn attempts(&self) -> std::io::Result<Vec<u32>> {
        self.guard()?;
        let mut found: Vec<u32> =
            list(&self.claims())?.iter().filter_map(|name| number(name)).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// The journal of an attempt.
    #[must_use]
    pub fn journal(&self, attempt: u32) -> PathBuf {
        self.0.join(format!("{attempt}.journal"))
    }

    /// The program log of an attempt.
    #[must_use]
    pub fn log(&self, attempt: u32) -> PathBuf {
        self.0.join(format!("{attempt}.log"))
    }

    /// The checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> CheckpointFolder {
        CheckpointFolder::new(self.0.join("checkpoint"))
    }
}
