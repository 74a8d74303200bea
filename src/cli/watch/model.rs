//! What the view knows and where it stands: a value that `update` changes and `view` draws. Pure.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::act::Act;
use super::filter::{self, List, Sort};
use super::places::Places;
use super::seen::{Kept, Seen, Told, Wanted};
use crate::cli::progress::Seeds;
use crate::cli::table::Parameters;
use crate::id::TrialId;
use crate::metric::Direction;
use crate::store::{SweepStatus, TrialRow, TrialState};

/// Messages that are kept.
const MESSAGES: usize = 200;

/// A part of the view that keys are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    Sweeps,
    #[default]
    Trials,
    Log,
}

/// What lies over the panes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Over {
    #[default]
    Nothing,
    /// All keys, from such a line on where there is no room for all.
    Help(usize),
    /// What was said, from so many messages before the newest.
    Messages(usize),
    /// Whether something is really to be done.
    Confirm(Act),
    /// A filter is being typed; what it was before.
    Filter(String),
}

/// Something that is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Acting {
    pub(super) act: Act,
    /// When it began, or when it was wished for.
    pub(super) since: Timestamp,
    /// Whether it began; before, a scheduler may be asked for something else.
    pub(super) has_begun: bool,
}

/// Everything that is drawn.
#[derive(Debug)]
pub(super) struct Model {
    /// Columns and rows of the terminal.
    pub(super) size: (u16, u16),
    /// The folder of all sweeps, for people.
    pub(super) root: String,
    /// What must be typed after `regatta` to mean it.
    pub(super) root_option: String,
    /// Whether the scheduler is asked at all.
    pub(super) is_offline: bool,
    pub(super) now: Timestamp,
    /// What was read last; nothing yet: `None`.
    pub(super) seen: Option<Seen>,
    /// Columns of the settings that the listed sweep varies.
    pub(super) columns: Parameters,
    /// Whether its trials have several seeds.
    pub(super) seeds: Seeds,
    /// What schedulers said last, by sweep.
    pub(super) told: BTreeMap<String, Told>,
    /// The sweep whose scheduler is being asked, and since when.
    pub(super) asking: Option<(String, Timestamp)>,
    pub(super) pane: Pane,
    /// The pane has the whole screen.
    pub(super) is_zoomed: bool,
    pub(super) over: Over,
    /// The sweep that is chosen.
    pub(super) sweep: Option<String>,
    /// The trial that is chosen.
    pub(super) trial: Option<TrialId>,
    /// Its place in the list.
    pub(super) at: usize,
    /// Places of the listed trials, in order.
    pub(super) listed: Vec<usize>,
    pub(super) filter: String,
    /// The filter that is in force: a condition is not while it is typed.
    pub(super) in_force: String,
    pub(super) sort: Sort,
    pub(super) is_reversed: bool,
    /// Lines that the log is scrolled back; 0: it follows.
    pub(super) back: usize,
    /// What was said, the newest last.
    pub(super) messages: VecDeque<(Timestamp, String)>,
    /// The newest message that nobody has seen for long enough.
    pub(super) fresh: Option<(Timestamp, String)>,
    /// What is being done.
    pub(super) acting: Option<Acting>,
    /// The user wants to leave as soon as nothing is being done.
    pub(super) is_leaving: bool,
    /// What came of it meanwhile, for when the view is gone.
    pub(super) parting: Vec<String>,
}

impl Model {
    pub(super) fn new(root: String, size: (u16, u16), now: Timestamp) -> Self {
        Self {
            size,
            root,
            root_option: String::new(),
            is_offline: false,
            now,
            seen: None,
            columns: Parameters::new(std::iter::empty()),
            seeds: Seeds::default(),
            told: BTreeMap::new(),
            asking: None,
            pane: Pane::default(),
            is_zoomed: false,
            over: Over::default(),
            sweep: None,
            trial: None,
            at: 0,
            listed: Vec::new(),
            filter: String::new(),
            in_force: String::new(),
            sort: Sort::default(),
            is_reversed: false,
            back: 0,
            messages: VecDeque::new(),
            fresh: None,
            acting: None,
            is_leaving: false,
            parting: Vec::new(),
        }
    }

    /// The sweeps that are listed.
    pub(super) fn sweeps(&self) -> &[SweepStatus] {
        self.seen.as_ref().map_or(&[], |seen| &seen.sweeps)
    }

    /// The place of the chosen sweep.
    pub(super) fn sweep_at(&self) -> usize {
        let is_it = |status: &SweepStatus| Some(&status.sweep) == self.sweep.as_ref();
        self.sweeps().iter().position(is_it).unwrap_or(0)
    }

