//! A small SLURM in one process on a virtual clock, for tests of a sweep's whole life.
//!
//! Nothing happens by itself: [`SimulatedScheduler::advance`] starts the next tasks, one after the
//! other in the order of submission. What befalls them is scripted as [`Fate`]s beforehand; which
//! process stands for a task is up to a closure.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{
    JobRef, Reports, Scheduler, SchedulerError, Submission, TaskEnd, TaskRef, TaskReport, TaskState,
};
use crate::clock::{Clock, VirtualClock};
use crate::id::Token;
use crate::layout::SweepFolder;

/// Exit code of a worker that stopped early with a checkpoint.
const RUN_ME_AGAIN: i32 = 75;

/// What befalls a submission or a start of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The next submission is refused.
    Refuse,
    /// The next submission is accepted, but nobody hears the answer.
    AcceptSilently,
    /// Nobody hears of the next submission.
    DropSubmission,
    /// The next question about states is not answered.
    Silence,
    /// The next started task gets a warning at this moment of its run and is queued again.
    Preempt(Moment),
    /// The next started task reaches its time limit.
    TimeOut(Moment),
    /// The node of the next started task dies; SLURM starts it again.
    NodeFails(Moment),
    /// The next started task vanishes with all that the scheduler knows of it.
    Lose(Moment),
}

/// A moment in the run of a task, counted in whatever the closure counts: steps, say.
pub type Moment = u64;

/// A task to run: what a script would give to the worker.
#[derive(Clone, Debug)]
pub struct TaskLaunch {
    /// The sweep's folder.
    pub folder: SweepFolder,
    /// The job file.
    pub job_file: PathBuf,
    /// Number of the line.
    pub index: u32,
    /// Time left, if limited.
    pub time_left: Option<Duration>,
    /// For the record.
    pub origin: String,
    /// After how many steps a signal asks it to stop.
    pub signal_at: Option<Moment>,
    /// After how many steps it is killed without a word.
    pub killed_at: Option<Moment>,
}

struct Task {
    state: TaskState,
    word: &'static str,
    restarts: u32,
    lost: bool,
}

struct Job {
    submission: Submission,
    job: JobRef,
    tasks: Vec<Task>,
}

/// The simulated cluster.
pub struct SimulatedScheduler {
    clock: VirtualClock,
    jobs: Mutex<BTreeMap<u32, Job>>,
    fates: Mutex<VecDeque<Fate>>,
}

impl SimulatedScheduler {
    /// Makes an empty cluster.
    #[must_use]
    pub fn new(clock: VirtualClock) -> Self {
        Self { clock, jobs: Mutex::default(), fates: Mutex::default() }
    }

    /// Adds a fate to those that wait; each strikes the first happening that it fits.
    pub fn expect(&self, fate: Fate) {
        locked(&self.fates).push_back(fate);
    }

    /// Number of jobs ever accepted.
    #[must_use]
    pub fn submissions(&self) -> usize {
        locked(&self.jobs).len()
    }

    /// Runs every task that waits, once; `run` stands for the script with its worker and returns the
    /// exit code. Returns how many were run. Between tasks a second passes.
    pub fn advance(&self, mut run: impl FnMut(&TaskLaunch) -> i32) -> usize {
        let waiting: Vec<(u32, usize)> = locked(&self.jobs)
            .iter()
            .flat_map(|(id, job)| (0..job.tasks.len()).map(move |index| (*id, index, job)))
            .filter(|(_, index, job)| matches!(job.tasks[*index].state, TaskState::Pending(_)))
            .map(|(id, index, _)| (id, index))
            .collect();
        let mut ran = 0;
        for (id, index) in waiting {
            let fate = self.take(|fate| task_moment(fate).is_some());
            let Some(launch) = self.start(id, index, fate) else { continue };
            let code = run(&launch);
            self.clock.sleep(Duration::from_secs(1));
            self.finish(id, index, code, fate);
            ran += 1;
        }
        ran
    }

