//! Packing a sweep into a bundle: which files travel, and as of when.
//!
//! The sweep's lock is held, so nobody submits meanwhile. Workers go on: of a journal that is being
//! written its whole lines travel, and checkpoints that may be replaced at any moment are held open.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::ControlError;
use super::desk::take;
use crate::id::TrialId;
use crate::layout::{
    self, BUNDLE_FORMAT, BundleManifest, BundledFile, CheckpointName, Limit, Part, Root, Source,
    SweepFolder, TrialFolder,
};
use crate::plan;
use crate::setting::SETTINGS_VERSION;

/// Files that are held open at most, because they may be removed before they are packed.
const HELD: usize = 400;

/// Which checkpoints travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checkpoints {
    /// None: trials that did not end begin anew.
    None,
    /// Of each trial the newest whole one and the best.
    Current,
    /// All.
    All,
}

/// What was packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Trials that were begun.
    pub trials: u64,
    /// Files.
    pub files: u64,
    /// Bytes of the bundle.
    pub bytes: u64,
    /// Files that belong to the sweep and could not be packed, with the reason.
    pub left_out: Vec<String>,
}

/// How far a long work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many bytes were read, of an unknown number.
    Looked(u64),
    /// So many bytes are to be moved in all.
    Total(u64),
    /// So many bytes were moved.
    Moved(u64),
}

/// Packs a sweep into the file `out`, which is there when it is complete.
///
/// # Errors
/// When there is no such sweep, another controller has it for longer than `patience`, a file that
/// must travel cannot be read, or the bundle cannot be written.
pub fn export(
    root: &Root,
    sweep: &str,
    out: &Path,
    checkpoints: Checkpoints,
    now: Timestamp,
    patience: Duration,
    progress: &mut dyn FnMut(Step),
) -> Result<Packed, ControlError> {
    let folder = root.sweep(sweep);
    if !layout::is_sweep_name(sweep) || !folder.plan().is_file() {
        let (name, root) = (sweep.to_owned(), root.path().to_owned());
        return Err(ControlError::NoSweep { name, root });
    }
    folder.guard().map_err(ControlError::folder(folder.path()))?;
    let _lock = take(&folder, sweep, patience)?;
    let mut packing = Packing {
        folder: &folder,
        files: Vec::new(),
        sources: Vec::new(),
        held: 0,
        left_out: Vec::new(),
        progress,
    };
    packing.whole(Part::Document)?;
    packing.whole(Part::Plan)?;
    packing.lines(Part::ControllerJournal)?;
    packing.jobs()?;
    let trials = packing.trials(checkpoints)?;
    let Packing { files, mut sources, left_out, progress, .. } = packing;
    let manifest = BundleManifest {
        format: BUNDLE_FORMAT,
        sweep: sweep.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        exported_at: now,
        from: std::path::absolute(folder.path()).unwrap_or_else(|_| folder.path().to_owned()),
        plan_format: plan::FORMAT,
        settings_version: SETTINGS_VERSION,
        files,
    };
    progress(Step::Total(manifest.bytes()));
    let bytes =
        layout::pack(out, &manifest, &mut sources, &mut |bytes| progress(Step::Moved(bytes)))?;
    Ok(Packed { trials, files: manifest.files.len() as u64, bytes, left_out })
}

struct Packing<'a> {
    folder: &'a SweepFolder,
    files: Vec<BundledFile>,
    sources: Vec<Source>,
    held: usize,
    left_out: Vec<String>,
    progress: &'a mut dyn FnMut(Step),
}

