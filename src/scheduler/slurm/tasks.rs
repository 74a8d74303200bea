//! Which line is about which task: a job's number alone proves nothing, its name does.

use std::collections::BTreeMap;

use super::parse::Row;
use crate::scheduler::{JobRef, Reports, TaskEnd, TaskRef, TaskReport, TaskState};
use crate::script::job_name;

/// Gives lines to the tasks that they are about, where the name proves that the job is ours.
pub(super) fn assign(jobs: &[JobRef], rows: Vec<Row>) -> Reports {
    let by_id: BTreeMap<&str, &JobRef> = jobs.iter().map(|job| (job.id.as_str(), job)).collect();
    let mut reports = Reports::new();
    let mut rest = Vec::new();
    for row in rows {
        let Some(job) = by_id.get(row.job.as_str()).filter(|job| row.name == job_name(job.token))
        else {
            continue;
        };
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

pub(super) fn missing(jobs: &[JobRef], reports: &Reports) -> Vec<TaskRef> {
    let tasks =
        jobs.iter().flat_map(|job| (0..job.tasks).map(|index| TaskRef { job: job.clone(), index }));
    tasks.filter(|task| !reports.contains_key(task)).collect()
}

pub(super) fn cancelled() -> TaskReport {
    let state = TaskState::Ended(TaskEnd::Cancelled);
    TaskReport { state, word: "CANCELLED".to_owned(), restarts: 0, node: None, exit: None }
}
