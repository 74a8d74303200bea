//! All that a report tells, as one value: the page draws it, and computes nothing.
//!
//! Numbers are those of `best`, `trials --analysis` and `compare`, whose queries are asked here.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::axes::Axis;
use super::curves::Curves;
use super::data;
use super::effects::{self, HeatMap, Parameter};
use super::flags::{self, Flag};
use super::predictions::Prediction;
use super::tables::Tables;
use super::words;
use crate::analysis::{Analysis, Cost, Fate, Member};
use crate::cli::compare::Told;
use crate::id::TrialId;
use crate::metric::Direction;
use crate::store::{BestRow, Course, Gpu, Ranking, Rivals, Spent, TrialRow, TrialState};

/// What the database knows; courses stand in the order of the ranking.
#[derive(Debug)]
pub(super) struct Material {
    pub(super) ranking: Ranking,
    pub(super) rows: Vec<TrialRow>,
    pub(super) courses: Vec<Course>,
    pub(super) spent: HashMap<(String, TrialId), Spent>,
    /// What workers warned of splits that leak.
    pub(super) leaks: HashMap<(String, TrialId), String>,
    /// What `--where` said.
    pub(super) conditions: Vec<String>,
    pub(super) rivals: Rivals,
    pub(super) told: Told,
    pub(super) predictions: Vec<Prediction>,
    /// UTC, RFC 3339.
    pub(super) generated_at: String,
    /// When journals were last read.
    pub(super) as_of: Timestamp,
}

/// A report. The shape is a promise: `schema_version` changes with it.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Document {
    pub(super) schema_version: u32,
    pub(super) kind: &'static str,
    pub(super) version: &'static str,
    pub(super) generated_at: String,
    /// When journals were last read: what it tells is of then.
    pub(in crate::cli) as_of: Timestamp,
    pub(in crate::cli) sweeps: Vec<String>,
    pub(super) metric: String,
    pub(super) direction: Direction,
    /// The conditions of `--where`: trials for which they do not hold are left out.
    pub(super) conditions: Vec<String>,
    /// Data sets with their splits, as `compare` names them, in the order of its groups.
    pub(super) data: Vec<String>,
    /// The report in some sentences.
    pub(super) summary: Vec<String>,
    /// What must be known before its numbers are believed.
    pub(super) flags: Vec<Flag>,
    /// Settings in which trials differ, the seed aside.
    pub(super) parameters: Vec<Parameter>,
    /// All trials, in the order of `best`.
    pub(super) trials: Vec<Line>,
    pub(super) curves: Curves,
    pub(super) maps: Vec<HeatMap>,
    /// What `compare --json` prints.
    pub(super) compare: Value,
    /// How its groups were tested.
    pub(super) method: String,
    /// What all trials cost together.
    pub(super) cost: Cost,
    pub(super) predictions: Vec<Prediction>,
    /// The groups for a paper.
    pub(super) tables: Tables,
}

/// A trial.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    #[serde(flatten)]
    pub(super) best: BestRow,
    pub(super) why: String,
    /// What its worker warned of the validation split, if that leaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) leak: Option<String>,
    /// What it was validated on: index in the document's `data`.
    pub(super) data: Option<usize>,
    /// Values of the document's parameters, in their order; null where its settings have none.
    pub(super) values: Vec<Option<Value>>,
    /// Whether its value counts in means: it is finished, or used up its `max_train_time`.
    pub(super) counts: bool,
    pub(super) attempts: u32,
    pub(super) epochs_done: u64,
    pub(super) epochs: Option<u64>,
    pub(super) analysis: Analysis,
    pub(super) cost: Cost,
    pub(super) device: Option<String>,
    pub(super) gpu: Option<Gpu>,
    /// The settings that it shares with repeats: trials with the same number differ in their seed alone.
    pub(super) setting: usize,
}

