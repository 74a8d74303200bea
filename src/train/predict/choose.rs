//! The threshold: given, or chosen on the validation split of the trials, and on nothing else.

use serde::Serialize;

use crate::metric::{Confusion, Threshold, logit, probability};
use crate::train::data::{self, Part, Region};
use crate::train::evaluate::{mean, truth};
use crate::worker::learner::LearnerError;

use super::Watch;
use super::ensemble::{Ensemble, Member};
use super::images::shared;
use super::same::{Sameness, compare};

/// Logits between two candidates: a power of two, so that candidates and 0 among them are exact.
const STEP: f64 = 1.0 / 128.0;
/// Logits beyond ±16 are not told apart: that is a probability of 1 in 9 million.
const HALF: usize = 16 * 128;

/// The threshold that is used, and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ThresholdReport {
    /// Foreground has a larger probability.
    pub probability: f64,
    /// The same as a logit.
    pub logit: f64,
    /// In words: given, or how it was chosen.
    pub words: String,
    /// What it was chosen on.
    pub val: Option<OnVal>,
}

/// What the validation split says of the chosen threshold, and of 0.5.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OnVal {
    /// Images.
    pub images: u64,
    /// Jaccard index at the chosen threshold, pooled.
    pub jaccard: Option<f64>,
    /// Jaccard index at 0.5, pooled.
    pub jaccard_at_half: Option<f64>,
    /// Counts at the chosen threshold.
    pub pooled: Confusion,
    /// Counts at 0.5.
    pub pooled_at_half: Confusion,
}

/// Settles the threshold. `None` when somebody said stop.
pub(super) fn settle(
    wish: Threshold,
    ensemble: &Ensemble,
    watch: &mut dyn Watch,
) -> Result<Option<ThresholdReport>, LearnerError> {
    let Threshold::At(given) = wish else { return on_validation(ensemble, watch) };
    Ok(Some(ThresholdReport {
        probability: given,
        logit: logit(given),
        words: "given, not chosen".to_owned(),
        val: None,
    }))
}

/// Only `Part::Val` is ever asked for here, and only of data that are, byte for byte, those that the
/// trials were trained and validated on.
fn on_validation(
    ensemble: &Ensemble,
    watch: &mut dyn Watch,
) -> Result<Option<ThresholdReport>, LearnerError> {
    let refused = |what: String| LearnerError::Setting { setting: "--threshold val".into(), what };
    for member in &ensemble.members {
        let Member { trained: one, data: settings, .. } = member;
        match compare(member, Part::Val)? {
            Sameness::Same => {}
            Sameness::Unknown => {
                return Err(refused(format!(
                    "trial {} has no record of its data: give a probability instead",
                    one.trial()
                )));
            }
            Sameness::Other => {
                return Err(refused(format!(
                    "the data in {} are not those that trial {} was validated on: give their place with \
                     --data, or a probability",
                    settings.path,
                    one.trial()
                )));
            }
        }
    }
    let items = shared(&ensemble.members, Part::Val, "--threshold val")?;
    let mut histogram = Histogram::new();
    let settings = &ensemble.members[0].data;
    for (number, item) in items.iter().enumerate() {
        watch.about(&format!("threshold: {}", item.entry.name), number, items.len());
        let mut slice = data::decode(&item.entry, settings)?;
        let region = item.region.unwrap_or(Region::whole(0, &slice.picture));
        let Some(mask) = &slice.mask else { continue };
        let truth = truth(mask, region);
        let logits = ensemble.logits(&mut slice.picture, region, &mut || watch.go_on())?;
        let Some(logits) = logits else { return Ok(None) };
        let mut values = vec![0.0_f32; truth.len()];
        let length = values.len();
        mean(logits)?.f_copy_data(&mut values, length)?;
        histogram.add(&values, &truth);
    }
    let report = histogram.report(items.len() as u64, ensemble.members.len());
    report.map(Some).ok_or_else(|| {
        refused("the validation masks hold no foreground, so no threshold is better".to_owned())
    })
}

/// Counts of background and foreground pixels by logit; bin `k` holds logits in
/// `((k - HALF) · STEP, (k - HALF + 1) · STEP]`, the outer ones all beyond.
#[derive(Debug)]
struct Histogram(Vec<[u64; 2]>);

