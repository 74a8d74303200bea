//! Looking: reconcile what was never heard, collect what journals tell, ask the scheduler once.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::ledger::Fate;
use super::{ControlError, Desk};
use crate::event::{Act, Event};
use crate::id::{Token, TrialId};
use crate::journal::{Mark, Opened, Reader, Whose};
use crate::layout::SweepFolder;
use crate::scheduler::{JobRef, Recent, Reports, Scheduler, SchedulerError, TaskState};
use crate::store::{Collected, Store, TrialRow, TrialState};

/// What a look brought.
#[derive(Debug)]
pub struct Sight {
    /// All trials of the sweep.
    pub trials: Vec<TrialRow>,
    /// What the journals brought.
    pub collected: Collected,
    /// When the scheduler told what is known of it here; `None`: it was not asked.
    pub asked_at: Option<Timestamp>,
    /// Why the scheduler could not be asked, if so: what journals tell stands all the same.
    pub scheduler_silent: Option<SchedulerError>,
}

impl Sight {
    /// Returns the states by trial.
    #[must_use]
    pub fn states(&self) -> BTreeMap<&TrialId, &TrialState> {
        self.trials.iter().map(|row| (&row.trial, &row.state)).collect()
    }
}

/// How long the answer to a submission may be on its way: sbatch is given 30 s.
const ON_ITS_WAY: Duration = Duration::from_secs(40);

