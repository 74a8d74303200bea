//! What a comparison needs of all trials of some sweeps, from the table `summary`: epochs are read of those
//! trials alone that were blind in some.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::best::wanted;
use super::packed::{self, exact, flag, number};
use super::points::{Points, shared, unfold};
use super::sight::{self, JOINS, Seen, columns};
use super::terms::{Measured, Terms, of_row};
use super::{Selector, identity};
use crate::analysis::{Fate, Member, Point, different_paths, flat};
use crate::metric::Objective;
use crate::store::{Store, StoreError, TrialState, uint};

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
        let mut points = Points::new(&paths);
        let (mut members, mut seen) = (Vec::new(), Vec::new());
        let mut terms = Terms::new();
        terms.bind(ids.clone());
        terms.bind(objective.metric.clone());
        let Objective { metric, direction } = &objective;
        let measured = match of_row("main", selector.aggregate, *direction) {
            Some(measured) => measured,
            None => terms.metric(Some(metric), selector.aggregate, Some(*direction)),
        };
        let filter = terms.kept("trial.trial_id", &kept);
        let sql = rivals_sql(&measured, &filter);
        let take = |mut raw: Raw| {
            seen.push(Seen::of(&raw.seen));
            let point = points.of(&raw.settings, &raw.parameters);
            // Files that are left out of training are left out of the hash as well.
            let data_sha256 = raw.data_sha256.take_if(|_| !points.has_fraction(point));
            members.push(Member { data_sha256, ..member(raw, point, &points.found[point])? });
            Ok(())
        };
        packed::each(&mut self.connection, sql, terms.bound(), take).await?;
        self.look_closer(&mut seen).await?;
        for (member, seen) in members.iter_mut().zip(&seen) {
            member.is_collapsed = seen.is_collapsed();
            member.never_learnt = seen.never_learnt();
            member.takes_all = seen.takes_all();
        }
        judge_by_one_hash(&mut members);
        let sweeps = sqlx::query_scalar(
            "select name from sweep where sweep_id in (select value from json_each(?)) order by name",
        )
        .bind(&ids)
        .fetch_all(&mut self.connection)
        .await?;
        let mut points = points.found;
        let paths = unfold(paths, &mut points);
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

/// A trial, with its summaries of what is compared and of what shows a collapse.
fn rivals_sql(of: &Measured, filter: &str) -> String {
    let columns = format!(
        "sweep.name, trial.identity, trial.seed, trial.settings, trial.parameters, trial.epochs, {},
         {}, main.last_epoch, {},
         (select {} from attempt where attempt.trial_id = trial.trial_id),
         files.data_sha256, files.val_sha256,
         trial.state = 'timed_out' and exists (
             select 1 from attempt where attempt.trial_id = trial.trial_id and outcome = 'spent')",
        exact(&of.value),
        of.epoch,
        columns(&of.epoch),
        exact("max(elapsed)"),
    );
    let from = format!(
        "trial
             join sweep using (sweep_id)
             left join summary main on main.trial_id = trial.trial_id and main.metric = ?2
             {JOINS}
             left join attempt files on files.attempt_id =
                 (select attempt_id from attempt
                  where attempt.trial_id = trial.trial_id and data_sha256 is not null
                  order by number desc limit 1)
         where trial.sweep_id in (select value from json_each(?1)) and {filter}"
    );
    packed::sql(&columns, &from, "trial.trial_id")
}

/// What is read of a trial.
#[derive(Deserialize)]
struct Raw {
    sweep: String,
    trial: String,
    seed: i64,
    settings: String,
    parameters: String,
    epochs: Option<i64>,
    #[serde(deserialize_with = "number")]
    value: Option<f64>,
    epoch: Option<i64>,
    epochs_done: Option<i64>,
    seen: sight::Raw,
    #[serde(deserialize_with = "number")]
    elapsed: Option<f64>,
    data_sha256: Option<String>,
    val_sha256: Option<String>,
    #[serde(deserialize_with = "flag")]
    is_spent: bool,
}

/// Workers of earlier versions told no hash of the validation files. Beside one of these nobody's counts.
fn judge_by_one_hash(members: &mut [Member]) {
    if members.iter().any(|one| one.data_sha256.is_some() && one.val_sha256.is_none()) {
        members.iter_mut().for_each(|member| member.val_sha256 = None);
    }
}

fn member(raw: Raw, at: usize, point: &Point) -> Result<Member, StoreError> {
    let fate = match &TrialState::from(raw.seen.state().to_owned()) {
        TrialState::Finished => Fate::Done,
        _ if raw.is_spent => Fate::Done,
        TrialState::Planned => Fate::Open,
        state if state.is_in_flight() => Fate::Open,
        state => Fate::Lost(state.word()),
    };
    Ok(Member {
        sweep: raw.sweep,
        trial: identity(&raw.trial)?,
        seed: raw.seed.cast_unsigned(),
        point: at,
        value: raw.value,
        epoch: raw.epoch.map(uint),
        seconds: raw.elapsed,
        epochs_done: raw.epochs_done.map(uint),
        epochs: raw.epochs.map(uint),
        is_collapsed: false,
        never_learnt: false,
        takes_all: false,
        is_spent: raw.is_spent,
        is_leaky: point.is_leaky,
        val_sha256: raw.val_sha256,
        data_sha256: None,
        fate,
    })
}
