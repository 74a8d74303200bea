//! From evidence to a trial's state: a pure decision, with a sentence that says why and the rule that
//! was followed.
//!
//! The worker's own last record decides where there is one. The scheduler is a witness: it tells of
//! ends that left no record. What nobody could be asked about is never "gone".

use super::witness::{Witness, witness};
use super::{AttemptFact, EndFact, Evidence, Fate, Rule, SubmissionFact, TrialState};
use crate::event::{Outcome, StopReason};
use crate::scheduler::TaskEnd;

/// Seconds without a record after which an attempt that nobody knows of is lost. Workers write at
/// least every minute; the rest is for slow file servers.
const SILENCE: i64 = 600;

/// Seconds after which a job of which no worker ever wrote and that nobody knows of is lost: it cannot
/// have ended and been forgotten so soon, and one that begins all the same finds another's claim.
const NEVER_BEGAN: i64 = 120;

/// How a trial stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The state.
    pub state: TrialState,
    /// The sentence that says why.
    pub why: String,
    /// The rule that was followed.
    pub rule: Rule,
}

fn verdict(state: impl Into<TrialState>, rule: Rule, why: impl Into<String>) -> Verdict {
    Verdict { state: state.into(), why: why.into(), rule }
}

/// Decides how a trial stands.
#[must_use]
pub fn derive(evidence: &Evidence) -> Verdict {
    let Some(attempt) = current_attempt(evidence) else {
        return without_attempt(evidence);
    };
    let number = attempt.number;
    let Some(end) = &attempt.end else { return without_end(evidence, attempt) };
    match end.outcome {
        Some(Outcome::Finished) => verdict(
            TrialState::Finished,
            Rule::WorkerFinished,
            format!("attempt {number} reached the end"),
        ),
        Some(Outcome::Diverged) => verdict(
            TrialState::Diverged,
            Rule::WorkerDiverged,
            told(number, "diverged", end.error.as_deref()),
        ),
        Some(Outcome::Failed) => verdict(
            TrialState::Failed,
            Rule::WorkerFailed,
            told(number, "failed", end.error.as_deref()),
        ),
        Some(Outcome::Stopped) => stopped(evidence, attempt, end),
        Some(Outcome::Spent) => verdict(
            TrialState::TimedOut,
            Rule::WorkerSpent,
            format!(
                "attempt {number} saved a checkpoint and left: max_train_time is used up, with \
                 more of it the trial goes on"
            ),
        ),
        Some(Outcome::Superseded) => left(evidence, number),
        None => verdict(
            TrialState::Unknown("outcome".to_owned()),
            Rule::WorkerWordUnknown,
            format!("attempt {number} ended with a word of another version"),
        ),
    }
}

/// The attempt that counts: one of the newest submission, or one that began after it.
fn current_attempt(evidence: &Evidence) -> Option<&AttemptFact> {
    let attempt = evidence.attempt.as_ref()?;
    let Some(submission) = &evidence.submission else { return Some(attempt) };
    let same = attempt.token == Some(submission.token);
    // A worker started by hand has no token.
    let by_hand = attempt.token.is_none()
        && attempt.started_at.is_some_and(|started| started >= submission.intended_at);
    (same || by_hand).then_some(attempt)
}

fn told(number: u32, what: &str, error: Option<&str>) -> String {
    match error {
        Some(error) => format!("attempt {number} {what}: {error}"),
        None => format!("attempt {number} {what}"),
    }
}

/// Only attempts that left for another one are there, and that one is not to be seen.
fn left(evidence: &Evidence, number: u32) -> Verdict {
    let without = without_attempt(evidence);
    if without.state != TrialState::Planned {
        return without;
    }
    let why = format!("attempt {number} left for another one that is not there");
    verdict(TrialState::Lost, Rule::LeftForNobody, why)
}

