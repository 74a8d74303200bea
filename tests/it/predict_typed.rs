//! `regatta predict` and `regatta evaluate` as they are typed, after a small sweep of U-Nets.

#![expect(clippy::expect_used, reason = "helpers of tests fail like tests")]

use regatta::event::Event;
use regatta::journal;
use serde_json::Value;

use crate::home::Home;

const SWEEP: &str = "\
name: nets
fixed:
  model: { name: unet, base: 4, depth: 2 }
  data: { path: data, patch: 32, val_fraction: 0.4 }
  loss: { dice: 1 }
  samples_per_epoch: 40
  epochs: 3
grid:
  optimizer.lr: [1e-2, 3e-3]
";

/// A home with two trained trials, and their ids, the better first.
fn trained() -> (Home, Vec<String>) {
    let mut home = Home::new();
    let drawn = std::process::Command::new(env!("CARGO_BIN_EXE_regatta-worker"))
        .args(["synth", "data", "--slices", "5", "--size", "64", "--seed", "1"])
        .current_dir(home.path())
        .output()
        .expect("the worker");
    assert!(drawn.status.success());
    home.set("OMP_NUM_THREADS", "1").write("nets.yaml", SWEEP);
    home.ok(&["submit", "nets.yaml", "--scheduler", "local", "--wait", "--poll", "0.1"]);
    let best = home.json(&["best", "nets"]);
    let ids = best["trials"].as_array().expect("trials").iter();
    let ids = ids.map(|trial| trial["trial"].as_str().expect("id").to_owned()).collect();
    (home, ids)
}

#[test]
fn trials_are_named_or_the_best_are_taken_and_everything_is_told() {
    let (home, ids) = trained();
    let value = home.json(&["best", "nets"])["trials"][0]["value"].as_f64().expect("a value");

    // One trial, its own validation files: what training said.
    let said = home.ok(&["predict", &ids[0][..6], "--split", "val", "-o", "one"]);
    assert!(said.out.starts_with("2 masks in one from checkpoint "), "{}", said.out);
    assert!(said.err.contains("1/2 slice_003: coverage ") && said.err.contains("2/2 slice_004"));
    let told: Value =
        serde_json::from_slice(&std::fs::read(home.at("one/metrics.json")).expect("report"))
            .expect("json");
    assert_eq!(told["metrics"]["val/jaccard"].as_f64(), Some(value));
    assert_eq!(told["members"][0]["trial"].as_str(), Some(ids[0].as_str()));
    assert!(told["members"][0]["epoch"].is_u64() && told["complete"] == true);

    // The journal knows how much foreground there was to learn from.
    let (_, folder) = home.trials("nets").into_iter().next().expect("a trial");
    let records = journal::replay::<Event>(&folder.journal(1)).expect("journal").records;
    let density = records.iter().find_map(|record| match &record.body {
        Event::Started { train_density, .. } => *train_density,
        _ => None,
    });
    assert_eq!(told["coverage"]["trained"].as_f64(), density);
    assert!(density.is_some_and(|density| density > 0.01 && density < 0.3), "{density:?}");

    // An ensemble over images that are named, quietly, without the extras.
    let both = ids.join(",");
    let words = ["predict", &both, "data/images", "-o", "two", "-q", "--no-overlay"];
    let said = home.ok(&words);
    assert!(
        said.out.starts_with("5 masks in two from the mean logit of 2 networks"),
        "{}",
        said.out
    );
    assert!(!said.err.contains("1/5"), "{}", said.err);
    assert!(home.at("two/probability/slice_000.png").is_file() && !home.at("two/overlay").exists());

    // The best ones: which they are is said, and what is missing.
    let words =
        ["predict", "--top", "3", "--sweep", "nets", "data/images/slice_000.png", "-o", "top"];
    let said = home.ok(&words);
    for word in [&format!("1. nets/{}  val/jaccard", ids[0]), "finished", "only 2 of 3 trials"] {
        assert!(said.err.contains(word), "{word}: {}", said.err);
    }

    // Evaluation: a line a member, nothing written.
    let before = home.files();
    let said = home.ok(&["evaluate", "--top", "2", "data", "--tta", "flips", "--threshold", "val"]);
    for word in [&format!("nets/{}", ids[1]), "ensemble of 2", "PER IMAGE", "chosen on the 2 val"] {
        assert!(said.out.contains(word), "{word}: {}", said.out);
    }
    let json = home.json(&["evaluate", &both, "data"]);
    assert_eq!(json["images"].as_array().map(Vec::len), Some(5));
    assert!(json["members"][1]["metrics"]["all/loss"].is_f64() && json["schema_version"] == 1);
    assert_eq!(home.files(), before, "something was written");
}

#[test]
fn what_is_typed_wrong_is_told_with_what_to_do() {
    let mut home = Home::with_quick_toy();
    home.set("REGATTA_SLOTS", "4");
    let wrong = |words: &[&str], code: i32, said: &str| {
        let answer = home.type_in(words);
        assert_eq!(answer.code, code, "{words:?}: {}", answer.err);
        assert!(answer.err.contains(said), "{words:?}: {}", answer.err);
    };
    wrong(&["predict", "-o", "x"], 2, "no trial is named");
    wrong(&["evaluate", "3fa9"], 2, "no folder is named");
    wrong(&["evaluate", "3fa9", "a", "b"], 2, "more than one folder");
    wrong(
        &["predict", "3fa9", "a.png", "--split", "val", "-o", "x"],
        2,
        "images are named, and so",
    );
    wrong(&["predict", "3fa9", "--threshold", "test", "-o", "x"], 2, "cannot be chosen on another");
    wrong(&["predict", "3fa9", "--tta", "some", "-o", "x"], 2, "flips");
    wrong(&["predict", "3fa9", "--sweep", "quick", "-o", "x"], 2, "--top");
    home.ok(&["submit", "sweep.yaml", "--scheduler", "local", "--stage-only"]);
    wrong(&["predict", "--top", "2", "-o", "x"], 1, "no trial has a value and a checkpoint");
    home.ok(&["submit", "sweep.yaml", "--scheduler", "local", "--wait"]);
    let trials = home.json(&["trials", "quick"]);
    let trial = trials["trials"][0]["trial"].as_str().expect("id");
    wrong(&["predict", &format!("{trial},{trial}"), "-o", "x"], 2, "is named twice");
    assert!(!home.at("x").exists());
}
