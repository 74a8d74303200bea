//! `compare`, and what `trials` and `show` analyse: over a real sweep with repeats, and over made-up ends.

use regatta::event::{Cursor, Event, Outcome, StopReason};
use regatta::metric::Objective;
use regatta::sweep::Trial;
use serde_json::{Value, json};

use crate::answers::{regatta, said};
use crate::home::Home;
use crate::runs::{Attempt, Runs, id};

const SEEDS: &str = "\
name: seeds
fixed:
  model: { name: toy, steps_per_epoch: 20, step_seconds: 0.001 }
  epochs: 6
grid: { optimizer.lr: [3e-2, 3e-1] }
repeats: 3
";

/// A trial with its network, learning rate, split and seed.
pub(crate) fn trial(number: u64, network: &str, lr: f64, split: &str, seed: u64) -> Trial {
    let value = json!({
        "trial": id(number), "seed": seed, "repeat": seed,
        "parameters": { "model.name": network, "optimizer.lr": lr },
        "settings": {
            "model": { "name": network }, "optimizer": { "name": "adamw", "lr": lr },
            "data": { "name": "em", "path": format!("/somewhere/{number}"), "split": split, "val_fraction": 0.2 },
            "batch_size": 4, "epochs": 5,
        },
    });
    serde_json::from_value(value).expect("trial")
}

/// An attempt whose epochs have these Jaccard indices; recall is 0 where the index is.
pub(crate) fn epochs<'a>(attempt: &'a mut Attempt, jaccard: &[f64]) -> &'a mut Attempt {
    for (number, jaccard) in (1..).zip(jaccard) {
        let blind = *jaccard < 1e-6;
        let recall = if blind { 0.0 } else { 0.9 };
        let loss = if blind { 0.828_727 } else { 1.0 - jaccard };
        let values = [
            ("val/jaccard", *jaccard),
            ("val/recall", recall),
            ("val/coverage", recall / 10.0),
            ("val/loss", loss),
            ("train/loss", if blind { 0.92 } else { 0.9 - jaccard }),
        ];
        attempt.epoch(number, &values);
    }
    attempt
}

/// Two networks: `unet` with two rates and three seeds each, `swin_unet` with one rate and two seeds. One
/// trial collapses, one fails, one runs; two were validated on leaking patches.
pub(crate) fn ends() -> Runs {
    let runs = Runs::new(0);
    let seeds = |first, network, lr, split, count| {
        (0..count).map(move |seed| trial(first + seed, network, lr, split, seed))
    };
    let trials: Vec<Trial> = seeds(1, "unet", 0.001, "file", 3)
        .chain(seeds(4, "unet", 0.01, "file", 3))
        .chain(seeds(7, "swin_unet", 0.001, "file", 2))
        .chain(seeds(9, "unet", 0.001, "leaky_random_patches", 2))
        .collect();
    runs.plan(Objective::default(), &trials);
    let token = runs.submit(10, &Vec::from_iter(1..=10));
    let finished: [(u64, [f64; 4]); 8] = [
        (1, [0.5, 0.7, 0.8, 0.81]),
        (2, [0.5, 0.6, 0.7, 0.79]),
        (3, [0.5, 0.6, 0.8, 0.80]),
        (4, [0.5, 0.83, 5.9e-12, 5.9e-12]),
        (7, [0.5, 0.7, 0.74, 0.75]),
        (8, [0.5, 0.6, 0.75, 0.76]),
        (9, [0.8, 0.9, 0.93, 0.94]),
        (10, [0.8, 0.9, 0.92, 0.93]),
    ];
    let early = Event::EndedEarly {
        epoch: 4,
        metric: "val/jaccard".to_owned(),
        since: 3,
        best_epoch: Some(3),
        restored: true,
    };
    for (number, jaccard) in finished {
        let mut attempt = runs.attempt(number, 1);
        epochs(attempt.header(Some(token)), &jaccard);
        if number == 3 {
            attempt.write(&early);
        }
        attempt.end(Outcome::Finished, None);
    }
    epochs(runs.attempt(5, 1).header(Some(token)), &[0.5, 0.6]).end(Outcome::Failed, None);
    let rollback = Event::RolledBack {
        reason: StopReason::Collapsed,
        from: Cursor { epoch: 4, step: 0 },
        to_epoch: 1,
        rollbacks: 1,
        learning_rate_factor: 0.5,
    };
    epochs(runs.attempt(6, 1).header(Some(token)), &[0.5, 0.0, 0.0, 0.6]).write(&rollback);
    runs
}

