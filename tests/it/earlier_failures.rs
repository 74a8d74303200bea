//! Failures that an earlier study of such sweeps ran into, each with the reason why it cannot come
//! back. The numbers of its second half stand beside the tests that need libtorch.

use std::collections::BTreeMap;

use regatta::clock::Clock;
use regatta::event::{Cursor, Event, Outcome, StopReason};
use regatta::layout::TrialFolder;
use regatta::metric::{Confusion, Metrics};
use regatta::setting::{Settings, resolve};
use regatta::worker::attempt;
use regatta::worker::checkpoint::sha256_hex;
use regatta::worker::learner::{Description, Learner, LearnerError, State};
use regatta::worker::stop::StopFlag;
use regatta::worker::toy::ToyLearner;
use serde_json::{Value, json};

use crate::home::{Home, QUICK_TOY, SUBMIT};
use crate::sweep_life::{Life, TOY};
use crate::toy_trial::{ToyTrial, virtual_clock};

/// Then the Jaccard index was computed from raw probabilities with +1 smoothing and averaged over
/// minibatches: all 72 trials seemed to end below 0.09, and early stopping believed it. Now pixels
/// are counted at a threshold over the whole split, and the index is a quotient of these counts.
#[test]
fn jaccard_comes_from_counts_and_no_minibatch_or_smoothing_changes_it() {
    // 3 of 4 foreground pixels found, one false alarm, with probabilities close to the threshold.
    let pixels = [(0.51, 1), (0.55, 1), (0.6, 1), (0.49, 1), (0.52, 0), (0.1, 0), (0.4, 0)];
    let pixels = pixels.map(|(probability, truth)| (probability, truth == 1));
    let counted = |size: usize| {
        let mut all = Confusion::default();
        for minibatch in pixels.chunks(size) {
            let mut counts = Confusion::default();
            minibatch.iter().for_each(|(p, truth)| counts.count(*p >= 0.5, *truth));
            all += counts;
        }
        all.jaccard()
    };
    for size in 1..=7 {
        assert!((counted(size) - 3.0 / 5.0).abs() < 1e-15, "minibatches of {size}");
    }
    // What was computed then is far from it.
    let overlap: f64 = pixels.iter().map(|(p, truth)| p * f64::from(u8::from(*truth))).sum();
    let union = pixels.iter().map(|(p, _)| p).sum::<f64>() + 4.0 - overlap;
    let then = (overlap + 1.0) / (union + 1.0);
    assert!((then - counted(7)).abs() > 0.03, "{then}");
    // A collapsed network gets what it deserves, not what smoothing gives it.
    let collapsed = Confusion { false_negative: 3, true_negative: 997, ..Confusion::default() };
    assert!(collapsed.jaccard().abs() < f64::EPSILON);
}

/// As above, in a whole learner: the same weights have the same value for every minibatch size.
#[test]
fn the_same_weights_have_the_same_value_for_every_minibatch_size() {
    let learner = |batch_size: u64| {
        let given = json!({ "model": { "name": "toy" }, "batch_size": batch_size });
        let settings = resolve(given.as_object().expect("object")).expect("resolved");
        let settings = Settings::from_resolved(&settings).expect("settings");
        ToyLearner::new(&settings, 1, std::sync::Arc::new(virtual_clock())).expect("learner")
    };
    let mut trained = learner(4);
    (0..20).for_each(|step| drop(trained.train_step(Cursor { epoch: 1, step }, 1e-3)));
    let state = trained.state().expect("state");
    let value = |size: u64| {
        let mut learner = learner(size);
        learner.restore(&state).expect("restored");
        learner.evaluate(&mut || true).expect("evaluated")
    };
    assert!((1..20).all(|size| value(size) == value(4)));
}

