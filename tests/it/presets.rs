//! `sweeps/earlier-system`: what each preset plans, and that its two protocols are never mixed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regatta::sweep::{Loaded, Loader, Sweep, Trial};
use serde_json::{Value, json};

use crate::home::Home;

/// The presets, and how many trials each has.
pub(crate) const PRESETS: [(&str, usize); 7] = [
    ("grid", 36),
    ("coatnet", 1),
    ("swin", 1),
    ("convnext", 1),
    ("convnext-optimised", 1),
    ("data-size", 15),
    ("comparison", 18),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sweeps/earlier-system")
}

/// Files of the repository, as they are.
struct Disk;

impl Loader for Disk {
    fn load(&self, folder: Option<&str>, name: &str) -> Result<Loaded, String> {
        let path = Path::new(folder.unwrap_or("/")).join(name);
        let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let folder = path.parent().expect("a folder").display().to_string();
        Ok(Loaded { name: name.to_owned(), folder, identity: path.display().to_string(), bytes })
    }
}

/// A preset, read as it stands in the repository.
pub(crate) fn preset(name: &str) -> Sweep {
    let path = folder().join(format!("{name}.yaml"));
    Sweep::read(&Disk, &path.display().to_string(), 100).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_preset_makes_the_plan_that_it_is_known_to_make() {
    let home = Home::new();
    for part in ["", "parts"] {
        for entry in std::fs::read_dir(folder().join(part)).expect("presets") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let name = path.strip_prefix(folder()).expect("inside").display().to_string();
                home.write(&name, std::fs::read(&path).expect("a file"));
            }
        }
    }
    // What the README lays over them to try them.
    let readme = std::fs::read_to_string(folder().join("README.md")).expect("a README");
    let small: Vec<&str> =
        readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(small.len(), 2);
    for (name, text) in ["small", "small-grid"].into_iter().zip(small) {
        home.write(&format!("{name}.yaml"), text);
        let trials = home.json(&["plan", &format!("{name}.yaml")]);
        assert_eq!(trials["trials"].as_array().map(Vec::len), Some(1), "{name}: {trials}");
    }
    for (name, _) in PRESETS {
        let shown = home.ok(&["plan", &format!("{name}.yaml")]).out;
        insta::with_settings!({ snapshot_path => "snapshots/sweeps", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("earlier-{name}"), shown);
        });
    }
}

/// Every file of the folder is a preset, its leaky twin, or a part of them.
#[test]
fn no_file_is_forgotten() {
    let mut found: Vec<String> = std::fs::read_dir(folder())
        .expect("presets")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    let mut wanted: Vec<String> = PRESETS
        .iter()
        .flat_map(|(name, _)| [format!("{name}.yaml"), format!("{name}-leaky.yaml")])
        .chain(["README.md".to_owned(), "parts".to_owned()])
        .collect();
    wanted.sort();
    assert_eq!(found, wanted);
    let readme = std::fs::read_to_string(folder().join("README.md")).expect("README.md");
    for (name, _) in PRESETS {
        assert!(readme.contains(&format!("`{name}.yaml`")), "README.md does not name {name}");
    }
}

#[test]
fn a_preset_and_its_leaky_twin_differ_in_split_and_name_and_in_nothing_else() {
    for (name, trials) in PRESETS {
        let (honest, leaky) = (preset(name), preset(&format!("{name}-leaky")));
        assert_eq!(honest.name, format!("earlier-{name}"));
        assert_eq!(leaky.name, format!("earlier-{name}-leaky"));
        assert_eq!((honest.trials.len(), leaky.trials.len()), (trials, trials), "{name}");
        for (one, other) in honest.trials.iter().zip(&leaky.trials) {
            assert_eq!(one.settings["data"]["split"], json!({ "by": "blocks", "gap": 20 }));
            assert_eq!(other.settings["data"]["split"], "leaky_random_patches", "{name}");
            assert_eq!(other.settings["data"]["val_fraction"], 0.1);
            assert_ne!(one.id, other.id, "{name}: two protocols must be two trials");
            let without_split = |trial: &Trial| {
                let mut settings = Value::from((*trial.settings).clone());
                let data = settings["data"].as_object_mut().expect("data");
                data.retain(|key, _| !["split", "val_fraction"].contains(&key.as_str()));
                (settings, trial.seed)
            };
            assert_eq!(without_split(one), without_split(other), "{name}");
        }
    }
}

