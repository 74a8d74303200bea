//! How much is read of each kind of file, at most. Room `read` keeps to it.

use std::io;
use std::path::Path;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_words_and_a_size() {
        for limit in Limit::ALL {
            assert!(limit.bytes >= 64 * KIB && !limit.what.is_empty(), "{limit:?}");
        }
    }
}
