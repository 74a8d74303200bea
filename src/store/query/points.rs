//! Settings that repeats share, each once, and what they say of the data that a trial was validated on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::object;
use crate::analysis::{Point, flat, value_at};
use crate::setting::{complete, effective};

/// Points met so far.
#[derive(Default)]
pub(super) struct Points<'a> {
    pub(super) paths: &'a [String],
    pub(super) found: Vec<Point>,
    /// By the hash of a trial's settings as they stand, and of those that repeats share.
    by_text: HashMap<[u8; 32], usize>,
    /// The newest trial's settings: repeats stand side by side.
    newest: Option<(String, usize)>,
    by_shared: HashMap<[u8; 32], usize>,
    /// Of each point, whether it learns from a part of its training files.
    fractions: Vec<bool>,
}

impl<'a> Points<'a> {
    /// Begins with none; they will tell of the values of these paths.
    pub(super) fn new(paths: &'a [String]) -> Self {
        Self { paths, ..Self::default() }
    }

    /// Returns the index of the point of a trial.
    pub(super) fn of(&mut self, settings: &str, parameters: &str) -> usize {
        match &self.newest {
            Some((newest, at)) if newest == settings => *at,
            _ => {
                let at = self.look_up(settings, parameters);
                self.newest = Some((settings.to_owned(), at));
                at
            }
        }
    }

    /// Whether a point learns from a part of its training files.
    pub(super) fn has_fraction(&self, at: usize) -> bool {
        self.fractions[at]
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
            let data = shared.get("data");
            self.fractions.push(data.is_some_and(|data| data.get("train_fraction").is_some()));
            self.found.push(point(&complete(&shared), object(parameters), self.paths));
        }
        self.by_text.insert(text, at);
        at
    }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Settings without the place of the data, which is no part of what is trained, and without those that
/// have no effect.
pub(super) fn shared(settings: &str) -> Map<String, Value> {
    let mut settings = effective(&object(settings)).into_owned();
    if let Some(Value::Object(data)) = settings.get_mut("data") {
        data.remove("path");
    }
    settings
}

fn point(settings: &Map<String, Value>, parameters: Map<String, Value>, paths: &[String]) -> Point {
    let word = |path| value_at(settings, path).as_ref().and_then(Value::as_str).map(str::to_owned);
    let network = word("model.name").unwrap_or_default();
    let split = settings.get("data").and_then(|data| Some((data, data.get("split")?)));
    let split = split.map(|(data, split)| in_words(data, split));
    let dataset = match &split {
        None => format!("the data of {network}"),
        Some(split) => format!("{} ({split})", word("data.name").unwrap_or_default()),
    };
    let of_data = ["data.name", "data.split", "data.val_fraction"];
    let data = of_data.iter().flat_map(|path| leaves(path, value_at(settings, path).as_ref()));
    Point {
        values: paths.iter().map(|path| value_at(settings, path)).collect(),
        is_leaky: word("data.split").is_some_and(|split| split == "leaky_random_patches"),
        samples: value_at(settings, "samples_per_epoch").and_then(|samples| samples.as_u64()),
        data: data.collect(),
        network,
        dataset,
        split,
        parameters,
    }
}

/// The split of a trial's data in words; nothing where it has none.
pub(super) fn split_in_words(settings: &Map<String, Value>) -> Option<String> {
    let data = settings.get("data")?;
    Some(in_words(data, data.get("split")?))
}

