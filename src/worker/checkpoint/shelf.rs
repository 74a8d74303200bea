//! Where a trial's checkpoints lie, and which one counts.

use std::io;
use std::time::Duration;

use crate::clock::Clock;
use crate::event::Fingerprint;
use crate::id::TrialId;
use crate::layout::{CheckpointFolder, CheckpointName};

use super::file::{self, Damage};
use super::{Best, CheckpointError, Manifest, Saved};

/// Tries to read what the disk refuses, and the pause between them: a file server may come back.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(2);

/// All folders that may hold checkpoints of a trial.
#[derive(Clone, Debug)]
pub struct Shelf {
    trial: TrialId,
    /// The trial's own folder comes first.
    folders: Vec<CheckpointFolder>,
}

/// The checkpoint that counts.
#[derive(Debug)]
pub struct Found {
    /// What was read.
    pub saved: Saved,
    /// Where.
    pub folder: CheckpointFolder,
    /// The newest one at the end of the best epoch that it knows of.
    pub best: Option<CheckpointName>,
}

/// Which checkpoint is to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// That of the best epoch; where it is not there, the newest, with a warning.
    Best,
    /// The newest, which may stand within an epoch.
    Last,
}

/// What is taken to be used.
#[derive(Debug)]
pub struct Chosen {
    /// Words for what it is: the name of the checkpoint, or that it is weights alone.
    pub words: String,
    /// Its arrays.
    pub arrays: super::State,
    /// Its manifest; weights alone have none.
    pub manifest: Option<Manifest>,
}

/// What reading all checkpoints came to.
#[derive(Debug, Default)]
pub struct Finding {
    /// The one that counts; none where training begins.
    pub found: Option<Found>,
    /// Names of those in the trial's own folder that are damaged.
    pub damaged: Vec<CheckpointName>,
    /// A sentence for each that was passed over.
    pub warnings: Vec<String>,
}

impl Shelf {
    /// Looks into the trial's own folder.
    #[must_use]
    pub fn new(trial: TrialId, own: CheckpointFolder) -> Self {
        Self { trial, folders: vec![own] }
    }

    /// Looks into another folder too.
    pub fn add(&mut self, folder: CheckpointFolder) {
        self.folders.push(folder);
    }

    /// Reads the newest whole checkpoint of a trial trained on `data`.
    ///
    /// # Errors
    /// When the folder cannot be read, when there are checkpoints and the disk gives none of them, or
    /// when the newest belongs to another trial or other data.
    pub fn newest(
        &self,
        data: Option<&Fingerprint>,
        clock: &dyn Clock,
    ) -> Result<Finding, CheckpointError> {
        let mut finding = Finding::default();
        let all = self.names(clock, &mut finding.warnings)?;
        let mut refused = None;
        for (name, place) in all.iter().rev().copied() {
            let folder = &self.folders[place];
            match patiently(clock, || file::read(folder, name)) {
                Ok(saved) => {
                    self.check_identity(&saved, data)?;
                    let best = self.find_best(&all, &saved);
                    finding.found = Some(Found { saved, folder: folder.clone(), best });
                    return Ok(finding);
                }
                Err(why) => {
                    finding.warnings.push(format!(
                        "checkpoint {name} cannot be used ({why}); the one before it is tried"
                    ));
                    match why.may_pass() {
                        Ok(error) => refused = refused.or(Some((name, error))),
                        Err(_) if place == 0 => finding.damaged.push(name),
                        Err(_) => {}
                    }
                }
            }
        }
        match refused {
            // Its files may be whole: to begin anew would throw them away.
            Some((name, source)) => Err(CheckpointError::Unreadable { name, source }),
            None => Ok(finding),
        }
    }

