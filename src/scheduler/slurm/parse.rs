//! What squeue, sacct, sbatch and scontrol print, as values. Text, because it has been stable
//! through all versions, where the JSON has not.

use std::collections::BTreeMap;
use std::time::Duration;

use super::state::state;
use crate::event::ExitCode;
use crate::scheduler::{TaskReport, TaskState};

/// Columns of squeue, in the form that does not cut them off.
pub(super) const SQUEUE_COLUMNS: &str =
    "ArrayJobID:|,ArrayTaskID:|,State:|,Reason:|,RestartCnt:|,NodeList:|,Name:|,exit_code:|";
/// Columns of sacct.
pub(super) const SACCT_COLUMNS: &str = "JobID,JobName,State,NodeList,ExitCode";

/// What a line says of a task, or of all tasks of an array that have no line of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Id of the array.
    pub(super) job: String,
    /// Name of the job.
    pub(super) name: String,
    /// The tasks it is about; empty: those without a line.
    pub(super) tasks: Vec<u32>,
    pub(super) report: TaskReport,
}

/// Tasks that an answer may be about. A short text could name far more than any cluster has.
const MOST_TASKS: usize = 16_000_000;

/// The rows up to those that no cluster could have.
fn within_reason(rows: impl Iterator<Item = Row>) -> Vec<Row> {
    let mut tasks = 0_usize;
    let fits = |row: &Row| {
        tasks = tasks.saturating_add(row.tasks.len());
        tasks < MOST_TASKS
    };
    rows.take_while(fits).collect()
}

/// Reads the answer of squeue. Lines that are none of ours (warnings, headers) are left out.
pub(super) fn squeue(text: &str) -> Vec<Row> {
    within_reason(text.lines().filter_map(squeue_line))
}

fn squeue_line(line: &str) -> Option<Row> {
    let columns: Vec<&str> = line.split('|').map(str::trim).collect();
    let [job, task, word, reason, restarts, node, name, rest @ ..] = columns.as_slice() else {
        return None;
    };
    if job.is_empty() || !job.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let state = state(word, reason);
    // Of a task that is not over, the status is that of its last start, or nothing.
    let status = rest.first().filter(|_| matches!(state, TaskState::Ended(_)));
    let report = TaskReport {
        state,
        word: (*word).to_owned(),
        restarts: restarts.parse().unwrap_or(0),
        node: node_of(node),
        exit: status.and_then(|status| status.parse().ok()).map(ExitCode::of_status),
        inferred: false,
    };
    Some(Row { job: (*job).to_owned(), name: (*name).to_owned(), tasks: indices(task), report })
}

/// Reads the answer of `sacct -n -P -X`.
pub(super) fn sacct(text: &str) -> Vec<Row> {
    within_reason(text.lines().filter_map(sacct_line))
}

fn sacct_line(line: &str) -> Option<Row> {
    let columns: Vec<&str> = line.split('|').map(str::trim).collect();
    let [id, name, word, node, rest @ ..] = columns.as_slice() else { return None };
    let (job, task) = id.split_once('_').unwrap_or((id, ""));
    if job.is_empty() || !job.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let report = TaskReport {
        state: state(word, "known to accounting"),
        word: (*word).to_owned(),
        restarts: 0,
        node: node_of(node),
        exit: rest.first().and_then(|exit| exit.parse().ok()),
        inferred: false,
    };
    Some(Row { job: job.to_owned(), name: (*name).to_owned(), tasks: indices(task), report })
}

fn node_of(text: &str) -> Option<String> {
    let none = text.is_empty() || text.starts_with('(') || text.starts_with("None");
    (!none).then(|| text.to_owned())
}

/// Reads `4`, `[0-2,5]`, `0-9:3%2`; nothing from `N/A`.
fn indices(text: &str) -> Vec<u32> {
    let text = text.trim_start_matches('[').trim_end_matches(']');
    let text = text.split('%').next().unwrap_or_default();
    let text = text.trim_end_matches(']');
    text.split(',').filter_map(range).flatten().take(MOST_TASKS).collect()
}

fn range(text: &str) -> Option<Vec<u32>> {
    let (span, step) = text.split_once(':').unwrap_or((text, "1"));
    let (first, last) = span.split_once('-').unwrap_or((span, span));
    let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
    let step: usize = step.parse().ok().filter(|step| *step > 0)?;
    // No cluster allows arrays of more than 4 million tasks.
    (last <= 4_000_000).then(|| (first..=last).step_by(step).collect())
}