    /// The chosen sweep.
    pub(super) fn status(&self) -> Option<&SweepStatus> {
        self.sweeps().get(self.sweep_at())
    }

    pub(super) fn direction(&self) -> Direction {
        self.status().map_or(Direction::default(), |status| status.objective.direction)
    }

    /// What was read, where it is about the chosen sweep.
    pub(super) fn of_sweep(&self) -> Option<&Seen> {
        self.seen.as_ref().filter(|seen| seen.sweep.is_some() && seen.sweep == self.sweep)
    }

    /// The trial at a place of the list.
    pub(super) fn row(&self, at: usize) -> Option<&TrialRow> {
        self.of_sweep()?.trials.get(*self.listed.get(at)?)
    }

    /// The chosen trial.
    pub(super) fn chosen(&self) -> Option<&TrialRow> {
        self.row(self.at)
    }

    /// What a condition came to, where the filter in force is one.
    pub(super) fn kept(&self) -> Option<&Kept> {
        let kept = self.of_sweep()?.kept.as_ref()?;
        (kept.condition == self.in_force && Some(&kept.sweep) == self.sweep.as_ref())
            .then_some(kept)
    }

    /// What is wrong with the filter.
    pub(super) fn filter_error(&self) -> Option<&str> {
        self.kept()?.trials.as_ref().err().map(String::as_str)
    }

    /// Lists the trials again, and keeps the chosen one where it is still there.
    pub(super) fn list(&mut self) {
        let listed = self.of_sweep().map_or(Vec::new(), |seen| {
            let list = List {
                rows: &seen.trials,
                progress: &seen.progress,
                filter: &self.in_force,
                kept: self.kept(),
                sort: self.sort,
                is_reversed: self.is_reversed,
                direction: self.direction(),
            };
            list.places()
        });
        self.listed = listed;
        let found = self.trial.as_ref().and_then(|trial| {
            let rows = &self.of_sweep()?.trials;
            self.listed.iter().position(|at| rows[*at].trial == *trial)
        });
        self.choose(found.unwrap_or(self.at));
    }

    /// Chooses the trial at a place, or the last one.
    pub(super) fn choose(&mut self, at: usize) {
        let before = self.trial.take();
        self.at = at.min(self.listed.len().saturating_sub(1));
        self.trial = self.chosen().map(|row| row.trial.clone());
        if self.trial != before {
            self.back = 0;
        }
    }

    /// Chooses a sweep. Its trials are listed when they were read.
    pub(super) fn choose_sweep(&mut self, at: usize) {
        let last = self.sweeps().len().saturating_sub(1);
        let name = self.sweeps().get(at.min(last)).map(|status| status.sweep.clone());
        if name != self.sweep {
            (self.sweep, self.trial, self.at, self.back) = (name, None, 0, 0);
            self.list();
        }
    }

    /// Where everything is.
    pub(super) fn places(&self) -> Places {
        Places::of(self)
    }

    /// What is to be read.
    pub(super) fn wanted(&self) -> Wanted {
        let places = self.places();
        let rows = usize::from(places.trial_rows());
        let first = first_shown(self.at, self.listed.len(), rows);
        let shown = (first..self.listed.len().min(first + rows)).filter_map(|at| self.row(at));
        let condition = filter::is_condition(&self.in_force).then(|| self.in_force.clone());
        Wanted {
            sweep: self.sweep.clone(),
            trial: self.trial.clone(),
            visible: shown.map(|row| row.trial.clone()).collect(),
            condition,
        }
    }

    /// The command that does the same, as the user would type it.
    pub(super) fn command(&self, act: &Act) -> String {
        format!("regatta {}{}", self.root_option, act.words())
    }

    /// Notes what is worth telling.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.fresh = Some((self.now, text.clone()));
        self.note(text);
    }

    /// Notes what the status line tells in another way.
    pub(super) fn note(&mut self, text: String) {
        self.messages.push_back((self.now, text));
        if self.messages.len() > MESSAGES {
            self.messages.pop_front();
        }
    }

    /// The number of trials in a state, of all sweeps.
    pub(super) fn count(&self, state: &TrialState) -> u64 {
        let of = |status: &SweepStatus| {
            let found = status.states.iter().find(|(other, _)| other == state);
            found.map_or(0, |(_, count)| *count)
        };
        self.sweeps().iter().map(of).sum()
    }
}

/// The first of `all` lines that is shown where `rows` are, so that the chosen one is in the middle where it
/// can be.
pub(super) fn first_shown(chosen: usize, all: usize, rows: usize) -> usize {
    chosen.saturating_sub(rows / 2).min(all.saturating_sub(rows))
}
