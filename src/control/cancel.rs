//! Cancelling: the mark in the trial's folder comes first, so that nothing starts the trial again.

use std::collections::BTreeSet;

use super::ledger::Fate;
use super::{ControlError, Desk, Sight};
use crate::event::Act;
use crate::id::TrialId;
use crate::layout;
use crate::scheduler::{JobRef, Scheduler, TaskRef};
use crate::store::TrialState;

impl Desk<'_> {
    /// Cancels trials: mark, journal, scheduler. A worker that has time left saves a checkpoint.
    ///
    /// # Errors
    /// When a mark or the journal cannot be written, or the scheduler cannot be asked; the marks
    /// then stand all the same, and nothing starts these trials again.
    pub async fn cancel<S: Scheduler>(
        &mut self,
        scheduler: &S,
        trials: &BTreeSet<TrialId>,
        by: &str,
    ) -> Result<(), ControlError> {
        self.mark(trials, by)?;
        self.end(scheduler, trials).await
    }

    /// Marks trials as cancelled. A worker sees the mark within seconds, saves a checkpoint, and
    /// leaves; the scheduler hears nothing, so nobody kills it while it saves.
    ///
    /// # Errors
    /// When a mark or the journal cannot be written; the marks before it stand.
    pub fn mark(&mut self, trials: &BTreeSet<TrialId>, by: &str) -> Result<(), ControlError> {
        for trial in trials {
            let folder = self.folder.trial(trial);
            layout::create_folder(folder.path()).map_err(ControlError::folder(folder.path()))?;
            let mark = folder.cancel_mark();
            layout::write_atomic(&mark, format!("{by} {}\n", self.clock.now()).as_bytes())
                .map_err(ControlError::folder(&mark))?;
        }
        self.write(&Act::Cancelled { trials: trials.iter().cloned().collect(), by: by.to_owned() })
    }

    /// Asks the scheduler to end the newest tasks of these trials.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn end<S: Scheduler>(
        &self,
        scheduler: &S,
        trials: &BTreeSet<TrialId>,
    ) -> Result<(), ControlError> {
        let tasks = self.tasks_of(trials, scheduler.name());
        if !tasks.is_empty() {
            scheduler.cancel(&tasks).await?;
        }
        Ok(())
    }

    /// Ends what may still live of these trials' last submissions where somebody cancelled them: a call of
    /// the scheduler may have failed then, or a script may be about to start its job again. It comes
    /// before their marks are removed.
    ///
    /// # Errors
    /// When the scheduler cannot be asked.
    pub(super) async fn end_cancelled<S: Scheduler>(
        &self,
        scheduler: &S,
        trials: impl Iterator<Item = &TrialId>,
    ) -> Result<(), ControlError> {
        let trials = trials.filter(|trial| self.may_outlive_its_cancel(trial)).cloned().collect();
        self.end(scheduler, &trials).await
    }

    /// Says whether a trial was cancelled, and nobody has told since that its task is over.
    #[must_use]
    pub fn may_outlive_its_cancel(&self, trial: &TrialId) -> bool {
        let cancelled = self.ledger.history(trial).is_some_and(super::History::is_cancelled);
        let holder = self.ledger.holder(trial);
        cancelled && holder.is_some_and(|holder| !self.ledger.knows_end(trial, holder.token))
    }

    /// Ends the tasks of marked trials that do not run, so that none begins or restarts, and returns
    /// those whose workers are still to save and leave. A marked trial that never began counts as
    /// cancelled although its task waits: each needs to be given once.
    ///
    /// # Errors
    /// When the scheduler cannot be asked.
    pub async fn end_idle<S: Scheduler>(
        &self,
        scheduler: &S,
        sight: &Sight,
        marked: &BTreeSet<TrialId>,
    ) -> Result<BTreeSet<TrialId>, ControlError> {
        // A state that we do not know may be one of a worker at work.
        let may_run =
            |state: &TrialState| matches!(state, TrialState::Running | TrialState::Unknown(_));
        let rows = sight.trials.iter().filter(|row| marked.contains(&row.trial));
        let (running, idle): (Vec<_>, Vec<_>) =
            rows.filter(|row| !row.state.is_settled()).partition(|row| may_run(&row.state));
        self.end(scheduler, &idle.iter().map(|row| row.trial.clone()).collect()).await?;
        Ok(running.iter().map(|row| row.trial.clone()).collect())
    }

    /// Returns the newest task of each trial.
    fn tasks_of(&self, trials: &BTreeSet<TrialId>, scheduler: &str) -> Vec<TaskRef> {
        let newest = |trial: &TrialId| {
            self.ledger.submissions().iter().rev().find_map(|submission| {
                let index = submission.trials.iter().position(|other| other == trial)?;
                let Fate::Accepted(id) = &submission.fate else { return None };
                let job = JobRef {
                    id: id.clone(),
                    token: submission.token,
                    folder: self.folder.path().to_owned(),
                    tasks: u32::try_from(submission.trials.len()).unwrap_or(u32::MAX),
                };
                (submission.scheduler == scheduler)
                    .then(|| TaskRef { job, index: u32::try_from(index).unwrap_or(u32::MAX) })
            })
        };
        trials.iter().filter_map(newest).collect()
    }
}
