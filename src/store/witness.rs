//! What the scheduler knows of a task, as far as it still counts.

use jiff::Timestamp;

use super::{Evidence, Sight, SubmissionFact};
use crate::event::ExitCode;
use crate::scheduler::{TaskEnd, TaskState};

/// Seconds for which a word of the scheduler about a task that is not over counts.
const FRESH: i64 = 900;

/// What the scheduler knows of a task, with its words.
pub(super) enum Witness {
    Pending(String),
    Running(String),
    Ended(TaskEnd, String),
    /// An end by memory, of which its exit code tells, not its word.
    OverMemory(String),
    Unknown(String),
    Absent(String),
    Lost(String),
    Silent,
}

/// Asks the newest poll and the journal, as far as they are not older than `since`.
pub(super) fn witness(
    submission: &SubmissionFact,
    since: Option<Timestamp>,
    evidence: &Evidence,
) -> Witness {
    let counts = |at: Timestamp| since.is_none_or(|since| at >= since);
    if let Some(sighting) = submission.seen.as_ref().filter(|sighting| counts(sighting.at)) {
        let fresh = (evidence.now.as_second() - sighting.at.as_second()).max(0) <= FRESH;
        match &sighting.sight {
            Sight::Seen(report) => match &report.state {
                TaskState::Ended(end) => {
                    return ended(*end, &report.word, report.exit, report.node.as_deref());
                }
                TaskState::Pending(reason) if fresh => {
                    return Witness::Pending(pending(&report.word, reason));
                }
                TaskState::Running if fresh => return Witness::Running(report.word.clone()),
                TaskState::Unknown(word) if fresh => return Witness::Unknown(word.clone()),
                _ => {}
            },
            Sight::Absent => {
                // What it said before it forgot is worth more, but not of an earlier start.
                let told = submission.ended.as_ref().map(|told| told.at);
                let lost = submission.lost.as_ref().map(|(_, at)| *at);
                if !told.into_iter().chain(lost).any(counts) {
                    return Witness::Absent(absent(submission));
                }
            }
        }
    }
    if let Some(told) = submission.ended.as_ref().filter(|told| counts(told.at)) {
        return match TaskEnd::of_word(&told.word) {
            Some(end) => ended(end, &told.word, told.exit, told.node.as_deref()),
            None => Witness::Unknown(told.word.clone()),
        };
    }
    match submission.lost.as_ref().filter(|(_, at)| counts(*at)) {
        Some((seen, _)) => Witness::Lost(seen.clone()),
        None => Witness::Silent,
    }
}

fn ended(end: TaskEnd, word: &str, exit: Option<ExitCode>, node: Option<&str>) -> Witness {
    let mut words = word.to_owned();
    if let Some(exit) = exit.filter(|exit| *exit != ExitCode::default()) {
        words.push_str(&format!(", exit code {exit}"));
    }
    if let Some(node) = node {
        words.push_str(&format!(", on {node}"));
    }
    match (end, exit) {
        (TaskEnd::Failed, Some(ExitCode::OUT_OF_MEMORY)) => Witness::OverMemory(words),
        (TaskEnd::Failed, Some(exit)) if exit.is_killed() => {
            words.push_str(" (killed; perhaps for its memory, but that is no proof of it)");
            Witness::Ended(end, words)
        }
        _ => Witness::Ended(end, words),
    }
}

fn absent(submission: &SubmissionFact) -> String {
    match &submission.foreign {
        Some(foreign) => format!("the scheduler no longer knows the job ({foreign})"),
        None => "the scheduler no longer knows the job".to_owned(),
    }
}

fn pending(word: &str, reason: &str) -> String {
    match (reason, held(reason)) {
        ("", _) => word.to_owned(),
        (_, Some(held)) => format!("{word} ({reason}): {held}"),
        (_, None) => format!("{word} ({reason})"),
    }
}

/// What a reason of SLURM (`man squeue`, "JOB REASON CODES") means for whoever waits.
fn held(reason: &str) -> Option<&'static str> {
    let has = |parts: &[&str]| parts.iter().any(|part| reason.contains(part));
    if has(&["JobHeld", "held", "ReqNodeNotAvail"]) {
        return Some(match has(&["ReqNodeNotAvail"]) {
            true => "the node that it asks for is down or reserved",
            false => "it is held, and starts when `scontrol release JOB_TASK` lets it go",
        });
    }
    if has(&["PerJob", "PerNode", "PartitionTimeLimit", "PartitionNodeLimit", "PartitionConfig"]) {
        return Some("it asks for more than the site allows one job, and will not start as it is");
    }
    let ours = reason == "JobArrayTaskLimit";
    (!ours && (has(&["Limit"]) || reason.starts_with("QOS") || reason.starts_with("Assoc")))
        .then_some("a limit of the site; it starts when there is room")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_a_site_are_told_from_a_busy_queue() {
        for reason in ["Priority", "Resources", "BeginTime", "JobArrayTaskLimit", "None"] {
            assert_eq!(held(reason), None, "{reason}");
        }
        for reason in ["QOSMaxJobsPerUserLimit", "AssocGrpCpuLimit", "QOSGrpGRES"] {
            assert!(held(reason).is_some_and(|words| words.contains("room")), "{reason}");
        }
        for reason in ["JobHeldUser", "JobHeldAdmin", "launch failed requeued held"] {
            assert!(held(reason).is_some_and(|words| words.contains("release")), "{reason}");
        }
        for reason in ["PartitionTimeLimit", "QOSMaxWallDurationPerJobLimit", "PartitionConfig"] {
            assert!(held(reason).is_some_and(|words| words.contains("not start")), "{reason}");
        }
    }
}
