//! Images and masks as they are found: splits, leakage, odd masks, all kinds of files.

use std::path::{Path, PathBuf};

use image::{GrayImage, Luma};
use regatta::event::Cursor;
use regatta::setting::{Settings, resolve};
use regatta::train::NetLearner;
use regatta::train::check::check;
use regatta::train::data::{DataSet, Part, Region, WARN_ABOVE};
use regatta::train::synth::{self, Spec};
use regatta::worker::learner::{Learner, LearnerError};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::home::Home;

use crate::stage::skip;

/// Settings of a small network on these data.
fn settings(data: &Value) -> Settings {
    let model = json!({ "name": "unet", "base": 2, "depth": 1 });
    let given = json!({ "model": model, "data": data });
    Settings::from_resolved(&resolve(given.as_object().expect("object")).expect("resolved"))
        .expect("settings")
}

fn open(folder: &Path, split: &Value) -> DataSet {
    let settings = settings(&json!({ "path": folder, "patch": 16, "split": split }));
    DataSet::open(settings.data.as_ref().expect("data"), 1).expect("data")
}

/// A folder of square slices; `is_foreground(z, y, x)` says what their masks are.
fn volume(slices: u32, size: u32, is_foreground: impl Fn(u32, u32, u32) -> bool) -> TempDir {
    let folder = TempDir::new().expect("folder");
    for (part, range) in [("images", [40, 200]), ("masks", [0, 255])] {
        std::fs::create_dir(folder.path().join(part)).expect("folder");
        for z in 0..slices {
            let pixel = |x, y| Luma([range[usize::from(is_foreground(z, y, x))]]);
            let path = folder.path().join(part).join(format!("z{z}.png"));
            GrayImage::from_fn(size, size, pixel).save(path).expect("saved");
        }
    }
    folder
}

/// A square of 16 pixels that moves by a pixel a slice.
fn moving(z: u32, y: u32, x: u32) -> bool {
    (8..24).contains(&y) && (z..z + 16).contains(&x)
}

/// Jaccard of that square with itself `k` slices on.
fn overlap(k: u32) -> f64 {
    let k = f64::from(k.min(16));
    (16.0 - k) / (16.0 + k)
}

#[test]
fn the_leak_meter_scores_a_moving_square_as_one_can_by_hand() {
    let folder = volume(20, 48, moving);
    let score = |split: Value| open(folder.path(), &split).leak.jaccard().expect("a volume");
    let pooled = |distances: &[u32]| {
        let both: u32 = distances.iter().map(|k| 16 - k.min(&16)).sum();
        let union: u32 = distances.iter().map(|k| 16 + k.min(&16)).sum();
        f64::from(both) / f64::from(union)
    };
    // The last 4 of 20 slices are validation: 1 to 4 slices from the last training slice.
    assert!((score(json!("file")) - pooled(&[1, 2, 3, 4])).abs() < 1e-9);
    let blocks = json!({ "by": "blocks", "gap": 5 });
    assert!((score(blocks) - pooled(&[6, 7, 8, 9])).abs() < 1e-9);
    // Slices 8 to 11 with 2 unused on both sides.
    let folds = json!({ "by": "folds", "folds": 5, "fold": 2, "gap": 2 });
    assert!((score(folds) - pooled(&[3, 4, 4, 3])).abs() < 1e-9);
    // Nearly all random patches have the next slice's in training.
    let leaky = score(json!("leaky_random_patches"));
    assert!(leaky > overlap(2) && leaky < 1.0, "{leaky}");
    let all: String =
        (0..20).map(|z| format!("z{z},{}\n", ["train", "val", "test"][z % 3])).collect();
    // A test slice lies in no order: slices beside it are neighbours.
    std::fs::write(folder.path().join("split.csv"), format!("name,split\n{all}")).expect("csv");
    let beside = score(json!("split.csv"));
    assert!((beside - overlap(1)).abs() < 1e-9, "{beside}");
}

