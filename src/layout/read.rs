//! Opening what others wrote: plain files only, with their size.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

use super::fault;

/// Opens a plain file for reading and tells its size; `None` where there is none. A folder, a link,
/// a pipe or the like in its place is an error, and nobody waits for it.
///
/// # Errors
/// When it cannot be opened, or is no plain file.
pub fn open_plain(path: &Path) -> io::Result<Option<(File, u64)>> {
    fault("read.open")?;
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            return Err(io::Error::other("it is a symbolic link, not a file"));
        }
        // What open(2) says of a socket.
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {
            return Err(io::Error::other("it is no plain file"));
        }
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::other("it is a folder, not a file"));
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    Ok(Some((file, metadata.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_are_opened_and_nobody_waits() {
        let folder = tempfile::tempdir().expect("folder");
        let at = |name: &str| folder.path().join(name);
        super::super::write_atomic(&at("file"), b"1234").expect("file");
        assert_eq!(open_plain(&at("file")).expect("open").map(|(_, size)| size), Some(4));
        assert!(open_plain(&at("none")).expect("none").is_none());
        std::fs::create_dir(at("folder")).expect("folder");
        std::os::unix::fs::symlink(at("file"), at("link")).expect("link");
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRUSR).expect("pipe");
        std::os::unix::net::UnixListener::bind(at("socket")).expect("socket");
        for (name, what) in
            [("folder", "folder"), ("link", "link"), ("pipe", "no plain"), ("socket", "no plain")]
        {
            let error = open_plain(&at(name)).expect_err(name).to_string();
            assert!(error.contains(what), "{name}: {error}");
        }
    }
}
