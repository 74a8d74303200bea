//! What to submit, and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;

use crate::id::TrialId;
use crate::plan::Limits;
use crate::scheduler::{JobRef, SchedulerError};

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
    /// Those that a limit of the site did not let in; they are submitted when there is room.
    pub limited: Vec<(SchedulerError, usize)>,
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
    /// The same by the word of their state.
    pub stopped_as: BTreeMap<String, usize>,
    /// Trials that policy submits later: back-off, or a limit of the site.
    pub waiting: usize,
    /// When the first of them is due.
    pub due: Option<Timestamp>,
    /// What else is worth telling: nodes that are left out, wishes that the site does not grant.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Says whether something was given to the scheduler, or may have been.
    #[must_use]
    pub fn has_sent(&self) -> bool {
        !self.accepted.is_empty() || !self.unheard.is_empty()
    }

    /// Says whether the sweep goes on by itself, when somebody looks again.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.has_sent() || self.waiting > 0 || !self.limited.is_empty()
    }
}
