//! Who may read what is made here: folders 0700, files 0600, whatever the umask. No link below the
//! root is followed.
//!
//! A group that shall look on is let in by the folder of runs: where a folder has the set-group-id
//! bit, the group may read in what is made in it as it may read the folder itself. It may never write.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::libc;

use super::fault;

const SET_GROUP_ID: u32 = 0o2000;

/// Makes a folder, and those above it. Only its owner may enter, and the group where the folder
/// around it says so.
///
/// # Errors
/// When it cannot be made, or is a link.
pub fn create_folder(path: &Path) -> io::Result<()> {
    fault("folder.create")?;
    make_folder(path)
}

fn make_folder(path: &Path) -> io::Result<()> {
    refuse_link(path)?;
    if path.is_dir() {
        return Ok(());
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => make_folder(parent)?,
        _ => {}
    }
    match DirBuilder::new().mode(0o700).create(path) {
        // Somebody else was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => share(path, 0o700, SET_GROUP_ID),
    }
}

/// Makes a folder that only its owner may enter (mode 0700), and those above it. One that is there
/// keeps its mode.
///
/// # Errors
/// When it cannot be made.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    fault("folder.create")?;
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes a folder where a user asked for one, and those above it, with the user's umask.
///
/// # Errors
/// When it cannot be made.
pub fn create_users_folder(path: &Path) -> io::Result<()> {
    fault("folder.create")?;
    fs::create_dir_all(path)
}

/// Makes an empty file that only its owner may read, where there is none: for what a library opens.
///
/// # Errors
/// When it cannot be made.
pub fn create_private_file(path: &Path) -> io::Result<()> {
    append_to(path).map(|_| ())
}

/// Refuses a link where a file or folder of ours belongs. That nothing is there is fine.
///
/// # Errors
/// When it is a link, or cannot be looked at.
pub fn refuse_link(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => Err(link(path)),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Opens a new file for writing. What a killed process left under this name is removed.
pub(super) fn new_file(path: &Path, mode: u32) -> io::Result<File> {
    let open = || OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let file = match open() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            open()?
        }
        other => other?,
    };
    if mode == PRIVATE {
        share(path, PRIVATE, 0)?;
    }
    Ok(file)
}

/// The mode of a file of ours, and of one where a user asked for it (less the umask).
pub(super) const PRIVATE: u32 = 0o600;
pub(super) const USERS: u32 = 0o666;

/// Opens a file of ours for appending, made where there is none.
pub(super) fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).custom_flags(libc::O_NOFOLLOW);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = options.create(true).mode(PRIVATE).open(path);
            let file = file.map_err(|error| refused_link(error, path))?;
            share(path, PRIVATE, 0)?;
            Ok(file)
        }
        other => other.map_err(|error| refused_link(error, path)),
    }
}

/// Says in words what the system means by "too many levels of symbolic links".
pub(super) fn refused_link(error: io::Error, path: &Path) -> io::Error {
    match error.raw_os_error() {
        Some(libc::ELOOP) => link(path),
        _ => error,
    }
}

fn link(path: &Path) -> io::Error {
    let words = format!(
        "{} is a link, and none is followed below the folder of runs; put there what it points to",
        path.display()
    );
    io::Error::new(io::ErrorKind::InvalidInput, words)
}

/// Lets the group read what was made in a folder that is shared with it.
fn share(path: &Path, mode: u32, also: u32) -> io::Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let around = fs::metadata(parent)?.mode();
    // Of a file nobody gets the right to enter.
    let group = around & 0o050 & ((mode >> 3) | 0o040);
    if around & SET_GROUP_ID == 0 || group & 0o040 == 0 {
        return Ok(());
    }
    match fs::set_permissions(path, Permissions::from_mode(mode | group | also)) {
        // Some file systems have no such modes; then it stays as it was made.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{create_exclusive, lock, open_append, touch, write_atomic};
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").mode() & 0o7777
    }

    #[test]
    fn what_is_made_is_the_owners_alone() {
        let home = tempfile::tempdir().expect("folder");
        let root = home.path().join("above").join("runs");
        create_folder(&root).expect("folder");
        assert_eq!((mode(&root), mode(root.parent().expect("above"))), (0o700, 0o700));
        write_atomic(&root.join("a"), b"x").expect("written");
        create_exclusive(&root.join("b"), b"x").expect("made");
        drop(open_append(&root.join("c")).expect("opened"));
        drop(lock(&root.join("d"), std::time::Duration::ZERO).expect("locked"));
        create_private_file(&root.join("e")).expect("made");
        for name in ["a", "b", "c", "d", "e"] {
            assert_eq!(mode(&root.join(name)), 0o600, "{name}");
        }
    }

    #[test]
    fn a_group_that_is_let_in_may_read_and_never_write() {
        let home = tempfile::tempdir().expect("folder");
        let root = home.path().join("runs");
        create_private_folder(&root).expect("folder");
        fs::set_permissions(&root, Permissions::from_mode(0o2775)).expect("shared");
        create_folder(&root.join("lr").join("jobs")).expect("folder");
        assert_eq!(mode(&root.join("lr")), 0o2750);
        assert_eq!(mode(&root.join("lr").join("jobs")), 0o2750);
        let file = root.join("lr").join("plan.json");
        write_atomic(&file, b"x").expect("written");
        assert_eq!(mode(&file), 0o640);
        drop(open_append(&root.join("lr").join("1.journal")).expect("opened"));
        assert_eq!(mode(&root.join("lr").join("1.journal")), 0o640);
    }

    #[test]
    fn a_planted_link_is_neither_written_through_nor_entered() {
        let home = tempfile::tempdir().expect("folder");
        let outside = home.path().join("outside");
        create_folder(&outside).expect("folder");
        let target = outside.join("bashrc");
        write_atomic(&target, b"mine").expect("written");
        let root = home.path().join("runs");
        create_folder(&root).expect("folder");
        for name in ["file", "dangling", "folder"] {
            let to = match name {
                "file" => target.clone(),
                "dangling" => outside.join("none"),
                _ => outside.clone(),
            };
            symlink(to, root.join(name)).expect("link");
        }
        for name in ["file", "dangling"] {
            let path = root.join(name);
            assert!(open_append(&path).is_err(), "{name}");
            assert!(lock(&path, std::time::Duration::ZERO).is_err(), "{name}");
            assert!(touch(&path).is_err(), "{name}");
            assert!(create_exclusive(&path, b"x").is_err(), "{name}");
            let words = create_private_file(&path).expect_err("link").to_string();
            assert!(words.contains("is a link"), "{words}");
        }
        let words = create_folder(&root.join("folder")).expect_err("link").to_string();
        assert!(words.contains("is a link"), "{words}");
        // A replacement takes the place of the link itself.
        write_atomic(&root.join("file"), b"ours").expect("written");
        assert_eq!(fs::read(&target).expect("read"), b"mine");
        assert_eq!(super::super::list(&outside).expect("list"), ["bashrc"]);
    }

    #[test]
    fn what_a_killed_process_left_is_no_hindrance() {
        let home = tempfile::tempdir().expect("folder");
        let path = home.path().join("temporary");
        symlink(home.path().join("elsewhere"), &path).expect("link");
        drop(new_file(&path, PRIVATE).expect("made"));
        assert!(!home.path().join("elsewhere").exists());
        assert_eq!(mode(&path), 0o600);
    }
}
