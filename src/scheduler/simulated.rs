//! A small SLURM in one process on a virtual clock, for tests of a sweep's whole life.
//!
//! Nothing happens by itself: [`SimulatedScheduler::advance`] starts the next tasks, one after the
//! other in the order of submission. What befalls them, and how the cluster lies, is scripted as
//! [`Fate`]s beforehand; which process stands for a task is up to a closure. A closure may ask the
//! cluster for more while its task runs: let the node die, the job be forgotten, or another start of
//! the same task begin beside the old process.
//!
//! A controller that a fault point killed ([`layout::is_dead`]) is not heard any more. Its own points
//! are `cluster.asked`, `cluster.accepted`, `cluster.told`, `cluster.searched`, `cluster.cancelled`.

mod fate;
mod job;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use fate::{Ending, Fate, Moment, TaskLaunch};
use job::{Job, Task};

use jiff::Timestamp;

use super::{JobRef, Reports, Scheduler, SchedulerError, Submission, TaskEnd, TaskRef, TaskState};
use crate::clock::{Clock, VirtualClock};
use crate::id::Token;
use crate::layout::{self, SweepFolder};

/// Time in which a submission that nobody waits for any more may still arrive.
const QUIET: Duration = Duration::from_secs(35);

/// The simulated cluster.
pub struct SimulatedScheduler {
    clock: VirtualClock,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    jobs: Vec<Job>,
    /// What was true when states were asked for the last time.
    before: Vec<Job>,
    fates: VecDeque<Fate>,
    accepted: usize,
    last_id: u32,
}

impl SimulatedScheduler {
    /// Makes an empty cluster.
    #[must_use]
    pub fn new(clock: VirtualClock) -> Self {
        Self { clock, inner: Mutex::default() }
    }

    /// Adds a fate to those that wait; each strikes the first happening that it fits.
    pub fn expect(&self, fate: Fate) {
        self.locked().fates.push_back(fate);
    }

    /// Forgets the fates that have not struck, and returns them: the weather is calm.
    pub fn calm(&self) -> Vec<Fate> {
        std::mem::take(&mut self.locked().fates).into()
    }

    /// Number of jobs ever accepted.
    #[must_use]
    pub fn submissions(&self) -> usize {
        self.locked().accepted
    }

    /// Runs every task that waits, once; `run` stands for the script with its worker and returns the
    /// exit code. Returns how many were run. Between tasks a second passes.
    pub fn advance(&self, mut run: impl FnMut(&TaskLaunch) -> i32) -> usize {
        let mut ran = 0;
        for task in self.waiting() {
            let fate = self.take(|fate| fate.moment().is_some());
            let Some(mut launch) = self.start(&task) else { continue };
            let gentle = matches!(fate, Some(Fate::Preempt(_) | Fate::TimeOut(_)));
            let moment = fate.and_then(Fate::moment);
            launch.signal_at = moment.filter(|_| gentle);
            launch.killed_at = moment.filter(|_| !gentle);
            let code = run(&launch);
            self.clock.sleep(Duration::from_secs(1));
            self.finish(&launch, fate.map_or(Ending::Left(code), |fate| fate.ending(code)));
            ran += 1;
        }
        ran
    }

    /// Tasks that wait for a start, in the order of submission.
    #[must_use]
    pub fn waiting(&self) -> Vec<TaskRef> {
        self.tasks(|task| matches!(task.state, TaskState::Pending(_)))
    }

    /// Tasks that wait or run as far as the cluster knows.
    #[must_use]
    pub fn live(&self) -> Vec<TaskRef> {
        self.tasks(Task::is_live)
    }

    fn tasks(&self, fits: impl Fn(&Task) -> bool) -> Vec<TaskRef> {
        let now = self.clock.monotonic();
        let inner = self.locked();
        let there = inner.jobs.iter().filter(|job| job.since <= now);
        let tasks = there.flat_map(|job| {
            let numbered = (0..).zip(&job.tasks).filter(|(_, task)| !task.forgotten && fits(task));
            numbered.map(|(index, _)| TaskRef { job: job.job.clone(), index })
        });
        tasks.collect()
    }