/// Reads what `sbatch --parsable` prints: `JOBID` or `JOBID;CLUSTER`. Some sites print more around.
pub(super) fn job_id(text: &str) -> Option<String> {
    let id_of = |line: &str| {
        let id = line.trim().split(';').next().unwrap_or_default();
        (!id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())).then(|| id.to_owned())
    };
    text.lines().rev().find_map(id_of)
}

/// What a cluster allows and does, from `scontrol show config`. What it does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// SLURM's version.
    pub version: Option<String>,
    /// Name of the cluster.
    pub cluster: Option<String>,
    /// One more than the highest task number of an array.
    pub max_array_size: Option<u32>,
    /// Jobs that the controller keeps in memory, ended ones included.
    pub max_job_count: Option<u32>,
    /// How long an ended job is remembered.
    pub min_job_age: Option<Duration>,
    /// Time between TERM and KILL.
    pub kill_wait: Option<Duration>,
    /// What happens to preempted jobs (`REQUEUE`, `CANCEL`, `OFF`).
    pub preempt_mode: Option<String>,
    /// Whether jobs keep accounts, so that `sacct` knows of old ones.
    pub accounting: bool,
}

impl Limits {
    /// Returns the greatest number of tasks that an array may have.
    #[must_use]
    pub fn tasks_per_array(&self) -> Option<u32> {
        self.max_array_size
    }

    pub(super) fn parse(text: &str) -> Self {
        let pairs: BTreeMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim()))
            .collect();
        let word = |key: &str| pairs.get(key).map(|value| (*value).to_owned());
        let number = |key: &str| pairs.get(key)?.split(' ').next()?.parse::<u32>().ok();
        let seconds = |key: &str| number(key).map(|n| Duration::from_secs(n.into()));
        let storage = word("AccountingStorageType").unwrap_or_default();
        Self {
            version: word("SLURM_VERSION"),
            cluster: word("ClusterName"),
            max_array_size: number("MaxArraySize"),
            max_job_count: number("MaxJobCount"),
            min_job_age: seconds("MinJobAge"),
            kill_wait: seconds("KillWait"),
            preempt_mode: word("PreemptMode"),
            accounting: storage.contains("slurmdbd"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::TaskEnd;

    #[test]
    fn pending_tasks_are_told_apart() {
        assert_eq!(indices("4"), [4]);
        assert_eq!(indices("[0-2,5]"), [0, 1, 2, 5]);
        assert_eq!(indices("0-9:3%2"), [0, 3, 6, 9]);
        assert_eq!(indices("[2-3%2]"), [2, 3]);
        for nothing in ["N/A", "", "4294967294-4294967295", "x"] {
            assert!(indices(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn a_short_text_takes_no_memory_beyond_reason() {
        let all = "0-3999999,".repeat(500);
        let rows = squeue(&format!("7|{all}|PENDING|x|0||n|\n8|1|RUNNING|x|0|a|n|\n"));
        assert!(rows.is_empty(), "not even the first is believed");
        let line = "7|0-3999999|PENDING|x|0||n|\n".repeat(500);
        assert_eq!(squeue(&line).len(), 3);
    }

    #[test]
    fn a_line_of_squeue_becomes_a_report() {
        let rows = squeue(
            "slurm: warning\n7|2|RUNNING|None|1|n2|regatta-x|\n7|N/A|CANCELLED|x|0||regatta-x|\n",
        );
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].tasks.as_slice(), rows[0].report.restarts), ([2].as_slice(), 1));
        assert_eq!(rows[0].report.node.as_deref(), Some("n2"));
        assert_eq!((rows[1].tasks.len(), rows[1].report.node.as_deref()), (0, None));
    }

    #[test]
    fn a_line_of_sacct_becomes_a_report() {
        let rows =
            sacct("7_3|regatta-x|CANCELLED by 0|n1\n7_[4-5]|regatta-x|PENDING|None assigned\n");
        assert_eq!(rows[0].report.state, TaskState::Ended(TaskEnd::Cancelled));
        assert_eq!(rows[1].tasks, [4, 5]);
    }

    #[test]
    fn an_id_is_found_among_chatter() {
        assert_eq!(job_id("123\n").as_deref(), Some("123"));
        assert_eq!(job_id("123;cluster\n").as_deref(), Some("123"));
        assert_eq!(job_id("Welcome to the cluster!\n42\n\n").as_deref(), Some("42"));
        assert_eq!(job_id("Submitted batch job"), None);
    }
}
