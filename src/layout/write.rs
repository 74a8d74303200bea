//! The safe ways to write: atomic replacement, exclusive creation, appending.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc;
use nix::sys::time::TimeSpec;

use super::mode::{self, PRIVATE, USERS};
use super::{fault, is_dead, open_read};

/// Replaces or makes a file so that a reader sees the old content or the new, never a part, also
/// after a crash: temporary file, fsync, rename, fsync of the folder.
///
/// # Errors
/// When any of these fails; the old content is then still there.
pub fn write_atomic(path: &Path, content: &[u8]) -> io::Result<()> {
    write_atomic_with(path, |file| file.write_all(content)).map(|_| ())
}

/// As [`write_atomic`] for content that is produced while writing. Returns its size in bytes.
///
/// # Errors
/// When `produce` or any step of writing fails; the old content is then still there.
pub fn write_atomic_with(
    path: &Path,
    produce: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<u64> {
    replace(path, PRIVATE, produce)
}

/// As [`write_atomic`] for a file that a user asked for, readable as the user's umask says.
///
/// # Errors
/// As there.
pub fn write_users_file(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, USERS, |file| file.write_all(content)).map(|_| ())
}

fn replace(
    path: &Path,
    mode: u32,
    produce: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<u64> {
    let temporary = temporary_beside(path);
    let written = write_and_rename(path, &temporary, mode, produce);
    // The dead do not clean up.
    if written.is_err() && !is_dead() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[expect(clippy::disallowed_methods, reason = "this room writes files")]
fn write_and_rename(
    path: &Path,
    temporary: &Path,
    mode: u32,
    produce: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<u64> {
    fault("write.create")?;
    let mut file = mode::new_file(temporary, mode)?;
    fault("write.content")?;
    produce(&mut file)?;
    fault("write.sync")?;
    file.sync_all()?;
    let size = file.metadata()?.len();
    drop(file);
    fault("write.rename")?;
    fs::rename(temporary, path)?;
    fault("write.done")?;
    sync_parent(path)?;
    Ok(size)
}

/// A name that no other process uses, in the same folder (so that the rename is one).
fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let thread = format!("{:?}", std::thread::current().id());
    let thread: String = thread.chars().filter(char::is_ascii_digit).collect();
    let host = nix::unistd::gethostname().unwrap_or_default();
    let host = host.to_string_lossy().replace('/', "");
    path.with_file_name(format!(".{name}.{host}.{}.{thread}.tmp", std::process::id()))
}

/// Makes a file that must not exist yet. Of several makers exactly one succeeds, on any machine.
/// The content is complete when the file appears under its name.
///
/// # Errors
/// `AlreadyExists` for all but the first, others when it cannot be made.
pub fn create_exclusive(path: &Path, content: &[u8]) -> io::Result<()> {
    make(path, PRIVATE, content)
}

/// As [`create_exclusive`] for a file that a user asked for, readable as the user's umask says.
///
/// # Errors
/// As there.
pub fn create_users_file(path: &Path, content: &[u8]) -> io::Result<()> {
    make(path, USERS, content)
}

fn make(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let temporary = temporary_beside(path);
    let result = (|| {
        fault("exclusive.create")?;
        let mut file = mode::new_file(&temporary, mode)?;
        file.write_all(content)?;
        file.sync_all()?;
        fault("exclusive.link")?;
        // link(2) fails where the name exists, and is atomic on NFS too.
        match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                create_new(path, mode, content)
            }
            other => other,
        }?;
        sync_parent(path)
    })();
    if !is_dead() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// For file systems without hard links.
fn create_new(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    // Half a file would stand for a whole one from now on.
    if written.is_err() && !is_dead() {
        let _ = fs::remove_file(path);
    }
    written
}

/// Opens a file for appending, makes it where there is none.
///
/// # Errors
/// When it cannot be opened.
pub fn open_append(path: &Path) -> io::Result<File> {
    fault("append.open")?;
    let made = !path.exists();
    let file = mode::append_to(path)?;
    if made {
        sync_parent(path)?;
    }
    Ok(file)
}

/// Points a link for people at a file beside it. Where links are not to be had there is none.
///
/// # Errors
/// When the old link cannot be replaced.
#[expect(clippy::disallowed_methods, reason = "this room writes files")]
pub fn link_latest(link: &Path, target: &Path) -> io::Result<()> {
    fault("link")?;
    let temporary = temporary_beside(link);
    let _ = fs::remove_file(&temporary);
    let name = target.file_name().unwrap_or_default();
    match std::os::unix::fs::symlink(name, &temporary) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        other => other.and_then(|()| fs::rename(&temporary, link)),
    }
}

