//! One row a case: what is known → how the trial stands.

use jiff::Timestamp;

use super::*;
use crate::id::Token;
use crate::scheduler::{TaskReport, TaskState};
use crate::store::{CancelFact, RefusalFact, Sight, Sighting, TaskEndFact};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("moment")
}

fn token(second: i64) -> Token {
    format!("018bcfe5-6800-7000-8000-{second:012}").parse().expect("token")
}

/// Submitted at 0, accepted, seen by nobody; now is 1000.
fn submitted() -> Evidence {
    Evidence {
        submission: Some(SubmissionFact {
            token: token(0),
            scheduler: "slurm".to_owned(),
            intended_at: at(0),
            fate: Fate::Accepted { job: "123".to_owned() },
            task: 4,
            ended: None,
            lost: None,
            seen: None,
            foreign: None,
        }),
        refused: None,
        cancelled: None,
        attempt: None,
        now: at(1000),
    }
}

fn attempt(seen: i64) -> AttemptFact {
    AttemptFact {
        number: 1,
        token: Some(token(0)),
        host: Some("n3".to_owned()),
        started_at: Some(at(10)),
        seen_at: Some(at(seen)),
        heard_at: Some(at(seen)),
        skew: None,
        stop: None,
        end: None,
    }
}

fn ended(outcome: Outcome, reason: Option<StopReason>) -> AttemptFact {
    let end = EndFact { outcome: Some(outcome), reason, error: None, at: at(900) };
    AttemptFact { stop: reason, end: Some(end), ..attempt(900) }
}

/// The scheduler says this at the given second.
fn says(mut evidence: Evidence, second: i64, state: TaskState, word: &str) -> Evidence {
    let report = TaskReport { state, word: word.to_owned(), restarts: 0, node: None, exit: None };
    let sighting = Sighting { sight: Sight::Seen(report), at: at(second) };
    evidence.submission.as_mut().expect("submission").seen = Some(sighting);
    evidence
}

fn end(evidence: Evidence, end: TaskEnd) -> Evidence {
    says(evidence, 950, TaskState::Ended(end), &format!("{end:?}"))
}

fn absent(mut evidence: Evidence) -> Evidence {
    let sighting = Sighting { sight: Sight::Absent, at: at(950) };
    evidence.submission.as_mut().expect("submission").seen = Some(sighting);
    evidence
}

fn pending() -> TaskState {
    TaskState::Pending("Priority".to_owned())
}

fn with(attempt: AttemptFact) -> Evidence {
    Evidence { attempt: Some(attempt), ..submitted() }
}

fn cancelled(evidence: Evidence) -> Evidence {
    Evidence { cancelled: Some(CancelFact { by: "ada".to_owned(), at: at(800) }), ..evidence }
}

fn check(cases: &[(&str, Evidence, TrialState)]) {
    for (name, evidence, state) in cases {
        let Verdict { state: found, why, .. } = derive(evidence);
        assert_eq!(found, *state, "{name}: {why}");
        assert!(!why.is_empty(), "{name}");
    }
}

#[test]
fn before_an_attempt() {
    let refusal =
        RefusalFact { words: "no such partition".to_owned(), limit: false, absent: false };
    let nothing = Evidence { submission: None, ..submitted() };
    let refused = Evidence { refused: Some(refusal), ..nothing.clone() };
    let mut unheard = submitted();
    unheard.submission.as_mut().expect("submission").fate = Fate::Unheard;
    let young = |evidence| Evidence { now: at(100), ..evidence };
    check(&[
        ("nothing", nothing.clone(), TrialState::Planned),
        ("refused", refused, TrialState::Planned),
        ("cancelled before submission", cancelled(nothing), TrialState::Cancelled),
        ("no answer from sbatch", unheard, TrialState::Submitted),
        ("never asked", submitted(), TrialState::Submitted),
        ("pending", says(submitted(), 950, pending(), "PENDING"), TrialState::Submitted),
        ("starting", says(submitted(), 950, TaskState::Running, "RUNNING"), TrialState::Running),
        ("not known yet", young(absent(submitted())), TrialState::Submitted),
        ("not known any more", absent(submitted()), TrialState::Lost),
        ("dead at once", end(submitted(), TaskEnd::Failed), TrialState::Failed),
        ("node", end(submitted(), TaskEnd::NodeFailed), TrialState::NodeFailed),
        ("done, no word", end(submitted(), TaskEnd::Completed), TrialState::Lost),
        ("scancel", end(submitted(), TaskEnd::Cancelled), TrialState::Cancelled),
    ]);
}

#[test]
fn the_workers_last_word_decides() {
    let finished = with(ended(Outcome::Finished, None));
    check(&[
        ("finished", finished.clone(), TrialState::Finished),
        (
            "and the job was cancelled later",
            end(finished, TaskEnd::Cancelled),
            TrialState::Finished,
        ),
        ("diverged", with(ended(Outcome::Diverged, None)), TrialState::Diverged),
        (
            "max_train_time, and the job is done",
            end(with(ended(Outcome::Spent, Some(StopReason::TrainTime))), TaskEnd::Completed),
            TrialState::TimedOut,
        ),
        ("failed", end(with(ended(Outcome::Failed, None)), TaskEnd::Failed), TrialState::Failed),
    ]);
}