#[test]
fn a_real_sweep_over_seeds_is_compared() {
    let home = Home::new();
    home.write("sweep.yaml", SEEDS);
    home.ok(&["submit", "sweep.yaml", "--scheduler", "local", "--wait", "--poll", "0.05"]);
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\b\d+s\b *", "[T] ");
    settings.bind(|| {
        insta::assert_snapshot!(home.ok(&["compare", "sweep.yaml"]).out, @"
        GROUP  LR    N  MEAN    SD      95 % INTERVAL     BEST    TRIAL     TIME  LOST  AGAINST A
        A      0.3   3  0.9523  0.0082  0.9319 to 0.9728  0.9618  41f3bf03  [T] 0     -
        B      0.03  3  0.8807  0.0130  0.8483 to 0.9130  0.8955  91c37756  [T] 0     separable, p = 0.003

        A (lr=0.3) has the best mean; of 1 other: separable from 1
        val/jaccard (maximize) of the best epoch of each trial; Welch's t-test against the first group at 5 %, one test

        SWEEP  TRIALS  DONE  LOST  OPEN  COLLAPSED  NEVER LEARNT  TIME IN ALL  BEST    TRIAL     GAP      STABILITY  VERDICT
        seeds  6       6     0     0     0          0             [T] 0.9618  41f3bf03  -0.0156  0.0298     ok
        ");
        insta::assert_snapshot!(home.ok(&["compare", "seeds", "--markdown"]).out, @"
        | Network | Setting | Data | Jaccard | ± | n | Status | Time |
        |---|---|---|---|---|---|---|---|
        | toy | lr=0.3 (best of 2) | the data of toy | 0.9523 | 0.0082 | 3 | finished | [T] |
        ");
    });
    let found = home.json(&["compare", "--by", "optimizer.lr", "--last"]);
    assert_eq!((&found["schema_version"], &found["kind"]), (&json!(1), &json!("groups")));
    assert_eq!((&found["by"], &found["epoch"]), (&json!(["optimizer.lr"]), &json!("newest")));
    let groups = found["groups"].as_array().expect("groups");
    assert_eq!(groups.len(), 2);
    for group in groups {
        assert_eq!((&group["n"], &group["trials"]), (&json!(3), &json!(3)), "{group:#}");
        // The mean is that of what `best --last` tells.
        let best = home.json(&["best", "seeds", "--last"]);
        let of = |trial: &Value| trial["parameters"]["optimizer.lr"] == group["by"]["optimizer.lr"];
        let values = best["trials"].as_array().expect("trials").iter().filter(|trial| of(trial));
        let values: Vec<f64> =
            values.map(|trial| trial["value"].as_f64().expect("value")).collect();
        let mean = values.iter().sum::<f64>() / 3.0;
        assert!((group["mean"].as_f64().expect("mean") - mean).abs() < 1e-12);
    }
    let (trial, _) = home.trials("seeds").into_iter().next().expect("a trial");
    let shown = home.json(&["show", trial.as_str()]);
    let analysis = &shown["analysis"];
    assert_eq!((&analysis["verdict"], &analysis["epochs_done"]), (&json!("ok"), &json!(6)));
    let last = &shown["history"][5]["metrics"];
    let gap = last["val/loss"].as_f64().expect("loss") - last["train/loss"].as_f64().expect("loss");
    assert!((analysis["gap"].as_f64().expect("gap") - gap).abs() < 1e-12);
    let seconds = analysis["training_seconds"].as_f64().expect("seconds");
    let sum: f64 = shown["history"].as_array().expect("epochs").iter().fold(0.0, |sum, epoch| {
        sum + epoch["train_seconds"].as_f64().expect("s")
            + epoch["eval_seconds"].as_f64().expect("s")
    });
    assert!(seconds >= sum && sum > 0.0, "{seconds} {sum}");
    assert!(analysis["images_per_second"].as_f64().is_some_and(|rate| rate > 0.0));
    assert!(analysis["network_parameters"].as_u64().is_some_and(|count| count > 0));
}

#[test]
fn networks_are_compared_and_what_weakens_it_is_said() {
    insta::assert_snapshot!(said(&ends(), &["compare"]), @"
    0
    Validated on em (file; 20 %):
    GROUP  MODEL      N    MEAN    SD      95 % INTERVAL     BEST    TRIAL     TIME  LOST  AGAINST A
    A      unet       4/6  0.8075  0.0171  0.7803 to 0.8347  0.8300  048d159e  12s   1     -
    B      swin_unet  2    0.7550  0.0071  0.6915 to 0.8185  0.7600  091a2b3c  12s   0     separable, p = 0.006

    Validated on em (leaky_random_patches; 20 %), which leaks:
    GROUP  MODEL  N  MEAN    SD      95 % INTERVAL     BEST    TRIAL     TIME  LOST  AGAINST C
    C      unet   2  0.9350  0.0071  0.8715 to 0.9985  0.9400  0a3d70a3  12s   0     -

    A (unet) has the best mean on em (file; 20 %); of 1 other: separable from 1
    C (unet) is alone on em (leaky_random_patches; 20 %): nothing to test it against
    val/jaccard (maximize) of the best epoch of each trial; Welch's t-test against the first group on the same data at 5 %, one test
    * trials were lost, and means are over the others, which may flatter: A: 1 of 6 (1 failed)
    * trials are not finished and do not count yet: A: 1 of 6
    * trials ended collapsed and count with the value of an earlier epoch: A: 1 of 6
    * values on different data or splits are not comparable: each has a best group, and tests, of its own
    * spread and mean are over settings as well as seeds: A: 2 settings; `--by` names what to tell apart

    SWEEP     TRIALS  DONE  LOST  OPEN  COLLAPSED  NEVER LEARNT  TIME IN ALL  BEST    TRIAL     GAP     STABILITY  VERDICT
    lr-batch  10      8     1     1     1          0             1m 48s       0.9400  0a3d70a3  0.1000  0.0554     ok
    --
    warning: 2 of 10 trials compared were validated on `leaky_random_patches`: neighbours of the validation patches were trained on, and such values say nothing about new images
    ");
}

#[test]
fn groups_by_a_setting_tell_lost_collapsed_and_mixed_trials() {
    insta::assert_snapshot!(said(&ends(), &["compare", "lr-batch", "--by", "data.split", "--by", "optimizer.lr", "--csv"]), @"
    0
    data.split,optimizer.lr,trials,n,mean,sd,ci95_low,ci95_high,best,best_trial,best_epoch,median_seconds,lost,open,collapsed,never_learnt,leaky,settings,p,p_holm,verdict,group,family,data
    file,0.01,3,1,0.83,,,,0.83,048d159e26af37bc,2,12.0,1,1,1,0,0,1,,,first,A,1,em (file; 20 %)
    file,0.001,5,5,0.782,0.025884358211089593,0.7498603242926801,0.8141396757073199,0.81,0123456789abcdef,4,12.0,0,0,0,0,0,2,,,one_seed,B,1,em (file; 20 %)
    leaky_random_patches,0.001,2,2,0.935,0.007071067811865403,0.8714689763191272,0.9985310236808729,0.94,0a3d70a3d70a3d67,4,12.0,0,0,0,0,2,1,,,first,C,2,em (leaky_random_patches; 20 %)
    --
    warning: 2 of 10 trials compared were validated on `leaky_random_patches`: neighbours of the validation patches were trained on, and such values say nothing about new images
    note: trials were lost, and means are over the others, which may flatter: A: 1 of 3 (1 failed)
    note: trials are not finished and do not count yet: A: 1 of 3
    note: trials ended collapsed and count with the value of an earlier epoch: A: 1 of 3
    note: values on different data or splits are not comparable: each has a best group, and tests, of its own
    note: spread and mean are over settings as well as seeds: B: 2 settings; `--by` names what to tell apart
    ");
}

#[test]
fn the_status_table_names_the_best_setting_of_each_network() {
    insta::assert_snapshot!(said(&ends(), &["compare", "--markdown"]), @"
    0
    | Network | Setting | Data | Jaccard | ± | n | Status | Time |
    |---|---|---|---|---|---|---|---|
    | unet | lr=0.01 (best of 2) | em (file; 20 %) | 0.8300 | – | 1 | 1 of 3 collapsed at the end, 1 of 3 failed, 1 of 3 not finished yet | 12s |
    | swin_unet | lr=0.001 | em (file; 20 %) | 0.7550 | 0.0071 | 2 | finished | 12s |
    | unet | lr=0.001 | em (leaky_random_patches; 20 %) | 0.9350 (leaky) | 0.0071 | 2 | finished | 12s |
    --
    warning: 2 of 10 trials compared were validated on `leaky_random_patches`: neighbours of the validation patches were trained on, and such values say nothing about new images
    ");
    let last = said(&ends(), &["compare", "--markdown", "--metric", "val/loss", "--last"]);
    assert!(
        last.contains("| Network | Setting | Data | val/loss | ± | n | Status | Time |"),
        "{last}"
    );
}

#[test]
fn trials_are_analysed_and_none_reads_better_than_it_is() {
    insta::assert_snapshot!(said(&ends(), &["trials", "--analysis"]), @"
    0
    TRIAL     STATE     EPOCH  BEST    MODEL      LR     SEED  ATTEMPTS  AT  FINAL      GAP     GAP AT BEST  STABILITY  95 % AT  TIME  PER EPOCH  VERDICT
    01234567  finished  4/5    0.8100  unet       0.001  0     1         4   0.8100     0.1000  0.1000       0.1246     3        16s   4.0s       ok
    02468acf  finished  4/5    0.7900  unet       0.001  1     1         4   0.7900     0.1000  0.1000       0.1085     4        16s   4.0s       ok
    0369d036  finished  4/5    0.8000  unet       0.001  2     1         3   0.8000     0.1000  0.1000       0.1299     3        16s   4.0s       ok
    048d159e  finished  4/5    0.8300  unet       0.01   0     1         2   5.900e-12  -       0.1000       -          2        16s   4.0s       collapsed at epoch 3
    05b05b05  failed    2/5    0.6000  unet       0.01   1     1         2   0.6000     -       -            -          -        12s   4.0s       unfinished
    06d3a06d  running   4/5    0.6000  unet       0.01   2     1         4   0.6000     0.1000  0.1000       0.1926     4        16s   4.0s       unfinished
    07f6e5d4  finished  4/5    0.7500  swin_unet  0.001  0     1         4   0.7500     0.1000  0.1000       0.1013     3        16s   4.0s       ok
    091a2b3c  finished  4/5    0.7600  swin_unet  0.001  1     1         4   0.7600     0.1000  0.1000       0.1085     3        16s   4.0s       ok
    0a3d70a3  finished  4/5    0.9400  unet       0.001  0     1         4   0.9400     0.1000  0.1000       0.0554     2        16s   4.0s       ok
    0b60b60b  finished  4/5    0.9300  unet       0.001  1     1         4   0.9300     0.1000  0.1000       0.0517     2        16s   4.0s       ok
    --
    note: 10 trials
    ");
    let found = regatta(&ends(), &["trials", "--analysis", "--json"]);
    let value: Value = serde_json::from_slice(&found.stdout).expect("one value");
    let of = |at: usize| &value["trials"][at]["analysis"];
    assert_eq!(
        (&of(3)["verdict"], &of(3)["verdict_epoch"]),
        (&json!("collapsed at epoch 3"), &json!(3))
    );
    for none in ["gap", "stability"] {
        assert_eq!(of(3)[none], Value::Null, "{none}");
    }
    let told = |at: usize| (of(at)["rollbacks"].clone(), of(at)["ended_early"].clone());
    assert_eq!((told(5), told(2)), ((json!(1), json!(false)), (json!(0), json!(true))));
    let csv = said(&ends(), &["trials", "--analysis", "--csv", "--quiet"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert!(
        lines[1].ends_with(",analysis.images_per_second,analysis.rollbacks,analysis.ended_early")
    );
    assert!(lines[5].contains(",collapsed at epoch 3,3,0.83,2,5.9e-12,"), "{}", lines[5]);
}

#[test]
fn trials_side_by_side_show_what_differs() {
    insta::assert_snapshot!(said(&ends(), &["compare", id(4).as_str(), id(9).as_str()]), @r"
    0
    SETTING       048d159e  0a3d70a3
    data.split    file      leaky_random_patches
    optimizer.lr  0.01      0.001

    ANALYSIS                   048d159e              0a3d70a3
    state                      finished              finished
    verdict                    collapsed at epoch 3  ok
    best val/jaccard           0.8300                0.9400
    at epoch                   2                     4
    last val/jaccard           5.900e-12             0.9400
    last val/loss              0.8287                0.0600
    last train/loss            0.9200                -0.0400
    gap                        -                     0.1000
    gap at the best epoch      0.1000                0.1000
    stability                  -                     0.0554
    95 % of the best at epoch  2                     2
    epochs done                4                     4
    training time              16s                   16s
    time per epoch             4.0s                  4.0s
    images per second          9.0                   9.0
    network parameters         -                     -
    --
    warning: 1 of 2 trials compared were validated on `leaky_random_patches`: neighbours of the validation patches were trained on, and such values say nothing about new images
    warning: validated on different data or splits: the values are not comparable
    note: single trials say nothing about the spread over seeds; sweeps with `repeats` do
    ");
    let found = regatta(&ends(), &["compare", id(4).as_str(), id(1).as_str(), "--json"]);
    let value: Value = serde_json::from_slice(&found.stdout).expect("one value");
    assert_eq!((&value["kind"], &value["differs"]), (&json!("trials"), &json!(["optimizer.lr"])));
}

#[test]
fn wrong_words_of_compare_get_the_right_ones() {
    let runs = ends();
    let one = id(4);
    for (words, code, said_so) in [
        (vec!["compare", "lr-batch", one.as_str()], "2", "sweeps are compared with sweeps"),
        (vec!["compare", one.as_str()], "2", "one trial alone cannot be compared"),
        (vec!["compare", "lr-bach"], "1", "`lr-bach` is neither a sweep nor a trial here"),
        (vec!["compare", "--by", "optimizer.lrr"], "1", "did you mean `optimizer.lr`?"),
        (vec!["compare", "--by", "seed"], "2", "repeats over seeds are what a group is made of"),
        (vec!["compare", "--metric", "val/jacard"], "1", "did you mean `val/jaccard`?"),
        (
            vec!["compare", one.as_str(), "1", "--markdown"],
            "1",
            "`1` is neither a sweep nor a trial",
        ),
    ] {
        let told = said(&runs, &words);
        assert!(told.starts_with(code) && told.contains(said_so), "{words:?}\n{told}");
    }
    let nothing = said(&Runs::new(0), &["compare"]);
    assert!(nothing.starts_with("0\n"), "{nothing}");
}