#[test]
fn a_split_that_leaks_is_a_warning_of_the_trial_and_one_with_a_gap_is_none() {
    let folder = volume(20, 48, moving);
    let leaky = open(folder.path(), &json!("file"));
    assert!(leaky.leak.jaccard() > Some(WARN_ABOVE));
    // 16 pixels that move by one a slice: at a gap of 8 the last four are 9 to 12 slices from training.
    let pooled = |gap: u32| {
        let both: u32 = (gap + 1..gap + 5).map(|k| 16 - k.min(16)).sum();
        let union: u32 = (gap + 1..gap + 5).map(|k| 16 + k.min(16)).sum();
        f64::from(both) / f64::from(union)
    };
    let tried = [1, 2, 3, 4, 6, 8, 10, 12];
    let gap = tried.into_iter().find(|gap| pooled(*gap) <= WARN_ABOVE).expect("a gap");
    let advice = format!("{{ by: blocks, gap: {gap} }}, the smallest gap tried that keeps");
    assert!(leaky.warnings.iter().any(|text| text.contains(&advice)), "{:?}", leaky.warnings);
    assert_eq!(leaky.leak_warning.as_ref(), leaky.warnings.last());
    let advised = open(folder.path(), &json!({ "by": "blocks", "gap": gap }));
    assert_eq!(advised.leak_warning, None);
    // Where all that could be left out leaks, no gap is advised.
    let slow = volume(20, 48, |z, y, x| moving(z / 8, y, x));
    let hopeless = open(slow.path(), &json!("file")).leak_warning;
    assert!(
        hopeless.as_ref().is_some_and(|text| text.contains("No gap of up to 12")),
        "{hopeless:?}"
    );
    let blocks = open(folder.path(), &json!({ "by": "blocks", "gap": 8 }));
    assert_eq!(blocks.warnings, Vec::<String>::new());
    assert!(blocks.leak.jaccard() < Some(WARN_ABOVE));
    let random = open(folder.path(), &json!("leaky_random_patches"));
    assert_eq!(random.warnings.len(), 2, "{:?}", random.warnings);
}

#[test]
fn files_that_are_no_volume_have_no_leak_and_the_reason_is_told() {
    let reason = |folder: &TempDir| {
        let leak = open(folder.path(), &json!("file")).leak;
        assert_eq!(leak.jaccard(), None);
        leak.reason().expect("a reason").to_owned()
    };
    // Blocks at places that have nothing to do with each other.
    let strewn = volume(12, 64, |z, y, x| {
        let place = (z * 7919 + 13) % 101;
        (y / 12) * 5 + x / 12 == place % 25
    });
    assert!(reason(&strewn).starts_with("the files are no volume"), "{}", reason(&strewn));
    let alike = volume(12, 32, |_, y, x| y + x < 20);
    assert!(reason(&alike).starts_with("the files are no volume"), "{}", reason(&alike));
    assert!(reason(&volume(7, 32, moving)).starts_with("7 slices are too few"));
    let empty = volume(9, 32, |_, _, _| false);
    assert_eq!(reason(&empty), "the masks hold no foreground");
    let other = volume(9, 32, moving);
    for part in ["images", "masks"] {
        let path = other.path().join(part).join("z3.png");
        GrayImage::from_pixel(20, 20, Luma([0])).save(path).expect("saved");
    }
    assert!(reason(&other).contains("different sizes"));
}

#[test]
fn stratified_parts_have_the_same_density_whatever_the_order_of_files() {
    // Slice z holds z rows of foreground.
    let folder = volume(40, 48, |z, y, _| y < z);
    let density = |data: &DataSet, part: Part| {
        let regions = if part == Part::Train { &data.train } else { &data.val };
        let masks = regions.iter().map(|region| data.slices[region.slice].mask.as_ref());
        let sums: Vec<u64> = masks.map(|mask| mask.expect("mask").foreground()).collect();
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let mean = sums.iter().sum::<u64>() as f64 / (sums.len() * 48 * 48) as f64;
        mean
    };
    let both = |data: &DataSet| (density(data, Part::Train), density(data, Part::Val));
    let dealt = open(folder.path(), &json!("stratified"));
    assert_eq!((dealt.train.len(), dealt.val.len()), (32, 8));
    let (train, val) = both(&dealt);
    assert!((train - val).abs() < 0.02, "{train} {val}");
    let (train, val) = both(&open(folder.path(), &json!("file")));
    assert!((train - val).abs() > 0.3, "{train} {val}");
    assert_eq!(open(folder.path(), &json!({ "by": "stratified" })).fingerprint, dealt.fingerprint);
}

#[test]
fn files_for_the_test_are_not_opened_by_any_split() {
    let folder = volume(12, 32, moving);
    std::fs::write(folder.path().join("split.csv"), "name,split\nz4,test\n").expect("csv");
    for part in ["images", "masks"] {
        let path = folder.path().join(part).join("z4.png");
        std::fs::write(path, "not even an image").expect("written");
    }
    for split in [
        json!("file"),
        json!("stratified"),
        json!("leaky_random_patches"),
        json!({ "by": "blocks", "gap": 2 }),
        json!({ "by": "folds", "folds": 3, "fold": 1 }),
    ] {
        let data = open(folder.path(), &split);
        assert!(data.slices.iter().all(|slice| slice.name != "z4"), "{split}");
        assert_eq!(data.roles.parts[4], Part::Test);
    }
}