    fn start(&self, id: u32, index: usize, fate: Option<Fate>) -> Option<TaskLaunch> {
        let mut jobs = locked(&self.jobs);
        let job = jobs.get_mut(&id)?;
        let task = &mut job.tasks[index];
        (task.state, task.word) = (TaskState::Running, "RUNNING");
        let number = u32::try_from(index).ok()?;
        let gentle = matches!(fate, Some(Fate::Preempt(_) | Fate::TimeOut(_)));
        let moment = fate.and_then(task_moment);
        Some(TaskLaunch {
            folder: job.submission.folder.clone(),
            job_file: job.submission.folder.job_file(job.submission.token),
            index: number,
            time_left: job.submission.time_limit,
            origin: format!("slurm:{id}_{index}:{}", task.restarts),
            signal_at: moment.filter(|_| gentle),
            killed_at: moment.filter(|_| !gentle),
        })
    }

    fn finish(&self, id: u32, index: usize, code: i32, fate: Option<Fate>) {
        let mut jobs = locked(&self.jobs);
        let Some(job) = jobs.get_mut(&id) else { return };
        let limit = job.submission.restart_limit;
        let task = &mut job.tasks[index];
        if matches!(task.state, TaskState::Ended(_)) {
            return; // cancelled meanwhile
        }
        let again = task.restarts < limit;
        let end = |end| TaskState::Ended(end);
        (task.state, task.word) = match (fate, code) {
            (_, 0) => (end(TaskEnd::Completed), "COMPLETED"),
            (Some(Fate::Lose(_)), _) => {
                task.lost = true;
                (end(TaskEnd::Failed), "FAILED")
            }
            (Some(Fate::NodeFails(_) | Fate::Preempt(_)), _) if again => queued(&mut task.restarts),
            (Some(Fate::NodeFails(_)), _) => (end(TaskEnd::NodeFailed), "NODE_FAIL"),
            (Some(Fate::Preempt(_)), _) => (end(TaskEnd::Preempted), "PREEMPTED"),
            (Some(Fate::TimeOut(_)), _) => (end(TaskEnd::TimedOut), "TIMEOUT"),
            (_, RUN_ME_AGAIN) if again => queued(&mut task.restarts),
            _ => (end(TaskEnd::Failed), "FAILED"),
        };
    }

    fn take(&self, fits: impl Fn(Fate) -> bool) -> Option<Fate> {
        let mut fates = locked(&self.fates);
        let place = fates.iter().position(|fate| fits(*fate))?;
        fates.remove(place)
    }

    fn accept(&self, job: &Submission) -> JobRef {
        let mut jobs = locked(&self.jobs);
        let id = 1 + u32::try_from(jobs.len()).unwrap_or(u32::MAX - 1);
        let folder = job.folder.path().to_owned();
        let reference = JobRef { id: id.to_string(), token: job.token, folder, tasks: job.tasks };
        let waiting = |_| Task { state: priority(), word: "PENDING", restarts: 0, lost: false };
        let tasks = (0..job.tasks).map(waiting).collect();
        jobs.insert(id, Job { submission: job.clone(), job: reference.clone(), tasks });
        reference
    }

    fn with_task(&self, task: &TaskRef, act: impl FnOnce(&mut Task)) {
        let mut jobs = locked(&self.jobs);
        let known = jobs.values_mut().find(|job| job.job == task.job);
        if let Some(found) = known.and_then(|job| job.tasks.get_mut(task.index as usize)) {
            act(found);
        }
    }
}

impl Scheduler for SimulatedScheduler {
    fn name(&self) -> &'static str {
        "simulated"
    }

    async fn submit(&self, job: &Submission) -> Result<JobRef, SchedulerError> {
        let unheard =
            || SchedulerError::Unavailable { program: "sbatch", words: "nothing heard".into() };
        match self.take(|f| matches!(f, Fate::Refuse | Fate::AcceptSilently | Fate::DropSubmission))
        {
            Some(Fate::Refuse) => {
                Err(SchedulerError::Refused { program: "sbatch", words: "no".into() })
            }
            Some(Fate::DropSubmission) => Err(unheard()),
            Some(_) => {
                self.accept(job);
                Err(unheard())
            }
            None => Ok(self.accept(job)),
        }
    }

    async fn states(&self, jobs: &[JobRef]) -> Result<Reports, SchedulerError> {
        if self.take(|fate| fate == Fate::Silence).is_some() {
            return Err(SchedulerError::Unavailable {
                program: "squeue",
                words: "nothing heard".into(),
            });
        }
        let mut reports = Reports::new();
        for job in locked(&self.jobs).values().filter(|job| jobs.contains(&job.job)) {
            for (index, task) in (0..).zip(&job.tasks).filter(|(_, task)| !task.lost) {
                let report = TaskReport {
                    state: task.state.clone(),
                    word: task.word.to_owned(),
                    restarts: task.restarts,
                    node: None,
                    exit: None,
                };
                reports.insert(TaskRef { job: job.job.clone(), index }, report);
            }
        }
        Ok(reports)
    }

    async fn cancel(&self, tasks: &[TaskRef]) -> Result<(), SchedulerError> {
        for task in tasks {
            self.with_task(task, |task| {
                if !matches!(task.state, TaskState::Ended(_)) {
                    (task.state, task.word) = (TaskState::Ended(TaskEnd::Cancelled), "CANCELLED");
                }
            });
        }
        Ok(())
    }

    async fn requeue(&self, task: &TaskRef) -> Result<(), SchedulerError> {
        self.with_task(task, |task| (task.state, task.word) = queued(&mut task.restarts));
        Ok(())
    }

    async fn find(&self, token: Token, _: &SweepFolder) -> Result<Option<JobRef>, SchedulerError> {
        let jobs = locked(&self.jobs);
        Ok(jobs.values().find(|job| job.submission.token == token).map(|job| job.job.clone()))
    }
}

