//! Reading files, within the limits of room `limit`.
//!
//! A file below the root may come from another cluster, from a broken disk, or from somebody who
//! means harm: none of them may take all memory, or keep a program waiting for ever.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

use super::{Limit, fault};

/// Opens a file of ours for reading: a regular file, and no link to one.
///
/// # Errors
/// When it is not there, is a link or no regular file, or cannot be opened.
pub fn open_read(path: &Path) -> io::Result<File> {
    open(path, libc::O_NOFOLLOW)
}

/// Opens a file of ours (see [`open_read`]) and tells its size; `None` where there is none.
///
/// # Errors
/// As there, but for a file that is not there.
pub fn open_plain(path: &Path) -> io::Result<Option<(File, u64)>> {
    fault("read.open")?;
    let file = match open_read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let size = file.metadata()?.len();
    Ok(Some((file, size)))
}

fn open(path: &Path, flags: i32) -> io::Result<File> {
    // Without O_NONBLOCK opening a pipe would wait for somebody who writes to it.
    let opened = OpenOptions::new().read(true).custom_flags(flags | libc::O_NONBLOCK).open(path);
    let file = match opened {
        // What open(2) says of a socket.
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => return Err(irregular(path)),
        other => other.map_err(|error| super::mode::refused_link(error, path))?,
    };
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Err(irregular(path))
}

fn irregular(path: &Path) -> io::Error {
    let words = format!("{} is no regular file", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, words)
}

/// Reads a file of ours (see [`open_read`]) as a whole.
///
/// # Errors
/// When it cannot be read, or is larger than the limit ([`TooLarge`], kind `FileTooLarge`).
pub fn read_limited(path: &Path, limit: Limit) -> io::Result<Vec<u8>> {
    whole(open_read(path)?, path, limit)
}

