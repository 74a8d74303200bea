//! The parts of the loss by themselves.

use tch::{Kind, Reduction, TchError, Tensor};

/// Keeps overlaps finite and smooth where neither prediction nor truth has foreground.
pub(super) const SMOOTHING: f64 = 1.0;

/// Smallest `1 - T` of the focal Tversky loss: about what 32-bit numbers tell from 0.
pub(super) const LEAST: f64 = 1e-7;

/// Binary cross-entropy, in its form for logits: of each pixel, or their mean.
pub(super) fn cross_entropy(
    logits: &Tensor,
    truth: &Tensor,
    over: Reduction,
) -> Result<Tensor, TchError> {
    logits.f_binary_cross_entropy_with_logits::<Tensor>(truth, None, None, over)
}

/// Focal loss of each pixel. `(1 - q)^gamma` is `exp(gamma ln(1 - q))`: a power would have no slope at
/// 0 for a gamma below 1.
pub(super) fn focal(
    logits: &Tensor,
    truth: &Tensor,
    gamma: f64,
    alpha: Option<f64>,
) -> Result<Tensor, TchError> {
    // The logit of the right class: z for foreground, -z for background.
    let right = logits.f_mul(&truth.f_mul_scalar(2.0)?.f_sub_scalar(1.0)?)?;
    let mut pixels = right.f_log_sigmoid()?.f_neg()?;
    if gamma > 0.0 {
        let wrong = right.f_neg()?.f_log_sigmoid()?;
        pixels = pixels.f_mul(&wrong.f_mul_scalar(gamma)?.f_exp()?)?;
    }
    match alpha {
        None => Ok(pixels),
        Some(alpha) => {
            let weights = truth.f_mul_scalar(2.0 * alpha - 1.0)?.f_add_scalar(1.0 - alpha)?;
            pixels.f_mul(&weights)
        }
    }
}

/// The soft Dice loss of all pixels.
pub(super) fn dice(logits: &Tensor, truth: &Tensor) -> Result<Tensor, TchError> {
    let p = logits.f_sigmoid()?;
    let both = p.f_mul(truth)?.f_sum(Kind::Float)?;
    let either = p.f_sum(Kind::Float)?.f_add(&truth.f_sum(Kind::Float)?)?;
    let above = both.f_mul_scalar(2.0)?.f_add_scalar(SMOOTHING)?;
    let dice = above.f_div(&either.f_add_scalar(SMOOTHING)?)?;
    dice.f_neg()?.f_add_scalar(1.0)
}

/// The Tversky loss of all pixels. It is written as what is wrong over what there is, since
/// `1 - T` would lose its digits near a perfect overlap.
pub(super) fn tversky(
    logits: &Tensor,
    truth: &Tensor,
    alpha: f64,
    beta: f64,
) -> Result<Tensor, TchError> {
    let [hits, false_alarms, misses] = soft_counts(logits, truth, Kind::Float)?;
    let wrong = false_alarms.f_mul_scalar(alpha)?.f_add(&misses.f_mul_scalar(beta)?)?;
    wrong.f_div(&hits.f_add(&wrong)?.f_add_scalar(SMOOTHING)?)
}

/// Sums of `pt`, `p(1 - t)` and `(1 - p)t`: soft true positives, false positives, false negatives.
pub(super) fn soft_counts(
    logits: &Tensor,
    truth: &Tensor,
    kind: Kind,
) -> Result<[Tensor; 3], TchError> {
    let (p, not_p) = (logits.f_sigmoid()?, logits.f_neg()?.f_sigmoid()?);
    let background = truth.f_neg()?.f_add_scalar(1.0)?;
    Ok([
        p.f_mul(truth)?.f_sum(kind)?,
        p.f_mul(&background)?.f_sum(kind)?,
        not_p.f_mul(truth)?.f_sum(kind)?,
    ])
}
