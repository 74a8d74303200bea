//! From evidence to a trial's state: a pure decision, with a sentence that says why.
//!
//! The worker's own last record decides where there is one. The scheduler is a witness: it tells of
//! ends that left no record. What nobody could be asked about is never "gone".

use jiff::Timestamp;

use super::{AttemptFact, EndFact, Evidence, Fate, Sight, SubmissionFact, TrialState};
use crate::event::{Outcome, StopReason};
use crate::scheduler::{TaskEnd, TaskState};

/// Seconds without a record after which an attempt that nobody knows of is lost. Workers write at
/// least every minute; the rest is for slow file servers.
const SILENCE: i64 = 600;

/// Seconds for which a word of the scheduler about a task that is not over counts.
const FRESH: i64 = 900;

/// A state and the sentence that says why.
pub type Verdict = (TrialState, String);

/// Decides how a trial stands.
#[must_use]
pub fn derive(evidence: &Evidence) -> Verdict {
    let Some(attempt) = current_attempt(evidence) else {
        return without_attempt(evidence);
    };
    let number = attempt.number;
    match &attempt.end {
        Some(end) => match end.outcome {
            Some(Outcome::Finished) => {
                (TrialState::Finished, format!("attempt {number} reached the end"))
            }
            Some(Outcome::Diverged) => {
                (TrialState::Diverged, told(number, "diverged", end.error.as_deref()))
            }
            Some(Outcome::Failed) => {
                (TrialState::Failed, told(number, "failed", end.error.as_deref()))
            }
            Some(Outcome::Stopped) => stopped(evidence, number, end),
            Some(Outcome::Spent) => (
                TrialState::TimedOut,
                format!(
                    "attempt {number} saved a checkpoint and left: max_train_time is used up, with \
                     more of it the trial goes on"
                ),
            ),
            Some(Outcome::Superseded) => left(evidence, number),
            None => (
                TrialState::Unknown("outcome".to_owned()),
                format!("attempt {number} ended with a word of another version"),
            ),
        },
        None => without_end(evidence, attempt),
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
    match without_attempt(evidence) {
        (TrialState::Planned, _) => {
            (TrialState::Lost, format!("attempt {number} left for another one that is not there"))
        }
        verdict => verdict,
    }
}

/// The worker stopped with a checkpoint: does the job come back, and if not, why did it end?
fn stopped(evidence: &Evidence, number: u32, end: &EndFact) -> Verdict {
    let why = end.reason.map_or("stopped", reason_words);
    let tell = |rest: &str| format!("attempt {number} saved a checkpoint and left: {why}; {rest}");
    if let Some(cancel) = &evidence.cancelled {
        return (TrialState::Cancelled, tell(&format!("cancelled by {}", cancel.by)));
    }
    match end.reason {
        Some(StopReason::Cancelled) => return (TrialState::Cancelled, tell("a cancel mark stood")),
        Some(StopReason::Interrupted) => return (TrialState::Cancelled, tell("by hand")),
        _ => {}
    }
    let by_reason = match end.reason {
        Some(StopReason::Terminated) => TrialState::Preempted,
        _ => TrialState::TimedOut,
    };
    let Some(submission) = &evidence.submission else {
        return (by_reason, tell("no scheduler runs it again"));
    };
    match witness(submission, Some(end.at), evidence.now) {
        Witness::Pending(word) | Witness::Running(word) => {
            (TrialState::Waiting, tell(&format!("the scheduler says {word}")))
        }
        // Exit code 75 makes the job FAILED (or COMPLETED where the script hid it).
        Witness::Ended(TaskEnd::Completed | TaskEnd::Failed, word) => {
            (by_reason, tell(&format!("the scheduler says {word}")))
        }
        Witness::Ended(task_end, word) => {
            (task_end.into(), tell(&format!("the scheduler says {word}")))
        }
        Witness::Absent => (by_reason, tell("the scheduler no longer knows the job")),
        Witness::Unknown(word) => {
            (TrialState::Unknown(word.clone()), tell(&format!("the scheduler says {word}")))
        }
        Witness::Lost(evidence) => (by_reason, tell(&evidence)),
        Witness::Silent => {
            (TrialState::Waiting, tell("whether the job comes back was not asked since"))
        }
    }
}

/// No last word: the attempt works, or something ended it.
fn without_end(evidence: &Evidence, attempt: &AttemptFact) -> Verdict {
    let number = attempt.number;
    let silent = attempt.seen_at.map(|seen| seconds(evidence.now, seen));
    let record = match silent {
        Some(seconds) => format!("attempt {number}'s last record is {seconds} s old"),
        None => format!("attempt {number} has not written yet"),
    };
    let is_silent = silent.is_some_and(|seconds| seconds > SILENCE);
    let running = |rest: &str| (TrialState::Running, format!("{record}{rest}"));
    let Some(submission) = &evidence.submission else {
        return if is_silent {
            (TrialState::Lost, format!("{record}, and no scheduler knows of it"))
        } else {
            running("")
        };
    };
    match witness(submission, attempt.started_at, evidence.now) {
        Witness::Running(word) => running(&format!("; the scheduler says {word}")),
        Witness::Pending(word) => {
            (TrialState::Waiting, format!("{record}; the scheduler will run it again: {word}"))
        }
        Witness::Ended(TaskEnd::Completed, word) if !is_silent => {
            running(&format!("; the scheduler says {word}, its last word may be on the way"))
        }
        Witness::Ended(TaskEnd::Completed, word) => {
            (TrialState::Lost, format!("{record} and is not its last; the scheduler says {word}"))
        }
        Witness::Ended(TaskEnd::Failed, word) if !is_silent && attempt.stop.is_some() => {
            running(&format!("; the scheduler says {word}, it was asked to stop"))
        }
        Witness::Ended(end, word) => {
            let state = match (&evidence.cancelled, end) {
                (Some(_), TaskEnd::Failed) => TrialState::Cancelled,
                _ => end.into(),
            };
            (state, format!("{record} and is not its last; the scheduler says {word}"))
        }
        Witness::Unknown(word) => {
            (TrialState::Unknown(word.clone()), format!("{record}; the scheduler says {word}"))
        }
        Witness::Lost(seen) => (lost_or_cancelled(evidence), format!("{record}; {seen}")),
        Witness::Absent if is_silent => (
            lost_or_cancelled(evidence),
            format!("{record}; the scheduler no longer knows the job"),
        ),
        Witness::Absent => running("; the scheduler no longer knows the job"),
        Witness::Silent => running("; the scheduler was not asked since"),
    }
}

fn lost_or_cancelled(evidence: &Evidence) -> TrialState {
    if evidence.cancelled.is_some() { TrialState::Cancelled } else { TrialState::Lost }
}

/// No attempt belongs to the newest submission.
fn without_attempt(evidence: &Evidence) -> Verdict {
    if let Some(cancel) = &evidence.cancelled {
        return (TrialState::Cancelled, format!("cancelled by {} before it began", cancel.by));
    }
    let Some(submission) = &evidence.submission else {
        let why = match &evidence.refused {
            Some(words) => format!("refused: {words}"),
            None => "nothing was submitted".to_owned(),
        };
        return (TrialState::Planned, why);
    };
    let job = match &submission.fate {
        Fate::Accepted { job } => format!("{} job {job}_{}", submission.scheduler, submission.task),
        Fate::Unheard => {
            let why = format!("{} was asked and no answer was heard", submission.scheduler);
            return (TrialState::Submitted, why);
        }
    };
    let waited = seconds(evidence.now, submission.intended_at);
    match witness(submission, None, evidence.now) {
        Witness::Pending(word) => (TrialState::Submitted, format!("{job}: {word}")),
        Witness::Running(word) => {
            (TrialState::Running, format!("{job}: {word}; the worker has not written yet"))
        }
        Witness::Ended(TaskEnd::Completed, word) => match &evidence.attempt {
            Some(AttemptFact {
                number,
                end: Some(EndFact { outcome: Some(Outcome::Finished), .. }),
                ..
            }) => (TrialState::Finished, format!("attempt {number} reached the end before {job}")),
            _ => (TrialState::Lost, format!("{job}: {word}, but the worker never wrote")),
        },
        Witness::Ended(end, word) => {
            (end.into(), format!("{job}: {word}; the worker never wrote, see its log"))
        }
        Witness::Unknown(word) => (TrialState::Unknown(word.clone()), format!("{job}: {word}")),
        Witness::Lost(seen) => (TrialState::Lost, format!("{job}: {seen}")),
        Witness::Absent if waited > SILENCE => {
            (TrialState::Lost, format!("{job}: the scheduler does not know it"))
        }
        Witness::Absent => {
            (TrialState::Submitted, format!("{job}: the scheduler does not know it yet"))
        }
        Witness::Silent => {
            (TrialState::Submitted, format!("{job}: the scheduler was not asked since"))
        }
    }
}

/// What the scheduler knows of a task, as far as it is not older than `since`.
enum Witness {
    Pending(String),
    Running(String),
    Ended(TaskEnd, String),
    Unknown(String),
    Absent,
    Lost(String),
    Silent,
}

fn witness(submission: &SubmissionFact, since: Option<Timestamp>, now: Timestamp) -> Witness {
    let counts = |at: Timestamp| since.is_none_or(|since| at >= since);
    if let Some(sighting) = submission.seen.as_ref().filter(|sighting| counts(sighting.at)) {
        let fresh = seconds(now, sighting.at) <= FRESH;
        match &sighting.sight {
            Sight::Seen(report) => match &report.state {
                TaskState::Ended(end) => return Witness::Ended(*end, report.word.clone()),
                TaskState::Pending(reason) if fresh => {
                    return Witness::Pending(join(&report.word, reason));
                }
                TaskState::Running if fresh => return Witness::Running(report.word.clone()),
                TaskState::Unknown(word) if fresh => return Witness::Unknown(word.clone()),
                _ => {}
            },
            // What it said before it forgot is worth more.
            Sight::Absent if submission.ended.is_none() && submission.lost.is_none() => {
                return Witness::Absent;
            }
            Sight::Absent => {}
        }
    }
    if let Some((word, _)) = submission.ended.as_ref().filter(|(_, at)| counts(*at)) {
        return match TaskEnd::of_word(word) {
            Some(end) => Witness::Ended(end, word.clone()),
            None => Witness::Unknown(word.clone()),
        };
    }
    match submission.lost.as_ref().filter(|(_, at)| counts(*at)) {
        Some((seen, _)) => Witness::Lost(seen.clone()),
        None => Witness::Silent,
    }
}

fn join(word: &str, reason: &str) -> String {
    if reason.is_empty() { word.to_owned() } else { format!("{word} ({reason})") }
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

/// Machines' clocks differ a little: what lies ahead is now.
fn seconds(now: Timestamp, then: Timestamp) -> i64 {
    (now.as_second() - then.as_second()).max(0)
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
