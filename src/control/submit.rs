//! Submitting: choose trials, stage jobs, write the intent, call the scheduler, write its answer.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::workspace::Workspace;
use super::{ControlError, Desk, Sight};
use crate::event::{Act, Decision};
use crate::id::{Token, TrialId};
use crate::layout::{self, LockError};
use crate::plan::{JobSpec, Limits, restart_limit};
use crate::scheduler::{JobRef, Scheduler, SchedulerError, Submission};
use crate::script::{self, JobScript, Resources};
use crate::store::{TrialRow, TrialState};
use crate::sweep::{Action, Budget, Policy};

/// What to submit.
#[derive(Clone, Debug)]
pub struct Order {
    /// The worker program, absolute.
    pub worker: PathBuf,
    /// What the cluster allows.
    pub limits: Limits,
    /// Which trials.
    pub wish: Wish,
    /// Only write scripts and job files; submit nothing.
    pub stage_only: bool,
    /// The folder whose git commit is noted; none: the one that was noted last.
    pub workspace: Option<PathBuf>,
}

/// Which trials to submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Those that never were.
    New,
    /// Those that policy sends again.
    Policy,
    /// These, if they are not in flight.
    These(BTreeSet<TrialId>),
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Accepted jobs with their number of tasks.
    pub accepted: Vec<(JobRef, usize)>,
    /// Refused ones.
    pub refused: Vec<(SchedulerError, usize)>,
    /// Those whose answer was not heard; they count as in flight until it is known.
    pub unheard: Vec<(SchedulerError, usize)>,
    /// Scripts that were only staged.
    pub staged: Vec<PathBuf>,
    /// Trials left alone because they are finished.
    pub finished: usize,
    /// Trials left alone because they are in flight.
    pub in_flight: usize,
    /// Trials left alone because they stopped: for `resume` or `retry`.
    pub stopped: usize,
}

