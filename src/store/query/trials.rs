//! The list of trials.

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row};

use super::terms::{Measured, Terms};
use super::{Selector, TrialRow, identity, object};
use crate::store::evidence::moment;
use crate::store::{Store, StoreError, TrialState, uint};

/// Asks for what a [`TrialRow`] has, with a value and its epoch, of the trials that a `where` says.
pub(super) fn trials_sql(of: &Measured, rest: &str) -> String {
    let Measured { value, epoch } = of;
    format!(
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
                {value} as value, {epoch} as epoch
         from trial join sweep using (sweep_id)
         {rest}"
    )
}

impl Store {
    /// Lists the trials of these sweeps, of all for none, in the order of their plan.
    ///
    /// # Errors
    /// When there is no such sweep or the database fails.
    pub async fn trials(&mut self, sweeps: &[String]) -> Result<Vec<TrialRow>, StoreError> {
        let selector = Selector { sweeps: sweeps.to_vec(), ..Selector::default() };
        Ok(self.trials_of(&selector).await?.0)
    }

    /// Lists the trials that are asked about, and returns how many there are without `selector.top`. Where
    /// no metric is named, a trial's value is that of its sweep's objective; where no order is given, they
    /// come in that of their plan.
    ///
    /// # Errors
    /// When there is no such sweep, nobody recorded the metric, or the database fails.
    pub async fn trials_of(
        &mut self,
        selector: &Selector,
    ) -> Result<(Vec<TrialRow>, u64), StoreError> {
        let ids = serde_json::Value::from(self.sweeps(&selector.sweeps).await?).to_string();
        if let Some(metric) = &selector.metric {
            self.check_recorded(&ids, metric).await?;
        }
        let Selector { metric, direction, aggregate, .. } = selector;
        let kept = self.kept(&ids, selector.filter.as_ref()).await?;
        let mut terms = Terms::new();
        let (listed, limit) = (terms.bind(ids), terms.bind(selector.top.map_or(-1, i64::from)));
        let measured = terms.metric(metric.as_deref(), *aggregate, *direction);
        let filter = terms.kept("trial.trial_id", &kept);
        let order = terms.order(&selector.order);
        let rest = format!(
            "where trial.sweep_id in (select value from json_each({listed})) and {filter}
             order by {order} sweep.name, trial.trial_id limit {limit}"
        );
        let sql = AssertSqlSafe(trials_sql(&measured, &rest));
        let mut rows = sqlx::query_with(sql, terms.bound()).fetch(&mut self.connection);
        let mut found = Vec::new();
        while let Some(row) = rows.try_next().await? {
            found.push(trial_row(&row)?);
        }
        drop(rows);
        Ok((found, kept.trials))
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
