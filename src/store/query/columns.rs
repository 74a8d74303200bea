//! What is asked of trials beside the usual: columns by name, and the words that there are.

use std::collections::HashMap;

use serde_json::{Map, Value};
use sqlx::AssertSqlSafe;

use super::sql::values;
use super::terms::Terms;
use super::{Selector, object};
use crate::analysis::value_at;
use crate::id::TrialId;
use crate::query::{Aggregate, Field, Kind, Name, Vocabulary};
use crate::setting::complete;
use crate::store::rows::Rows;
use crate::store::{Store, StoreError, TrialState};

/// Columns that are asked for at once; SQLite has 2000 at most.
const MOST: usize = 500;

impl Store {
    /// Returns these columns of the trials that are asked about, a row each, and how many trials there are
    /// without `selector.top`; which, and in which order, is as in [`Store::trials_of`].
    ///
    /// # Errors
    /// As there.
    pub async fn columns_of(
        &mut self,
        selector: &Selector,
        names: &[Name],
    ) -> Result<(Vec<Vec<Value>>, u64), StoreError> {
        let asked = self.asked(selector).await?;
        let mut found = Vec::new();
        for some in names.chunks(MOST) {
            let mut terms = Terms::new();
            let sources = Sources::new(some, &mut terms);
            let (columns, rest) = (sources.columns(), asked.rest(&mut terms, selector));
            let sql = format!("select {columns} from trial join sweep using (sweep_id) {rest}");
            self.read(sql, terms, sources, &mut found).await?;
        }
        Ok((found, asked.kept.trials))
    }

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
        let mut found = Vec::new();
        for some in names.chunks(MOST) {
            let mut terms = Terms::new();
            let sources = Sources::new(some, &mut terms);
            let (columns, wanted) = (sources.columns(), terms.bind(wanted.clone()));
            let sql = format!(
                "select {columns} from json_each({wanted}) wanted
                     cross join sweep on sweep.name = wanted.value ->> 0
                     cross join trial on trial.sweep_id = sweep.sweep_id
                         and trial.identity = wanted.value ->> 1
                 order by wanted.key"
            );
            self.read(sql, terms, sources, &mut found).await?;
            if let Some((sweep, trial)) = trials.get(found.len()) {
                return Err(StoreError::NoTrial { prefix: format!("{sweep}/{trial}") });
            }
        }
        Ok(found)
    }

    /// Adds what a statement gives to rows, made where there are none yet.
    async fn read(
        &mut self,
        sql: String,
        terms: Terms,
        mut sources: Sources<'_>,
        found: &mut Vec<Vec<Value>>,
    ) -> Result<(), StoreError> {
        let rows = sqlx::query_with(AssertSqlSafe(sql), terms.bound()).fetch(&mut self.connection);
        let mut rows = Rows::new(rows);
        let mut at = 0;
        while let Some(row) = rows.next().await? {
            let own = sources.told(values(&row)?);
            match found.get_mut(at) {
                Some(row) => row.extend(own),
                None => found.push(own),
            }
            at += 1;
        }
        Ok(())
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

/// Where columns come from. All settings of a trial are one column of the statement, and so are all metrics of
/// one of its epochs: a question may be about a hundred of them.
#[derive(Default)]
struct Sources<'a> {
    /// SQL of the columns of the statement.
    sql: Vec<String>,
    /// Each name with its column.
    names: Vec<(&'a Name, usize)>,
    /// Settings of the newest trial, as repeats stand side by side: their text, what it says, and the same with
    /// the defaults that it leaves out.
    text: Value,
    settings: Map<String, Value>,
    all: Map<String, Value>,
}

impl<'a> Sources<'a> {
    fn new(names: &'a [Name], terms: &mut Terms) -> Self {
        let mut sources = Self::default();
        let mut shared: HashMap<Option<Aggregate>, usize> = HashMap::new();
        for name in names {
            let source = match name {
                Name::Setting(_) => Some(None),
                Name::Metric(_, at @ (Aggregate::BestVal | Aggregate::Epoch(_))) => Some(Some(*at)),
                _ => None,
            };
            let next = sources.sql.len();
            let at = source.map_or(next, |source| *shared.entry(source).or_insert(next));
            if at == next {
                sources.sql.push(match source {
                    None => terms.value(name),
                    Some(None) => "trial.settings".to_owned(),
                    Some(Some(aggregate)) => terms.metrics_at(aggregate),
                });
            }
            sources.names.push((name, at));
        }
        sources
    }

    fn columns(&self) -> String {
        self.sql.join(", ")
    }

    /// What a row of the statement tells of each name.
    fn told(&mut self, mut row: Vec<Value>) -> Vec<Value> {
        let mut metrics: HashMap<usize, Map<String, Value>> = HashMap::new();
        let mut told = Vec::with_capacity(self.names.len());
        for (name, at) in &self.names {
            let text = || row[*at].as_str().unwrap_or_default();
            told.push(match name {
                Name::Setting(path) => {
                    if self.text != row[*at] {
                        self.settings = object(text());
                        (self.text, self.all) = (row[*at].clone(), complete(&self.settings));
                    }
                    let own = value_at(&self.settings, path);
                    own.or_else(|| value_at(&self.all, path)).unwrap_or_default()
                }
                Name::Metric(metric, Aggregate::BestVal | Aggregate::Epoch(_)) => {
                    let of_epoch = metrics.entry(*at).or_insert_with(|| object(text()));
                    of_epoch.get(metric).cloned().unwrap_or_default()
                }
                // What SQLite has no type for: seeds are unsigned, truth is a number.
                Name::Field(Field::Seed) => {
                    row[*at].as_i64().map_or(Value::Null, |seed| seed.cast_unsigned().into())
                }
                name if name.kind() == Some(Kind::Truth) => {
                    row[*at].as_i64().map(|truth| truth != 0).into()
                }
                _ => std::mem::take(&mut row[*at]),
            });
        }
        told
    }
}
