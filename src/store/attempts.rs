//! Attempts' journals, read into the database: those that may still grow, from the stored place on.

use sqlx::SqliteConnection;

use super::acts::stamp;
use super::records::Hand;
use super::{StoreError, int, summary, uint};
use crate::event::Event;
use crate::journal;
use crate::layout::{SweepFolder, TrialFolder};

/// A trial whose attempts may have news.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) trial_id: i64,
    pub(super) sweep_id: i64,
    pub(super) identity: String,
}

/// The trials that may have news: those that are not settled, and those that were settled without
/// an attempt's last word.
pub(super) async fn candidates(
    db: &mut SqliteConnection,
    sweep_id: i64,
) -> Result<Vec<Candidate>, StoreError> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "select trial_id, identity from trial where sweep_id = ?1
             and (state not in ('finished', 'failed', 'diverged')
                  or trial_id in
                      (select trial_id from attempt where ended_at is null or journal_offset = 0)
                  or not exists (select 1 from attempt where attempt.trial_id = trial.trial_id))
         order by identity",
    )
    .bind(sweep_id)
    .fetch_all(db)
    .await?;
    let candidate = |(trial_id, identity)| Candidate { trial_id, sweep_id, identity };
    Ok(rows.into_iter().map(candidate).collect())
}

/// Reads what is new of the attempts of a trial. Returns how many records there were.
pub(super) async fn ingest(
    db: &mut SqliteConnection,
    sweep: &SweepFolder,
    candidate: &Candidate,
) -> Result<u64, StoreError> {
    let folder = TrialFolder::new(sweep.path().join(&candidate.identity));
    let claimed =
        folder.attempts().map_err(|source| StoreError::Read { path: folder.claims(), source })?;
    let mut records = 0;
    for number in claimed {
        let (attempt_id, offset, seq, ended) = row(db, candidate.trial_id, number).await?;
        // One that was not read since the database got new columns is read even so.
        if ended && offset > 0 {
            continue;
        }
        let path = folder.journal(number);
        let found = journal::read_from::<Event>(&path, uint(offset), uint(seq))
            .map_err(|source| StoreError::Read { path, source })?;
        if found.offset == uint(offset) {
            continue;
        }
        let mut hand = Hand { db, trial_id: candidate.trial_id, attempt_id, number };
        for record in &found.records {
            hand.apply(record).await?;
        }
        finish(db, attempt_id, &found).await?;
        records += found.records.len() as u64;
    }
    if records > 0 {
        summary::refresh(db, candidate.sweep_id, candidate.trial_id).await?;
    }
    Ok(records)
}

/// The row of an attempt, made where there is none: key, offset, newest record, whether it ended.
async fn row(
    db: &mut SqliteConnection,
    trial_id: i64,
    number: u32,
) -> sqlx::Result<(i64, i64, i64, bool)> {
    sqlx::query("insert into attempt (trial_id, number) values (?, ?) on conflict do nothing")
        .bind(trial_id)
        .bind(number)
        .execute(&mut *db)
        .await?;
    sqlx::query_as(
        "select attempt_id, journal_offset, journal_seq, ended_at is not null
         from attempt where trial_id = ? and number = ?",
    )
    .bind(trial_id)
    .bind(number)
    .fetch_one(db)
    .await
}

async fn finish(
    db: &mut SqliteConnection,
    attempt_id: i64,
    found: &journal::Replay<Event>,
) -> sqlx::Result<()> {
    let last = found.records.last();
    sqlx::query(
        "update attempt set journal_offset = ?, journal_seq = max(journal_seq, ?),
         journal_bad = journal_bad + ?, seen_at = coalesce(?, seen_at) where attempt_id = ?",
    )
    .bind(int(found.offset))
    .bind(last.map_or(0, |record| int(record.seq)))
    .bind(int(found.bad))
    .bind(last.map(|record| stamp(record.at)))
    .bind(attempt_id)
    .execute(db)
    .await?;
    Ok(())
}
