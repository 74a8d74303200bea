//! The language of questions and the options that `best`, `trials`, `compare` and `export` share, over
//! made-up ends.

use regatta::metric::{Direction, Objective};
use regatta::query::Field;
use regatta::sweep::Trial;
use serde_json::{Value, json};

use crate::answers::{regatta, said};
use crate::compare::ends;
use crate::runs::{Runs, id, life, trial};

fn json(runs: &Runs, words: &[&str]) -> Value {
    let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
    let output = regatta(runs, &words);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{words:?}: {e}\n{told}"))
}

/// Numbers of the trials of a list.
fn numbers(list: &Value) -> Vec<u64> {
    let number = |row: &Value| (1..=10).find(|n| row["trial"] == json!(id(*n))).expect("known");
    list["trials"].as_array().expect("trials").iter().map(number).collect()
}

#[test]
fn a_condition_keeps_the_trials_for_which_it_holds() {
    let runs = ends();
    let all: Vec<u64> = (1..=10).collect();
    let four = format!("trial = {}", id(4));
    for (condition, kept) in [
        ("optimizer.lr >= 1e-3 and model.name = \"unet\"", vec![1, 2, 3, 4, 5, 6, 9, 10]),
        ("optimizer.lr > 0.001", vec![4, 5, 6]),
        ("model.name = swin_unet or seed = 2", vec![3, 6, 7, 8]),
        ("not model.name = unet", vec![7, 8]),
        ("model.name ~ *unet and data.split = leaky_random_patches", vec![9, 10]),
        ("leaky = true", vec![9, 10]),
        ("state in (failed, running)", vec![5, 6]),
        ("state != finished", vec![5, 6]),
        ("value >= 0.8", vec![1, 3, 4, 9, 10]),
        ("epoch = 2", vec![4, 5]),
        ("val/jaccard@last < 0.1", vec![4]),
        ("val/jaccard@1 >= 0.8", vec![9, 10]),
        ("val/jaccard@3 > 0.7", vec![1, 3, 7, 8, 9, 10]),
        ("not val/jaccard@3 > 0", vec![5, 6]),
        ("val/loss@best-val < 0.195", vec![1, 4, 9, 10]),
        ("train/loss@min < 0", vec![9, 10]),
        ("val/loss < 0.1", vec![9, 10]),
        ("epochs_done < 4", vec![5]),
        ("epochs = 5 and attempts = 1 and repeat < 2 and seed > 0", vec![2, 5, 8, 10]),
        ("elapsed = null", vec![6]),
        ("seed = 1 and (val/jaccard > 0.9 or state = failed)", vec![5, 10]),
        // What is missing compares as false, and a number is no text.
        ("model.base != 16", vec![]),
        ("not (model.base = 16)", all.clone()),
        ("model.base = null and guards.patience = null", all.clone()),
        ("optimizer.lr = \"0.001\"", vec![]),
        ("optimizer.lr != \"0.001\"", all.clone()),
        ("optimizer.lr ~ \"0.00*\"", vec![1, 2, 3, 7, 8, 9, 10]),
        ("model.name > 3", vec![]),
        // Defaults that stand in no resolved settings.
        ("gradient_accumulation = 1 and optimizer.l2_conv = 0", all.clone()),
        ("gradient_accumulation > 1 or optimizer.l2_conv != 0", vec![]),
        ("data.val_fraction in (0.2, 0.5) and batch_size not in (5, 6)", all.clone()),
        ("batch_size not in (4)", vec![]),
        ("trial ~ 04*", vec![4]),
        (&four, vec![4]),
        ("sweep ~ lr-* and why ~ *", all.clone()),
    ] {
        let found = numbers(&json(&runs, &["trials", "--where", condition]));
        assert_eq!(found, kept, "trials --where '{condition}'");
        let mut ranked = numbers(&json(&runs, &["best", "--where", condition]));
        ranked.sort_unstable();
        assert_eq!(ranked, kept, "best --where '{condition}'");
    }
    let two = ["trials", "--where", "seed = 1", "--where", "value > 0.9", "--state", "finished"];
    assert_eq!(numbers(&json(&runs, &two)), [10]);
}

