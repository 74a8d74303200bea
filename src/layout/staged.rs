//! A folder that is there as a whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{fault, is_dead, list, remove_folder};

/// A folder in the making, beside the one that it is to become, with the user's umask. What is not
/// published is removed when this is dropped.
#[derive(Debug)]
pub struct StagedFolder {
    path: PathBuf,
    target: PathBuf,
}

impl StagedFolder {
    /// Begins the folder `target`; the folders above it are made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn beside(target: &Path) -> io::Result<Self> {
        fault("folder.create")?;
        let target = std::path::absolute(target)?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let path = target.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        remove_folder(&path)?;
        fs::create_dir_all(&path)?;
        Ok(Self { path, target })
    }

    /// Returns where it is for now.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name. An empty folder of that name makes way; one that holds something only where
    /// `replace` says so, and then as a whole.
    ///
    /// # Errors
    /// When the name is taken, or the disk refuses; what was there is then still there.
    #[expect(clippy::disallowed_methods, reason = "this room moves folders into place")]
    pub fn publish(self, replace: bool) -> io::Result<()> {
        fault("folder.publish")?;
        if !replace || list(&self.target)?.is_empty() {
            return fs::rename(&self.path, &self.target);
        }
        let old = self.path.with_extension("old");
        remove_folder(&old)?;
        fs::rename(&self.target, &old)?;
        if let Err(error) = fs::rename(&self.path, &self.target) {
            fs::rename(&old, &self.target)?;
            return Err(error);
        }
        remove_folder(&old)
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        // After a publication there is nothing left under this name. The dead do not clean up.
        if !is_dead() {
            let _ = remove_folder(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{with_faults, write_users_file};
    use super::*;

    fn staged(target: &Path, text: &str) -> StagedFolder {
        let staged = StagedFolder::beside(target).expect("begun");
        write_users_file(&staged.path().join("file"), text.as_bytes()).expect("written");
        staged
    }

    #[test]
    fn it_appears_as_a_whole_and_leaves_no_litter() {
        let home = tempfile::tempdir().expect("folder");
        let target = home.path().join("above").join("it");
        drop(staged(&target, "given up"));
        assert!(list(target.parent().expect("above")).expect("list").is_empty());
        fs::create_dir(&target).expect("an empty one");
        staged(&target, "one").publish(false).expect("published");
        let read = || fs::read_to_string(target.join("file")).expect("read");
        assert_eq!(read(), "one");
        assert!(staged(&target, "two").publish(false).is_err());
        assert_eq!(read(), "one");
        staged(&target, "two").publish(true).expect("replaced");
        assert_eq!(read(), "two");
        let refused = with_faults("folder.publish=full", || staged(&target, "three").publish(true));
        assert!(refused.expect("rule").is_err());
        assert_eq!(read(), "two");
        assert_eq!(list(target.parent().expect("above")).expect("list"), ["it"]);
    }
}