/// Removes a file; one that is not there is no error.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    fault("remove")?;
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes a folder that is empty; one that is not there, or not empty, is no error.
///
/// # Errors
/// When it cannot be removed for another reason.
pub fn remove_empty_folder(path: &Path) -> io::Result<()> {
    fault("remove")?;
    match fs::remove_dir(path) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}

/// Sets a file's modification time to now, as the file server counts: the heartbeat of a claim.
///
/// # Errors
/// When it cannot be set.
pub fn touch(path: &Path) -> io::Result<()> {
    fault("touch")?;
    let file = OpenOptions::new().append(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    // UTIME_NOW lets the server of a network file system take its own time.
    nix::sys::stat::futimens(&file, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW)?;
    Ok(())
}

/// Returns the time since a file was last written or touched. The file server dates both ends, so
/// that the clocks of nodes need not agree.
///
/// # Errors
/// When there is no such file, or none can be made beside it.
pub fn age(path: &Path) -> io::Result<Duration> {
    // Opening makes a network file system ask its server instead of answering from memory.
    let modified = open_read(path)?.metadata()?.modified()?;
    let probe = temporary_beside(path);
    let now = mode::new_file(&probe, PRIVATE).and_then(|file| file.metadata()?.modified());
    remove(&probe)?;
    Ok(now?.duration_since(modified).unwrap_or_default())
}

/// Names in a folder, sorted; a folder that is not there is empty.
///
/// # Errors
/// When it cannot be read.
pub fn list(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(parent).and_then(|folder| folder.sync_all()) {
        // Some file systems cannot sync a folder; the rename itself is then all there is.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::with_faults;
    use super::*;

    #[test]
    fn a_failed_replacement_leaves_the_old_content_and_no_litter() {
        for point in ["write.create", "write.content", "write.sync", "write.rename"] {
            let folder = tempfile::tempdir().expect("folder");
            let path = folder.path().join("result.json");
            write_atomic(&path, b"old").expect("first");
            let second = with_faults(&format!("{point}=full"), || write_atomic(&path, b"new"))
                .expect("rule");
            assert!(second.is_err(), "{point}");
            assert_eq!(fs::read(&path).expect("read"), b"old", "{point}");
            assert_eq!(list(folder.path()).expect("list"), ["result.json"], "{point}");
        }
    }

    #[test]
    fn one_of_many_makers_wins() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("1");
        let winners: usize = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..8)
                .map(|n| {
                    let path = path.clone();
                    scope.spawn(move || {
                        usize::from(create_exclusive(&path, format!("{n}").as_bytes()).is_ok())
                    })
                })
                .collect();
            tries.into_iter().map(|t| t.join().expect("thread")).sum()
        });
        assert_eq!(winners, 1);
        assert_eq!(list(folder.path()).expect("list"), ["1"]);
    }

    #[test]
    fn a_touched_file_is_young_again() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("1");
        create_exclusive(&path, b"claim").expect("create");
        let past = fs::metadata(&path).and_then(|m| m.modified()).expect("time")
            - Duration::from_secs(100);
        File::options().append(true).open(&path).and_then(|f| f.set_modified(past)).expect("old");
        assert!(age(&path).expect("age") >= Duration::from_secs(99));
        touch(&path).expect("touch");
        assert!(age(&path).expect("age") < Duration::from_secs(50));
        assert_eq!(list(folder.path()).expect("list"), ["1"]);
        assert!(age(&folder.path().join("2")).is_err());
    }
}