/// The worker stopped with a checkpoint: does the job come back, and if not, why did it end?
fn stopped(evidence: &Evidence, attempt: &AttemptFact, end: &EndFact) -> Verdict {
    let number = attempt.number;
    let why = end.reason.map_or("stopped", reason_words);
    let tell = |rest: &str| format!("attempt {number} saved a checkpoint and left: {why}; {rest}");
    let says = |word: &str| tell(&format!("the scheduler says {word}"));
    if let Some(cancel) = &evidence.cancelled {
        let why = tell(&format!("cancelled by {}", cancel.by));
        return verdict(TrialState::Cancelled, Rule::CancelledByRegatta, why);
    }
    let cancelled = |rule, rest| verdict(TrialState::Cancelled, rule, tell(rest));
    match end.reason {
        Some(StopReason::Cancelled) => {
            return cancelled(Rule::CancelledByMark, "a cancel mark stood");
        }
        Some(StopReason::Interrupted) => return cancelled(Rule::CancelledByHand, "by hand"),
        _ => {}
    }
    let by_reason = match end.reason {
        Some(StopReason::Terminated) => TrialState::Preempted,
        _ => TrialState::TimedOut,
    };
    let reason = |why: String| verdict(by_reason.clone(), Rule::StoppedByReason, why);
    let Some(submission) = &evidence.submission else {
        return reason(tell("no scheduler runs it again"));
    };
    match witness(submission, Some(attempt.ours(end.at, evidence)), evidence) {
        Witness::Pending(word) | Witness::Running(word) => {
            verdict(TrialState::Waiting, Rule::StoppedComesBack, says(&word))
        }
        // Exit code 75 makes the job FAILED (or COMPLETED where the script hid it).
        Witness::Ended(TaskEnd::Completed | TaskEnd::Failed, word) => reason(says(&word)),
        Witness::Ended(TaskEnd::Cancelled, word) => {
            verdict(TrialState::Cancelled, Rule::CancelledByScancel, says(&word))
        }
        Witness::Ended(end, word) => verdict(end, Rule::StoppedBySchedulersWord, says(&word)),
        Witness::OverMemory(word) => {
            verdict(TrialState::OutOfMemory, Rule::OutOfMemoryByExitCode, says(&word))
        }
        Witness::Absent(words) | Witness::Lost(words) => reason(tell(&words)),
        Witness::Unknown(word) => {
            let why = says(&word);
            verdict(TrialState::Unknown(word), Rule::SchedulersWordUnknown, why)
        }
        Witness::Silent => {
            let why = tell("whether the job comes back was not asked since");
            verdict(TrialState::Waiting, Rule::StoppedNotAsked, why)
        }
    }
}

/// No last word: the attempt works, or something ended it.
fn without_end(evidence: &Evidence, attempt: &AttemptFact) -> Verdict {
    let silent = attempt.silent(evidence);
    let record = record_words(attempt.number, silent);
    let is_silent = silent.is_some_and(|seconds| seconds > SILENCE);
    let running = |rule, rest: &str| verdict(TrialState::Running, rule, format!("{record}{rest}"));
    let Some(submission) = &evidence.submission else {
        return if is_silent {
            let why = format!("{record}, and no scheduler knows of it");
            verdict(TrialState::Lost, Rule::SilentByHand, why)
        } else {
            running(Rule::Working, "")
        };
    };
    let since = attempt.started_at.map(|started| attempt.ours(started, evidence));
    match witness(submission, since, evidence) {
        Witness::Running(word) => running(Rule::Working, &format!("; the scheduler says {word}")),
        Witness::Pending(word) => {
            let why = format!("{record}; the scheduler will run it again: {word}");
            verdict(TrialState::Waiting, Rule::QueuedAgain, why)
        }
        Witness::Ended(TaskEnd::Completed, word) if !is_silent => running(
            Rule::LastWordOnTheWay,
            &format!("; the scheduler says {word}, its last word may be on the way"),
        ),
        Witness::Ended(TaskEnd::Completed, word) => {
            let why = format!("{record} and is not its last; the scheduler says {word}");
            verdict(TrialState::Lost, Rule::LastWordMissing, why)
        }
        Witness::Ended(TaskEnd::Failed, word) if !is_silent && attempt.stop.is_some() => running(
            Rule::LastWordOnTheWay,
            &format!("; the scheduler says {word}, it was asked to stop"),
        ),
        Witness::Ended(end, word) => killed(evidence, end, &record, &word),
        Witness::OverMemory(word) => {
            let why = format!("{record} and is not its last; the scheduler says {word}");
            verdict(TrialState::OutOfMemory, Rule::OutOfMemoryByExitCode, why)
        }
        Witness::Unknown(word) => {
            let why = format!("{record}; the scheduler says {word}");
            verdict(TrialState::Unknown(word), Rule::SchedulersWordUnknown, why)
        }
        Witness::Lost(seen) => vanished(evidence, format!("{record}; {seen}")),
        Witness::Absent(words) if is_silent => vanished(evidence, format!("{record}; {words}")),
        Witness::Absent(words) => running(Rule::Working, &format!("; {words}")),
        Witness::Silent => running(Rule::Working, "; the scheduler was not asked since"),
    }
}

/// The scheduler tells of the end of an attempt that left no last word.
fn killed(evidence: &Evidence, end: TaskEnd, record: &str, word: &str) -> Verdict {
    let mut why = format!("{record} and is not its last; the scheduler says {word}");
    match (&evidence.cancelled, end) {
        (Some(cancel), TaskEnd::Failed | TaskEnd::Cancelled) => {
            why.push_str(&format!("; cancelled by {}", cancel.by));
            verdict(TrialState::Cancelled, Rule::CancelledByRegatta, why)
        }
        (None, TaskEnd::Cancelled) => verdict(end, Rule::CancelledByScancel, why),
        _ => verdict(end, Rule::KilledBySchedulersWord, why),
    }
}

fn vanished(evidence: &Evidence, mut why: String) -> Verdict {
    match &evidence.cancelled {
        Some(cancel) => {
            why.push_str(&format!("; cancelled by {}", cancel.by));
            verdict(TrialState::Cancelled, Rule::CancelledByRegatta, why)
        }
        None => verdict(TrialState::Lost, Rule::Vanished, why),
    }
}

