//! Records of an attempt's journal, written into its row and those that belong to it.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::acts::stamp;
use super::plan_file::optional;
use super::{StoreError, int, word};
use crate::event::{Cursor, Event};
use crate::journal::Record;

/// Writes the records of one attempt.
#[derive(Debug)]
pub(super) struct Hand<'a> {
    pub(super) db: &'a mut SqliteConnection,
    pub(super) trial_id: i64,
    pub(super) attempt_id: i64,
    pub(super) number: u32,
}

impl Hand<'_> {
    /// Takes a record. One that was taken before must not be given again: sums would count it twice.
    pub(super) async fn apply(&mut self, record: &Record<Event>) -> Result<(), StoreError> {
        match &record.body {
            header @ Event::Header { .. } => self.header(header, record.at).await?,
            started @ Event::Started { .. } => self.started(started).await?,
            epoch @ Event::EpochEnded { .. } => self.epoch(epoch, record.at).await?,
            Event::CheckpointWritten { name, seconds, pause, bytes, .. } => {
                // A best epoch that had to wait is written after a newer state: the highest counts.
                sqlx::query(
                    "update attempt set checkpoint = iif(checkpoint is null
                         or (length(?1), ?1) > (length(checkpoint), checkpoint), ?1, checkpoint),
                     checkpoint_bytes = ?2,
                     checkpoints = checkpoints + 1, checkpoint_seconds = checkpoint_seconds + ?3,
                     checkpoint_pause = checkpoint_pause + ?4 where attempt_id = ?5",
                )
                .bind(name)
                .bind(int(*bytes))
                .bind(*seconds)
                .bind(*pause)
                .bind(self.attempt_id)
                .execute(&mut *self.db)
                .await?;
            }
            Event::CheckpointFailed { cursor, error, .. } => {
                let text = format!("failed to save a checkpoint at {cursor}: {error}");
                self.warning(record, &text).await?;
            }
            Event::Heartbeat { cursor, loss, remaining } => {
                sqlx::query(
                    "update attempt set epoch = ?, step = ?, loss = ?, remaining = ?
                     where attempt_id = ?",
                )
                .bind(int(cursor.epoch))
                .bind(int(cursor.step))
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
            Event::RolledBack { .. } | Event::EndedEarly { .. } => {
                self.warning(record, &record.body.words()).await?;
            }
            Event::Warning { text } => self.warning(record, text).await?,
            Event::StopRequested { reason, cursor, predicted, predicted_save, time_left } => {
                self.cursor(*cursor).await?;
                sqlx::query(
                    "update attempt set stop_reason = ?, predicted_step = ?, predicted_save = ?,
                     stop_time_left = ? where attempt_id = ?",
                )
                .bind(word(reason))
                .bind(*predicted)
                .bind(*predicted_save)
                .bind(*time_left)
                .bind(self.attempt_id)
                .execute(&mut *self.db)
                .await?;
            }
            ended @ Event::Ended { .. } => self.ended(ended, record.at).await?,
            surroundings @ Event::Surroundings { .. } => self.surroundings(surroundings).await?,
            Event::StepEnded { .. } | Event::CheckpointBegun { .. } | Event::Unknown => {}
        }
        Ok(())
    }

    async fn header(&mut self, event: &Event, at: Timestamp) -> sqlx::Result<()> {
        let Event::Header { uuid, token, origin, host, pid, worker_version, scratch, .. } = event
        else {
            return Ok(());
        };
        sqlx::query(
            "update attempt set uuid = ?, token = ?, origin = ?, host = ?, pid = ?,
             worker_version = ?, scratch = ?, restarts = ?, started_at = ? where attempt_id = ?",
        )
        .bind(uuid.to_string())
        .bind(token.map(|token| token.to_string()))
        .bind(origin)
        .bind(host)
        .bind(*pid)
        .bind(worker_version)
        .bind(scratch.as_ref().map(|folder| folder.to_string_lossy().into_owned()))
        .bind(restarts(origin))
        .bind(stamp(at))
        .bind(self.attempt_id)
        .execute(&mut *self.db)
        .await?;
        Ok(())
    }

    async fn surroundings(&mut self, event: &Event) -> sqlx::Result<()> {
        let mut json = serde_json::json!(event);
        if let Some(object) = json.as_object_mut() {
            object.remove("event");
        }
        sqlx::query("update attempt set surroundings = ? where attempt_id = ?")
            .bind(json.to_string())
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
            threads,
            time_left,
            elapsed_before,
            differs,
            expected: _,
            train_density: _,
        } = event
        else {
            return Ok(());
        };
        sqlx::query(
            "update attempt set resumed_from = ?, weights = ?, device = ?, library = ?,
             data_sha256 = ?, val_sha256 = ?, steps_per_epoch = ?, epochs = ?, seconds_to_start = ?, threads = ?,
             time_given = ?, elapsed_before = ?, differs = ? where attempt_id = ?",
        )
        .bind(resumed_from.as_deref())
        .bind(int(*parameters))
        .bind(device)
        .bind(library)
        .bind(data.as_ref().map(|data| &data.sha256))
        .bind(data.as_ref().and_then(|data| data.val_sha256.as_deref()))
        .bind(int(*steps_per_epoch))
        .bind(int(*epochs))
        .bind(*seconds_to_start)
        .bind(*threads)
        .bind(*time_left)
        .bind(*elapsed_before)
        .bind((!differs.is_empty()).then(|| serde_json::json!(differs).to_string()))
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
        sqlx::query(
            "update attempt set weights_sha256 = ?, epoch = ?, step = 0 where attempt_id = ?",
        )
        .bind(weights_sha256)
        .bind(int(epoch.saturating_add(1)))
        .bind(self.attempt_id)
        .execute(&mut *self.db)
        .await?;
        Ok(())
    }

    async fn ended(&mut self, event: &Event, at: Timestamp) -> sqlx::Result<()> {
        let Event::Ended { outcome, reason, cursor, elapsed, error, time_left, seconds_to_leave } =
            event
        else {
            return Ok(());
        };
        sqlx::query(
            "update attempt set outcome = ?, reason = ?, error = ?, elapsed = ?, remaining = null,
             time_left_unused = ?, seconds_to_leave = ?, ended_at = ? where attempt_id = ?",
        )
        .bind(word(outcome))
        .bind(reason.map(word))
        .bind(error.as_deref())
        .bind(*elapsed)
        .bind(*time_left)
        .bind(*seconds_to_leave)
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

/// Starts of the job before this one, as an origin such as `slurm:123_4:1` tells.
fn restarts(origin: &str) -> Option<u32> {
    let mut parts = origin.rsplitn(2, ':');
    let count = parts.next()?.parse().ok()?;
    parts.next()?.contains(':').then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_origin_with_a_job_tells_of_restarts() {
        let told = ["slurm:123_4:1", "local:0190:a_2:0", "by hand", "by hand: 3", "slurm:123_4"];
        assert_eq!(told.map(restarts), [Some(1), Some(0), None, None, None]);
    }
}
