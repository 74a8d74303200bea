//! Attempts' journals, read into the database: those that may still grow, from the stored place on.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::acts::stamp;
use super::batch::{Batch, Cell};
use super::news::News;
use super::records::{Hand, Saved};
use super::rows::Rows;
use super::{StoreError, int, skew, summary, uint};
use crate::event::Event;
use crate::journal::{Mark, Opened, Whose};
use crate::layout::{SweepFolder, TrialFolder, may_be_there};

/// A trial whose attempts may have news.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) trial_id: i64,
    pub(super) sweep_id: i64,
    pub(super) identity: String,
    /// The number of its newest attempt, where that had its last word and only another attempt or submission
    /// could change how the trial stands.
    pub(super) settled_by: Option<u32>,
}

/// When the controller looked before, and when it looks now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looked {
    pub(super) before: Option<Timestamp>,
    pub(super) now: Timestamp,
}

/// Every question asks this of every sweep: each part has an index, and of the trials that finished or failed no row
/// is read. A finished trial has an attempt.
#[doc(hidden)]
pub const CANDIDATES: &str = "
    with open (trial_id) as (
        select trial_id from attempt where ended_at is null
        union select trial_id from attempt where journal_offset = 0),
    moving (trial_id, identity, state) as (
        select trial_id, identity, state from trial indexed by trial_open
            where sweep_id = ?1 and state < 'finished' and state <> 'finished'
        union all select trial_id, identity, state from trial indexed by trial_open
            where sweep_id = ?1 and state > 'finished' and state <> 'finished'
        union all select trial.trial_id, identity, state
            from open cross join trial on trial.trial_id = open.trial_id
            where trial.sweep_id = ?1 and state = 'finished')
    select json_group_array(json_array(trial_id, identity,
        case when state in ('failed', 'diverged') and trial_id not in open then
            (select max(number) from attempt where attempt.trial_id = moving.trial_id) end)
        order by identity)
    from moving";

/// The trials that may have news: those that are not finished, for what failed may have been started again
/// by hand; and those that were settled without an attempt's last word.
pub(super) async fn candidates(
    db: &mut SqliteConnection,
    sweep_id: i64,
) -> Result<Vec<Candidate>, StoreError> {
    let rows: Vec<(i64, String, Option<u32>)> =
        listed(sqlx::query_scalar(CANDIDATES).bind(sweep_id).fetch_one(db).await?)?;
    let candidate =
        |(trial_id, identity, settled_by)| Candidate { trial_id, sweep_id, identity, settled_by };
    Ok(rows.into_iter().map(candidate).collect())
}

/// Says whether a trial stands as it stood: its worker had the last word, and no attempt followed, which would claim
/// the next number. There may be thousands of such trials, so that each costs one look.
pub(super) fn rests(sweep: &SweepFolder, candidate: &Candidate) -> bool {
    let next = candidate.settled_by.and_then(|newest| newest.checked_add(1));
    let folder = || TrialFolder::new(sweep.path().join(&candidate.identity));
    next.is_some_and(|next| !may_be_there(&folder().claim(next)))
}

