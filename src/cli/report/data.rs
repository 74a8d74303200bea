//! What trials were validated on, and in which settings they differ: a split is one setting, told in words.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::analysis::{Member, Point};
use crate::id::TrialId;
use crate::store::{BestRow, Rivals};

/// The setting that a split is.
pub(super) const SPLIT: &str = "data.split";

/// A part of the words of a split.
const FRACTION: &str = "data.val_fraction";

/// Data sets with their splits, in the order in which the groups of a comparison tell them.
pub(super) fn ordered(rivals: &Rivals, compare: &Value) -> Vec<String> {
    let groups = compare["groups"].as_array().into_iter().flatten();
    let told = groups.filter_map(|group| group["data"][0].as_str());
    let all: BTreeSet<&str> = rivals.points.iter().map(|point| point.dataset.as_str()).collect();
    let mut found: Vec<String> = Vec::new();
    for name in told.filter(|name| all.contains(name)).chain(all.iter().copied()) {
        if !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    }
    found
}

/// A condition that holds for the trials on this data alone, if one setting tells.
pub(super) fn condition(rivals: &Rivals, data: &str) -> Option<String> {
    let (own, others): (Vec<&Point>, Vec<&Point>) =
        rivals.points.iter().partition(|point| point.dataset == data);
    let first = own.first()?;
    let tells = |(path, value): &(&String, &Value)| {
        own.iter().all(|point| point.data.get(*path) == Some(value))
            && others.iter().all(|point| point.data.get(*path).is_some_and(|other| other != *value))
    };
    let mut telling = first.data.iter().filter(tells);
    telling.find_map(|(path, value)| match value {
        Value::String(_) | Value::Number(_) => Some(format!("{path} = {value}")),
        _ => None,
    })
}

/// Settings in which trials differ, in the order of their paths, with the value of each trial.
pub(super) fn settings(
    rivals: &Rivals,
    rows: &[BestRow],
    members: &HashMap<(&str, &TrialId), &Member>,
) -> Vec<(String, Vec<Option<Value>>)> {
    let points: Vec<Option<&Point>> = rows
        .iter()
        .map(|row| members.get(&(row.sweep.as_str(), &row.trial)))
        .map(|member| member.map(|member| &rivals.points[member.point]))
        .collect();
    let splits_differ = differ(rivals.points.iter().map(|point| {
        let of_split = point.data.iter().filter(|(path, _)| is_within(path, SPLIT));
        of_split.collect::<BTreeMap<_, _>>()
    }));
    // What another plan of the sweep changed stands beside what is swept.
    let changed: BTreeSet<&String> = rows.iter().flat_map(|row| row.parameters.keys()).collect();
    let is_new = |path: &&String| {
        !rivals.paths.iter().any(|known| is_within(path, known) || is_within(known, path))
    };
    let in_split = |path: &str| is_within(path, SPLIT) || (splits_differ && path == FRACTION);
    let mut found: BTreeMap<String, Vec<Option<Value>>> = BTreeMap::new();
    for (at, path) in rivals.paths.iter().enumerate().filter(|(_, path)| !in_split(path)) {
        if differ(rivals.points.iter().map(|point| &point.values[at])) {
            let own = points.iter().map(|point| point.and_then(|point| point.values[at].clone()));
            found.insert(path.clone(), own.collect());
        }
    }
    for path in changed.into_iter().filter(is_new).filter(|path| !in_split(path)) {
        let own: Vec<Option<Value>> =
            rows.iter().map(|row| row.parameters.get(path).cloned()).collect();
        if differ(own.iter()) {
            found.insert(path.clone(), own);
        }
    }
    if splits_differ {
        let words = |point: &Option<&Point>| point.and_then(|point| point.split.clone());
        let own = points.iter().map(|point| words(point).map(Value::from)).collect();
        found.insert(SPLIT.to_owned(), own);
    }
    found.into_iter().collect()
}

fn differ<T: PartialEq>(mut values: impl Iterator<Item = T>) -> bool {
    let first = values.next();
    values.any(|value| first.as_ref() != Some(&value))
}

/// Whether a path is another one, or leads to a part of it.
fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