    /// Reads the checkpoint of the best epoch; where there is none, or it is not asked for, the newest
    /// whole one; where there is none of these, weights that were saved alone.
    ///
    /// # Errors
    /// As for [`Self::newest`].
    pub fn chosen(
        &self,
        choice: Choice,
        clock: &dyn Clock,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Chosen>, CheckpointError> {
        let whole = |Saved { name, manifest, arrays }| {
            let words = name.to_string();
            Some(Chosen { words, arrays, manifest: Some(manifest) })
        };
        let finding = self.newest(None, clock)?;
        warnings.extend(finding.warnings);
        let Some(Found { saved: newest, best, .. }) = finding.found else {
            let weights = self.weights(warnings);
            return Ok(weights.map(|(words, arrays)| Chosen { words, arrays, manifest: None }));
        };
        if choice == Choice::Last {
            return Ok(whole(newest));
        }
        for folder in best.iter().flat_map(|_| &self.folders) {
            let Some(name) = best else { break };
            match file::read(folder, name) {
                Ok(best) => return Ok(whole(best)),
                Err(why) if folder.manifest(name).exists() => {
                    warnings.push(format!("the best checkpoint {name} is damaged ({why})"));
                }
                Err(_) => {}
            }
        }
        warnings.push(format!("checkpoint {} is used, which is not the best epoch's", newest.name));
        Ok(whole(newest))
    }

    /// Words and arrays of the best epoch, as [`Self::chosen`] takes them.
    ///
    /// # Errors
    /// As for [`Self::newest`].
    pub fn best(
        &self,
        clock: &dyn Clock,
        warnings: &mut Vec<String>,
    ) -> Result<Option<(String, super::State)>, CheckpointError> {
        let chosen = self.chosen(Choice::Best, clock, warnings)?;
        Ok(chosen.map(|Chosen { words, arrays, .. }| (words, arrays)))
    }

    /// Reads the newest checkpoint at the end of this epoch; `None` where no whole one is there.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn of_epoch(
        &self,
        best: Best,
        clock: &dyn Clock,
    ) -> Result<Option<Saved>, CheckpointError> {
        let all = self.names(clock, &mut Vec::new())?;
        let is_it = |(name, place): &&(CheckpointName, usize)| {
            file::read_manifest(&self.folders[*place], *name)
                .is_ok_and(|found| found.state.is_best() && found.state.best == Some(best))
        };
        let read = |(name, place): &(CheckpointName, usize)| {
            patiently(clock, || file::read(&self.folders[*place], *name)).ok()
        };
        Ok(all.iter().rev().filter(is_it).find_map(read))
    }

    fn weights(&self, warnings: &mut Vec<String>) -> Option<(String, super::State)> {
        for folder in &self.folders {
            for name in folder.weights_names().unwrap_or_default().into_iter().rev() {
                if let Ok(arrays) = file::read_weights(folder, name, &self.trial) {
                    warnings.push(format!("only the weights {name} could be saved"));
                    return Some((format!("{name} (weights)"), arrays));
                }
            }
        }
        None
    }

    /// Names of all checkpoints and the numbers of their folders, ascending.
    fn names(
        &self,
        clock: &dyn Clock,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<(CheckpointName, usize)>, CheckpointError> {
        let mut all = Vec::new();
        for (place, folder) in self.folders.iter().enumerate() {
            match patiently(clock, || Ok(folder.names()?)) {
                Ok(names) => all.extend(names.into_iter().map(|name| (name, place))),
                Err(why) if place > 0 => {
                    let path = folder.path().display();
                    warnings.push(format!("failed to look for checkpoints in {path}: {why}"));
                }
                Err(why) => {
                    let source = why.may_pass().unwrap_or_else(io::Error::other);
                    return Err(CheckpointError::List { path: folder.path().to_owned(), source });
                }
            }
        }
        all.sort_unstable();
        Ok(all)
    }

    fn check_identity(
        &self,
        saved: &Saved,
        data: Option<&Fingerprint>,
    ) -> Result<(), CheckpointError> {
        let (name, manifest) = (saved.name, &saved.manifest);
        if manifest.trial != self.trial {
            let (found, trial) = (manifest.trial.clone(), self.trial.clone());
            return Err(CheckpointError::Foreign { name, found, trial });
        }
        match (&manifest.data, data) {
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
    fn find_best(&self, all: &[(CheckpointName, usize)], saved: &Saved) -> Option<CheckpointName> {
        let best = saved.manifest.state.best?;
        let same = |(name, place): &(CheckpointName, usize)| {
            file::read_manifest(&self.folders[*place], *name)
                .is_ok_and(|found| found.state.is_best() && found.state.best == Some(best))
        };
        all.iter().rev().find(|entry| same(entry)).map(|(name, _)| *name)
    }
}

/// Tries again while the disk refuses.
fn patiently<T>(
    clock: &dyn Clock,
    mut read: impl FnMut() -> Result<T, Damage>,
) -> Result<T, Damage> {
    for _ in 1..TRIES {
        match read() {
            Err(Damage::Io(error)) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!("failed to read a checkpoint ({error}); trying again");
                clock.sleep(PAUSE);
            }
            other => return other,
        }
    }
    read()
}