    /// Starts a task that waits; none if it does not.
    pub fn start(&self, task: &TaskRef) -> Option<TaskLaunch> {
        let mut inner = self.locked();
        let job = inner.jobs.iter_mut().find(|job| job.is(&task.job))?;
        let found = job.tasks.get_mut(task.index as usize)?;
        if !matches!(found.state, TaskState::Pending(_)) || found.forgotten {
            return None;
        }
        found.start();
        let folder = job.submission.folder.clone();
        Some(TaskLaunch {
            task: TaskRef { job: job.job.clone(), index: task.index },
            job_file: folder.job_file(job.submission.token),
            folder,
            index: task.index,
            time_left: job.submission.time_limit,
            origin: format!("slurm:{}_{}:{}", job.job.id, task.index, found.restarts),
            signal_at: None,
            killed_at: None,
            start: found.starts,
        })
    }

    /// The process of a start is over. Nothing comes of it where the cluster has given that start up.
    pub fn finish(&self, launch: &TaskLaunch, ending: Ending) {
        self.with_start(launch, |task, limit| task.finish(ending, limit));
    }

    /// Says whether the cluster takes the process of this start for its own, or has told it to end.
    #[must_use]
    pub fn is_running(&self, launch: &TaskLaunch) -> bool {
        let mut running = false;
        self.with_start(launch, |task, _| running = matches!(task.state, TaskState::Running));
        running
    }

    /// The node of a running task is declared dead: the task waits for another start, and its process
    /// may go on all the same.
    pub fn give_up(&self, launch: &TaskLaunch) {
        self.with_start(launch, |task, limit| {
            if task.restarts < limit {
                task.queue_again();
            } else {
                task.end(TaskEnd::NodeFailed);
            }
        });
    }

    /// The cluster's controller was killed and comes back as it was before the task was started: it
    /// waits again, without a mark of it.
    pub fn step_back(&self, launch: &TaskLaunch) {
        self.with_start(launch, |task, _| task.queue());
    }

    /// The cluster's controller was killed and knows nothing of a job any more, nor of those after it.
    /// It gives their ids out again. Processes go on.
    pub fn forget(&self, job: &JobRef) {
        let mut inner = self.locked();
        let Some(place) = inner.jobs.iter().position(|known| known.is(job)) else { return };
        let tasks = inner.jobs.iter_mut().skip(place).flat_map(|job| &mut job.tasks);
        tasks.for_each(|task| task.forgotten = true);
        let id: u32 = job.id.parse().unwrap_or(1);
        inner.last_id = inner.last_id.min(id.saturating_sub(1));
    }

    /// The newest job.
    #[must_use]
    pub fn newest(&self) -> Option<JobRef> {
        self.locked().jobs.last().map(|job| job.job.clone())
    }

    /// Jobs that are over are forgotten, as after SLURM's `MinJobAge`.
    pub fn forget_ended(&self) {
        let mut inner = self.locked();
        let tasks = inner.jobs.iter_mut().flat_map(|job| &mut job.tasks);
        tasks.filter(|task| !task.is_live()).for_each(|task| task.forgotten = true);
    }

    fn with_start(&self, launch: &TaskLaunch, act: impl FnOnce(&mut Task, u32)) {
        let mut inner = self.locked();
        let Some(job) = inner.jobs.iter_mut().find(|job| job.is(&launch.task.job)) else { return };
        let limit = job.submission.restart_limit;
        let task = job.tasks.get_mut(launch.index as usize);
        if let Some(task) = task.filter(|task| task.starts == launch.start) {
            act(task, limit);
        }
    }

    fn with_task(&self, task: &TaskRef, act: impl FnOnce(&mut Task)) {
        let mut inner = self.locked();
        let known = inner.jobs.iter_mut().find(|job| job.is(&task.job));
        let found = known.and_then(|job| job.tasks.get_mut(task.index as usize));
        if let Some(found) = found.filter(|found| !found.forgotten) {
            act(found);
        }
    }

    fn take(&self, fits: impl Fn(Fate) -> bool) -> Option<Fate> {
        let mut inner = self.locked();
        let place = inner.fates.iter().position(|fate| fits(*fate))?;
        inner.fates.remove(place)
    }

    fn accept(&self, job: &Submission, late: u64) -> JobRef {
        let since = self.clock.monotonic() + Duration::from_secs(late);
        let mut inner = self.locked();
        inner.accepted += 1;
        inner.last_id += 1;
        let accepted = Job::new(job, inner.last_id, since);
        let reference = accepted.job.clone();
        inner.jobs.push(accepted);
        reference
    }

