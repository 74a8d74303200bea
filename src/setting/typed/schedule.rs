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
        match self {
            Self::Constant | Self::Plateau(_) => 1.0,
            Self::WarmupCosine { warmup_epochs, final_factor } => {
                let warmup = warmup_epochs * steps_per_epoch as f64;
                if done < warmup {
                    return (done + 1.0) / warmup;
                }
                cosine(1.0, *final_factor, (done - warmup) / (total - warmup).max(1.0))
            }
            Self::OneCycle { rise, initial_factor, final_factor } => {
                // The largest rate falls between steps where `rise · total` is no whole number.
                let (peak, last) = ((rise * total - 1.0).max(0.0), total - 1.0);
                if done < peak {
                    return cosine(*initial_factor, 1.0, done / peak);
                }
                cosine(1.0, *final_factor, (done - peak) / (last - peak).max(1.0))
            }
            Self::Polynomial { power, warmup_epochs, final_factor } => {
                let warmup = warmup_epochs * steps_per_epoch as f64;
                if done < warmup {
                    return (done + 1.0) / warmup;
                }
                let progress = ((done - warmup) / (total - warmup).max(1.0)).clamp(0.0, 1.0);
                final_factor + (1.0 - final_factor) * (1.0 - progress).powf(*power)
            }
        }
    }
}

/// Goes from one factor to another along half a cosine, as `progress` goes from 0 to 1.
fn cosine(from: f64, to: f64, progress: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * progress.clamp(0.0, 1.0)).cos())
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
}