impl Desk<'_> {
    /// Submits the wanted trials of a sweep that was looked at. The intent of every job is on disk
    /// before the scheduler hears of it.
    ///
    /// # Errors
    /// When something cannot be written or rendered, or another process kept the database to itself
    /// while this one looked. Refusals are part of the outcome.
    pub async fn submit<S: Scheduler>(
        &mut self,
        scheduler: &S,
        sight: &Sight,
        order: &Order,
    ) -> Result<Outcome, ControlError> {
        let mut outcome = Outcome::default();
        let wanted = self.choose(sight, &order.wish, &mut outcome);
        // The database may not know of what was submitted last.
        if sight.collected.from_cache && !wanted.is_empty() {
            let source = LockError::Held { path: self.root.collect_lock() };
            return Err(ControlError::Busy { sweep: self.plan.sweep.clone(), source });
        }
        let jobs =
            self.plan.jobs(&wanted, order.limits, |trial, resources| self.asks(trial, resources));
        let workspace = match jobs.is_empty() || order.stage_only {
            true => None,
            false => self.workspace(order.workspace.as_deref()).await,
        };
        let mut refused = false;
        for job in &jobs {
            let again = |index: &usize| {
                self.ledger
                    .submissions()
                    .iter()
                    .any(|s| s.trials.contains(&self.plan.trials[*index].id))
            };
            let decision = match (&order.wish, job.trials.iter().any(again)) {
                (_, false) => Decision::Submit,
                (Wish::These(_), true) => Decision::Retry,
                (_, true) => Decision::Resume,
            };
            let (submission, path) = self.stage_job(job, order)?;
            if order.stage_only {
                outcome.staged.push(path);
            } else if refused {
                // What one array was refused for holds for the next: nothing is tried in vain.
                outcome.refused.push((
                    SchedulerError::Refused {
                        program: "regatta",
                        words: "not tried after the refusal above".to_owned(),
                    },
                    job.trials.len(),
                ));
            } else {
                let trials = job.trials.iter().map(|index| self.plan.trials[*index].id.clone());
                let trials = trials.collect();
                self.intend(scheduler, submission.token, decision, trials, workspace.as_ref())?;
                refused = !self.submit_job(scheduler, &submission, &mut outcome).await?;
            }
        }
        Ok(outcome)
    }

    fn choose(&self, sight: &Sight, wish: &Wish, outcome: &mut Outcome) -> BTreeSet<TrialId> {
        let states = sight.states();
        let spent: BTreeSet<_> = sight
            .trials
            .iter()
            .filter(|row| is_spent(row, &self.plan.budget))
            .map(|row| &row.trial)
            .collect();
        let mut wanted = BTreeSet::new();
        for trial in &self.plan.trials {
            let state = states.get(&trial.id).copied().unwrap_or(&TrialState::Planned);
            let want = match wish {
                Wish::New => *state == TrialState::Planned,
                Wish::These(these) => {
                    these.contains(&trial.id)
                        && !state.is_in_flight()
                        && *state != TrialState::Finished
                }
                Wish::Policy => action(&self.plan.policy, state)
                    .is_some_and(|action| self.ledger.resubmissions(&trial.id) < action.retry),
            };
            if want && !spent.contains(&trial.id) {
                wanted.insert(trial.id.clone());
            } else if state.is_in_flight() {
                outcome.in_flight += 1;
            } else if *state == TrialState::Finished {
                outcome.finished += 1;
            } else {
                outcome.stopped += 1;
            }
        }
        wanted
    }

    /// Writes job file and script.
    fn stage_job(
        &self,
        job: &JobSpec,
        order: &Order,
    ) -> Result<(Submission, PathBuf), ControlError> {
        let token = Token::at(self.clock.now());
        let tasks = u32::try_from(job.trials.len()).unwrap_or(u32::MAX);
        let warn_before = job.warn_before(self.plan.budget.margin);
        let restart_limit = restart_limit(&self.plan.policy);
        let text = script::render(
            &self.plan.templates(),
            &JobScript {
                token,
                folder: self.folder.clone(),
                worker: order.worker.clone(),
                tasks,
                throttle: job.throttle,
                warn_before,
                restart_limit,
                resources: job.resources.clone(),
            },
        )?;
        let mut lines = String::new();
        for index in &job.trials {
            let trial = &self.plan.trials[*index];
            let line =
                serde_json::to_string(&self.plan.assignment(trial, token)).map_err(|error| {
                    ControlError::Damaged {
                        path: self.folder.job_file(token),
                        what: error.to_string(),
                    }
                })?;
            lines.push_str(&line);
            lines.push('\n');
            // A cancel mark of an earlier time would stop the new attempt.
            let mark = self.folder.trial(&trial.id).cancel_mark();
            layout::remove(&mark).map_err(ControlError::folder(&mark))?;
        }
        let (file, path) = (self.folder.job_file(token), self.folder.script(token));
        layout::write_atomic(&file, lines.as_bytes()).map_err(ControlError::folder(&file))?;
        layout::write_atomic(&path, text.as_bytes()).map_err(ControlError::folder(&path))?;
        let submission = Submission {
            token,
            folder: self.folder.clone(),
            tasks,
            throttle: job.throttle,
            time_limit: job.resources.time_limit(),
            warn_before,
            restart_limit,
        };
        Ok((submission, path))
    }

    /// What a trial asks for after the ends that it had: policy gives more memory after running out
    /// of it, and more time after running out of that.
    fn asks(&self, trial: &TrialId, base: &Resources) -> Resources {
        let scale = |factor: Option<f64>, end: &str| {
            let ends = i32::try_from(self.ledger.ends(trial, end)).unwrap_or(i32::MAX);
            factor.map_or(1.0, |factor| factor.powi(ends))
        };
        let memory = scale(self.plan.policy.out_of_memory.mem, "OUT_OF_MEMORY");
        let time = scale(self.plan.policy.timed_out.time, "TIMEOUT");
        Resources {
            mem: base.mem.map(|mem| mem.scaled(memory)),
            time: base.time.map(|limit| limit.scaled(time)),
            ..base.clone()
        }
    }

    /// Writes down what is about to be submitted, and from which workspace.
    fn intend<S: Scheduler>(
        &mut self,
        scheduler: &S,
        token: Token,
        decision: Decision,
        trials: Vec<TrialId>,
        workspace: Option<&Workspace>,
    ) -> Result<(), ControlError> {
        self.fault("submit.before_intent")?;
        self.write(&Act::Intent {
            token,
            scheduler: scheduler.name().to_owned(),
            decision,
            trials,
        })?;
        if let Some(workspace) = workspace {
            self.write(&workspace.act(token, &self.folder))?;
        }
        self.fault("submit.after_intent")
    }

    /// Returns whether it makes sense to submit more.
    async fn submit_job<S: Scheduler>(
        &mut self,
        scheduler: &S,
        submission: &Submission,
        outcome: &mut Outcome,
    ) -> Result<bool, ControlError> {
        let (token, count) = (submission.token, submission.tasks as usize);
        match scheduler.submit(submission).await {
            Ok(accepted) => {
                self.fault("submit.before_accepted")?;
                self.write(&Act::Accepted { token, job: accepted.id.clone() })?;
                self.fault("submit.after_accepted")?;
                outcome.accepted.push((accepted, count));
                Ok(true)
            }
            Err(error) if error.is_certain() => {
                let limit = matches!(error, SchedulerError::Limit { .. });
                self.write(&Act::Refused {
                    token,
                    error: error.to_string(),
                    limit,
                    absent: false,
                })?;
                outcome.refused.push((error, count));
                Ok(false)
            }
            Err(error) => {
                outcome.unheard.push((error, count));
                Ok(false)
            }
        }
    }

    fn fault(&self, point: &str) -> Result<(), ControlError> {
        layout::fault(point).map_err(ControlError::folder(self.folder.path()))
    }
}

/// Says whether a trial's `max_train_time` is used up: another attempt would leave at once. A second
/// of it, or a hundredth, is as good as nothing.
fn is_spent(row: &TrialRow, budget: &Budget) -> bool {
    let spent = |(used, limit): (f64, f64)| used + (0.01 * limit).min(1.0) >= limit;
    row.elapsed.zip(budget.max_train_time).is_some_and(spent)
}

/// Returns what policy says about a state that is an end but not success.
fn action<'a>(policy: &'a Policy, state: &TrialState) -> Option<&'a Action> {
    match state {
        TrialState::Preempted => Some(&policy.preempted),
        TrialState::TimedOut => Some(&policy.timed_out),
        TrialState::OutOfMemory => Some(&policy.out_of_memory),
        TrialState::NodeFailed => Some(&policy.node_failed),
        TrialState::Failed => Some(&policy.failed),
        TrialState::Diverged => Some(&policy.diverged),
        TrialState::Lost => Some(&policy.lost),
        _ => None,
    }
}
