//! A trial that is cut, however and however often, ends as if it had not been.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use regatta::clock::{Clock, SystemClock};
use regatta::event::{Cursor, Event, Outcome, StopReason};
use regatta::layout::{self, with_faults};
use regatta::setting::Settings;
use regatta::worker::attempt;
use regatta::worker::claim::Patience;
use regatta::worker::record::TrialResult;
use regatta::worker::stop::StopFlag;
use regatta::worker::toy::ToyLearner;
use serde_json::json;

use crate::toy_trial::{ToyTrial, virtual_clock};
use crate::watched::{Moment, Watched};

/// How an attempt is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// It has so many seconds.
    Time(u64),
    /// A signal comes in so many steps.
    Signal(u64),
    /// It dies in so many steps, without a chance to save.
    Crash(u64),
}

fn slow() -> ToyTrial {
    ToyTrial::new(&json!({ "step_seconds": 1.0, "eval_seconds": 2.0, "save_seconds": 0.5 }))
}

/// Runs one attempt on a virtual clock; returns how it ended and the steps it did.
pub(crate) fn run(trial: &ToyTrial, start: u32, cut: Option<Cut>) -> (Outcome, u64) {
    let clock: Arc<dyn Clock> = Arc::new(virtual_clock());
    let (stop, steps) = (StopFlag::default(), Rc::new(Cell::new(0)));
    let mut request = trial.request(start);
    if let Some(Cut::Time(seconds)) = cut {
        request.time_left = Some(Duration::from_secs(seconds));
    }
    let build = |settings: &Settings, seed, clock: &Arc<dyn Clock>| {
        let toy = ToyLearner::new(settings, seed, Arc::clone(clock))?;
        let (stop, steps) = (stop.clone(), Rc::clone(&steps));
        Ok(Watched::boxed(toy, move |moment| {
            let Moment::Step(_) = moment else { return };
            assert!(!matches!(cut, Some(Cut::Crash(n)) if n == steps.get()), "the node is gone");
            steps.set(steps.get() + 1);
            if matches!(cut, Some(Cut::Signal(n)) if n == steps.get()) {
                stop.raise(StopReason::Terminated);
            }
        }))
    };
    let outcome = attempt::run(&request, &clock, &stop, &build);
    (outcome, steps.get())
}

/// Runs all cuts, then to the end; returns the steps of each attempt.
pub(crate) fn run_cut(trial: &ToyTrial, cuts: &[Cut]) -> Vec<u64> {
    let mut steps = Vec::new();
    for (start, cut) in (0..).zip(cuts.iter().copied().map(Some).chain([None])) {
        let (outcome, done) = run(trial, start, cut);
        steps.push(done);
        let expected = match cut {
            None => Outcome::Finished,
            Some(Cut::Crash(_)) => Outcome::Failed,
            Some(_) => Outcome::Stopped,
        };
        if outcome == Outcome::Finished {
            break;
        }
        assert_eq!(outcome, expected, "{cut:?}");
    }
    steps
}

fn essence_uncut() -> String {
    let trial = slow();
    assert_eq!(run(&trial, 0, None), (Outcome::Finished, 40));
    trial.essence()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn a_cut_trial_is_bit_equal_to_the_uncut_one(
        cuts in proptest::collection::vec(
            prop_oneof![
                (5u64..60).prop_map(Cut::Time),
                (1u64..25).prop_map(Cut::Signal),
                (1u64..25).prop_map(Cut::Crash),
            ],
            0..8,
        )
    ) {
        let trial = slow();
        run_cut(&trial, &cuts);
        prop_assert_eq!(trial.essence(), essence_uncut());
    }
}

#[test]
fn a_stop_after_every_single_step_redoes_nothing() {
    let trial = slow();
    let steps = run_cut(&trial, &[Cut::Signal(1); 60]);
    assert_eq!(steps.iter().sum::<u64>(), 40, "{steps:?}");
    assert_eq!(trial.essence(), essence_uncut());
}

