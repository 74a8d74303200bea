//! How sweeps stand: counts by state, progress of what is under way.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Progress, SweepStatus, identity, object};
use crate::metric::{Direction, Objective};
use crate::store::evidence::moment;
use crate::store::{Store, StoreError, TrialState, from_word, uint};

impl Store {
    /// Returns how these sweeps stand, all for none.
    ///
    /// # Errors
    /// When there is no such sweep or the database fails.
    pub async fn status(&mut self, sweeps: &[String]) -> Result<Vec<SweepStatus>, StoreError> {
        let mut all = Vec::new();
        for sweep_id in self.sweeps(sweeps).await? {
            let mut status = self.sweep_status(sweep_id).await?;
            status.progress = self.progress(sweep_id).await?;
            let SweepStatus { sweep, progress, .. } = &mut status;
            let told = progress.iter_mut().map(|one| (&**sweep, &one.trial, &mut one.parameters));
            self.add_changed(&format!("[{sweep_id}]"), told).await?;
            all.push(status);
        }
        Ok(all)
    }

    /// Returns the same without `progress`, which costs the most.
    ///
    /// # Errors
    /// As for [`Store::status`].
    pub async fn overview(&mut self, sweeps: &[String]) -> Result<Vec<SweepStatus>, StoreError> {
        let mut all = Vec::new();
        for sweep_id in self.sweeps(sweeps).await? {
            all.push(self.sweep_status(sweep_id).await?);
        }
        Ok(all)
    }

    /// Says whether a sweep may have changed beside its journals: something was submitted, and not
    /// every trial has come to its end.
    ///
    /// # Errors
    /// When there is no such sweep or the database fails.
    pub async fn may_move(&mut self, sweep: &str) -> Result<bool, StoreError> {
        let sweep_id = self.sweep(sweep).await?;
        let may_move: bool = sqlx::query_scalar(
            "select exists (select 1 from submission where sweep_id = ?1)
                and exists (select 1 from trial where sweep_id = ?1 and (state < 'cancelled'
                    or state > 'cancelled' and state < 'diverged'
                    or state > 'diverged' and state < 'finished' or state > 'finished'))",
        )
        .bind(sweep_id)
        .fetch_one(&mut self.connection)
        .await?;
        Ok(may_move)
    }

    async fn sweep_status(&mut self, sweep_id: i64) -> Result<SweepStatus, StoreError> {
        let (sweep, metric, direction, at): (String, String, String, Option<String>) =
            sqlx::query_as(
                "select name, metric, direction, collected_at from sweep where sweep_id = ?",
            )
            .bind(sweep_id)
            .fetch_one(&mut self.connection)
            .await?;
        let direction: Direction = from_word(&direction).unwrap_or_default();
        let (maximum, minimum): (Option<f64>, Option<f64>) = sqlx::query_as(
            "select (select max(maximum) from summary where sweep_id = ?1 and metric = ?2),
                    (select min(minimum) from summary where sweep_id = ?1 and metric = ?2)",
        )
        .bind(sweep_id)
        .bind(&metric)
        .fetch_one(&mut self.connection)
        .await?;
        let states = self.state_counts(sweep_id).await?;
        Ok(SweepStatus {
            sweep,
            objective: Objective { metric, direction },
            trials: states.iter().map(|(_, count)| count).sum(),
            states,
            progress: Vec::new(),
            best: if direction == Direction::Maximize { maximum } else { minimum },
            as_of: moment(at),
        })
    }

    async fn state_counts(&mut self, sweep_id: i64) -> Result<Vec<(TrialState, u64)>, StoreError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("select state, count(*) from trial where sweep_id = ? group by state")
                .bind(sweep_id)
                .fetch_all(&mut self.connection)
                .await?;
        let mut states: Vec<_> =
            rows.into_iter().map(|(state, count)| (TrialState::from(state), uint(count))).collect();
        states.sort();
        Ok(states)
    }

    /// Trials that began and are not over. The time of an epoch is the mean of the newest five.
    async fn progress(&mut self, sweep_id: i64) -> Result<Vec<Progress>, StoreError> {
        // Each part has a range of the index: of those that are over no row is read.
        let rows = sqlx::query(
            "with live (trial_id) as (
                 select trial_id from trial where sweep_id = ?1 and state in ('running', 'waiting')
                 union all select trial_id from trial
                 where sweep_id = ?1 and state >= 'unknown(' and state < 'unknown)')
             select trial.identity, trial.state, trial.why, trial.seed, trial.repeat,
                    trial.parameters, trial.epochs,
                    attempt.number, attempt.seen_at, attempt.host, attempt.remaining,
                    iif(attempt.ended_at is null, attempt.started_at, null) as started_at,
                    attempt.seconds_to_start + attempt.time_given as seconds_given,
                    (select max(epoch.epoch) from epoch
                     where epoch.trial_id = trial.trial_id) as epochs_done,
                    (select avg(seconds) from
                        (select train_seconds + eval_seconds as seconds from epoch
                         where epoch.trial_id = trial.trial_id
                         order by epoch.epoch desc limit 5)) as seconds_per_epoch
             from live cross join trial on trial.trial_id = live.trial_id
                 left join attempt on attempt.trial_id = trial.trial_id and attempt.number =
                     (select max(number) from attempt a where a.trial_id = trial.trial_id
                          and a.outcome is not 'superseded')
             order by epochs_done desc, trial.trial_id",
        )
        .bind(sweep_id)
        .fetch_all(&mut self.connection)
        .await?;
        rows.iter().map(progress_row).collect()
    }
}

fn progress_row(row: &SqliteRow) -> Result<Progress, StoreError> {
    let state: String = row.try_get("state")?;
    let epochs_done = row.try_get::<Option<i64>, _>("epochs_done")?.map_or(0, uint);
    let epochs = row.try_get::<Option<i64>, _>("epochs")?.map(uint);
    let seconds_per_epoch: Option<f64> = row.try_get("seconds_per_epoch")?;
    let own: Option<f64> = row.try_get("remaining")?;
    Ok(Progress {
        trial: identity(row.try_get("identity")?)?,
        state: TrialState::from(state),
        why: row.try_get("why")?,
        seed: row.try_get::<i64, _>("seed")?.cast_unsigned(),
        repeat: row.try_get("repeat")?,
        parameters: object(row.try_get("parameters")?),
        attempt: row.try_get("number")?,
        epochs_done,
        epochs,
        seconds_per_epoch,
        remaining: estimate(epochs_done, epochs, seconds_per_epoch).or(own),
        attempt_ends_at: end_of(moment(row.try_get("started_at")?), row.try_get("seconds_given")?),
        seen_at: moment(row.try_get("seen_at")?),
        host: row.try_get("host")?,
    })
}

/// Seconds for the epochs that are left.
#[expect(clippy::cast_precision_loss, reason = "numbers of epochs are small")]
fn estimate(done: u64, epochs: Option<u64>, seconds: Option<f64>) -> Option<f64> {
    Some(epochs?.saturating_sub(done) as f64 * seconds?)
}

/// The moment at which the time of an attempt is up.
fn end_of(start: Option<Timestamp>, seconds: Option<f64>) -> Option<Timestamp> {
    let given = Duration::try_from_secs_f64(seconds?).ok()?;
    start?.checked_add(given).ok()
}
