//! Which trials of a sweep are listed, and in which order. Pure.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::seen::Kept;
use crate::cli::table;
use crate::id::TrialId;
use crate::metric::Direction;
use crate::store::{Progress, TrialRow};

/// Orders of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// That of the plan.
    #[default]
    Plan,
    /// The best value first.
    Value,
    /// As states are ordered: what waits, what runs, what is over.
    State,
    /// The furthest first.
    Progress,
    /// Least time left first.
    Left,
}

impl Sort {
    /// The next one.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Plan => Self::Value,
            Self::Value => Self::State,
            Self::State => Self::Progress,
            Self::Progress => Self::Left,
            Self::Left => Self::Plan,
        }
    }

    /// Words for it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Plan => "in order of the plan",
            Self::Value => "best first",
            Self::State => "by state",
            Self::Progress => "furthest first",
            Self::Left => "least time left first",
        }
    }
}

/// Says whether a filter is a condition in the language of `--where` rather than words.
pub(super) fn is_condition(filter: &str) -> bool {
    filter.contains(['=', '<', '>', '~'])
}

/// What is listed.
pub(super) struct List<'a> {
    pub(super) rows: &'a [TrialRow],
    pub(super) progress: &'a HashMap<TrialId, Progress>,
    pub(super) filter: &'a str,
    /// What the condition came to, where the filter is one.
    pub(super) kept: Option<&'a Kept>,
    pub(super) sort: Sort,
    pub(super) is_reversed: bool,
    pub(super) direction: Direction,
}

impl List<'_> {
    /// The places of the rows that are listed, in order.
    pub(super) fn places(&self) -> Vec<usize> {
        let words: Vec<String> = match is_condition(self.filter) {
            true => Vec::new(),
            false => self.filter.split_whitespace().map(str::to_lowercase).collect(),
        };
        let kept = self.kept.and_then(|kept| kept.trials.as_ref().ok());
        let is_listed = |row: &TrialRow| {
            kept.is_none_or(|kept| kept.contains(&row.trial)) && self.has(row, &words)
        };
        let rows = self.rows.iter().enumerate();
        let mut places: Vec<usize> =
            rows.filter(|(_, row)| is_listed(row)).map(|(at, _)| at).collect();
        if self.sort != Sort::Plan {
            places.sort_by(|a, b| self.compare(&self.rows[*a], &self.rows[*b]));
        }
        if self.is_reversed {
            places.reverse();
        }
        places
    }

    fn has(&self, row: &TrialRow, words: &[String]) -> bool {
        if words.is_empty() {
            return true;
        }
        let host = self.progress.get(&row.trial).and_then(|progress| progress.host.as_deref());
        let mut text = format!("{} {} {} ", row.trial, row.state, row.why);
        text.push_str(host.unwrap_or_default());
        for (path, value) in &row.parameters {
            text.push_str(&format!(" {path}={}", table::value(value)));
        }
        let text = text.to_lowercase();
        words.iter().all(|word| text.contains(word))
    }

    fn compare(&self, a: &TrialRow, b: &TrialRow) -> Ordering {
        let left = |row: &TrialRow| self.progress.get(&row.trial).and_then(|one| one.remaining);
        match self.sort {
            Sort::Plan => Ordering::Equal,
            Sort::Value => self.direction.rank(a.value, b.value),
            Sort::State => a.state.cmp(&b.state),
            Sort::Progress => share(b).total_cmp(&share(a)),
            Sort::Left => Direction::Minimize.rank(left(a), left(b)),
        }
    }
}

/// The part of a trial that is done, from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "numbers of epochs are small")]
pub(super) fn share(row: &TrialRow) -> f64 {
    match row.epochs {
        Some(all) if all > 0 => (row.epochs_done as f64 / all as f64).min(1.0),
        _ => 0.0,
    }
}
