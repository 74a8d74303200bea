//! Gradient accumulation: an update from several minibatches is the mean over their samples.
#![expect(clippy::expect_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::path::Path;

use regatta::event::Cursor;
use regatta::setting::{Settings, resolve};
use regatta::train::NetLearner;
use regatta::train::synth::{self, Spec};
use regatta::worker::learner::{Array, Learner};
use serde_json::{Value, json};

/// Drawn slices; with `same`, all of them are one image, no larger than a patch.
fn data(same: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let size = if same { 32 } else { 64 };
    synth::write(&Spec { slices: 5, size, seed: 1 }, folder.path()).expect("written");
    for part in ["images", "masks"].into_iter().filter(|_| same) {
        let of = |number: u32| folder.path().join(part).join(format!("slice_00{number}.png"));
        for number in 1..5 {
            std::fs::copy(of(0), of(number)).expect("copied");
        }
    }
    folder
}

/// Loss and first moments of one update from the very beginning. These are `1 - beta1` times the
/// gradient, not its direction only, as the change of a weight would be.
struct Update {
    loss: f64,
    moments: BTreeMap<String, Vec<f64>>,
}

fn update(data: &Path, step: u64, change: impl FnOnce(&mut Value)) -> Update {
    let mut given = json!({
        "model": { "name": "unet", "base": 4, "depth": 2 },
        "data": { "path": data, "patch": 32, "name": "drawn" }, "samples_per_epoch": 7,
    });
    change(&mut given);
    let settings = resolve(given.as_object().expect("object")).expect("resolved");
    let settings = Settings::from_resolved(&settings).expect("settings");
    let mut learner = NetLearner::build(&settings, 1, 1).expect("built");
    let loss = learner.train_step(Cursor { epoch: 1, step }, 1e-3).expect("step");
    let state = learner.state().expect("state");
    let moments = state.iter().filter(|(name, _)| name.starts_with("optimizer.m."));
    let moments = moments.map(|(name, array)| (name.clone(), floats(array))).collect();
    Update { loss, moments }
}

fn floats(array: &Array) -> Vec<f64> {
    let (chunks, _) = array.bytes.as_chunks::<4>();
    chunks.iter().map(|chunk| f64::from(f32::from_le_bytes(*chunk))).collect()
}

/// The update that follows from several, each with its share.
fn mean(parts: &[(f64, &Update)]) -> Update {
    let loss = parts.iter().map(|(share, update)| share * update.loss).sum();
    let names = parts[0].1.moments.keys();
    let moments = names.map(|name| {
        let mut sum = vec![0.0; parts[0].1.moments[name].len()];
        for (share, update) in parts {
            for (sum, value) in sum.iter_mut().zip(&update.moments[name]) {
                *sum += share * value;
            }
        }
        (name.clone(), sum)
    });
    Update { loss, moments: moments.collect() }
}

/// The largest difference, as a part of the largest value: sums in another order round otherwise.
fn distance(one: &Update, other: &Update) -> f64 {
    let all = |update: &Update| update.moments.values().flatten().copied().collect::<Vec<f64>>();
    let (a, b) = (all(one), all(other));
    let largest = a.iter().map(|value| value.abs()).fold(0.0, f64::max);
    let apart = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    f64::max(apart / largest, (one.loss - other.loss).abs())
}

const NEARLY: f64 = 1e-4;

#[test]
fn an_update_is_the_mean_of_its_minibatches() {
    let data = data(false);
    let dropout = |given: &mut Value| given["model"]["dropout"] = json!(0.4);
    let single = |step| {
        update(data.path(), step, |given| {
            dropout(given);
            given["batch_size"] = json!(2);
        })
    };
    let accumulated = |step| {
        update(data.path(), step, |given| {
            dropout(given);
            given["batch_size"] = json!(2);
            given["gradient_accumulation"] = json!(2);
        })
    };
    let parts: Vec<Update> = (0..4).map(single).collect();
    let whole = mean(&[(0.5, &parts[0]), (0.5, &parts[1])]);
    assert!(distance(&accumulated(0), &whole) < NEARLY);
    assert!(distance(&parts[0], &parts[1]) > 0.1, "the minibatches are too alike to tell");
    // Of seven samples the second update has three: two in one minibatch, one in the other.
    let last = accumulated(1);
    let weighted = mean(&[(2.0 / 3.0, &parts[2]), (1.0 / 3.0, &parts[3])]);
    assert!(distance(&last, &weighted) < NEARLY);
    let unweighted = mean(&[(0.5, &parts[2]), (0.5, &parts[3])]);
    assert!(distance(&last, &unweighted) > 10.0 * NEARLY);
}

/// Batch normalisation looks at one minibatch at a time, so that accumulation is no large minibatch
/// in general. It is one where all samples are the same: then every minibatch has the same
/// statistics. (Cross-entropy only: Dice is pooled, with a constant that does not grow along.)
#[test]
fn of_equal_samples_an_update_is_that_of_a_large_minibatch() {
    let data = data(true);
    let with = |batch_size: u64, accumulation: u64, dropout: f64| {
        update(data.path(), 0, |given| {
            given["batch_size"] = json!(batch_size);
            given["gradient_accumulation"] = json!(accumulation);
            given["loss"] = json!({ "bce": 1, "dice": 0 });
            given["augmentation"] = json!({ "flips": false, "rotations": false });
            given["model"]["dropout"] = json!(dropout);
        })
    };
    assert!(distance(&with(6, 1, 0.0), &with(2, 3, 0.0)) < NEARLY);
    assert!(distance(&with(6, 1, 0.0), &with(1, 6, 0.0)) < NEARLY);
    // All that tells these minibatches apart is dropout. Were it drawn once for an update, three
    // equal minibatches would give the gradient of the first.
    assert!(distance(&with(2, 1, 0.0), &with(2, 3, 0.0)) < NEARLY);
    assert!(distance(&with(2, 1, 0.5), &with(2, 3, 0.5)) > 10.0 * NEARLY);
}
