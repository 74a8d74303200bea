//! What a comparison needs of all trials of some sweeps, from the table `summary`: no epoch is read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::TryStreamExt;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row};

use super::best::wanted;
use super::terms::{Measured, Terms, of_row};
use super::{Selector, identity, object};
use crate::analysis::{Epoch, Fate, Member, Point, different_paths, flat, value_at};
use crate::metric::{LARGEST_COVERAGE, LEARNT, Metrics, Objective};
use crate::setting::complete;
use crate::store::{Store, StoreError, TrialState, uint};

/// Epochs below which nobody says of a trial that it never learnt.
const FEWEST: u64 = 3;

/// The metric that shows whether a trial ever learnt.
const JACCARD: &str = "val/jaccard";

/// All trials of some sweeps, with their different settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rivals {
    /// What is compared.
    pub objective: Objective,
    /// The paths of whose values each point tells.
    pub paths: Vec<String>,
    /// Settings, each once.
    pub points: Vec<Point>,
    /// The trials.
    pub members: Vec<Member>,
    /// The sweeps, sorted.
    pub sweeps: Vec<String>,
}

impl Store {
    /// Reads what a comparison needs, `selector.top` aside. Points tell of the values of `paths`; where
    /// none is given, of all that is swept, and of what differs between the sweeps.
    ///
    /// # Errors
    /// As [`Store::best`].
    pub async fn rivals(
        &mut self,
        selector: &Selector,
        paths: &[String],
    ) -> Result<Rivals, StoreError> {
        let ids = self.sweeps(&selector.sweeps).await?;
        let ids = serde_json::Value::from(ids).to_string();
        let objective = wanted(selector, &self.objectives(&ids).await?)?;
        if selector.metric.is_some() {
            self.check_recorded(&ids, &objective.metric).await?;
        }
        let paths = if paths.is_empty() { self.swept(&ids).await? } else { paths.to_vec() };
        let kept = self.kept(&ids, selector.filter.as_ref()).await?;
        let mut points = Points { paths: &paths, ..Points::default() };
        let mut members = Vec::new();
        let mut terms = Terms::new();
        terms.bind(ids.clone());
        terms.bind(objective.metric.clone());
        let Objective { metric, direction } = &objective;
        let measured = match of_row("main", selector.aggregate, *direction) {
            Some(measured) => measured,
            None => terms.metric(Some(metric), selector.aggregate, Some(*direction)),
        };
        let filter = terms.kept("trial.trial_id", &kept);
        let sql = AssertSqlSafe(rivals_sql(&measured, metric, &filter));
        let mut rows = sqlx::query_with(sql, terms.bound()).fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            let point = points.of(row.try_get("settings")?, row.try_get("parameters")?);
            members.push(member(&row, point, &points.found[point])?);
        }
        drop(rows);
        judge_by_one_hash(&mut members);
        let sweeps = sqlx::query_scalar(
            "select name from sweep where sweep_id in (select value from json_each(?)) order by name",
        )
        .bind(&ids)
        .fetch_all(&mut self.connection)
        .await?;
        let points = points.found;
        Ok(Rivals { objective, paths, points, members, sweeps })
    }

    /// Paths that these sweeps vary, and those in which the first trials of several sweeps differ.
    async fn swept(&mut self, ids: &str) -> Result<Vec<String>, StoreError> {
        let swept: Vec<String> = sqlx::query_scalar(
            "select distinct swept.key from trial, json_each(trial.parameters) swept
             where trial.sweep_id in (select value from json_each(?))",
        )
        .bind(ids)
        .fetch_all(&mut self.connection)
        .await?;
        let firsts: Vec<String> = sqlx::query_scalar(
            "select settings from trial where trial_id in
                 (select min(trial_id) from trial
                  where sweep_id in (select value from json_each(?)) group by sweep_id)",
        )
        .bind(ids)
        .fetch_all(&mut self.connection)
        .await?;
        let firsts: Vec<BTreeMap<String, Value>> =
            firsts.iter().map(|settings| flat(&shared(settings))).collect();
        let is_told = |path: &String| {
            swept.iter().any(|swept| path == swept || path.starts_with(&format!("{swept}.")))
        };
        let mut paths: BTreeSet<String> =
            different_paths(&firsts).into_iter().filter(|path| !is_told(path)).collect();
        paths.extend(swept);
        Ok(paths.into_iter().collect())
    }
}