#[test]
fn a_mistake_in_a_condition_is_marked() {
    let runs = ends();
    insta::assert_snapshot!(said(&runs, &["best", "--where", "state = finished and optimzer.lr > 1e-4"]), @r"
    2
    --
    error: --where, column 22: `optimzer.lr` is no field, no setting and no recorded metric
      state = finished and optimzer.lr > 1e-4
                           ^^^^^^^^^^^
     hint: did you mean `optimizer.lr`?
    ");
    for (words, so) in [
        (&["trials", "--where", "val/jacard > 1"][..], "did you mean `val/jaccard`?"),
        (&["compare", "--where", "state = done"], "`done` is no state"),
        (&["best", "--sort", "optimzer.lr"], "did you mean `optimizer.lr`?"),
        (&["best", "--columns", "trail"], "did you mean `trial`?"),
        (&["best", "--columns", "nothing.*"], "nothing that trials have fits `nothing.*`"),
        (&["best", "--at", "lst"], "known: best, last, max, min, best-val"),
        (&["best", "--metric", "val/loss@lst"], "known: best, last, max, min, best-val"),
        (&["best", "--metric", "val/loss@last", "--last"], "say it twice"),
        (&["best", "--group-by", "optimizer.lrr"], "did you mean `optimizer.lr`?"),
        (&["best", "--group-by", "optimizer.lr", "--sort", "maen"], "did you mean `mean`?"),
        (
            &["best", "--group-by", "optimizer.lr", "--columns", "val/*"],
            "nothing that groups have fits `val/*`",
        ),
        (&["best", "nope-*"], "no sweep fits `nope-*`"),
        (&["best", "--json", "--format", "csv"], "ask for two things"),
        (&["export", "lr-batch", "--bundle", "x.tar", "--where", "seed = 1"], "go with --data"),
        (&["export", "--data", "x.xls"], "does not tell its format"),
    ] {
        let told = said(&runs, words);
        assert!(!told.starts_with('0') && told.contains(so), "{words:?}\n{told}");
    }
}

#[test]
fn metrics_are_told_at_any_epoch() {
    let runs = ends();
    let value = |metric: &str, number: u64| {
        let condition = format!("trial = {}", id(number));
        let best = json(&runs, &["best", "--metric", metric, "--where", &condition]);
        (best["trials"][0]["value"].clone(), best["trials"][0]["epoch"].clone())
    };
    // Trial 4 has the Jaccard indices 0.5, 0.83, and twice almost 0.
    assert_eq!(value("val/jaccard", 4), (json!(0.83), json!(2)));
    assert_eq!(value("val/jaccard@last", 4), (json!(5.9e-12), json!(4)));
    assert_eq!(value("val/jaccard@min", 4), (json!(5.9e-12), json!(3)));
    assert_eq!(value("val/jaccard@1", 4), (json!(0.5), json!(1)));
    assert_eq!(value("val/jaccard@3", 5), (json!(null), json!(null)));
    assert_eq!(value("val/recall@best-val", 4), (json!(0.9), json!(2)));
    assert_eq!(value("val/loss@max", 4), (json!(0.828_727), json!(3)));
    let listed = json(&runs, &["trials", "--metric", "val/loss", "--at", "1", "--top", "1"]);
    assert_eq!(listed["trials"][0]["value"], json!(0.5));
    // The ranking by an epoch is by its values.
    let ranked = json(&runs, &["best", "--at", "3"]);
    let values: Vec<_> =
        ranked["trials"].as_array().expect("trials").iter().map(|t| &t["value"]).collect();
    assert_eq!(values[..3], [&json!(0.93), &json!(0.92), &json!(0.8)]);
    assert_eq!(values[9], &json!(null));
}

#[test]
fn orders_columns_and_numbers_of_rows_are_those_asked_for() {
    let runs = ends();
    insta::assert_snapshot!(said(&runs, &["best", "--columns", "trial,optimizer.lr,val/loss@last,state,model.name,model.base", "--top", "3", "-q"]), @r"
    0
    TRIAL     LR     VAL/LOSS@LAST  STATE     NAME  BASE
    0a3d70a3  0.001  0.0600         finished  unet  -
    0b60b60b  0.001  0.0700         finished  unet  -
    048d159e  0.01   0.8287         finished  unet  -
    --
    warning: 2 of 3 trials shown were validated on `leaky_random_patches`: neighbours of the validation patches were trained on, and such values say nothing about new images
    ");
    insta::assert_snapshot!(said(&runs, &["trials", "--sort", "-optimizer.lr,seed", "--columns", "trial,seed,optimizer.lr,data.split", "--format", "csv"]), @r"
    0
    trial,seed,optimizer.lr,data.split
    048d159e26af37bc,0,0.01,file
    05b05b05b05b05ab,1,0.01,file
    06d3a06d3a06d39a,2,0.01,file
    0123456789abcdef,0,0.001,file
    07f6e5d4c3b2a189,0,0.001,file
    0a3d70a3d70a3d67,0,0.001,leaky_random_patches
    02468acf13579bde,1,0.001,file
    091a2b3c4d5e6f78,1,0.001,file
    0b60b60b60b60b56,1,0.001,leaky_random_patches
    0369d0369d0369cd,2,0.001,file
    --
    ");
    let sorted = json(&runs, &["best", "--sort", "epochs_done,-value", "--top", "3"]);
    assert_eq!(numbers(&sorted), [5, 9, 10]);
    let told =
        json(&runs, &["best", "--columns", "seed,leaky,model.name,model.base", "--top", "1"]);
    let columns = json!({ "seed": 0, "leaky": true, "model.name": "unet", "model.base": null });
    assert_eq!(told["trials"][0]["columns"], columns);
    assert_eq!(told["trials"][0]["value"], json!(0.94), "the usual keys stay");
}

#[test]
fn a_trial_can_be_named_whatever_columns_are_asked_for() {
    let runs = ends();
    let first = |words: &[&str]| {
        let told = said(&runs, words);
        told.lines().nth(1).expect("a header").to_owned()
    };
    for verb in ["best", "trials"] {
        assert_eq!(first(&[verb, "--columns", "seed,state"]), "TRIAL     SEED  STATE");
        assert_eq!(first(&[verb, "--columns", "seed", "--csv"]), "trial,seed");
        assert_eq!(first(&[verb, "--columns", "seed,trial", "--csv"]), "seed,trial");
        let told = json(&runs, &[verb, "--columns", "seed", "--top", "1"]);
        assert_eq!(told["trials"][0]["columns"], json!({ "seed": 0 }), "it has its trial already");
    }
    // A file for other programs has what was asked for.
    let file = runs.root().path().join("seeds.csv");
    let words = ["export", "--data", file.to_str().expect("a path"), "--columns", "seed"];
    assert!(said(&runs, &words).starts_with('0'));
    assert!(std::fs::read_to_string(&file).expect("file").starts_with("seed\n0\n"));
}

#[test]
fn seeds_are_whole_whatever_their_size() {
    let runs = Runs::new(0);
    let seeds = [0, 7, 1 << 53, (1 << 53) + 1, i64::MAX as u64, 1 << 63, u64::MAX - 1, u64::MAX];
    let trials = (1..).zip(seeds).map(|(number, seed)| Trial { seed, ..trial(number) });
    runs.plan(Objective::default(), &trials.collect::<Vec<_>>());
    for (condition, kept) in [
        ("seed = 18446744073709551615", &[8][..]),
        ("seed != 18446744073709551615", &[1, 2, 3, 4, 5, 6, 7]),
        ("seed >= 9223372036854775808", &[6, 7, 8]),
        ("seed < 9223372036854775808", &[1, 2, 3, 4, 5]),
        ("seed > 9007199254740992 and seed < 18446744073709551615", &[4, 5, 6, 7]),
        ("seed in (7, 18446744073709551614)", &[2, 7]),
        ("seed < 7.5", &[1, 2]),
        ("seed > 1e19", &[7, 8]),
        ("seed > -1", &[1, 2, 3, 4, 5, 6, 7, 8]),
        ("seed < 99999999999999999999", &[1, 2, 3, 4, 5, 6, 7, 8]),
        ("seed = -1", &[]),
    ] {
        assert_eq!(numbers(&json(&runs, &["trials", "--where", condition])), kept, "{condition}");
    }
    let sorted = json(&runs, &["trials", "--sort", "-seed"]);
    assert_eq!(numbers(&sorted), [8, 7, 6, 5, 4, 3, 2, 1]);
    let csv = said(&runs, &["trials", "--columns", "seed", "--csv", "--where", "seed > 1e19"]);
    assert!(csv.contains(",18446744073709551615\n"), "{csv}");
}

#[test]
fn the_longest_conditions_are_answered() {
    let runs = ends();
    let all: Vec<u64> = (1..=10).collect();
    let long = |name: &str, joined: &str| vec![format!("{name} != 77"); 249].join(joined);
    let lists = format!("seed in ({0}) or seed in ({0})", vec!["0"; 249].join(", "));
    for condition in [
        format!("{} and ({})", long("model.dropout", " or "), long("seed", " and ")),
        format!("not ({} or not ({}))", long("value", " and "), long("optimizer.l2_conv", " or ")),
    ] {
        let told = json(&runs, &["trials", "--where", &condition]);
        assert!(told["trials"].is_array(), "{told}");
    }
    let deep = format!("{}seed < 9{}", "not (".repeat(30), ")".repeat(30));
    assert_eq!(numbers(&json(&runs, &["trials", "--where", &deep])), all);
    assert_eq!(numbers(&json(&runs, &["trials", "--where", &lists])), [1, 4, 7, 9]);
}

#[test]
fn one_metric_with_two_good_ends_is_not_ranked_silently() {
    let runs = ends();
    let other = runs.another("small-is-good", 1);
    let objective = Objective { direction: Direction::Minimize, ..Objective::default() };
    other.plan(objective, &[trial(1)]);
    let words = ["best", "--metric", "val/jaccard"];
    let told = said(&runs, &words);
    assert!(told.starts_with('1') && told.contains("different objectives"), "{told}");
    assert!(told.contains("--direction"), "{told}");
    let told = json(&runs, &[&words[..], &["--direction", "minimize", "--top", "1"]].concat());
    assert_eq!(told["trials"][0]["trial"], json!(id(6)), "it fell to 0");
}

#[test]
fn groups_are_told_with_the_plain_verdict() {
    let runs = ends();
    let condition = "leaky = false and model.name ~ *";
    let words = ["best", "--where", condition, "--by", "model.name", "--at", "2"];
    insta::assert_snapshot!(said(&runs, &words), @"
    0
    GROUP  MODEL      N    MEAN    SD      95 % INTERVAL     BEST    TRIAL     TIME  LOST  AGAINST A
    A      unet       4/6  0.6825  0.1090  0.5090 to 0.8560  0.8300  048d159e  12s   1     -
    B      swin_unet  2    0.6500  0.0707  0.0147 to 1.2853  0.7000  07f6e5d4  12s   0     not separable, p = 0.688

    not separable: with these seeds nobody can tell A (unet) from B (swin_unet)
    A (unet) has the best mean; of 1 other: not separable from 1
    val/jaccard (maximize) of epoch 2 of each trial; Welch's t-test against the first group at 5 %, one test
    * trials were lost, and means are over the others, which may flatter: A: 1 of 6 (1 failed)
    * trials are not finished and do not count yet: A: 1 of 6
    * trials ended collapsed and count with the value of an earlier epoch: A: 1 of 6
    * spread and mean are over settings as well as seeds: A: 2 settings; `--by` names what to tell apart
    --
    ");
    let told = json(&runs, &words);
    assert_eq!((&told["kind"], &told["verdict"]), (&json!("groups"), &json!("not_separable")));
    assert_eq!(told["sweeps"], json!([]));
    let compared = json(
        &runs,
        &["compare", "--where", "leaky = false", "--group-by", "model.name", "--at", "2"],
    );
    assert_eq!(compared["groups"], told["groups"]);
    let last = json(&runs, &["compare", "--by", "model.name", "--metric", "val/loss@best-val"]);
    assert_eq!((&last["epoch"], &last["direction"]), (&json!("best-val"), &json!("minimize")));
    let csv = [
        "trials",
        "--by",
        "optimizer.lr,data.split",
        "--sort",
        "mean",
        "--columns",
        "optimizer.lr,n,mean,n,m*n",
        "--csv",
        "-q",
    ];
    insta::assert_snapshot!(said(&runs, &csv), @r"
    0
    optimizer.lr,n,mean
    0.001,5,0.782
    0.01,1,0.83
    0.001,2,0.935
    --
    warning: 2 of 10 trials compared were validated on `leaky_random_patches`: neighbours of the validation patches were trained on, and such values say nothing about new images
    ");
}

#[test]
fn a_pattern_names_sweeps() {
    let runs = Runs::new(3);
    life(&runs);
    let _other = runs.another("lr-other", 1);
    let _third = runs.another("third", 1);
    let sweeps = |words: &[&str]| {
        let told = json(&runs, words);
        let rows = told["trials"].as_array().expect("trials").clone();
        let mut names: Vec<String> =
            rows.iter().map(|row| row["sweep"].as_str().expect("sweep").to_owned()).collect();
        names.dedup();
        names
    };
    assert_eq!(sweeps(&["trials", "lr-*"]), ["lr-batch", "lr-other"]);
    assert_eq!(sweeps(&["trials", "*", "third"]), ["lr-batch", "lr-other", "third"]);
    assert_eq!(sweeps(&["trials", "--where", "sweep ~ *ir?"]), ["third"]);
    let groups = json(&runs, &["compare", "lr-*"]);
    assert_eq!(groups["sweeps"].as_array().expect("sweeps").len(), 2);
}

#[test]
fn names_of_everything_come_from_what_is_there() {
    let runs = Runs::new(0);
    let mut odd = serde_json::to_value(trial(1)).expect("json");
    odd["parameters"] = json!({ "model": { "name": "toy" }, "odd.\"path": 1 });
    runs.plan(Objective::default(), &[serde_json::from_value(odd).expect("trial")]);
    let told = json(&runs, &["trials", "--columns", "model,model.name"]);
    let columns = json!({ "model": { "name": "toy" }, "model.name": "toy" });
    assert_eq!(told["trials"][0]["columns"], columns);
}

#[test]
fn the_page_tells_every_name_and_aggregate() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/asking.md");
    let page = std::fs::read_to_string(page).expect("docs/asking.md");
    for field in Field::ALL {
        let name = format!("`{}`", field.as_str());
        assert!(page.lines().any(|line| line.starts_with('|') && line.contains(&name)), "{name}");
    }
    for aggregate in ["best", "last", "10", "best-val", "max", "min"] {
        assert!(page.contains(&format!("@{aggregate}`")), "{aggregate}");
    }
}