impl Desk<'_> {
    /// Says that no submission is so young that its answer may still be on its way.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        let now = self.clock.now();
        let is_young = |moment: Timestamp| now.duration_since(moment).unsigned_abs() < ON_ITS_WAY;
        let unheard = self.ledger.submissions().iter().filter(|s| s.fate == Fate::Unheard);
        !unheard.filter_map(|s| s.token.moment()).any(is_young)
    }

    /// Looks for submissions whose answer was never heard: found ones are adopted, and those that
    /// the scheduler certainly does not know are written off. Returns those that stay unknown.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn reconcile<S: Scheduler>(
        &mut self,
        scheduler: &S,
    ) -> Result<Vec<SchedulerError>, ControlError> {
        let unheard = self
            .ledger
            .submissions()
            .iter()
            .filter(|s| s.fate == Fate::Unheard && s.scheduler == scheduler.name());
        let made: Vec<_> = unheard.map(|s| (s.token, s.at, s.trials.clone())).collect();
        let mut unknown = Vec::new();
        for (token, at, trials) in made {
            match scheduler.find(token, &self.folder, at).await {
                Ok(Some(job)) => self.write(&Act::Accepted { token, job: job.id })?,
                // It may have run, ended and been forgotten.
                Ok(None) if let Some(job) = begun(&self.folder, token, &trials)? => {
                    self.write(&Act::Accepted { token, job })?;
                }
                Ok(None) => {
                    let error =
                        "the controller was interrupted, and the scheduler knows no such job"
                            .to_owned();
                    self.write(&Act::Refused { token, error, limit: false, absent: true })?;
                }
                Err(error) => unknown.push(error),
            }
        }
        Ok(unknown)
    }

    /// Collects, asks the scheduler once about everything open, writes down ends that it tells of
    /// (it forgets), and returns how all trials stand.
    ///
    /// # Errors
    /// When journal or database fail. A silent scheduler is no error.
    pub async fn look<S: Scheduler>(
        &mut self,
        scheduler: &S,
        store: &mut Store,
    ) -> Result<Sight, ControlError> {
        let sweep = self.plan.sweep.clone();
        let mut collected = store.collect(self.root, &sweep, self.clock.now()).await?;
        let open = store.open_jobs(self.root, &sweep).await?;
        let mut jobs = open.get(scheduler.name()).cloned().unwrap_or_default();
        let (mut asked_at, mut scheduler_silent) = (None, None);
        if !jobs.is_empty() {
            match scheduler.recent(&jobs).await {
                Ok(Recent { reports, at }) => {
                    let at = at.unwrap_or_else(|| self.clock.now());
                    asked_at = Some(at);
                    // That it does not know what is newer than its answer says nothing.
                    jobs.retain(|job| job.token.moment().is_none_or(|moment| moment <= at));
                    // An end must be judged with the worker's last word, which was written before it.
                    collected = store.collect(self.root, &sweep, self.clock.now()).await?;
                    store.record_foreign(&sweep, &scheduler.foreign()).await?;
                    store.record_reports(&sweep, &jobs, &reports, at).await?;
                    self.write_ends(store, &jobs, &reports, at).await?;
                    collected = store
                        .collect(self.root, &sweep, self.clock.now())
                        .await
                        .map(|new| Collected { records: new.records + collected.records, ..new })?;
                }
                Err(error) => scheduler_silent = Some(error),
            }
        }
        let trials = store.trials(std::slice::from_ref(&sweep)).await?;
        Ok(Sight { trials, collected, asked_at, scheduler_silent })
    }

    async fn write_ends(
        &mut self,
        store: &mut Store,
        jobs: &[JobRef],
        reports: &Reports,
        at: Timestamp,
    ) -> Result<(), ControlError> {
        let rows = store.trials(std::slice::from_ref(&self.plan.sweep)).await?;
        let states: BTreeMap<_, _> = rows.iter().map(|row| (&row.trial, row)).collect();
        let said: BTreeMap<_, _> =
            reports.iter().map(|(task, report)| ((task.job.token, task.index), report)).collect();
        let mut acts = Vec::new();
        for submission in self.ledger.submissions() {
            let token = submission.token;
            if !jobs.iter().any(|job| job.token == token) {
                continue;
            }
            for (index, trial) in (0..).zip(&submission.trials) {
                let holds = self.ledger.holder(trial).is_some_and(|holder| holder.token == token);
                if !holds || self.ledger.knows_end(trial, token) {
                    continue;
                }
                let row = states.get(trial);
                match (said.get(&(token, index)), row) {
                    // What was only inferred counts when it counts for the database.
                    (Some(report), _)
                        if matches!(report.state, TaskState::Ended(_))
                            && (!report.inferred
                                || row.is_some_and(|row| row.state == TrialState::Cancelled)) =>
                    {
                        acts.push(Act::TaskEnded {
                            trial: trial.clone(),
                            token,
                            state: report.word.clone(),
                            node: report.node.clone(),
                            exit: report.exit,
                            judged: row.map(|row| row.state.word()),
                        });
                    }
                    (None, Some(row)) if row.state == TrialState::Lost => {
                        acts.push(Act::Lost {
                            trial: trial.clone(),
                            token,
                            evidence: row.why.clone(),
                            node: store.last_node(&self.plan.sweep, token, index).await?,
                        });
                    }
                    _ => {}
                }
            }
        }
        acts.iter().try_for_each(|act| self.write_of(at, act))
    }
}

/// Returns the scheduler's id of a submission of which a worker began, as that worker's journal tells it.
fn begun(
    folder: &SweepFolder,
    token: Token,
    trials: &[TrialId],
) -> Result<Option<String>, ControlError> {
    for trial in trials {
        let trial = folder.trial(trial);
        let attempts = trial.attempts().map_err(ControlError::folder(trial.claims()))?;
        for attempt in attempts.into_iter().rev() {
            let path = trial.journal(attempt);
            let failed = |error| ControlError::folder(path.clone())(error);
            let opened = Reader::<Event>::open(&path, Mark::default()).map_err(failed)?;
            let Opened::Here(mut reader) = opened else { continue };
            let first = reader.next(|_| Whose::Unsaid).map_err(failed)?.map(|record| record.body);
            if let Some(Event::Header { token: of, origin, .. }) = first
                && of == Some(token)
                && let Some(job) = job_of(&origin)
            {
                return Ok(Some(job.to_owned()));
            }
        }
    }
    Ok(None)
}

/// The job in an origin, such as `slurm:123_4:1`.
fn job_of(origin: &str) -> Option<&str> {
    let task = origin.split(':').nth(1)?;
    let job = task.rsplit_once('_').map_or(task, |(job, _)| job);
    (!job.is_empty()).then_some(job)
}
