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
    let report = TaskReport {
        state,
        word: word.to_owned(),
        restarts: 0,
        node: None,
        exit: None,
        inferred: false,
    };
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

/// What an attempt tells whose clock is so many seconds ahead, of which something was heard at second
/// 900.
fn with_clock(mut attempt: AttemptFact, ahead: i64) -> AttemptFact {
    let shift = |at: Timestamp| Timestamp::from_second(at.as_second() + ahead).expect("moment");
    attempt.started_at = attempt.started_at.map(shift);
    attempt.seen_at = attempt.seen_at.map(shift);
    attempt.heard_at = Some(at(900));
    if let Some(end) = &mut attempt.end {
        end.at = shift(end.at);
    }
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let skew = (ahead.abs() > 300).then_some(ahead as f64);
    AttemptFact { skew, ..attempt }
}

#[test]
fn a_workers_wrong_clock_decides_nothing() {
    let stopped = || ended(Outcome::Stopped, Some(StopReason::Terminated));
    for ahead in [0, 7200, -7200, 86_400 * 400, -86_400 * 400] {
        let evidence = with(with_clock(attempt(900), ahead));
        check(&[
            (&format!("works, {ahead} s ahead"), absent(evidence), TrialState::Running),
            (
                &format!("preempted, {ahead} s ahead"),
                end(with(with_clock(stopped(), ahead)), TaskEnd::Preempted),
                TrialState::Preempted,
            ),
            (
                &format!("asked before it ended, {ahead} s ahead"),
                says(with(with_clock(stopped(), ahead)), 850, TaskState::Running, "RUNNING"),
                TrialState::Waiting,
            ),
        ]);
        // Ten minutes after it was last heard of it is gone, whatever its clock says.
        let later = Evidence { now: at(1501), ..with(with_clock(attempt(900), ahead)) };
        let mut later = absent(later);
        later.submission.as_mut().expect("submission").seen.as_mut().expect("seen").at = at(1500);
        check(&[(&format!("gone, {ahead} s ahead"), later.clone(), TrialState::Lost)]);
        let told = later.attempt.as_ref().and_then(|attempt| attempt.clock_ahead(&later));
        assert_eq!(told.is_some(), ahead != 0, "{ahead}");
    }
    // An attempt that began before it was submitted tells of its clock by itself.
    let early = AttemptFact { started_at: Some(at(-7000)), ..attempt(900) };
    let evidence = with(early.clone());
    assert_eq!(early.clock_ahead(&evidence), Some(-7000.0));
}

#[test]
fn ends_are_told_by_proof_not_by_likeness() {
    let exit = |evidence: Evidence, text: &str| {
        let mut evidence = end(evidence, TaskEnd::Failed);
        let submission = evidence.submission.as_mut().expect("submission");
        if let Some(Sighting { sight: Sight::Seen(report), .. }) = &mut submission.seen {
            report.exit = Some(text.parse().expect("exit code"));
            report.node = Some("n3".to_owned());
        }
        derive(&evidence)
    };
    let killed = exit(with(attempt(990)), "0:9");
    assert_eq!((killed.state, killed.rule), (TrialState::Failed, Rule::KilledBySchedulersWord));
    assert!(killed.why.contains("no proof") && killed.why.contains("on n3"), "{}", killed.why);
    assert!(exit(with(attempt(990)), "137:0").why.contains("no proof"));
    assert!(!exit(with(attempt(990)), "1:0").why.contains("memory"));
    for evidence in [with(attempt(990)), submitted()] {
        let over = exit(evidence, "0:125");
        assert_eq!((over.state, over.rule), (TrialState::OutOfMemory, Rule::OutOfMemoryByExitCode));
    }
}

#[test]
fn who_cancelled_is_told() {
    let state = TaskState::Ended(TaskEnd::Cancelled);
    let scancel = || says(with(attempt(940)), 950, state.clone(), "CANCELLED by 1000");
    let told = derive(&scancel());
    assert_eq!((told.state, told.rule), (TrialState::Cancelled, Rule::CancelledByScancel));
    assert!(told.why.contains("CANCELLED by 1000"), "{}", told.why);
    let ours = derive(&cancelled(scancel()));
    assert_eq!(ours.rule, Rule::CancelledByRegatta);
    assert!(ours.why.contains("cancelled by ada"), "{}", ours.why);
    let rule = |reason| derive(&with(ended(Outcome::Stopped, Some(reason)))).rule;
    assert_eq!(rule(StopReason::Cancelled), Rule::CancelledByMark);
    assert_eq!(rule(StopReason::Interrupted), Rule::CancelledByHand);
    // An end that was no cancel stays what it was, whoever wished for one.
    let node = derive(&cancelled(end(with(attempt(940)), TaskEnd::NodeFailed)));
    assert_eq!(node.state, TrialState::NodeFailed);
}

#[test]
fn an_end_of_an_earlier_start_does_not_hide_that_a_later_one_vanished() {
    let mut evidence = absent(with(AttemptFact { started_at: Some(at(100)), ..attempt(200) }));
    let told = TaskEndFact { word: "NODE_FAIL".to_owned(), at: at(50), node: None, exit: None };
    evidence.submission.as_mut().expect("submission").ended = Some(told);
    evidence.now = at(2000);
    let found = derive(&evidence);
    assert_eq!((found.state, found.rule), (TrialState::Lost, Rule::Vanished), "{}", found.why);
}

#[test]
fn what_was_cancelled_and_still_waits_is_told() {
    let waits = says(cancelled(submitted()), 950, pending(), "PENDING");
    let told = derive(&waits);
    assert_eq!(told.state, TrialState::Cancelled);
    assert!(told.why.contains("still says PENDING"), "{}", told.why);
}

#[test]
fn a_number_that_was_given_out_again_is_seen_and_not_believed() {
    let mut evidence = absent(with(attempt(900)));
    let submission = evidence.submission.as_mut().expect("submission");
    submission.foreign = Some("job 123 is another one now".to_owned());
    let told = derive(&evidence);
    assert_eq!(told.state, TrialState::Running);
    assert!(told.why.contains("another one now"), "{}", told.why);
}

#[test]
fn what_a_limit_or_the_way_kept_out_is_still_wanted() {
    let refused = |limit, absent| {
        let refusal = RefusalFact { words: "no".to_owned(), limit, absent };
        derive(&Evidence { submission: None, refused: Some(refusal), ..submitted() })
    };
    let rules = [refused(true, false), refused(false, true), refused(false, false)];
    assert!(rules.iter().all(|told| told.state == TrialState::Planned));
    assert_eq!(
        rules.map(|told| told.rule),
        [Rule::SubmissionLimited, Rule::SubmissionNeverArrived, Rule::SubmissionRefused]
    );
}