/// One row a trial, with its summaries of what is compared and of what shows a collapse. Each look into another
/// table is one a trial, so that there are as few as can be.
fn rivals_sql(of: &Measured, metric: &str, filter: &str) -> String {
    let Measured { value, epoch } = of;
    let (jaccard, join) = match metric {
        JACCARD => ("main", String::new()),
        _ => {
            let on = format!("jaccard.trial_id = trial.trial_id and jaccard.metric = '{JACCARD}'");
            ("jaccard", format!("left join summary jaccard on {on}"))
        }
    };
    format!(
        "select sweep.name, trial.identity, trial.state, trial.settings, trial.parameters,
                trial.epochs, {value} as value, {epoch} as epoch,
                main.last_epoch as epochs_done,
                {jaccard}.trial_id is not null as has_jaccard, {jaccard}.maximum as best_jaccard,
                {jaccard}.last as jaccard, recall.trial_id is not null as has_recall,
                recall.last as recall, coverage.last as coverage, coverage.minimum as least_coverage,
                (select max(elapsed) from attempt
                 where attempt.trial_id = trial.trial_id) as elapsed,
                files.data_sha256, files.val_sha256,
                instr(trial.settings, '\"train_fraction\"') > 0
                    and json_extract(trial.settings, '$.data.train_fraction') is not null as has_fraction,
                trial.state = 'timed_out' and exists (
                    select 1 from attempt where attempt.trial_id = trial.trial_id
                        and outcome = 'spent') as is_spent
         from trial
             join sweep using (sweep_id)
             left join summary main on main.trial_id = trial.trial_id and main.metric = ?2
             {join}
             left join summary recall
                 on recall.trial_id = trial.trial_id and recall.metric = 'val/recall'
             left join summary coverage
                 on coverage.trial_id = trial.trial_id and coverage.metric = 'val/coverage'
             left join attempt files on files.attempt_id =
                 (select attempt_id from attempt
                  where attempt.trial_id = trial.trial_id and data_sha256 is not null
                  order by number desc limit 1)
         where trial.sweep_id in (select value from json_each(?1)) and {filter}"
    )
}

/// Workers of earlier versions told no hash of the validation files. Beside one of these nobody's counts.
fn judge_by_one_hash(members: &mut [Member]) {
    if members.iter().any(|one| one.data_sha256.is_some() && one.val_sha256.is_none()) {
        members.iter_mut().for_each(|member| member.val_sha256 = None);
    }
}

/// Points met so far.
#[derive(Default)]
struct Points<'a> {
    paths: &'a [String],
    found: Vec<Point>,
    /// By the hash of a trial's settings as they stand, and of those that repeats share.
    by_text: HashMap<[u8; 32], usize>,
    /// The newest trial's settings: repeats stand side by side.
    newest: Option<(String, usize)>,
    by_shared: HashMap<[u8; 32], usize>,
}

impl Points<'_> {
    fn of(&mut self, settings: &str, parameters: &str) -> usize {
        match &self.newest {
            Some((newest, at)) if newest == settings => *at,
            _ => {
                let at = self.look_up(settings, parameters);
                self.newest = Some((settings.to_owned(), at));
                at
            }
        }
    }

    fn look_up(&mut self, settings: &str, parameters: &str) -> usize {
        let text = hash(settings);
        if let Some(known) = self.by_text.get(&text) {
            return *known;
        }
        let shared = shared(settings);
        let next = self.found.len();
        let whole = serde_json::to_string(&shared).unwrap_or_default();
        let at = *self.by_shared.entry(hash(&whole)).or_insert(next);
        if at == next {
            self.found.push(point(&complete(&shared), object(parameters), self.paths));
        }
        self.by_text.insert(text, at);
        at
    }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Settings without the place of the data, which is no part of what is trained.