#[test]
fn a_split_that_leaves_nothing_names_the_setting() {
    let folder = volume(4, 32, moving);
    let complaint = |split: Value| {
        let settings = settings(&json!({ "path": folder.path(), "patch": 16, "split": split }));
        let error = DataSet::open(settings.data.as_ref().expect("data"), 1).map(drop);
        match error.expect_err("nothing left") {
            LearnerError::Data { what, hint, .. } => {
                format!("{what}; {}", hint.unwrap_or_default())
            }
            other => panic!("{other}"),
        }
    };
    for (split, words) in [
        (json!({ "by": "blocks", "gap": 9 }), "a smaller gap in data.split"),
        (json!({ "by": "folds", "folds": 9, "fold": 0 }), "fewer folds in data.split"),
    ] {
        let text = complaint(split);
        assert!(text.contains("leaves nothing for"), "{text}");
        assert!(text.contains(words), "{text}");
    }
}

/// With how much of the training data `fraction` leaves.
fn open_part(folder: &Path, split: &Value, fraction: f64, seed: u64) -> DataSet {
    let settings = settings(
        &json!({ "path": folder, "patch": 16, "split": split, "train_fraction": fraction }),
    );
    DataSet::open(settings.data.as_ref().expect("data"), seed).expect("data")
}

#[test]
fn a_fraction_of_the_training_data_lies_within_a_larger_one_and_leaves_validation_alone() {
    let folder = volume(20, 48, moving);
    for split in [
        json!({ "by": "blocks", "gap": 2 }),
        json!({ "by": "folds", "folds": 4, "fold": 1 }),
        json!("stratified"),
        json!("leaky_random_patches"),
    ] {
        let all = open(folder.path(), &split);
        let pieces = |data: &DataSet| -> Vec<(String, usize, usize)> {
            let name = |region: &Region| data.slices[region.slice].name.clone();
            data.train.iter().map(|region| (name(region), region.top, region.left)).collect()
        };
        let whole = pieces(&all);
        let mut before: Vec<_> = Vec::new();
        for percent in [1_u32, 25, 50, 100] {
            let fraction = f64::from(percent) / 100.0;
            let data = open_part(folder.path(), &split, fraction, 1);
            let now = pieces(&data);
            assert_eq!(now.len() + data.left_out, whole.len(), "{split} {fraction}");
            let wanted = (percent as usize * whole.len() + 50) / 100;
            assert_eq!(now.len(), wanted.max(1), "{split} {fraction}");
            assert!(before.iter().all(|piece| now.contains(piece)), "{split} {fraction}");
            assert!(now.iter().all(|piece| whole.contains(piece)), "{split} {fraction}");
            let names = |data: &DataSet| -> Vec<String> {
                data.val.iter().map(|region| data.slices[region.slice].name.clone()).collect()
            };
            assert_eq!(names(&data), names(&all), "{split} {fraction}: validation");
            before = now;
        }
        assert_eq!(before, whole);
        if split != "leaky_random_patches" {
            let seeds = [1, 2].map(|seed| open_part(folder.path(), &split, 0.3, seed));
            assert_eq!(seeds[0].train, seeds[1].train, "{split}: the seed has no say");
        }
    }
}

#[test]
fn what_is_left_out_of_training_is_not_read_and_counts_nowhere() {
    let folder = volume(20, 48, moving);
    let split = json!({ "by": "blocks", "gap": 2 });
    let (all, half) = [1.0, 0.5].map(|part| open_part(folder.path(), &split, part, 1)).into();
    assert_eq!((all.fingerprint.train_files, half.fingerprint.train_files), (14, 7));
    assert_ne!(all.fingerprint, half.fingerprint);
    assert_eq!(half.slices.len(), 7 + 4);
    assert_eq!(half.roles.parts.iter().filter(|part| **part == Part::LeftOut).count(), 7);
    // The last training slice is left out, so that what is copied comes from further away.
    assert_eq!(half.roles.parts[13], Part::LeftOut);
    let nearest = half.train.last().map(|region| half.slices[region.slice].name.clone());
    assert_eq!(nearest.as_deref(), Some("z12"));
    let score = |data: &DataSet| data.leak.jaccard().expect("a volume");
    assert!(score(&half) < score(&all), "{} {}", score(&half), score(&all));
    let left_out = folder.path().join("images/z13.png");
    std::fs::write(left_out, "not even an image").expect("written");
    open_part(folder.path(), &split, 0.5, 1);
    let report = check(
        &settings(
            &json!({ "path": folder.path(), "patch": 16, "split": split, "train_fraction": 0.5 }),
        ),
        1,
    );
    let report = report.expect("report");
    assert_eq!((report.data.left_out, report.data.unused_files, report.train_files), (7, 2, 7));
    assert!(report.to_string().contains("7 files or patches, by data.train_fraction"), "{report}");
}

/// The real slices, where somebody put them.
fn real(name: &str, test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("REGATTA_TEST_DATA").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = named.unwrap_or_else(beside).join(name);
    if folder.join("split.csv").is_file() {
        return Some(folder);
    }
    skip(test, &format!("data: no folder {name} under REGATTA_TEST_DATA or ../shared/data"));
    None
}

