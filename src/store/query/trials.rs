//! The list of trials.

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row};

use super::terms::{EPOCHS_DONE, Kept, Measured, Terms};
use super::{Selector, TrialRow, identity, object};
use crate::store::evidence::moment;
use crate::store::rows::Rows;
use crate::store::{Store, StoreError, TrialState, uint};

/// Asks for what a [`TrialRow`] has, with a value and its epoch, and for `more` (a comma behind each), of
/// the trials that a `where` says.
pub(super) fn trials_sql(of: &Measured, more: &str, rest: &str) -> String {
    let Measured { value, epoch } = of;
    format!(
        "select {more} sweep.name, trial.identity, trial.state, trial.why, trial.seed, trial.repeat,
                trial.parameters, trial.epochs,
                (select count(*) from attempt
                 where attempt.trial_id = trial.trial_id) as attempts,
                (select max(attempt.elapsed) from attempt
                 where attempt.trial_id = trial.trial_id) as elapsed,
                (select max(attempt.heard_at) from attempt
                 where attempt.trial_id = trial.trial_id) as heard_at,
                {EPOCHS_DONE} as epochs_done, {value} as value, {epoch} as epoch
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
        let asked = self.asked(selector).await?;
        let Selector { metric, direction, aggregate, .. } = selector;
        let mut terms = Terms::new();
        let measured = terms.metric(metric.as_deref(), *aggregate, *direction);
        let rest = asked.rest(&mut terms, selector);
        let sql = AssertSqlSafe(trials_sql(&measured, "", &rest));
        let rows = sqlx::query_with(sql, terms.bound()).fetch(&mut self.connection);
        let mut rows = Rows::new(rows);
        let mut found = Vec::new();
        while let Some(row) = rows.next().await? {
            found.push(trial_row(&row)?);
        }
        drop(rows);
        let told = found
            .iter_mut()
            .map(|row: &mut TrialRow| (row.sweep.as_str(), &row.trial, &mut row.parameters));
        self.add_changed(&asked.sweeps, told).await?;
        Ok((found, asked.kept.trials))
    }

    /// Finds which trials a list is about.
    pub(super) async fn asked(&mut self, selector: &Selector) -> Result<Asked, StoreError> {
        let sweeps = serde_json::Value::from(self.sweeps(&selector.sweeps).await?).to_string();
        if let Some(metric) = &selector.metric {
            self.check_recorded(&sweeps, metric).await?;
        }
        let kept = self.kept(&sweeps, selector.filter.as_ref()).await?;
        Ok(Asked { sweeps, kept })
    }
}

/// The trials that a list is about.
pub(super) struct Asked {
    /// Keys of their sweeps, a JSON array.
    sweeps: String,
    /// Those of them that a filter lets through.
    pub(super) kept: Kept,
}

impl Asked {
    /// Which trials, in which order, how many.
    pub(super) fn rest(&self, terms: &mut Terms, selector: &Selector) -> String {
        let listed = terms.bind(self.sweeps.clone());
        let limit = terms.bind(selector.top.map_or(-1, i64::from));
        let filter = terms.kept("trial.trial_id", &self.kept);
        let order = terms.order(&selector.order);
        format!(
            "where trial.sweep_id in (select value from json_each({listed})) and {filter}
             order by {order} sweep.name, trial.trial_id limit {limit}"
        )
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
