//! The worker's check as a job of its own: what a trial would meet on its node, before any is sent.

use std::path::Path;
use std::time::Duration;

use super::ControlError;
use crate::clock::Clock;
use crate::id::{Token, TrialId};
use crate::layout::{self, Limit, Root, SweepFolder, TemporaryFolder};
use crate::plan::Plan;
use crate::scheduler::{JobRef, Reports, Scheduler, Submission, TaskRef};
use crate::script::{self, JobScript, Resources, TimeLimit};
use crate::sweep::{Assignment, CheckSaid};

/// Longest time that such a job asks for.
const LIMIT: Duration = Duration::from_mins(15);

/// How much of a job's log is shown where its worker said nothing, in bytes.
const LOG_TAIL: u64 = 2000;

/// A job that checks one trial. What it wrote is removed with it.
#[derive(Debug)]
pub struct Preflight {
    folder: SweepFolder,
    submission: Submission,
    trial: TrialId,
    _temporary: TemporaryFolder,
    /// Removed last, where it was not there before.
    _root: OwnRoot,
}

/// A root that is gone again if nothing is in it.
#[derive(Debug)]
struct OwnRoot(Option<Root>);

impl Drop for OwnRoot {
    fn drop(&mut self) {
        if let Some(root) = &self.0
            && let Err(error) = layout::remove_empty_folder(root.path())
        {
            tracing::warn!("failed to remove {}: {error}", root.path().display());
        }
    }
}

impl Preflight {
    /// Writes script and job file for trial `index` of a plan: the template, the resources and the
    /// worker are those of a real job, the time is a quarter of an hour at most.
    ///
    /// # Errors
    /// When the script cannot be made or the root refuses.
    pub fn stage(
        root: &Root,
        plan: &Plan,
        index: usize,
        worker: &Path,
        clock: &dyn Clock,
    ) -> Result<Self, ControlError> {
        let own = (!root.path().exists()).then(|| root.clone());
        layout::create_private_folder(root.path()).map_err(ControlError::folder(root.path()))?;
        let own = OwnRoot(own);
        let token = Token::at(clock.now());
        let temporary = TemporaryFolder::create(root.path(), &format!(".check-{token}"))
            .map_err(ControlError::folder(root.path()))?;
        let folder = SweepFolder::new(temporary.path());
        for path in [folder.jobs(), folder.logs()] {
            layout::create_folder(&path).map_err(ControlError::folder(&path))?;
        }
        let asked = plan.asks.get(index).and_then(|ask| plan.resources.get(*ask));
        let resources = short(asked.cloned().unwrap_or_default());
        let script = JobScript {
            token,
            folder: folder.clone(),
            worker: worker.to_owned(),
            tasks: 1,
            throttle: None,
            warn_before: Duration::ZERO,
            restart_limit: 0,
            resources: resources.clone(),
        };
        let text = script::render(&plan.templates(), &script)?;
        let trial = &plan.trials[index];
        let assignment = Assignment { only_check: true, ..plan.assignment(trial, token) };
        let (file, path) = (folder.job_file(token), folder.script(token));
        let line = serde_json::to_string(&assignment).map_err(|error| ControlError::Damaged {
            path: file.clone(),
            what: error.to_string(),
        })?;
        layout::write_atomic(&file, format!("{line}\n").as_bytes())
            .map_err(ControlError::folder(&file))?;
        layout::write_atomic(&path, text.as_bytes()).map_err(ControlError::folder(&path))?;
        let submission = Submission {
            token,
            folder: folder.clone(),
            tasks: 1,
            throttle: None,
            time_limit: resources.time_limit(),
            warn_before: Duration::ZERO,
            restart_limit: 0,
        };
        Ok(Self { folder, submission, trial: trial.id.clone(), _temporary: temporary, _root: own })
    }

    /// Sends the job.
    ///
    /// # Errors
    /// When the scheduler refuses or does not answer.
    pub async fn submit<S: Scheduler>(&self, scheduler: &S) -> Result<JobRef, ControlError> {
        Ok(scheduler.submit(&self.submission).await?)
    }

    /// Ends the job, if it is still there.
    ///
    /// # Errors
    /// When the scheduler cannot be asked.
    pub async fn cancel<S: Scheduler>(
        &self,
        scheduler: &S,
        job: JobRef,
    ) -> Result<(), ControlError> {
        Ok(scheduler.cancel(&[TaskRef { job, index: 0 }]).await?)
    }

    /// Asks the scheduler how the job stands.
    ///
    /// # Errors
    /// When the scheduler cannot be asked.
    pub async fn states<S: Scheduler>(
        &self,
        scheduler: &S,
        job: &JobRef,
    ) -> Result<Reports, ControlError> {
        Ok(scheduler.states(std::slice::from_ref(job)).await?)
    }

    /// Returns what the worker said, once it has.
    #[must_use]
    pub fn said(&self) -> Option<CheckSaid> {
        let bytes =
            layout::read_limited(&self.folder.trial(&self.trial).check_said(), Limit::CHECK)
                .ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Returns the end of the job's log.
    #[must_use]
    pub fn log(&self, job: &JobRef) -> String {
        let path = self.folder.slurm_log(&format!("{}_0", job.id));
        let length = path.metadata().map_or(0, |file| file.len());
        let bytes = layout::read_piece(&path, length.saturating_sub(LOG_TAIL), Limit::LOG_PIECE)
            .unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn short(resources: Resources) -> Resources {
    let is_short = resources.time_limit().is_some_and(|limit| limit <= LIMIT);
    let time = if is_short { resources.time } else { Some(TimeLimit::of(LIMIT)) };
    Resources { time, ..resources }
}
