//! Every network in both layouts: what was written gives what the network gives.

use serde_json::{Value, json};

use super::*;
use crate::id::TrialId;
use crate::metric::Objective;
use crate::setting::Settings;
use crate::sweep::{Assignment, Budget, Trial};
use crate::worker::learner::State;

/// Small settings of every network in both layouts.
fn models() -> Vec<Value> {
    let mut models = Vec::new();
    for variant in ["paper", "earlier"] {
        for name in ["unet", "attention_unet", "attention_resunet"] {
            models.push(json!({ "name": name, "base": 4, "depth": 2 }));
        }
        let depths = [1, 1, 1];
        models.push(json!({ "name": "convnext_unet", "embed": 8, "depths": depths }));
        models.push(json!({ "name": "swin_unet", "embed": 8, "depths": [2, 2], "heads": [1, 2] }));
        models.push(
            json!({ "name": "coatnet_unet", "embed": 8, "depths": [1, 1, 1, 1], "head_width": 8 }),
        );
        let last = models.len() - 6;
        for model in &mut models[last..] {
            model["variant"] = json!(variant);
            if model["name"] == "swin_unet" && variant == "paper" {
                model["window"] = json!(4);
            }
        }
    }
    models
}

/// A trial with weights that are not those of the beginning, and its state.
fn source(model: &Value, data: Value) -> Source {
    let mut given = json!({ "model": model, "data": { "path": "/d", "patch": 32 } });
    for (key, value) in data.as_object().expect("object") {
        given["data"][key] = value.clone();
    }
    let resolved = crate::setting::resolve(given.as_object().expect("object")).expect("settings");
    let settings = Settings::from_resolved(&resolved).expect("typed");
    let (_, mut parameters) = model::build(
        &settings.model,
        settings.data.as_ref().expect("data").patch.into(),
        3,
        Device::Cpu,
    )
    .expect("network");
    // Running statistics, biases and scales as training leaves them, which begin at 0 and 1.
    tch::no_grad(|| {
        let mut draw = Draw::new(5, "weights", 0, 0);
        for (name, tensor) in parameters.everything() {
            let mut values = tensor.shallow_clone();
            let kept = if name.ends_with("var") { 1.0 } else { 0.5 };
            let noise: Vec<f32> =
                (0..values.numel()).map(|_| draw.within(0.0, 0.4) as f32).collect();
            let noise = Tensor::from_slice(&noise).view_as(&values);
            values.copy_(&(&values * kept + noise * if values.dim() > 1 { 0.05 } else { 1.0 }));
        }
    });
    let _ = parameters.trainable_mut().count();
    let mut state = State::new();
    parameters.save(&mut state).expect("saved");
    state.insert("model.input_mean".to_owned(), Array::of_f64(&[0.43]));
    state.insert("model.input_std".to_owned(), Array::of_f64(&[0.21]));
    let trial = Trial {
        id: "0123456789abcdef".parse::<TrialId>().expect("id"),
        seed: 3,
        repeat: 0,
        parameters: std::sync::Arc::default(),
        settings: std::sync::Arc::new(resolved),
    };
    let assignment = Assignment {
        trial,
        sweep: "nets".to_owned(),
        settings_version: 1,
        objective: Objective::default(),
        budget: Budget::default(),
        token: None,
        only_check: false,
    };
    Source {
        assignment,
        settings,
        seed: 3,
        state,
        checkpoint: "1-2".to_owned(),
        manifest: None,
        is_best: true,
        outcome: Some(crate::event::Outcome::Finished),
    }
}

fn exported(source: &Source) -> (tempfile::TempDir, Facts) {
    let home = tempfile::tempdir().expect("folder");
    let folder = home.path().join("model");
    let facts = export(&Request { source, folder: &folder, replace: false }).expect("exported");
    (home, facts)
}

#[test]
fn every_network_in_both_layouts_gives_the_same_logits_in_torchscript() {
    for model in models() {
        let source = source(&model, json!({}));
        let (home, facts) = exported(&source);
        println!("{model}: {:e}", facts.difference);
        assert!(facts.difference <= TOLERANCE, "{model}: {}", facts.difference);
        let module = CModule::load(home.path().join("model/model.pt")).expect("module");
        let trained = Trained::of(&source).expect("trained");
        let _guard = tch::no_grad_guard();
        let is_free = trained.input.tile.is_none();
        assert_eq!(is_free, !has_fixed_size(&source.settings.model));
        let sizes: &[[i64; 4]] = match is_free {
            true => &[[1, 1, 64, 48], [4, 1, 33, 71], [2, 1, 5, 3], [1, 1, 1, 1]],
            false => &[[5, 1, 32, 32]],
        };
        for size in sizes {
            let images = images(*size).expect("images");
            let ours = trained.logits(&images).expect("logits");
            for _ in 0..3 {
                // The library makes another program of it after its first calls.
                let theirs = module.forward_ts(&[&images]).expect("logits");
                assert_eq!(theirs.size(), [size[0], 1, size[2], size[3]], "{model}");
                let largest = ours.abs().max().double_value(&[]);
                let difference = (&ours - theirs).abs().max().double_value(&[]) / largest;
                assert!(difference <= TOLERANCE, "{model} {size:?}: {difference:e}");
            }
        }
    }
}