#[test]
fn a_crash_costs_at_most_one_interval_between_checkpoints() {
    let trial = slow();
    // A checkpoint every 12 s; a step takes 1 s.
    let steps = run_cut(&trial, &[Cut::Crash(23), Cut::Crash(15)]);
    let redone = steps.iter().sum::<u64>() - 40;
    assert!(redone <= 2 * 13, "{steps:?}");
    assert_eq!(trial.essence(), essence_uncut());
}

#[test]
fn time_is_used_and_never_overrun() {
    for seconds in [8, 20, 31, 45] {
        let trial = slow();
        run(&trial, 0, Some(Cut::Time(seconds)));
        let events = trial.events(1);
        let Some(Event::Ended { reason, time_left, .. }) = events.last() else {
            panic!("no end: {events:?}")
        };
        assert_eq!(*reason, Some(StopReason::TimeBudget));
        let left = time_left.expect("limited");
        // The margin is 3 s or a fifth; a step and twice a checkpoint are kept free beside it.
        assert!(left > 0.9 && left < 9.0, "{left} of {seconds}");
    }
}

#[test]
fn a_damaged_newest_checkpoint_falls_back_with_a_warning() {
    let trial = slow();
    run(&trial, 0, Some(Cut::Signal(30)));
    let folder = trial.folder();
    let newest = *folder.checkpoints().names().expect("names").last().expect("one");
    let mut bytes = std::fs::read(folder.checkpoints().tensors(newest)).expect("read");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    layout::write_atomic(&folder.checkpoints().tensors(newest), &bytes).expect("damage");
    assert_eq!(run(&trial, 1, None).0, Outcome::Finished);
    let warned = trial.events(2).into_iter().any(
        |event| matches!(event, Event::Warning { text } if text.contains(&newest.to_string())),
    );
    assert!(warned);
    assert_eq!(trial.essence(), essence_uncut());
}

#[test]
fn a_full_disk_is_a_warning_and_a_retry() {
    let trial = slow();
    let ended = with_faults("checkpoint.save:0:4=full", || run(&trial, 0, None)).expect("rule");
    assert_eq!(ended, (Outcome::Finished, 40));
    let failed =
        trial.events(1).iter().filter(|e| matches!(e, Event::CheckpointFailed { .. })).count();
    assert_eq!(failed, 4);
    assert_eq!(trial.essence(), essence_uncut());
}

#[test]
fn a_failing_journal_disk_does_not_stop_training_and_nothing_is_lost() {
    let trial = slow();
    let faults = "journal.append:3:8=error,append.open:2:5=error";
    let ended = with_faults(faults, || run(&trial, 0, None)).expect("rule");
    assert_eq!(ended.0, Outcome::Finished);
    assert_eq!(trial.essence(), essence_uncut());
}

#[test]
fn divergence_keeps_the_last_healthy_checkpoint() {
    let trial = ToyTrial::new(&json!({ "diverge_at": 25 }));
    assert_eq!(trial.run_uncut(), Outcome::Diverged);
    let events = trial.events(1);
    let last_saved = events.iter().rev().find_map(|event| match event {
        Event::CheckpointWritten { cursor, .. } => Some(*cursor),
        _ => None,
    });
    assert!(last_saved < Some(Cursor { epoch: 3, step: 5 }), "{last_saved:?}");
    let ended = events.last();
    assert!(
        matches!(
            ended,
            Some(Event::Ended { reason: Some(StopReason::Diverged), error: Some(_), .. })
        ),
        "{ended:?}"
    );
    assert_eq!(trial.result().outcome, Outcome::Diverged);
}

#[test]
fn a_cancelled_trial_does_not_begin_and_goes_on_when_the_mark_is_gone() {
    let trial = slow();
    layout::create_folder(trial.folder().path()).expect("folder");
    layout::write_atomic(&trial.folder().cancel_mark(), b"").expect("mark");
    assert_eq!(run(&trial, 0, None), (Outcome::Stopped, 0));
    assert_eq!(trial.result().reason, Some(StopReason::Cancelled));
    layout::remove(&trial.folder().cancel_mark()).expect("remove");
    assert_eq!(run(&trial, 1, None).0, Outcome::Finished);
    assert_eq!(trial.essence(), essence_uncut());
}

