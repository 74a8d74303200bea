//! `verify-resume`: it proves what holds, and names the culprit where it does not.
#![expect(clippy::disallowed_methods, reason = "the program under test is started here")]

use std::cell::Cell;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regatta::clock::{Clock, SystemClock};
use regatta::event::{Cursor, StopReason};
use regatta::layout;
use regatta::metric::Metrics;
use regatta::setting::Settings;
use regatta::worker::learner::{Array, Description, Learner, LearnerError, State};
use regatta::worker::stop::StopFlag;
use regatta::worker::toy::ToyLearner;
use regatta::worker::verify::{Difference, Report, Request, Tell, VerifyError, Way, verify};
use serde_json::{Value, json};

use crate::toy_trial::ToyTrial;

/// What is wrong with a learner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// The second moment is not taken back.
    ForgetsOnRestore,
    /// It is not saved either, so that what is restored is what was saved.
    ForgetsInState,
    /// The order of the data follows a counter that is not in the state.
    CountsItsSteps,
    /// A metric follows such a counter, and nothing else.
    CountsItsEvaluations,
    /// No two builds train alike.
    IsNotRepeatable,
    /// Saving changes the weights.
    SavesWithATrace,
}

/// A toy with a fault.
struct Faulty {
    toy: ToyLearner,
    fault: Fault,
    steps: u64,
    evaluations: u64,
    builds: u64,
    saves: Cell<u64>,
}

impl Learner for Faulty {
    fn describe(&self) -> Description {
        self.toy.describe()
    }

    fn train_step(&mut self, cursor: Cursor, learning_rate: f64) -> Result<f64, LearnerError> {
        let step = self.steps;
        self.steps += 1;
        match self.fault {
            Fault::CountsItsSteps => self.toy.train_step(Cursor { step, ..cursor }, learning_rate),
            Fault::IsNotRepeatable => {
                let cursor = Cursor { step: cursor.step + 1000 * self.builds, ..cursor };
                self.toy.train_step(cursor, learning_rate)
            }
            _ => self.toy.train_step(cursor, learning_rate),
        }
    }

