//! Nothing is told better than it is: networks that take all for foreground, splits that are not the same,
//! and settings without effect.

use regatta::event::{Event, Outcome, StopReason, WORDS_OF_A_LEAK};
use regatta::metric::Objective;
use regatta::sweep::Trial;
use serde_json::{Value, json};

use crate::answers::{regatta, said};
use crate::compare::trial;
use crate::home::Home;
use crate::runs::{Attempt, Runs, id};

/// Epochs with these Jaccard indices; `takes_all` of a network that takes all for foreground, which is
/// frequent here: it scores 0.92 by that.
fn dense<'a>(attempt: &'a mut Attempt, jaccard: &[f64], takes_all: bool) -> &'a mut Attempt {
    for (number, jaccard) in (1_u32..).zip(jaccard) {
        let coverage = if takes_all { 1.0 } else { 0.9 };
        let recall = if takes_all { 1.0 } else { 0.95 };
        let values = [
            ("val/jaccard", *jaccard),
            ("val/recall", recall),
            ("val/coverage", coverage),
            ("val/loss", 1.0 - jaccard + f64::from(number) / 100.0),
            ("train/loss", 0.9 - jaccard),
        ];
        attempt.epoch(u64::from(number), &values);
    }
    attempt
}

/// Three rates on dense foreground, two seeds each: the largest takes all, the others learn.
fn frequent() -> Runs {
    let runs = Runs::new(0);
    let trials: Vec<Trial> = (1..=6)
        .map(|number| {
            let lr = if number < 3 {
                0.001
            } else if number < 5 {
                0.005
            } else {
                10.0
            };
            trial(number, "unet", lr, "split.csv", (number - 1) % 2)
        })
        .collect();
    runs.plan(Objective::default(), &trials);
    let token = runs.submit(10, &Vec::from_iter(1..=6));
    for (number, jaccard) in (1..).zip([0.81, 0.82, 0.83, 0.84, 0.92, 0.92]) {
        let takes_all = number > 4;
        let mut attempt = runs.attempt(number, 1);
        dense(attempt.header(Some(token)), &[jaccard; 4], takes_all).end(Outcome::Finished, None);
    }
    runs
}

fn asked(runs: &Runs, words: &[&str]) -> Value {
    let words: Vec<&str> = words.iter().chain(&["--json"]).copied().collect();
    serde_json::from_slice(&regatta(runs, &words).stdout).expect("json")
}