/// Rows that came as one JSON array: each row by itself would wake this thread once.
pub(super) fn listed<T: DeserializeOwned>(json: String) -> sqlx::Result<Vec<T>> {
    serde_json::from_str(&json).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// What the database knows of an attempt before its journal is read on.
#[derive(Clone, Debug)]
pub(super) struct Known {
    attempt_id: i64,
    mark: Mark,
    bad: u64,
    ended: bool,
    saved: Saved,
}

const COLUMNS: &str = "attempt_id, number, trial_id, journal_offset, journal_seq, journal_foreign, journal_head,
    journal_bad, ended_at is not null as has_ended, checkpoint, checkpoints, checkpoint_seconds, checkpoint_pause";

impl Known {
    fn new(row: &SqliteRow) -> sqlx::Result<Self> {
        let mark = Mark {
            offset: uint(row.try_get("journal_offset")?),
            seq: uint(row.try_get("journal_seq")?),
            foreign: row.try_get::<Option<i64>, _>("journal_foreign")?.map(uint),
            head: row.try_get("journal_head")?,
        };
        let saved = Saved {
            newest: row.try_get("checkpoint")?,
            count: row.try_get("checkpoints")?,
            seconds: row.try_get("checkpoint_seconds")?,
            pause: row.try_get("checkpoint_pause")?,
        };
        Ok(Self {
            attempt_id: row.try_get("attempt_id")?,
            mark,
            bad: uint(row.try_get("journal_bad")?),
            ended: row.try_get("has_ended")?,
            saved,
        })
    }

    /// Says whether nothing new can come. One that was not read since the database got new columns is read
    /// even after its end.
    fn is_told(&self) -> bool {
        self.ended && self.mark.offset > 0
    }
}

/// The attempts of a trial, by number.
type KnownOfTrial = BTreeMap<u32, Known>;

/// Attempts by trial.
pub(super) type AllKnown = HashMap<i64, KnownOfTrial>;

/// Returns the attempts of these trials that are known.
pub(super) async fn known(
    db: &mut SqliteConnection,
    trials: impl Iterator<Item = i64>,
) -> Result<AllKnown, StoreError> {
    let sql = format!(
        "select {COLUMNS} from json_each(?) wanted cross join attempt on attempt.trial_id = wanted.value"
    );
    let ids = serde_json::Value::from_iter(trials).to_string();
    let mut rows = Rows::new(sqlx::query(AssertSqlSafe(sql)).bind(ids).fetch(db));
    let mut known = AllKnown::new();
    while let Some(row) = rows.next().await? {
        let of_trial = known.entry(row.try_get("trial_id")?).or_default();
        of_trial.insert(row.try_get("number")?, Known::new(&row)?);
    }
    Ok(known)
}

/// Reads what is new of the attempts of some trials.
pub(super) async fn ingest(
    db: &mut SqliteConnection,
    sweep: &SweepFolder,
    candidates: &[&Candidate],
    mut known: AllKnown,
    looked: Looked,
    news: &mut News,
) -> Result<(), StoreError> {
    let mut claimed = Vec::new();
    for candidate in candidates {
        let folder = TrialFolder::new(sweep.path().join(&candidate.identity));
        match folder.attempts() {
            Ok(numbers) if numbers.is_empty() => {}
            Ok(numbers) => claimed.push((*candidate, folder, numbers)),
            Err(error) => news.unreadable(&folder.claims(), &error),
        }
    }
    make_rows(db, &claimed, &mut known).await?;
    let (mut batch, mut changed) = (Batch::default(), Vec::new());
    for (candidate, folder, numbers) in &claimed {
        let before = news.records;
        let mut reading = Reading { db, batch: &mut batch, candidate, folder, looked, news };
        if !reading.read(numbers, &known).await? {
            // An epoch may have been done by several attempts: all are read again.
            reading.news.records = before;
            reading.batch.write(reading.db).await?;
            forget(reading.db, candidate.trial_id).await?;
            known.remove(&candidate.trial_id);
            let these = [(*candidate, folder.clone(), numbers.clone())];
            make_rows(reading.db, &these, &mut known).await?;
            reading.read(numbers, &known).await?;
        }
        if news.records > before {
            changed.push(candidate.trial_id);
        }
    }
    batch.write(db).await?;
    match candidates.first() {
        Some(first) => Ok(summary::refresh(db, first.sweep_id, &changed).await?),
        None => Ok(()),
    }
}

/// Makes the rows of attempts that claimed these trials and are not known yet.
async fn make_rows(
    db: &mut SqliteConnection,
    claimed: &[(&Candidate, TrialFolder, Vec<u32>)],
    known: &mut AllKnown,
) -> Result<(), StoreError> {
    let mut missing = Vec::new();
    for (candidate, _, numbers) in claimed {
        let of_trial = known.get(&candidate.trial_id);
        let is_missing = |number: &&u32| !of_trial.is_some_and(|known| known.contains_key(*number));
        missing
            .extend(numbers.iter().filter(is_missing).map(|number| (candidate.trial_id, *number)));
    }
    if missing.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into attempt (trial_id, number) select value ->> 0, value ->> 1 from json_each(?) where true
         on conflict do nothing",
    )
    .bind(serde_json::json!(missing).to_string())
    .execute(&mut *db)
    .await?;
    missing.dedup_by_key(|(trial_id, _)| *trial_id);
    known.extend(self::known(db, missing.into_iter().map(|(trial_id, _)| trial_id)).await?);
    Ok(())
}

/// A trial whose journals are read.
struct Reading<'a> {
    db: &'a mut SqliteConnection,
    batch: &'a mut Batch,
    candidate: &'a Candidate,
    folder: &'a TrialFolder,
    looked: Looked,
    news: &'a mut News,
}

impl Reading<'_> {
    /// Reads on; returns whether every journal is the file that was read before.
    async fn read(&mut self, claimed: &[u32], known: &AllKnown) -> Result<bool, StoreError> {
        let Some(known) = known.get(&self.candidate.trial_id) else { return Ok(true) };
        for number in claimed {
            let Some(known) = known.get(number).filter(|known| !known.is_told()) else { continue };
            let path = self.folder.journal(*number);
            let mut reader = match self.news.open::<Event>(&path, known.mark.clone()) {
                Some(Opened::Here(reader)) => reader,
                Some(Opened::Changed) => return Ok(false),
                None => continue,
            };
            let owner = (self.candidate.identity.as_str(), *number);
            let mut saved = known.saved.clone();
            let mut dates: Option<(Timestamp, Timestamp)> = None;
            let whose = |event: &Event| Whose::of(event.owner(), &owner);
            while let Some(record) = self.news.next(&path, &mut reader, whose) {
                dates = Some((dates.map_or(record.at, |(first, _)| first), record.at));
                let mut hand = Hand {
                    batch: self.batch,
                    trial_id: self.candidate.trial_id,
                    attempt_id: known.attempt_id,
                    number: *number,
                    saved: &mut saved,
                };
                hand.apply(record);
                if self.batch.is_full() {
                    self.batch.write(self.db).await?;
                }
            }
            if *reader.mark() != known.mark {
                self.finish(known, reader.mark().clone(), reader.bad(), dates);
            }
        }
        Ok(true)
    }

    fn finish(
        &mut self,
        known: &Known,
        mark: Mark,
        bad: u64,
        dates: Option<(Timestamp, Timestamp)>,
    ) {
        let Looked { before, now } = self.looked;
        let mut set = |column, value: Cell| self.batch.set(known.attempt_id, column, value);
        set("journal_offset", int(mark.offset).into());
        set("journal_seq", int(mark.seq).into());
        set("journal_foreign", mark.foreign.map(int).into());
        set("journal_head", mark.head.into());
        set("journal_bad", int(known.bad + bad).into());
        let Some((first, last)) = dates else { return };
        set("seen_at", stamp(last).into());
        set("heard_at", stamp(now).into());
        if let Some(skew) = skew::measured(first, last, before, now) {
            set("skew", skew.into());
        }
    }
}

async fn forget(db: &mut SqliteConnection, trial_id: i64) -> sqlx::Result<()> {
    for sql in [
        "delete from attempt where trial_id = ?",
        "delete from epoch where trial_id = ?",
        "delete from summary where trial_id = ?",
    ] {
        sqlx::query(sql).bind(trial_id).execute(&mut *db).await?;
    }
    Ok(())
}
