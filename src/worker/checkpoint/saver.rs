//! Writes the next checkpoint: in the first way that works.
//!
//! 1. The whole state into the trial's folder; where that is full, once more after older checkpoints
//!    were removed, all but the newest and the best.
//! 2. The whole state into the attempt's own folder on the node's disk, if it has one.
//! 3. The weights alone into the trial's folder, 4. or into the one on the node.
//!
//! Only the first two are checkpoints. What older ones hold stays until a newer one stands.

use std::io;
use std::path::PathBuf;

use crate::event::Fingerprint;
use crate::id::TrialId;
use crate::layout::{self, CheckpointFolder, CheckpointName};

use super::{FORMAT, Made, Manifest, Snapshot, file, weights_sha256};

/// Checkpoints that are kept beside the best one.
const KEPT: usize = 2;

/// Whose checkpoints are written.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The trial.
    pub trial: TrialId,
    /// Its seed.
    pub seed: u64,
    /// The files it is trained on.
    pub data: Option<Fingerprint>,
    /// With what.
    pub made: Made,
    /// The attempt that writes.
    pub attempt: u32,
}

/// Where checkpoints go.
#[derive(Clone, Debug)]
pub struct Places {
    /// The trial's folder, which all nodes see.
    pub own: CheckpointFolder,
    /// The attempt's folder on this node.
    pub scratch: Option<CheckpointFolder>,
}

/// A checkpoint that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its name.
    pub name: CheckpointName,
    /// Size of both files.
    pub bytes: u64,
    /// The folder, where it is not the trial's.
    pub elsewhere: Option<PathBuf>,
    /// Why it is elsewhere.
    pub refused: Option<String>,
}

/// There is no new checkpoint; the older ones stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct NotSaved {
    /// What the disks said.
    pub error: String,
    /// The file with the weights, where that could be written.
    pub weights: Option<PathBuf>,
}

/// Writes the checkpoints of one attempt.
#[derive(Debug)]
pub struct Saver {
    owner: Owner,
    places: Places,
    best: Option<CheckpointName>,
    damaged: Vec<CheckpointName>,
    /// Whether something lies in the folder on the node, or weights lie alone.
    spilled: bool,
}

impl Saver {
    /// Nothing is made or read. `best` is the checkpoint of the best epoch so far; `damaged` ones are
    /// removed when newer ones stand.
    #[must_use]
    pub fn new(
        owner: Owner,
        places: Places,
        best: Option<CheckpointName>,
        damaged: Vec<CheckpointName>,
    ) -> Self {
        Self { owner, places, best, damaged, spilled: false }
    }

    /// Writes a checkpoint in the first way that works, points the links at it and prunes older ones.
    ///
    /// # Errors
    /// When no way works; then nothing of it is left but perhaps the weights, and the older ones
    /// stand.
    pub fn save(&mut self, snapshot: &Snapshot) -> Result<Written, NotSaved> {
        let name = CheckpointName { attempt: self.owner.attempt, generation: snapshot.generation };
        let manifest = self.manifest(snapshot);
        let refused = match self.save_here(name, &manifest, snapshot) {
            Ok(bytes) => {
                if snapshot.state.is_best() {
                    self.best = Some(name);
                }
                self.tidy();
                return Ok(Written { name, bytes, elsewhere: None, refused: None });
            }
            Err(error) => error.to_string(),
        };
        let Some(scratch) = self.places.scratch.clone() else {
            let weights = self.save_weights(name, &manifest, snapshot);
            return Err(NotSaved { error: refused, weights });
        };
        let path = scratch.path().to_owned();
        self.spilled = true;
        match save_to(&scratch, "checkpoint.scratch", name, &manifest, snapshot) {
            Ok(bytes) => {
                if let Err(error) = self.thin_out(&scratch) {
                    tracing::warn!("failed to remove older checkpoints: {error}");
                }
                let (elsewhere, refused) = (Some(path), Some(refused));
                Ok(Written { name, bytes, elsewhere, refused })
            }
            Err(error) => {
                let error = format!("{refused}; and in {}: {error}", path.display());
                Err(NotSaved { error, weights: self.save_weights(name, &manifest, snapshot) })
            }
        }
    }

    /// Removes what attempts before this one left half-written, and points the links where a kill
    /// kept them from.
    pub fn clean(&self) {
        let own = &self.places.own;
        let litter = own.litter(self.owner.attempt);
        let cleaned = litter.and_then(|all| all.iter().try_for_each(|path| layout::remove(path)));
        if let Err(error) = cleaned.and_then(|()| self.link()) {
            tracing::warn!("failed to tidy up what an earlier attempt left: {error}");
        }
    }

    fn manifest(&self, snapshot: &Snapshot) -> Manifest {
        let Owner { trial, seed, data, made, .. } = self.owner.clone();
        Manifest {
            format: FORMAT,
            trial,
            seed,
            settings_version: crate::setting::SETTINGS_VERSION,
            made: Some(made),
            written: snapshot.at,
            state: snapshot.state.clone(),
            worked: snapshot.worked,
            weights_sha256: weights_sha256(&snapshot.arrays),
            tensors_sha256: String::new(),
            bytes: 0,
            data,
            unrecorded: snapshot.unrecorded.clone(),
        }
    }

