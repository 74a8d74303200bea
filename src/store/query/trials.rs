//! The list of trials.

use futures_util::TryStreamExt;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{TrialRow, identity, object};
use crate::store::evidence::moment;
use crate::store::{Store, StoreError, TrialState, uint};

/// Columns of a [`TrialRow`]; followed by a `where` of the trials wanted.
macro_rules! select_trials {
    ($rest:literal) => {
        concat!(
            "select sweep.name, trial.identity, trial.state, trial.why, trial.seed, trial.repeat,
                    trial.parameters, trial.settings, trial.epochs, sweep.metric, sweep.direction,
                    (select count(*) from attempt
                     where attempt.trial_id = trial.trial_id) as attempts,
                    (select max(attempt.elapsed) from attempt
                     where attempt.trial_id = trial.trial_id) as elapsed,
                    (select max(attempt.heard_at) from attempt
                     where attempt.trial_id = trial.trial_id) as heard_at,
                    (select max(epoch.epoch) from epoch
                     where epoch.trial_id = trial.trial_id) as epochs_done,
                    iif(sweep.direction = 'minimize', summary.minimum, summary.maximum) as value,
                    iif(sweep.direction = 'minimize', summary.minimum_epoch,
                        summary.maximum_epoch) as epoch
             from trial
                 join sweep using (sweep_id)
                 left join summary on summary.trial_id = trial.trial_id
                     and summary.metric = sweep.metric
             ",
            $rest
        )
    };
}
pub(super) use select_trials;

impl Store {
    /// Lists the trials of these sweeps, of all for none, in the order of their plan.
    ///
    /// # Errors
    /// When there is no such sweep or the database fails.
    pub async fn trials(&mut self, sweeps: &[String]) -> Result<Vec<TrialRow>, StoreError> {
        let ids = serde_json::Value::from(self.sweeps(sweeps).await?).to_string();
        let mut rows = sqlx::query(select_trials!(
            "where trial.sweep_id in (select value from json_each(?))
             order by sweep.name, trial.trial_id"
        ))
        .bind(ids)
        .fetch(&mut self.connection);
        let mut found = Vec::new();
        while let Some(row) = rows.try_next().await? {
            found.push(trial_row(&row)?);
        }
        Ok(found)
    }
}

pub(super) fn trial_row(row: &SqliteRow) -> Result<TrialRow, StoreError> {
    let seed: i64 = row.try_get("seed")?;
    let state: String = row.try_get("state")?;
    Ok(TrialRow {
        sweep: row.try_get("name")?,
        trial: identity(row.try_get("identity")?)?,
        state: TrialState::from(state),
        why: row.try_get("why")?,
        seed: seed.cast_unsigned(),
        repeat: row.try_get("repeat")?,
        parameters: object(row.try_get("parameters")?),
        attempts: row.try_get("attempts")?,
        elapsed: row.try_get("elapsed")?,
        heard_at: moment(row.try_get("heard_at")?),
        epochs_done: row.try_get::<Option<i64>, _>("epochs_done")?.map_or(0, uint),
        epochs: row.try_get::<Option<i64>, _>("epochs")?.map(uint),
        value: row.try_get("value")?,
        epoch: row.try_get::<Option<i64>, _>("epoch")?.map(uint),
    })
}