impl Histogram {
    fn new() -> Self {
        Self(vec![[0, 0]; 2 * HALF])
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "clamped to the bins"
    )]
    fn add(&mut self, logits: &[f32], truth: &[u8]) {
        let last = (2 * HALF - 1) as f64;
        for (logit, truth) in logits.iter().zip(truth) {
            let bin = (f64::from(*logit) / STEP).ceil() - 1.0 + HALF as f64;
            self.0[bin.clamp(0.0, last) as usize][usize::from(*truth)] += 1;
        }
    }

    /// Counts where foreground is above the lower edge of bin `k`.
    fn above(&self) -> Vec<Confusion> {
        let totals = self.0.iter().fold([0, 0], |[a, b], [c, d]| [a + c, b + d]);
        let mut predicted = [0, 0];
        let mut all: Vec<Confusion> = self
            .0
            .iter()
            .rev()
            .map(|[background, foreground]| {
                predicted = [predicted[0] + background, predicted[1] + foreground];
                Confusion {
                    true_positive: predicted[1],
                    false_positive: predicted[0],
                    false_negative: totals[1] - predicted[1],
                    true_negative: totals[0] - predicted[0],
                }
            })
            .collect();
        all.reverse();
        all
    }

    /// The edge with the largest Jaccard index; of equal ones the nearest to 0.
    #[expect(clippy::cast_precision_loss, reason = "some thousand bins")]
    fn report(&self, images: u64, members: usize) -> Option<ThresholdReport> {
        let all = self.above();
        let half = all[HALF];
        if half.true_positive + half.false_negative == 0 {
            return None;
        }
        // The lowest bin holds whatever is below it, too, so that its lower edge is none.
        let best = (1..all.len()).max_by(|a, b| {
            let order = all[*a].jaccard().total_cmp(&all[*b].jaccard());
            order.then_with(|| b.abs_diff(HALF).cmp(&a.abs_diff(HALF)))
        })?;
        let logit = (best as f64 - HALF as f64) * STEP;
        let some = |value: f64| value.is_finite().then_some(value);
        let (jaccard, jaccard_at_half) = (all[best].jaccard(), half.jaccard());
        let of = if members == 1 { "of the trial" } else { "that the trials share" };
        let words = format!(
            "chosen on the {images} validation images {of}: Jaccard {jaccard:.4} there, at 0.5 \
             {jaccard_at_half:.4}"
        );
        Some(ThresholdReport {
            probability: probability(logit),
            logit,
            words,
            val: Some(OnVal {
                images,
                jaccard: some(jaccard),
                jaccard_at_half: some(jaccard_at_half),
                pooled: all[best],
                pooled_at_half: half,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(logits: &[f32], truth: &[u8], threshold: f64) -> Confusion {
        let mut counts = Confusion::default();
        for (logit, truth) in logits.iter().zip(truth) {
            counts.count(f64::from(*logit) > threshold, *truth == 1);
        }
        counts
    }

    #[test]
    fn the_best_edge_is_found_and_its_counts_are_those_of_the_pixels() {
        let logits = [-30.0, -2.0, -1.5, -1.0, 0.0, 0.0, 1.0 / 128.0, 3.0, 40.0_f32];
        let truth = [0, 0, 1, 1, 0, 1, 1, 1, 1];
        let mut histogram = Histogram::new();
        histogram.add(&logits, &truth);
        let report = histogram.report(1, 1).expect("a threshold");
        let val = report.val.expect("counts");
        assert_eq!(val.pooled, counted(&logits, &truth, report.logit));
        assert_eq!(val.pooled_at_half, counted(&logits, &truth, 0.0));
        assert!(report.logit < -1.5 && report.logit >= -2.0, "{}", report.logit);
        assert!(val.jaccard > val.jaccard_at_half);
        for (edge, counts) in histogram.above().iter().enumerate() {
            let threshold = (edge as f64 - HALF as f64) * STEP;
            if edge > 0 {
                assert_eq!(*counts, counted(&logits, &truth, threshold), "{threshold}");
            }
        }
    }

    #[test]
    fn a_perfect_half_stays_and_an_empty_truth_decides_nothing() {
        let mut histogram = Histogram::new();
        histogram.add(&[-5.0, 5.0], &[0, 1]);
        assert_eq!(histogram.report(1, 1).expect("one").logit, 0.0);
        let mut empty = Histogram::new();
        empty.add(&[-5.0, 5.0], &[0, 0]);
        assert!(empty.report(1, 1).is_none());
    }
}
