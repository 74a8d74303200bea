//! The training loss, on logits: a weighted sum of the parts that the settings name.

mod part;
mod sums;

use tch::{Kind, Reduction, TchError, Tensor};

pub use sums::LossSums;

use crate::setting::Loss;

/// Computes `Σ weight · part` of a minibatch, a scalar. `logits` and `truth` (0 or 1) have one shape.
///
/// With `z` a logit, `t` its truth, `p = sigmoid(z)` and `q` the probability of the truth (`p` where
/// `t` is 1, else `1 - p`) the parts are
///
/// | part | definition | source |
/// |---|---|---|
/// | `bce` | mean of `-ln q` | binary cross-entropy |
/// | `focal` | mean of `-a (1 - q)^gamma ln q`; `a` is `alpha` for foreground and `1 - alpha` for background, or 1 without alpha | Lin et al. 2017 |
/// | `dice` | `1 - (2 Σpt + 1) / (Σp + Σt + 1)` | Milletari et al. 2016, with the plain sum below |
/// | `tversky` | `1 - T`, `T = (Σpt + 1) / (Σpt + alpha Σp(1 - t) + beta Σ(1 - p)t + 1)` | Salehi et al. 2017 |
/// | `focal_tversky` | `(1 - T)^(1 / gamma)` | Abraham and Khan 2019 |
///
/// Means and sums go over all pixels of the minibatch together. The 1 that is added above and below
/// keeps the overlaps finite and smooth where neither prediction nor truth has foreground; with
/// `alpha = beta = 1/2` the Tversky loss is so the Dice loss with 2 added, not 1.
///
/// All parts are finite, with finite slopes, for any logit: they use `ln sigmoid` in its stable form,
/// and `1 - T` of the focal Tversky loss counts as at least 1e-7, where its slope would grow without
/// bound; below that the slope is 0. A part of weight 0 is not computed.
///
/// # Errors
/// When the library fails.
pub fn loss(logits: &Tensor, truth: &Tensor, weights: &Loss) -> Result<Tensor, TchError> {
    let mut total = Tensor::f_zeros([], (Kind::Float, logits.device()))?;
    let mut add = |weight: f64, part: &Tensor| -> Result<(), TchError> {
        total = total.f_add(&part.f_mul_scalar(weight)?)?;
        Ok(())
    };
    if weights.bce > 0.0 {
        add(weights.bce, &part::cross_entropy(logits, truth, Reduction::Mean)?)?;
    }
    if weights.dice > 0.0 {
        add(weights.dice, &part::dice(logits, truth)?)?;
    }
    if weights.focal > 0.0 {
        let (gamma, alpha) = (weights.focal_gamma, weights.focal_alpha);
        add(weights.focal, &part::focal(logits, truth, gamma, alpha)?.f_mean(Kind::Float)?)?;
    }
    if weights.tversky > 0.0 || weights.focal_tversky > 0.0 {
        let lost = part::tversky(logits, truth, weights.tversky_alpha, weights.tversky_beta)?;
        if weights.tversky > 0.0 {
            add(weights.tversky, &lost)?;
        }
        if weights.focal_tversky > 0.0 {
            let focused = lost.f_clamp_min(part::LEAST)?;
            let power = 1.0 / weights.focal_tversky_gamma;
            add(weights.focal_tversky, &focused.f_pow_tensor_scalar(power)?)?;
        }
    }
    Ok(total)
}

