//! The training loss, on logits: binary cross-entropy and soft Dice, weighted.

use tch::{Kind, Reduction, TchError, Tensor};

use crate::setting::Loss;

/// Keeps soft Dice finite and smooth where neither prediction nor truth has foreground.
const SMOOTHING: f64 = 1.0;

/// Computes `bce · BCE + dice · Dice` of a minibatch, a scalar. `logits` and `truth` (0 or 1) have
/// one shape.
///
/// BCE is the mean over pixels in its form for logits, stable for any of them. Soft Dice
/// (Milletari et al. 2016, with the plain sum in the denominator) is pooled over all pixels of the
/// minibatch: `1 - (2 Σpt + 1) / (Σp + Σt + 1)`. A part of weight 0 is not computed.
///
/// # Errors
/// When the library fails.
pub fn loss(logits: &Tensor, truth: &Tensor, weights: &Loss) -> Result<Tensor, TchError> {
    let mut total = Tensor::f_zeros([], (Kind::Float, logits.device()))?;
    if weights.bce > 0.0 {
        let bce = cross_entropy(logits, truth, Reduction::Mean)?;
        total = total.f_add(&bce.f_mul_scalar(weights.bce)?)?;
    }
    if weights.dice > 0.0 {
        let p = logits.f_sigmoid()?;
        let both = p.f_mul(truth)?.f_sum(Kind::Float)?;
        let either = p.f_sum(Kind::Float)?.f_add(&truth.f_sum(Kind::Float)?)?;
        let above = both.f_mul_scalar(2.0)?.f_add_scalar(SMOOTHING)?;
        let dice = above.f_div(&either.f_add_scalar(SMOOTHING)?)?;
        let lost = dice.f_neg()?.f_add_scalar(1.0)?.f_mul_scalar(weights.dice)?;
        total = total.f_add(&lost)?;
    }
    Ok(total)
}

/// Sums over pixels from which the same loss follows for a whole split, however it was cut.
#[derive(Clone, Copy, Debug, Default)]
pub struct LossSums {
    cross_entropy: f64,
    predicted: f64,
    truth: f64,
    both: f64,
    pixels: f64,
}

impl LossSums {
    /// Adds the pixels of an image.
    ///
    /// # Errors
    /// When the library fails.
    pub fn add(&mut self, logits: &Tensor, truth: &Tensor) -> Result<(), TchError> {
        let sum = |tensor: &Tensor| tensor.f_sum(Kind::Double)?.f_double_value(&[]);
        let p = logits.f_sigmoid()?;
        self.cross_entropy += sum(&cross_entropy(logits, truth, Reduction::None)?)?;
        self.predicted += sum(&p)?;
        self.truth += sum(truth)?;
        self.both += sum(&p.f_mul(truth)?)?;
        #[expect(clippy::cast_precision_loss, reason = "pixel counts stay far below 2^53")]
        let pixels = truth.numel() as f64;
        self.pixels += pixels;
        Ok(())
    }

    /// Returns the loss of all pixels added; NaN for none.
    #[must_use]
    pub fn loss(&self, weights: &Loss) -> f64 {
        let dice = (2.0 * self.both + SMOOTHING) / (self.predicted + self.truth + SMOOTHING);
        weights.bce * self.cross_entropy / self.pixels + weights.dice * (1.0 - dice)
    }
}

fn cross_entropy(logits: &Tensor, truth: &Tensor, over: Reduction) -> Result<Tensor, TchError> {
    logits.f_binary_cross_entropy_with_logits::<Tensor>(truth, None, None, over)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(bce: f64, dice: f64) -> Loss {
        Loss {
            bce,
            dice,
            focal: 0.0,
            tversky: 0.0,
            focal_tversky: 0.0,
            focal_gamma: 2.0,
            focal_alpha: None,
            tversky_alpha: 0.3,
            tversky_beta: 0.7,
            focal_tversky_gamma: 4.0 / 3.0,
        }
    }

    fn value(logits: &[f32], truth: &[f32], bce: f64, dice: f64) -> f64 {
        let (logits, truth) = (Tensor::from_slice(logits), Tensor::from_slice(truth));
        loss(&logits, &truth, &weights(bce, dice)).expect("loss").double_value(&[])
    }

    #[test]
    fn the_parts_equal_numbers_computed_by_hand() {
        // Probabilities 1/2 and 3/4 (logit ln 3), truths 1 and 0.
        let (logits, truth) = ([0.0, 3.0_f32.ln()], [1.0, 0.0]);
        let bce = (2.0_f64.ln() + 4.0_f64.ln()) / 2.0;
        // 1 - (2 · 0.5 + 1) / (1.25 + 1 + 1)
        let dice = 1.0 - 2.0 / 3.25;
        assert!((value(&logits, &truth, 1.0, 0.0) - bce).abs() < 1e-6);
        assert!((value(&logits, &truth, 0.0, 1.0) - dice).abs() < 1e-6);
        assert!((value(&logits, &truth, 0.5, 2.0) - (0.5 * bce + 2.0 * dice)).abs() < 1e-6);
    }

    #[test]
    fn large_logits_give_a_finite_loss() {
        // The wrong side of 1000: cross-entropy is 1000 itself, where a naive form is infinite.
        assert!((value(&[1000.0, -1000.0], &[0.0, 1.0], 1.0, 0.0) - 1000.0).abs() < 1e-3);
        assert!(value(&[1000.0], &[1.0], 1.0, 1.0).abs() < 1e-6);
    }

    #[test]
    fn sums_over_pieces_equal_the_loss_of_the_whole() {
        let logits = Tensor::from_slice(&[0.5_f32, -1.0, 2.0, 0.0]);
        let truth = Tensor::from_slice(&[1.0_f32, 0.0, 1.0, 0.0]);
        let weights = weights(0.5, 0.5);
        let mut sums = LossSums::default();
        for (start, length) in [(0, 1), (1, 3)] {
            sums.add(&logits.narrow(0, start, length), &truth.narrow(0, start, length))
                .expect("sums");
        }
        let whole = loss(&logits, &truth, &weights).expect("loss").double_value(&[]);
        assert!((sums.loss(&weights) - whole).abs() < 1e-6);
    }
}