/// As [`read_limited`]; nothing where there is no file.
///
/// # Errors
/// As there, but for a file that is not there.
pub fn read_if_any(path: &Path, limit: Limit) -> io::Result<Vec<u8>> {
    match read_limited(path, limit) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

/// As [`read_limited`], for text.
///
/// # Errors
/// As there, and when it is not UTF-8.
pub fn read_limited_text(path: &Path, limit: Limit) -> io::Result<String> {
    text(read_limited(path, limit)?)
}

/// Reads a file that the user named, where links lead wherever the user pointed them.
///
/// # Errors
/// As for [`read_limited`].
pub fn read_named(path: &Path, limit: Limit) -> io::Result<Vec<u8>> {
    whole(open(path, 0)?, path, limit)
}

/// As [`read_named`], for text.
///
/// # Errors
/// As there, and when it is not UTF-8.
pub fn read_named_text(path: &Path, limit: Limit) -> io::Result<String> {
    text(read_named(path, limit)?)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn whole(file: File, path: &Path, limit: Limit) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len();
    if size > limit.bytes {
        return Err(limit.exceeded(path, Some(size)));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // It may grow meanwhile.
    file.take(limit.bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit.bytes {
        true => Err(limit.exceeded(path, None)),
        false => Ok(bytes),
    }
}

/// Reads a piece of a file of ours: at most so many bytes from a position on. Nothing where there is
/// no file or it is shorter.
///
/// # Errors
/// When it cannot be read.
pub fn read_piece(path: &Path, offset: u64, most: Limit) -> io::Result<Vec<u8>> {
    let mut file = match open_read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(most.bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The lines of a file of ours, one at a time in a buffer that is used again: memory is bounded by
/// the longest line that is kept, whatever the file's size.
#[derive(Debug)]
pub struct Lines {
    reader: Option<BufReader<File>>,
    line: Vec<u8>,
    most: usize,
}

/// What stands between two line breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its bytes without the line break; those up to the limit where it is too long.
    pub bytes: &'a [u8],
    /// Bytes in the file, the line break included.
    pub length: u64,
    /// It ends with a line break: nobody is still writing it.
    pub is_ended: bool,
    /// It is longer than the limit, and cut.
    pub is_cut: bool,
}

impl Lines {
    /// Begins at a position. A file that is not there has no lines.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, offset: u64, line: Limit) -> io::Result<Self> {
        let most = usize::try_from(line.bytes).unwrap_or(usize::MAX);
        let mut file = match open_read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { reader: None, line: Vec::new(), most });
            }
            other => other?,
        };
        file.seek(SeekFrom::Start(offset))?;
        let reader = Some(BufReader::with_capacity(1 << 16, file));
        Ok(Self { reader, line: Vec::new(), most })
    }

    /// Reads the next line; nothing at the end of the file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        let Some(reader) = self.reader.as_mut() else { return Ok(None) };
        self.line.clear();
        let (mut length, mut is_ended, mut is_cut) = (0_u64, false, false);
        while !is_ended {
            let part = match reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if part.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\n', part);
            let content = &part[..end.unwrap_or(part.len())];
            let room = self.most - self.line.len();
            is_cut |= content.len() > room;
            self.line.extend_from_slice(&content[..content.len().min(room)]);
            is_ended = end.is_some();
            let used = content.len() + usize::from(is_ended);
            length += used as u64;
            reader.consume(used);
        }
        let line = Line { bytes: &self.line, length, is_ended, is_cut };
        Ok((length > 0).then_some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::super::write_atomic;
    use super::*;

    #[test]
    fn a_file_above_its_limit_is_named_with_size_and_limit() {
        let home = tempfile::tempdir().expect("folder");
        let path = home.path().join("1");
        write_atomic(&path, &vec![b'x'; 65 * 1024]).expect("written");
        let error = read_limited(&path, Limit::CLAIM).expect_err("too large");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        let words = error.to_string();
        for word in [path.to_str().expect("text"), "a claim", "65 KiB", "64 KiB"] {
            assert!(words.contains(word), "{words}");
        }
        write_atomic(&path, &vec![b'x'; 64 * 1024]).expect("written");
        assert_eq!(read_limited(&path, Limit::CLAIM).expect("just fits").len(), 64 * 1024);
        assert!(read_limited(&path, Limit::CLAIM.at_most(10)).is_err());
        assert_eq!(read_piece(&path, 65_530, Limit::CLAIM).expect("tail").len(), 6);
    }

    #[test]
    fn what_does_not_end_or_never_answers_is_refused() {
        let home = tempfile::tempdir().expect("folder");
        let pipe = home.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("pipe");
        for path in [pipe.as_path(), Path::new("/dev/zero"), home.path()] {
            assert!(read_limited(path, Limit::SWEEP).is_err(), "{}", path.display());
            assert!(read_named(path, Limit::SWEEP).is_err(), "{}", path.display());
        }
        // The kernel's files have no size that could be asked for.
        let words = read_named(Path::new("/proc/self/maps"), Limit::SWEEP.at_most(10));
        assert!(words.expect_err("too large").to_string().contains("does not end"));
    }

    #[test]
    fn a_link_is_followed_only_where_the_user_named_it() {
        let home = tempfile::tempdir().expect("folder");
        let (file, link) = (home.path().join("file"), home.path().join("link"));
        write_atomic(&file, b"text").expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("link");
        let words = read_limited(&link, Limit::CLAIM).expect_err("link").to_string();
        assert!(words.contains("link") && words.contains("is a link"), "{words}");
        assert_eq!(read_named_text(&link, Limit::CLAIM).expect("named"), "text");
    }

    #[test]
    fn lines_come_one_by_one_and_long_ones_are_cut() {
        let home = tempfile::tempdir().expect("folder");
        let path = home.path().join("journal");
        let long = "y".repeat(200_000);
        write_atomic(&path, format!("one\n\n{long}\nlast").as_bytes()).expect("written");
        let mut lines = Lines::open(&path, 0, Limit::RECORD.at_most(100)).expect("opened");
        let mut seen = Vec::new();
        while let Some(line) = lines.next_line().expect("read") {
            seen.push((line.bytes.len(), line.length, line.is_ended, line.is_cut));
        }
        let expected = [
            (3, 4, true, false),
            (0, 1, true, false),
            (100, 200_001, true, true),
            (4, 4, false, false),
        ];
        assert_eq!(seen, expected);
        let mut behind = Lines::open(&path, 200_006, Limit::RECORD).expect("opened");
        assert_eq!(behind.next_line().expect("read").expect("line").bytes, b"last");
        let mut none = Lines::open(&home.path().join("none"), 0, Limit::RECORD).expect("none");
        assert_eq!(none.next_line().expect("read"), None);
    }

    #[test]
    fn only_plain_files_are_opened_and_nobody_waits() {
        let folder = tempfile::tempdir().expect("folder");
        let at = |name: &str| folder.path().join(name);
        write_atomic(&at("file"), b"1234").expect("file");
        assert_eq!(open_plain(&at("file")).expect("open").map(|(_, size)| size), Some(4));
        assert!(open_plain(&at("none")).expect("none").is_none());
        std::fs::create_dir(at("folder")).expect("folder");
        std::os::unix::fs::symlink(at("file"), at("link")).expect("link");
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRUSR).expect("pipe");
        std::os::unix::net::UnixListener::bind(at("socket")).expect("socket");
        let regular = "no regular file";
        for (name, what) in
            [("folder", "directory"), ("link", "link"), ("pipe", regular), ("socket", regular)]
        {
            let error = open_plain(&at(name)).expect_err(name).to_string();
            assert!(error.contains(what), "{name}: {error}");
        }
    }
}