impl Document {
    /// Puts together what is known.
    pub(super) fn new(material: Material) -> Self {
        let Material { ranking, rows, courses, rivals, told, predictions, .. } = material;
        let (mut spent, mut leaks) = (material.spent, material.leaks);
        let data = data::ordered(&rivals, &told.json);
        let condition = data.first().and_then(|first| data::condition(&rivals, first));
        let curves = Curves::of(&rivals.objective, &courses);
        let members: HashMap<(&str, &TrialId), &Member> =
            rivals.members.iter().map(|one| ((one.sweep.as_str(), &one.trial), one)).collect();
        let rows: HashMap<(String, TrialId), TrialRow> =
            rows.into_iter().map(|row| ((row.sweep.clone(), row.trial.clone()), row)).collect();
        let settings = data::settings(&rivals, &ranking.rows, &members);
        let mut trials = Vec::with_capacity(ranking.rows.len());
        for (at, (best, course)) in ranking.rows.into_iter().zip(courses).enumerate() {
            let key = (best.sweep.clone(), best.trial.clone());
            let own = spent.remove(&key).unwrap_or_default();
            let goes_on = best.state.is_in_flight();
            let member = members.get(&(best.sweep.as_str(), &best.trial));
            let row = rows.get(&key);
            trials.push(Line {
                why: row.map(|row| row.why.clone()).unwrap_or_default(),
                leak: leaks.remove(&key),
                attempts: row.map_or(0, |row| row.attempts),
                epochs_done: row.map_or(0, |row| row.epochs_done),
                epochs: row.and_then(|row| row.epochs),
                data: member.and_then(|member| {
                    data.iter().position(|name| *name == rivals.points[member.point].dataset)
                }),
                values: settings.iter().map(|(_, values)| values[at].clone()).collect(),
                counts: member.is_some_and(|one| one.fate == Fate::Done && one.value.is_some()),
                setting: member.map_or(usize::MAX, |member| member.point),
                cost: Cost::of(&own.stints, course.seconds, goes_on),
                analysis: course.analysis,
                device: own.device,
                gpu: own.gpu,
                best,
            });
        }
        let values: Vec<Option<f64>> =
            trials.iter().map(|line| line.best.value.filter(|_| line.counts)).collect();
        let paths: Vec<&str> = settings.iter().map(|(path, _)| path.as_str()).collect();
        let parameter = |(at, (path, own)): (usize, &(String, Vec<Option<Value>>))| {
            Parameter::new(path, short(&paths, at), Axis::of(own), &values)
        };
        let parameters: Vec<Parameter> = settings.iter().enumerate().map(parameter).collect();
        let mut cost = Cost::default();
        trials.iter().for_each(|line| cost.add(&line.cost));
        let mut document = Self {
            schema_version: 1,
            kind: "regatta report",
            version: env!("CARGO_PKG_VERSION"),
            generated_at: material.generated_at,
            as_of: material.as_of,
            sweeps: rivals.sweeps,
            metric: ranking.metric,
            direction: ranking.direction,
            conditions: material.conditions,
            data,
            summary: Vec::new(),
            flags: Vec::new(),
            maps: effects::maps(&parameters, &values),
            parameters,
            trials,
            curves,
            tables: Tables::of(&told.json),
            compare: told.json,
            method: told.method,
            cost,
            predictions,
        };
        document.flags = flags::of(&document, &ranking.versions, condition.as_deref());
        document.summary = words::summary(&document, told.lead.as_deref());
        document
    }

    /// The best trial on the first data set and split, if any has a value; values on others are not comparable.
    pub(super) fn best(&self) -> Option<&Line> {
        self.best_on(0).map(|at| &self.trials[at])
    }

    /// The place of the best trial on a data set and split.
    pub(super) fn best_on(&self, data: usize) -> Option<usize> {
        let is_it = |line: &Line| line.data == Some(data) && line.best.value.is_some();
        self.trials.iter().position(is_it)
    }

    /// Numbers of trials by state, in the order in which states are met.
    pub(super) fn states(&self) -> Vec<(usize, TrialState)> {
        let count = |state: &TrialState| {
            self.trials.iter().filter(|line| line.best.state == *state).count()
        };
        let mut states: Vec<TrialState> = Vec::new();
        for line in &self.trials {
            if !states.contains(&line.best.state) {
                states.push(line.best.state.clone());
            }
        }
        let with = |state: TrialState| (count(&state), state);
        states.into_iter().map(with).collect()
    }
}

impl Line {
    /// Its settings, by their paths; the split aside, of which its data set tells.
    pub(super) fn setting(&self, parameters: &[Parameter]) -> String {
        let pairs = parameters.iter().zip(&self.values);
        let pairs = pairs.filter(|(parameter, _)| parameter.path != data::SPLIT);
        let told = pairs.filter_map(|(parameter, value)| {
            Some(format!("{}={}", parameter.path, crate::cli::table::value(value.as_ref()?)))
        });
        told.collect::<Vec<_>>().join(" ")
    }
}

/// The last word of a path; the whole path where another one has the same, or the word says nothing.
fn short<'a>(paths: &[&'a str], at: usize) -> &'a str {
    let last = |path: &'a str| path.rsplit('.').next().unwrap_or(path);
    let word = last(paths[at]);
    let is_shared = paths.iter().filter(|path| last(path) == word).count() > 1;
    if is_shared || word == "name" { paths[at] } else { word }
}
