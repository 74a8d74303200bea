//! Reading a journal in pieces, from where the last reader stopped, with an eye on whose it is.
//!
//! A file may have been cut, replaced, or mixed with another writer's records. What is not this
//! journal's own is counted as damage; what is, is not lost by it.

use std::io::{self, Read};
use std::marker::PhantomData;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::{Record, decode};
use crate::layout::{self, Limit, Lines};

/// Bytes at the start of a file that tell it from another: the checksum of its first record.
const HEAD: usize = 8;

/// What a record says about whose journal it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This one's: a header that fits.
    Own,
    /// Another one's: a header that does not.
    Other,
    /// It does not say.
    Unsaid,
}

impl Whose {
    /// Judges a record by the owner that it names, if it names one.
    #[must_use]
    pub fn of<T: PartialEq>(named: Option<T>, owner: &T) -> Self {
        match named {
            None => Self::Unsaid,
            Some(named) if named == *owner => Self::Own,
            Some(_) => Self::Other,
        }
    }
}

/// How far a journal was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Behind the last complete line.
    pub offset: u64,
    /// The newest record.
    pub seq: u64,
    /// Newest number of a stretch that is another writer's.
    pub foreign: Option<u64>,
    /// The first bytes of the file, as text.
    pub head: Option<String>,
}

/// What is found where a journal should be.
#[derive(Debug)]
pub enum Opened<T> {
    /// The file that was read before, or one that never was.
    Here(Reader<T>),
    /// It is shorter than what was read, gone, or another file.
    Changed,
}

/// Reads records one after the other.
#[derive(Debug)]
pub struct Reader<T> {
    lines: Lines,
    mark: Mark,
    bad: u64,
    is_torn: bool,
    records: PhantomData<T>,
}

impl<T: DeserializeOwned> Reader<T> {
    /// Opens a journal at a mark. A file that is not there is an empty journal.
    ///
    /// # Errors
    /// When it cannot be read, or is no plain file.
    pub fn open(path: &Path, mark: Mark) -> io::Result<Opened<T>> {
        let Some((mut file, size)) = layout::open_plain(path)? else {
            let changed = mark.offset > 0;
            return if changed { Ok(Opened::Changed) } else { Self::over(path, mark) };
        };
        let mut head = Vec::with_capacity(HEAD);
        (&mut file).take(HEAD as u64).read_to_end(&mut head)?;
        let head = (head.len() == HEAD).then(|| String::from_utf8_lossy(&head).into_owned());
        let other = mark.head.is_some() && mark.head != head;
        if size < mark.offset || (other && mark.offset > 0) {
            return Ok(Opened::Changed);
        }
        Self::over(path, Mark { head, ..mark })
    }

    fn over(path: &Path, mark: Mark) -> io::Result<Opened<T>> {
        let lines = Lines::open(path, mark.offset, Limit::RECORD)?;
        Ok(Opened::Here(Self { lines, mark, bad: 0, is_torn: false, records: PhantomData }))
    }

    /// Returns the next good record; `None` at the end, or before a line that is not complete yet.
    /// `whose` looks at what a record says of its journal.
    ///
    /// # Errors
    /// When the file cannot be read; what was returned before stands.
    pub fn next(&mut self, whose: impl Fn(&T) -> Whose) -> io::Result<Option<Record<T>>> {
        while let Some(line) = self.lines.next_line()? {
            if !line.is_ended {
                self.is_torn = true;
                break;
            }
            self.mark.offset += line.length;
            // A newline alone closes a torn tail.
            if line.bytes.is_empty() {
                continue;
            }
            let Some(record) = decode::<T>(line.bytes).filter(|_| !line.is_cut) else {
                self.bad += 1;
                continue;
            };
            if self.is_own(&record, whose(&record.body)) {
                if record.seq > self.mark.seq {
                    self.mark.seq = record.seq;
                    return Ok(Some(record));
                }
            } else {
                self.mark.foreign = Some(record.seq.max(self.mark.foreign.unwrap_or(0)));
                self.bad += 1;
            }
        }
        Ok(None)
    }

    /// How far it was read.
    #[must_use]
    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Lines since it was opened that are damaged or another writer's.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.bad
    }

    /// Says whether the end was reached and is a line without its newline.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// After a header of somebody else, what goes on with that one's numbers is that one's; what goes
    /// on with ours is ours.
    fn is_own(&mut self, record: &Record<T>, whose: Whose) -> bool {
        match (whose, self.mark.foreign) {
            (Whose::Own, _) => {
                self.mark.foreign = None;
                true
            }
            (Whose::Other, _) => {
                self.mark.foreign = None;
                false
            }
            (Whose::Unsaid, Some(foreign)) => {
                record.seq != foreign.saturating_add(1)
                    && record.seq == self.mark.seq.saturating_add(1)
            }
            (Whose::Unsaid, None) => true,
        }
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
