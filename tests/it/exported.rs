//! `regatta export TRIAL --model DIR`: what a user gets, and what he is told where there is nothing to get.

use crate::home::{Home, QUICK_TOY};

const SWEEP: &str = "name: nets
fixed:
  model: { name: unet, base: 2, depth: 1 }
  data: { path: data, patch: 16 }
  optimizer: { lr: 1e-2 }
  epochs: 2
  batch_size: 2
  samples_per_epoch: 8
grid: { loss.dice: [0.5] }
";

fn only_trial(home: &Home, sweep: &str) -> String {
    let trials = home.json(&["trials", sweep]);
    trials["trials"][0]["trial"].as_str().expect("an id").to_owned()
}

fn drawn() -> Home {
    let home = Home::new();
    let worker = env!("CARGO_BIN_EXE_regatta-worker");
    let words = ["synth", "data", "--slices", "4", "--size", "48"];
    let drawn = std::process::Command::new(worker).args(words).current_dir(home.path()).status();
    assert!(drawn.expect("the worker starts").success());
    home.write("sweep.yaml", SWEEP);
    home
}

#[test]
fn a_trained_network_leaves_as_four_files() {
    let home = drawn();
    home.ok(&["submit", "sweep.yaml", "--scheduler", "local", "--wait"]);
    let trial = only_trial(&home, "nets");
    let told = home.ok(&["export", &trial[..6], "--model", "out/model"]);
    assert!(told.out.contains("model.pt") && told.out.contains("checkpoint 1-"), "{}", told.out);
    let mut names: Vec<_> = std::fs::read_dir(home.at("out/model"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    assert_eq!(names, ["README.md", "model.json", "model.pt", "model.safetensors"]);
    let beside: Vec<_> = std::fs::read_dir(home.at("out")).expect("a folder").collect();
    assert_eq!(beside.len(), 1, "{beside:?}");
    let text = std::fs::read_to_string(home.at("out/model/model.json")).expect("facts");
    let facts: serde_json::Value = serde_json::from_str(&text).expect("json");
    assert_eq!((facts["trial"].as_str(), &facts["epochs"]), (Some(trial.as_str()), &2.into()));
    assert!(facts["metrics"]["val/jaccard"].is_number(), "{text}");
    assert!(facts["epoch"].as_u64().expect("an epoch") >= 1);
    assert_eq!(facts["data"]["fingerprint"]["val_files"], 1);
    assert!(!text.contains(&home.path().display().to_string()), "{text}");
    let card = std::fs::read_to_string(home.at("out/model/README.md")).expect("card");
    assert!(card.contains("chosen by `val/jaccard` (maximize)"), "{card}");

    let again = home.type_in(&["export", &trial, "--model", "out/model"]);
    assert_eq!(again.code, 1);
    assert!(
        again.err.contains("holds a model already") && again.err.contains("--force"),
        "{}",
        again.err
    );
    let last =
        home.json(&["export", &trial, "--model", "out/model", "--force", "--checkpoint", "last"]);
    assert_eq!(last["epoch"], 2);
    home.write("thesis/thesis.tex", "dear");
    let other = home.type_in(&["export", &trial, "--model", "thesis", "--force"]);
    assert!(other.code == 1 && other.err.contains("files that no export wrote"), "{}", other.err);
}

#[test]
fn where_there_is_no_network_it_is_said() {
    let home = drawn();
    home.ok(&["submit", "sweep.yaml", "--stage-only", "--scheduler", "local"]);
    let trial = only_trial(&home, "nets");
    let early = home.type_in(&["export", &trial, "--model", "model"]);
    assert!(early.code == 1 && early.err.contains("no checkpoint yet"), "{}", early.err);
    home.write("quick.yaml", QUICK_TOY);
    home.ok(&["submit", "quick.yaml", "--scheduler", "local", "--wait"]);
    let toy = home.type_in(&["export", &only_trial(&home, "quick"), "--model", "model"]);
    assert!(toy.code == 1 && toy.err.contains("toy learner, which has no network"), "{}", toy.err);
    assert!(!home.at("model").exists());
    for words in [
        &["export", "nets"][..],
        &["export", "nets", "--model", "a", "--bundle", "b"],
        &["export", "nets", "--bundle", "b", "--checkpoint", "last"],
        &["export", "nets", "--model", "a", "--all-checkpoints"],
    ] {
        assert_eq!(home.type_in(words).code, 2, "{words:?}");
    }
}
