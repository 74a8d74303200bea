//! What is measured and how it is ranked: metrics by name, the objective, pooled pixel counts.

mod blind;
mod threshold;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

pub use blind::{LARGEST_COVERAGE, LEARNT, LEAST_RECALL, Sight};
pub use threshold::{Threshold, logit, probability};

/// Values by name (`val/jaccard`). A value that is not finite is written as null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metrics(BTreeMap<String, Option<f64>>);

impl Metrics {
    /// Sets a value; NaN and infinities are kept as "no value".
    pub fn set(&mut self, name: impl Into<String>, value: f64) {
        self.0.insert(name.into(), value.is_finite().then_some(value));
    }

    /// Returns the value, `None` where there is none or it was not finite.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied().flatten()
    }

    /// Says whether there is such a name, be its value finite or not.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Iterates in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<f64>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// Adds all of `other`, which wins where both have a name.
    pub fn extend(&mut self, other: Metrics) {
        self.0.extend(other.0);
    }

    /// Says whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether large or small values of the objective are good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Large is good (Jaccard).
    #[default]
    Maximize,
    /// Small is good (a loss).
    Minimize,
}

impl Direction {
    /// Says whether `new` is strictly better than `old`; no value is worse than any value.
    #[must_use]
    pub fn improves(self, new: Option<f64>, old: Option<f64>) -> bool {
        self.rank(new, old) == Ordering::Less
    }

    /// Orders the better one first, missing values and NaN last.
    #[must_use]
    pub fn rank(self, a: Option<f64>, b: Option<f64>) -> Ordering {
        let finite = |v: Option<f64>| v.filter(|v| !v.is_nan());
        match (finite(a), finite(b)) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => match self {
                Self::Maximize => b.total_cmp(&a),
                Self::Minimize => a.total_cmp(&b),
            },
        }
    }

    /// Returns the good direction of a metric where nobody says another: a loss is to be small.
    #[must_use]
    pub fn usual(metric: &str) -> Self {
        if metric.ends_with("loss") { Self::Minimize } else { Self::Maximize }
    }

    /// Returns the word of the sweep file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Maximize => "maximize",
            Self::Minimize => "minimize",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What can be an objective: the values of an epoch that every learner measures.
pub const OBJECTIVES: [&str; 7] = [
    "val/jaccard",
    "val/dice",
    "val/precision",
    "val/recall",
    "val/coverage",
    "val/loss",
    "train/loss",
];

/// What a sweep is about: a metric and its good direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wanted")]
pub struct Objective {
    /// Name of the metric, such as `val/jaccard`.
    pub metric: String,
    /// Which values are good.
    pub direction: Direction,
}

/// An objective as people write it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename = "Objective", expecting = "struct objective")]
struct Wanted {
    metric: String,
    direction: Option<Direction>,
}

impl From<Wanted> for Objective {
    fn from(wanted: Wanted) -> Self {
        let usual = Direction::usual(&wanted.metric);
        Self { direction: wanted.direction.unwrap_or(usual), metric: wanted.metric }
    }
}

impl Default for Objective {
    fn default() -> Self {
        Self { metric: "val/jaccard".to_owned(), direction: Direction::Maximize }
    }
}

/// Pixel counts of a binary segmentation, pooled over a whole split. Integers, so that the order
/// and size of minibatches cannot matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Foreground predicted as foreground.
    pub true_positive: u64,
    /// Background predicted as foreground.
    pub false_positive: u64,
    /// Foreground predicted as background.
    pub false_negative: u64,
    /// Background predicted as background.
    pub true_negative: u64,
}

impl Confusion {
    /// Counts one pixel.
    pub fn count(&mut self, predicted: bool, truth: bool) {
        match (predicted, truth) {
            (true, true) => self.true_positive += 1,
            (true, false) => self.false_positive += 1,
            (false, true) => self.false_negative += 1,
            (false, false) => self.true_negative += 1,
        }
    }