    fn save_here(
        &self,
        name: CheckpointName,
        manifest: &Manifest,
        snapshot: &Snapshot,
    ) -> io::Result<u64> {
        let own = &self.places.own;
        match save_to(own, "checkpoint.save", name, manifest, snapshot) {
            Err(error) if is_full(&error) && self.prune(1).unwrap_or(0) > 0 => {
                save_to(own, "checkpoint.save", name, manifest, snapshot)
            }
            other => other,
        }
    }

    fn save_weights(
        &mut self,
        name: CheckpointName,
        manifest: &Manifest,
        snapshot: &Snapshot,
    ) -> Option<PathBuf> {
        self.spilled = true;
        let places = [Some(&self.places.own), self.places.scratch.as_ref()];
        places.into_iter().flatten().find_map(|folder| {
            let written = layout::fault("checkpoint.weights")
                .and_then(|()| folder.create())
                .and_then(|()| file::write_weights(folder, name, manifest, &snapshot.arrays));
            written.ok()?;
            let older = folder.weights_names().unwrap_or_default();
            for old in older.into_iter().filter(|old| *old < name && old.attempt == name.attempt) {
                let _ = layout::remove(&folder.weights(old));
            }
            Some(folder.weights(name))
        })
    }

    /// Links and pruning are comfort: what fails here is tried again with the next checkpoint.
    fn tidy(&mut self) {
        let done = self.link().and_then(|()| self.prune(KEPT)).and_then(|_| self.sweep());
        if let Err(error) = done {
            tracing::warn!("failed to tidy up checkpoints: {error}");
        }
    }

    fn link(&self) -> io::Result<()> {
        let own = &self.places.own;
        let names = own.names()?;
        if let Some(last) = names.iter().rfind(|name| !self.damaged.contains(name)) {
            layout::link_latest(&own.link("last"), &own.tensors(*last))?;
        }
        match self.best.filter(|best| names.contains(best)) {
            Some(best) => layout::link_latest(&own.link("best"), &own.tensors(best)),
            None => Ok(()),
        }
    }

    /// Removes what is older than the last `kept`, except the best; returns how many. Only the owner
    /// of the newest may.
    fn prune(&self, kept: usize) -> io::Result<usize> {
        let own = &self.places.own;
        let names = own.names()?;
        let newest = names.last().map_or(0, |newest| newest.attempt);
        let is_owner = newest == self.owner.attempt;
        // On a full disk a newcomer may make room; one that was superseded never.
        if newest > self.owner.attempt || (!is_owner && kept == KEPT) {
            return Ok(0);
        }
        let whole: Vec<_> =
            names.iter().copied().filter(|name| !self.damaged.contains(name)).collect();
        let old = whole.iter().rev().skip(kept).filter(|name| Some(**name) != self.best);
        // The damaged may still be of use to somebody, until newer ones stand.
        let damaged = self.damaged.iter().filter(|_| is_owner);
        let mut removed = 0;
        for name in old.chain(damaged) {
            layout::fault("checkpoint.prune")?;
            // The manifest first: without it there is no checkpoint, and never half of one.
            layout::remove(&own.manifest(*name))?;
            layout::remove(&own.tensors(*name))?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Removes what a checkpoint in the trial's folder makes needless.
    fn sweep(&mut self) -> io::Result<()> {
        let (own, attempt) = (self.places.own.clone(), self.owner.attempt);
        self.damaged.clear();
        for litter in own.litter(attempt)? {
            layout::remove(&litter)?;
        }
        for name in own.weights_names()?.into_iter().filter(|name| name.attempt <= attempt) {
            layout::remove(&own.weights(name))?;
        }
        if let (true, Some(scratch)) = (self.spilled, &self.places.scratch) {
            for name in scratch.names()? {
                layout::remove(&scratch.manifest(name))?;
                layout::remove(&scratch.tensors(name))?;
            }
            for name in scratch.weights_names()? {
                layout::remove(&scratch.weights(name))?;
            }
            layout::remove_empty_folder(scratch.path())?;
        }
        self.spilled = false;
        Ok(())
    }

    /// Keeps the newest two on the node. They are this attempt's alone.
    fn thin_out(&self, scratch: &CheckpointFolder) -> io::Result<()> {
        for name in scratch.names()?.iter().rev().skip(KEPT) {
            layout::remove(&scratch.manifest(*name))?;
            layout::remove(&scratch.tensors(*name))?;
        }
        Ok(())
    }
}

fn save_to(
    folder: &CheckpointFolder,
    point: &str,
    name: CheckpointName,
    manifest: &Manifest,
    snapshot: &Snapshot,
) -> io::Result<u64> {
    layout::fault(point)?;
    // Also where somebody removed it meanwhile.
    folder.create()?;
    file::write(folder, name, manifest.clone(), &snapshot.arrays)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
