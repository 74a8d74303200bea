//! The ranking: the better first; of equal values the earlier epoch, then the smaller identity;
//! trials without a value last.

use sqlx::{AssertSqlSafe, Row};

use super::{Aggregate, BestRow, Ranking, Selector, identity, object};
use crate::metric::{Direction, Objective};
use crate::setting::nearest;
use crate::store::{Store, StoreError, TrialState, uint};

impl Store {
    /// Ranks trials by a metric.
    ///
    /// # Errors
    /// When there is no such sweep, nobody recorded the metric, or none is named and the sweeps
    /// have different objectives.
    pub async fn best(&mut self, selector: &Selector) -> Result<Ranking, StoreError> {
        let sweeps = self.sweeps(&selector.sweeps).await?;
        let ids = serde_json::Value::from(sweeps.clone()).to_string();
        let objectives = self.objectives(&ids).await?;
        let Objective { metric, direction } = wanted(selector, &objectives)?;
        if selector.metric.is_some() {
            self.check_recorded(&ids, &metric).await?;
        }
        let limit = selector.top.map_or(-1, i64::from);
        let mut rows = Vec::new();
        for sweep in &sweeps {
            let sql = ranking_sql(selector.aggregate, direction);
            let query = sqlx::query(AssertSqlSafe(sql)).bind(*sweep).bind(&metric).bind(limit);
            for row in query.fetch_all(&mut self.connection).await? {
                rows.push(best_row(&row)?);
            }
        }
        if let Some(missing) = missing(limit, rows.len()) {
            rows.extend(self.without_value(&ids, &metric, selector.aggregate, missing).await?);
        }
        rows.sort_by(|a, b| {
            direction
                .rank(a.value, b.value)
                .then_with(|| a.epoch.cmp(&b.epoch))
                .then_with(|| a.trial.cmp(&b.trial))
                .then_with(|| a.sweep.cmp(&b.sweep))
        });
        rows.truncate(selector.top.map_or(usize::MAX, |top| top as usize));
        let (trials, unfinished) = self.counts(&ids).await?;
        let versions = self.versions(&ids).await?;
        Ok(Ranking { metric, direction, rows, trials, unfinished, versions })
    }

    pub(super) async fn objectives(&mut self, ids: &str) -> Result<Vec<Objective>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "select distinct metric, direction from sweep
             where sweep_id in (select value from json_each(?)) order by metric, direction",
        )
        .bind(ids)
        .fetch_all(&mut self.connection)
        .await?;
        let objective = |(metric, direction): (String, String)| Objective {
            metric,
            direction: crate::store::from_word(&direction).unwrap_or_default(),
        };
        Ok(rows.into_iter().map(objective).collect())
    }

    pub(super) async fn check_recorded(
        &mut self,
        ids: &str,
        metric: &str,
    ) -> Result<(), StoreError> {
        let found: Option<i64> = sqlx::query_scalar(
            "select 1 from json_each(?1) join summary
                 on summary.sweep_id = json_each.value and summary.metric = ?2 limit 1",
        )
        .bind(ids)
        .bind(metric)
        .fetch_optional(&mut self.connection)
        .await?;
        if found.is_some() {
            return Ok(());
        }
        let known: Vec<String> = sqlx::query_scalar(
            "select distinct metric from summary
             where sweep_id in (select value from json_each(?)) order by metric",
        )
        .bind(ids)
        .fetch_all(&mut self.connection)
        .await?;
        let nearest = nearest(metric, known.iter().map(String::as_str)).map(str::to_owned);
        Err(StoreError::NoMetric { metric: metric.to_owned(), nearest, known })
    }

    /// Trials without a finite value, whether they recorded the metric or not.
    async fn without_value(
        &mut self,
        ids: &str,
        metric: &str,
        aggregate: Aggregate,
        limit: i64,
    ) -> Result<Vec<BestRow>, StoreError> {
        let value = match aggregate {
            Aggregate::Best => "maximum",
            Aggregate::Last => "last",
        };
        let sql = format!(
            "select sweep.name, trial.identity, null as value, null as epoch, trial.seed,
                    trial.state, trial.parameters,
                    coalesce(json_extract(trial.settings, '$.data.split') = 'leaky_random_patches', 0) as leaky
             from trial join sweep using (sweep_id)
             where trial.sweep_id in (select value from json_each(?1))
               and not exists (select 1 from summary where summary.trial_id = trial.trial_id
                                   and summary.metric = ?2 and summary.{value} is not null)
             order by trial.identity, sweep.name limit ?3"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(ids)
            .bind(metric)
            .bind(limit)
            .fetch_all(&mut self.connection)
            .await?;
        rows.iter().map(best_row).collect()
    }

    /// Numbers of all trials and of those that are not finished.
    async fn counts(&mut self, ids: &str) -> Result<(u64, u64), StoreError> {
        let (trials, unfinished): (i64, i64) = sqlx::query_as(
            "select count(*), count(*) filter (where state <> 'finished') from trial
             where sweep_id in (select value from json_each(?))",
        )
        .bind(ids)
        .fetch_one(&mut self.connection)
        .await?;
        Ok((uint(trials), uint(unfinished)))
    }

    async fn versions(&mut self, ids: &str) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "select distinct worker_version from attempt join trial using (trial_id)
             where sweep_id in (select value from json_each(?)) and worker_version is not null
                 and outcome is not 'superseded'
             order by worker_version",
        )
        .bind(ids)
        .fetch_all(&mut self.connection)
        .await?)
    }
}