#[cfg(test)]
mod parity_tests;
#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn none() -> Loss {
        Loss {
            bce: 0.0,
            dice: 0.0,
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

    fn value(logits: &[f32], truth: &[f32], weights: &Loss) -> f64 {
        let (logits, truth) = (Tensor::from_slice(logits), Tensor::from_slice(truth));
        loss(&logits, &truth, weights).expect("loss").double_value(&[])
    }

    #[test]
    fn the_parts_equal_numbers_computed_by_hand() {
        // Probabilities 1/2 and 3/4 (logit ln 3), truths 1 and 0.
        let (logits, truth) = ([0.0, 3.0_f32.ln()], [1.0, 0.0]);
        let bce = (2.0_f64.ln() + 4.0_f64.ln()) / 2.0;
        // 1 - (2 · 0.5 + 1) / (1.25 + 1 + 1)
        let dice = 1.0 - 2.0 / 3.25;
        // The right class has 1/2 and 1/4, so that 1 less it is 1/2 and 3/4.
        let focal = (0.25 * 2.0_f64.ln() + 0.5625 * 4.0_f64.ln()) / 2.0;
        let balanced = (0.25 * 0.25 * 2.0_f64.ln() + 0.75 * 0.5625 * 4.0_f64.ln()) / 2.0;
        // Hits 0.5, false alarms 0.75, misses 0.5.
        let tversky: f64 = 1.0 - 1.5 / (0.5 + 0.3 * 0.75 + 0.7 * 0.5 + 1.0);
        for (weights, expected) in [
            (Loss { bce: 1.0, ..none() }, bce),
            (Loss { dice: 1.0, ..none() }, dice),
            (Loss { bce: 0.5, dice: 2.0, ..none() }, 0.5 * bce + 2.0 * dice),
            (Loss { focal: 1.0, ..none() }, focal),
            (Loss { focal: 1.0, focal_alpha: Some(0.25), ..none() }, balanced),
            (Loss { tversky: 1.0, ..none() }, tversky),
            (Loss { focal_tversky: 3.0, ..none() }, 3.0 * tversky.powf(0.75)),
            (
                Loss { bce: 1.0, focal: 0.5, tversky: 2.0, ..none() },
                bce + 0.5 * focal + 2.0 * tversky,
            ),
        ] {
            let value = value(&logits, &truth, &weights);
            assert!((value - expected).abs() < 1e-6, "{value} {expected}: {weights:?}");
        }
    }

    #[test]
    fn the_focal_loss_without_focus_is_cross_entropy() {
        let (logits, truth) = ([0.3, -2.0, 5.0, -40.0, 90.0], [1.0, 1.0, 0.0, 0.0, 0.0]);
        let focal = value(&logits, &truth, &Loss { focal: 1.0, focal_gamma: 0.0, ..none() });
        let bce = value(&logits, &truth, &Loss { bce: 1.0, ..none() });
        assert!((focal - bce).abs() < 1e-6 * bce);
    }

    #[test]
    fn large_logits_give_a_finite_loss_and_finite_slopes() {
        // The wrong side of 1000: cross-entropy is 1000 itself, where a naive form is infinite.
        let bce = Loss { bce: 1.0, ..none() };
        assert!((value(&[1000.0, -1000.0], &[0.0, 1.0], &bce) - 1000.0).abs() < 1e-3);
        let both = Loss { dice: 1.0, ..bce.clone() };
        assert!(value(&[1000.0], &[1.0], &both).abs() < 1e-6);
        for gamma in [0.0, 0.5, 2.0, 10.0] {
            let focal = Loss { focal: 1.0, focal_gamma: gamma, ..none() };
            assert!((value(&[1000.0, -1000.0], &[0.0, 1.0], &focal) - 1000.0).abs() < 1e-3);
            let power = Loss { focal_tversky: 1.0, focal_tversky_gamma: gamma.max(0.1), ..none() };
            for weights in [&bce, &both, &focal, &Loss { tversky: 1.0, ..none() }, &power] {
                // All right, all wrong, some of each, and nothing to find.
                for truth in [[1.0_f32, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0; 3]] {
                    let logits = Tensor::from_slice(&[1000.0_f32, -1000.0, 0.0]);
                    let logits = logits.set_requires_grad(true);
                    let loss = loss(&logits, &Tensor::from_slice(&truth), weights).expect("loss");
                    loss.backward();
                    let all = Tensor::cat(&[loss.view(1), logits.grad()], 0);
                    let is_finite = all.isfinite().all().int64_value(&[]) == 1;
                    assert!(is_finite, "{weights:?} {truth:?}: {all:?}");
                }
            }
        }
    }

    #[test]
    fn a_perfect_overlap_has_no_infinite_slope_and_a_poor_one_pulls() {
        let slope = |logits: &[f32]| {
            let weights = Loss { focal_tversky: 1.0, ..none() };
            let logits = Tensor::from_slice(logits).set_requires_grad(true);
            let truth = Tensor::from_slice(&[1.0_f32, 0.0]);
            loss(&logits, &truth, &weights).expect("loss").backward();
            logits.grad().abs().max().double_value(&[])
        };
        assert!(slope(&[1000.0, -1000.0]) == 0.0);
        assert!(slope(&[12.0, -12.0]).is_finite());
        assert!(slope(&[-1.0, 1.0]) > 0.05);
    }

    /// A part that is not wanted costs nothing, and cannot make the others undefined.
    #[test]
    fn a_part_of_weight_0_is_not_computed() {
        let logits = Tensor::from_slice(&[f32::INFINITY, 0.0]);
        let truth = Tensor::from_slice(&[1.0_f32, 0.0]);
        let of = |weights: &Loss| loss(&logits, &truth, weights).expect("loss").double_value(&[]);
        assert!(of(&Loss { bce: 1.0, ..none() }).is_nan());
        assert!(of(&Loss { dice: 1.0, ..none() }).is_finite());
        assert!(of(&Loss { tversky: 1.0, focal_tversky: 1.0, ..none() }).is_finite());
    }
}
