//! The annex on real tensors and files: learning, exact resume, pairing, counting, predicting.

#![expect(clippy::expect_used, reason = "helpers of tests fail like tests")]

use std::path::Path;

use regatta::event::Cursor;
use regatta::metric::{Confusion, Objective, Threshold};
use regatta::setting::{Settings, resolve};
use regatta::sweep::Budget;
use regatta::train::NetLearner;
use regatta::train::check::check;
use regatta::train::data::{self, DataSet, Part};
use regatta::train::predict::{Images, Output, Patient, Report, Request, Showing, predict};
use regatta::train::synth::{self, Spec};
use regatta::worker::learner::{Learner, LearnerError, State, state_bytes};
use regatta::worker::trained::Trained;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with a small drawn data set: five slices, the last one validation.
pub(crate) fn drawn() -> TempDir {
    let folder = TempDir::new().expect("folder");
    synth::write(&Spec { slices: 5, size: 80, seed: 1 }, folder.path()).expect("written");
    folder
}

pub(crate) fn settings(folder: &Path, change: impl FnOnce(&mut Value)) -> Settings {
    let mut given = json!({
        "model": { "name": "unet", "base": 4, "depth": 2, "dropout": 0.3 },
        "data": { "path": folder, "patch": 32 },
        "optimizer": { "lr": 3e-3 },
        "schedule": { "name": "warmup_cosine", "warmup_epochs": 0.5 },
        "epochs": 3,
        "batch_size": 4,
        "samples_per_epoch": 10,
    });
    change(&mut given);
    Settings::from_resolved(&resolve(given.as_object().expect("object")).expect("resolved"))
        .expect("settings")
}

fn cursors(settings: &Settings, steps: u64) -> Vec<Cursor> {
    let epochs = 1..=settings.epochs;
    epochs.flat_map(|epoch| (0..steps).map(move |step| Cursor { epoch, step })).collect()
}

fn jaccard(learner: &mut NetLearner) -> Option<f64> {
    learner.evaluate(&mut || true).expect("evaluated").expect("finished").get("val/jaccard")
}

#[test]
fn a_network_learns_one_minibatch_by_heart() {
    let folder = drawn();
    let settings = settings(folder.path(), |given| {
        given["model"] = json!({ "name": "unet", "base": 8, "depth": 2 });
        given["schedule"] = json!({ "name": "constant" });
        given["optimizer"] = json!({ "lr": 1e-2 });
        given["samples_per_epoch"] = json!(4);
    });
    let mut learner = NetLearner::build(&settings, 1, 1).expect("built");
    let mut step = || learner.train_step(Cursor::START, 1e-2).expect("step");
    let first = step();
    let last = (0..80).map(|_| step()).last().expect("a loss");
    assert!(first > 0.5 && last < 0.1 * first, "{first} to {last}");
}

/// A learning rate that changes with every step.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn rate(cursor: Cursor) -> f64 {
    1e-2 / (1.0 + cursor.epoch as f64 + 0.1 * cursor.step as f64)
}

#[test]
fn a_trial_cut_after_any_step_and_resumed_is_bit_equal() {
    let folder = drawn();
    for (name, crops) in [("crops", json!(10)), ("grid", Value::Null)] {
        let settings = settings(folder.path(), |given| {
            given["samples_per_epoch"] = crops.clone();
            given["batch_size"] = if crops.is_null() { json!(13) } else { json!(4) };
        });
        let mut uncut = NetLearner::build(&settings, 7, 1).expect("built");
        let all = cursors(&settings, uncut.describe().steps_per_epoch);
        let mut saved = vec![uncut.state().expect("state")];
        for cursor in &all {
            uncut.train_step(*cursor, rate(*cursor)).expect("step");
            if cursor.step == 0 {
                jaccard(&mut uncut);
            }
            saved.push(uncut.state().expect("state"));
        }
        let end = saved.last().expect("an end").clone();
        for (cut, state) in saved.iter().enumerate() {
            let mut resumed = NetLearner::build(&settings, 7, 1).expect("built");
            resumed.restore(state).expect("restored");
            for cursor in &all[cut..] {
                resumed.train_step(*cursor, rate(*cursor)).expect("step");
            }
            assert!(resumed.state().expect("state") == end, "{name}: cut after {cut} steps");
        }
        assert!(saved[0] != end);
    }
}

