//! What earlier attempts at the same trial tell the next one.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use crate::event::{Event, Outcome, StopReason};
use crate::id::TrialId;
use crate::journal::{self, Record};
use crate::layout::{self, CheckpointFolder, CheckpointName, TrialFolder};

/// How the error of a trial without progress begins.
pub const NO_PROGRESS: &str = "no progress: ";

/// What earlier attempts left behind, beside checkpoints.
#[derive(Debug, Default)]
pub struct Past {
    /// The newest attempts in a row that brought no checkpoint, newest first.
    in_vain: Vec<u32>,
    /// Folders on nodes where checkpoints may lie.
    pub scratch: Vec<CheckpointFolder>,
    /// The newest checkpoint that was written on a node, the node and the folder.
    pub spilled: Option<(CheckpointName, String, PathBuf)>,
    /// Seconds of training of all of them, saved or not.
    pub worked: f64,
    /// Epochs that stand in a journal.
    pub epochs: BTreeSet<u64>,
}

/// What one attempt came to.
#[derive(Debug, PartialEq, Eq)]
enum Worth {
    /// It brought a checkpoint, or ended in a way that says nothing about progress.
    Some,
    /// It brought nothing.
    None,
    /// It left to another one.
    NoMatter,
}

impl Past {
    /// Reads the journals of all attempts before `attempt`, which has `time_left` seconds (none: no limit).
    ///
    /// # Errors
    /// When a journal cannot be read. One that is not there tells nothing.
    pub fn read(
        folder: &TrialFolder,
        trial: &TrialId,
        attempt: u32,
        time_left: Option<f64>,
    ) -> io::Result<Self> {
        let mut past = Self::default();
        let mut counting = true;
        // The journal of an attempt that was killed may not tell of its last checkpoint.
        let names = folder.checkpoints().names().unwrap_or_default();
        for number in folder.attempts()?.into_iter().rev().filter(|number| *number < attempt) {
            let records = journal::replay::<Event>(&folder.journal(number))?.records;
            past.places(trial, number, &records);
            past.worked += worked(&records);
            let has_saved = names.iter().any(|name| name.attempt == number);
            match if has_saved { Worth::Some } else { worth(&records) } {
                // With more time than it had there may be progress.
                Worth::None if had_less(&records, time_left) => {}
                Worth::None if counting => past.in_vain.push(number),
                Worth::Some => counting = false,
                _ => {}
            }
        }
        Ok(past)
    }

    /// Says whether the last attempt brought nothing. What was measured before it is then no reason
    /// not to begin.
    #[must_use]
    pub fn is_in_vain(&self) -> bool {
        !self.in_vain.is_empty()
    }

    /// After two in a row without a new checkpoint: returns why another attempt would be in vain, and what to do; nothing where it may help.
    #[must_use]
    pub fn no_progress(&self) -> Option<String> {
        let [newest, before, ..] = self.in_vain[..] else { return None };
        Some(format!(
            "{NO_PROGRESS}attempts {before} and {newest} ended without a new checkpoint; look at \
             `regatta logs`, give more time or a smaller budget.margin or checkpoint_every, then \
             `regatta retry`"
        ))
    }

    fn places(&mut self, trial: &TrialId, number: u32, records: &[Record<Event>]) {
        let mut host = String::new();
        for record in records {
            match &record.body {
                Event::Header { scratch: Some(scratch), uuid, host: on, .. } => {
                    host.clone_from(on);
                    let folder = layout::scratch_folder(scratch, trial, number, *uuid);
                    if folder.path().is_dir() {
                        self.scratch.push(folder);
                    }
                }
                Event::CheckpointWritten { name, folder: Some(folder), .. } => {
                    let stem = name.strip_suffix(".json").unwrap_or(name);
                    let newer = |name: &CheckpointName| {
                        self.spilled.as_ref().is_none_or(|(known, ..)| known < name)
                    };
                    if let Some(name) = CheckpointName::parse(stem).filter(newer) {
                        self.spilled = Some((name, host.clone(), folder.clone()));
                    }
                }
                Event::EpochEnded { epoch, .. } => drop(self.epochs.insert(*epoch)),
                _ => {}
            }
        }
    }
}

fn worth(records: &[Record<Event>]) -> Worth {
    let saved = |event: &Event| matches!(event, Event::CheckpointWritten { .. });
    if records.iter().any(|record| saved(&record.body)) {
        return Worth::Some;
    }
    let end = records.iter().rev().find_map(|record| match &record.body {
        Event::Ended { outcome, reason, .. } => Some((*outcome, *reason)),
        _ => None,
    });
    match end {
        // Killed, or its node died.
        None => Worth::None,
        Some((Outcome::Superseded, _)) => Worth::NoMatter,
        Some((Outcome::Stopped, Some(StopReason::Cancelled | StopReason::Interrupted))) => {
            Worth::Some
        }
        Some((Outcome::Stopped, _)) => Worth::None,
        // A failure is judged by policy, and after "no progress" somebody asked for more.
        Some(_) => Worth::Some,
    }
}

