//! The measures over the epochs of a trial, each as docs/analysis.md defines it.

use super::history::Epoch;
use crate::metric::Direction;

/// Epochs below which a course says nothing.
pub(super) const FEWEST: usize = 3;

/// Validation losses that [`stability`] looks at.
const WINDOW: usize = 10;

/// Part of the best value that counts as convergence.
const NEARLY: f64 = 0.95;

/// Losses that differ less than this, relative to themselves, are the same: they agree to six digits.
const SAME: f64 = 1e-6;

/// Index of the first epoch with the best value.
pub(super) fn best(direction: Direction, epochs: &[Epoch]) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (at, epoch) in epochs.iter().enumerate() {
        if direction.improves(epoch.value, best.and_then(|best| epochs[best].value)) {
            best = Some(at);
        }
    }
    best
}

/// The first epoch that came to 95 % of the best value: for a value that is to be small, one of which the
/// best is 95 % or more. The same holds for values below zero.
pub(super) fn convergence(direction: Direction, epochs: &[Epoch], best: usize) -> Option<u64> {
    let best = epochs[best].value?;
    let is_larger_better = direction == Direction::Maximize;
    let bound = if is_larger_better == (best > 0.0) { best * NEARLY } else { best / NEARLY };
    let is_near = |epoch: &&Epoch| {
        epoch
            .value
            .is_some_and(|value| if is_larger_better { value >= bound } else { value <= bound })
    };
    epochs.iter().find(is_near).map(|epoch| epoch.epoch)
}

/// Standard deviation (of the population, as numpy's `std`) of the last ten validation losses at most;
/// none where one of them is missing or not finite, or there are fewer than three.
pub(super) fn stability(epochs: &[Epoch]) -> Option<f64> {
    let window = &epochs[epochs.len().saturating_sub(WINDOW)..];
    let losses: Vec<f64> = window.iter().map(|epoch| epoch.val_loss).collect::<Option<_>>()?;
    if losses.len() < FEWEST {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "ten at most")]
    let count = losses.len() as f64;
    let mean = losses.iter().sum::<f64>() / count;
    let squares = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>();
    Some((squares / count).sqrt())
}

/// The first of three or more epochs at the end that have the same validation loss.
pub(super) fn frozen_since(epochs: &[Epoch]) -> Option<u64> {
    let last = epochs.last()?.val_loss?;
    let is_same = |epoch: &&Epoch| {
        epoch.val_loss.is_some_and(|loss| (loss - last).abs() <= SAME * last.abs())
    };
    let frozen = epochs.iter().rev().take_while(is_same).collect::<Vec<_>>();
    if frozen.len() < FEWEST { None } else { frozen.last().map(|epoch| epoch.epoch) }
}

/// What attempts told at their end, or what their epochs took where that is more: an attempt that goes on,
/// or was killed, has told nothing.
pub(super) fn training_seconds(told: Option<f64>, epochs: &[Epoch]) -> Option<f64> {
    let seconds: Vec<f64> = epochs.iter().filter_map(|epoch| epoch.seconds).collect();
    let sum = (!seconds.is_empty()).then(|| seconds.iter().sum::<f64>());
    match (told, sum) {
        (Some(told), Some(sum)) => Some(told.max(sum)),
        (told, sum) => told.or(sum),
    }
}

/// Mean over the epochs that told how long they took.
pub(super) fn seconds_per_epoch(epochs: &[Epoch]) -> Option<f64> {
    let seconds: Vec<f64> = epochs.iter().filter_map(|epoch| epoch.seconds).collect();
    #[expect(clippy::cast_precision_loss, reason = "epochs stay far below 2^53")]
    let count = seconds.len() as f64;
    (!seconds.is_empty()).then(|| seconds.iter().sum::<f64>() / count)
}