#[test]
fn another_seed_or_setting_trains_another_network() {
    let folder = drawn();
    let after = |seed, change: fn(&mut Value)| {
        let settings = settings(folder.path(), change);
        let mut learner = NetLearner::build(&settings, seed, 1).expect("built");
        for step in 0..2 {
            learner.train_step(Cursor { epoch: 1, step }, 1e-3).expect("step");
        }
        learner.state().expect("state")
    };
    let plain = after(1, |_| {});
    assert!(after(1, |_| {}) == plain);
    assert!(after(2, |_| {}) != plain);
    assert!(after(1, |given| given["model"]["dropout"] = json!(0.0)) != plain);
    assert!(after(1, |given| given["augmentation"] = json!({ "flips": false })) != plain);
}

#[test]
fn a_state_of_another_network_is_refused() {
    let folder = drawn();
    let small = settings(folder.path(), |_| {});
    let large = settings(folder.path(), |given| given["model"]["base"] = json!(8));
    let state = NetLearner::build(&large, 1, 1).expect("built").state().expect("state");
    let mut learner = NetLearner::build(&small, 1, 1).expect("built");
    let before = learner.state().expect("state");
    let error = learner.restore(&state).expect_err("a misfit");
    assert!(matches!(error, LearnerError::Misfit { .. }), "{error}");
    assert!(learner.state().expect("state") == before, "nothing may have changed");
}

#[test]
fn evaluation_counts_each_pixel_once_and_stops_when_told() {
    let folder = drawn();
    let pixels = |split: Value, fraction: f64| {
        let settings = settings(folder.path(), |given| {
            given["data"]["split"] = split;
            given["data"]["val_fraction"] = json!(fraction);
        });
        let mut learner = NetLearner::build(&settings, 1, 1).expect("built");
        assert!(learner.evaluate(&mut || false).expect("stopped").is_none());
        jaccard(&mut learner);
        let report = predicted(&settings, &learner.state().expect("state"), Part::Val).1;
        let Confusion { true_positive, false_positive, false_negative, true_negative } =
            report.pooled.expect("counts");
        true_positive + false_positive + false_negative + true_negative
    };
    assert_eq!(pixels(json!("file"), 0.4), 2 * 80 * 80);
    // Cells of 32, 32 and 16 pixels: the dealt ones are of any of these sizes.
    let data = settings(folder.path(), |given| {
        given["data"]["split"] = json!("leaky_random_patches");
    });
    let data = DataSet::open(data.data.as_ref().expect("data"), 1).expect("data");
    let area: usize = data.val.iter().map(|region| region.height * region.width).sum();
    assert_eq!(pixels(json!("leaky_random_patches"), 0.2), area as u64);
    assert_eq!(data.warnings.len(), 1);
}

/// What a trial left that ended with this state.
pub(crate) fn trained(settings: &Settings, state: &State) -> Trained {
    let data = data::fingerprint_of(settings.data.as_ref().expect("data")).ok();
    let trial = "0123456789abcdef";
    let manifest = json!({
        "format": 1, "trial": trial, "seed": 1, "settings_version": 1, "data": data,
        "written": "2026-11-01T00:00:00Z", "cursor": { "epoch": 2, "step": 0 }, "loss_sum": 0.0,
        "elapsed": 1.0, "epoch_seconds": 0.0, "weights_sha256": "", "tensors_sha256": "", "bytes": 0,
    });
    let assignment = json!({
        "trial": trial, "seed": 1, "repeat": 0, "parameters": {}, "settings": {}, "sweep": "drawn",
        "settings_version": 1, "objective": Objective::default(),
        "budget": Budget::default(), "token": null, "only_check": false,
    });
    Trained {
        assignment: serde_json::from_value(assignment).expect("assignment"),
        settings: settings.clone(),
        state: state.clone(),
        checkpoint: "1-1".to_owned(),
        manifest: Some(serde_json::from_value(manifest).expect("manifest")),
        outcome: None,
        train_density: None,
    }
}

/// Everything as usual, and all files.
pub(crate) fn request<'a>(members: &'a [Trained], part: Part, folder: &Path) -> Request<'a> {
    Request {
        members,
        images: Images::Part(part),
        data: None,
        showing: Showing::default(),
        threshold: Threshold::default(),
        each: false,
        output: Some(Output { folder: folder.to_owned(), probability: true, overlay: true }),
        threads: 1,
    }
}

