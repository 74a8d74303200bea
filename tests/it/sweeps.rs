//! From YAML to trials: expansion, identity, includes.

use std::collections::HashMap;

use regatta::sweep::{Loaded, Loader, Sweep, SweepError};

/// Files in memory.
struct Files(HashMap<&'static str, String>);

impl Loader for Files {
    fn load(&self, folder: Option<&str>, name: &str) -> Result<Loaded, String> {
        let path = folder.map_or_else(|| format!("/w/{name}"), |folder| format!("{folder}/{name}"));
        let text = self.0.get(path.as_str()).ok_or_else(|| format!("there is no file {name}"))?;
        let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder).to_owned();
        Ok(Loaded {
            name: name.to_owned(),
            folder,
            identity: path,
            bytes: text.clone().into_bytes(),
        })
    }
}

fn read_files(files: &[(&'static str, &str)]) -> Result<Sweep, SweepError> {
    let files = files.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    Sweep::read(&Files(files), "s.yaml", 10_000)
}

fn read(text: &str) -> Sweep {
    read_files(&[("/w/s.yaml", text)]).unwrap_or_else(|error| panic!("{error}"))
}

fn ids(sweep: &Sweep) -> Vec<String> {
    sweep.trials.iter().map(|trial| trial.id.to_string()).collect()
}

const TOY: &str = "name: toy\nfixed: { model: { name: toy } }\n";

#[test]
fn a_grid_is_a_product_and_the_last_axis_varies_fastest() {
    let sweep = read(&format!(
        "{TOY}grid:\n  optimizer.lr: [1e-4, 1e-3]\n  batch_size: [4, 8]\nrepeats: 2\n"
    ));
    let rows: Vec<String> = sweep
        .trials
        .iter()
        .map(|t| {
            format!(
                "{} {} seed {}",
                t.parameters["optimizer.lr"], t.parameters["batch_size"], t.seed
            )
        })
        .collect();
    insta::assert_snapshot!(rows.join("\n"), @r"
    0.0001 4 seed 0
    0.0001 8 seed 0
    0.001 4 seed 0
    0.001 8 seed 0
    0.0001 4 seed 1
    0.0001 8 seed 1
    0.001 4 seed 1
    0.001 8 seed 1
    ");
}

#[test]
fn identity_does_not_depend_on_spelling_order_or_place() {
    let one =
        read(&format!("{TOY}seed: 7\ngrid: {{ optimizer.lr: [1e-4, 5e-4], batch_size: [4] }}\n"));
    let two = read(
        "seed: 7\ngrid:\n  batch_size: [4.0]\n  optimizer.lr: [0.0001, 0.0005]\nfixed: { model: { name: toy, steps_per_epoch: 10 } }\nname: other\nresources: { mem: 3G }\n",
    );
    assert_eq!(ids(&one), ids(&two));
    let data = |path: &str| {
        read(&format!(
            "name: u\nfixed: {{ model: {{ name: unet }}, data: {{ name: d, path: {path} }} }}\ngrid: {{ batch_size: [4] }}\n"
        ))
    };
    assert_eq!(ids(&data("here")), ids(&data("/there/d")));
    assert_eq!(data("../data/d").trials[0].settings["data"]["path"], "/data/d");
}

#[test]
fn a_sweep_can_grow_and_keeps_its_trials() {
    let grown = |lrs: &str| {
        ids(&read(&format!("{TOY}grid: {{ optimizer.lr: [{lrs}], batch_size: [4, 8] }}\n")))
    };
    let (small, large) = (grown("1e-4, 1e-3"), grown("1e-4, 1e-2, 1e-3"));
    assert!(small.iter().all(|id| large.contains(id)));
    let random = |count: u32| {
        ids(&read(&format!(
            "{TOY}random: {{ count: {count}, seed: 1, axes: {{ optimizer.lr: {{ log_uniform: [1e-5, 1e-2] }}, batch_size: {{ choice: [2, 4, 8] }}, model.steps_per_epoch: {{ int: [8, 32] }} }} }}\n"
        )))
    };
    let (few, many) = (random(5), random(40));
    assert_eq!(few[..], many[..5]);
}

#[test]
fn zips_are_walked_together_and_multiply_with_the_rest() {
    let sweep = read(&format!(
        "{TOY}zip:\n- {{ batch_size: [4, 8], optimizer.lr: [1e-4, 2e-4] }}\n- {{ epochs: [1, 2, 3] }}\ngrid: {{ model.note: [a, b] }}\n"
    ));
    assert_eq!(sweep.trials.len(), 2 * 3 * 2);
    for trial in &sweep.trials {
        let lr = trial.parameters["optimizer.lr"].as_f64().expect("number");
        let batch = trial.parameters["batch_size"].as_f64().expect("number");
        assert!((lr / batch - 2.5e-5).abs() < 1e-12);
    }
}

#[test]
fn another_model_name_drops_the_siblings_of_the_old_one() {
    let sweep = read(
        "name: nets\nfixed: { model: { name: unet, base: 16 }, data: { path: d } }\ngrid: { model.name: [toy, unet] }\n",
    );
    assert_eq!(sweep.trials[0].settings["model"]["steps_per_epoch"], 10);
    assert_eq!(sweep.trials[1].settings["model"]["base"], 16);
    let whole = read(
        "name: nets\nfixed: { model: { name: unet, base: 16 }, data: { path: d } }\ngrid: { model: [{ name: unet, depth: 2 }, { name: toy }] }\n",
    );
    assert_eq!(whole.trials[0].settings["model"]["base"], 32);
    assert_eq!(whole.notes, ["the axis `model` wins over the value under `fixed:`"]);
}

#[test]
fn includes_merge_deep_and_null_removes() {
    let sweep = read_files(&[
        ("/w/s.yaml", "include: [sub/base.yaml]\nname: top\nfixed: { optimizer: { lr: 0.5, eps: null } }\n"),
        ("/w/sub/base.yaml", "name: base\nfixed: { model: { name: unet }, data: { path: d }, optimizer: { lr: 0.1, weight_decay: 0.3, eps: 0.5 } }\ngrid: { batch_size: [1, 2] }\n"),
    ])
    .expect("sweep");
    let settings = &sweep.trials[0].settings;
    assert_eq!(sweep.name, "top");
    assert_eq!(settings["optimizer"]["lr"], 0.5);
    assert_eq!(settings["optimizer"]["weight_decay"], 0.3);
    assert_eq!(settings["optimizer"]["eps"], 1e-8);
    // A path is relative to the file it stands in.
    assert_eq!(settings["data"]["path"], "/w/sub/d");
}

#[test]
fn a_mistake_in_an_included_file_is_shown_there() {
    let error = read_files(&[
        ("/w/s.yaml", "include: [base.yaml]\nname: top\n"),
        ("/w/base.yaml", "fixed:\n  model: { name: toy }\ngrid:\n  optimizer.lr: [0.1, -1]\n"),
    ])
    .expect_err("negative");
    assert_eq!(error.to_string(), "base.yaml:4:23: grid.optimizer.lr[1]: -1 is out of range");
}

/// Every file in `sweeps/` and `sweeps/results/` makes the plan that it is known to make. (The presets of
/// the earlier system have tests of their own.)
#[test]
fn the_sweeps_that_come_along() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let home = crate::home::Home::new();
    for folder in ["sweeps", "sweeps/results"] {
        let mut paths: Vec<_> = std::fs::read_dir(root.join(folder))
            .expect("sweeps")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.is_file())
            .collect();
        paths.sort();
        for path in paths {
            let name = path.strip_prefix(root).expect("within").display().to_string();
            home.write(&name, std::fs::read(&path).expect("a sweep"));
            let shown = home.ok(&["plan", &name]).out;
            let snapshot = name.trim_start_matches("sweeps/").trim_end_matches(".yaml");
            insta::with_settings!({ snapshot_path => "snapshots/sweeps", prepend_module_to_snapshot => false }, {
                insta::assert_snapshot!(snapshot.replace('/', "-"), shown);
            });
        }
    }
}