/// Says whether an attempt was given much less time than the one that asks.
fn had_less(records: &[Record<Event>], time_left: Option<f64>) -> bool {
    let given = records.iter().find_map(|record| match record.body {
        Event::Started { time_left, .. } => time_left,
        _ => None,
    });
    given.is_some_and(|given| time_left.is_none_or(|now| now >= 1.5 * given))
}

/// Says whether some attempt's journal tells that the trial was finished.
#[must_use]
pub fn tells_the_end(folder: &TrialFolder) -> bool {
    let is_end = |record: &Record<Event>| {
        matches!(record.body, Event::Ended { outcome: Outcome::Finished, .. })
    };
    let tells = |number: u32| {
        let found = journal::replay::<Event>(&folder.journal(number));
        found.is_ok_and(|found| found.records.iter().any(is_end))
    };
    folder.attempts().unwrap_or_default().into_iter().rev().any(tells)
}

/// Seconds from the beginning of training to the last sign of life.
fn worked(records: &[Record<Event>]) -> f64 {
    let began = records.iter().find(|record| matches!(record.body, Event::Started { .. }));
    let seconds = |began: &Record<Event>| Some(records.last()?.at.duration_since(began.at));
    began.and_then(seconds).map_or(0.0, |duration| duration.as_secs_f64().max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Cursor;
    use crate::journal::Writer;
    use jiff::Timestamp;

    fn ended(outcome: Outcome, reason: Option<StopReason>) -> Event {
        let cursor = Cursor::START;
        let (elapsed, time_left, seconds_to_leave, error) = (0.0, None, None, None);
        Event::Ended { outcome, reason, cursor, elapsed, time_left, seconds_to_leave, error }
    }

    fn saved() -> Event {
        let (name, cursor) = ("1-1.json".to_owned(), Cursor::START);
        Event::CheckpointWritten { name, cursor, seconds: 0.0, pause: 0.0, bytes: 0, folder: None }
    }

    fn past(attempts: &[&[Event]]) -> Past {
        let home = tempfile::tempdir().expect("folder");
        let folder = TrialFolder::new(home.path());
        layout::create_folder(&folder.claims()).expect("folder");
        for (number, events) in (1..).zip(attempts) {
            layout::create_exclusive(&folder.claim(number), b"{}").expect("claim");
            let mut writer = Writer::open(&folder.journal(number)).expect("journal");
            for event in *events {
                writer.append(Timestamp::UNIX_EPOCH, event, false).expect("append");
            }
        }
        let trial = "0123456789abcdef".parse().expect("id");
        Past::read(&folder, &trial, 99, Some(150.0)).expect("past")
    }

    fn started(time_left: f64) -> Event {
        Event::Started {
            cursor: Cursor::START,
            resumed_from: None,
            parameters: 1,
            device: "cpu".to_owned(),
            threads: 1,
            library: "toy".to_owned(),
            data: None,
            steps_per_epoch: 1,
            epochs: 1,
            time_left: Some(time_left),
            seconds_to_start: 0.0,
            elapsed_before: 0.0,
            differs: Vec::new(),
            expected: None,
            train_density: None,
        }
    }

    #[test]
    fn attempts_that_had_much_less_time_say_nothing_of_this_one() {
        let timed =
            |seconds| [started(seconds), ended(Outcome::Stopped, Some(StopReason::TimeBudget))];
        let (short, long) = (timed(100.0), timed(101.0));
        assert!(past(&[&short, &short]).no_progress().is_none(), "150 s are more");
        assert!(past(&[&long, &long]).no_progress().is_some());
        assert!(past(&[&long, &short, &long]).no_progress().is_some());
    }

    #[test]
    fn two_in_a_row_without_a_checkpoint_are_enough() {
        use Outcome::{Failed, Stopped, Superseded};
        let killed: &[Event] = &[];
        let timed = &[ended(Stopped, Some(StopReason::TimeBudget))][..];
        let superseded = &[ended(Superseded, Some(StopReason::Superseded))][..];
        let cancelled = &[ended(Stopped, Some(StopReason::Cancelled))][..];
        let gave_up = &[ended(Failed, None)][..];
        let good = &[saved(), ended(Stopped, Some(StopReason::Terminated))][..];
        let in_vain = |attempts: &[&[Event]]| past(attempts).no_progress().is_some();
        assert!(in_vain(&[good, killed, timed]));
        assert!(in_vain(&[timed, superseded, killed]), "one that left does not count");
        assert!(!in_vain(&[timed]) && !in_vain(&[timed, good]));
        assert!(!in_vain(&[timed, good, timed]), "not in a row");
        assert!(!in_vain(&[timed, timed, cancelled, timed]), "somebody stopped it");
        assert!(!in_vain(&[timed, timed, gave_up, timed]), "somebody wanted it tried again");
        let words = past(&[good, killed, timed]).no_progress().unwrap_or_default();
        assert!(words.starts_with("no progress: attempts 2 and 3 ended"), "{words}");
    }
}
