//! What a folder can take: how fast a file is written, how much room is left.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{create_exclusive, fault, open_append, remove};

/// Written at a time.
const PIECE: usize = 1 << 20;

/// Writes a file of `bytes` bytes into a folder, synced to the disk, and returns its name: whoever
/// measured the time removes it. What could not be written whole is removed here.
///
/// # Errors
/// When it cannot be written.
pub fn write_probe(folder: &Path, bytes: u64) -> io::Result<PathBuf> {
    let path = folder.join(format!(".regatta-probe-{}", std::process::id()));
    create_exclusive(&path, b"")?;
    let written = fill(&path, bytes);
    if written.is_err() {
        let _ = remove(&path);
    }
    written.map(|()| path)
}

/// Returns the bytes that may still be written to the file system of a folder. Quotas are not seen.
///
/// # Errors
/// When it cannot be asked.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let found = nix::sys::statvfs::statvfs(folder)?;
    Ok(found.blocks_available().saturating_mul(found.fragment_size()))
}

fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    // Numbers that no file system can make smaller.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let piece: Vec<u8> = (0..PIECE / 8).flat_map(|_| next()).collect();
    let mut file = open_append(path)?;
    fault("write.content")?;
    let mut left = bytes;
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        file.write_all(&piece[..now])?;
        left -= now as u64;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{list, with_faults};

    #[test]
    fn a_probe_has_its_size_and_one_that_failed_is_gone() {
        let folder = tempfile::tempdir().expect("folder");
        let path = write_probe(folder.path(), (1 << 20) + 7).expect("written");
        assert_eq!(path.metadata().expect("file").len(), (1 << 20) + 7);
        remove(&path).expect("removed");
        let refused = with_faults("write.content=full", || write_probe(folder.path(), 9));
        assert!(refused.expect("faults").is_err());
        assert_eq!(list(folder.path()).expect("list"), Vec::<String>::new());
    }
}
