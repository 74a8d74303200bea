//! The ranking: the better first; of equal values the earlier epoch, then the smaller identity;
//! trials without a value last.

use sqlx::{AssertSqlSafe, Row};

use super::terms::{Kept, LEAKY, Measured, Terms};
use super::{BestRow, Ranking, Selector, identity, object};
use crate::metric::{Direction, Objective};
use crate::query::{Aggregate, Expr};
use crate::setting::nearest;
use crate::store::rows::Rows;
use crate::store::{Store, StoreError, TrialState, uint};

/// Trials of a sweep above which a ranking goes along the index of values, and below which it looks at each
/// of them.
const MANY: u64 = 5000;

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
        let objective = Objective { metric, direction };
        let kept = self.kept(&ids, selector.filter.as_ref()).await?;
        let has_index = matches!(selector.aggregate, Aggregate::Best | Aggregate::Last);
        let are_many = kept.rows.is_none() || kept.trials > MANY * sweeps.len() as u64;
        let rows = match has_index && are_many && selector.order.is_empty() {
            true => self.ranked(&sweeps, &objective, selector, &kept).await?,
            false => self.ordered(&ids, &objective, selector, &kept).await?,
        };
        let (keys, mut rows): (Vec<i64>, Vec<BestRow>) = rows.into_iter().unzip();
        let told = rows.iter_mut().map(|row| (row.sweep.as_str(), &row.trial, &mut row.parameters));
        self.add_changed(&ids, told).await?;
        self.note_doubts(&mut rows).await?;
        let versions = self.versions(keys).await?;
        let Objective { metric, direction } = objective;
        let Kept { trials, unfinished, .. } = kept;
        Ok(Ranking { metric, direction, rows, trials, unfinished, versions })
    }

    /// The ranking by what the indexes hold: of each sweep its first rows, and of these the first.
    async fn ranked(
        &mut self,
        sweeps: &[i64],
        objective: &Objective,
        selector: &Selector,
        kept: &Kept,
    ) -> Result<Vec<(i64, BestRow)>, StoreError> {
        let limit = selector.top.map_or(-1, i64::from);
        let Objective { metric, direction } = objective;
        let mut rows = Vec::new();
        for sweep in sweeps {
            let mut terms = Terms::new();
            terms.bind(*sweep);
            terms.bind(metric.clone());
            terms.bind(limit);
            let filter = terms.kept("summary.trial_id", kept);
            let sql = filtered_ranking_sql(selector.aggregate, *direction, &filter);
            let query = sqlx::query_with(AssertSqlSafe(sql), terms.bound());
            let mut found = Rows::new(query.fetch(&mut self.connection));
            while let Some(row) = found.next().await? {
                rows.push(best_row(&row)?);
            }
        }
        if let Some(missing) = missing(limit, rows.len()) {
            let ids = serde_json::Value::from(sweeps).to_string();
            rows.extend(self.without_value(&ids, metric, selector.aggregate, kept, missing).await?);
        }
        rows.sort_by(|(_, a), (_, b)| {
            direction
                .rank(a.value, b.value)
                .then_with(|| a.epoch.cmp(&b.epoch))
                .then_with(|| a.trial.cmp(&b.trial))
                .then_with(|| a.sweep.cmp(&b.sweep))
        });
        rows.truncate(selector.top.map_or(usize::MAX, |top| top as usize));
        Ok(rows)
    }

    /// Trials in another order, or by a value that no index holds.
    async fn ordered(
        &mut self,
        ids: &str,
        objective: &Objective,
        selector: &Selector,
        kept: &Kept,
    ) -> Result<Vec<(i64, BestRow)>, StoreError> {
        let mut terms = Terms::new();
        let (ids, limit) = (terms.bind(ids.to_owned()), selector.top.map_or(-1, i64::from));
        let limit = terms.bind(limit);
        let Objective { metric, direction } = objective;
        let Measured { value, epoch } =
            terms.metric(Some(metric), selector.aggregate, Some(*direction));
        let filter = terms.kept("trial.trial_id", kept);
        let order = terms.order(&selector.order);
        let way = way(*direction);
        let sql = format!(
            "select trial.trial_id, sweep.name, trial.identity, {value} as value, {epoch} as epoch, trial.seed,
                    trial.state, trial.parameters, {LEAKY} as leaky
             from trial join sweep using (sweep_id)
             where trial.sweep_id in (select value from json_each({ids})) and {filter}
             order by {order} 4 {way} nulls last, 5, trial.identity, sweep.name limit {limit}"
        );
        let rows = sqlx::query_with(AssertSqlSafe(sql), terms.bound()).fetch(&mut self.connection);
        Rows::new(rows).all().await?.iter().map(best_row).collect()
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
        kept: &Kept,
        limit: i64,
    ) -> Result<Vec<(i64, BestRow)>, StoreError> {
        let value = match aggregate {
            Aggregate::Last => "last",
            _ => "maximum",
        };
        let mut terms = Terms::new();
        let (ids, metric) = (terms.bind(ids.to_owned()), terms.bind(metric.to_owned()));
        let limit = terms.bind(limit);
        let filter = terms.kept("trial.trial_id", kept);
        let sql = format!(
            "select trial.trial_id, sweep.name, trial.identity, null as value, null as epoch, trial.seed,
                    trial.state, trial.parameters, {LEAKY} as leaky
             from trial join sweep using (sweep_id)
             where trial.sweep_id in (select value from json_each({ids}))
               and not exists (select 1 from summary where summary.trial_id = trial.trial_id
                                   and summary.metric = {metric} and summary.{value} is not null)
               and {filter}
             order by trial.identity, sweep.name limit {limit}"
        );
        let rows = sqlx::query_with(AssertSqlSafe(sql), terms.bound()).fetch(&mut self.connection);
        Rows::new(rows).all().await?.iter().map(best_row).collect()
    }

    /// The trials of these sweeps that a filter lets through. It is asked of each trial once, whatever the
    /// question does with them.
    pub(super) async fn kept(
        &mut self,
        ids: &str,
        filter: Option<&Expr>,
    ) -> Result<Kept, StoreError> {
        let Some(filter) = filter else {
            let (trials, unfinished): (i64, i64) = sqlx::query_as(
                "select count(*), count(*) filter (where state <> 'finished') from trial
                 where sweep_id in (select value from json_each(?))",
            )
            .bind(ids)
            .fetch_one(&mut self.connection)
            .await?;
            return Ok(Kept { trials: uint(trials), unfinished: uint(unfinished), rows: None });
        };
        let mut terms = Terms::new();
        let ids = terms.bind(ids.to_owned());
        let filter = terms.condition(filter);
        let sql = format!(
            "select count(*), count(*) filter (where trial.state <> 'finished'),
                    json_group_array(trial.trial_id)
             from trial join sweep using (sweep_id)
             where trial.sweep_id in (select value from json_each({ids})) and {filter}"
        );
        let (trials, unfinished, rows): (i64, i64, String) =
            sqlx::query_as_with(AssertSqlSafe(sql), terms.bound())
                .fetch_one(&mut self.connection)
                .await?;
        Ok(Kept { trials: uint(trials), unfinished: uint(unfinished), rows: Some(rows) })
    }

    /// Versions of the worker that made the values of these trials.
    async fn versions(&mut self, trials: Vec<i64>) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "select distinct worker_version
             from json_each(?) shown cross join attempt on attempt.trial_id = shown.value
             where worker_version is not null and outcome is not 'superseded'
             order by worker_version",
        )
        .bind(serde_json::Value::from(trials).to_string())
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
        (None, several) => return Err(mixed(several.iter())),
        (Some(metric), known) => {
            let mut own = known.iter().filter(|o| o.metric == *metric);
            match (own.next(), own.next()) {
                (Some(one), Some(other)) if selector.direction.is_none() => {
                    return Err(mixed([one, other].into_iter()));
                }
                (Some(objective), _) => objective.clone(),
                (None, _) => {
                    Objective { metric: metric.clone(), direction: Direction::usual(metric) }
                }
            }
        }
    };
    Ok(Objective { direction: selector.direction.unwrap_or(objective.direction), ..objective })
}