#[test]
fn stopped_with_a_checkpoint() {
    let stop = |reason| with(ended(Outcome::Stopped, Some(reason)));
    let warned = || stop(StopReason::Warned);
    let terminated = || stop(StopReason::Terminated);
    check(&[
        ("not asked since", warned(), TrialState::Waiting),
        (
            "asked before it ended",
            says(warned(), 800, TaskState::Running, "RUNNING"),
            TrialState::Waiting,
        ),
        ("requeued", says(warned(), 950, pending(), "PENDING"), TrialState::Waiting),
        (
            "requeues itself",
            says(warned(), 950, TaskState::Running, "RUNNING"),
            TrialState::Waiting,
        ),
        ("timeout", end(warned(), TaskEnd::TimedOut), TrialState::TimedOut),
        ("warned and preempted", end(warned(), TaskEnd::Preempted), TrialState::Preempted),
        ("terminated and preempted", end(terminated(), TaskEnd::Preempted), TrialState::Preempted),
        ("terminated at the limit", end(terminated(), TaskEnd::TimedOut), TrialState::TimedOut),
        ("scancel by hand", end(terminated(), TaskEnd::Cancelled), TrialState::Cancelled),
        ("node", end(terminated(), TaskEnd::NodeFailed), TrialState::NodeFailed),
        ("exit 75", end(stop(StopReason::TimeBudget), TaskEnd::Failed), TrialState::TimedOut),
        ("gone", absent(stop(StopReason::TimeBudget)), TrialState::TimedOut),
        ("max_train_time", absent(stop(StopReason::TrainTime)), TrialState::TimedOut),
        ("mark", stop(StopReason::Cancelled), TrialState::Cancelled),
        ("ctrl-c", stop(StopReason::Interrupted), TrialState::Cancelled),
        ("cancel", cancelled(end(terminated(), TaskEnd::Failed)), TrialState::Cancelled),
        (
            "by hand, no scheduler",
            Evidence { submission: None, ..stop(StopReason::TimeBudget) },
            TrialState::TimedOut,
        ),
    ]);
}

#[test]
fn no_last_word() {
    let alive = || with(attempt(990));
    let silent = || with(attempt(100));
    let lost = |mut evidence: Evidence| {
        let fact = Some(("not in squeue nor sacct".to_owned(), at(950)));
        evidence.submission.as_mut().expect("submission").lost = fact;
        evidence
    };
    let journal_word = |word: &str| {
        let mut evidence = absent(silent());
        evidence.submission.as_mut().expect("submission").ended =
            Some(TaskEndFact { word: word.to_owned(), node: None, exit: None, at: at(500) });
        evidence
    };
    check(&[
        ("works", alive(), TrialState::Running),
        ("squeue fails, journal silent", silent(), TrialState::Running),
        ("squeue says so", says(silent(), 950, TaskState::Running, "RUNNING"), TrialState::Running),
        ("gone but writing", absent(alive()), TrialState::Running),
        ("gone and silent", absent(silent()), TrialState::Lost),
        ("seen to be lost", lost(silent()), TrialState::Lost),
        ("killed at the limit", end(silent(), TaskEnd::TimedOut), TrialState::TimedOut),
        ("oom", end(alive(), TaskEnd::OutOfMemory), TrialState::OutOfMemory),
        ("node", end(alive(), TaskEnd::NodeFailed), TrialState::NodeFailed),
        ("killed by preemption", end(alive(), TaskEnd::Preempted), TrialState::Preempted),
        ("segfault", end(alive(), TaskEnd::Failed), TrialState::Failed),
        ("its last word is on the way", end(alive(), TaskEnd::Completed), TrialState::Running),
        ("its last word never came", end(silent(), TaskEnd::Completed), TrialState::Lost),
        ("node failed, requeued", says(alive(), 995, pending(), "PENDING"), TrialState::Waiting),
        ("cancelled and gone", cancelled(absent(silent())), TrialState::Cancelled),
        ("the journal remembers", journal_word("TIMEOUT"), TrialState::TimedOut),
        (
            "a new word",
            journal_word("SPECIAL_EXIT"),
            TrialState::Unknown("SPECIAL_EXIT".to_owned()),
        ),
        (
            "a new word in squeue",
            says(alive(), 995, TaskState::Unknown("STAGE_OUT".to_owned()), "STAGE_OUT"),
            TrialState::Unknown("STAGE_OUT".to_owned()),
        ),
        ("killed, no scheduler", Evidence { submission: None, ..silent() }, TrialState::Lost),
    ]);
}

#[test]
fn a_new_submission_starts_anew() {
    let older = AttemptFact { token: Some(token(7)), ..ended(Outcome::Stopped, None) };
    let by_hand = AttemptFact { token: None, ..attempt(990) };
    check(&[
        ("resumed", with(older.clone()), TrialState::Submitted),
        ("and pending", says(with(older), 950, pending(), "PENDING"), TrialState::Submitted),
        ("a worker by hand meanwhile", with(by_hand), TrialState::Running),
    ]);
}

#[test]
fn an_old_word_of_the_scheduler_is_not_believed() {
    let minutes_later =
        Evidence { now: at(3000), ..says(with(attempt(990)), 995, pending(), "PD") };
    let Verdict { state, why, .. } = derive(&minutes_later);
    assert_eq!(state, TrialState::Running);
    assert!(why.contains("not asked since"), "{why}");
}