/// What is to be ranked, and which end is good.
pub(super) fn wanted(
    selector: &Selector,
    objectives: &[Objective],
) -> Result<Objective, StoreError> {
    let objective = match (&selector.metric, objectives) {
        (None, []) => Objective::default(),
        (None, [one]) => one.clone(),
        (None, several) => {
            let objectives =
                several.iter().map(|o| format!("{} {}", o.direction, o.metric)).collect();
            return Err(StoreError::MixedObjectives { objectives });
        }
        (Some(metric), known) => match known.iter().find(|o| o.metric == *metric) {
            Some(objective) => objective.clone(),
            None => Objective { metric: metric.clone(), direction: usual(metric) },
        },
    };
    Ok(Objective { direction: selector.direction.unwrap_or(objective.direction), ..objective })
}

/// The good direction of a metric that no objective names.
fn usual(metric: &str) -> Direction {
    if metric.ends_with("loss") { Direction::Minimize } else { Direction::Maximize }
}

/// The first trials of one sweep by one metric; `summary_maximum` and `summary_minimum` are its
/// order, so that only the rows shown are read.
#[doc(hidden)]
#[must_use]
pub fn ranking_sql(aggregate: Aggregate, direction: Direction) -> String {
    let (value, epoch) = match (aggregate, direction) {
        (Aggregate::Best, Direction::Maximize) => ("maximum", "maximum_epoch"),
        (Aggregate::Best, Direction::Minimize) => ("minimum", "minimum_epoch"),
        (Aggregate::Last, _) => ("last", "last_epoch"),
    };
    let order = match direction {
        Direction::Maximize => "desc",
        Direction::Minimize => "asc",
    };
    format!(
        "select sweep.name, trial.identity, summary.{value} as value, summary.{epoch} as epoch,
                trial.seed, trial.state, trial.parameters,
                coalesce(json_extract(trial.settings, '$.data.split') = 'leaky_random_patches', 0) as leaky
         from summary
             cross join trial on trial.trial_id = summary.trial_id
             cross join sweep on sweep.sweep_id = summary.sweep_id
         where summary.sweep_id = ?1 and summary.metric = ?2 and summary.{value} is not null
         order by summary.{value} {order}, summary.{epoch}, trial.identity
         limit ?3"
    )
}

/// How many trials without a value may still be shown.
fn missing(limit: i64, found: usize) -> Option<i64> {
    match limit {
        -1 => Some(-1),
        limit => Some(limit - i64::try_from(found).ok()?).filter(|left| *left > 0),
    }
}

fn best_row(row: &sqlx::sqlite::SqliteRow) -> Result<BestRow, StoreError> {
    let seed: i64 = row.try_get("seed")?;
    let state: String = row.try_get("state")?;
    Ok(BestRow {
        sweep: row.try_get("name")?,
        trial: identity(row.try_get("identity")?)?,
        value: row.try_get("value")?,
        epoch: row.try_get::<Option<i64>, _>("epoch")?.map(uint),
        seed: seed.cast_unsigned(),
        state: TrialState::from(state),
        parameters: object(row.try_get("parameters")?),
        is_leaky: row.try_get("leaky")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_minimised_whatever_the_objective() {
        let objectives = [Objective::default()];
        let mut selector = Selector { metric: Some("val/loss".to_owned()), ..Selector::default() };
        assert_eq!(wanted(&selector, &objectives).expect("one").direction, Direction::Minimize);
        selector.direction = Some(Direction::Maximize);
        assert_eq!(wanted(&selector, &objectives).expect("one").direction, Direction::Maximize);
        selector.metric = None;
        selector.direction = None;
        assert_eq!(wanted(&selector, &objectives).expect("one"), objectives[0]);
    }
}