fn mixed<'a>(objectives: impl Iterator<Item = &'a Objective>) -> StoreError {
    let objectives = objectives.map(|o| format!("{} {}", o.direction, o.metric)).collect();
    StoreError::MixedObjectives { objectives }
}

/// The first trials of one sweep by one metric; `summary_maximum` and `summary_minimum` are its
/// order, so that only the rows shown are read.
#[doc(hidden)]
#[must_use]
pub fn ranking_sql(aggregate: Aggregate, direction: Direction) -> String {
    filtered_ranking_sql(aggregate, direction, "1")
}

/// The same of trials that a filter lets through: rows are read until there are enough.
fn filtered_ranking_sql(aggregate: Aggregate, direction: Direction, filter: &str) -> String {
    let (value, epoch) = match (aggregate, direction) {
        (Aggregate::Last, _) => ("last", "last_epoch"),
        (_, Direction::Maximize) => ("maximum", "maximum_epoch"),
        (_, Direction::Minimize) => ("minimum", "minimum_epoch"),
    };
    let way = way(direction);
    format!(
        "select trial.trial_id, sweep.name, trial.identity, summary.{value} as value, summary.{epoch} as epoch,
                trial.seed, trial.state, trial.parameters, {LEAKY} as leaky
         from summary
             cross join trial on trial.trial_id = summary.trial_id
             cross join sweep on sweep.sweep_id = summary.sweep_id
         where summary.sweep_id = ?1 and summary.metric = ?2 and summary.{value} is not null
             and {filter}
         order by summary.{value} {way}, summary.{epoch}, trial.identity
         limit ?3"
    )
}

fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Maximize => "desc",
        Direction::Minimize => "asc",
    }
}

/// How many trials without a value may still be shown.
fn missing(limit: i64, found: usize) -> Option<i64> {
    match limit {
        -1 => Some(-1),
        limit => Some(limit - i64::try_from(found).ok()?).filter(|left| *left > 0),
    }
}

/// A trial of a ranking with its key.
fn best_row(row: &sqlx::sqlite::SqliteRow) -> Result<(i64, BestRow), StoreError> {
    let seed: i64 = row.try_get("seed")?;
    let state: String = row.try_get("state")?;
    let told = BestRow {
        sweep: row.try_get("name")?,
        trial: identity(row.try_get("identity")?)?,
        value: row.try_get("value")?,
        epoch: row.try_get::<Option<i64>, _>("epoch")?.map(uint),
        seed: seed.cast_unsigned(),
        state: TrialState::from(state),
        parameters: object(row.try_get("parameters")?),
        is_leaky: row.try_get("leaky")?,
        flags: Vec::new(),
    };
    Ok((row.try_get("trial_id")?, told))
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
