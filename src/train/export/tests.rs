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
pub(super) fn trained(model: &Value, data: Value) -> Trained {
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
            // Attention looks at some places more than at others.
            let (low, high) = if values.dim() == 2 { (-0.5, 0.5) } else { (0.0, 0.4) };
            let part = if values.dim() == 4 { 0.05 } else { 1.0 };
            let noise: Vec<f32> =
                (0..values.numel()).map(|_| draw.within(low, high) as f32).collect();
            let noise = Tensor::from_slice(&noise).view_as(&values);
            values.copy_(&(&values * kept + noise * part));
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
    Trained {
        assignment,
        settings,
        state,
        checkpoint: "1-2".to_owned(),
        manifest: None,
        outcome: Some(crate::event::Outcome::Finished),
        train_density: None,
    }
}

pub(super) fn exported(trained: &Trained) -> (tempfile::TempDir, Facts) {
    let home = tempfile::tempdir().expect("folder");
    let folder = home.path().join("model");
    let facts = export(&Request { trained, folder: &folder, replace: false }).expect("exported");
    (home, facts)
}

#[test]
fn every_network_in_both_layouts_gives_the_same_logits_in_torchscript() {
    for model in models() {
        let trained = trained(&model, json!({}));
        let (home, facts) = exported(&trained);
        println!("{model}: {:e}", facts.difference);
        assert!(facts.difference <= TOLERANCE, "{model}: {}", facts.difference);
        let module = CModule::load(home.path().join("model/model.pt")).expect("module");
        let built = Built::of(&trained).expect("trained");
        let _guard = tch::no_grad_guard();
        let is_free = built.input.tile.is_none();
        assert_eq!(is_free, !has_fixed_size(&trained.settings.model));
        let sizes: &[[i64; 4]] = match is_free {
            true => &[[1, 1, 64, 48], [4, 1, 33, 71], [2, 1, 5, 3], [1, 1, 1, 1]],
            false => &[[5, 1, 32, 32]],
        };
        for size in sizes {
            let images = images(*size).expect("images");
            let ours = built.logits(&images).expect("logits");
            let prepared = built.preparation.apply(&images).expect("prepared");
            let fused = built.network.forward(&prepared, Pass::Fused).expect("logits");
            let off = (&ours - fused).abs().max() / ours.abs().max();
            assert!(
                off.double_value(&[]) <= TOLERANCE,
                "{model}: {off}, normalisations in kernels"
            );
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

#[test]
fn contrast_and_normalisation_are_baked_in_for_colours_too() {
    let model = json!({ "name": "unet", "base": 4, "depth": 2, "channels": 3 });
    let trained = trained(&model, json!({ "contrast_gain": 1.7, "contrast_offset": -0.3 }));
    let (home, facts) = exported(&trained);
    assert_eq!((facts.input.channels, facts.input.contrast_gain), (3, 1.7));
    let text = std::fs::read_to_string(home.path().join("model/README.md")).expect("card");
    assert!(text.contains("times 1.7 plus -0.3, clipped to [0, 1]"), "{text}");
    // Without them the logits are others: the comparison above would have seen it.
    let built = Built::of(&trained).expect("trained");
    let images = images([1, 3, 32, 32]).expect("images");
    let raw = tch::no_grad(|| built.network.forward(&images, Pass::Evaluate)).expect("logits");
    let difference = (raw - built.logits(&images).expect("logits")).abs().max();
    assert!(difference.double_value(&[]) > 1e-2);
}

#[test]
fn what_the_network_cannot_take_is_refused_with_a_sentence() {
    let refused = |trained: &Trained, input: Tensor| {
        let (home, _) = exported(trained);
        let module = CModule::load(home.path().join("model/model.pt")).expect("module");
        module.forward_ts(&[input]).expect_err("refused").to_string()
    };
    let of = |name: &str| {
        let model = models().into_iter().find(|model| model["name"] == name).expect("there");
        trained(&model, json!({}))
    };
    let zeros = |size: &[i64], kind| Tensor::zeros(size, (kind, Device::Cpu));
    let other = refused(&of("coatnet_unet"), zeros(&[1, 1, 64, 32], Kind::Float));
    assert!(other.contains("32 x 32 pixels; these have 64 x 32"), "{other}");
    let unet = of("unet");
    let channels = refused(&unet, zeros(&[1, 3, 32, 32], Kind::Float));
    assert!(channels.contains("1 channel(s); these images have 3"), "{channels}");
    let flat = refused(&unet, zeros(&[32, 32], Kind::Float));
    assert!(flat.contains("2 dimensions"), "{flat}");
    let bytes = refused(&unet, zeros(&[1, 1, 32, 32], Kind::Uint8));
    assert!(bytes.contains("integers"), "{bytes}");
}

#[test]
fn weights_come_back_under_their_names() {
    for model in models() {
        let trained = trained(&model, json!({}));
        let (home, _) = exported(&trained);
        let bytes = std::fs::read(home.path().join("model/model.safetensors")).expect("weights");
        let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("tensors");
        let mut back = State::new();
        for (name, view) in tensors.tensors() {
            let (shape, bytes) = (view.shape().to_vec(), view.data().to_vec());
            back.insert(format!("model.{name}"), Array { dtype: view.dtype(), shape, bytes });
        }
        let mean = back.remove("model.input_mean").expect("mean");
        assert_eq!(mean.bytes, 0.43_f32.to_le_bytes());
        back.remove("model.input_std").expect("deviation");
        let mut expected = trained.state.clone();
        expected.retain(|name, _| !name.starts_with("model.input_"));
        assert!(back == expected, "{model}");
        // The module has the same parameters.
        let module = CModule::load(home.path().join("model/model.pt")).expect("module");
        let built = Built::of(&trained).expect("trained");
        let named = module.named_parameters().expect("parameters");
        assert_eq!(named.len(), built.parameters.trainable().count());
        for (name, tensor) in built.parameters.trainable() {
            let (_, theirs) = named.iter().find(|(other, _)| other == name).expect(name);
            assert_eq!(tensor, theirs, "{name}");
        }
    }
}

#[test]
fn an_image_gets_the_pixels_that_prediction_gives_it() {
    use crate::train::data::{Region, Source as Place};
    use crate::train::evaluate::Segmenter;
    let home = tempfile::tempdir().expect("folder");
    let path = home.path().join("image.png");
    let bytes: Vec<u8> = (0..50 * 70_u32).map(|at| (at * at % 251) as u8).collect();
    crate::train::predict::write_grey(&path, 50, 70, bytes.clone()).expect("PNG");
    let trained = trained(&json!({ "name": "unet", "base": 4, "depth": 2 }), json!({}));
    let built = Built::of(&trained).expect("trained");
    let picture = Place { path, page: 0 }.read_picture().expect("picture");
    let segmenter = Segmenter {
        network: built.network.as_ref(),
        channels: 1,
        device: Device::Cpu,
        normalisation: built.preparation.normalisation,
    };
    let region = Region::whole(0, &picture);
    let found = segmenter.segment(&picture, region, &mut || true).expect("segmented");
    let logits = found.expect("not stopped").logits;
    let (home, _) = exported(&trained);
    let module = CModule::load(home.path().join("model/model.pt")).expect("module");
    let raw = Tensor::from_slice(&bytes).to_kind(Kind::Float).view([1, 1, 50, 70]) / 255.0;
    let theirs = tch::no_grad(|| module.forward_ts(&[raw])).expect("logits");
    let difference = (theirs.view([50, 70]) - &logits).abs().max().double_value(&[]);
    let largest = logits.abs().max().double_value(&[]);
    assert!(difference <= TOLERANCE * largest, "{difference:e} of {largest}");
}

#[test]
fn the_same_network_gives_the_same_files_and_a_failure_leaves_none() {
    let trained = trained(&models()[0], json!({}));
    let (one, _) = exported(&trained);
    let (two, _) = exported(&trained);
    for name in FILES {
        let read = |home: &tempfile::TempDir| std::fs::read(home.path().join("model").join(name));
        assert!(read(&one).expect("read") == read(&two).expect("read"), "{name}");
    }
    let home = tempfile::tempdir().expect("folder");
    for point in ["write.content", "write.sync", "folder.publish"] {
        let folder = home.path().join("model");
        let tried = layout::with_faults(&format!("{point}=full"), || {
            export(&Request { trained: &trained, folder: &folder, replace: false })
        });
        assert!(tried.expect("rule").is_err(), "{point}");
        assert!(layout::list(home.path()).expect("list").is_empty(), "{point}");
    }
}

#[test]
fn other_files_are_never_touched_and_an_earlier_model_only_when_told() {
    let trained = trained(&models()[0], json!({}));
    let (home, _) = exported(&trained);
    let folder = home.path().join("model");
    let again = |replace| export(&Request { trained: &trained, folder: &folder, replace });
    let hint = |result: Result<Facts, LearnerError>| match result.expect_err("refused") {
        LearnerError::Data { what, hint, .. } => format!("{what}: {}", hint.expect("a hint")),
        other => other.to_string(),
    };
    assert!(hint(again(false)).contains("a model already: give another name, or --force"));
    again(true).expect("replaced");
    layout::write_users_file(&folder.join("thesis.tex"), b"dear").expect("written");
    assert!(hint(again(true)).contains("files that no export wrote"));
    assert_eq!(std::fs::read(folder.join("thesis.tex")).expect("there"), b"dear");
}

#[test]
fn the_card_tells_what_to_beware_of_and_nothing_of_the_machine() {
    let model = json!({ "name": "unet", "base": 4, "depth": 2 });
    let mut trained = trained(&model, json!({ "split": "leaky_random_patches", "name": "vnc|1" }));
    trained.outcome = None;
    let (home, facts) = exported(&trained);
    let names: Vec<&str> = facts.flags.iter().map(|flag| flag.flag).collect();
    assert_eq!(names, ["leaky_split", "unfinished", "weights_alone"]);
    let card = std::fs::read_to_string(home.path().join("model/README.md")).expect("card");
    for wanted in ["## Beware", "leaky_random_patches", "vnc\\|1", "| model.base | 4 | 32 |"] {
        assert!(card.contains(wanted), "{wanted}\n{card}");
    }
    let json = std::fs::read_to_string(home.path().join("model/model.json")).expect("json");
    let json: Value = serde_json::from_str(&json).expect("json");
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["network"]["parameters"], facts.network.parameters);
    for text in [card, json.to_string()] {
        assert!(!text.contains("\"/d\"") && !text.contains("data.path"), "{text}");
    }
}

#[test]
fn the_card_tells_how_images_go_in_and_how_it_learnt() {
    let card = |model: Value| {
        let (home, _) = exported(&trained(&model, json!({})));
        std::fs::read_to_string(home.path().join("model/README.md")).expect("card")
    };
    let grey = card(json!({ "name": "unet", "base": 4, "depth": 2 }));
    assert!(grey.contains("[None, None] / 255`; one of 16 bits"), "{grey}");
    assert!(grey.contains("multiples of 4 by mirroring") && !grey.contains("expand"), "{grey}");
    let network = model::build(
        &Settings::from_resolved(
            &trained(&json!({ "name": "unet", "base": 4, "depth": 2 }), json!({}))
                .assignment
                .trial
                .settings,
        )
        .expect("typed")
        .model,
        32,
        3,
        Device::Cpu,
    );
    let sees = network.expect("network").0.receptive_radius().expect("a convolutional network");
    assert!(
        grey.contains(&format!("within {sees}, which is as far as this network sees")),
        "{grey}"
    );
    for words in ["| optimizer.name | adamw | adamw |", "| optimizer.lr |", "| schedule.name |"] {
        assert!(grey.contains(words), "{words}\n{grey}");
    }
    let colours = card(json!({ "name": "unet", "base": 4, "depth": 2, "channels": 3 }));
    for words in [".expand(-1, 3, -1, -1) / 255`", ".permute(2, 0, 1)[None] / 255`"] {
        assert!(colours.contains(words), "{words}\n{colours}");
    }
    let fixed = card(
        json!({ "name": "coatnet_unet", "embed": 8, "depths": [1, 1, 1, 1], "head_width": 8 }),
    );
    assert!(
        fixed.contains("Other sizes are refused") && !fixed.contains("by mirroring"),
        "{fixed}"
    );
}
