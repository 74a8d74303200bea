//! Tasks of which squeue knows nothing: what accounts tell of them, and what follows from silence.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::assign::{assign, cancelled, is_anonymous, missing};
use super::parse::{self, SACCT_COLUMNS};
use super::queue::Snapshot;
use super::{AT_ONCE, Slurm, words};
use crate::scheduler::{JobRef, Reports, SchedulerError, TaskReport, TaskState};

impl Slurm {
    /// Asks the accounts; nothing where there are none or they do not answer.
    pub(super) async fn sacct(&self, which: &[&str]) -> String {
        if self.no_accounts.load(Ordering::Relaxed) {
            return String::new();
        }
        let mut arguments = words(&["-n", "-P", "-X", "-o", SACCT_COLUMNS]);
        arguments.extend(words(which));
        match self.caller.call("sacct", &arguments).await {
            Ok(answer) if answer.is_good() => answer.output,
            Ok(answer) => {
                let disabled = answer.errors.contains("accounting storage is disabled");
                self.no_accounts.store(disabled, Ordering::Relaxed);
                String::new()
            }
            Err(error) => {
                let missing = matches!(error, SchedulerError::Missing { .. });
                self.no_accounts.store(missing, Ordering::Relaxed);
                String::new()
            }
        }
    }

    /// Explains tasks of which squeue knows nothing: ended and forgotten, or cancelled while pending
    /// (such tasks of an array leave no record at all: seen with SLURM 22.05). What accounts told
    /// others since the snapshot is not asked again.
    pub(super) async fn explain(
        &self,
        jobs: &[JobRef],
        reports: &mut Reports,
        snapshot: &mut Snapshot,
    ) {
        {
            let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            for task in missing(jobs, reports) {
                if let Some(report) = ended.get(&task) {
                    reports.insert(task, report.clone());
                }
            }
            for (task, report) in reports.iter_mut().filter(|(_, report)| is_anonymous(report)) {
                // Asked once, whatever came of it.
                *report = ended.get(task).unwrap_or(report).clone();
            }
        }
        let mut ids: BTreeSet<String> =
            missing(jobs, reports).into_iter().map(|task| task.job.id).collect();
        ids.extend(self.anonymous(reports));
        ids.retain(|id| !snapshot.explained.contains(id));
        for some in ids.into_iter().collect::<Vec<_>>().chunks(AT_ONCE) {
            let told = self.sacct(&["-j", &some.join(",")]).await;
            snapshot.explain(some, &told);
        }
        let told = assign(jobs, parse::sacct(&snapshot.accounts), &mut Vec::new());
        let is_over = |report: &TaskReport| matches!(report.state, TaskState::Ended(_));
        {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            for (task, report) in told {
                // What still lives is squeue's to tell; the accounts may lag.
                let says_more = reports.get(&task).is_none_or(is_anonymous);
                if is_over(&report) && says_more {
                    ended.insert(task.clone(), report.clone());
                    reports.insert(task, report);
                }
            }
        }
        let known: BTreeSet<JobRef> = reports.keys().map(|task| task.job.clone()).collect();
        for task in missing(jobs, reports) {
            if known.contains(&task.job) && self.is_young(task.job.token).await {
                reports.insert(task, cancelled());
            }
        }
    }

    /// Jobs with tasks of which nobody said yet who cancelled them, where there are accounts to ask.
    fn anonymous(&self, reports: &Reports) -> Vec<String> {
        if self.no_accounts.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let anonymous = reports.iter().filter(|(_, report)| is_anonymous(report));
        let unasked = anonymous.filter(|(task, report)| {
            let is_new = !ended.contains_key(task);
            if is_new {
                ended.insert((*task).clone(), (*report).clone());
            }
            is_new
        });
        unasked.map(|(task, _)| task.job.id.clone()).collect()
    }
}