/// Predicts into a fresh folder.
pub(crate) fn predicted(settings: &Settings, state: &State, part: Part) -> (TempDir, Report) {
    let out = TempDir::new().expect("folder");
    let members = [trained(settings, state)];
    let report = predict(&request(&members, part, out.path()), &mut Patient).expect("predicted");
    (out, report)
}

#[test]
fn predicted_masks_give_the_jaccard_of_the_evaluation() {
    let folder = drawn();
    let settings = settings(folder.path(), |given| {
        given["data"]["val_fraction"] = json!(0.4);
        given["model"] = json!({ "name": "unet", "base": 8, "depth": 2, "channels": 3 });
        given["optimizer"] = json!({ "lr": 1e-2 });
        given["epochs"] = json!(6);
        given["samples_per_epoch"] = json!(80);
        given["loss"] = json!({ "bce": 0, "dice": 1 });
    });
    let mut learner = NetLearner::build(&settings, 1, 1).expect("built");
    for cursor in cursors(&settings, learner.describe().steps_per_epoch) {
        learner.train_step(cursor, rate(cursor)).expect("step");
    }
    let metrics = learner.evaluate(&mut || true).expect("evaluated").expect("finished");
    let (out, report) = predicted(&settings, &learner.state().expect("state"), Part::Val);
    assert_eq!(report.metrics, metrics);
    let mut recount = Confusion::default();
    for name in ["slice_003.png", "slice_004.png"] {
        let read = |path: &Path| image::open(path).expect("png").into_luma8();
        let mask = read(&out.path().join(name));
        let truth = read(&folder.path().join("masks").join(name));
        assert_eq!(mask.pixels().map(|p| p.0[0]).filter(|p| ![0, 255].contains(p)).count(), 0);
        for (predicted, truth) in mask.pixels().zip(truth.pixels()) {
            recount.count(predicted.0[0] > 0, truth.0[0] > 0);
        }
    }
    assert_eq!(Some(recount), report.pooled);
    assert!(recount.true_positive + recount.false_positive > 0, "nothing was predicted");
    assert!(out.path().join("metrics.json").is_file());
}

#[test]
fn images_without_masks_can_be_predicted() {
    let folder = drawn();
    let trained = settings(folder.path(), |_| {});
    let state = NetLearner::build(&trained, 1, 1).expect("built").state().expect("state");
    std::fs::remove_dir_all(folder.path().join("masks")).expect("removed");
    let (out, report) = predicted(&trained, &state, Part::All);
    assert_eq!((report.images.len(), report.pooled), (5, None));
    assert!(out.path().join("slice_000.png").is_file());
}

#[test]
fn settings_that_cannot_be_built_are_named() {
    let folder = drawn();
    let wrong = |change: fn(&mut Value)| {
        let settings = settings(folder.path(), change);
        let error = NetLearner::build(&settings, 1, 1).map(drop).expect_err("a complaint");
        assert!(check(&settings, 1).is_err());
        let LearnerError::Setting { setting, .. } = error else { panic!("{error}") };
        setting
    };
    assert_eq!(
        wrong(|given| given["model"] = json!({ "name": "convnext_unet", "embed": 4 })),
        "data.patch"
    );
}

#[test]
fn a_check_tells_the_bytes_of_a_checkpoint() {
    let folder = drawn();
    let settings = settings(folder.path(), |given| given["model"]["channels"] = json!(3));
    let state = NetLearner::build(&settings, 1, 1).expect("built").state().expect("state");
    let report = check(&settings, 1).expect("report");
    assert_eq!(report.state_bytes, state_bytes(&state));
    assert!(report.state_bytes > 12 * report.parameters);
}

#[test]
fn a_check_tells_sizes_density_and_leakage() {
    let folder = drawn();
    let report = check(
        &settings(folder.path(), |given| {
            given["data"]["split"] = json!("leaky_random_patches");
        }),
        1,
    )
    .expect("report");
    assert_eq!(report.sizes, [(80, 80), (80, 80)]);
    assert!((0.04..0.16).contains(&report.train_density), "{}", report.train_density);
    assert!(report.warnings[0].contains("leaky_random_patches"));
    assert_eq!(report.steps_per_epoch, 3);
    assert!(report.parameters > 1000 && report.memory_bytes > 16 * report.parameters);
}
