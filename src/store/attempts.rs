//! Attempts' journals, read into the database: those that may still grow, from the stored place on.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::acts::stamp;
use super::news::News;
use super::records::Hand;
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
        select trial_id, identity, state from trial where sweep_id = ?1 and state < 'finished'
        union all select trial_id, identity, state from trial where sweep_id = ?1 and state > 'finished'
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
    ended: bool,
}

/// Key, number within the trial, and trial of an attempt; how far its journal was read; whether it ended.
type Columns = (i64, u32, i64, i64, i64, Option<i64>, Option<String>, i64);

const COLUMNS: &str = "json_array(attempt_id, number, trial_id, journal_offset, journal_seq,
    journal_foreign, journal_head, ended_at is not null)";

impl Known {
    fn new((attempt_id, _, _, offset, seq, foreign, head, ended): Columns) -> Self {
        let mark = Mark { offset: uint(offset), seq: uint(seq), foreign: foreign.map(uint), head };
        Self { attempt_id, mark, ended: ended != 0 }
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

/// Returns the attempts of these trials that are known, so that those without news cost no statement each.
pub(super) async fn known(
    db: &mut SqliteConnection,
    candidates: &[Candidate],
) -> Result<AllKnown, StoreError> {
    let ids: Vec<i64> = candidates.iter().map(|candidate| candidate.trial_id).collect();
    let sql = format!(
        "select json_group_array({COLUMNS})
         from json_each(?) wanted cross join attempt on attempt.trial_id = wanted.value"
    );
    let ids = serde_json::Value::from(ids).to_string();
    let rows: Vec<Columns> =
        listed(sqlx::query_scalar(AssertSqlSafe(sql)).bind(ids).fetch_one(db).await?)?;
    let mut known = AllKnown::new();
    for row in rows {
        known.entry(row.2).or_default().insert(row.1, Known::new(row));
    }
    Ok(known)
}

/// Reads what is new of the attempts of a trial.
pub(super) async fn ingest(
    db: &mut SqliteConnection,
    sweep: &SweepFolder,
    candidate: &Candidate,
    known: &AllKnown,
    looked: Looked,
    news: &mut News,
) -> Result<(), StoreError> {
    let folder = TrialFolder::new(sweep.path().join(&candidate.identity));
    let claimed = match folder.attempts() {
        Ok(claimed) => claimed,
        Err(error) => {
            news.unreadable(&folder.claims(), &error);
            return Ok(());
        }
    };
    let before = news.records;
    let nothing = KnownOfTrial::new();
    let known = known.get(&candidate.trial_id).unwrap_or(&nothing);
    if !read(db, &folder, candidate, &claimed, known, looked, news).await? {
        // An epoch may have been done by several attempts: all are read again.
        forget(db, candidate.trial_id).await?;
        news.records = before;
        read(db, &folder, candidate, &claimed, &nothing, looked, news).await?;
    }
    if news.records > before {
        summary::refresh(db, candidate.sweep_id, candidate.trial_id).await?;
    }
    Ok(())
}

/// Reads on; returns whether every journal is the file that was read before.
async fn read(
    db: &mut SqliteConnection,
    folder: &TrialFolder,
    candidate: &Candidate,
    claimed: &[u32],
    known: &KnownOfTrial,
    looked: Looked,
    news: &mut News,
) -> Result<bool, StoreError> {
    for number in claimed.iter().copied() {
        let known = match known.get(&number) {
            Some(known) => known.clone(),
            None => row(db, candidate.trial_id, number).await?,
        };
        if known.is_told() {
            continue;
        }
        let Known { attempt_id, mark, .. } = known;
        let path = folder.journal(number);
        let begin = mark.clone();
        let mut reader = match news.open::<Event>(&path, mark) {
            Some(Opened::Here(reader)) => reader,
            Some(Opened::Changed) => return Ok(false),
            None => continue,
        };
        let owner = (candidate.identity.as_str(), number);
        let mut hand = Hand { db, trial_id: candidate.trial_id, attempt_id, number };
        let mut dates: Option<(Timestamp, Timestamp)> = None;
        let whose = |event: &Event| Whose::of(event.owner(), &owner);
        while let Some(record) = news.next(&path, &mut reader, whose) {
            hand.apply(&record).await?;
            dates = Some((dates.map_or(record.at, |(first, _)| first), record.at));
        }
        if *reader.mark() != begin {
            finish(db, attempt_id, reader.mark(), reader.bad(), dates, looked).await?;
        }
    }
    Ok(true)
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

/// What is known of an attempt; its row is made where there is none.
async fn row(db: &mut SqliteConnection, trial_id: i64, number: u32) -> sqlx::Result<Known> {
    sqlx::query("insert into attempt (trial_id, number) values (?, ?) on conflict do nothing")
        .bind(trial_id)
        .bind(number)
        .execute(&mut *db)
        .await?;
    let sql = format!("select {COLUMNS} from attempt where trial_id = ? and number = ?");
    let row: String =
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(trial_id).bind(number).fetch_one(db).await?;
    let row = serde_json::from_str(&row).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Known::new(row))
}

async fn finish(
    db: &mut SqliteConnection,
    attempt_id: i64,
    mark: &Mark,
    bad: u64,
    dates: Option<(Timestamp, Timestamp)>,
    looked: Looked,
) -> sqlx::Result<()> {
    let skew =
        dates.and_then(|(first, last)| skew::measured(first, last, looked.before, looked.now));
    sqlx::query(
        "update attempt set journal_offset = ?, journal_seq = ?, journal_foreign = ?,
         journal_head = ?, journal_bad = journal_bad + ?, seen_at = coalesce(?, seen_at),
         heard_at = coalesce(?, heard_at), skew = coalesce(?, skew) where attempt_id = ?",
    )
    .bind(int(mark.offset))
    .bind(int(mark.seq))
    .bind(mark.foreign.map(int))
    .bind(&mark.head)
    .bind(int(bad))
    .bind(dates.map(|(_, last)| stamp(last)))
    .bind(dates.map(|_| stamp(looked.now)))
    .bind(skew)
    .bind(attempt_id)
    .execute(db)
    .await?;
    Ok(())
}
