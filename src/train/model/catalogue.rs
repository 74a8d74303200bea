//! What networks there are, and how large.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Parameters, build_into};
use crate::setting::{self, Layout, Model, Settings};
use crate::worker::learner::LearnerError;

/// A network with all its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its name, as in `model.name`.
    pub name: String,
    /// Whose layout: `paper` or `earlier`.
    pub variant: Layout,
    /// Settings that differ from the defaults, as a line of a sweep file.
    pub settings: String,
    /// Trainable parameters.
    pub parameters: u64,
    /// The same with the running statistics of batch normalisation, which Keras counts too; none where
    /// there are none.
    pub keras_parameters: Option<u64>,
    /// What the earlier system reported, counted as in Keras; none where this is another network.
    pub reference_parameters: Option<u64>,
    /// What there is to know.
    pub note: String,
}

/// A network, its settings at the earlier system's size, and the number reported there.
struct Reported {
    name: &'static str,
    size: fn() -> Value,
    parameters: u64,
    paper: &'static str,
    earlier: &'static str,
}

const REPORTED: [Reported; 6] = [
    Reported {
        name: "unet",
        size: || json!({ "base": 64, "channels": 3 }),
        parameters: 31_402_501,
        paper: "",
        earlier: "",
    },
    Reported {
        name: "attention_unet",
        size: || json!({ "base": 64, "channels": 3 }),
        parameters: 37_334_665,
        paper: "",
        earlier: "",
    },
    Reported {
        name: "attention_resunet",
        size: || json!({ "base": 64, "channels": 3 }),
        parameters: 39_090_377,
        paper: "",
        earlier: "",
    },
    Reported {
        name: "convnext_unet",
        size: || json!({ "channels": 3 }),
        parameters: 34_590_913,
        paper: "",
        earlier: "",
    },
    Reported {
        name: "swin_unet",
        size: || json!({ "channels": 3 }),
        parameters: 34_164_673,
        paper: "shifted windows and relative positions",
        earlier: "no windows and no positions: every token attends to all",
    },
    Reported {
        name: "coatnet_unet",
        size: || json!({ "channels": 3, "dropout": 0.1 }),
        parameters: 15_165_249,
        paper: "the tables of relative positions are those for data.patch 256",
        earlier: "one of several layouts with this number; not all details of the original are known",
    },
];

/// Edge of the patches where a sweep does not say.
const PATCH: i64 = 256;

/// Returns every network in both layouts, at its default settings and at the size of the earlier
/// system. Nothing is computed: networks are built as outlines.
///
/// # Errors
/// When a network cannot be built.
pub fn entries() -> Result<Vec<Entry>, LearnerError> {
    let mut entries = Vec::new();
    for reported in &REPORTED {
        for variant in [Layout::Paper, Layout::Earlier] {
            for size in [json!({}), (reported.size)()] {
                let entry = entry(reported, variant, &size)?;
                if !entries.contains(&entry) {
                    entries.push(entry);
                }
            }
        }
    }
    Ok(entries)
}

fn entry(reported: &Reported, variant: Layout, size: &Value) -> Result<Entry, LearnerError> {
    let mut given = Map::new();
    given.insert("name".to_owned(), json!(reported.name));
    given.extend(
        size.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())),
    );
    if variant == Layout::Earlier {
        given.insert("variant".to_owned(), json!("earlier"));
    }
    let mut parameters = Parameters::outline();
    build_into(&settings(&given)?, PATCH, &mut parameters)?;
    let (count, all) = (parameters.count(), parameters.count_all());
    let is_the_reported = variant == Layout::Earlier && *size == (reported.size)();
    let reference = is_the_reported.then_some(reported.parameters);
    let mut notes = Vec::new();
    if let Some(reference) = reference {
        notes.push(match all.abs_diff(reference) {
            0 => "the reported number exactly".to_owned(),
            more if all > reference => format!("{more} more than reported"),
            less => format!("{less} fewer than reported"),
        });
    }
    let note = if variant == Layout::Paper { reported.paper } else { reported.earlier };
    notes.extend((!note.is_empty()).then(|| note.to_owned()));
    Ok(Entry {
        name: reported.name.to_owned(),
        variant,
        settings: line(&given),
        parameters: count,
        keras_parameters: (all != count).then_some(all),
        reference_parameters: reference,
        note: notes.join("; "),
    })
}

fn settings(model: &Map<String, Value>) -> Result<Model, LearnerError> {
    let wrong = |what: String| LearnerError::Setting { setting: "model".to_owned(), what };
    let all = json!({ "model": model, "data": { "path": "." } });
    let resolved = setting::resolve(all.as_object().unwrap_or(&Map::new()));
    let resolved = resolved.map_err(|problems| {
        wrong(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    let settings = Settings::from_resolved(&resolved).map_err(|error| wrong(error.to_string()))?;
    Ok(settings.model)
}

/// As `model: { name: unet, base: 64 }`.
fn line(given: &Map<String, Value>) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut pairs: Vec<String> =
        given.iter().map(|(key, value)| format!("{key}: {}", text(value))).collect();
    // The name is what one looks for.
    pairs.sort_by_key(|pair| !pair.starts_with("name: "));
    format!("model: {{ {} }}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::table;

    #[test]
    fn every_network_is_listed_in_both_layouts_and_at_the_reported_size() {
        let entries = entries().expect("entries");
        let section =
            table::SECTIONS.iter().find(|section| section.name == "model").expect("model");
        for network in section.variants.iter().filter(|network| network.name != "toy") {
            for variant in [Layout::Paper, Layout::Earlier] {
                let own = |entry: &&Entry| entry.name == network.name && entry.variant == variant;
                assert!(entries.iter().filter(own).count() >= 2, "{} {variant:?}", network.name);
            }
            let reported =
                |entry: &&Entry| entry.name == network.name && entry.reference_parameters.is_some();
            assert_eq!(entries.iter().filter(reported).count(), 1, "{}", network.name);
        }
    }

    #[test]
    fn a_settings_line_is_what_the_sweep_reader_takes() {
        for entry in entries().expect("entries") {
            let model: Value = serde_yaml::from_str(&entry.settings).expect("YAML");
            let model = model["model"].as_object().expect("a mapping").clone();
            let mut parameters = Parameters::outline();
            let settings = settings(&model).expect("settings");
            build_into(&settings, PATCH, &mut parameters).expect("network");
            assert_eq!(parameters.count(), entry.parameters, "{}", entry.settings);
        }
    }

    #[test]
    fn the_reported_numbers_are_met() {
        for entry in entries().expect("entries") {
            if let Some(reference) = entry.reference_parameters {
                let counted = entry.keras_parameters.unwrap_or(entry.parameters);
                assert_eq!(counted, reference, "{}: {}", entry.settings, entry.note);
            }
        }
    }
}
