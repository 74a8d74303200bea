//! What may befall a submission, a question, or a start of a task, and what a start is given.

use std::path::PathBuf;
use std::time::Duration;

use crate::layout::SweepFolder;
use crate::scheduler::{TaskEnd, TaskRef};

/// A moment in the run of a task, counted in whatever the closure counts: steps, say.
pub type Moment = u64;

/// What befalls a submission, a question or a start of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The next submission is refused.
    Refuse,
    /// The next submission is refused for a limit.
    RefuseForLimit,
    /// The next submission is accepted, but nobody hears the answer.
    AcceptSilently,
    /// The next submission is accepted, and the answer makes no sense.
    AcceptGarbled,
    /// The next submission hangs, and is accepted so many seconds after its controller gave up.
    AcceptLate(u64),
    /// Nobody hears of the next submission.
    DropSubmission,
    /// The next question about states is not answered.
    Silence,
    /// The next answer about states makes no sense.
    Garble,
    /// The next answer about states is that of the question before.
    Stale,
    /// The next answer about states leaves out a task: that of this number, counted over all.
    LeaveOut(u32),
    /// The next answer about states has a word that nobody knows for all that is not over.
    Babble,
    /// The next search for a submission is not answered.
    FindSilence,
    /// The next wish to cancel is not answered; whether it is done anyway.
    CancelSilence(bool),
    /// The next started task gets a warning at this moment of its run and is queued again.
    Preempt(Moment),
    /// The next started task reaches its time limit.
    TimeOut(Moment),
    /// The node of the next started task dies; SLURM starts it again.
    NodeFails(Moment),
    /// The next started task vanishes with all that the scheduler knows of it.
    Lose(Moment),
}

impl Fate {
    /// The moment at which it strikes a task.
    pub(super) fn moment(self) -> Option<Moment> {
        match self {
            Self::Preempt(at) | Self::TimeOut(at) | Self::NodeFails(at) | Self::Lose(at) => {
                Some(at)
            }
            _ => None,
        }
    }

    /// Says whether it is about a submission.
    pub(super) fn is_of_submission(self) -> bool {
        matches!(
            self,
            Self::Refuse
                | Self::RefuseForLimit
                | Self::AcceptSilently
                | Self::AcceptGarbled
                | Self::AcceptLate(_)
                | Self::DropSubmission
        )
    }

    /// Says whether it is about an answer.
    pub(super) fn is_of_answer(self) -> bool {
        matches!(
            self,
            Self::Silence | Self::Garble | Self::Stale | Self::LeaveOut(_) | Self::Babble
        )
    }

    /// How a task ends that it struck.
    pub(super) fn ending(self, code: i32) -> Ending {
        match self {
            Self::Preempt(_) => Ending::Preempted(code),
            Self::TimeOut(_) => Ending::By(TaskEnd::TimedOut, code),
            Self::NodeFails(_) => Ending::NodeFailed(code),
            Self::Lose(_) => Ending::Lost(code),
            _ => Ending::Left(code),
        }
    }
}

/// How the process of a task ended, with its exit code. Who leaves with 0 is complete, whatever else
/// happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself; the script may ask for another start.
    Left(i32),
    /// By itself; the script does not ask for another start.
    LeftForGood(i32),
    /// To make room.
    Preempted(i32),
    /// With its node.
    NodeFailed(i32),
    /// The scheduler ended it for this.
    By(TaskEnd, i32),
    /// And the scheduler forgot it.
    Lost(i32),
}

/// A task to run: what a script would give to the worker.
#[derive(Clone, Debug)]
pub struct TaskLaunch {
    /// The task.
    pub task: TaskRef,
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
    /// Which start of the task it is, over all.
    pub(super) start: u64,
}
