//! Everything about one trial.

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row};

use super::terms::Terms;
use super::trials::{trial_row, trials_sql};
use super::{AttemptRow, EpochRow, TrialDetail, TrialKey, WarningRow, WorkspaceRow, object};
use crate::metric::Objective;
use crate::query::Aggregate;
use crate::setting::complete;
use crate::store::evidence::moment;
use crate::store::{Store, StoreError, from_word, uint};

impl Store {
    /// Returns everything about a trial.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn show(&mut self, key: &TrialKey) -> Result<TrialDetail, StoreError> {
        let mut terms = Terms::new();
        let row = terms.bind(key.row);
        let measured = terms.metric(None, Aggregate::Best, None);
        let more = "trial.settings, sweep.metric, sweep.direction,";
        let sql = trials_sql(&measured, more, &format!("where trial.trial_id = {row}"));
        let row = sqlx::query_with(AssertSqlSafe(sql), terms.bound())
            .fetch_one(&mut self.connection)
            .await?;
        let direction: String = row.try_get("direction")?;
        let direction = from_word(&direction).unwrap_or_default();
        Ok(TrialDetail {
            row: trial_row(&row)?,
            objective: Objective { metric: row.try_get("metric")?, direction },
            settings: complete(&object(row.try_get("settings")?)),
            attempts_made: self.attempts(key).await?,
            history: self.history(key).await?,
            warnings: self.warnings(key).await?,
        })
    }

    async fn attempts(&mut self, key: &TrialKey) -> Result<Vec<AttemptRow>, StoreError> {
        let rows = sqlx::query(
            "select attempt.*, workspace, git_commit, git_dirty, diff_sha256
             from attempt join trial using (trial_id)
                 left join submission on submission.sweep_id = trial.sweep_id
                     and submission.token = attempt.token
             where trial_id = ? order by number",
        )
        .bind(key.row)
        .fetch_all(&mut self.connection)
        .await?;
        Ok(rows.iter().map(attempt_row).collect::<sqlx::Result<_>>()?)
    }

    async fn history(&mut self, key: &TrialKey) -> Result<Vec<EpochRow>, StoreError> {
        let rows = sqlx::query("select * from epoch where trial_id = ? order by epoch")
            .bind(key.row)
            .fetch_all(&mut self.connection)
            .await?;
        let epoch = |row: &SqliteRow| -> sqlx::Result<EpochRow> {
            Ok(EpochRow {
                epoch: uint(row.try_get("epoch")?),
                attempt: row.try_get("attempt")?,
                metrics: serde_json::from_str(row.try_get("metrics")?).unwrap_or_default(),
                train_seconds: row.try_get("train_seconds")?,
                eval_seconds: row.try_get("eval_seconds")?,
                images_per_second: row.try_get("images_per_second")?,
                weights_sha256: row.try_get("weights_sha256")?,
            })
        };
        Ok(rows.iter().map(epoch).collect::<sqlx::Result<_>>()?)
    }

    async fn warnings(&mut self, key: &TrialKey) -> Result<Vec<WarningRow>, StoreError> {
        let rows: Vec<(u32, String, String)> = sqlx::query_as(
            "select number, at, text from warning join attempt using (attempt_id)
             where trial_id = ? order by number, seq",
        )
        .bind(key.row)
        .fetch_all(&mut self.connection)
        .await?;
        let warning =
            |(attempt, at, text)| Some(WarningRow { attempt, at: moment(Some(at))?, text });
        Ok(rows.into_iter().filter_map(warning).collect())
    }
}

fn attempt_row(row: &SqliteRow) -> sqlx::Result<AttemptRow> {
    Ok(AttemptRow {
        number: row.try_get("number")?,
        token: row.try_get("token")?,
        origin: row.try_get("origin")?,
        restarts: row.try_get("restarts")?,
        host: row.try_get("host")?,
        device: row.try_get("device")?,
        threads: row.try_get("threads")?,
        library: row.try_get("library")?,
        worker_version: row.try_get("worker_version")?,
        surroundings: from_json(row.try_get("surroundings")?),
        workspace: workspace_row(row)?,
        scratch: row.try_get("scratch")?,
        resumed_from: row.try_get("resumed_from")?,
        differs: from_json(row.try_get("differs")?).unwrap_or_default(),
        started_at: moment(row.try_get("started_at")?),
        seen_at: moment(row.try_get("seen_at")?),
        ended_at: moment(row.try_get("ended_at")?),
        outcome: row.try_get("outcome")?,
        reason: row.try_get("reason")?,
        error: row.try_get("error")?,
        time_given: row.try_get("time_given")?,
        predicted_step: row.try_get("predicted_step")?,
        predicted_save: row.try_get("predicted_save")?,
        stop_time_left: row.try_get("stop_time_left")?,
        seconds_to_leave: row.try_get("seconds_to_leave")?,
        time_left_unused: row.try_get("time_left_unused")?,
        checkpoints: uint(row.try_get("checkpoints")?),
        checkpoint_bytes: row.try_get::<Option<i64>, _>("checkpoint_bytes")?.map(uint),
        checkpoint_seconds: row.try_get("checkpoint_seconds")?,
        checkpoint_pause: row.try_get("checkpoint_pause")?,
        elapsed_before: row.try_get("elapsed_before")?,
        elapsed: row.try_get("elapsed")?,
        bad_lines: uint(row.try_get("journal_bad")?),
    })
}

fn workspace_row(row: &SqliteRow) -> sqlx::Result<Option<WorkspaceRow>> {
    let Some(commit) = row.try_get("git_commit")? else { return Ok(None) };
    Ok(Some(WorkspaceRow {
        folder: row.try_get::<Option<String>, _>("workspace")?.unwrap_or_default(),
        commit,
        dirty: row.try_get::<Option<bool>, _>("git_dirty")?.unwrap_or_default(),
        diff_sha256: row.try_get("diff_sha256")?,
    }))
}

/// What makes no sense is nothing.
fn from_json<T: serde::de::DeserializeOwned>(text: Option<String>) -> Option<T> {
    serde_json::from_str(&text?).ok()
}
