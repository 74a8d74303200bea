//! How much is read of each kind of file, at most, and the readers that keep to it.
//!
//! A file below the root may come from another cluster, from a broken disk, or from somebody who
//! means harm: none of them may take all memory, or keep a program waiting for ever.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The most that is read of a kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Words for the file, such as `a sweep file`.
    pub what: &'static str,
    /// Bytes.
    pub bytes: u64,
}

/// All limits. Each is far above what is written by hand or by this version.
impl Limit {
    /// A sweep file or one that it includes: written by people, a few kB.
    pub const SWEEP: Self = Self::new("a sweep file", 4 * MIB);
    /// A template: a few kB of shell.
    pub const TEMPLATE: Self = Self::new("a template", MIB);
    /// `plan.json`: about 1 kB a trial.
    pub const PLAN: Self = Self::new("a plan", 2 * GIB);
    /// A trial of a plan, or a line of a job file: its settings.
    pub const TRIAL: Self = Self::new("a trial", 4 * MIB);
    /// A job file as a whole: a line for each task, of which no cluster allows more than 4 million.
    pub const JOB_FILE: Self = Self::new("a job file", 2 * GIB);
    /// `result.json`: some tens of numbers.
    pub const RESULT: Self = Self::new("a result", 4 * MIB);
    /// `check.json`: some tens of lines.
    pub const CHECK: Self = Self::new("what a worker found", 4 * MIB);
    /// A claim: some hundred bytes.
    pub const CLAIM: Self = Self::new("a claim", 64 * KIB);
    /// A checkpoint's manifest: some kB.
    pub const MANIFEST: Self = Self::new("a manifest", 4 * MIB);
    /// A checkpoint's tensors, which are read as a whole. Their manifest tells the exact size.
    pub const TENSORS: Self = Self::new("a checkpoint", 256 * GIB);
    /// A line of a journal. The longest is the intent of an array: 19 bytes a trial.
    pub const RECORD: Self = Self::new("a record of a journal", 32 * MIB);
    /// What the local scheduler keeps of a submission: about 150 bytes a task.
    pub const LOCAL_STATE: Self = Self::new("the local scheduler's state", 256 * MIB);
    /// What people wish of the local scheduler, at a time: some 20 bytes a wish.
    pub const WISHES: Self = Self::new("a file of wishes", 64 * MIB);
    /// What a program of SLURM, or a worker that was asked, prints: about 100 bytes a task.
    pub const ANSWER: Self = Self::new("an answer", 256 * MIB);
    /// A piece of a log that is shown.
    pub const LOG_PIECE: Self = Self::new("a piece of a log", MIB);
    /// An image or a mask, compressed; tens of MB, or some GB of a stack.
    pub const IMAGE: Self = Self::new("an image", 16 * GIB);
    /// A table of files, such as `split.csv`.
    pub const TABLE: Self = Self::new("a table of files", 64 * MIB);

    /// Every limit, for tests and for people.
    pub const ALL: [Self; 17] = [
        Self::SWEEP,
        Self::TEMPLATE,
        Self::PLAN,
        Self::TRIAL,
        Self::JOB_FILE,
        Self::RESULT,
        Self::CHECK,
        Self::CLAIM,
        Self::MANIFEST,
        Self::TENSORS,
        Self::RECORD,
        Self::LOCAL_STATE,
        Self::WISHES,
        Self::ANSWER,
        Self::LOG_PIECE,
        Self::IMAGE,
        Self::TABLE,
    ];

    const fn new(what: &'static str, bytes: u64) -> Self {
        Self { what, bytes }
    }

    /// Returns the same limit for fewer bytes, where more is known of a file.
    #[must_use]
    pub const fn at_most(self, bytes: u64) -> Self {
        Self { bytes: if bytes < self.bytes { bytes } else { self.bytes }, ..self }
    }

    /// Returns the error that tells of a file, or a part of it, which is larger.
    #[must_use]
    pub fn exceeded(self, path: &Path, size: Option<u64>) -> io::Error {
        let path = path.to_owned();
        io::Error::new(io::ErrorKind::FileTooLarge, TooLarge { path, size, limit: self })
    }
}

/// A file that is larger than its kind may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is too large for {}: {}, and at most {} are read; look what it really is",
    path.display(), limit.what, size.map_or("it does not end".to_owned(), bytes_in_words),
    bytes_in_words(limit.bytes)
)]
pub struct TooLarge {
    /// The file.
    pub path: std::path::PathBuf,
    /// Its size, where it has one.
    pub size: Option<u64>,
    /// The limit.
    pub limit: Limit,
}

fn bytes_in_words(bytes: u64) -> String {
    match [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")].into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) if bytes.is_multiple_of(unit) => format!("{} {name}", bytes / unit),
        Some((unit, name)) => {
            format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
        }
        None => format!("{bytes} bytes"),
    }
}

/// Opens a file of ours for reading: a regular file, and no link to one.
///
/// # Errors
/// When it is not there, is a link or no regular file, or cannot be opened.
pub fn open_read(path: &Path) -> io::Result<File> {
    open(path, libc::O_NOFOLLOW)
}

fn open(path: &Path, flags: i32) -> io::Result<File> {
    // Without O_NONBLOCK opening a pipe would wait for somebody who writes to it.
    let opened = OpenOptions::new().read(true).custom_flags(flags | libc::O_NONBLOCK).open(path);
    let file = opened.map_err(|error| super::mode::refused_link(error, path))?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let words = format!("{} is no regular file", path.display());
    Err(io::Error::new(io::ErrorKind::InvalidInput, words))
}

/// Reads a file of ours (see [`open_read`]) as a whole.
///
/// # Errors
/// When it cannot be read, or is larger than the limit ([`TooLarge`], kind `FileTooLarge`).
pub fn read_limited(path: &Path, limit: Limit) -> io::Result<Vec<u8>> {
    whole(open_read(path)?, path, limit)
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
            let end = part.iter().position(|byte| *byte == b'\n');
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
    fn every_limit_has_words_and_a_size() {
        for limit in Limit::ALL {
            assert!(limit.bytes >= 64 * KIB && !limit.what.is_empty(), "{limit:?}");
        }
    }
}
