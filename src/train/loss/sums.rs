//! Sums over pixels from which the loss of a whole split follows.

use tch::{Kind, Reduction, TchError, Tensor};

use super::part::{self, LEAST, SMOOTHING};
use crate::setting::Loss;

/// Sums over pixels from which the same loss as [`super::loss`] follows for a whole split, however it
/// was cut. Parts of weight 0 are left out here too.
#[derive(Clone, Debug)]
pub struct LossSums {
    weights: Loss,
    pixels: f64,
    cross_entropy: f64,
    focal: f64,
    predicted: f64,
    truth: f64,
    hits: f64,
    false_alarms: f64,
    misses: f64,
}

impl LossSums {
    /// Nothing was added yet.
    #[must_use]
    pub fn new(weights: &Loss) -> Self {
        Self {
            weights: weights.clone(),
            pixels: 0.0,
            cross_entropy: 0.0,
            focal: 0.0,
            predicted: 0.0,
            truth: 0.0,
            hits: 0.0,
            false_alarms: 0.0,
            misses: 0.0,
        }
    }

    /// Adds the pixels of an image. `logits` and `truth` have one shape.
    ///
    /// # Errors
    /// When the library fails.
    pub fn add(&mut self, logits: &Tensor, truth: &Tensor) -> Result<(), TchError> {
        let value = |tensor: &Tensor| tensor.f_double_value(&[]);
        let sum = |tensor: &Tensor| value(&tensor.f_sum(Kind::Double)?);
        if self.weights.bce > 0.0 {
            self.cross_entropy += sum(&part::cross_entropy(logits, truth, Reduction::None)?)?;
        }
        if self.weights.focal > 0.0 {
            let (gamma, alpha) = (self.weights.focal_gamma, self.weights.focal_alpha);
            self.focal += sum(&part::focal(logits, truth, gamma, alpha)?)?;
        }
        if self.weights.dice > 0.0 {
            self.predicted += sum(&logits.f_sigmoid()?)?;
            self.truth += sum(truth)?;
        }
        if self.weights.dice > 0.0 || self.wants_tversky() {
            let [hits, false_alarms, misses] = part::soft_counts(logits, truth, Kind::Double)?;
            self.hits += value(&hits)?;
            self.false_alarms += value(&false_alarms)?;
            self.misses += value(&misses)?;
        }
        #[expect(clippy::cast_precision_loss, reason = "pixel counts stay far below 2^53")]
        let pixels = truth.numel() as f64;
        self.pixels += pixels;
        Ok(())
    }

    fn wants_tversky(&self) -> bool {
        self.weights.tversky > 0.0 || self.weights.focal_tversky > 0.0
    }

    /// Returns the loss of all pixels added; NaN for none.
    #[must_use]
    pub fn loss(&self) -> f64 {
        let weights = &self.weights;
        if self.pixels == 0.0 {
            return f64::NAN;
        }
        let dice = (2.0 * self.hits + SMOOTHING) / (self.predicted + self.truth + SMOOTHING);
        let wrong = weights.tversky_alpha * self.false_alarms + weights.tversky_beta * self.misses;
        let tversky = wrong / (self.hits + wrong + SMOOTHING);
        let focal_tversky = tversky.max(LEAST).powf(1.0 / weights.focal_tversky_gamma);
        let parts = [
            (weights.bce, self.cross_entropy / self.pixels),
            (weights.dice, 1.0 - dice),
            (weights.focal, self.focal / self.pixels),
            (weights.tversky, tversky),
            (weights.focal_tversky, focal_tversky),
        ];
        let wanted = parts.into_iter().filter(|(weight, _)| *weight > 0.0);
        wanted.map(|(weight, part)| weight * part).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{loss, tests::none};
    use super::*;

    #[test]
    fn sums_over_pieces_equal_the_loss_of_the_whole() {
        let logits = Tensor::from_slice(&[0.5_f32, -1.0, 2.0, 0.0]);
        let truth = Tensor::from_slice(&[1.0_f32, 0.0, 1.0, 0.0]);
        let all = Loss {
            bce: 0.5,
            dice: 0.5,
            focal: 2.0,
            tversky: 1.0,
            focal_tversky: 0.7,
            focal_alpha: Some(0.25),
            ..none()
        };
        for weights in [
            all,
            Loss { bce: 0.5, dice: 0.5, ..none() },
            Loss { dice: 1.0, ..none() },
            Loss { focal: 1.0, ..none() },
            Loss { tversky: 1.0, ..none() },
            Loss { focal_tversky: 1.0, ..none() },
        ] {
            let mut sums = LossSums::new(&weights);
            assert!(sums.loss().is_nan());
            for (start, length) in [(0, 1), (1, 3)] {
                sums.add(&logits.narrow(0, start, length), &truth.narrow(0, start, length))
                    .expect("sums");
            }
            let whole = loss(&logits, &truth, &weights).expect("loss").double_value(&[]);
            assert!((sums.loss() - whole).abs() < 1e-6, "{weights:?}");
        }
    }
}
