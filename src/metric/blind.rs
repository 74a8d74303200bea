//! When a network has learnt, and when it does not tell foreground from background: one definition for
//! the guards of the worker, the analysis of a trial and the comparison of many.

use super::Metrics;

/// Jaccard index from which on a network has learnt something, unless it is blind in that epoch.
pub const LEARNT: f64 = 0.1;

/// A network that finds less of the foreground than this does not tell it from the background.
pub const LEAST_RECALL: f64 = 0.01;

/// Nor does one that takes more of everything than this for foreground.
pub const LARGEST_COVERAGE: f64 = 0.99;

/// What a network takes for foreground in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Nearly nothing: it is blind.
    Nothing,
    /// Nearly everything: it is blind, however well that scores where foreground is frequent.
    All,
    /// Some of all.
    Some,
}

impl Metrics {
    /// Says what is taken for foreground; none where no metric tells. Weights that are no numbers find
    /// nothing. Without `val/recall` the Jaccard index tells, which is never larger.
    #[must_use]
    pub fn sight(&self) -> Option<Sight> {
        let found = ["val/recall", "val/jaccard"].into_iter().find(|name| self.has(name))?;
        let takes_all = self.get("val/coverage").is_some_and(|part| part > LARGEST_COVERAGE);
        let finds_nothing = self.get(found).is_none_or(|part| part < LEAST_RECALL);
        Some(match (takes_all, finds_nothing) {
            (true, _) => Sight::All,
            (_, true) => Sight::Nothing,
            _ => Sight::Some,
        })
    }

    /// Says whether the network does not tell foreground from background; none where nothing says so.
    #[must_use]
    pub fn is_blind(&self) -> Option<bool> {
        self.sight().map(|sight| sight != Sight::Some)
    }

    /// Says whether the network has learnt: its Jaccard index says so, and it is not blind in the same
    /// epoch. None where there is no such index.
    #[must_use]
    pub fn has_learnt(&self) -> Option<bool> {
        let is_blind = self.is_blind() == Some(true);
        let scores = self.get("val/jaccard").is_some_and(|jaccard| jaccard >= LEARNT);
        self.has("val/jaccard").then_some(scores && !is_blind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(values: &[(&str, f64)]) -> Metrics {
        let mut metrics = Metrics::default();
        values.iter().for_each(|(name, value)| metrics.set(*name, *value));
        metrics
    }

    #[test]
    fn learnt_and_blind_exclude_each_other() {
        let of = |jaccard, recall, coverage| {
            epoch(&[("val/jaccard", jaccard), ("val/recall", recall), ("val/coverage", coverage)])
        };
        for (metrics, sight, has_learnt) in [
            (of(0.6, 0.7, 0.06), Sight::Some, true),
            (of(0.1, 0.7, 0.06), Sight::Some, true),
            (of(0.099, 0.7, 0.06), Sight::Some, false),
            (of(5.9e-12, 0.0, 0.0), Sight::Nothing, false),
            (of(0.056, 1.0, 1.0), Sight::All, false),
            // Where foreground is frequent, all of it scores well.
            (of(0.92, 1.0, 1.0), Sight::All, false),
            (of(f64::NAN, f64::NAN, f64::NAN), Sight::Nothing, false),
        ] {
            assert_eq!(metrics.sight(), Some(sight), "{metrics:?}");
            assert_eq!(metrics.has_learnt(), Some(has_learnt), "{metrics:?}");
            assert_eq!(metrics.is_blind(), Some(sight != Sight::Some), "{metrics:?}");
        }
        assert_eq!(epoch(&[("val/loss", 1.0)]).sight(), None);
        assert_eq!(epoch(&[("val/loss", 1.0)]).has_learnt(), None);
        let without = epoch(&[("val/jaccard", 0.009)]);
        assert_eq!((without.is_blind(), without.has_learnt()), (Some(true), Some(false)));
    }
}
