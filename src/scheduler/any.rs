//! The scheduler that somebody chose, as one type.

use jiff::Timestamp;

use super::{
    JobRef, LocalScheduler, Recent, Reports, Scheduler, SchedulerError, Slurm, Submission, TaskRef,
};
use crate::id::Token;
use crate::layout::SweepFolder;

/// One of the two schedulers of the command line.
pub enum AnyScheduler {
    /// The cluster.
    Slurm(Box<Slurm>),
    /// This machine.
    Local(LocalScheduler),
}

impl Scheduler for AnyScheduler {
    fn name(&self) -> &'static str {
        match self {
            Self::Slurm(slurm) => slurm.name(),
            Self::Local(local) => local.name(),
        }
    }

    async fn submit(&self, job: &Submission) -> Result<JobRef, SchedulerError> {
        match self {
            Self::Slurm(slurm) => slurm.submit(job).await,
            Self::Local(local) => local.submit(job).await,
        }
    }

    async fn states(&self, jobs: &[JobRef]) -> Result<Reports, SchedulerError> {
        match self {
            Self::Slurm(slurm) => slurm.states(jobs).await,
            Self::Local(local) => local.states(jobs).await,
        }
    }

    async fn recent(&self, jobs: &[JobRef]) -> Result<Recent, SchedulerError> {
        match self {
            Self::Slurm(slurm) => slurm.recent(jobs).await,
            Self::Local(local) => local.recent(jobs).await,
        }
    }

    fn foreign(&self) -> Vec<(JobRef, String)> {
        match self {
            Self::Slurm(slurm) => slurm.foreign(),
            Self::Local(local) => local.foreign(),
        }
    }

    async fn cancel(&self, tasks: &[TaskRef]) -> Result<(), SchedulerError> {
        match self {
            Self::Slurm(slurm) => slurm.cancel(tasks).await,
            Self::Local(local) => local.cancel(tasks).await,
        }
    }

    async fn requeue(&self, task: &TaskRef) -> Result<(), SchedulerError> {
        match self {
            Self::Slurm(slurm) => slurm.requeue(task).await,
            Self::Local(local) => local.requeue(task).await,
        }
    }

    async fn find(
        &self,
        token: Token,
        folder: &SweepFolder,
        since: Timestamp,
    ) -> Result<Option<JobRef>, SchedulerError> {
        match self {
            Self::Slurm(slurm) => slurm.find(token, folder, since).await,
            Self::Local(local) => local.find(token, folder, since).await,
        }
    }
}