/// Settings that were published, at the places where they are easily got wrong.
#[test]
fn presets_hold_what_was_published() {
    let value = |name: &str, path: &str| {
        let sweep = preset(name);
        let mut value = &Value::from((*sweep.trials[0].settings).clone());
        for key in path.split('.') {
            value = value.get(key).unwrap_or_else(|| panic!("{name}: {path}"));
        }
        value.clone()
    };
    for (name, path, wanted) in [
        ("grid", "epochs", json!(30)),
        ("grid", "guards.patience", json!(10)),
        ("grid", "loss", json!({ "bce": 0.0, "dice": 0.0, "focal": 1.0 })),
        ("coatnet", "batch_size", json!(3)),
        ("coatnet", "optimizer.lr", json!(2e-4)),
        ("swin", "optimizer.weight_decay", json!(0.05)),
        ("convnext", "batch_size", json!(6)),
        ("convnext-optimised", "guards.patience", json!(25)),
        ("convnext-optimised", "epochs", json!(120)),
        ("convnext-optimised", "data.contrast_gain", json!(1.1)),
        ("convnext-optimised", "loss.focal_alpha", json!(0.7)),
        ("data-size", "epochs", json!(100)),
    ] {
        assert_eq!(value(name, path), wanted, "{name}: {path}");
    }
    // From 1.6e-4, twice the named rate, to a tenth of the named rate.
    let lr = value("convnext-optimised", "optimizer.lr").as_f64().expect("a rate");
    let last = value("convnext-optimised", "schedule.final_factor").as_f64().expect("a factor");
    assert!((lr - 2.0 * 8e-5).abs() < 1e-12 && (lr * last - 8e-6).abs() < 1e-12);
    for (name, _) in PRESETS {
        for trial in &preset(name).trials {
            let settings = &trial.settings;
            assert_eq!(settings["model"]["variant"], "earlier", "{name}");
            assert_eq!(settings["model"]["channels"], 3, "{name}");
            assert_eq!(settings["data"]["patch"], 256, "{name}");
            assert_eq!(settings["augmentation"]["flips"], false, "{name}");
            assert_eq!(settings["augmentation"]["rotations"], false, "{name}");
        }
    }
}

/// In the comparison each network is trained as in its own preset.
#[test]
fn the_comparison_trains_each_network_as_its_own_preset_does() {
    let whole: BTreeMap<String, Value> = preset("comparison")
        .trials
        .iter()
        .filter(|trial| trial.seed == 0)
        .map(|trial| {
            let name = trial.settings["model"]["name"].as_str().expect("a name").to_owned();
            (name, Value::from((*trial.settings).clone()))
        })
        .collect();
    assert_eq!(whole.len(), 6);
    let all_data = |trial: &&Trial| trial.settings["data"].get("train_fraction").is_none();
    for name in ["coatnet", "swin", "convnext-optimised", "data-size"] {
        for trial in preset(name).trials.iter().filter(all_data) {
            let settings = Value::from((*trial.settings).clone());
            let network = settings["model"]["name"].as_str().expect("a name");
            assert_eq!(whole[network], settings, "{network} in comparison.yaml and {name}.yaml");
        }
    }
    let seeds: Vec<u64> = preset("comparison").trials.iter().map(|trial| trial.seed).collect();
    for seed in 0..3 {
        assert_eq!(seeds.iter().filter(|other| **other == seed).count(), 6);
    }
}
