//! A folder of checkpoints and the names in it.

use std::io;
use std::path::{Path, PathBuf};

use super::{create_folder, create_private_folder, list, number, refuse_link};

/// A folder of checkpoints: a trial's own, or an attempt's on a node's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFolder(PathBuf, Place);

/// Where a folder of checkpoints is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Shared,
    Node,
}

impl CheckpointFolder {
    /// Names the folder; nothing is made.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into(), Place::Shared)
    }

    /// Names a folder on a node's own disk.
    pub(super) fn on_node(path: PathBuf) -> Self {
        Self(path, Place::Node)
    }

    /// Makes the folder, where it is missing. On a node it is its owner's alone, whoever shares the
    /// disk.
    ///
    /// # Errors
    /// When it cannot be made, or is a link.
    pub fn create(&self) -> io::Result<()> {
        if self.1 == Place::Shared {
            return create_folder(&self.0);
        }
        refuse_link(&self.0)?;
        create_private_folder(&self.0)
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The tensors of a checkpoint.
    #[must_use]
    pub fn tensors(&self, name: CheckpointName) -> PathBuf {
        self.0.join(format!("{name}.safetensors"))
    }

    /// The manifest of a checkpoint; the checkpoint exists when this does.
    #[must_use]
    pub fn manifest(&self, name: CheckpointName) -> PathBuf {
        self.0.join(format!("{name}.json"))
    }

    /// The weights alone, where there was no way to save more. It is no checkpoint: training cannot
    /// go on from it.
    #[must_use]
    pub fn weights(&self, name: CheckpointName) -> PathBuf {
        self.0.join(format!("{name}.weights.safetensors"))
    }

    /// A link for people (`last`, `best`) to tensors.
    #[must_use]
    pub fn link(&self, link: &str) -> PathBuf {
        self.0.join(format!("{link}.safetensors"))
    }

    /// Names of the checkpoints that have a manifest, ascending.
    ///
    /// # Errors
    /// When the folder cannot be read; a missing one has none.
    pub fn names(&self) -> io::Result<Vec<CheckpointName>> {
        self.with_ending(".json")
    }

    /// Names for which there are weights alone, ascending.
    ///
    /// # Errors
    /// When the folder cannot be read; a missing one has none.
    pub fn weights_names(&self) -> io::Result<Vec<CheckpointName>> {
        self.with_ending(".weights.safetensors")
    }

    /// Name of the checkpoint that a link for people points at, if it is one.
    #[must_use]
    pub fn linked(&self, link: &str) -> Option<CheckpointName> {
        let target = std::fs::read_link(self.link(link)).ok()?;
        CheckpointName::parse(target.to_str()?.strip_suffix(".safetensors")?)
    }

    fn with_ending(&self, ending: &str) -> io::Result<Vec<CheckpointName>> {
        let names = list(&self.0)?;
        let stems = names.iter().filter_map(|name| name.strip_suffix(ending));
        let mut found: Vec<_> = stems.filter_map(CheckpointName::parse).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// What attempts before `attempt` left behind when they were killed while saving: temporary
    /// files, and tensors that never got their manifest.
    ///
    /// # Errors
    /// When the folder cannot be read; a missing one holds nothing.
    pub fn litter(&self, attempt: u32) -> io::Result<Vec<PathBuf>> {
        let names = list(&self.0)?;
        let is_litter = |name: &&String| {
            let stem = name.strip_prefix('.').unwrap_or(name).split('.').next();
            let Some(checkpoint) = stem.and_then(CheckpointName::parse) else { return false };
            let stands =
                self.manifest(checkpoint).exists() || name.ends_with(".weights.safetensors");
            checkpoint.attempt < attempt && (name.starts_with('.') || !stands)
        };
        Ok(names.iter().filter(is_litter).map(|name| self.0.join(name)).collect())
    }
}

/// Name of a checkpoint: `<attempt>-<generation>`. A later attempt's is always the newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckpointName {
    /// The attempt that wrote it.
    pub attempt: u32,
    /// Its number within the attempt, from 1.
    pub generation: u32,
}

impl CheckpointName {
    /// Reads a name such as `2-7`.
    #[must_use]
    pub fn parse(stem: &str) -> Option<Self> {
        let (attempt, generation) = stem.split_once('-')?;
        Some(Self { attempt: number(attempt)?, generation: number(generation)? })
    }
}

impl std::fmt::Display for CheckpointName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.attempt, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_on_a_node_is_shared_with_nobody() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = tempfile::tempdir().expect("folder");
        let mode = PermissionsExt::from_mode(0o2777);
        std::fs::set_permissions(scratch.path(), mode).expect("mode");
        let made = |folder: CheckpointFolder| {
            folder.create().expect("made");
            folder.path().metadata().expect("there").permissions().mode() & 0o777
        };
        assert_eq!(made(CheckpointFolder::on_node(scratch.path().join("a"))), 0o700);
        assert_eq!(made(CheckpointFolder::new(scratch.path().join("b"))), 0o750);
    }

    #[test]
    fn the_tenth_checkpoint_is_newer_than_the_ninth() {
        let newer = |a: &str, b: &str| CheckpointName::parse(a) > CheckpointName::parse(b);
        assert!(newer("1-10", "1-9"));
        assert!(newer("2-1", "1-10"));
        for foreign in ["last", "+1-2", "01-2", "1-2-3", "1-4294967296", "../1-2", "-1-2", ""] {
            assert_eq!(CheckpointName::parse(foreign), None, "{foreign}");
        }
    }
}