/// Then the shell looked for `lr1e-4` where Python had written `lr0.0001`: three summaries held 36
/// rows of ERROR although every run had succeeded. Now a trial is named by its resolved settings.
#[test]
fn a_learning_rate_written_in_two_ways_is_one_trial() {
    let home = Home::new();
    let text =
        |lr: &str| QUICK_TOY.replace("[1e-2, 1e-1]", &format!("[{lr}]")).replace("[4, 8]", "[8]");
    home.write("sweep.yaml", text("1e-4"));
    home.ok(&SUBMIT);
    let before = hashes(&home, "quick");
    for same in ["0.0001", "1.0E-4", "0.00010"] {
        home.write("sweep.yaml", text(same));
        let again = home.ok(&SUBMIT);
        assert!(again.err.contains("left alone: 1 finished"), "{same}: {}", again.err);
        let best = home.json(&["best", "quick"]);
        let rows = best["trials"].as_array().expect("trials");
        assert_eq!(rows.len(), 1, "{same}");
        assert!(rows[0]["value"].is_f64(), "{same}: the result is found: {best}");
    }
    assert_eq!(hashes(&home, "quick"), before);
}

/// Then a network collapsed in its ninth epoch, burnt fourteen more, and its frozen loss made it look
/// perfectly stable. Now the first loss that is no number ends the trial, the last healthy
/// checkpoint stays, and the ranking tells.
#[test]
fn a_collapsed_trial_is_called_diverged_and_never_wins() {
    let home = Home::new();
    let grid = "grid:\n  model.diverge_at: [3, 12, 1000]\n";
    let (above, _) = QUICK_TOY.split_once("grid:").expect("grid");
    home.write("sweep.yaml", format!("{above}{grid}"));
    assert_eq!(home.type_in(&SUBMIT).code, 3);
    let best = home.json(&["best", "quick"]);
    let rows: Vec<&Value> = best["trials"].as_array().expect("trials").iter().collect();
    let of = |step: u64| {
        let is = |row: &&Value| row["parameters"]["model.diverge_at"] == step;
        rows.iter().position(is).unwrap_or_else(|| panic!("{step}: {best}"))
    };
    assert_eq!(of(3), 2, "a trial without a value comes last: {best}");
    assert_eq!(rows[2]["value"], Value::Null);
    for (step, state) in [(3, "diverged"), (12, "diverged"), (1000, "finished")] {
        assert_eq!(rows[of(step)]["state"], state, "{step}");
    }
    // Two whole epochs came before step 12, none after it.
    assert!(rows[of(12)]["epoch"].as_u64().expect("epoch") <= 2, "{best}");
    let folder = home.trials("quick").remove(&id(rows[of(12)])).expect("trial");
    assert!(!folder.checkpoints().names().expect("names").is_empty(), "the last healthy one");
    let said = home.ok(&["best", "quick"]);
    assert!(said.out.contains("diverged") && said.err.contains("not finished"), "{}", said.err);
}

fn id(row: &Value) -> regatta::id::TrialId {
    row["trial"].as_str().expect("trial").parse().expect("id")
}

/// A toy whose evaluation yields what JSON cannot hold.
struct Odd(ToyLearner);

impl Learner for Odd {
    fn describe(&self) -> Description {
        self.0.describe()
    }

    fn train_step(&mut self, cursor: Cursor, learning_rate: f64) -> Result<f64, LearnerError> {
        self.0.train_step(cursor, learning_rate)
    }

    fn evaluate(&mut self, _: &mut dyn FnMut() -> bool) -> Result<Option<Metrics>, LearnerError> {
        let mut metrics = Metrics::default();
        metrics.set("val/jaccard", f64::NAN);
        metrics.set("val/loss", f64::INFINITY);
        metrics.set("val/dice", 0.5);
        Ok(Some(metrics))
    }

    fn state(&self) -> Result<State, LearnerError> {
        self.0.state()
    }

    fn reset(&mut self) -> Result<(), LearnerError> {
        self.0.reset()
    }

    fn restore(&mut self, state: &State) -> Result<(), LearnerError> {
        self.0.restore(state)
    }
}