/// How long an attempt has been silent, by the controller's clock.
fn record_words(number: u32, silent: Option<i64>) -> String {
    match silent {
        Some(seconds) => format!("attempt {number}'s last record is {seconds} s old"),
        None => format!("attempt {number} has not written yet"),
    }
}

/// No attempt belongs to the newest submission.
fn without_attempt(evidence: &Evidence) -> Verdict {
    if let Some(cancel) = &evidence.cancelled {
        let mut why = format!("cancelled by {} before it began", cancel.by);
        let lives =
            evidence.submission.as_ref().map(|made| witness(made, Some(cancel.at), evidence));
        if let Some(Witness::Pending(word) | Witness::Running(word)) = lives {
            why.push_str(&format!("; the scheduler still says {word}: cancel it once more"));
        }
        return verdict(TrialState::Cancelled, Rule::CancelledBeforeBegin, why);
    }
    let Some(submission) = &evidence.submission else { return planned(evidence) };
    let job = match &submission.fate {
        Fate::Accepted { job } => format!("{} job {job}_{}", submission.scheduler, submission.task),
        Fate::Unheard => {
            let why = format!("{} was asked and no answer was heard", submission.scheduler);
            return verdict(TrialState::Submitted, Rule::AnswerUnheard, why);
        }
    };
    submitted(evidence, submission, &job)
}

/// Nothing holds the trial.
fn planned(evidence: &Evidence) -> Verdict {
    let (rule, why) = match &evidence.refused {
        None => (Rule::NothingSubmitted, "nothing was submitted".to_owned()),
        Some(refused) if refused.limit => (
            Rule::SubmissionLimited,
            format!("waits for room under a limit of the site: {}", refused.words),
        ),
        Some(refused) if refused.absent => (
            Rule::SubmissionNeverArrived,
            format!("the submission never arrived: {}", refused.words),
        ),
        Some(refused) => (Rule::SubmissionRefused, format!("refused: {}", refused.words)),
    };
    verdict(TrialState::Planned, rule, why)
}

/// The scheduler accepted it, and no worker wrote.
fn submitted(evidence: &Evidence, submission: &SubmissionFact, job: &str) -> Verdict {
    let waited = (evidence.now.as_second() - submission.intended_at.as_second()).max(0);
    let submitted =
        |rule, rest: &str| verdict(TrialState::Submitted, rule, format!("{job}: {rest}"));
    match witness(submission, None, evidence) {
        Witness::Pending(word) => submitted(Rule::InQueue, &word),
        Witness::Running(word) => {
            let why = format!("{job}: {word}; the worker has not written yet");
            verdict(TrialState::Running, Rule::Starting, why)
        }
        Witness::Ended(TaskEnd::Completed, word) => match &evidence.attempt {
            Some(AttemptFact {
                number,
                end: Some(EndFact { outcome: Some(Outcome::Finished), .. }),
                ..
            }) => {
                let why = format!("attempt {number} reached the end before {job}");
                verdict(TrialState::Finished, Rule::FinishedEarlier, why)
            }
            _ => {
                let why = format!("{job}: {word}, but the worker never wrote");
                verdict(TrialState::Lost, Rule::CompletedWithoutWorker, why)
            }
        },
        Witness::Ended(end, word) => {
            let rule = match end {
                TaskEnd::Cancelled => Rule::CancelledByScancel,
                _ => Rule::EndedBeforeBegin,
            };
            verdict(end, rule, format!("{job}: {word}; the worker never wrote, see its log"))
        }
        Witness::OverMemory(word) => {
            let why = format!("{job}: {word}; the worker never wrote, see its log");
            verdict(TrialState::OutOfMemory, Rule::OutOfMemoryByExitCode, why)
        }
        Witness::Unknown(word) => {
            let why = format!("{job}: {word}");
            verdict(TrialState::Unknown(word), Rule::SchedulersWordUnknown, why)
        }
        Witness::Lost(seen) => {
            verdict(TrialState::Lost, Rule::VanishedBeforeBegin, format!("{job}: {seen}"))
        }
        Witness::Absent(words) if waited > NEVER_BEGAN => {
            verdict(TrialState::Lost, Rule::VanishedBeforeBegin, format!("{job}: {words}"))
        }
        Witness::Absent(_) => submitted(Rule::NotKnownYet, "the scheduler does not know it yet"),
        Witness::Silent => submitted(Rule::NotAskedYet, "the scheduler was not asked since"),
    }
}

fn reason_words(reason: StopReason) -> &'static str {
    match reason {
        StopReason::TimeBudget => "its time was about to end",
        StopReason::TrainTime => "max_train_time is used up",
        StopReason::Warned => "the scheduler warned it",
        StopReason::Terminated => "it was told to terminate",
        StopReason::Interrupted => "it was interrupted",
        StopReason::Cancelled => "it was cancelled",
        StopReason::Superseded => "a newer attempt took over",
        StopReason::Collapsed => "the network collapsed",
        StopReason::Diverged => "training diverged",
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
