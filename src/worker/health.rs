//! What the guards remember from epoch to epoch: improvement, collapse, rollbacks.

use serde::{Deserialize, Serialize};

use crate::metric::{Direction, Metrics};
use crate::setting::{Action, Guards};

/// Epochs of a network that has learnt nothing until a word is said about it.
const SILENT: u64 = 5;

/// Health of a training. It is part of every checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Factor on the learning rate: it falls with each rollback.
    pub factor: f64,
    /// Rollbacks so far.
    pub rollbacks: u32,
    /// Best value of `guards.metric` so far.
    pub best: Option<f64>,
    /// Epochs since then without improvement.
    pub bad: u64,
    /// Whether the network ever told foreground from background.
    pub has_learnt: bool,
    /// Epochs in a row in which it did not.
    pub blind: u64,
    /// Whether the weights of the best epoch were put back at the end.
    pub restored: bool,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            factor: 1.0,
            rollbacks: 0,
            best: None,
            bad: 0,
            has_learnt: false,
            blind: 0,
            restored: false,
        }
    }
}

impl Health {
    /// Returns the health after an epoch with these metrics. A value that is missing or not finite is
    /// no improvement.
    #[must_use]
    pub fn after(mut self, guards: &Guards, metrics: &Metrics) -> Self {
        let value = metrics.get(&guards.metric);
        if improves(value, self.best, guards) {
            self.best = value;
            self.bad = 0;
        } else {
            self.bad += 1;
        }
        self.has_learnt |= metrics.has_learnt() == Some(true);
        self.blind = if metrics.is_blind() == Some(true) { self.blind + 1 } else { 0 };
        self
    }

    /// Says whether `guards.patience` is used up: training is complete.
    #[must_use]
    pub fn is_over(&self, guards: &Guards) -> bool {
        guards.patience.is_some_and(|patience| self.bad >= patience)
    }

    /// Says whether a network that had learnt has collapsed.
    #[must_use]
    pub fn has_collapsed(&self, guards: &Guards) -> bool {
        guards.collapse_epochs > 0 && self.has_learnt && self.blind >= guards.collapse_epochs
    }

    /// Says once that a network learns nothing from the start.
    #[must_use]
    pub fn learns_nothing(&self) -> Option<String> {
        (!self.has_learnt && self.blind == SILENT).then(|| {
            format!(
                "{SILENT} epochs, and the network still tells no foreground: is the learning rate too \
                 large or too small, and do the masks belong to the images?"
            )
        })
    }

    /// Says whether the policy allows one more rollback.
    #[must_use]
    pub fn may_roll_back(&self, guards: &Guards) -> bool {
        guards.action == Action::Rollback && self.rollbacks < guards.rollbacks
    }

    /// Returns the health after a rollback.
    #[must_use]
    pub fn rolled_back(mut self, guards: &Guards) -> Self {
        self.rollbacks += 1;
        self.factor *= guards.rollback_factor;
        self.blind = 0;
        // What was seen while it went wrong says nothing about what comes.
        self.bad = 0;
        self
    }

    /// Times that weights were put back: what was saved before belongs to another line of training.
    #[must_use]
    pub fn rewinds(&self) -> u32 {
        self.rollbacks + u32::from(self.restored)
    }
}