#[test]
fn the_protocol_of_the_earlier_system_leaks_on_the_real_volume() {
    let test = "the_protocol_of_the_earlier_system_leaks_on_the_real_volume";
    let Some(folder) = real("epfl-lucchi", test) else { return };
    let report = |data: Value| check(&settings(&data), 0).expect("report");
    let earlier = report(json!({
        "path": folder, "patch": 256, "split": "leaky_random_patches", "val_fraction": 0.1,
    }));
    let leak = earlier.leak_jaccard.expect("a volume");
    assert!((leak - 0.919).abs() < 0.005, "{leak}");
    // As many patches as there were then, less the files for the test.
    assert_eq!(earlier.data.all.slices, 165);
    assert_eq!(earlier.data.all.pixels, 1980 * 256 * 256);
    assert_eq!(earlier.data.val.pixels, 198 * 256 * 256);
    assert!((earlier.data.all.density - 0.0563).abs() < 0.00005, "{}", earlier.data.all.density);
    assert_eq!(earlier.data.test_files, 5);
    assert!(earlier.warnings.iter().any(|text| text.contains("Jaccard of 0.9")));
    let apart = report(json!({ "path": folder, "patch": 256, "split": "split.csv" }));
    assert!(apart.leak_jaccard.expect("a volume") < 0.25, "{:?}", apart.leak_jaccard);
    assert_eq!(apart.leak_warning, None);
    assert_eq!(apart.data.unused_files, 20);
}

#[test]
fn a_drawn_volume_is_known_as_one() {
    let folder = TempDir::new().expect("folder");
    synth::write(&Spec { slices: 12, size: 96, seed: 1 }, folder.path()).expect("written");
    let data = open(folder.path(), &json!("leaky_random_patches"));
    assert!(data.leak.jaccard() > Some(0.2), "{:?}", data.leak);
}

#[test]
fn a_trial_with_every_random_change_is_bit_equal_however_it_is_cut() {
    let folder = TempDir::new().expect("folder");
    synth::write(&Spec { slices: 5, size: 64, seed: 1 }, folder.path()).expect("written");
    let given = json!({
        "model": { "name": "unet", "base": 2, "depth": 1 },
        "data": {
            "path": folder.path(), "patch": 32, "foreground_crops": 0.5,
            "contrast_gain": 1.1, "contrast_offset": -0.05,
        },
        "augmentation": {
            "scale": 0.3, "elastic": 3, "elastic_sigma": 6, "brightness": 0.1, "contrast": 0.2,
            "gamma": 0.3, "noise": 0.05, "blur": 1,
        },
        "samples_per_epoch": 8, "batch_size": 4, "epochs": 2,
    });
    let resolved = resolve(given.as_object().expect("object")).expect("resolved");
    let settings = Settings::from_resolved(&resolved).expect("settings");
    let build = || NetLearner::build(&settings, 7, 1).expect("built");
    let cursors = [(1, 0), (1, 1), (2, 0), (2, 1)].map(|(epoch, step)| Cursor { epoch, step });
    let mut uncut = build();
    let mut saved = vec![uncut.state().expect("state")];
    for cursor in cursors {
        uncut.train_step(cursor, 1e-2).expect("step");
        saved.push(uncut.state().expect("state"));
    }
    for (cut, state) in saved.iter().enumerate() {
        let mut resumed = build();
        resumed.restore(state).expect("restored");
        for cursor in &cursors[cut..] {
            resumed.train_step(*cursor, 1e-2).expect("step");
        }
        assert!(resumed.state().expect("state") == saved[4], "cut after {cut} steps");
    }
    assert!(saved[0] != saved[4]);
}

#[test]
fn a_ranking_says_which_values_are_not_to_be_believed() {
    let home = Home::new();
    synth::write(&Spec { slices: 8, size: 64, seed: 1 }, &home.at("drawn")).expect("written");
    home.write(
        "sweep.yaml",
        "name: leaky\nfixed:\n  model: { name: unet, base: 2, depth: 1 }\n  data: { path: drawn, patch: 32 }\n  \
         epochs: 1\ngrid:\n  data.split: [file, leaky_random_patches]\n",
    );
    home.ok(&["submit", "sweep.yaml", "--scheduler", "local", "--wait"]);
    let said = home.ok(&["best", "leaky"]);
    assert!(
        said.err.contains("1 of 2 trials shown were validated on `leaky_random_patches`"),
        "{}",
        said.err
    );
    let rows = home.json(&["best", "leaky"])["trials"].as_array().expect("trials").clone();
    for row in rows {
        let is_leaky = row["parameters"]["data.split"] == "leaky_random_patches";
        assert_eq!(row.get("leaky").is_some(), is_leaky, "{row}");
    }
}
