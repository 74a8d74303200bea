//! The learning rate over time.

use serde::{Deserialize, Serialize};

/// Learning rate over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// It stays.
    Constant,
    /// Linear rise, then a cosine down.
    WarmupCosine {
        /// Epochs of the rise.
        warmup_epochs: f64,
        /// Last learning rate as a fraction.
        final_factor: f64,
    },
    /// A rise and a longer fall, both along a cosine.
    OneCycle {
        /// Part of all steps that the rise takes.
        rise: f64,
        /// First learning rate as a fraction.
        initial_factor: f64,
        /// Last learning rate as a fraction.
        final_factor: f64,
    },
    /// Linear rise, then a power of what is left down.
    Polynomial {
        /// The power.
        power: f64,
        /// Epochs of the rise.
        warmup_epochs: f64,
        /// Last learning rate as a fraction.
        final_factor: f64,
    },
    /// It falls when a metric stops improving.
    Plateau(Plateau),
}

/// When the learning rate falls, and how far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plateau {
    /// What must improve.
    pub metric: String,
    /// What the learning rate is multiplied by.
    pub factor: f64,
    /// Epochs without improvement that are let pass.
    pub patience: u64,
    /// Least improvement that counts, as a fraction of the best value.
    pub threshold: f64,
    /// Epochs after a fall in which nothing is counted.
    pub cooldown: u64,
    /// Smallest learning rate as a fraction.
    pub min_factor: f64,
}

impl Schedule {
    /// Returns the factor on the learning rate for the update after `done` updates of `total`, as far
    /// as it is a pure function of the step. What a plateau adds to it follows from the metrics, and
    /// the loop keeps it.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "steps stay far below 2^53")]
    pub fn factor(&self, done: u64, total: u64, steps_per_epoch: u64) -> f64 {
        let (done, total) = (done as f64, total as f64);
        let steps = |epochs: &f64| epochs * steps_per_epoch as f64;
        match self {
            Self::Constant | Self::Plateau(_) => 1.0,
            Self::WarmupCosine { warmup_epochs, final_factor } => {
                let warmup = steps(warmup_epochs);
                if done < warmup {
                    return rise(done, warmup);
                }
                cosine(1.0, *final_factor, progress(done, warmup, total))
            }
            Self::OneCycle { rise, initial_factor, final_factor } => {
                // The largest rate falls between steps where `rise · total` is no whole number.
                let (peak, last) = ((rise * total - 1.0).max(0.0), total - 1.0);
                if done < peak {
                    return cosine(*initial_factor, 1.0, progress(done, 0.0, peak));
                }
                cosine(1.0, *final_factor, progress(done, peak, last))
            }
            Self::Polynomial { power, warmup_epochs, final_factor } => {
                let warmup = steps(warmup_epochs);
                if done < warmup {
                    return rise(done, warmup);
                }
                let left = 1.0 - progress(done, warmup, total);
                final_factor + (1.0 - final_factor) * left.powf(*power)
            }
        }
    }
}

/// A line from `1 / warmup` to 1. Where a warm-up ends between two steps, the last one is 1, not more.
fn rise(done: f64, warmup: f64) -> f64 {
    ((done + 1.0) / warmup).min(1.0)
}

/// Returns where `done` lies between `from` and `to`, in [0, 1]; 0 where there is nothing between.
fn progress(done: f64, from: f64, to: f64) -> f64 {
    if to > from { ((done - from) / (to - from)).clamp(0.0, 1.0) } else { 0.0 }
}

/// Goes from one factor to another along half a cosine, as `progress` goes from 0 to 1.
fn cosine(from: f64, to: f64, progress: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_rises_to_one_and_the_cosine_ends_at_the_final_factor() {
        let schedule = Schedule::WarmupCosine { warmup_epochs: 2.0, final_factor: 0.1 };
        let at = |done| schedule.factor(done, 100, 10);
        assert!((at(0) - 0.05).abs() < 1e-12);
        assert!((at(19) - 1.0).abs() < 1e-12 && (at(20) - 1.0).abs() < 1e-12);
        assert!((at(60) - 0.55).abs() < 1e-12);
        assert!((at(100) - 0.1).abs() < 1e-12);
    }
    #[test]
    fn no_factor_lies_beyond_one_or_below_the_last() {
        let (warmup_epochs, final_factor) = (1.5, 0.1);
        for schedule in [
            Schedule::WarmupCosine { warmup_epochs, final_factor },
            Schedule::Polynomial { power: 0.9, warmup_epochs, final_factor },
            Schedule::OneCycle { rise: 0.9, initial_factor: 0.2, final_factor },
        ] {
            // 3 steps an epoch: the warm-up of 4.5 steps ends between two of them.
            for total in [5, 6, 7, 30] {
                let factors: Vec<_> =
                    (0..total).map(|done| schedule.factor(done, total, 3)).collect();
                let is_sound = |factor: &f64| (0.1 - 1e-12..=1.0).contains(factor);
                assert!(factors.iter().all(is_sound), "{schedule:?} {factors:?}");
                assert!(factors.iter().any(|factor| *factor > 0.9), "{schedule:?} {factors:?}");
            }
        }
    }
}
