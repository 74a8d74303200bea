//! From axes to trials: every combination, resolved, checked and named.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::axis::{Axis, Dimension, too_many};
use super::complaint::{Complaint, SweepError};
use super::document::{Document, json_map, key};
use super::identity::identify;
use super::place::{self, Path, Step};
use super::source::Source;
use super::trial::Trial;
use crate::id::TrialId;
use crate::setting::{self, Problem};

/// Problems told at once; more would not be read.
const MAX_COMPLAINTS: usize = 20;

/// Expands a document to its trials.
pub(super) fn expand(
    source: &Source,
    document: &Document,
    dimensions: &[Dimension],
    max_trials: u64,
) -> Result<Vec<Trial>, SweepError> {
    let points: u128 = dimensions.iter().map(|dimension| dimension.length as u128).product();
    let count = points.saturating_mul(u128::from(document.repeats));
    if count > u128::from(max_trials) {
        let at = if document.grid.is_empty() { vec![] } else { vec![key("grid")] };
        return Err(too_many(source, &at, count, max_trials));
    }
    let fixed = json_map(source, &[key("fixed")], &document.fixed)?;
    let mut expansion = Expansion { source, fixed, complaints: Vec::new(), seen: HashMap::new() };
    let mut trials = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    for point in 0..points {
        if let Some((parameters, settings)) = expansion.resolve(&combination(dimensions, point)) {
            let (parameters, settings) = (Arc::new(parameters), Arc::new(settings));
            for repeat in 0..document.repeats {
                let seed = document.seed.wrapping_add(u64::from(repeat));
                let id = identify(&settings, seed);
                trials.push(Trial {
                    id,
                    seed,
                    repeat,
                    parameters: Arc::clone(&parameters),
                    settings: Arc::clone(&settings),
                });
            }
        }
        if expansion.complaints.len() >= MAX_COMPLAINTS {
            break;
        }
    }
    expansion.refuse_duplicates(&trials);
    // All points of the first seed come before the second seed.
    trials.sort_by_key(|trial| trial.repeat);
    if expansion.complaints.is_empty() {
        Ok(trials)
    } else {
        Err(SweepError { complaints: expansion.complaints })
    }
}

/// A value chosen from an axis.
type Choice<'a> = (&'a Axis, usize);

/// Returns the choices of a point; the last dimension varies fastest.
fn combination(dimensions: &[Dimension], mut point: u128) -> Vec<Choice<'_>> {
    let mut indices = vec![0; dimensions.len()];
    for (index, dimension) in indices.iter_mut().zip(dimensions).rev() {
        *index = usize::try_from(point % dimension.length as u128).unwrap_or(0);
        point /= dimension.length as u128;
    }
    dimensions
        .iter()
        .zip(indices)
        .flat_map(|(dimension, index)| dimension.axes.iter().map(move |axis| (axis, index)))
        .collect()
}

struct Expansion<'a> {
    source: &'a Source,
    fixed: Map<String, Value>,
    complaints: Vec<Complaint>,
    seen: HashMap<(String, String), ()>,
}

