//! Append-only records, one a line: `<crc32c, 8 hex> <json>\n`.
//!
//! A journal has one writer and any number of readers, who may read while it is written. The reader
//! forgives: a torn, foreign or damaged line is counted and skipped, of equal `seq` the first is
//! kept. It reads line by line, so that memory does not grow with the file, and a line longer than
//! any record counts as damaged. What a record means is the business of `event`.

mod reader;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::layout;

pub use reader::{Mark, Opened, Reader, Whose};

/// Version of the line format and of the records' meaning.
pub const FORMAT: u32 = 1;

/// The highest number of a record: no journal comes near, and databases count no further.
const LAST_SEQ: u64 = i64::MAX as u64 - 1;

/// Records kept in memory while the disk refuses them.
const BACKLOG: usize = 10_000;

/// A numbered, dated record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record<T> {
    /// Number within the journal, from 1.
    pub seq: u64,
    /// When it was written (UTC).
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub body: T,
}

/// Returns the line of a record, with its newline.
///
/// # Errors
/// When the body cannot be written as JSON.
pub fn encode<T: Serialize>(record: &Record<T>) -> serde_json::Result<String> {
    let json = serde_json::to_string(record)?;
    Ok(format!("{:08x} {json}\n", crc32c::crc32c(json.as_bytes())))
}

/// Returns the record of a line without its newline; `None` for a damaged or foreign one.
#[must_use]
pub fn decode<T: DeserializeOwned>(line: &[u8]) -> Option<Record<T>> {
    let (sum, json) = (line.get(..8)?, line.get(9..)?);
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    (line[8] == b' ' && crc32c::crc32c(json) == sum).then_some(())?;
    // In two readings: what is flattened would be copied value by value before it is understood.
    let Place { seq, at } = serde_json::from_slice(json).ok()?;
    let body = serde_json::from_slice(json).ok()?;
    (seq <= LAST_SEQ).then_some(Record { seq, at, body })
}

/// What every record has.
#[derive(Deserialize)]
struct Place {
    seq: u64,
    at: Timestamp,
}

/// What a whole journal holds.
#[derive(Debug)]
pub struct Replay<T> {
    /// The good records, in the order of the file.
    pub records: Vec<Record<T>>,
    /// Damaged or foreign lines that were skipped.
    pub bad: u64,
    /// How far it was read.
    pub mark: Mark,
}

/// Reads the journal at `path` as a whole.
///
/// # Errors
/// When the file cannot be read. A file that is not there is an empty journal.
pub fn replay<T: DeserializeOwned>(path: &Path) -> io::Result<Replay<T>> {
    replay_from(path, Mark::default())
}

/// Reads the journal at `path` from a mark on. What changed below the mark is not read: room
/// `reader` tells of it.
///
/// # Errors
/// As for [`replay`].
pub fn replay_from<T: DeserializeOwned>(path: &Path, mark: Mark) -> io::Result<Replay<T>> {
    let mut records = Vec::new();
    let Opened::Here(mut reader) = Reader::open(path, mark.clone())? else {
        return Ok(Replay { records, bad: 0, mark });
    };
    while let Some(record) = reader.next(|_| Whose::Unsaid)? {
        records.push(record);
    }
    Ok(Replay { records, bad: reader.bad(), mark: reader.mark().clone() })
}

/// The one writer of a journal.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: Option<File>,
    next_seq: u64,
    backlog: VecDeque<String>,
    dropped: u64,
}

