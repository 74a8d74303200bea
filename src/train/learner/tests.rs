use serde_json::{Value, json};

use super::*;
use crate::setting;
use crate::train::synth::{self, Spec};

fn data() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    synth::write(&Spec { slices: 4, size: 48, seed: 1 }, folder.path()).expect("written");
    folder
}

fn settings(data: &tempfile::TempDir, change: impl FnOnce(&mut Value)) -> Settings {
    let mut given = json!({
        "model": { "name": "unet", "base": 2, "depth": 1, "dropout": 0.3 },
        "data": { "path": data.path(), "patch": 16, "name": "drawn" },
        "epochs": 3, "batch_size": 2, "samples_per_epoch": 7,
    });
    change(&mut given);
    let resolved = setting::resolve(given.as_object().expect("object")).expect("resolved");
    Settings::from_resolved(&resolved).expect("settings")
}

fn build(settings: &Settings) -> NetLearner {
    NetLearner::build(settings, 5, 1).expect("built")
}

/// Steps from a cursor to the end of an epoch; the losses as bits.
fn train(learner: &mut NetLearner, epoch: u64, from: u64) -> Vec<u64> {
    let steps = learner.describe().steps_per_epoch;
    let step = |step| learner.train_step(Cursor { epoch, step }, 1e-2).expect("step").to_bits();
    (from..steps).map(step).collect()
}

fn state(learner: &NetLearner) -> State {
    learner.state().expect("state")
}

#[test]
fn a_reset_learner_is_a_new_one() {
    let data = data();
    for optimizer in ["adamw", "adam", "sgd"] {
        let settings = settings(&data, |given| given["optimizer"] = json!({ "name": optimizer }));
        let new = state(&build(&settings));
        let mut learner = build(&settings);
        let losses = train(&mut learner, 1, 0);
        let trained = state(&learner);
        assert!(trained != new, "nothing was learnt");
        learner.reset().expect("reset");
        assert!(state(&learner) == new);
        assert_eq!(train(&mut learner, 1, 0), losses);
        assert!(state(&learner) == trained);
    }
}

#[test]
fn gradients_that_are_not_finite_never_reach_the_weights() {
    let data = data();
    let settings = settings(&data, |given| given["gradient_accumulation"] = json!(2));
    let mut learner = build(&settings);
    train(&mut learner, 1, 0);
    let healthy = state(&learner);
    // As if an update had made one weight infinite.
    let mut broken = healthy.clone();
    let weight = broken.get_mut("model.enc.0.conv1.weight").expect("a weight");
    weight.bytes[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    learner.restore(&broken).expect("restored");
    let cursor = Cursor { epoch: 2, step: 0 };
    assert!(learner.train_step(cursor, 1e-2).expect("step").is_nan());
    let after = state(&learner);
    for (name, array) in &broken {
        // The forward pass has spoilt these: only a restore helps.
        if !name.contains("running_") {
            assert!(after[name] == *array, "{name} has changed");
        }
    }
    learner.restore(&healthy).expect("restored");
    assert!(state(&learner) == healthy);
    assert!(learner.train_step(cursor, 1e-2).expect("step").is_finite());
    let mut unharmed = build(&settings);
    unharmed.restore(&healthy).expect("restored");
    unharmed.train_step(cursor, 1e-2).expect("step");
    assert!(state(&learner) == state(&unharmed));
}

#[test]
fn minibatches_cut_ahead_train_the_same_bits() {
    let data = data();
    for (accumulation, samples) in [(1, json!(7)), (3, json!(11)), (2, Value::Null)] {
        let settings = settings(&data, |given| {
            given["gradient_accumulation"] = json!(accumulation);
            given["samples_per_epoch"] = samples;
        });
        let mut plain = build(&settings).cutting_on(0);
        let whole: Vec<_> = (1..=3).map(|epoch| train(&mut plain, epoch, 0)).collect();
        for threads in [1, 3] {
            let mut learner = build(&settings).cutting_on(threads);
            for (epoch, expected) in (1..).zip(&whole) {
                assert_eq!(&train(&mut learner, epoch, 0), expected);
                learner.evaluate(&mut || true).expect("evaluated");
            }
            assert!(state(&learner) == state(&plain));
            // Into the middle of an epoch, and back.
            let end = state(&learner);
            let mut other = build(&settings).cutting_on(0);
            other.restore(&end).expect("restored");
            for (epoch, from) in [(2, 1), (1, 0), (3, 1)] {
                assert_eq!(train(&mut learner, epoch, from), train(&mut other, epoch, from));
            }
            assert!(state(&learner) == state(&other));
        }
    }
}

#[test]
fn taking_normalisations_into_kernels_changes_no_pixel_of_a_trained_network() {
    let data = data();
    let settings = settings(&data, |given| {
        given["model"] = json!({ "name": "unet", "base": 4, "depth": 2 });
        given["samples_per_epoch"] = json!(60);
    });
    let mut learner = build(&settings);
    for epoch in 1..=3 {
        train(&mut learner, epoch, 0);
    }
    let _guard = tch::no_grad_guard();
    let (mut pixels, mut changed, mut foreground) = (0, 0, 0);
    for (index, slice) in learner.data.slices.iter().enumerate() {
        let region = super::super::data::Region::whole(index, &slice.picture);
        let recipe = &learner.recipe;
        let images = super::super::data::input(
            &slice.picture,
            region,
            recipe.channels,
            recipe.normalisation,
        );
        let images = images.expect("images");
        let run = |pass| learner.network.forward(&images, pass).expect("logits");
        let (plain, fused) = (run(Pass::Evaluate), run(Pass::Fused));
        let largest = plain.abs().max().double_value(&[]);
        assert!((&plain - &fused).abs().max().double_value(&[]) <= 1e-5 * largest);
        pixels += plain.numel();
        let count = |mask: tch::Tensor| mask.sum(tch::Kind::Int64).int64_value(&[]);
        changed += count(plain.gt(0.0).ne_tensor(&fused.gt(0.0)));
        foreground += count(plain.gt(0.0));
    }
    println!("{changed} of {pixels} pixels changed, {foreground} are foreground");
    assert!(foreground > 0, "nothing was learnt");
    assert_eq!(changed, 0);
}
