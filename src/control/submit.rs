//! Submitting: stage jobs, write the intent, call the scheduler, write its answer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::choose::Wanted;
use super::decide::Again;
use super::parcel::Parcels;
use super::workspace::Workspace;
use super::{ControlError, Desk, Order, Outcome, Sight, nodes};
use crate::event::{Act, Decision};
use crate::id::{Token, TrialId};
use crate::layout::{self, LockError};
use crate::plan::{JobSpec, restart_limit};
use crate::scheduler::{Scheduler, SchedulerError, Submission};
use crate::script::{self, JobScript, Resources};

/// What came of calling the scheduler.
enum Answer {
    /// It took it.
    Accepted,
    /// It takes none of this kind.
    Refused,
    /// Not now, or not so many.
    Limit,
    /// Nobody knows.
    Unheard,
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
        let wanted = self.choose(scheduler.name(), sight, &order.wish, &mut outcome);
        // The database may not know of what was submitted last.
        if sight.collected.from_cache && !wanted.is_empty() {
            let source = LockError::Held { path: self.root.collect_lock() };
            return Err(ControlError::Busy { sweep: self.plan.sweep.clone(), source });
        }
        let jobs = self.jobs(scheduler.name(), sight, order, &wanted, &mut outcome);
        if order.stage_only {
            for job in &jobs {
                outcome.staged.push(self.stage_job(job, order)?.1);
            }
            return Ok(outcome);
        }
        self.end_cancelled(scheduler, wanted.keys()).await?;
        let workspace = match jobs.is_empty() {
            true => None,
            false => self.workspace(order.workspace.as_deref()).await,
        };
        let mut parcels = Parcels::new(jobs, self.ledger.limited().is_some());
        while let Some(job) = parcels.next() {
            let (submission, _) = self.stage_job(&job, order)?;
            self.intend(scheduler, submission.token, &job, &wanted, workspace.as_ref())?;
            match self.submit_job(scheduler, &submission, &mut outcome).await? {
                Answer::Accepted => parcels.accepted(),
                Answer::Limit => {
                    let refusal = outcome.limited.pop().map(|(error, _)| error);
                    if !parcels.too_many(job) {
                        self.put_off(scheduler, parcels, &wanted, refusal, &mut outcome)?;
                        break;
                    }
                }
                Answer::Unheard => {
                    self.put_off(scheduler, parcels, &wanted, None, &mut outcome)?;
                    break;
                }
                Answer::Refused => match self.milder(&job, &mut outcome) {
                    Some(job) => parcels.again(job),
                    None => {
                        give_up(parcels, &mut outcome);
                        break;
                    }
                },
            }
        }
        Ok(outcome)
    }

    /// Groups what is wanted into jobs.
    fn jobs(
        &self,
        scheduler: &str,
        sight: &Sight,
        order: &Order,
        wanted: &BTreeMap<TrialId, Wanted>,
        outcome: &mut Outcome,
    ) -> Vec<JobSpec> {
        // On one machine there is no other node.
        let has_nodes = scheduler != "local";
        let works = sight.trials.iter().any(|row| row.epochs_done > 0);
        let breaker = self.plan.policy.breaker;
        let tripped = match has_nodes && !wanted.is_empty() {
            true => nodes::tripped(&self.ledger, breaker, works, self.clock.now()),
            false => BTreeMap::new(),
        };
        for (node, count) in &tripped {
            outcome.notes.push(format!(
                "node {node} is left out: {count} attempts went wrong on it within {:.0} h (policy.breaker)",
                breaker.period / 3600.0
            ));
        }
        let ids = wanted.keys().cloned().collect();
        self.plan.jobs(&ids, order.limits, |trial, base| {
            let mut asks = self.asks(trial, base, wanted);
            if has_nodes {
                let avoided = nodes::avoided(&self.ledger, &self.plan.policy, trial);
                let names = tripped.keys().chain(&avoided);
                let words = names.filter_map(|name| name.parse().ok());
                asks.exclude.extend(words.collect::<std::collections::BTreeSet<_>>());
                let mut seen = std::collections::BTreeSet::new();
                asks.exclude.retain(|word| seen.insert(word.clone()));
            }
            asks
        })
    }

    /// What a trial asks for after the ends that it had: policy gives more memory or time at each
    /// submission after a kind of end.
    fn asks(
        &self,
        trial: &TrialId,
        base: &Resources,
        wanted: &BTreeMap<TrialId, Wanted>,
    ) -> Resources {
        let now = wanted.get(trial).and_then(|wanted| wanted.kind);
        let times = |kind| self.times(trial, kind, now);
        let (memory, time) = self.plan.policy.growth(times);
        Resources {
            mem: base.mem.map(|mem| mem.scaled(memory)),
            time: base.time.map(|limit| limit.scaled(time)),
            ..base.clone()
        }
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
            let folder = self.folder.trial(&trial.id);
            folder.guard().map_err(ControlError::folder(folder.path()))?;
            let mark = folder.cancel_mark();
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

    /// Writes down what is about to be submitted, why once more, and from which workspace.
    fn intend<S: Scheduler>(
        &mut self,
        scheduler: &S,
        token: Token,
        job: &JobSpec,
        wanted: &BTreeMap<TrialId, Wanted>,
        workspace: Option<&Workspace>,
    ) -> Result<(), ControlError> {
        self.fault("submit.before_intent")?;
        let ids = job.trials.iter().map(|index| self.plan.trials[*index].id.clone());
        let trials: Vec<TrialId> = ids.collect();
        let changes = self.changes(job);
        let mut decisions: BTreeMap<Again, Vec<TrialId>> = BTreeMap::new();
        for trial in &trials {
            if let Some(again) = wanted.get(trial).and_then(|wanted| wanted.again.clone()) {
                decisions.entry(again).or_default().push(trial.clone());
            }
        }
        let before = trials.iter().any(|trial| self.ledger.submissions_of(trial).next().is_some());
        let decision = match decisions.keys().any(|again| again.of.is_none()) {
            _ if !before => Decision::Submit,
            true => Decision::Retry,
            false => Decision::Resume,
        };
        for (Again { after, number, of }, trials) in decisions {
            let changes = changes.clone();
            self.write(&Act::Decided { token, after, number, of, changes, trials })?;
        }
        let scheduler = scheduler.name().to_owned();
        self.write(&Act::Intent { token, scheduler, decision, trials })?;
        if let Some(workspace) = workspace {
            self.write(&workspace.act(token, &self.folder))?;
        }
        self.fault("submit.after_intent")
    }

    async fn submit_job<S: Scheduler>(
        &mut self,
        scheduler: &S,
        submission: &Submission,
        outcome: &mut Outcome,
    ) -> Result<Answer, ControlError> {
        let (token, count) = (submission.token, submission.tasks as usize);
        match scheduler.submit(submission).await {
            Ok(accepted) => {
                self.fault("submit.before_accepted")?;
                self.write(&Act::Accepted { token, job: accepted.id.clone() })?;
                self.fault("submit.after_accepted")?;
                outcome.accepted.push((accepted, count));
                Ok(Answer::Accepted)
            }
            Err(error) if error.is_certain() => {
                let limit = matches!(error, SchedulerError::Limit { .. });
                let words = error.to_string();
                self.write(&Act::Refused { token, error: words, limit, absent: false })?;
                let (list, answer) = match limit {
                    true => (&mut outcome.limited, Answer::Limit),
                    false => (&mut outcome.refused, Answer::Refused),
                };
                list.push((error, count));
                Ok(answer)
            }
            Err(error) => {
                outcome.unheard.push((error, count));
                Ok(Answer::Unheard)
            }
        }
    }

    /// Writes down what was wanted and is still to be submitted, so that whoever looks next does it.
    fn put_off<S: Scheduler>(
        &mut self,
        scheduler: &S,
        parcels: Parcels,
        wanted: &BTreeMap<TrialId, Wanted>,
        refusal: Option<SchedulerError>,
        outcome: &mut Outcome,
    ) -> Result<(), ControlError> {
        let limit = refusal.is_some();
        let error = refusal.unwrap_or_else(|| SchedulerError::Limit {
            program: "regatta",
            words: "not tried, as the scheduler did not answer".to_owned(),
        });
        let mut count = 0;
        for mut job in parcels.rest() {
            count += job.trials.len();
            // What policy wants it wants the next time too, and some wait already.
            job.trials.retain(|index| {
                let trial = &self.plan.trials[*index].id;
                let newest = self.ledger.submissions_of(trial).next();
                let by_policy = wanted.get(trial).is_some_and(Wanted::is_by_policy);
                !by_policy && newest.is_none_or(|newest| !newest.fate.is_put_off())
            });
            if !job.trials.is_empty() {
                let token = Token::at(self.clock.now());
                self.intend(scheduler, token, &job, wanted, None)?;
                let error = error.to_string();
                self.write(&Act::Refused { token, error, limit, absent: true })?;
            }
        }
        if count > 0 {
            outcome.limited.push((error, count));
        }
        Ok(())
    }

    pub(super) fn fault(&self, point: &str) -> Result<(), ControlError> {
        layout::fault(point).map_err(ControlError::folder(self.folder.path()))
    }
}

/// What one array was refused for holds for the next: nothing is tried in vain.
fn give_up(parcels: Parcels, outcome: &mut Outcome) {
    for job in parcels.rest() {
        let words = "not tried after the refusal above".to_owned();
        let error = SchedulerError::Refused { program: "regatta", words };
        outcome.refused.push((error, job.trials.len()));
    }
}