impl Writer {
    /// Opens the journal for appending and goes on behind its last good record. A torn tail is
    /// closed with a newline, so that it costs nothing but itself.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let (mut is_torn, mut last_seq) = (false, 0);
        if let Opened::Here(mut reader) = Reader::<serde_json::Value>::open(path, Mark::default())?
        {
            while reader.next(|_| Whose::Unsaid)?.is_some() {}
            (is_torn, last_seq) = (reader.is_torn(), reader.mark().seq);
        }
        let mut file = layout::open_append(path)?;
        if is_torn {
            file.write_all(b"\n")?;
        }
        let next_seq = last_seq.saturating_add(1);
        Ok(Self {
            path: path.to_owned(),
            file: Some(file),
            next_seq,
            backlog: VecDeque::new(),
            dropped: 0,
        })
    }

    /// A journal whose file could not be opened: records wait in memory until it can.
    #[must_use]
    pub fn unopened(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
            next_seq: 1,
            backlog: VecDeque::new(),
            dropped: 0,
        }
    }

    /// Returns the number that the next record gets.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Appends a record. When the disk refuses it is kept in memory and tried again with the next
    /// one; nothing but the error value tells of it.
    ///
    /// # Errors
    /// When the record is not yet in the file (or not yet durable, if that was asked for), or never
    /// will be, because a record of the highest number stands there.
    pub fn append<T: Serialize>(
        &mut self,
        at: Timestamp,
        body: &T,
        durable: bool,
    ) -> io::Result<()> {
        if self.next_seq > LAST_SEQ {
            let words = format!("{}: no number is left for a record", self.path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, words));
        }
        let line = encode(&Record { seq: self.next_seq, at, body })?;
        self.next_seq += 1;
        if self.backlog.len() == BACKLOG {
            self.backlog.pop_front();
            self.dropped += 1;
        }
        self.backlog.push_back(line);
        self.flush(durable)
    }

    /// Tries to bring everything kept in memory to the file.
    ///
    /// # Errors
    /// When the disk still refuses.
    pub fn flush(&mut self, durable: bool) -> io::Result<()> {
        let written = self.write_backlog(durable);
        if written.is_err() {
            // A stale handle (NFS) never recovers: open anew next time.
            self.file = None;
        }
        written
    }

    fn write_backlog(&mut self, durable: bool) -> io::Result<()> {
        if self.file.is_none() {
            let mut file = layout::open_append(&self.path)?;
            // The last write may have been cut short.
            file.write_all(b"\n")?;
            self.file = Some(file);
        }
        let Some(file) = self.file.as_mut() else { return Ok(()) };
        if file.metadata().is_ok_and(|metadata| metadata.nlink() == 0) {
            // Somebody removed it: what is written to it now would be lost.
            return Err(io::ErrorKind::NotFound.into());
        }
        while let Some(line) = self.backlog.front() {
            layout::fault("journal.append")?;
            file.write_all(line.as_bytes())?;
            self.backlog.pop_front();
        }
        if durable {
            layout::fault("journal.sync")?;
            file.sync_data()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use proptest::prelude::*;

    fn warning(seq: u64, text: &str) -> Record<Event> {
        Record { seq, at: Timestamp::UNIX_EPOCH, body: Event::Warning { text: text.to_owned() } }
    }

    fn lines(count: u64) -> Vec<u8> {
        (1..=count)
            .map(|seq| encode(&warning(seq, "line\nwith newline")).expect("json"))
            .collect::<String>()
            .into_bytes()
    }

    #[test]
    fn a_torn_tail_waits_for_its_rest() {
        let bytes = lines(3);
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("1.journal");
        layout::write_atomic(&path, &bytes[..bytes.len() - 5]).expect("write");
        let first = replay::<Event>(&path).expect("read");
        assert_eq!((first.records.len(), first.bad), (2, 0));
        layout::write_atomic(&path, &bytes).expect("write");
        let rest = replay_from::<Event>(&path, first.mark).expect("read");
        assert_eq!((rest.records.len(), rest.records[0].seq), (1, 3));
    }

    #[test]
    fn the_writer_goes_on_behind_a_torn_tail() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("1.journal");
        let mut bytes = lines(2);
        bytes.truncate(bytes.len() - 7);
        layout::write_atomic(&path, &bytes).expect("write");
        let mut writer = Writer::open(&path).expect("open");
        writer
            .append(Timestamp::UNIX_EPOCH, &Event::Warning { text: "next".to_owned() }, true)
            .expect("append");
        let found = replay::<Event>(&path).expect("read");
        assert_eq!(found.records.iter().map(|r| r.seq).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(found.bad, 1);
    }

    #[test]
    fn no_line_is_too_long_and_no_number_too_high() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("1.journal");
        let mut bytes = lines(1);
        bytes.extend_from_slice(encode(&warning(u64::MAX, "far")).expect("json").as_bytes());
        bytes.resize(bytes.len() + 33 * 1024 * 1024, b'x');
        bytes.push(b'\n');
        bytes.extend_from_slice(encode(&warning(2, "next")).expect("json").as_bytes());
        layout::write_atomic(&path, &bytes).expect("written");
        let found = replay::<Event>(&path).expect("read");
        assert_eq!((found.records.len(), found.bad), (2, 2));
        assert_eq!(found.mark.offset, bytes.len() as u64);
        assert_eq!(Writer::open(&path).expect("opened").next_seq(), 3);
    }

    proptest! {
        #[test]
        fn damage_costs_the_damaged_lines_only(at in 0usize..400, byte in any::<u8>()) {
            let mut bytes = lines(5);
            let at = at % bytes.len();
            let changed = bytes[at] != byte;
            bytes[at] = byte;
            let folder = tempfile::tempdir().expect("folder");
            let path = folder.path().join("1.journal");
            layout::write_atomic(&path, &bytes).expect("write");
            let found = replay::<Event>(&path).expect("read");
            // One changed byte can damage one line, or two where it was the newline between them.
            prop_assert!(found.records.len() >= 3);
            prop_assert!(changed || found.records.len() == 5);
            for record in &found.records {
                prop_assert_eq!(&record.body, &Event::Warning { text: "line\nwith newline".to_owned() });
            }
        }
    }
}