    fn look_for(&self, token: Token) -> Option<JobRef> {
        let now = self.clock.monotonic();
        let inner = self.locked();
        let mut there = inner.jobs.iter().filter(|job| job.since <= now);
        let found = there.find(|job| {
            job.submission.token == token && job.tasks.iter().any(|task| !task.forgotten)
        });
        found.map(|job| job.job.clone())
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scheduler for SimulatedScheduler {
    fn name(&self) -> &'static str {
        "simulated"
    }

    async fn submit(&self, job: &Submission) -> Result<JobRef, SchedulerError> {
        passes("cluster.asked", "sbatch")?;
        let refused = || SchedulerError::Refused { program: "sbatch", words: "no".into() };
        let (program, words) = ("sbatch", "QOSMaxSubmitJobPerUserLimit".to_owned());
        let answer = match self.take(Fate::is_of_submission) {
            Some(Fate::Refuse) => Err(refused()),
            Some(Fate::RefuseForLimit) => Err(SchedulerError::Limit { program, words }),
            Some(Fate::DropSubmission) => Err(unheard(program)),
            Some(Fate::AcceptLate(seconds)) => {
                self.accept(job, seconds);
                Err(unheard(program))
            }
            Some(Fate::AcceptGarbled) => {
                self.accept(job, 0);
                Err(SchedulerError::Garbled { program, words: "<html>502</html>".into() })
            }
            Some(_) => {
                self.accept(job, 0);
                Err(unheard(program))
            }
            None => Ok(self.accept(job, 0)),
        };
        passes("cluster.accepted", "sbatch").and(answer)
    }

    async fn states(&self, jobs: &[JobRef]) -> Result<Reports, SchedulerError> {
        passes("cluster.told", "squeue")?;
        let now = self.clock.monotonic();
        let fate = self.take(Fate::is_of_answer);
        let mut inner = self.locked();
        let there = inner.jobs.iter().filter(|job| job.since <= now).cloned().collect();
        let before = std::mem::replace(&mut inner.before, there);
        match fate {
            Some(Fate::Silence) => return Err(unheard("squeue")),
            Some(Fate::Garble) => {
                let words = "slurm_load_jobs: Zero".to_owned();
                return Err(SchedulerError::Garbled { program: "squeue", words });
            }
            _ => {}
        }
        let known = if fate == Some(Fate::Stale) { &before } else { &inner.before };
        let mut reports = Reports::new();
        for asked in jobs {
            for job in known.iter().filter(|job| job.is(asked)) {
                for (index, task) in (0..).zip(&job.tasks).filter(|(_, task)| !task.forgotten) {
                    let mut report = task.report();
                    if fate == Some(Fate::Babble) && task.is_live() {
                        report.state = TaskState::Unknown("TELEPORTING".to_owned());
                        report.word = "TELEPORTING".to_owned();
                    }
                    reports.insert(TaskRef { job: asked.clone(), index }, report);
                }
            }
        }
        if let (Some(Fate::LeaveOut(place)), false) = (fate, reports.is_empty()) {
            let left_out = reports.keys().nth(place as usize % reports.len()).cloned();
            left_out.iter().for_each(|task| drop(reports.remove(task)));
        }
        Ok(reports)
    }

    async fn cancel(&self, tasks: &[TaskRef]) -> Result<(), SchedulerError> {
        passes("cluster.cancelled", "scancel")?;
        let silence = self.take(|fate| matches!(fate, Fate::CancelSilence(_)));
        if silence != Some(Fate::CancelSilence(false)) {
            for task in tasks {
                self.with_task(task, |task| {
                    if task.is_live() {
                        task.end(TaskEnd::Cancelled);
                    }
                });
            }
        }
        silence.map_or(Ok(()), |_| Err(unheard("scancel")))
    }

    async fn requeue(&self, task: &TaskRef) -> Result<(), SchedulerError> {
        self.with_task(task, Task::queue_again);
        Ok(())
    }

    async fn find(
        &self,
        token: Token,
        _: &SweepFolder,
        _: Timestamp,
    ) -> Result<Option<JobRef>, SchedulerError> {
        passes("cluster.searched", "squeue")?;
        if self.take(|fate| fate == Fate::FindSilence).is_some() {
            return Err(unheard("squeue"));
        }
        if let Some(job) = self.look_for(token) {
            return Ok(Some(job));
        }
        let age = token.moment().map(|moment| self.clock.now().duration_since(moment));
        let age = age.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default();
        if let Some(wait) = QUIET.checked_sub(age) {
            self.clock.sleep(wait);
        }
        Ok(self.look_for(token))
    }
}

/// The dead ask nobody, and nobody hears what they are told.
fn passes(point: &str, program: &'static str) -> Result<(), SchedulerError> {
    layout::fault(point).map_err(|_| unheard(program))
}

fn unheard(program: &'static str) -> SchedulerError {
    SchedulerError::Unavailable { program, words: "nothing heard".into() }
}
