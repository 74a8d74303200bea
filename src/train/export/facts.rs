//! What there is to know of an exported network: `model.json`, and what the card is written from.
//!
//! Nothing of the machine stands in it, such as paths: a model is given away.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::event::Fingerprint;
use crate::metric::{Metrics, Objective};
use crate::setting;
use crate::train::learner::LIBRARY;
use crate::worker::checkpoint::Made;
use crate::worker::trained::Flag;

use super::{Built, Preparation, Trained};

/// Version of `model.json`.
const SCHEMA_VERSION: u32 = 1;

/// Content of `model.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Facts {
    /// Version of this shape.
    pub schema_version: u32,
    /// Name of the sweep.
    pub sweep: String,
    /// Id of the trial.
    pub trial: String,
    /// Its seed.
    pub seed: u64,
    /// Name of the checkpoint, or words for what it is.
    pub checkpoint: String,
    /// The last complete epoch of these weights; none where it is not known.
    pub epoch: Option<u64>,
    /// Epochs that were asked for.
    pub epochs: u64,
    /// What chose the epoch.
    pub objective: Objective,
    /// Metrics of that epoch; the validation split gave those of `val/`.
    pub metrics: Metrics,
    /// What one should know before one trusts it.
    pub flags: Vec<Flag>,
    /// The network.
    pub network: NetworkFacts,
    /// What goes in and what is done to it.
    pub input: InputFacts,
    /// Optimizer, learning rate and schedule, and other settings that are not the defaults.
    pub settings: Vec<Changed>,
    /// The data it was trained on.
    pub data: DataFacts,
    /// What it was made with.
    pub versions: Versions,
    /// Largest difference between `model.pt` and the network, as a part of the largest logit.
    pub difference: f64,
}

/// What the network is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NetworkFacts {
    /// All its settings, `name` among them.
    pub model: Value,
    /// Trainable numbers.
    pub parameters: u64,
    /// All numbers, running statistics too.
    pub values: u64,
}

/// What the network takes: raw values in `[0, 1]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InputFacts {
    /// 1 (grey) or 3.
    pub channels: i64,
    /// `model.pt` extends sides to multiples of it.
    pub stride: i64,
    /// The only height and width that `model.pt` takes, in pixels; none: any.
    pub tile: Option<i64>,
    /// How many pixels around a pixel decide about it; none where all that is shown may.
    pub sees: Option<i64>,
    /// Edge of the patches it was trained on, in pixels.
    pub patch: i64,
    /// Raw values are multiplied by this,
    pub contrast_gain: f64,
    /// this is added, and they are clipped to `[0, 1]`;
    pub contrast_offset: f64,
    /// then this is taken away,
    pub mean: f64,
    /// and they are divided by this.
    pub deviation: f64,
}

/// A setting that is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Changed {
    /// Its dotted path.
    pub path: String,
    /// Its value.
    pub value: Value,
    /// What it would be by itself; null where there is no default.
    pub default: Value,
}

/// The data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataFacts {
    /// Their name.
    pub name: String,
    /// How they were divided.
    pub split: Value,
    /// Number of files, and the checksum of them all; none where the checkpoint does not tell.
    pub fingerprint: Option<Fingerprint>,
    /// Fraction of the validation split's pixels that is foreground, from the metrics; none where they
    /// do not tell.
    pub val_foreground: Option<f64>,
}

/// What the model was made with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Versions {
    /// The worker that wrote the export.
    pub worker: &'static str,
    /// The library that wrote it.
    pub library: &'static str,
    /// What the checkpoint was made with; none where it does not tell.
    pub trained_with: Option<Made>,
}

impl Facts {
    pub(super) fn of(trained: &Trained, built: &Built, difference: f64) -> Self {
        let Trained { assignment, settings, manifest, .. } = trained;
        let state = manifest.as_ref().map(|manifest| &manifest.state);
        let last = state.and_then(|state| state.last.clone());
        let metrics = last.as_ref().map(|last| last.metrics.clone()).unwrap_or_default();
        let resolved = setting::complete(&assignment.trial.settings);
        let section = |name: &str| resolved.get(name).cloned().unwrap_or_default();
        let Preparation { gain, offset, normalisation } = built.preparation;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            schema_version: SCHEMA_VERSION,
            sweep: assignment.sweep.clone(),
            trial: assignment.trial.id.to_string(),
            seed: trained.seed(),
            checkpoint: trained.checkpoint.clone(),
            epoch: last.map(|last| last.epoch),
            epochs: settings.epochs,
            objective: assignment.objective.clone(),
            flags: trained.flags(),
            network: NetworkFacts {
                model: section("model"),
                parameters: built.parameters.count(),
                values: built.parameters.count_all(),
            },
            input: InputFacts {
                channels: built.input.channels,
                stride: built.input.stride,
                tile: built.input.tile,
                sees: built.network.receptive_radius(),
                patch: built.edge,
                contrast_gain: gain,
                contrast_offset: offset,
                mean: normalisation.mean,
                deviation: normalisation.deviation,
            },
            settings: changed(&assignment.trial.settings),
            data: DataFacts {
                name: text(&section("data")["name"]),
                split: section("data")["split"].clone(),
                fingerprint: manifest.as_ref().and_then(|manifest| manifest.data.clone()),
                val_foreground: foreground(&metrics),
            },
            versions: Versions {
                worker: env!("CARGO_PKG_VERSION"),
                library: LIBRARY,
                trained_with: manifest.as_ref().and_then(|manifest| manifest.made.clone()),
            },
            metrics,
            difference,
        }
    }

    /// Returns the content of `model.json`.
    pub(super) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

