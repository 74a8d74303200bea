//! Failures of an earlier study that guards see now: the collapse, the overflow, the wrong monitor, the
//! schedules that fought.

use serde_json::{Value, json};

use crate::home::{Home, QUICK_TOY};

/// Then a schedule of warm-up and cosine was given together with one that lowers the rate at a plateau,
/// and overwrote it at every epoch without a word. Now a trial has one, and two are refused with the
/// line and the reason, in whatever way they are written.
#[test]
fn two_schedules_that_would_fight_are_refused() {
    let home = Home::new();
    for (schedule, words) in [
        (
            "[{ name: warmup_cosine, warmup_epochs: 1 }, { name: plateau, patience: 5 }]",
            "a trial has one schedule, as two would overwrite each other",
        ),
        (
            "{ name: warmup_cosine, warmup_epochs: 1, patience: 5 }",
            "`patience` belongs to `schedule.name: plateau`, and a trial has one schedule",
        ),
        ("{ name: plateau, warmup_epochs: 1 }", "and a trial has one schedule"),
    ] {
        let text = QUICK_TOY.replacen("fixed:\n", &format!("fixed:\n  schedule: {schedule}\n"), 1);
        home.write("sweep.yaml", &text);
        let answer = home.type_in(&["plan", "sweep.yaml"]);
        assert_ne!(answer.code, 0, "{schedule}");
        assert!(answer.err.contains(words), "{schedule}: {}", answer.err);
        assert!(answer.err.contains("sweep.yaml:"), "{}", answer.err);
    }
    // A stop that would come before the plateau could act is such a fight, too.
    let text = QUICK_TOY.replacen(
        "fixed:\n",
        "fixed:\n  schedule: { name: plateau, metric: val/jaccard, patience: 8 }\n  guards: { patience: 5 }\n",
        1,
    );
    home.write("sweep.yaml", &text);
    let answer = home.type_in(&["plan", "sweep.yaml"]);
    assert!(
        answer.code != 0 && answer.err.contains("before `schedule.patience`"),
        "{}",
        answer.err
    );
}

/// Then early stopping watched a Jaccard of raw probabilities with 1 added above and below: all 72 runs
/// of two grids stopped at 11 to 28 epochs with nothing learnt. Now what may be watched is a list of
/// pooled, thresholded values; the Jaccard of a network that gets better never stops it; and one that
/// only a smoothing would call good is worth what it found.
#[test]
fn a_monitor_is_a_pooled_value_and_a_network_that_gets_better_is_not_stopped() {
    let home = Home::new();
    let with =
        |guards: &str| QUICK_TOY.replacen("fixed:\n", &format!("fixed:\n  guards: {guards}\n"), 1);
    home.write("sweep.yaml", with("{ patience: 2, metric: val_jacard_coef }"));
    let answer = home.type_in(&["plan", "sweep.yaml"]);
    assert_ne!(answer.code, 0);
    assert!(answer.err.contains("unknown metric `val_jacard_coef`"), "{}", answer.err);
    assert!(answer.err.contains("known: val/jaccard, val/dice"), "{}", answer.err);

    let text = with("{ patience: 2 }").replace("epochs: 3", "epochs: 12");
    home.write("sweep.yaml", text);
    home.type_in(&["submit", "sweep.yaml", "--scheduler", "local", "--wait"]);
    let mut stopped = 0;
    for row in home.json(&["trials", "quick"])["trials"].as_array().expect("trials") {
        let id = row["trial"].as_str().expect("id");
        let epochs = home.json(&["show", id])["history"].as_array().expect("epochs").clone();
        let values: Vec<f64> =
            epochs.iter().map(|e| e["metrics"]["val/jaccard"].as_f64().unwrap_or(0.0)).collect();
        let last = values.len();
        if last < 12 {
            stopped += 1;
            let best = values[..last - 2].iter().copied().fold(0.0, f64::max);
            assert!(values[last - 2..].iter().all(|value| *value <= best), "{values:?}");
        }
        for end in 3..last {
            let best = values[..end - 2].iter().copied().fold(0.0, f64::max);
            let is_over = values[end - 2..end].iter().all(|value| *value <= best);
            assert!(!is_over, "it went on after epoch {end}: {values:?}");
        }
    }
    assert!(stopped < 4, "all were stopped");
}

/// Then a collapsed network read as perfectly stable: its validation loss did not move. Now the journal
/// and `show` say what happened, and its state is not one of a finished trial.
#[test]
fn a_collapse_stands_in_the_journal_and_in_what_people_read() {
    let home = Home::new();
    let (above, _) = QUICK_TOY.split_once("grid:").expect("grid");
    let above = above.replace("epochs: 3", "epochs: 20");
    home.write(
        "sweep.yaml",
        format!("{above}  optimizer: {{ lr: 0.1 }}\ngrid:\n  model.collapse_at: [12]\n  guards.action: [stop, rollback]\n"),
    );
    home.type_in(&["submit", "sweep.yaml", "--scheduler", "local", "--wait"]);
    let trials = home.json(&["trials", "quick"]);
    let of = |action: &str| -> Value {
        let rows = trials["trials"].as_array().expect("trials");
        let is = |row: &&Value| row["parameters"]["guards.action"] == action;
        rows.iter().find(is).unwrap_or_else(|| panic!("{trials:#}")).clone()
    };
    let (stopped, rolled) = (of("stop"), of("rollback"));
    assert_eq!((&stopped["state"], &rolled["state"]), (&json!("diverged"), &json!("finished")));
    let show = |row: &Value| home.ok(&["show", row["trial"].as_str().expect("id")]).out;
    assert!(show(&stopped).contains("the network has collapsed"), "{}", show(&stopped));
    let said = show(&rolled);
    assert!(
        said.contains("collapse at epoch 5") && said.contains("rolled back to epoch 2"),
        "{said}"
    );
}