fn task_moment(fate: Fate) -> Option<Moment> {
    match fate {
        Fate::Preempt(at) | Fate::TimeOut(at) | Fate::NodeFails(at) | Fate::Lose(at) => Some(at),
        _ => None,
    }
}

fn priority() -> TaskState {
    TaskState::Pending("Priority".to_owned())
}

fn queued(restarts: &mut u32) -> (TaskState, &'static str) {
    *restarts += 1;
    (TaskState::Pending("BeginTime".to_owned()), "PENDING")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn cluster(tasks: u32) -> (SimulatedScheduler, Submission) {
        let clock = VirtualClock::starting(Timestamp::UNIX_EPOCH);
        let job = Submission {
            token: Token::at(clock.now()),
            folder: SweepFolder::new("/runs/lr"),
            tasks,
            throttle: None,
            time_limit: None,
            warn_before: Duration::ZERO,
            restart_limit: 1,
        };
        (SimulatedScheduler::new(clock), job)
    }

    async fn words(cluster: &SimulatedScheduler, job: &JobRef) -> Vec<String> {
        let reports = cluster.states(std::slice::from_ref(job)).await.expect("states");
        reports.into_values().map(|report| report.word).collect()
    }

    #[tokio::test]
    async fn fates_strike_in_order_and_once() {
        let (cluster, job) = cluster(3);
        let job = cluster.submit(&job).await.expect("submit");
        cluster.expect(Fate::Preempt(5));
        cluster.expect(Fate::TimeOut(7));
        let mut seen = Vec::new();
        let ran = cluster.advance(|launch| {
            seen.push((launch.origin.clone(), launch.signal_at));
            if launch.signal_at.is_some() { RUN_ME_AGAIN } else { 0 }
        });
        assert_eq!(ran, 3);
        assert_eq!(seen[0], ("slurm:1_0:0".to_owned(), Some(5)));
        assert_eq!(words(&cluster, &job).await, ["PENDING", "TIMEOUT", "COMPLETED"]);
        cluster.advance(|launch| {
            assert_eq!((launch.origin.as_str(), launch.signal_at), ("slurm:1_0:1", None));
            0
        });
        assert_eq!(words(&cluster, &job).await, ["COMPLETED", "TIMEOUT", "COMPLETED"]);
    }

    #[tokio::test]
    async fn an_unheard_submission_is_found_or_is_not() {
        for (fate, there) in [(Fate::AcceptSilently, true), (Fate::DropSubmission, false)] {
            let (cluster, job) = cluster(1);
            cluster.expect(fate);
            assert!(!cluster.submit(&job).await.expect_err("unheard").is_certain());
            let found = cluster.find(job.token, &job.folder).await.expect("find");
            assert_eq!(found.is_some(), there, "{fate:?}");
        }
    }

    #[tokio::test]
    async fn a_lost_task_is_absent() {
        let (cluster, job) = cluster(2);
        let job = cluster.submit(&job).await.expect("submit");
        cluster.expect(Fate::Lose(1));
        cluster.advance(|launch| if launch.killed_at.is_some() { 137 } else { 0 });
        assert_eq!(words(&cluster, &job).await, ["COMPLETED"]);
    }
}
