//! Jobs and tasks as the simulated cluster keeps them.

use std::time::Duration;

use super::fate::Ending;
use crate::scheduler::{JobRef, Submission, TaskEnd, TaskReport, TaskState};

/// Exit code of a worker that stopped early with a checkpoint.
const RUN_ME_AGAIN: i32 = 75;

/// One task.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) state: TaskState,
    pub(super) word: &'static str,
    pub(super) restarts: u32,
    /// Starts so far, also those that the scheduler forgot.
    pub(super) starts: u64,
    /// The scheduler knows nothing of it any more.
    pub(super) forgotten: bool,
}

/// One job.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) submission: Submission,
    pub(super) job: JobRef,
    pub(super) tasks: Vec<Task>,
    /// When it is there for everybody to see.
    pub(super) since: Duration,
}

impl Job {
    pub(super) fn new(submission: &Submission, id: u32, since: Duration) -> Self {
        let job = JobRef {
            id: id.to_string(),
            token: submission.token,
            folder: submission.folder.path().to_owned(),
            tasks: submission.tasks,
        };
        let tasks = (0..submission.tasks).map(|_| Task::waiting()).collect();
        Self { submission: submission.clone(), job, tasks, since }
    }

    /// Says whether a reference means this job, wherever its folder is now.
    pub(super) fn is(&self, job: &JobRef) -> bool {
        self.job.id == job.id && self.job.token == job.token
    }
}

impl Task {
    fn waiting() -> Self {
        let state = TaskState::Pending("Priority".to_owned());
        Self { state, word: "PENDING", restarts: 0, starts: 0, forgotten: false }
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, TaskState::Pending(_) | TaskState::Running)
    }

    pub(super) fn report(&self) -> TaskReport {
        TaskReport {
            state: self.state.clone(),
            word: self.word.to_owned(),
            restarts: self.restarts,
            node: None,
            exit: None,
            inferred: false,
        }
    }

    pub(super) fn start(&mut self) {
        self.starts += 1;
        (self.state, self.word) = (TaskState::Running, "RUNNING");
    }

    /// Waits for another start.
    pub(super) fn queue_again(&mut self) {
        self.restarts += 1;
        self.queue();
    }

    pub(super) fn queue(&mut self) {
        (self.state, self.word) = (TaskState::Pending("BeginTime".to_owned()), "PENDING");
    }

    pub(super) fn end(&mut self, end: TaskEnd) {
        (self.state, self.word) = (TaskState::Ended(end), word(end));
    }

    /// The process of its start is over.
    pub(super) fn finish(&mut self, ending: Ending, restart_limit: u32) {
        if !matches!(self.state, TaskState::Running) {
            return; // cancelled, or queued again, meanwhile
        }
        let again = self.restarts < restart_limit;
        match ending {
            Ending::Left(0)
            | Ending::LeftForGood(0)
            | Ending::Preempted(0)
            | Ending::NodeFailed(0)
            | Ending::By(_, 0)
            | Ending::Lost(0) => self.end(TaskEnd::Completed),
            Ending::Lost(_) => {
                self.forgotten = true;
                self.end(TaskEnd::Failed);
            }
            Ending::NodeFailed(_) | Ending::Preempted(_) if again => self.queue_again(),
            Ending::NodeFailed(_) => self.end(TaskEnd::NodeFailed),
            Ending::Preempted(_) => self.end(TaskEnd::Preempted),
            Ending::By(end, _) => self.end(end),
            Ending::Left(RUN_ME_AGAIN) if again => self.queue_again(),
            Ending::Left(_) | Ending::LeftForGood(_) => self.end(TaskEnd::Failed),
        }
    }
}

fn word(end: TaskEnd) -> &'static str {
    match end {
        TaskEnd::Completed => "COMPLETED",
        TaskEnd::Failed => "FAILED",
        TaskEnd::TimedOut => "TIMEOUT",
        TaskEnd::OutOfMemory => "OUT_OF_MEMORY",
        TaskEnd::NodeFailed => "NODE_FAIL",
        TaskEnd::Preempted => "PREEMPTED",
        TaskEnd::Cancelled => "CANCELLED",
    }
}