/// Then an `int64` broke `results.json` at the end of a training of hours, and its values were lost.
/// Now a value that JSON cannot hold is null, in the result and in each record.
#[test]
fn a_value_that_is_no_number_is_null_and_the_result_stays_readable() {
    let trial = ToyTrial::new(&json!({}));
    let clock: std::sync::Arc<dyn Clock> = std::sync::Arc::new(virtual_clock());
    let build = |settings: &Settings, seed, clock: &std::sync::Arc<dyn Clock>| {
        let toy = ToyLearner::new(settings, seed, std::sync::Arc::clone(clock))?;
        Ok(Box::new(Odd(toy)) as Box<dyn Learner>)
    };
    let outcome = attempt::run(&trial.request(0), &clock, &StopFlag::default(), &build);
    assert_eq!(outcome, Outcome::Finished);
    let text = std::fs::read_to_string(trial.folder().result()).expect("result.json");
    let result: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(result["metrics"]["val/jaccard"], Value::Null);
    assert_eq!(result["metrics"]["val/loss"], Value::Null);
    assert_eq!(result["metrics"]["val/dice"], 0.5);
    assert_eq!((&result["outcome"], &result["best_value"]), (&json!("finished"), &Value::Null));
    let epochs = trial.events(1).into_iter().filter(|e| matches!(e, Event::EpochEnded { .. }));
    assert_eq!(epochs.count(), 4, "all records can be read");
}

/// SHA-256 of every file that belongs to trials of a sweep.
fn hashes(home: &Home, sweep: &str) -> BTreeMap<String, String> {
    let begin = format!("runs/{sweep}/");
    let of_trial = |name: &String| {
        let trial = name.strip_prefix(&begin).and_then(|rest| rest.split('/').next());
        trial.is_some_and(|trial| trial.parse::<regatta::id::TrialId>().is_ok())
    };
    let files = home.files().into_iter().filter(|name| of_trial(name) && home.at(name).is_file());
    files
        .map(|name| {
            let bytes = std::fs::read(home.at(&name)).expect("read");
            (name, sha256_hex(&bytes))
        })
        .collect()
}

/// Then each start did `rm -rf` over the folders of earlier runs and of a twin, just before it looked
/// there for a checkpoint. Now a start only adds: no file of another trial changes, nor the records
/// of an earlier attempt.
#[test]
fn a_start_deletes_nothing() {
    let home = Home::with_quick_toy();
    home.ok(&SUBMIT);
    let finished = hashes(&home, "quick");
    assert!(finished.len() >= 4 * 5, "{finished:?}");
    home.ok(&SUBMIT);
    assert_eq!(hashes(&home, "quick"), finished, "the same sweep again");
    // A twin with the same trials, cut short at first.
    let budget = |time: &str| {
        let twin = QUICK_TOY.replace("name: quick", "name: twin");
        let twin = twin.replace("name: toy,", "name: toy, step_seconds: 0.05,");
        format!("{twin}budget: {{ max_train_time: {time}, margin: 0s, checkpoint_every: 0.1s }}\n")
    };
    home.write("sweep.yaml", budget("0.4s"));
    assert_eq!(home.type_in(&SUBMIT).code, 3);
    let early = hashes(&home, "twin");
    home.write("sweep.yaml", budget("1h"));
    home.ok(&SUBMIT);
    let late = hashes(&home, "twin");
    for (name, hash) in &early {
        // What tells how a trial stands now is written anew, old states make room for newer ones.
        let is_record = !name.ends_with(".json") && !name.contains("/checkpoint/");
        assert!(!is_record || late.get(name) == Some(hash), "{name}");
    }
    assert!(early.keys().any(|name| name.ends_with("1.journal")), "{early:?}");
    assert!(late.keys().any(|name| name.ends_with("2.journal")), "{late:?}");
    assert_eq!(hashes(&home, "quick"), finished, "the twin touched nothing");
}

/// Then `… | tee log; EXIT_CODE=$?` asked for tee's exit code, and failures counted as success. Now
/// the script keeps the worker's own, whatever a site adds around it.
#[test]
fn the_workers_exit_code_reaches_the_scheduler() {
    let home = Home::new();
    let template = "{% extends \"job.sh.tera\" %}\n{% block after %}\nfalse | tee \"$folder/tee\"; \
                    true | cat\n{% endblock after %}\n";
    home.write("job.sh.tera", template);
    let failing = QUICK_TOY.replace("name: toy,", "name: toy, fail_at: 2,");
    home.write("sweep.yaml", format!("{failing}template: job.sh.tera\n"));
    let answer = home.type_in(&SUBMIT);
    assert_eq!(answer.code, 3, "{}", answer.err);
    assert_eq!(home.states("quick"), ["failed"; 4]);
    // The worker's last word comes first, its script ends a moment later.
    home.wait_until("the end of all scripts", |home| {
        let tasks = local_tasks(home);
        tasks.len() == 4 && tasks.iter().all(|task| task["exit"].is_i64())
    });
    assert!(home.at("runs/quick/tee").exists(), "the site's commands were done");
    for task in local_tasks(&home) {
        assert_eq!((&task["exit"], &task["stage"]), (&json!(1), &json!("failed")));
    }
}

