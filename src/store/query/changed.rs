//! What tells the trials of a sweep apart beside what its newest plan varies: settings that were changed between
//! two submissions, and axes that came or went.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};
use sqlx::Row;

use super::object;
use super::points::{shared, split_in_words};
use crate::analysis::{different_paths, flat, value_at};
use crate::id::TrialId;
use crate::setting::{complete, effective};
use crate::store::rows::Rows;
use crate::store::{Store, StoreError};

/// Told as a whole, in words: what belongs to it is another thing for each way to divide images.
const SPLIT: &str = "data.split";

/// A trial of one of the plans that a sweep had.
#[derive(Debug)]
struct Sample {
    /// All its settings by their paths.
    settings: BTreeMap<String, Value>,
    /// The paths that its plan varied.
    swept: BTreeSet<String>,
}

impl Sample {
    fn of(settings: &str, parameters: &str) -> Self {
        let settings = flat(&complete(&shared(settings)));
        Self { settings, swept: object(parameters).into_iter().map(|(path, _)| path).collect() }
    }
}

impl Store {
    /// Adds to the swept values of trials (each with its sweep's name) what else tells them from the others of
    /// their sweep; `ids` are the keys of these sweeps, a JSON array.
    pub(super) async fn add_changed<'a>(
        &mut self,
        ids: &str,
        trials: impl Iterator<Item = (&'a str, &'a TrialId, &'a mut Map<String, Value>)>,
    ) -> Result<(), StoreError> {
        let changed = self.changed(ids).await?;
        if changed.is_empty() {
            return Ok(());
        }
        let mut by_sweep: BTreeMap<&str, HashMap<&str, &mut Map<String, Value>>> = BTreeMap::new();
        for (sweep, trial, parameters) in trials.filter(|(sweep, ..)| changed.contains_key(*sweep))
        {
            by_sweep.entry(sweep).or_default().insert(trial.as_str(), parameters);
        }
        for (sweep, mut trials) in by_sweep {
            let wanted = json!(trials.keys().collect::<Vec<_>>()).to_string();
            let rows = sqlx::query(
                "select trial.identity, trial.settings from sweep
                     cross join json_each(?2) wanted
                     cross join trial on trial.sweep_id = sweep.sweep_id
                         and trial.identity = wanted.value
                 where sweep.name = ?1 and trial.settings <> '{}'",
            )
            .bind(sweep.to_owned())
            .bind(wanted)
            .fetch(&mut self.connection);
            let mut rows = Rows::new(rows);
            while let Some(row) = rows.next().await? {
                let Some(parameters) = trials.get_mut(row.try_get::<&str, _>("identity")?) else {
                    continue;
                };
                let settings = complete(&object(row.try_get("settings")?));
                for path in changed.get(sweep).into_iter().flatten() {
                    let value = match path.as_str() {
                        SPLIT => split_in_words(&effective(&settings)).map(Value::from),
                        _ => value_at(&settings, path),
                    };
                    if let (false, Some(value)) = (parameters.contains_key(path), value) {
                        parameters.insert(path.clone(), value);
                    }
                }
            }
        }
        Ok(())
    }

    /// The paths that tell trials apart, of those sweeps whose plan was changed after something of it was
    /// submitted.
    async fn changed(&mut self, ids: &str) -> Result<BTreeMap<String, Vec<String>>, StoreError> {
        // All trials of a plan share what it does not vary: one of each submission is enough.
        let before: Vec<(String, String, String)> = sqlx::query_as(
            "select distinct sweep.name, trial.settings, trial.parameters
             from sweep
                 cross join submission on submission.sweep_id = sweep.sweep_id
                 cross join submission_task task
                     on task.submission_id = submission.submission_id and task.task = 0
                 cross join trial on trial.trial_id = task.trial_id
             where sweep.sweep_id in (select value from json_each(?))
                 and trial.planned = 0 and trial.settings <> '{}'",
        )
        .bind(ids)
        .fetch_all(&mut self.connection)
        .await?;
        let mut samples: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
        for (sweep, settings, parameters) in before {
            samples.entry(sweep).or_default().push(Sample::of(&settings, &parameters));
        }
        let mut changed = BTreeMap::new();
        for (sweep, mut samples) in samples {
            let now: Option<(String, String)> = sqlx::query_as(
                "select trial.settings, trial.parameters from trial join sweep using (sweep_id)
                 where sweep.name = ? and trial.planned = 1 limit 1",
            )
            .bind(&sweep)
            .fetch_optional(&mut self.connection)
            .await?;
            samples.extend(now.map(|(settings, parameters)| Sample::of(&settings, &parameters)));
            let paths = telling(&samples);
            if !paths.is_empty() {
                changed.insert(sweep, paths);
            }
        }
        Ok(changed)
    }
}

