//! When a network does not tell foreground from background: one definition for the guards of the
//! worker and for the analysis.

use super::Metrics;

/// Jaccard index from which on a network has learnt something.
pub const LEARNT: f64 = 0.1;

/// A network that finds less of the foreground than this does not tell it from the background.
pub const LEAST_RECALL: f64 = 0.01;

/// Nor does one that takes more of everything than this for foreground.
pub const LARGEST_COVERAGE: f64 = 0.99;

impl Metrics {
    /// Says whether nearly nothing is found, or nearly everything is taken for foreground. Weights that
    /// are no numbers find nothing either; nor does an epoch without `val/recall`.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        let is_empty = self.get("val/recall").is_none_or(|recall| recall < LEAST_RECALL);
        is_empty || self.get("val/coverage").is_some_and(|coverage| coverage > LARGEST_COVERAGE)
    }

    /// Says whether the network tells foreground from background at all.
    #[must_use]
    pub fn has_learnt(&self) -> bool {
        self.get("val/jaccard").is_some_and(|jaccard| jaccard >= LEARNT)
    }
}
