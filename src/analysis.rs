//! The tower: what the epochs of a trial say, and whether groups of trials can be told apart.
//!
//! Pure, and the controller's alone. Every number is defined in docs/analysis.md; each is left out where
//! it would flatter: a collapsed network has steady losses and no overfitting.

mod compare;
mod cost;
mod families;
mod history;
mod judge;
mod measure;
mod notes;
mod paths;
mod statistics;

use serde::Serialize;

use crate::metric::Objective;

pub use compare::{Against, Comparison, Fate, Group, Member, Point, compare};
pub use cost::{Cause, Cost, Stint, Toll};
pub use history::{Epoch, Life, Standing};
pub use judge::{Verdict, epochs_to_judge};
pub use notes::notes;
pub use paths::{different_paths, flat, value_at};
pub use statistics::{LEVEL, Sample, Welch, holm, median, welch};

/// What a trial came to. Losses are those of the metrics `val/loss` and `train/loss`, times are seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    /// The judgement in words.
    pub verdict: String,
    /// The epoch that the judgement names.
    pub verdict_epoch: Option<u64>,
    /// Best value of the objective.
    pub best: Option<f64>,
    /// The first epoch that reached it.
    pub best_epoch: Option<u64>,
    /// Value of the objective after the last epoch.
    pub final_value: Option<f64>,
    /// Validation loss after the last epoch.
    pub final_val_loss: Option<f64>,
    /// Training loss of the last epoch.
    pub final_train_loss: Option<f64>,
    /// Overfitting gap: last validation loss less last training loss.
    pub gap: Option<f64>,
    /// The same at the best epoch.
    pub gap_at_best: Option<f64>,
    /// Standard deviation of the last ten validation losses at most.
    pub stability: Option<f64>,
    /// The first epoch that came to 95 % of the best value.
    pub convergence_epoch: Option<u64>,
    /// Epochs that are done.
    pub epochs_done: u64,
    /// Training time of all attempts.
    pub training_seconds: Option<f64>,
    /// Mean time of an epoch, evaluation included.
    pub seconds_per_epoch: Option<f64>,
    /// Trainable parameters of the network.
    pub network_parameters: Option<u64>,
    /// Training samples a second, median over the epochs.
    pub images_per_second: Option<f64>,
    /// Times that weights of an earlier epoch were put back after divergence or collapse.
    pub rollbacks: u64,
    /// Whether `guards.patience` ended it.
    pub ended_early: bool,
}

impl Analysis {
    /// Analyses a trial from its epochs, which are in ascending order.
    #[must_use]
    pub fn of(objective: &Objective, life: &Life, epochs: &[Epoch]) -> Self {
        let verdict = Verdict::of(life, epochs);
        let last = epochs.last();
        let best = measure::best(objective.direction, epochs);
        let says_something = verdict.lets_losses_speak() && epochs.len() >= measure::FEWEST;
        let is_sound =
            |epoch: &&Epoch| epoch.is_blind != Some(true) && !verdict.covers(epoch.epoch);
        let at_best = best.map(|at| &epochs[at]).filter(is_sound);
        let told = |wanted: bool, value: Option<f64>| value.filter(|_| wanted);
        let has_many = epochs.len() >= measure::FEWEST;
        Self {
            verdict: verdict.to_string(),
            verdict_epoch: verdict.epoch(),
            best: best.and_then(|at| epochs[at].value),
            best_epoch: best.map(|at| epochs[at].epoch),
            final_value: last.and_then(|epoch| epoch.value),
            final_val_loss: last.and_then(|epoch| epoch.val_loss),
            final_train_loss: last.and_then(|epoch| epoch.train_loss),
            gap: told(says_something, last.and_then(Epoch::gap)),
            gap_at_best: told(
                has_many && verdict != Verdict::NeverLearnt,
                at_best.and_then(Epoch::gap),
            ),
            stability: told(says_something, measure::stability(epochs)),
            convergence_epoch: best
                .filter(|_| has_many && verdict != Verdict::NeverLearnt)
                .and_then(|at| measure::convergence(objective.direction, epochs, at)),
            epochs_done: last.map_or(0, |epoch| epoch.epoch),
            training_seconds: measure::training_seconds(life.elapsed, epochs),
            seconds_per_epoch: measure::seconds_per_epoch(epochs),
            network_parameters: life.network_parameters,
            images_per_second: median(epochs.iter().filter_map(|epoch| epoch.images_per_second)),
            rollbacks: life.rollbacks,
            ended_early: life.ended_early,
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod compare_tests;
