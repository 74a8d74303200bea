//! What there is to know of an exported network: `model.json`, and what the card is written from.
//!
//! Nothing of the machine stands in it, such as paths: a model is given away.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::event::{Fingerprint, Outcome};
use crate::metric::{Metrics, Objective};
use crate::setting::{self, Split, SplitBy};
use crate::train::learner::LIBRARY;
use crate::worker::checkpoint::Made;

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
    /// Settings that are not the defaults.
    pub settings: Vec<Changed>,
    /// The data it was trained on.
    pub data: DataFacts,
    /// What it was made with.
    pub versions: Versions,
    /// Largest difference between `model.pt` and the network, as a part of the largest logit.
    pub difference: f64,
}

/// Something to be careful about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flag {
    /// A word for programs.
    pub flag: &'static str,
    /// A sentence for people.
    pub text: String,
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

/// A setting that is not the default.
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
            flags: flags(trained),
            network: NetworkFacts {
                model: section("model"),
                parameters: built.parameters.count(),
                values: built.parameters.count_all(),
            },
            input: InputFacts {
                channels: built.input.channels,
                stride: built.input.stride,
                tile: built.input.tile,
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

fn flags(trained: &Trained) -> Vec<Flag> {
    let mut flags = Vec::new();
    let mut add = |flag, text: String| flags.push(Flag { flag, text });
    let Trained { settings, manifest, outcome, .. } = trained;
    let split = settings.data.as_ref().map(|data| &data.split);
    if split == Some(&Split::Word(SplitBy::LeakyRandomPatches)) {
        let text = "training and validation share images (`leaky_random_patches`): the metrics say \
                    little about new images";
        add("leaky_split", text.to_owned());
    }
    let unfinished = match outcome {
        Some(Outcome::Finished) => None,
        None | Some(Outcome::Superseded) => Some("the trial has not ended"),
        Some(Outcome::Stopped) => Some("the trial was stopped before its end"),
        Some(Outcome::Spent) => Some("the trial used up its time before its end"),
        Some(Outcome::Diverged) => Some("training diverged; these weights are from before"),
        Some(Outcome::Failed) => Some("the trial failed; these weights are from before"),
    };
    if let Some(text) = unfinished {
        add("unfinished", text.to_owned());
    }
    let Some(manifest) = manifest else {
        let text = "only weights could be saved: epoch and metrics are not known";
        add("weights_alone", text.to_owned());
        return flags;
    };
    if !trained.is_best() {
        add("not_best_epoch", "these are not the weights of the best epoch".to_owned());
    }
    let health = manifest.state.health;
    if health.blind > 0 {
        let text = "in this epoch the network told no foreground from background";
        add("collapsed", text.to_owned());
    }
    if !health.has_learnt {
        add("has_not_learnt", "val/jaccard never came to 0.1".to_owned());
    }
    if health.rollbacks > 0 {
        let text = format!("training was rolled back, {} time(s)", health.rollbacks);
        add("rolled_back", text);
    }
    flags
}

/// Settings that differ from what the same network, optimizer and schedule have by themselves.
fn changed(resolved: &Map<String, Value>) -> Vec<Changed> {
    let all = setting::complete(resolved);
    let mut given = Map::new();
    for section in ["model", "optimizer", "schedule"] {
        if let Some(name) = all.get(section).and_then(|section| section.get("name")) {
            given.insert(section.to_owned(), json!({ "name": name }));
        }
    }
    given.insert("data".to_owned(), json!({ "path": "/" , "name": all["data"]["name"] }));
    let defaults = setting::resolve(&given).map(|defaults| setting::complete(&defaults));
    let defaults = flat(&defaults.unwrap_or_default());
    let different = |(path, value): (String, Value)| {
        let default = defaults.get(&path).cloned().unwrap_or_default();
        // A path is of one machine; names tell what is chosen.
        let is_told = path == "data.path" || path == "data.name";
        (default != value && !is_told).then_some(Changed { path, value, default })
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
    fn only_what_differs_is_told_and_no_path() {
        let given = json!({
            "model": { "name": "unet", "base": 16 },
            "data": { "path": "/home/me/lucchi", "split": { "by": "blocks", "gap": 20 } },
            "loss": { "dice": 1.0 },
            "epochs": 7,
        });
        let resolved = setting::resolve(given.as_object().expect("object")).expect("settings");
        let changed = changed(&resolved);
        let paths: Vec<&str> = changed.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(paths, ["data.split", "epochs", "loss.bce", "loss.dice", "model.base"]);
        assert_eq!(changed[1].value, 7);
        assert_eq!(changed[1].default, 30);
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
