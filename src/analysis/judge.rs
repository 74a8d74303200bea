//! The judgement over a trial: the first of its verdicts that holds, the worst first.

use std::fmt;

use super::history::{Epoch, Life, Standing};
use super::measure::{FEWEST, frozen_since};

/// Epochs until it can be said of a trial that goes on that it learns nothing; the worker waits as long.
const SILENT: usize = 5;

/// Epochs in a row without foreground that count as a collapse from which a trial came back; the
/// worker's default (`guards.collapse_epochs`).
const IN_A_ROW: usize = 2;

/// What is to be said of a trial before any of its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No epoch has ended.
    NoEpoch,
    /// A loss is not finite from this epoch on, or training diverged in it.
    Diverged(u64),
    /// It had learnt, and tells foreground from background in no epoch from this one on.
    Collapsed(u64),
    /// It never told foreground from background.
    NeverLearnt,
    /// The validation loss is the same from this epoch on.
    Frozen(u64),
    /// It goes on, or ended before it was complete.
    Unfinished,
    /// So few epochs say nothing about a course.
    Few(usize),
    /// It had collapsed at this epoch, and learnt again.
    Recovered(u64),
    /// Nothing is wrong.
    Sound,
}

impl Verdict {
    /// Judges a trial from its epochs, in ascending order.
    #[must_use]
    pub fn of(life: &Life, epochs: &[Epoch]) -> Self {
        let Some(last) = epochs.last() else {
            return match life.standing {
                Standing::Diverged => Self::Diverged(1),
                _ => Self::NoEpoch,
            };
        };
        if let Some(from) = since(epochs, |epoch| epoch.is_not_finite) {
            return Self::Diverged(from);
        }
        if life.standing == Standing::Diverged {
            return Self::Diverged(last.epoch + 1);
        }
        let learnt = epochs.iter().position(|epoch| epoch.has_learnt == Some(true));
        let blind_from = since(epochs, |epoch| epoch.is_blind == Some(true));
        if let (Some(_), Some(from)) = (learnt, blind_from) {
            return Self::Collapsed(from);
        }
        let enough = epochs_to_judge(life.standing, blind_from.is_some());
        let was_told = epochs.iter().any(|epoch| epoch.has_learnt.is_some());
        if was_told && learnt.is_none() && epochs.len() >= enough {
            return Self::NeverLearnt;
        }
        if let Some(from) = frozen_since(epochs) {
            return Self::Frozen(from);
        }
        if life.standing != Standing::Finished {
            return Self::Unfinished;
        }
        if epochs.len() < FEWEST {
            return Self::Few(epochs.len());
        }
        collapse(epochs, learnt).map_or(Self::Sound, Self::Recovered)
    }

    /// Says whether gap and stability at the end mean something.
    #[must_use]
    pub fn lets_losses_speak(&self) -> bool {
        matches!(self, Self::Unfinished | Self::Recovered(_) | Self::Sound)
    }

    /// The epoch that it names.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        match self {
            Self::Diverged(epoch)
            | Self::Collapsed(epoch)
            | Self::Frozen(epoch)
            | Self::Recovered(epoch) => Some(*epoch),
            _ => None,
        }
    }

    /// Says whether an epoch belongs to an end that went wrong.
    #[must_use]
    pub fn covers(&self, epoch: u64) -> bool {
        match self {
            Self::Diverged(from) | Self::Collapsed(from) | Self::Frozen(from) => epoch >= *from,
            _ => false,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEpoch => f.write_str("no epoch"),
            Self::Diverged(epoch) => write!(f, "diverged at epoch {epoch}"),
            Self::Collapsed(epoch) => write!(f, "collapsed at epoch {epoch}"),
            Self::NeverLearnt => f.write_str("never learnt"),
            Self::Frozen(epoch) => write!(f, "val/loss frozen since epoch {epoch}"),
            Self::Unfinished => f.write_str("unfinished"),
            Self::Few(1) => f.write_str("one epoch only"),
            Self::Few(count) => write!(f, "{count} epochs only"),
            Self::Recovered(epoch) => write!(f, "recovered from a collapse at epoch {epoch}"),
            Self::Sound => f.write_str("ok"),
        }
    }
}

/// Epochs until it can be said of a trial that it never learnt; `is_blind` in the last of them.
#[must_use]
pub fn epochs_to_judge(standing: Standing, is_blind: bool) -> usize {
    match standing {
        Standing::Open => SILENT,
        // A worker that judged by the Jaccard index alone took a blind network for one that had learnt.
        Standing::Collapsed => 1,
        Standing::Finished if is_blind => 1,
        _ => FEWEST,
    }
}

/// The first of those epochs at the end of which all are like this.
fn since(epochs: &[Epoch], is: impl Fn(&Epoch) -> bool) -> Option<u64> {
    epochs.iter().rev().take_while(|epoch| is(epoch)).last().map(|epoch| epoch.epoch)
}

/// The first epoch of the last collapse after the network had learnt.
fn collapse(epochs: &[Epoch], learnt: Option<usize>) -> Option<u64> {
    let after = &epochs[learnt?..];
    let runs = after.chunk_by(|a, b| a.is_blind == b.is_blind);
    let mut blind = runs.filter(|run| run[0].is_blind == Some(true) && run.len() >= IN_A_ROW);
    blind.next_back().map(|run| run[0].epoch)
}
