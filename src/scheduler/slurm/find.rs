//! Looking for a submission whose answer was never heard, by the token in its job's name.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::{Slurm, TO_ARRIVE, parse};
use crate::id::Token;
use crate::layout::{Limit, Lines, SweepFolder};
use crate::scheduler::{JobRef, SchedulerError};
use crate::script::job_name;

impl Slurm {
    /// Looks until it is certain: in the queue, once more when nothing can come any more, and in the
    /// accounts.
    pub(super) async fn search(
        &self,
        token: Token,
        folder: &SweepFolder,
        since: Timestamp,
    ) -> Result<Option<JobRef>, SchedulerError> {
        let job = |id| JobRef {
            id,
            token,
            folder: folder.path().to_owned(),
            tasks: tasks_of(folder, token),
        };
        if let Some(id) = self.look_for(token).await? {
            return Ok(Some(job(id)));
        }
        // An sbatch that outlived the controller ends within this time, and may still submit.
        // A clock behind the one that dated it makes nothing older.
        let quiet = self.caller.patience + TO_ARRIVE;
        let age = Duration::try_from(self.clock.now().duration_since(since)).unwrap_or_default();
        if let Some(wait) = quiet.checked_sub(age) {
            tokio::time::sleep(wait).await;
            if let Some(id) = self.look_for(token).await? {
                return Ok(Some(job(id)));
            }
        }
        Ok(self.look_into_accounts(token).await.map(job))
    }

    pub(super) async fn look_for(&self, token: Token) -> Result<Option<String>, SchedulerError> {
        let name = job_name(token);
        let rows = self.squeue(&["--name", &name]).await?;
        let ids: BTreeSet<u64> = rows
            .iter()
            .filter(|row| row.name == name)
            .filter_map(|row| row.job.parse().ok())
            .collect();
        if ids.len() > 1 {
            tracing::warn!(%token, ?ids, "several jobs carry the same token");
        }
        Ok(ids.first().map(u64::to_string))
    }

    async fn look_into_accounts(&self, token: Token) -> Option<String> {
        let name = job_name(token);
        // A day earlier: sacct reads local time, and clocks differ.
        let since: Timestamp = token.moment()? - Duration::from_hours(24);
        let since = since.to_string();
        let since = since.split(['.', 'Z']).next().unwrap_or_default();
        let told = self.sacct(&["--name", &name, "-S", since]).await;
        parse::sacct(&told).into_iter().find(|row| row.name == name).map(|row| row.job)
    }
}

/// Number of tasks of a staged submission: lines of its job file.
fn tasks_of(folder: &SweepFolder, token: Token) -> u32 {
    let Ok(mut lines) = Lines::open(&folder.job_file(token), 0, Limit::TRIAL.at_most(0)) else {
        return 0;
    };
    let mut count = 0;
    while let Ok(Some(_)) = lines.next_line() {
        count += 1;
    }
    count
}