    /// Jaccard index TP / (TP + FP + FN); NaN where neither prediction nor truth has foreground.
    #[must_use]
    pub fn jaccard(&self) -> f64 {
        ratio(self.true_positive, self.true_positive + self.false_positive + self.false_negative)
    }

    /// Dice coefficient 2 TP / (2 TP + FP + FN); NaN as for the Jaccard index.
    #[must_use]
    pub fn dice(&self) -> f64 {
        let double = 2 * self.true_positive;
        ratio(double, double + self.false_positive + self.false_negative)
    }

    /// Precision TP / (TP + FP); NaN where nothing was predicted.
    #[must_use]
    pub fn precision(&self) -> f64 {
        ratio(self.true_positive, self.true_positive + self.false_positive)
    }

    /// Recall TP / (TP + FN); NaN where the truth is empty.
    #[must_use]
    pub fn recall(&self) -> f64 {
        ratio(self.true_positive, self.true_positive + self.false_negative)
    }

    /// Fraction of pixels predicted as foreground; NaN for no pixels.
    #[must_use]
    pub fn coverage(&self) -> f64 {
        let predicted = self.true_positive + self.false_positive;
        ratio(predicted, predicted + self.false_negative + self.true_negative)
    }

    /// Writes jaccard, dice, precision, recall and coverage as `<split>/<name>`.
    pub fn record(&self, split: &str, metrics: &mut Metrics) {
        metrics.set(format!("{split}/jaccard"), self.jaccard());
        metrics.set(format!("{split}/dice"), self.dice());
        metrics.set(format!("{split}/precision"), self.precision());
        metrics.set(format!("{split}/recall"), self.recall());
        metrics.set(format!("{split}/coverage"), self.coverage());
    }
}

impl AddAssign for Confusion {
    fn add_assign(&mut self, other: Self) {
        self.true_positive += other.true_positive;
        self.false_positive += other.false_positive;
        self.false_negative += other.false_negative;
        self.true_negative += other.true_negative;
    }
}

#[expect(clippy::cast_precision_loss, reason = "pixel counts stay far below 2^53")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn jaccard_comes_from_pooled_counts_not_from_a_mean() {
        let first =
            Confusion { true_positive: 1, false_positive: 0, false_negative: 0, true_negative: 99 };
        let second =
            Confusion { true_positive: 0, false_positive: 99, false_negative: 0, true_negative: 1 };
        let mut pooled = first;
        pooled += second;
        assert!((pooled.jaccard() - 0.01).abs() < 1e-12);
    }

    #[test]
    fn an_empty_split_has_no_jaccard() {
        assert!(Confusion { true_negative: 10, ..Confusion::default() }.jaccard().is_nan());
    }

    #[test]
    fn missing_values_rank_last_in_both_directions() {
        for direction in [Direction::Maximize, Direction::Minimize] {
            let mut values = [None, Some(f64::NAN), Some(0.2), Some(0.9)];
            values.sort_by(|a, b| direction.rank(*a, *b));
            let best = if direction == Direction::Maximize { 0.9 } else { 0.2 };
            assert_eq!(values[0], Some(best));
            assert!(values[2].is_none_or(f64::is_nan) && values[3].is_none_or(f64::is_nan));
            assert!(!direction.improves(Some(f64::NAN), None));
        }
    }

    proptest! {
        #[test]
        fn pooling_does_not_depend_on_how_pixels_are_batched(
            pixels in proptest::collection::vec(any::<(bool, bool)>(), 1..200), size in 1usize..20
        ) {
            let mut whole = Confusion::default();
            for (predicted, truth) in &pixels { whole.count(*predicted, *truth); }
            let mut pooled = Confusion::default();
            for batch in pixels.chunks(size) {
                let mut part = Confusion::default();
                for (predicted, truth) in batch { part.count(*predicted, *truth); }
                pooled += part;
            }
            prop_assert_eq!(whole, pooled);
        }
    }
}