/// A split as people write it: `file; 20 %`, `blocks, gap 20; 20 %`, `fold 0 of 5, gap 2`, `split.csv`.
fn in_words(data: &Value, split: &Value) -> String {
    let split_in_words = match split {
        Value::String(word) => word.clone(),
        Value::Object(of) => {
            let by = of.get("by").and_then(Value::as_str).unwrap_or_default();
            let of_folds = of.get("fold").zip(of.get("folds")).filter(|_| by == "folds");
            let first = of_folds.map_or(by.to_owned(), |(at, all)| format!("fold {at} of {all}"));
            let others = of.iter().filter(|(key, _)| {
                *key != "by" && (of_folds.is_none() || !["fold", "folds"].contains(&key.as_str()))
            });
            let others = others.map(|(key, value)| format!("{key} {value}"));
            std::iter::once(first).chain(others).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    // So that 0.29 is no 28.999999999999996 %.
    let percent = |fraction: f64| (fraction * 1e11).round() / 1e9;
    let fraction = data.get("val_fraction").and_then(Value::as_f64);
    fraction.map_or(split_in_words.clone(), |of| format!("{split_in_words}; {} %", percent(of)))
}

/// Puts in place of each path that leads to a mapping those of its values in which points differ; of all
/// of them, where they differ in none.
pub(super) fn unfold(paths: Vec<String>, points: &mut [Point]) -> Vec<String> {
    let mut unfolded = Vec::new();
    let mut values: Vec<Vec<Option<Value>>> = vec![Vec::new(); points.len()];
    for (at, path) in paths.into_iter().enumerate() {
        if !points.iter().any(|point| matches!(point.values[at], Some(Value::Object(_)))) {
            let own = points.iter().map(|point| point.values[at].clone());
            values.iter_mut().zip(own).for_each(|(row, value)| row.push(value));
            unfolded.push(path);
            continue;
        }
        let leaves: Vec<BTreeMap<String, Value>> =
            points.iter().map(|point| leaves(&path, point.values[at].as_ref())).collect();
        let mut names = crate::analysis::different_paths(&leaves);
        if names.is_empty() {
            let all: BTreeSet<&String> = leaves.iter().flat_map(BTreeMap::keys).collect();
            names = all.into_iter().cloned().collect();
        }
        for (row, leaves) in values.iter_mut().zip(&leaves) {
            row.extend(names.iter().map(|name| leaves.get(name).cloned()));
        }
        unfolded.extend(names);
    }
    let is_new = |at: &usize| !unfolded[..*at].contains(&unfolded[*at]);
    let kept: Vec<usize> = (0..unfolded.len()).filter(is_new).collect();
    for (point, values) in points.iter_mut().zip(values) {
        point.values = kept.iter().map(|at| values[*at].clone()).collect();
    }
    kept.iter().map(|at| unfolded[*at].clone()).collect()
}

/// The values of a mapping by their paths; of another value its own.
fn leaves(path: &str, value: Option<&Value>) -> BTreeMap<String, Value> {
    match value {
        Some(Value::Object(inner)) => {
            flat(inner).into_iter().map(|(key, value)| (format!("{path}.{key}"), value)).collect()
        }
        Some(other) => BTreeMap::from([(path.to_owned(), other.clone())]),
        None => BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn dataset(split: Value) -> String {
        let settings = json!({
            "model": { "name": "unet" }, "data": { "name": "em", "split": split, "val_fraction": 0.29 },
        });
        let paths = [];
        let mut points = Points::new(&paths);
        let at = points.of(&settings.to_string(), "{}");
        points.found[at].dataset.clone()
    }

    #[test]
    fn splits_are_told_in_words_and_a_fraction_only_where_it_counts() {
        for (split, told) in [
            (json!("file"), "em (file; 29 %)"),
            (json!("split.csv"), "em (split.csv)"),
            (json!({ "by": "blocks", "gap": 20 }), "em (blocks, gap 20; 29 %)"),
            (json!({ "by": "folds", "folds": 5, "fold": 0, "gap": 2 }), "em (fold 0 of 5, gap 2)"),
        ] {
            assert_eq!(dataset(split), told);
        }
    }

    #[test]
    fn trials_that_differ_without_effect_are_one_point() {
        let paths = [];
        let mut points = Points::new(&paths);
        let mut of = |split: &str, fraction: f64| {
            let data = json!({ "name": "em", "split": split, "val_fraction": fraction });
            points.of(&json!({ "data": data }).to_string(), "{}")
        };
        assert_eq!(of("split.csv", 0.2), of("split.csv", 0.3));
        assert_ne!(of("file", 0.2), of("file", 0.3));
    }

    #[test]
    fn mappings_are_told_by_what_differs_in_them() {
        let point = |value: Option<Value>| Point {
            values: vec![Some(json!(1)), value],
            ..Point::default()
        };
        let mut points = [
            point(Some(json!({ "name": "unet", "base": 4, "depth": 3 }))),
            point(Some(json!({ "name": "swin", "depth": 3, "heads": [2, 4] }))),
            point(None),
        ];
        let paths = unfold(vec!["batch_size".to_owned(), "model".to_owned()], &mut points[..2]);
        assert_eq!(paths, ["batch_size", "model.base", "model.heads", "model.name"]);
        let told = [Some(json!(1)), None, Some(json!([2, 4])), Some(json!("swin"))];
        assert_eq!(points[1].values, told);
        let mut same = [point(Some(json!({ "blur": 0.0 }))), point(Some(json!({ "blur": 0.0 })))];
        assert_eq!(unfold(vec!["a".to_owned(), "b".to_owned()], &mut same), ["a", "b.blur"]);
    }
}
