//! Attempts' journals, read into the database: those that may still grow, from the stored place on.

use std::collections::HashSet;

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::acts::stamp;
use super::news::News;
use super::records::Hand;
use super::{StoreError, int, skew, summary, uint};
use crate::event::Event;
use crate::journal::{Mark, Opened, Whose};
use crate::layout::{SweepFolder, TrialFolder};

/// A trial whose attempts may have news.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) trial_id: i64,
    pub(super) sweep_id: i64,
    pub(super) identity: String,
}

/// When the controller looked before, and when it looks now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looked {
    pub(super) before: Option<Timestamp>,
    pub(super) now: Timestamp,
}

/// Every question asks this of every sweep: each part has an index, and of the trials no others are read. A
/// finished trial has an attempt.
#[doc(hidden)]
pub const CANDIDATES: &str = "
    with open (trial_id) as (
        select trial_id from trial where sweep_id = ?1 and state < 'finished'
        union select trial_id from trial where sweep_id = ?1 and state > 'finished'
        union select trial_id from attempt where ended_at is null
        union select trial_id from attempt where journal_offset = 0)
    select trial.trial_id, trial.identity
    from open cross join trial on trial.trial_id = open.trial_id
    where trial.sweep_id = ?1
    order by trial.identity";

/// The trials that may have news: those that are not finished, for what failed may have been started again
/// by hand; and those that were settled without an attempt's last word.
pub(super) async fn candidates(
    db: &mut SqliteConnection,
    sweep_id: i64,
) -> Result<Vec<Candidate>, StoreError> {
    let rows: Vec<(i64, String)> = sqlx::query_as(CANDIDATES).bind(sweep_id).fetch_all(db).await?;
    let candidate = |(trial_id, identity)| Candidate { trial_id, sweep_id, identity };
    Ok(rows.into_iter().map(candidate).collect())
}

/// Attempts of which nothing new can come: their last word is known. By trial and number.
pub(super) type Told = HashSet<(i64, u32)>;

/// Returns the attempts of these trials that have told their last word, so that a trial without news costs no
/// statement of its own. One that was not read since the database got new columns is none of them.
pub(super) async fn told(
    db: &mut SqliteConnection,
    candidates: &[Candidate],
) -> Result<Told, StoreError> {
    let ids: Vec<i64> = candidates.iter().map(|candidate| candidate.trial_id).collect();
    let rows: Vec<(i64, u32)> = sqlx::query_as(
        "select attempt.trial_id, attempt.number
         from json_each(?) wanted cross join attempt on attempt.trial_id = wanted.value
         where attempt.ended_at is not null and attempt.journal_offset > 0",
    )
    .bind(serde_json::Value::from(ids).to_string())
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Reads what is new of the attempts of a trial.
pub(super) async fn ingest(
    db: &mut SqliteConnection,
    sweep: &SweepFolder,
    candidate: &Candidate,
    told: &Told,
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
    if claimed.iter().all(|number| told.contains(&(candidate.trial_id, *number))) {
        return Ok(());
    }
    let before = news.records;
    if !read(db, &folder, candidate, &claimed, looked, news).await? {
        // An epoch may have been done by several attempts: all are read again.
        forget(db, candidate.trial_id).await?;
        news.records = before;
        read(db, &folder, candidate, &claimed, looked, news).await?;
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
    looked: Looked,
    news: &mut News,
) -> Result<bool, StoreError> {
    for number in claimed.iter().copied() {
        let (attempt_id, mark, ended) = row(db, candidate.trial_id, number).await?;
        // One that was not read since the database got new columns is read even so.
        if ended && mark.offset > 0 {
            continue;
        }
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

/// The row of an attempt, made where there is none: key, how far it was read, whether it ended.
async fn row(
    db: &mut SqliteConnection,
    trial_id: i64,
    number: u32,
) -> sqlx::Result<(i64, Mark, bool)> {
    sqlx::query("insert into attempt (trial_id, number) values (?, ?) on conflict do nothing")
        .bind(trial_id)
        .bind(number)
        .execute(&mut *db)
        .await?;
    type Columns = (i64, i64, i64, Option<i64>, Option<String>, bool);
    let (attempt_id, offset, seq, foreign, head, ended): Columns = sqlx::query_as(
        "select attempt_id, journal_offset, journal_seq, journal_foreign, journal_head,
             ended_at is not null
         from attempt where trial_id = ? and number = ?",
    )
    .bind(trial_id)
    .bind(number)
    .fetch_one(db)
    .await?;
    let mark = Mark { offset: uint(offset), seq: uint(seq), foreign: foreign.map(uint), head };
    Ok((attempt_id, mark, ended))
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
