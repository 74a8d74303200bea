//! What is known at a moment: the words that the threads send.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::act::Act;
use crate::cli::gate::Name;
use crate::id::TrialId;
use crate::store::{Progress, SampleRow, SweepStatus, TrialDetail, TrialRow};

/// What the view is about, so that only that is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    /// The sweep whose trials are listed.
    pub(super) sweep: Option<String>,
    /// The trial that is looked at closely.
    pub(super) trial: Option<TrialId>,
    /// Trials that are on the screen.
    pub(super) visible: Vec<TrialId>,
    /// A condition in the language of `--where`.
    pub(super) condition: Option<String>,
}

/// What was read. It replaces what was read before.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The sweeps, without `progress`.
    pub(super) sweeps: Vec<SweepStatus>,
    /// Whose trials these are.
    pub(super) sweep: Option<String>,
    /// All trials of that sweep, in the order of its plan.
    pub(super) trials: Arc<Vec<TrialRow>>,
    /// How far its trials are that are under way.
    pub(super) progress: Arc<HashMap<TrialId, Progress>>,
    /// The objective over the epochs of the trials on the screen.
    pub(super) curves: HashMap<TrialId, Vec<f64>>,
    /// The trial that is looked at closely.
    pub(super) chosen: Option<Chosen>,
    /// Trials for which a condition holds.
    pub(super) kept: Option<Kept>,
    /// What could not be read, a sentence each.
    pub(super) troubles: Vec<String>,
}

/// A trial that is looked at closely.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) detail: TrialDetail,
    /// What was seen of its machine, the oldest first.
    pub(super) samples: Vec<SampleRow>,
    /// The end of what it said.
    pub(super) log: Log,
}

/// The end of a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Log {
    /// Whole lines, without what moves a cursor.
    pub(super) lines: Vec<String>,
    /// Whether the file has more before them.
    pub(super) is_cut: bool,
    /// Why there are none.
    pub(super) missing: Option<String>,
}

/// What a condition came to.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) condition: String,
    pub(super) sweep: String,
    /// The trials, or what is wrong with the condition.
    pub(super) trials: Result<HashSet<TrialId>, String>,
}

/// Something that happened.
#[derive(Debug)]
pub(super) enum Message {
    /// A key.
    Key(ratatui::crossterm::event::KeyEvent),
    /// Text that was pasted.
    Pasted(String),
    /// The terminal has another size: columns and rows.
    Size(u16, u16),
    /// Something was read.
    Seen(Box<Seen>),
    /// The scheduler of a sweep is being asked.
    Asking { sweep: String, since: Timestamp },
    /// It was.
    Asked(Told),
    /// An act begins.
    Begun(Act),
    /// An act came to its end.
    Done { words: Vec<String>, is_well: bool },
    /// There are no keys any more.
    Leave,
}

/// What a look at a scheduler brought.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) sweep: String,
    pub(super) scheduler: Option<Name>,
    /// Of when the answer is.
    pub(super) at: Option<Timestamp>,
    /// Why there is none.
    pub(super) silent: Option<String>,
    /// Whether something is in flight or policy sends it later, where that is known.
    pub(super) goes_on: Option<bool>,
    /// What is worth telling.
    pub(super) words: Vec<String>,
}