/// What the local scheduler knows of all tasks.
fn local_tasks(home: &Home) -> Vec<Value> {
    let records = home.files().into_iter().filter(|name| name.ends_with(".local.json"));
    let tasks = |name: String| {
        let record = std::fs::read(home.at(&name)).expect("read");
        let record: Value = serde_json::from_slice(&record).expect("JSON");
        record["tasks"].as_array().expect("tasks").clone()
    };
    records.flat_map(tasks).collect()
}

/// Then shell and Python made up a folder's name each, with different times in it. Now the controller
/// names a folder by the trial's identity, and the worker gets it.
#[test]
fn controller_and_worker_mean_the_same_folder() {
    let home = Home::with_quick_toy();
    let planned = home.json(&["plan", "sweep.yaml"]);
    let rows = planned["trials"].as_array().expect("trials");
    let mut planned: Vec<_> = rows.iter().map(id).collect();
    planned.sort();
    home.ok(&SUBMIT);
    let begun = home.trials("quick");
    assert_eq!(begun.keys().cloned().collect::<Vec<_>>(), planned);
    for (id, folder) in begun {
        let text = std::fs::read_to_string(folder.assignment()).expect("trial.json");
        let told: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(told["trial"], id.as_str());
        assert!(folder.result().exists() && folder.journal(1).exists());
    }
}

/// Then three networks shared a job of 48 hours, and the first that failed took the others along. Now
/// each trial is a task of its own.
#[test]
fn one_failing_trial_does_not_take_the_others_along() {
    let home = Home::new();
    let (above, _) = QUICK_TOY.split_once("grid:").expect("grid");
    home.write("sweep.yaml", format!("{above}grid:\n  model.fail_at: [3, 1000, 1001, 1002]\n"));
    let answer = home.type_in(&SUBMIT);
    assert_eq!(answer.code, 3, "{}", answer.err);
    assert_eq!(home.states("quick"), ["failed", "finished", "finished", "finished"]);
    assert!(answer.err.contains("told to fail at step 3"), "{}", answer.err);
}

fn ends(life: &Life, folder: &TrialFolder, trial: &regatta::id::TrialId) -> Vec<Event> {
    let attempts = folder.attempts().expect("attempts");
    attempts.into_iter().filter_map(|attempt| life.events(trial, attempt).pop()).collect()
}

/// Then the wall time of a job was a guess, and resuming was claimed but never done. Now an attempt
/// leaves with a checkpoint while there is time, and the next one goes on behind it: no epoch is
/// done twice, and the result is that of a trial that was never cut.
#[tokio::test]
async fn wall_time_cuts_a_trial_and_costs_nothing() {
    let slow = TOY.replace("step_seconds: 1,", "step_seconds: 4,");
    let uncut = Life::new(&slow);
    uncut.submit().await;
    uncut.until_the_end().await;
    let life = Life::new(&format!("{slow}resources: {{ time: \"00:01:00\" }}\n"));
    life.submit().await;
    life.until_the_end().await;
    assert_eq!(life.essence(), uncut.essence());
    for trial in &life.trials {
        assert_eq!(life.epochs(trial), [1, 2, 3, 4], "each once and in order");
        let ends = ends(&life, &life.folder(trial), trial);
        assert!(ends.len() >= 3, "{} attempts", ends.len());
        for (attempt, end) in (1..).zip(&ends) {
            let Event::Ended { outcome, reason, time_left, .. } = end else { panic!("{end:?}") };
            assert!(time_left.expect("limited") > 0.0, "{end:?}");
            if attempt < ends.len() {
                let stopped = (Outcome::Stopped, Some(StopReason::TimeBudget));
                assert_eq!((*outcome, *reason), stopped);
            }
            let resumed = life.events(trial, u32::try_from(attempt).expect("few")).into_iter().any(
                |event| matches!(event, Event::Started { resumed_from: Some(_), cursor, .. } if cursor > Cursor::START),
            );
            assert_eq!(resumed, attempt > 1);
        }
    }
}