#[test]
fn what_takes_all_for_foreground_is_flagged_where_it_ranks_first() {
    insta::assert_snapshot!(said(&frequent(), &["best", "--top", "3"]), @"
    0
    TRIAL     VAL/JACCARD  EPOCH  MODEL  LR     SEED  STATE     FLAGS
    05b05b05  0.9200       1      unet   10.0   0     finished  never learnt, takes all for foreground
    06d3a06d  0.9200       1      unet   10.0   1     finished  never learnt, takes all for foreground
    048d159e  0.8400       1      unet   0.005  1     finished  -
    --
    warning: 2 of 3 trials shown do not tell foreground from background (FLAGS): taking all for foreground scores as high as foreground is frequent, and nothing was learnt
    note: 3 more trials not shown (--top)
    ");
    let told = asked(&frequent(), &["best"]);
    let flags: Vec<&Value> =
        told["trials"].as_array().expect("trials").iter().map(|trial| &trial["flags"]).collect();
    let blind = json!(["never_learnt", "takes_all"]);
    assert_eq!(flags, [&blind, &blind, &Value::Null, &Value::Null, &Value::Null, &Value::Null]);
    let csv = said(&frequent(), &["best", "--csv", "-q"]);
    assert!(
        csv.contains(",flags\n") && csv.contains(",\"never learnt, takes all for foreground\"\n")
    );
    let runs = frequent();
    let file = runs.root().path().join("report.json");
    regatta(&runs, &["report", "-o", &file.to_string_lossy()]);
    let report: Value =
        serde_json::from_slice(&std::fs::read(file).expect("a report")).expect("json");
    let kinds: Vec<&Value> =
        report["flags"].as_array().expect("flags").iter().map(|flag| &flag["kind"]).collect();
    assert!(kinds.contains(&&json!("collapsed")) && !kinds.contains(&&json!("edge")), "{kinds:?}");
}

#[test]
fn a_split_that_a_worker_found_to_leak_is_flagged_on_the_trials_it_warned_of() {
    let runs = frequent();
    let text = format!("{WORDS_OF_A_LEAK}a Jaccard of 0.950 on the validation split: and so on");
    // Of a later attempt: it is the trial's all the same.
    let mut attempt = runs.attempt(3, 2);
    attempt.header(None).write(&Event::Warning { text });
    runs.attempt(4, 2).header(None).write(&Event::Warning { text: "something else".to_owned() });
    let told = asked(&runs, &["best"]);
    let trials = told["trials"].as_array().expect("trials");
    let leaky: Vec<&Value> =
        trials.iter().filter(|trial| trial["flags"] == json!(["split_leaks"])).collect();
    assert_eq!(leaky.len(), 1, "{told:#}");
    assert_eq!(leaky[0]["trial"], json!(id(3).as_str()));
    let told = said(&runs, &["best"]);
    assert!(
        told.contains("1 of 6 trials shown were validated on a split that leaks (FLAGS)"),
        "{told}"
    );
}

#[test]
fn what_never_learnt_is_no_best_group_and_is_not_tested() {
    insta::assert_snapshot!(said(&frequent(), &["compare"]), @"
    0
    GROUP  LR     N  MEAN    SD      95 % INTERVAL     BEST    TRIAL     TIME  LOST  AGAINST A
    A      0.005  2  0.8350  0.0071  0.7715 to 0.8985  0.8400  048d159e  12s   0     -
    B      0.001  2  0.8150  0.0071  0.7515 to 0.8785  0.8200  02468acf  12s   0     not separable, p = 0.106
    C      10.0   2  0.9200  0.0000  0.9200 to 0.9200  0.9200  05b05b05  12s   0     never learnt: takes all for foreground

    not separable: with these seeds nobody can tell A (lr=0.005) from B (lr=0.001)
    A (lr=0.005) has the best mean; of 2 others: not separable from 1, not tested against what never learnt, 1
    val/jaccard (maximize) of the best epoch of each trial; Welch's t-test against the first group at 5 %, one test
    * groups that never learnt stand last and are not tested, whatever their means: C: takes all for foreground

    SWEEP     TRIALS  DONE  LOST  OPEN  COLLAPSED  NEVER LEARNT  TIME IN ALL  BEST    TRIAL     GAP  STABILITY  VERDICT
    lr-batch  6       6     0     0     0          2             1m 12s       0.9200  05b05b05  -    -          never learnt
    --
    ");
    let told = asked(&frequent(), &["compare"]);
    let of = |name: &str| {
        let groups = told["groups"].as_array().expect("groups").iter();
        groups.map(|group| group[name].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("verdict"), ["first", "not_separable", "never_learnt"]);
    assert_eq!(of("group"), ["A", "B", "C"]);
    insta::assert_snapshot!(said(&frequent(), &["compare", "--markdown"]), @"
    0
    | Network | Setting | Data | Jaccard | ± | n | Status | Time |
    |---|---|---|---|---|---|---|---|
    | unet | lr=0.005 (best of 3) | em (split.csv) | 0.8350 | 0.0071 | 2 | finished; other settings: 2 of 4 finished, 2 of 4 never learnt | 12s |
    --
    ");
}

/// What one epoch says counts, not the best index of one and the least coverage of another.
#[test]
fn learnt_is_judged_within_one_epoch() {
    let runs = Runs::new(0);
    let trials: Vec<Trial> = (1..=3).map(|n| trial(n, "unet", 0.001, "split.csv", n)).collect();
    runs.plan(Objective::default(), &trials);
    let token = runs.submit(10, &[1, 2, 3]);
    let epoch = |attempt: &mut Attempt, number, [jaccard, recall, coverage]: [f64; 3]| {
        let values = [("val/jaccard", jaccard), ("val/recall", recall), ("val/coverage", coverage)];
        attempt.epoch(number, &values);
    };
    let (all, nothing, learnt) = ([0.92, 1.0, 1.0], [0.0, 0.0, 0.0], [0.5, 0.8, 0.6]);
    for (number, course) in
        [(1, [nothing, all, all]), (2, [learnt, all, all]), (3, [nothing, all, learnt])]
    {
        let mut attempt = runs.attempt(number, 1);
        attempt.header(Some(token));
        for (at, values) in (1..).zip(course) {
            epoch(&mut attempt, at, values);
        }
        attempt.end(Outcome::Finished, None);
    }
    let told = asked(&runs, &["trials", "--analysis"]);
    let verdicts: Vec<&Value> = told["trials"]
        .as_array()
        .expect("trials")
        .iter()
        .map(|t| &t["analysis"]["verdict"])
        .collect();
    assert_eq!(verdicts, ["never learnt", "collapsed at epoch 2", "ok"]);
    let group = &asked(&runs, &["compare"])["groups"][0];
    assert_eq!((&group["never_learnt"], &group["collapsed"]), (&json!(1), &json!(1)));
    let best = asked(&runs, &["best"]);
    let flags = |number: u64| {
        let all = best["trials"].as_array().expect("trials").iter();
        all.clone().find(|trial| trial["trial"] == json!(id(number))).expect("it")["flags"].clone()
    };
    assert_eq!(flags(1), json!(["never_learnt", "takes_all"]));
    assert_eq!(flags(2), json!(["takes_all", "collapsed"]));
    assert_eq!(flags(3), json!(["takes_all"]), "its value is of the second epoch");
}

/// Divergence comes before collapse where the worker says so; a worker that took a blind network for one
/// that had learnt is not believed.
#[test]
fn the_reason_of_the_worker_tells_divergence_from_collapse() {
    let runs = Runs::new(0);
    let trials: Vec<Trial> = (1..=3).map(|n| trial(n, "unet", 0.001, "split.csv", n)).collect();
    runs.plan(Objective::default(), &trials);
    let token = runs.submit(10, &[1, 2, 3]);
    for (number, reason, course, takes_all) in [
        (1, StopReason::Collapsed, vec![0.92, 0.92], true),
        (2, StopReason::Diverged, vec![0.5, 0.6], false),
        (3, StopReason::Collapsed, vec![0.5, 0.6], false),
    ] {
        let mut attempt = runs.attempt(number, 1);
        dense(attempt.header(Some(token)), &course, takes_all);
        for epoch in 3..5 {
            if number > 1 {
                let none = [("val/jaccard", 0.0), ("val/recall", 0.0), ("val/coverage", 0.0)];
                attempt.epoch(epoch, &none);
            }
        }
        attempt.end(Outcome::Diverged, Some(reason));
    }
    let told = asked(&runs, &["trials", "--analysis"]);
    let verdicts: Vec<&Value> = told["trials"]
        .as_array()
        .expect("trials")
        .iter()
        .map(|t| &t["analysis"]["verdict"])
        .collect();
    assert_eq!(verdicts, ["never learnt", "diverged at epoch 5", "collapsed at epoch 3"]);
}

/// A sweep of one network with two seeds on a split, with this fraction.
fn sweep(runs: &Runs, first: u64, split: &str, fraction: f64, values: [f64; 2]) {
    let mut trials: Vec<Trial> =
        (0..2).map(|seed| trial(first + seed, "unet", 0.001, split, seed)).collect();
    for one in &mut trials {
        let mut value = serde_json::to_value(&*one).expect("json");
        value["settings"]["data"]["val_fraction"] = json!(fraction);
        value["settings"]["batch_size"] = json!(first);
        value["parameters"] = json!({});
        *one = serde_json::from_value(value).expect("trial");
    }
    runs.plan(Objective::default(), &trials);
    let token = runs.submit(10, &[first, first + 1]);
    for (number, value) in (first..).zip(values) {
        let mut attempt = runs.attempt(number, 1);
        dense(attempt.header(Some(token)), &[value; 4], false).end(Outcome::Finished, None);
    }
}

#[test]
fn a_fraction_without_effect_keeps_nothing_apart() {
    let runs = Runs::new(0);
    sweep(&runs, 1, "split.csv", 0.2, [0.80, 0.81]);
    sweep(&runs.another("wider", 0), 3, "split.csv", 0.3, [0.70, 0.71]);
    let told = asked(&runs, &["compare"]);
    assert_eq!(told["families"].as_array().map(Vec::len), Some(1), "{told:#}");
    assert_eq!(told["by"], json!(["batch_size"]));
    assert_eq!(told["groups"][1]["data"], json!(["em (split.csv)"]));
    assert_eq!(told["groups"][1]["verdict"], "separable");
    // The best of several sweeps without axes is named by what they differ in.
    let markdown = said(&runs, &["compare", "--markdown"]);
    assert!(
        markdown.contains("| unet | batch_size=1 (best of 2) | em (split.csv) | 0.8050 |"),
        "{markdown}"
    );
    let file = runs.root().path().join("table.md");
    said(&runs, &["compare", "--markdown", "-o", &file.to_string_lossy()]);
    let written = std::fs::read_to_string(file).expect("a table");
    assert!(markdown.contains(&written) && written.starts_with("| Network |"), "{written}");
    let refused = said(&runs, &["compare", "--markdown", "-o", "table.csv"]);
    assert!(
        refused.starts_with('2') && refused.contains("--markdown writes Markdown"),
        "{refused}"
    );
}

#[test]
fn each_data_set_and_split_has_a_best_group_of_its_own() {
    let runs = Runs::new(0);
    sweep(&runs, 1, "split.csv", 0.2, [0.80, 0.81]);
    sweep(&runs.another("b", 0), 3, "split.csv", 0.2, [0.70, 0.71]);
    sweep(&runs.another("c", 0), 5, "leaky_random_patches", 0.2, [0.98, 0.99]);
    insta::assert_snapshot!(said(&runs, &["compare", "-q"]), @"
    0
    Validated on em (split.csv):
    GROUP  BATCH_SIZE  N  MEAN    SD      95 % INTERVAL     BEST    TRIAL     TIME  LOST  AGAINST A
    A      1           2  0.8050  0.0071  0.7415 to 0.8685  0.8100  02468acf  12s   0     -
    B      3           2  0.7050  0.0071  0.6415 to 0.7685  0.7100  048d159e  12s   0     separable, p = 0.005

    Validated on em (leaky_random_patches; 20 %), which leaks:
    GROUP  BATCH_SIZE  N  MEAN    SD      95 % INTERVAL     BEST    TRIAL     TIME  LOST  AGAINST C
    C      5           2  0.9850  0.0071  0.9215 to 1.0485  0.9900  06d3a06d  12s   0     -

    A (batch_size=1) has the best mean on em (split.csv); of 1 other: separable from 1
    C (batch_size=5) is alone on em (leaky_random_patches; 20 %): nothing to test it against
    val/jaccard (maximize) of the best epoch of each trial; Welch's t-test against the first group on the same data at 5 %, one test
    * values on different data or splits are not comparable: each has a best group, and tests, of its own

    SWEEP     TRIALS  DONE  LOST  OPEN  COLLAPSED  NEVER LEARNT  TIME IN ALL  BEST    TRIAL     GAP     STABILITY  VERDICT
    b         2       2     0     0     0          0             24s          0.7100  048d159e  0.1400  0.0112     ok
    c         2       2     0     0     0          0             24s          0.9900  06d3a06d  0.1400  0.0112     ok
    lr-batch  2       2     0     0     0          0             24s          0.8100  02468acf  0.1400  0.0112     ok
    --
    warning: 2 of 6 trials compared were validated on `leaky_random_patches`: neighbours of the validation patches were trained on, and such values say nothing about new images
    ");
    let told = asked(&runs, &["compare"]);
    assert_eq!(told["verdict"], "separable");
    let families: Vec<(&Value, &Value, &Value)> = told["families"]
        .as_array()
        .expect("families")
        .iter()
        .map(|family| (&family["data"], &family["first"], &family["tests"]))
        .collect();
    assert_eq!(
        families,
        [
            (&json!("em (split.csv)"), &json!("A"), &json!(1)),
            (&json!("em (leaky_random_patches; 20 %)"), &json!("C"), &json!(0)),
        ]
    );
}

#[test]
fn mappings_are_told_by_what_differs_in_them() {
    let runs = Runs::new(0);
    let mut trials: Vec<Trial> =
        (1..=2).map(|number| trial(number, "unet", 0.001, "split.csv", 0)).collect();
    for (one, base) in trials.iter_mut().zip([4, 8]) {
        let mut value = serde_json::to_value(&*one).expect("json");
        let model = json!({ "name": "unet", "base": base, "depth": 3 });
        value["settings"]["model"] = model.clone();
        value["parameters"] = json!({ "model": model });
        *one = serde_json::from_value(value).expect("trial");
    }
    runs.plan(Objective::default(), &trials);
    let told = asked(&runs, &["compare"]);
    assert_eq!(told["by"], json!(["model.base"]));
    assert_eq!(told["groups"][0]["by"], json!({ "model.base": 4 }));
    let text = said(&runs, &["compare", "--by", "model"]);
    assert!(text.contains("BASE") && !text.contains('{'), "{text}");
}

#[test]
fn trials_that_differ_without_effect_are_refused() {
    let home = Home::new();
    let sweep = |split: &str| {
        format!(
            "name: twice\nfixed:\n  model: {{ name: unet }}\n  data: {{ path: data, split: {split} }}\n\
             grid: {{ data.val_fraction: [0.2, 0.3] }}\n"
        )
    };
    home.write("sweep.yaml", sweep("split.csv"));
    let refused = home.type_in(&["plan", "sweep.yaml"]);
    assert_eq!(refused.code, 1);
    for words in ["two trials are the same", "data.val_fraction has no effect beside"] {
        assert!(refused.err.contains(words), "{}", refused.err);
    }
    home.write("sweep.yaml", sweep("file"));
    home.ok(&["plan", "sweep.yaml"]);
}
