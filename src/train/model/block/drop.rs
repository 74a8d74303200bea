//! Dropping at random while training. What is dropped depends on (seed, epoch, step) and the place in
//! the network alone: places need names of their own.

use tch::{Kind, TchError, Tensor};

use crate::train::model::Pass;

/// Drops whole channels with probability `fraction` in training and scales up the rest (Tompson et
/// al. 2015).
pub(in crate::train::model) fn drop_channels(
    x: &Tensor,
    fraction: f64,
    place: &str,
    pass: Pass,
) -> Result<Tensor, TchError> {
    let size = x.size();
    drop_like(x, &[size[0], size[1], 1, 1], fraction, place, pass)
}

/// Drops single values with probability `fraction` in training and scales up the rest (Srivastava et
/// al. 2014).
pub(in crate::train::model) fn drop_values(
    x: &Tensor,
    fraction: f64,
    place: &str,
    pass: Pass,
) -> Result<Tensor, TchError> {
    drop_like(x, &x.size(), fraction, place, pass)
}

/// Drops whole samples with probability `fraction` in training and scales up the rest. On the branch
/// of a residual block: stochastic depth (Huang et al. 2016).
pub(in crate::train::model) fn drop_path(
    x: &Tensor,
    fraction: f64,
    place: &str,
    pass: Pass,
) -> Result<Tensor, TchError> {
    let mut shape = vec![1; x.dim()];
    shape[0] = x.size()[0];
    drop_like(x, &shape, fraction, &format!("path {place}"), pass)
}

/// The probability for each of `blocks` blocks: from 0 at the first linearly up to `last`.
pub(in crate::train::model) fn rising(blocks: i64, last: f64) -> impl Iterator<Item = f64> {
    #[expect(clippy::cast_precision_loss, reason = "blocks are few")]
    let step = last / (blocks - 1).max(1) as f64;
    #[expect(clippy::cast_precision_loss, reason = "blocks are few")]
    (0..blocks).map(move |block| step * block as f64)
}

/// Multiplies with factors of the given shape, each 0 with probability `fraction`.
fn drop_like(
    x: &Tensor,
    shape: &[i64],
    fraction: f64,
    place: &str,
    pass: Pass,
) -> Result<Tensor, TchError> {
    if fraction <= 0.0 {
        return Ok(x.shallow_clone());
    }
    let Some(mut draw) = pass.draw(place) else {
        return Ok(x.shallow_clone());
    };
    let number = shape.iter().product::<i64>();
    #[expect(clippy::cast_possible_truncation, reason = "activations are 32-bit")]
    let kept = (1.0 / (1.0 - fraction)) as f32;
    let factors: Vec<f32> =
        (0..number).map(|_| if draw.unit() < fraction { 0.0 } else { kept }).collect();
    let factors = Tensor::f_from_slice(&factors)?.f_view(shape)?;
    x.f_mul(&factors.f_to_device(x.device())?.f_to_kind(Kind::Float)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn train(step: u64) -> Pass {
        Pass::Train { seed: 1, epoch: 1, step }
    }

    fn ones(shape: &[i64]) -> Tensor {
        Tensor::ones(shape, (Kind::Float, Device::Cpu))
    }

    #[test]
    fn a_path_is_dropped_for_whole_samples_as_often_as_told() {
        let x = ones(&[400, 3, 2]);
        let dropped = drop_path(&x, 0.25, "here", train(0)).expect("dropped");
        let samples = dropped.sum_dim_intlist([1, 2].as_slice(), false, Kind::Float);
        let whole = Vec::<f32>::try_from(&samples).expect("values");
        assert!(whole.iter().all(|sum| *sum == 0.0 || (sum - 8.0).abs() < 1e-5), "{whole:?}");
        let gone = whole.iter().filter(|sum| **sum == 0.0).count();
        assert!((70..130).contains(&gone), "{gone} of 400");
    }

    #[test]
    fn what_is_dropped_depends_on_step_and_place_alone_and_nothing_is_in_use() {
        let x = ones(&[16, 8, 3, 3]);
        for drop in [drop_path, drop_channels, drop_values] {
            let at = |place, pass| drop(&x, 0.5, place, pass).expect("dropped");
            assert_eq!(at("a", train(0)), at("a", train(0)));
            assert_ne!(at("a", train(0)), at("a", train(1)));
            assert_ne!(at("a", train(0)), at("b", train(0)));
            assert_eq!(at("a", Pass::Evaluate), x);
            assert_eq!(drop(&x, 0.0, "a", train(0)).expect("kept"), x);
        }
    }

    #[test]
    fn the_probability_rises_linearly_to_the_last_block() {
        assert_eq!(rising(5, 0.4).collect::<Vec<_>>(), [0.0, 0.1, 0.2, 0.4 / 4.0 * 3.0, 0.4]);
        assert_eq!(rising(1, 0.4).collect::<Vec<_>>(), [0.0]);
    }
}
