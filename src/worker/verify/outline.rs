//! Which short trial is trained, and where it is cut.

use std::fmt;

use serde::Serialize;

use crate::event::Cursor;

/// How an attempt ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// A signal asks it to stop: it saves and leaves.
    Signal,
    /// It dies and saves nothing more.
    Kill,
    /// Its time is up: it saves and leaves.
    Time,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Signal => "signal",
            Self::Kill => "killed",
            Self::Time => "out of time",
        })
    }
}

/// A cut: during the unit of work at `at`. That is a step, or the evaluation where all steps of the
/// epoch are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// Where.
    pub at: Cursor,
    /// How.
    pub way: Way,
    /// Whether `at` is an evaluation.
    pub in_evaluation: bool,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.in_evaluation {
            format!("epoch {} evaluation", self.at.epoch)
        } else {
            self.at.to_string()
        };
        f.pad(&text)
    }
}

/// Extent of the short trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outline {
    pub(super) epochs: u64,
    /// Optimizer updates in an epoch.
    pub(super) steps: u64,
}

impl Outline {
    /// Updates from one checkpoint to the next, counted within an epoch.
    pub(super) fn save_every(self) -> u64 {
        (self.steps / 3).max(2)
    }

    /// Units of work: all steps, and an evaluation an epoch.
    fn units(self) -> u64 {
        self.epochs * (self.steps + 1)
    }

    fn cut(self, unit: u64, way: Way) -> Cut {
        let (epoch, mut step) = (unit / (self.steps + 1), unit % (self.steps + 1));
        // Killed right after a checkpoint, nothing would have to be done again.
        let just_saved = step.is_multiple_of(self.save_every());
        if way == Way::Kill && just_saved && step + 1 < self.steps {
            step += 1;
        }
        Cut { at: Cursor { epoch: epoch + 1, step }, way, in_evaluation: step == self.steps }
    }

    /// Trials with one cut each, spread over the units, and one trial with a cut at each of these
    /// places. Every way comes in turn; now and then a cut falls into an evaluation.
    pub(super) fn trials(self, count: u64) -> Vec<Vec<Cut>> {
        const WAYS: [Way; 3] = [Way::Signal, Way::Kill, Way::Time];
        let count = count.clamp(1, self.units() - 1);
        let way = |number: u64| WAYS[usize::try_from(number % 3).unwrap_or(0)];
        let unit = |number: u64| {
            let spread = (number + 1) * self.units() / (count + 1);
            let evaluation = spread / (self.steps + 1) * (self.steps + 1) + self.steps;
            if number % 6 == 2 { evaluation } else { spread }
        };
        let mut trials: Vec<_> = (0..count).map(|n| vec![self.cut(unit(n), way(n))]).collect();
        if count > 1 {
            let mut all: Vec<_> = (0..count).map(|n| self.cut(unit(n), way(n + 1))).collect();
            all.sort_by_key(|cut| cut.at);
            all.dedup_by_key(|cut| cut.at);
            trials.push(all);
        }
        trials
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_spread_in_all_ways_and_places() {
        let outline = Outline { epochs: 2, steps: 12 };
        let trials = outline.trials(4);
        let shown: Vec<String> = trials
            .iter()
            .map(|cuts| {
                cuts.iter().map(|cut| format!("{cut} {}", cut.way)).collect::<Vec<_>>().join(", ")
            })
            .collect();
        assert_eq!(
            shown,
            [
                "epoch 1 step 5 signal",
                "epoch 1 step 10 killed",
                "epoch 2 evaluation out of time",
                "epoch 2 step 7 signal",
                "epoch 1 step 5 killed, epoch 1 step 10 out of time, epoch 2 step 7 killed, epoch 2 \
                 evaluation signal"
            ]
        );
    }

    #[test]
    fn the_smallest_trials_can_be_cut_too() {
        for (epochs, steps, cuts) in [(1, 1, 4), (1, 2, 1), (3, 1, 100), (2, 2, 7)] {
            let outline = Outline { epochs, steps };
            for cut in outline.trials(cuts).into_iter().flatten() {
                assert!((1..=epochs).contains(&cut.at.epoch), "{cut:?}");
                assert!(cut.at.step <= steps && cut.in_evaluation == (cut.at.step == steps));
            }
        }
    }
}
