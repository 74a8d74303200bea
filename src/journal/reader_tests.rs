//! Tests of [`super::Reader`]: what damage costs.

use jiff::Timestamp;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;
use crate::journal::encode;
use crate::layout::write_atomic;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Word {
    of: Option<String>,
}

fn line(seq: u64, of: Option<&str>) -> Vec<u8> {
    let body = Word { of: of.map(str::to_owned) };
    encode(&Record { seq, at: Timestamp::UNIX_EPOCH, body }).expect("json").into_bytes()
}

fn whose(word: &Word) -> Whose {
    match word.of.as_deref() {
        None => Whose::Unsaid,
        Some("us") => Whose::Own,
        Some(_) => Whose::Other,
    }
}

/// Numbers of the records, bad lines, and the mark.
fn read(path: &Path, mark: Mark) -> Option<(Vec<u64>, u64, Mark)> {
    let Opened::Here(mut reader) = Reader::<Word>::open(path, mark).expect("open") else {
        return None;
    };
    let mut found = Vec::new();
    while let Some(record) = reader.next(whose).expect("read") {
        found.push(record.seq);
    }
    Some((found, reader.bad(), reader.mark().clone()))
}

fn file(lines: &[Vec<u8>]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("1.journal");
    write_atomic(&path, &lines.concat()).expect("written");
    (folder, path)
}

#[test]
fn a_copy_of_another_journal_counts_for_nothing() {
    let (_folder, path) = file(&[line(1, Some("them")), line(2, None), line(3, None)]);
    let (found, bad, _) = read(&path, Mark::default()).expect("here");
    assert_eq!((found, bad), (vec![], 3));
}

#[test]
fn records_of_two_writers_are_told_apart_wherever_they_meet() {
    let lines = [
        line(1, Some("us")),
        line(2, None),
        line(1, Some("them")),
        line(2, None),
        line(3, None),
        line(4, None),
        line(3, None),
        line(5, None),
        line(4, None),
        line(6, None),
        line(5, None),
    ];
    let (_folder, path) = file(&lines);
    // 3 may be theirs or ours the first time: it follows their 2, so it is theirs.
    let (found, bad, end) = read(&path, Mark::default()).expect("here");
    assert_eq!((found, bad), (vec![1, 2, 3, 4, 5], 6));
    // Read line by line, from stored marks, it is the same.
    let (mut found, mut bad, mut mark) = (Vec::new(), 0, Mark::default());
    for count in 1..=lines.len() {
        write_atomic(&path, &lines[..count].concat()).expect("written");
        let (some, more, next) = read(&path, mark).expect("here");
        (found, bad, mark) = ([found, some].concat(), bad + more, next);
    }
    assert_eq!((found, bad, mark), (vec![1, 2, 3, 4, 5], 6, end));
}

#[test]
fn a_file_that_shrank_vanished_or_was_replaced_is_seen() {
    let (_folder, path) = file(&[line(1, Some("us")), line(2, None)]);
    let (_, _, mark) = read(&path, Mark::default()).expect("here");
    assert_eq!(read(&path, mark.clone()).expect("here").0, Vec::<u64>::new());
    write_atomic(&path, &line(1, Some("us"))).expect("written");
    assert_eq!(read(&path, mark.clone()), None);
    let other = [line(1, None), line(2, None), line(3, None)].concat();
    write_atomic(&path, &other).expect("written");
    assert_eq!(read(&path, mark.clone()), None);
    crate::layout::remove(&path).expect("removed");
    assert_eq!(read(&path, mark), None);
    assert!(read(&path, Mark::default()).is_some());
}

#[test]
fn a_line_longer_than_any_record_costs_itself_and_no_memory() {
    let long = [
        vec![b'x'; usize::try_from(Limit::RECORD.bytes).expect("small") + 100_000],
        b"\n".to_vec(),
    ]
    .concat();
    let (_folder, path) = file(&[line(1, Some("us")), long, line(2, None), vec![0, 255, 7]]);
    let (found, bad, _) = read(&path, Mark::default()).expect("here");
    assert_eq!((found, bad), (vec![1, 2], 1));
}

proptest! {
    #[test]
    fn it_finds_what_the_whole_file_at_once_gives(
        damage in proptest::collection::vec((0usize..2000, any::<u8>()), 0..6), cut in 0usize..2000,
    ) {
        let mut bytes: Vec<u8> = (1..=20).flat_map(|seq| line(seq, (seq == 1).then_some("us"))).collect();
        for (at, byte) in damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let cut = cut % bytes.len();
        let (_folder, path) = file(&[bytes[..cut].to_vec()]);
        let (first, bad_first, mark) = read(&path, Mark::default()).expect("here");
        write_atomic(&path, &bytes).expect("written");
        let Some((rest, bad_rest, _)) = read(&path, mark) else { return Ok(()) };
        prop_assert_eq!(([first, rest].concat(), bad_first + bad_rest), at_once(&bytes));
    }
}

/// The numbers of the records of a whole file, and the lines that are none.
fn at_once(bytes: &[u8]) -> (Vec<u64>, u64) {
    let (mut found, mut bad) = (Vec::new(), 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n').filter_map(|l| l.strip_suffix(b"\n")) {
        match decode::<Word>(line) {
            Some(record) if record.seq > found.last().copied().unwrap_or(0) => {
                found.push(record.seq)
            }
            Some(_) => {}
            None => bad += u64::from(!line.is_empty()),
        }
    }
    (found, bad)
}
