//! Locks that end with the process that holds them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::mode;

/// A lock that ends with the process (`flock`).
#[derive(Debug)]
pub struct Locked {
    _file: File,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("another process holds {}", path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
    },
    /// The lock file cannot be used.
    #[error("failed to lock {}: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Takes a lock, waiting at most `patience`.
///
/// # Errors
/// When another process keeps it for longer, or the file cannot be used.
pub fn lock(path: &Path, patience: Duration) -> Result<Locked, LockError> {
    let failed = |source| LockError::Io { path: path.to_owned(), source };
    let file = mode::append_to(path).map_err(failed)?;
    let pause = Duration::from_millis(50);
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Locked { _file: file }),
            Err(fs::TryLockError::Error(source)) => return Err(failed(source)),
            Err(fs::TryLockError::WouldBlock) if waited >= patience => {
                return Err(LockError::Held { path: path.to_owned() });
            }
            Err(fs::TryLockError::WouldBlock) => {
                std::thread::sleep(pause);
                waited += pause;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_one_holder() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("lock");
        let held = lock(&path, Duration::ZERO).expect("first");
        assert!(matches!(lock(&path, Duration::ZERO), Err(LockError::Held { .. })));
        drop(held);
        assert!(lock(&path, Duration::ZERO).is_ok());
    }
}