impl Packing<'_> {
    fn add(&mut self, part: &Part, size: u64, sha256: String, source: Source) {
        (self.progress)(Step::Looked(size));
        self.files.push(BundledFile { path: part.path(), size, sha256 });
        self.sources.push(source);
    }

    /// A file that is never written again, or replaced as a whole.
    fn whole(&mut self, part: Part) -> Result<(), ControlError> {
        let path = part.place(self.folder);
        match layout::hash_plain(&path) {
            Ok(Some((size, sha256, _))) => self.add(&part, size, sha256, Source::At(path)),
            Ok(None) => {}
            Err(source) => return self.refused(&part, path, source),
        }
        Ok(())
    }

    fn lines(&mut self, part: Part) -> Result<(), ControlError> {
        let path = part.place(self.folder);
        match layout::hash_lines(&path) {
            Ok(Some((size, sha256))) => self.add(&part, size, sha256, Source::At(path)),
            Ok(None) => {}
            Err(source) => return self.refused(&part, path, source),
        }
        Ok(())
    }

    /// What is no file of ours is left out and told; without its plan or journal there is no sweep.
    fn refused(
        &mut self,
        part: &Part,
        path: PathBuf,
        source: std::io::Error,
    ) -> Result<(), ControlError> {
        if matches!(part, Part::Document | Part::Plan | Part::ControllerJournal) {
            return Err(layout::BundleError::Io { doing: "pack", path, source }.into());
        }
        self.left_out.push(format!("{}: {source}", path.display()));
        Ok(())
    }

    fn jobs(&mut self) -> Result<(), ControlError> {
        let jobs = self.folder.jobs();
        for name in layout::list(&jobs).map_err(ControlError::folder(jobs))? {
            if let Some(part) = Part::parse(&format!("jobs/{name}")) {
                self.whole(part)?;
            }
        }
        Ok(())
    }

    fn trials(&mut self, checkpoints: Checkpoints) -> Result<u64, ControlError> {
        let mut count = 0;
        let names = layout::list(self.folder.path());
        for name in names.map_err(ControlError::folder(self.folder.path()))? {
            let Ok(trial) = name.parse::<TrialId>() else { continue };
            let folder = self.folder.trial(&trial);
            if folder.path().symlink_metadata().is_ok_and(|about| about.is_dir()) {
                self.trial(&trial, &folder, checkpoints)?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn trial(
        &mut self,
        trial: &TrialId,
        folder: &TrialFolder,
        checkpoints: Checkpoints,
    ) -> Result<(), ControlError> {
        self.whole(Part::Assignment(trial.clone()))?;
        let claims = folder.attempts().map_err(ControlError::folder(folder.claims()))?;
        for number in claims {
            self.whole(Part::Claim(trial.clone(), number))?;
            self.lines(Part::Journal(trial.clone(), number))?;
        }
        // A trial with a result trains no more: nobody removes its checkpoints.
        let is_over = folder.result().is_file();
        self.checkpoints(trial, folder, checkpoints, !is_over)?;
        if is_over {
            self.whole(Part::Result(trial.clone()))?;
        }
        Ok(())
    }

    fn checkpoints(
        &mut self,
        trial: &TrialId,
        folder: &TrialFolder,
        wanted: Checkpoints,
        hold: bool,
    ) -> Result<(), ControlError> {
        if wanted == Checkpoints::None {
            return Ok(());
        }
        let shelf = folder.checkpoints();
        let failed = |source| ControlError::Folder { path: shelf.path().to_owned(), source };
        let best = shelf.linked("best");
        let mut needs_newest = true;
        for name in shelf.names().map_err(failed)?.into_iter().rev() {
            let wanted = wanted == Checkpoints::All || needs_newest || Some(name) == best;
            // One that is not whole is passed over by a resume: the one before it must travel too.
            if wanted && self.checkpoint(trial, name, hold)? {
                needs_newest = false;
            }
        }
        for name in shelf.weights_names().map_err(failed)? {
            self.whole(Part::Weights(trial.clone(), name))?;
        }
        Ok(())
    }

    /// Takes both files of a checkpoint; returns whether they belong together and are whole.
    fn checkpoint(
        &mut self,
        trial: &TrialId,
        name: CheckpointName,
        hold: bool,
    ) -> Result<bool, ControlError> {
        /// What a manifest says of the tensors.
        #[derive(Deserialize)]
        struct Told {
            tensors_sha256: String,
            bytes: u64,
        }
        let manifest = Part::Manifest(trial.clone(), name);
        let tensors = Part::Tensors(trial.clone(), name);
        let mut found = Vec::new();
        for part in [&tensors, &manifest] {
            let path = part.place(self.folder);
            match layout::hash_plain(&path) {
                Ok(Some((size, sha256, file))) => found.push((part, path, size, sha256, file)),
                // It was pruned at this moment: a newer one is there.
                Ok(None) => return Ok(false),
                Err(source) => {
                    self.refused(part, path, source)?;
                    return Ok(false);
                }
            }
        }
        let told = layout::read_limited(&manifest.place(self.folder), Limit::MANIFEST).ok();
        let told = told.and_then(|text| serde_json::from_slice::<Told>(&text).ok());
        let is_whole = told.is_some_and(|told| {
            found.first().is_some_and(|(_, _, size, sha256, _)| {
                *size == told.bytes && *sha256 == told.tensors_sha256
            })
        });
        for (part, path, size, sha256, file) in found {
            let source = if hold && self.held < HELD {
                self.held += 1;
                Source::Held(path, file)
            } else {
                Source::At(path)
            };
            self.add(part, size, sha256, source);
        }
        Ok(is_whole)
    }
}
