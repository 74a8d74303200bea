//! A folder that is gone when nobody needs it any more.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::fault;

/// A folder of one's own (mode 0700) that is removed with all it holds when this is dropped.
#[derive(Debug)]
pub struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// Makes the folder `name` in `parent`, which is there already.
    ///
    /// # Errors
    /// When it cannot be made, or is there already.
    pub fn create(parent: &Path, name: &str) -> io::Result<Self> {
        fault("folder.create")?;
        let path = parent.join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Returns its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = remove_folder(&self.0) {
            tracing::warn!("failed to remove {}: {error}", self.0.display());
        }
    }
}

/// Removes a folder with all it holds; one that is not there is no error.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_removed_with_what_it_holds_and_never_shared() {
        let home = tempfile::tempdir().expect("folder");
        let folder = TemporaryFolder::create(home.path(), "work").expect("made");
        super::super::write_atomic(&folder.path().join("file"), b"x").expect("written");
        assert!(TemporaryFolder::create(home.path(), "work").is_err());
        drop(folder);
        assert!(!home.path().join("work").exists());
    }
}
