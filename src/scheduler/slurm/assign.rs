//! Which task a line of squeue or sacct is about, if it is about one of ours.

use std::collections::BTreeMap;

use super::parse::Row;
use crate::scheduler::{JobRef, Reports, TaskEnd, TaskRef, TaskReport, TaskState};
use crate::script::job_name;

/// Gives lines to the tasks that they are about, where the name proves that the job is ours. The
/// others are foreign.
pub(super) fn assign(
    jobs: &[JobRef],
    rows: Vec<Row>,
    foreign: &mut Vec<(JobRef, String)>,
) -> Reports {
    let by_id: BTreeMap<&str, &JobRef> = jobs.iter().map(|job| (job.id.as_str(), job)).collect();
    let mut reports = Reports::new();
    let mut rest = Vec::new();
    for row in rows {
        let Some(job) = by_id.get(row.job.as_str()) else { continue };
        if row.name != job_name(job.token) {
            let name: String = row.name.escape_debug().take(40).collect();
            let words =
                format!("job {} is another one now, `{name}`, and is not believed", row.job);
            if !foreign.iter().any(|(known, _)| known == *job) {
                foreign.push(((*job).clone(), words));
            }
            continue;
        }
        for index in row.tasks.iter().copied() {
            reports.insert(TaskRef { job: (*job).clone(), index }, row.report.clone());
        }
        if row.tasks.is_empty() {
            rest.push(((*job).clone(), row.report));
        }
    }
    // An array that was cancelled as a whole has one line for all tasks that never began.
    for (job, report) in rest {
        for index in 0..job.tasks {
            reports.entry(TaskRef { job: job.clone(), index }).or_insert_with(|| report.clone());
        }
    }
    reports
}

/// Says whether it was cancelled and nobody said by whom.
pub(super) fn is_anonymous(report: &TaskReport) -> bool {
    report.word == "CANCELLED"
}

pub(super) fn missing(jobs: &[JobRef], reports: &Reports) -> Vec<TaskRef> {
    let tasks =
        jobs.iter().flat_map(|job| (0..job.tasks).map(|index| TaskRef { job: job.clone(), index }));
    tasks.filter(|task| !reports.contains_key(task)).collect()
}

pub(super) fn cancelled() -> TaskReport {
    let state = TaskState::Ended(TaskEnd::Cancelled);
    TaskReport {
        state,
        word: "CANCELLED".to_owned(),
        restarts: 0,
        node: None,
        exit: None,
        inferred: true,
    }
}
