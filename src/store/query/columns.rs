//! What is asked of trials beside the usual: columns by name, and the words that there are.

use futures_util::TryStreamExt;
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::sql::values;
use super::terms::Terms;
use crate::id::TrialId;
use crate::query::{Field, Kind, Name, Vocabulary};
use crate::store::{Store, StoreError, TrialState};

/// Columns that are asked for at once; SQLite has 2000 at most.
const MOST: usize = 500;

impl Store {
    /// Returns these columns of trials, given by sweep and identity, a row each in that order.
    ///
    /// # Errors
    /// When there is no such trial or the database fails.
    pub async fn columns(
        &mut self,
        trials: &[(String, TrialId)],
        names: &[Name],
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let wanted: Vec<[&str; 2]> = trials.iter().map(|(s, t)| [s.as_str(), t.as_str()]).collect();
        let wanted = serde_json::json!(wanted).to_string();
        let mut found = vec![Vec::with_capacity(names.len()); trials.len()];
        for some in names.chunks(MOST) {
            let mut terms = Terms::new();
            let wanted = terms.bind(wanted.clone());
            let columns: Vec<String> = some.iter().map(|name| terms.told(name)).collect();
            let sql = format!(
                "select {} from json_each({wanted}) wanted
                     cross join sweep on sweep.name = wanted.value ->> 0
                     cross join trial on trial.sweep_id = sweep.sweep_id
                         and trial.identity = wanted.value ->> 1
                 order by wanted.key",
                columns.join(", ")
            );
            let mut rows =
                sqlx::query_with(AssertSqlSafe(sql), terms.bound()).fetch(&mut self.connection);
            for (own, (sweep, trial)) in found.iter_mut().zip(trials) {
                let row = rows
                    .try_next()
                    .await?
                    .ok_or_else(|| StoreError::NoTrial { prefix: format!("{sweep}/{trial}") })?;
                own.extend(some.iter().zip(values(&row)?).map(|(name, value)| told(name, value)));
            }
        }
        Ok(found)
    }

    /// Returns the words that questions may use: metrics that were recorded, paths that sweeps vary.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn vocabulary(&mut self) -> Result<Vocabulary, StoreError> {
        // From each metric of a sweep to the next, by the index, instead of over all rows.
        let metrics = sqlx::query_scalar(
            "with recursive known (sweep_id, metric) as (
                 select sweep_id, (select min(metric) from summary s
                                   where s.sweep_id = sweep.sweep_id) from sweep
                 union all
                 select sweep_id, (select min(metric) from summary s
                                   where s.sweep_id = known.sweep_id and s.metric > known.metric)
                 from known where metric is not null)
             select distinct metric from known where metric is not null order by metric",
        )
        .fetch_all(&mut self.connection)
        .await?;
        // All trials of a sweep vary the same.
        let swept = sqlx::query_scalar(
            "select distinct varied.key from sweep, json_each(coalesce(
                 (select parameters from trial where trial.sweep_id = sweep.sweep_id limit 1),
                 '{}')) varied
             order by varied.key",
        )
        .fetch_all(&mut self.connection)
        .await?;
        let states = TrialState::ALL.iter().map(TrialState::word).collect();
        Ok(Vocabulary { metrics, swept, states })
    }
}

/// What SQLite has no type for: settings are JSON, truth is a number, seeds are unsigned.
fn told(name: &Name, value: Value) -> Value {
    match name {
        Name::Setting(_) => {
            value.as_str().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
        }
        Name::Field(Field::Seed) => {
            value.as_i64().map_or(Value::Null, |seed| seed.cast_unsigned().into())
        }
        name if name.kind() == Some(Kind::Truth) => value.as_i64().map(|truth| truth != 0).into(),
        _ => value,
    }
}
