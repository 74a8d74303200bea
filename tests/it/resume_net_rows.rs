//! What is trained in the tests of resuming networks: a table of settings, and the rows of it that are
//! tried. A kind that is in the table of settings and not here fails the test.

use std::collections::BTreeMap;

use regatta::setting::table;
use serde_json::{Value, json};

/// One choice for each part of the settings.
pub(crate) type Row = Vec<(&'static str, Value)>;

/// What is trained of each kind.
fn choices(section: &str, kind: &str) -> Option<Vec<Value>> {
    Some(match section {
        "model" => networks(kind)?,
        "optimizer" => match kind {
            "adamw" => vec![json!({ "name": "adamw", "lr": 5e-3, "weight_decay": 0.1 })],
            "adam" => {
                vec![json!({ "name": "adam", "lr": 5e-3, "l2_conv": 1e-3, "clip_norm": 0.5 })]
            }
            "sgd" => vec![
                json!({ "name": "sgd", "lr": 0.02, "nesterov": true, "weight_decay": 1e-3 }),
                json!({ "name": "sgd", "lr": 0.05, "momentum": 0 }),
            ],
            _ => return None,
        },
        "schedule" => match kind {
            "constant" => vec![json!({ "name": "constant" })],
            "warmup_cosine" => {
                vec![json!({ "name": "warmup_cosine", "warmup_epochs": 1.5, "final_factor": 0.1 })]
            }
            "one_cycle" => vec![json!({ "name": "one_cycle" })],
            "polynomial" => vec![json!({ "name": "polynomial", "warmup_epochs": 0.5 })],
            // So demanding that the rate falls within three epochs.
            "plateau" => {
                vec![json!({ "name": "plateau", "patience": 0, "threshold": 0.5, "factor": 0.5 })]
            }
            _ => return None,
        },
        _ => return None,
    })
}

fn networks(kind: &str) -> Option<Vec<Value>> {
    let both = |settings: Value| {
        ["paper", "earlier"].map(|variant| {
            let mut settings = settings.clone();
            settings["name"] = json!(kind);
            settings["variant"] = json!(variant);
            if kind == "swin_unet" && variant == "earlier" {
                settings.as_object_mut().expect("object").remove("window");
            }
            settings
        })
    };
    Some(match kind {
        // It needs no libtorch: tests/it/resume.rs.
        "toy" => vec![],
        "unet" => [
            both(json!({ "base": 2, "depth": 1, "dropout": 0.5 })).to_vec(),
            vec![json!({ "name": "unet", "base": 3, "depth": 2, "channels": 3 })],
        ]
        .concat(),
        "attention_unet" | "attention_resunet" => {
            both(json!({ "base": 2, "depth": 2, "dropout": 0.25 })).to_vec()
        }
        "convnext_unet" => both(json!({
            "embed": 4, "depths": [1, 2], "decoder_depth": 1, "drop_path": 0.4, "layer_scale": 0.1,
        }))
        .to_vec(),
        "swin_unet" => both(json!({
            "embed": 4, "depths": [2, 1], "heads": [1, 2], "window": 4, "decoder_depth": 1,
            "drop_path": 0.4,
        }))
        .to_vec(),
        "coatnet_unet" => both(json!({
            "embed": 4, "depths": [1, 1, 1, 1], "head_width": 4, "decoder_depth": 1,
            "dropout": 0.2, "drop_path": 0.4,
        }))
        .to_vec(),
        _ => return None,
    })
}

/// Parts of the settings that have no kinds, with their choices. The empty list: data and guards
/// are the same in all rows.
fn plain(section: &str) -> Option<Vec<Value>> {
    Some(match section {
        "augmentation" => vec![
            json!({ "flips": false, "rotations": false }),
            json!({ "flips": true, "rotations": true }),
            json!({
                "scale": 0.3, "elastic": 2, "elastic_sigma": 4, "brightness": 0.1, "contrast": 0.2,
                "gamma": 0.3, "noise": 0.05, "blur": 1,
            }),
        ],
        "loss" => vec![
            json!({ "bce": 0.5, "dice": 0.5 }),
            json!({ "focal": 0.6, "focal_alpha": 0.7, "dice": 0.4 }),
            json!({ "tversky": 0.5, "focal_tversky": 0.5 }),
        ],
        "data" | "guards" => vec![],
        _ => return None,
    })
}

/// All parts with all choices.
fn factors() -> Vec<(&'static str, Vec<Value>)> {
    let missing = |what: String| -> ! { panic!("add {what} to the table of this test") };
    let mut factors = Vec::new();
    for section in table::SECTIONS {
        let own = if section.variants.is_empty() {
            plain(section.name).unwrap_or_else(|| missing(format!("the section {}", section.name)))
        } else {
            let kinds = section.variants.iter().flat_map(|kind| {
                choices(section.name, kind.name)
                    .unwrap_or_else(|| missing(format!("{} {}", section.name, kind.name)))
            });
            kinds.collect()
        };
        factors.push((section.name, own));
    }
    for field in table::TOP {
        let own = match field.name {
            "epochs" | "batch_size" => vec![],
            // Without it an epoch is the grid.
            "samples_per_epoch" => vec![Value::Null, json!(13)],
            "gradient_accumulation" => vec![json!(1), json!(3)],
            other => missing(format!("the setting {other}")),
        };
        factors.push((field.name, own));
    }
    factors.retain(|(_, choices)| !choices.is_empty());
    factors
}

/// Every combination.
fn all_rows() -> Vec<Row> {
    factors().into_iter().fold(vec![Row::new()], |rows, (name, choices)| {
        let extended = rows.iter().flat_map(|row| {
            let with = |choice: &Value| [row.clone(), vec![(name, choice.clone())]].concat();
            choices.iter().map(with).collect::<Vec<_>>()
        });
        extended.collect()
    })
}

/// What a row tries: each choice, and each pair of choices that `counts`.
fn tried(row: &Row, counts: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut tried: Vec<String> =
        row.iter().map(|(name, value)| format!("{name} {value}")).collect();
    for (at, (one, value)) in row.iter().enumerate() {
        let others = row[at + 1..].iter().filter(|(other, _)| counts(one, other));
        tried.extend(others.map(|(other, theirs)| format!("{one} {value}, {other} {theirs}")));
    }
    tried
}

/// A few rows in which all that counts is tried at least once.
fn few(counts: impl Fn(&str, &str) -> bool) -> Vec<Row> {
    let all = all_rows();
    let mut numbers = BTreeMap::new();
    let tried: Vec<Vec<usize>> = all
        .iter()
        .map(|row| {
            let number = |text| {
                let next = numbers.len();
                *numbers.entry(text).or_insert(next)
            };
            tried(row, &counts).into_iter().map(number).collect()
        })
        .collect();
    let mut open = vec![true; numbers.len()];
    let mut rows = Vec::new();
    while open.contains(&true) {
        let news = |at: &usize| tried[*at].iter().filter(|number| open[**number]).count();
        let best = (0..all.len()).max_by_key(news).expect("rows");
        tried[best].iter().for_each(|number| open[*number] = false);
        rows.push(all[best].clone());
    }
    rows
}

/// Rows with each network, and with every pair of choices of all else.
pub(crate) fn few_rows() -> Vec<Row> {
    few(|one, other| one != "model" && other != "model")
}

/// Rows with every pair of choices.
pub(crate) fn many_rows() -> Vec<Row> {
    few(|_, _| true)
}
