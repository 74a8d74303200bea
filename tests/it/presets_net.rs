//! Each kind of trial of the presets in `sweeps/earlier-system` trains: an epoch through the whole loop, with
//! narrow networks on a small drawn volume. The presets are read as they are; what makes a trial small is
//! changed in its settings.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use regatta::clock::{Clock, SystemClock};
use regatta::event::Outcome;
use regatta::layout::TrialFolder;
use regatta::metric::Objective;
use regatta::setting::{self, Settings};
use regatta::sweep::{Assignment, Budget, Trial};
use regatta::train::NetLearner;
use regatta::train::synth::{self, Spec};
use regatta::worker::attempt::{self, Request};
use regatta::worker::learner::Learner;
use regatta::worker::record::TrialResult;
use regatta::worker::stop::StopFlag;
use serde_json::{Value, json};

use crate::presets::{PRESETS, preset};

/// The trial's settings, with what costs time made small.
fn reduced(trial: &Trial, data: &Path) -> Value {
    let mut settings = Value::from((*trial.settings).clone());
    let model = &mut settings["model"];
    match model["name"].as_str().expect("a name") {
        "unet" | "attention_unet" | "attention_resunet" => model["base"] = json!(2),
        "convnext_unet" => {
            model["embed"] = json!(4);
            model["depths"] = json!([1, 1, 1, 1]);
            model["decoder_depth"] = json!(1);
        }
        "swin_unet" => {
            model["embed"] = json!(6);
            model["depths"] = json!([1, 1, 1, 1]);
            model["decoder_depth"] = json!(1);
        }
        "coatnet_unet" => {
            model["embed"] = json!(8);
            model["head_width"] = json!(8);
            model["depths"] = json!([1, 1, 1, 1]);
            model["decoder_depth"] = json!(1);
        }
        other => panic!("{other} is new"),
    }
    let of_data = &mut settings["data"];
    of_data["path"] = json!(data);
    of_data["patch"] = json!(64);
    if of_data["split"].is_object() {
        of_data["split"]["gap"] = json!(1);
    }
    settings["epochs"] = json!(1);
    settings
}

/// What a trial trains, without what several trials of a kind differ in.
fn kind(settings: &Value) -> String {
    let mut kind = settings.clone();
    let optimizer = kind["optimizer"].as_object_mut().expect("optimizer");
    optimizer.retain(|key, _| key != "lr");
    let schedule = kind["schedule"].as_object_mut().expect("schedule");
    schedule.retain(|key, _| key != "patience" && key != "min_factor");
    let all = kind.as_object_mut().expect("settings");
    all.retain(|key, _| !["batch_size", "guards"].contains(&key.as_str()));
    let fraction = all["data"].get("train_fraction").is_some();
    all["data"]["train_fraction"] = json!(fraction);
    // What the random patches are does not depend on the network.
    if all["data"]["split"] == "leaky_random_patches" {
        all.retain(|key, _| key == "data");
    }
    kind.to_string()
}

fn assignment(trial: &Trial, settings: &Value) -> Assignment {
    let settings = settings.as_object().expect("object").clone();
    Assignment {
        trial: Trial { settings: settings.into(), ..trial.clone() },
        sweep: "preset".to_owned(),
        settings_version: setting::SETTINGS_VERSION,
        objective: Objective::default(),
        budget: Budget::default(),
        token: None,
        only_check: false,
    }
}

#[test]
fn every_kind_of_trial_of_the_presets_trains_for_an_epoch() {
    let home = tempfile::tempdir().expect("folder");
    let data = home.path().join("data");
    synth::write(&Spec { slices: 8, size: 64, seed: 1 }, &data).expect("written");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut seen = BTreeSet::new();
    for name in PRESETS.iter().flat_map(|(name, _)| [(*name).to_owned(), format!("{name}-leaky")]) {
        for trial in &preset(&name).trials {
            let settings = reduced(trial, &data);
            if !seen.insert(kind(&settings)) {
                continue;
            }
            let network = &settings["model"]["name"];
            let folder = TrialFolder::new(home.path().join(format!("trial-{}", seen.len())));
            let request = Request::new(assignment(trial, &settings), folder.clone());
            let build = |settings: &Settings, seed, _: &Arc<dyn Clock>| {
                Ok(Box::new(NetLearner::build(settings, seed, 1)?) as Box<dyn Learner>)
            };
            let outcome = attempt::run(&request, &clock, &StopFlag::default(), &build);
            let result = TrialResult::read(&folder);
            assert_eq!(outcome, Outcome::Finished, "{name}: {network}: {result:?}");
            let result = result.expect("a result");
            assert_eq!(result.epochs, 1, "{name}: {network}");
            let loss = result.metrics.get("val/loss").expect("a loss");
            assert!(loss.is_finite() && loss > 0.0, "{name}: {network}: {loss}");
        }
    }
    // Six networks; the three U-Nets with less data; ConvNeXt as first trained; random patches, with all
    // data, with less, and with a contrast step.
    assert!((12..=16).contains(&seen.len()), "{seen:#?}");
}