/// The paths that tell trials of these plans apart; none where each plan's own are enough.
fn telling(samples: &[Sample]) -> Vec<String> {
    let swept: BTreeSet<&String> = samples.iter().flat_map(|sample| &sample.swept).collect();
    let is_within = |path: &str, outer: &str| {
        path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let flats: Vec<_> = samples.iter().map(|sample| sample.settings.clone()).collect();
    let differ: Vec<String> = different_paths(&flats)
        .into_iter()
        .filter(|path| !swept.iter().any(|swept| is_within(path, swept)))
        .filter(|path| !follows(path, &flats))
        .collect();
    let is_part =
        |path: &String| differ.iter().any(|other| other != path && is_within(path, other));
    let changed: Vec<&String> = differ.iter().filter(|path| !is_part(path)).collect();
    let have_same_axes = samples.windows(2).all(|pair| pair[0].swept == pair[1].swept);
    if changed.is_empty() && have_same_axes {
        return Vec::new();
    }
    let whole = |path: &String| match path == "data.val_fraction" || is_within(path, SPLIT) {
        true => SPLIT.to_owned(),
        false => path.clone(),
    };
    let changed = changed.into_iter().map(whole);
    let all: BTreeSet<String> = swept.into_iter().cloned().chain(changed).collect();
    all.into_iter().collect()
}

/// Says whether a setting differs only because another network, loss or the like was named, which has its own
/// settings.
fn follows(path: &str, flats: &[BTreeMap<String, Value>]) -> bool {
    let Some((section, own)) = path.split_once('.') else { return false };
    let name = format!("{section}.name");
    let mut by_name: HashMap<Option<&Value>, Option<&Value>> = HashMap::new();
    for of in flats {
        if *by_name.entry(of.get(&name)).or_insert(of.get(path)) != of.get(path) {
            return false;
        }
    }
    own != "name" && by_name.len() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(samples: &[(Value, &[&str])]) -> Vec<String> {
        let sample = |(settings, swept): &(Value, &[&str])| Sample {
            settings: flat(settings.as_object().expect("a mapping")),
            swept: swept.iter().map(|path| (*path).to_owned()).collect(),
        };
        telling(&samples.iter().map(sample).collect::<Vec<_>>())
    }

    #[test]
    fn what_was_changed_tells_trials_apart_beside_what_is_swept() {
        let of = |split: Value, lr: f64| json!({ "data": { "split": split }, "optimizer": { "lr": lr } });
        let swept = &["optimizer.lr"][..];
        let (file, blocks) = (json!("file"), json!({ "by": "blocks", "gap": 2 }));
        // A grid that only grew or shrank changed nothing.
        let same = [(of(file.clone(), 0.1), swept), (of(file.clone(), 0.2), swept)];
        assert!(paths(&same).is_empty());
        let changed = [(of(file.clone(), 0.1), swept), (of(blocks.clone(), 0.2), swept)];
        assert_eq!(paths(&changed), ["data.split", "optimizer.lr"]);
        // A split is told as a whole, whatever belongs to it.
        let folds = json!({ "by": "folds", "folds": 4, "fold": 1, "gap": 3 });
        let splits = [(of(blocks.clone(), 0.1), swept), (of(folds, 0.1), swept)];
        assert_eq!(paths(&splits), ["data.split", "optimizer.lr"]);
        // An axis that is fixed now, and the other way round.
        let fixed = [(of(file.clone(), 0.1), swept), (of(file, 0.1), &[][..])];
        assert_eq!(paths(&fixed), ["optimizer.lr"]);
    }

    #[test]
    fn what_another_network_brings_with_it_is_left_out() {
        let unet = |base: u64| json!({ "model": { "name": "unet", "base": base } });
        let swin = json!({ "model": { "name": "swin", "window": 4 } });
        assert_eq!(paths(&[(unet(4), &[]), (swin.clone(), &[])]), ["model.name"]);
        assert!(paths(&[(unet(4), &["model.name"]), (swin.clone(), &["model.name"])]).is_empty());
        let three = [(unet(4), &[][..]), (unet(8), &[]), (swin, &[])];
        assert_eq!(paths(&three), ["model.base", "model.name"]);
    }
}