    fn evaluate(
        &mut self,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Metrics>, LearnerError> {
        self.evaluations += 1;
        let mut metrics = self.toy.evaluate(go_on)?;
        if let (Fault::CountsItsEvaluations, Some(metrics)) = (self.fault, &mut metrics) {
            metrics.set("val/loss", 0.5 + f64::from(u32::try_from(self.evaluations).expect("few")));
        }
        Ok(metrics)
    }

    fn state(&self) -> Result<State, LearnerError> {
        let mut state = self.toy.state()?;
        match self.fault {
            Fault::ForgetsInState => drop(state.remove("optimizer.v")),
            Fault::SavesWithATrace => {
                self.saves.set(self.saves.get() + 1);
                let saves = u32::try_from(self.saves.get()).expect("few");
                state.insert("optimizer.saves".to_owned(), Array::of_f64(&[f64::from(saves)]));
            }
            _ => {}
        }
        Ok(state)
    }

    fn reset(&mut self) -> Result<(), LearnerError> {
        self.toy.reset()
    }

    fn restore(&mut self, state: &State) -> Result<(), LearnerError> {
        let mut state = state.clone();
        if matches!(self.fault, Fault::ForgetsOnRestore | Fault::ForgetsInState) {
            state.insert("optimizer.v".to_owned(), Array::of_f64(&[0.0; 10]));
        }
        self.toy.restore(&state)
    }
}

fn trial() -> ToyTrial {
    ToyTrial::new(&json!({ "steps_per_epoch": 20 }))
}

fn request(trial: &ToyTrial, dir: &Path) -> Request {
    Request {
        assignment: trial.assignment.clone(),
        folder: Some(trial.folder()),
        steps: 8,
        epochs: 3,
        cuts: 6,
        dir: dir.to_owned(),
    }
}

fn silent() -> Tell {
    Arc::new(|_| {})
}

/// Verifies a toy with a fault; nothing may be left behind.
fn verified(fault: Fault) -> Report {
    let (trial, home) = (trial(), tempfile::tempdir().expect("folder"));
    let builds = Rc::new(Cell::new(0));
    let build = |settings: &Settings, seed, clock: &Arc<dyn Clock>| {
        builds.set(builds.get() + 1);
        Ok(Box::new(Faulty {
            toy: ToyLearner::new(settings, seed, Arc::clone(clock))?,
            fault,
            steps: 0,
            evaluations: 0,
            builds: builds.get(),
            saves: Cell::new(0),
        }) as Box<dyn Learner>)
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let request = request(&trial, home.path());
    let report = verify(&request, &clock, &StopFlag::default(), &build, &silent()).expect("report");
    assert!(layout::list(home.path()).expect("list").is_empty(), "something was left behind");
    assert!(!trial.folder().path().exists(), "the trial's own folder was touched");
    report
}

/// The first difference of the first trial that has one.
fn culprit(report: &Report) -> &Difference {
    assert!(!report.equal && report.to_string().contains("NOT bit-equal"), "{report}");
    report.trials.iter().flat_map(|trial| &trial.differences).next().expect("a difference")
}

#[test]
fn a_sound_learner_is_bit_equal_after_every_kind_of_cut() {
    let report = verified(Fault::Nothing);
    assert!(report.equal && report.repeatable.is_none(), "{report}");
    assert_eq!((report.epochs, report.steps_per_epoch), (3, 8));
    assert_eq!(report.trials.len(), 7);
    for trial in &report.trials {
        assert_eq!(trial.tensors_sha256, report.tensors_sha256);
        // Checkpoints are written behind, and these steps are quick: how many steps a death costs is
        // a matter of luck, but nothing else costs any.
        let killed = trial.cuts.iter().any(|cut| cut.way == Way::Kill);
        assert!(killed || trial.steps_redone == 0, "{trial:?}");
    }
    assert!(report.trials.iter().any(|trial| trial.steps_redone > 0), "{report}");
    let cuts = || report.trials.iter().flat_map(|trial| &trial.cuts);
    for way in [Way::Signal, Way::Kill, Way::Time] {
        assert!(cuts().filter(|cut| cut.way == way).count() >= 3, "{way}");
    }
    assert!(cuts().any(|cut| cut.in_evaluation) && report.trials[6].cuts.len() >= 5);
    assert!(report.to_string().contains("bit-equal: all 7 cut trials"), "{report}");
}

#[test]
fn a_moment_that_is_forgotten_at_a_resume_is_named() {
    let report = verified(Fault::ForgetsOnRestore);
    let Difference::Restored(found) = culprit(&report) else { panic!("{report}") };
    assert_eq!(found.array, "optimizer.v");
    assert!(found.what.starts_with("10 of 10 elements, by up to"), "{}", found.what);
    assert_eq!(report.repeatable, Some(true));
    assert!(report.trials.iter().all(|trial| !trial.equal), "{report}");
}

#[test]
fn a_moment_that_is_not_saved_shows_in_the_second_step() {
    let report = verified(Fault::ForgetsInState);
    let Difference::Loss { since_resume: Some(1), .. } = culprit(&report) else {
        panic!("{report}")
    };
    assert!(report.to_string().contains("moment of the optimizer"), "{report}");
}

#[test]
fn an_order_of_data_that_is_not_in_the_state_shows_in_the_first_step() {
    let report = verified(Fault::CountsItsSteps);
    let Difference::Loss { since_resume: Some(0), at, uncut, cut } = culprit(&report) else {
        panic!("{report}")
    };
    // The first cut comes with a signal: the step is done, the one after it begins anew.
    let first = report.trials[0].cuts[0].at;
    assert_eq!(*at, Cursor { step: first.step + 1, ..first });
    assert!(uncut.to_bits() != cut.to_bits());
    assert!(report.to_string().contains("such as a counter"), "{report}");
}

#[test]
fn a_metric_that_is_not_a_function_of_the_weights_is_named() {
    let report = verified(Fault::CountsItsEvaluations);
    let Difference::Metric { metric, uncut, cut, epoch: 2 | 3 } = culprit(&report) else {
        panic!("{report}")
    };
    assert_eq!(metric, "val/loss");
    assert!(uncut > cut, "{uncut:?} {cut:?}");
}

#[test]
fn training_that_is_not_repeatable_is_no_fault_of_the_resume() {
    let report = verified(Fault::IsNotRepeatable);
    culprit(&report);
    assert_eq!(report.repeatable, Some(false));
    assert!(report.to_string().contains("two uncut trials differ"), "{report}");
}

#[test]
fn a_state_that_remembers_how_often_it_was_saved_is_found() {
    let report = verified(Fault::SavesWithATrace);
    let Difference::Restored(found) = culprit(&report) else { panic!("{report}") };
    assert_eq!(found.array, "optimizer.saves");
}

#[test]
fn one_who_asks_to_stop_gets_no_verdict_and_nothing_is_left() {
    let (trial, home) = (trial(), tempfile::tempdir().expect("folder"));
    let (stop, told) = (StopFlag::default(), Arc::new(Mutex::new(Vec::new())));
    let (flag, lines) = (stop.clone(), Arc::clone(&told));
    // In the middle: the uncut trial is done.
    let tell: Tell = Arc::new(move |line| {
        lines.lock().expect("lines").push(line.to_owned());
        if line.starts_with("cut trial 2") {
            flag.raise(StopReason::Interrupted);
        }
    });
    let build = |settings: &Settings, seed, clock: &Arc<dyn Clock>| {
        Ok(Box::new(ToyLearner::new(settings, seed, Arc::clone(clock))?) as Box<dyn Learner>)
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let ended = verify(&request(&trial, home.path()), &clock, &stop, &build, &tell);
    assert!(matches!(ended, Err(VerifyError::Interrupted)), "{ended:?}");
    let told = told.lock().expect("lines");
    assert!(told[0].starts_with("3 epochs of 8 steps a trial; a step takes"), "{told:?}");
    assert!(told.last().is_some_and(|line| line.starts_with("cut trial 2 of 7")), "{told:?}");
    assert!(layout::list(home.path()).expect("list").is_empty());
}

fn program(args: &[&str], dir: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regatta-worker"));
    command.arg("verify-resume").args(args).arg("--dir").arg(dir).stdin(Stdio::null());
    command.env_remove("REGATTA_FAULTS").env_remove("RUST_LOG").output().expect("worker")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_program_says_it_in_words_and_in_json() {
    let home = tempfile::tempdir().expect("folder");
    let trial = trial();
    let job = trial.job_file();
    let by_job = ["--job", &job.display().to_string(), "--index", "1", "--cuts", "2"];
    let output = program(&by_job, home.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(
        shown.starts_with("CUT AT") && shown.contains("\nbit-equal: all 3 cut trials"),
        "{shown}"
    );
    assert_eq!(text(&output.stderr).lines().count(), 4, "{}", text(&output.stderr));
    assert!(!trial.folder().path().exists());

    let settings = r#"{"model": {"name": "toy"}}"#;
    let output = program(&["--settings", settings, "--seed", "3", "--json"], home.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("json");
    assert_eq!((&report["schema_version"], &report["equal"]), (&json!(1), &json!(true)));
    assert_eq!(report["trials"].as_array().map(Vec::len), Some(5));
    assert!(layout::list(home.path()).expect("list").is_empty());
}

#[test]
fn an_interrupted_program_leaves_nothing() {
    let home = tempfile::tempdir().expect("folder");
    let settings = r#"{"model": {"name": "toy", "step_seconds": 0.05}}"#;
    let mut command = Command::new(env!("CARGO_BIN_EXE_regatta-worker"));
    command.args(["verify-resume", "--settings", settings, "--dir"]).arg(home.path());
    let mut child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("worker");
    let clock = SystemClock::new();
    while layout::list(home.path()).expect("list").is_empty() {
        assert!(clock.monotonic() < Duration::from_secs(60), "it does not begin");
        clock.sleep(Duration::from_millis(5));
    }
    let pid = i32::try_from(child.id()).expect("pid");
    kill(Pid::from_raw(pid), Signal::SIGINT).expect("signal");
    assert_eq!(child.wait().expect("wait").code(), Some(1));
    assert!(layout::list(home.path()).expect("list").is_empty());
}

#[test]
fn what_cannot_be_tried_is_an_error_that_says_why() {
    let home = tempfile::tempdir().expect("folder");
    let trial = trial();
    layout::create_folder(trial.folder().path()).expect("folder");
    let json = serde_json::to_vec(&trial.assignment).expect("json");
    layout::write_atomic(&trial.folder().assignment(), &json).expect("trial.json");
    let own = trial.folder().path().display().to_string();
    for (args, dir, words) in [
        (["--trial", "/nowhere"], home.path(), "/nowhere/trial.json"),
        (["--trial", &own], Path::new(&own), "lies in the trial's folder"),
        (["--trial", &own], Path::new("/nowhere"), "failed to make a folder in /nowhere"),
        (["--settings", "{"], home.path(), "--settings: EOF"),
        (["--settings", r#"{"model": {"name": "tyo"}}"#], home.path(), "did you mean `toy`?"),
        (
            ["--settings", r#"{"model": {"name": "toy", "fail_at": 9}}"#],
            home.path(),
            "told to fail at step 9",
        ),
        (
            ["--settings", r#"{"model": {"name": "toy", "diverge_at": 9}}"#],
            home.path(),
            "do it, at epoch 1",
        ),
    ] {
        let output = program(&args, dir);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.starts_with("error: ") && said.contains(words), "{words}: {said}");
        assert!(output.stdout.is_empty());
    }
    assert!(layout::list(home.path()).expect("list").is_empty());
    assert_eq!(layout::list(trial.folder().path()).expect("list"), ["trial.json"]);
}