impl Expansion<'_> {
    /// Returns the swept values and all settings of a point; complains and returns `None` if they
    /// are not good.
    fn resolve(
        &mut self,
        choices: &[Choice<'_>],
    ) -> Option<(Map<String, Value>, Map<String, Value>)> {
        let mut settings = self.fixed.clone();
        let mut ordered: Vec<_> = choices.iter().collect();
        // Whole sections first, then names, which drop their siblings, then single settings.
        ordered.sort_by_key(|(axis, _)| {
            (axis.target.matches('.').count(), !axis.target.ends_with(".name"))
        });
        for (axis, index) in ordered {
            set(&mut settings, &axis.target, axis.values[*index].clone());
        }
        let resolved = match setting::resolve(&settings) {
            Ok(resolved) => resolved,
            Err(problems) => {
                for problem in problems {
                    self.complain(problem, choices);
                }
                return None;
            }
        };
        let mut parameters = Map::new();
        for (axis, index) in choices {
            parameters.insert(
                axis.target.clone(),
                canonical_value(&resolved, &axis.target, &axis.values[*index]),
            );
        }
        Some((parameters, resolved))
    }

    fn complain(&mut self, problem: Problem, choices: &[Choice<'_>]) {
        let of_the_key =
            problem.what.starts_with("unknown key") || problem.what.contains(" belongs to ");
        let path = self.origin(&problem.path, choices, of_the_key);
        let shown = place::show(&path);
        if self.seen.insert((shown.clone(), problem.what.clone()), ()).is_none() {
            self.complaints.push(Complaint {
                place: self.source.place(&path),
                path: shown,
                what: problem.what,
                hint: problem.hint,
            });
        }
    }

    /// Finds where a setting came from: the axis that set it or a mapping around it, else `fixed`.
    fn origin(&self, setting: &str, choices: &[Choice<'_>], of_the_key: bool) -> Path {
        let covers = |target: &str| {
            setting == target
                || setting.strip_prefix(target).is_some_and(|rest| rest.starts_with('.'))
                || target.strip_prefix(setting).is_some_and(|rest| rest.starts_with('.'))
        };
        let choice = choices
            .iter()
            .filter(|(axis, _)| covers(&axis.target))
            .max_by_key(|(axis, _)| axis.target.len());
        let Some((axis, index)) = choice else {
            return std::iter::once(key("fixed")).chain(setting.split('.').map(key)).collect();
        };
        let mut path = axis.path.clone();
        // An axis that nobody knows is wrong once, not at each of its values.
        if axis.listed && !(of_the_key && axis.target.starts_with(setting)) {
            path.push(Step::Index(*index));
        }
        let inner = setting.strip_prefix(axis.target.as_str()).unwrap_or_default();
        path.extend(inner.split('.').filter(|part| !part.is_empty()).map(key));
        path
    }

    fn refuse_duplicates(&mut self, trials: &[Trial]) {
        let mut first: HashMap<TrialId, &Trial> = HashMap::new();
        for trial in trials {
            let trains_as = match setting::effective(&trial.settings) {
                Cow::Borrowed(_) => trial.id.clone(),
                Cow::Owned(settings) => identify(&settings, trial.seed),
            };
            let Some(earlier) = first.insert(trains_as, trial) else { continue };
            let show = |trial: &Trial| serde_json::json!(trial.parameters).to_string();
            let what = format!("two trials are the same: {} and {}", show(earlier), show(trial));
            let hint = if earlier.id == trial.id {
                "remove the value that stands twice (1e-4 and 0.0001 are one number)"
            } else {
                "data.val_fraction has no effect beside this data.split, which says itself what is \
                 validation data: leave it out"
            };
            let axes = if trial.parameters.is_empty() { vec![] } else { vec![key("grid")] };
            self.complaints.push(Complaint {
                place: self.source.place(&axes),
                path: place::show(&axes),
                what,
                hint: Some(hint.to_owned()),
            });
            return;
        }
    }
}

/// Sets a dotted path. A mapping replaces what was there; another `name` drops its siblings, which
/// belonged to the old one.
fn set(settings: &mut Map<String, Value>, target: &str, value: Value) {
    let Some((section, rest)) = target.split_once('.') else {
        settings.insert(target.to_owned(), value);
        return;
    };
    let inner = settings.entry(section).or_insert_with(|| Value::Object(Map::new()));
    if !inner.is_object() {
        *inner = Value::Object(Map::new());
    }
    let Value::Object(inner) = inner else { return };
    if rest == "name" && section != "data" && inner.get("name") != Some(&value) {
        inner.clear();
    }
    set(inner, rest, value);
}

/// Returns the canonical form of a swept value: as resolved where it is one setting, as given where
/// it is a whole mapping.
fn canonical_value(resolved: &Map<String, Value>, target: &str, given: &Value) -> Value {
    let mut node = None;
    let mut map = Some(resolved);
    for part in target.split('.') {
        node = map.and_then(|map| map.get(part));
        map = node.and_then(Value::as_object);
    }
    match (node, given) {
        (Some(node), given) if !given.is_object() => node.clone(),
        _ => given.clone(),
    }
}