fn shared(settings: &str) -> Map<String, Value> {
    let mut settings = object(settings);
    if let Some(Value::Object(data)) = settings.get_mut("data") {
        data.remove("path");
    }
    settings
}

fn point(settings: &Map<String, Value>, parameters: Map<String, Value>, paths: &[String]) -> Point {
    let word = |path| value_at(settings, path).as_ref().and_then(Value::as_str).map(str::to_owned);
    let network = word("model.name").unwrap_or_default();
    let dataset = match value_at(settings, "data.split") {
        None => format!("the data of {network}"),
        Some(split) => {
            let split = split.as_str().map_or_else(|| split.to_string(), str::to_owned);
            let fraction =
                value_at(settings, "data.val_fraction").map_or(String::new(), |f| format!(" {f}"));
            format!("{} ({split}{fraction})", word("data.name").unwrap_or_default())
        }
    };
    Point {
        values: paths.iter().map(|path| value_at(settings, path)).collect(),
        is_leaky: word("data.split").is_some_and(|split| split == "leaky_random_patches"),
        samples: value_at(settings, "samples_per_epoch").and_then(|samples| samples.as_u64()),
        network,
        dataset,
        parameters,
    }
}

fn member(row: &SqliteRow, at: usize, point: &Point) -> Result<Member, StoreError> {
    let state: String = row.try_get("state")?;
    let state = TrialState::from(state);
    let number = |name| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(name)?.map(uint));
    let is_spent = row.try_get("is_spent")?;
    let fate = match &state {
        TrialState::Finished => Fate::Done,
        _ if is_spent => Fate::Done,
        TrialState::Planned => Fate::Open,
        state if state.is_in_flight() => Fate::Open,
        state => Fate::Lost(state.word()),
    };
    let epochs_done = number("epochs_done")?;
    let data_sha256: Option<String> = row.try_get("data_sha256")?;
    // Files that are left out of training are left out of the hash as well.
    let has_fraction: bool = row.try_get("has_fraction")?;
    let last = last_metrics(row)?;
    let best_jaccard: Option<f64> = row.try_get("best_jaccard")?;
    let least_coverage: Option<f64> = row.try_get("least_coverage")?;
    let takes_all = least_coverage.is_some_and(|least| least > LARGEST_COVERAGE);
    let has_learnt = best_jaccard.is_some_and(|best| best >= LEARNT) && !takes_all;
    let has_jaccard: bool = row.try_get("has_jaccard")?;
    let is_blind = Epoch::new(1, &last, &Objective::default()).is_blind == Some(true);
    let had_time = fate != Fate::Open && epochs_done.is_some_and(|done| done >= FEWEST);
    Ok(Member {
        sweep: row.try_get("name")?,
        trial: identity(row.try_get("identity")?)?,
        point: at,
        value: row.try_get("value")?,
        epoch: number("epoch")?,
        seconds: row.try_get("elapsed")?,
        epochs_done,
        epochs: number("epochs")?,
        is_collapsed: has_learnt && is_blind,
        never_learnt: has_jaccard && !has_learnt && had_time,
        is_spent,
        is_leaky: point.is_leaky,
        val_sha256: row.try_get("val_sha256")?,
        data_sha256: data_sha256.filter(|_| !has_fraction),
        fate,
    })
}

/// Those metrics of the last epoch that tell whether anything is found.
fn last_metrics(row: &SqliteRow) -> sqlx::Result<Metrics> {
    let mut last = Metrics::default();
    let value =
        |name| Ok::<_, sqlx::Error>(row.try_get::<Option<f64>, _>(name)?.unwrap_or(f64::NAN));
    if row.try_get("has_jaccard")? {
        last.set(JACCARD, value("jaccard")?);
    }
    if row.try_get("has_recall")? {
        last.set("val/recall", value("recall")?);
        last.set("val/coverage", value("coverage")?);
    }
    Ok(last)
}
