//! A learning rate that falls when a metric stops improving: what has been seen so far.

use serde::{Deserialize, Serialize};

use crate::metric::{Direction, Metrics};
use crate::setting;

/// Smallest change of the learning rate's factor that is made.
const LEAST_CHANGE: f64 = 1e-8;

/// State of a plateau schedule (the rule of PyTorch's `ReduceLROnPlateau` with relative threshold).
/// It is part of every checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    /// Factor on the learning rate.
    pub factor: f64,
    /// Best value so far; none before the first that was finite.
    pub best: Option<f64>,
    /// Epochs since then without improvement.
    pub bad: u64,
    /// Epochs that are still not counted.
    pub cooldown: u64,
}

impl Plateau {
    /// Nothing was seen yet.
    #[must_use]
    pub fn start() -> Self {
        Self { factor: 1.0, best: None, bad: 0, cooldown: 0 }
    }

    /// Returns the state after an epoch with these metrics. A value that is missing or not finite is
    /// no improvement.
    #[must_use]
    pub fn after(mut self, settings: &setting::Plateau, metrics: &Metrics) -> Self {
        let value = metrics.get(&settings.metric);
        if self.is_better(settings, value) {
            self.best = value;
            self.bad = 0;
        } else {
            self.bad += 1;
        }
        if self.cooldown > 0 {
            self.cooldown -= 1;
            self.bad = 0;
        }
        if self.bad > settings.patience {
            let lower = (self.factor * settings.factor).max(settings.min_factor);
            if self.factor - lower > LEAST_CHANGE * self.factor {
                self.factor = lower;
            }
            self.cooldown = settings.cooldown;
            self.bad = 0;
        }
        self
    }

    fn is_better(self, settings: &setting::Plateau, value: Option<f64>) -> bool {
        let Some(value) = value else { return false };
        let Some(best) = self.best else { return true };
        match Direction::usual(&settings.metric) {
            Direction::Minimize => value < best * (1.0 - settings.threshold),
            Direction::Maximize => value > best * (1.0 + settings.threshold),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(metric: &str) -> setting::Plateau {
        setting::Plateau {
            metric: metric.to_owned(),
            factor: 0.5,
            patience: 1,
            threshold: 0.1,
            cooldown: 1,
            min_factor: 0.2,
        }
    }

    fn factors(metric: &str, values: &[f64]) -> Vec<f64> {
        let mut state = Plateau::start();
        let after = |value: &f64| {
            let mut metrics = Metrics::default();
            metrics.set(metric, *value);
            state = state.after(&settings(metric), &metrics);
            state.factor
        };
        values.iter().map(after).collect()
    }

    #[test]
    fn it_falls_after_patience_and_not_in_the_cooldown() {
        // 0.95 is less than a tenth better than 1: two bad epochs, patience 1, so it falls; then one
        // epoch is not counted.
        let seen = factors("val/loss", &[1.0, 0.95, 0.95, 2.0, 2.0, 2.0, 0.5, f64::NAN, 0.6, 0.6]);
        assert_eq!(seen, [1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2]);
    }

    #[test]
    fn other_metrics_than_losses_must_rise() {
        assert_eq!(factors("val/jaccard", &[0.5, 0.6, 0.7, 0.8]), [1.0; 4]);
        assert_eq!(factors("val/jaccard", &[0.5, 0.5, 0.5]), [1.0, 1.0, 0.5]);
    }
}
