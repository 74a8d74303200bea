//! Attempts' journals, read into the database: those that may still grow, from the stored place on.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::acts::stamp;
use super::plan_file::optional;
use super::{StoreError, int, summary, uint, word};
use crate::event::{Cursor, Event};
use crate::journal::{self, Record};
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
                  or trial_id in (select trial_id from attempt where ended_at is null)
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
        if ended {
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

/// Writes the records of one attempt.
struct Hand<'a> {
    db: &'a mut SqliteConnection,
    trial_id: i64,
    attempt_id: i64,
    number: u32,
}

impl Hand<'_> {
    async fn apply(&mut self, record: &Record<Event>) -> Result<(), StoreError> {
        match &record.body {
            header @ Event::Header { .. } => self.header(header, record.at).await?,
            started @ Event::Started { .. } => self.started(started).await?,
            epoch @ Event::EpochEnded { .. } => self.epoch(epoch, record.at).await?,
            Event::CheckpointWritten { name, .. } => {
                // A best epoch that had to wait is written after a newer state: the highest counts.
                sqlx::query(
                    "update attempt set checkpoint = ?1 where attempt_id = ?2 and (checkpoint is null
                     or (length(?1), ?1) > (length(checkpoint), checkpoint))",
                )
                    .bind(name)
                    .bind(self.attempt_id)
                    .execute(&mut *self.db)
                    .await?;
            }
            Event::CheckpointFailed { cursor, error, .. } => {
                let text = format!("failed to save a checkpoint at {cursor}: {error}");
                self.warning(record, &text).await?;
            }
            Event::Heartbeat { cursor, loss, remaining } => {
                self.cursor(*cursor).await?;
                sqlx::query("update attempt set loss = ?, remaining = ? where attempt_id = ?")
                    .bind(*loss)
                    .bind(*remaining)
                    .bind(self.attempt_id)
                    .execute(&mut *self.db)
                    .await?;
            }
            Event::Sample { metrics } => {
                let json = serde_json::to_string(metrics).unwrap_or_default();
                let sql = "insert into sample (attempt_id, seq, at, metrics) values (?, ?, ?, ?)
                           on conflict do nothing";
                self.dated(sql, record, &json).await?;
            }
            Event::Warning { text } => self.warning(record, text).await?,
            Event::StopRequested { reason, cursor, .. } => {
                self.cursor(*cursor).await?;
                sqlx::query("update attempt set stop_reason = ? where attempt_id = ?")
                    .bind(word(reason))
                    .bind(self.attempt_id)
                    .execute(&mut *self.db)
                    .await?;
            }
            ended @ Event::Ended { .. } => self.ended(ended, record.at).await?,
            Event::Surroundings { .. }
            | Event::StepEnded { .. }
            | Event::CheckpointBegun { .. }
            | Event::Unknown => {}
        }
        Ok(())
    }

    async fn header(&mut self, event: &Event, at: Timestamp) -> sqlx::Result<()> {
        let Event::Header { uuid, token, origin, host, pid, worker_version, .. } = event else {
            return Ok(());
        };
        sqlx::query(
            "update attempt set uuid = ?, token = ?, origin = ?, host = ?, pid = ?,
             worker_version = ?, started_at = ? where attempt_id = ?",
        )
        .bind(uuid.to_string())
        .bind(token.map(|token| token.to_string()))
        .bind(origin)
        .bind(host)
        .bind(*pid)
        .bind(worker_version)
        .bind(stamp(at))
        .bind(self.attempt_id)
        .execute(&mut *self.db)
        .await?;
        Ok(())
    }

    async fn started(&mut self, event: &Event) -> sqlx::Result<()> {
        let Event::Started {
            cursor,
            resumed_from,
            parameters,
            device,
            library,
            data,
            steps_per_epoch,
            epochs,
            seconds_to_start,
            ..
        } = event
        else {
            return Ok(());
        };
        sqlx::query(
            "update attempt set resumed_from = ?, weights = ?, device = ?, library = ?,
             data_sha256 = ?, steps_per_epoch = ?, epochs = ?, seconds_to_start = ?
             where attempt_id = ?",
        )
        .bind(resumed_from.as_deref())
        .bind(int(*parameters))
        .bind(device)
        .bind(library)
        .bind(data.as_ref().map(|data| &data.sha256))
        .bind(int(*steps_per_epoch))
        .bind(int(*epochs))
        .bind(*seconds_to_start)
        .bind(self.attempt_id)
        .execute(&mut *self.db)
        .await?;
        self.cursor(*cursor).await
    }

    async fn epoch(&mut self, event: &Event, at: Timestamp) -> sqlx::Result<()> {
        let Event::EpochEnded {
            epoch,
            step,
            metrics,
            weights_sha256,
            train_seconds,
            eval_seconds,
            images_per_second,
            is_best,
        } = event
        else {
            return Ok(());
        };
        // Two attempts may have done the same epoch: the newer one's counts.
        sqlx::query(
            "insert into epoch (trial_id, epoch, attempt, step, at, metrics, weights_sha256,
                 train_seconds, eval_seconds, images_per_second, is_best)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             on conflict (trial_id, epoch) do update set
                 attempt = excluded.attempt, step = excluded.step, at = excluded.at,
                 metrics = excluded.metrics, weights_sha256 = excluded.weights_sha256,
                 train_seconds = excluded.train_seconds, eval_seconds = excluded.eval_seconds,
                 images_per_second = excluded.images_per_second, is_best = excluded.is_best
             where excluded.attempt > epoch.attempt
                or (excluded.attempt = epoch.attempt and excluded.step > epoch.step)",
        )
        .bind(self.trial_id)
        .bind(int(*epoch))
        .bind(self.number)
        .bind(int(*step))
        .bind(stamp(at))
        .bind(serde_json::to_string(metrics).unwrap_or_default())
        .bind(weights_sha256)
        .bind(*train_seconds)
        .bind(*eval_seconds)
        .bind(*images_per_second)
        .bind(*is_best)
        .execute(&mut *self.db)
        .await?;
        sqlx::query("update attempt set weights_sha256 = ? where attempt_id = ?")
            .bind(weights_sha256)
            .bind(self.attempt_id)
            .execute(&mut *self.db)
            .await?;
        self.cursor(Cursor { epoch: epoch + 1, step: 0 }).await
    }

    async fn ended(&mut self, event: &Event, at: Timestamp) -> sqlx::Result<()> {
        let Event::Ended { outcome, reason, cursor, elapsed, error, .. } = event else {
            return Ok(());
        };
        sqlx::query(
            "update attempt set outcome = ?, reason = ?, error = ?, elapsed = ?, remaining = null,
             ended_at = ? where attempt_id = ?",
        )
        .bind(word(outcome))
        .bind(reason.map(word))
        .bind(error.as_deref())
        .bind(*elapsed)
        .bind(stamp(at))
        .bind(self.attempt_id)
        .execute(&mut *self.db)
        .await?;
        self.cursor(*cursor).await
    }

    async fn cursor(&mut self, cursor: Cursor) -> sqlx::Result<()> {
        sqlx::query("update attempt set epoch = ?, step = ? where attempt_id = ?")
            .bind(optional(Some(cursor.epoch)))
            .bind(optional(Some(cursor.step)))
            .bind(self.attempt_id)
            .execute(&mut *self.db)
            .await?;
        Ok(())
    }

    async fn warning(&mut self, record: &Record<Event>, text: &str) -> sqlx::Result<()> {
        let sql = "insert into warning (attempt_id, seq, at, text) values (?, ?, ?, ?)
                   on conflict do nothing";
        self.dated(sql, record, text).await
    }

    async fn dated(
        &mut self,
        sql: &'static str,
        record: &Record<Event>,
        text: &str,
    ) -> sqlx::Result<()> {
        sqlx::query(sql)
            .bind(self.attempt_id)
            .bind(int(record.seq))
            .bind(stamp(record.at))
            .bind(text)
            .execute(&mut *self.db)
            .await?;
        Ok(())
    }
}