/// Foreground is what was found of it, by the part of it that was found: precision · coverage / recall.
fn foreground(metrics: &Metrics) -> Option<f64> {
    let [coverage, precision, recall] =
        ["val/coverage", "val/precision", "val/recall"].map(|name| metrics.get(name));
    let recall = recall.filter(|recall| *recall > 0.0)?;
    Some(coverage? * precision? / recall)
}

/// What is told whether or not it is the default.
const ALWAYS: [&str; 3] = ["optimizer.lr", "optimizer.name", "schedule.name"];

/// Settings that differ from what the same network, optimizer and schedule have by themselves, and [`ALWAYS`].
fn changed(resolved: &Map<String, Value>) -> Vec<Changed> {
    let all = setting::complete(resolved);
    let mut given = Map::new();
    for section in ["model", "optimizer", "schedule"] {
        if let Some(name) = all.get(section).and_then(|section| section.get("name")) {
            given.insert(section.to_owned(), json!({ "name": name }));
        }
    }
    given.insert("data".to_owned(), json!({ "path": "/" , "name": all["data"]["name"] }));
    let completed = |given: &Map<String, Value>| {
        let defaults = setting::resolve(given).map(|defaults| setting::complete(&defaults));
        flat(&defaults.unwrap_or_default())
    };
    let mut defaults = completed(&given);
    // The names are given here; what they would be by themselves is another question.
    given.retain(|section, _| section != "optimizer" && section != "schedule");
    for name in ["optimizer.name", "schedule.name"] {
        let own = completed(&given).remove(name).unwrap_or_default();
        defaults.insert(name.to_owned(), own);
    }
    let different = |(path, value): (String, Value)| {
        let default = defaults.get(&path).cloned().unwrap_or_default();
        // A path is of one machine; names tell what is chosen.
        let is_told = path == "data.path" || path == "data.name";
        let is_wanted = default != value || ALWAYS.contains(&path.as_str());
        (is_wanted && !is_told).then_some(Changed { path, value, default })
    };
    flat(&all).into_iter().filter_map(different).collect()
}

/// Settings by dotted path; mappings within a section are values.
fn flat(settings: &Map<String, Value>) -> Map<String, Value> {
    let mut flat = Map::new();
    for (name, value) in settings {
        match value {
            Value::Object(section) => flat.extend(
                section.iter().map(|(key, value)| (format!("{name}.{key}"), value.clone())),
            ),
            _ => {
                flat.insert(name.clone(), value.clone());
            }
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_and_how_it_learnt_is_told_and_no_path() {
        let given = json!({
            "model": { "name": "unet", "base": 16 },
            "data": { "path": "/home/me/lucchi", "split": { "by": "blocks", "gap": 20 } },
            "loss": { "dice": 1.0 },
            "epochs": 7,
        });
        let resolved = setting::resolve(given.as_object().expect("object")).expect("settings");
        let changed = changed(&resolved);
        let paths: Vec<&str> = changed.iter().map(|one| one.path.as_str()).collect();
        let wanted = ["data.split", "epochs", "loss.bce", "loss.dice", "model.base"];
        assert_eq!(paths, [&wanted[..], &ALWAYS].concat());
        assert_eq!(changed[1].value, 7);
        assert_eq!(changed[1].default, 30);
        let given = json!({
            "model": { "name": "unet" },
            "data": { "path": "/d" },
            "optimizer": { "name": "sgd" },
            "schedule": { "name": "one_cycle" },
        });
        let resolved = setting::resolve(given.as_object().expect("object")).expect("settings");
        let told = super::changed(&resolved);
        let name = |path: &str| told.iter().find(|one| one.path == path).expect("told");
        assert_eq!(name("optimizer.name").value, "sgd");
        assert_eq!(name("optimizer.name").default, "adamw");
        assert_eq!(name("schedule.name").value, "one_cycle");
        assert_eq!(name("optimizer.lr").value, name("optimizer.lr").default);
    }

    #[test]
    fn foreground_comes_from_what_was_counted() {
        let counts = crate::metric::Confusion {
            true_positive: 15,
            false_positive: 5,
            false_negative: 45,
            true_negative: 135,
        };
        let mut metrics = Metrics::default();
        counts.record("val", &mut metrics);
        assert!((foreground(&metrics).expect("known") - 0.3).abs() < 1e-12);
        assert_eq!(foreground(&Metrics::default()), None);
    }
}