fn improves(value: Option<f64>, best: Option<f64>, guards: &Guards) -> bool {
    let Some(value) = value else { return false };
    let Some(best) = best else { return true };
    match Direction::usual(&guards.metric) {
        Direction::Maximize => value > best + guards.min_delta,
        Direction::Minimize => value < best - guards.min_delta,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::{Settings, resolve};
    use serde_json::json;

    fn guards(given: serde_json::Value) -> Guards {
        let given = json!({ "model": { "name": "toy" }, "guards": given });
        let resolved = resolve(given.as_object().expect("object")).expect("resolved");
        Settings::from_resolved(&resolved).expect("settings").guards
    }

    /// Metrics of an epoch: Jaccard index, recall, coverage.
    fn epoch((jaccard, recall, coverage): (f64, f64, f64)) -> Metrics {
        let mut metrics = Metrics::default();
        metrics.set("val/jaccard", jaccard);
        metrics.set("val/recall", recall);
        metrics.set("val/coverage", coverage);
        metrics
    }

    fn after(guards: &Guards, epochs: &[(f64, f64, f64)]) -> Health {
        let seen = epochs.iter().map(|values| epoch(*values));
        seen.fold(Health::default(), |health, metrics| health.after(guards, &metrics))
    }

    const HEALTHY: (f64, f64, f64) = (0.6, 0.7, 0.06);
    const NOTHING: (f64, f64, f64) = (5.9e-12, 0.0, 0.0);
    const ALL: (f64, f64, f64) = (0.056, 1.0, 1.0);

    #[test]
    fn a_network_that_had_learnt_and_finds_nothing_for_two_epochs_has_collapsed() {
        let guards = guards(json!({}));
        let has_collapsed = |epochs: &[_]| after(&guards, epochs).has_collapsed(&guards);
        assert!(!has_collapsed(&[HEALTHY, NOTHING]));
        assert!(has_collapsed(&[HEALTHY, NOTHING, NOTHING]));
        assert!(has_collapsed(&[HEALTHY, ALL, ALL]));
        assert!(has_collapsed(&[HEALTHY, NOTHING, (f64::NAN, f64::NAN, f64::NAN)]));
        assert!(!has_collapsed(&[HEALTHY, NOTHING, HEALTHY, NOTHING]));
        assert!(!has_collapsed(&[NOTHING; 6]), "it had nothing to lose");
        assert!(
            !has_collapsed(&[(0.92, 1.0, 1.0); 6]),
            "taking all scores well where all is dense"
        );
        let off = super::tests::guards(json!({ "collapse_epochs": 0 }));
        assert!(!after(&off, &[HEALTHY, NOTHING, NOTHING]).has_collapsed(&off));
    }

    #[test]
    fn a_network_that_never_learns_is_spoken_of_once() {
        let guards = guards(json!({}));
        let words = (1..10).map(|n| after(&guards, &vec![NOTHING; n]).learns_nothing());
        assert_eq!(words.filter(Option::is_some).count(), 1);
    }

    #[test]
    fn patience_counts_epochs_without_improvement() {
        let guards = guards(json!({ "patience": 2, "min_delta": 0.05 }));
        let of = |values: &[f64]| {
            let epochs: Vec<_> = values.iter().map(|jaccard| (*jaccard, 0.5, 0.1)).collect();
            after(&guards, &epochs).is_over(&guards)
        };
        assert!(!of(&[0.5, 0.4]));
        assert!(of(&[0.5, 0.4, 0.3]));
        assert!(of(&[0.5, 0.52, 0.54]), "less than min_delta is no improvement");
        assert!(!of(&[0.5, 0.4, 0.6, 0.5]));
        assert!(of(&[f64::NAN, f64::NAN]));
    }

    #[test]
    fn a_loss_must_fall() {
        let guards = guards(json!({ "patience": 1, "metric": "val/loss" }));
        let mut metrics = Metrics::default();
        let mut health = Health::default();
        for (loss, is_over) in [(1.0, false), (0.5, false), (0.6, true)] {
            metrics.set("val/loss", loss);
            health = health.after(&guards, &metrics);
            assert_eq!(health.is_over(&guards), is_over, "{loss}");
        }
    }

    #[test]
    fn rollbacks_are_counted_and_lower_the_rate() {
        let guards =
            guards(json!({ "action": "rollback", "rollbacks": 2, "rollback_factor": 0.1 }));
        let mut health = Health::default();
        for factor in [0.1, 0.01] {
            assert!(health.may_roll_back(&guards));
            health = health.rolled_back(&guards);
            assert!((health.factor - factor).abs() < 1e-12);
        }
        assert!(!health.may_roll_back(&guards));
        assert!(!Health::default().may_roll_back(&super::tests::guards(json!({}))));
    }
}