#[test]
fn a_finished_trial_is_left_alone() {
    let trial = slow();
    run(&trial, 0, None);
    assert_eq!(run(&trial, 1, None), (Outcome::Finished, 0));
    assert_eq!(trial.folder().attempts().expect("attempts"), [1]);
}

#[test]
fn a_finished_trial_whose_journal_lost_its_end_is_told_to_be_finished_once_more() {
    let trial = slow();
    run(&trial, 0, None);
    let (result, journal) = (trial.result(), trial.folder().journal(1));
    let text = std::fs::read_to_string(&journal).expect("journal");
    let kept: Vec<_> = text.lines().filter(|line| !line.contains("\"event\":\"ended\"")).collect();
    assert!(kept.len() < text.lines().count());
    layout::write_atomic(&journal, format!("{}\n", kept.join("\n")).as_bytes()).expect("cut");
    assert_eq!(run(&trial, 1, None), (Outcome::Finished, 0), "nothing is trained again");
    let told = trial.events(2);
    assert!(
        matches!(told.last(), Some(Event::Ended { outcome: Outcome::Finished, .. })),
        "{told:?}"
    );
    assert_eq!(trial.result(), result);
    assert_eq!(run(&trial, 2, None), (Outcome::Finished, 0));
    assert_eq!(trial.folder().attempts().expect("attempts"), [1, 2]);
}

#[test]
fn an_objective_that_nobody_measures_is_told_after_the_first_epoch() {
    let mut trial = slow();
    trial.assignment.objective.metric = "val/jacard".to_owned();
    run(&trial, 0, None);
    let warned = trial.events(1).into_iter().any(
        |event| matches!(event, Event::Warning { text } if text.contains("val/jacard; there are")),
    );
    assert!(warned);
}

/// Two attempts on the machine's clock, the second started when the first is at work.
fn race(trial: &ToyTrial, origins: [&str; 2]) -> [Outcome; 2] {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let patience = Patience { beat: Duration::from_millis(50), ..Patience::default() };
    let go = |origin: &str| {
        let request = attempt::Request { origin: origin.to_owned(), patience, ..trial.request(0) };
        attempt::run(&request, &clock, &StopFlag::default(), &|settings, seed, clock| {
            Ok(Box::new(ToyLearner::new(settings, seed, Arc::clone(clock))?))
        })
    };
    let training = || {
        let path = trial.folder().journal(1);
        std::fs::read_to_string(path).is_ok_and(|text| text.contains("epoch_ended"))
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| go(origins[0]));
        while !training() {
            clock.sleep(Duration::from_millis(5));
        }
        let second = go(origins[1]);
        [first.join().expect("first"), second]
    })
}

#[test]
fn of_two_attempts_at_once_the_newcomer_leaves() {
    let trial = ToyTrial::new(&json!({ "step_seconds": 0.03 }));
    let outcomes = race(&trial, ["slurm:1_0:0", "slurm:2_0:0"]);
    assert_eq!(outcomes, [Outcome::Finished, Outcome::Superseded]);
    assert_eq!(trial.folder().attempts().expect("attempts"), [1]);
}

#[test]
fn a_later_start_of_the_same_job_takes_over_and_the_earlier_one_stops() {
    let trial = ToyTrial::new(&json!({ "step_seconds": 0.15 }));
    let outcomes = race(&trial, ["slurm:1_0:0", "slurm:1_0:1"]);
    assert_eq!(outcomes, [Outcome::Superseded, Outcome::Finished]);
    let result = TrialResult::read(&trial.folder()).expect("result");
    assert_eq!((result.attempt, result.outcome), (2, Outcome::Finished));
    let uncut = ToyTrial::new(&json!({ "step_seconds": 0.15 }));
    uncut.run_uncut();
    assert_eq!(trial.essence(), uncut.essence());
}
