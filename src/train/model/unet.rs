//! U-Net (Ronneberger, Fischer and Brox 2015), with padded convolutions and batch normalisation.
//!
//! Up-sampling is the transposed 2×2 convolution of the paper. Weights start from He's normal
//! distribution, biases at 0, but the last one where foreground has the probability 0.1.

use tch::TchError;

use crate::setting;

use super::Parameters;
use super::block::{Plan, UShape};

/// Builds the network and adds its parameters to `parameters`.
///
/// # Errors
/// When memory does not suffice.
pub(super) fn build(
    settings: &setting::UShape,
    parameters: &mut Parameters,
) -> Result<UShape, TchError> {
    UShape::build(settings, Plan { residual: false, gated: false }, parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::model::{Network, Pass};
    use tch::{Device, Kind, Tensor};

    fn small(depth: i64, channels: i64, dropout: f64) -> (UShape, Parameters) {
        let variant = setting::Layout::Paper;
        let settings = setting::UShape { base: 4, depth, channels, dropout, variant };
        let mut parameters = Parameters::new(7, Device::Cpu);
        let network = build(&settings, &mut parameters).expect("network");
        (network, parameters)
    }

    const TRAIN: Pass = Pass::Train { seed: 1, epoch: 1, step: 0 };

    #[test]
    fn any_size_goes_in_and_the_same_size_comes_out() {
        for (depth, channels, height, width) in [(1, 1, 16, 16), (3, 3, 37, 50), (4, 1, 5, 9)] {
            let (network, _) = small(depth, channels, 0.0);
            let input = Tensor::ones([2, channels, height, width], (Kind::Float, Device::Cpu));
            let output = network.forward(&input, Pass::Evaluate).expect("forward");
            assert_eq!(output.size(), [2, 1, height, width]);
        }
    }

    #[test]
    fn parameters_are_counted_and_named_as_in_pytorch() {
        let (_, parameters) = small(1, 1, 0.0);
        // enc 1→4, 4→4; bottom 4→8, 8→8; up 8→4; dec 8→4, 4→4; head 4→1. Two numbers a
        // channel for each normalisation.
        let convolutions = 36 + 144 + 288 + 576 + (128 + 4) + 288 + 144 + (4 + 1);
        let normalisations = 2 * (4 + 4 + 8 + 8 + 4 + 4);
        assert_eq!(parameters.count(), convolutions + normalisations);
        assert!(parameters.trainable().any(|(name, _)| name == "enc.0.conv1.weight"));
    }

    #[test]
    fn initial_weights_have_hes_variance_and_depend_on_the_seed_alone() {
        let deviation = |seed| {
            let variant = setting::Layout::Paper;
            let settings =
                setting::UShape { base: 32, depth: 1, channels: 1, dropout: 0.0, variant };
            let mut parameters = Parameters::new(seed, Device::Cpu);
            build(&settings, &mut parameters).expect("network");
            let weight = parameters
                .trainable()
                .find(|(name, _)| *name == "bottom.conv2.weight")
                .expect("weight")
                .1
                .detach();
            (weight.std(true).double_value(&[]), weight)
        };
        let (first, weight) = deviation(1);
        assert!((first / (2.0_f64 / (64.0 * 9.0)).sqrt() - 1.0).abs() < 0.02, "{first}");
        assert_eq!(weight, deviation(1).1);
        assert_ne!(weight, deviation(2).1);
    }

    #[test]
    fn dropout_depends_on_the_step_and_is_off_in_evaluation() {
        let (network, _) = small(2, 1, 0.5);
        let input = Tensor::rand([1, 1, 16, 16], (Kind::Float, Device::Cpu));
        let run = |pass| network.forward(&input, pass).expect("forward");
        assert_eq!(run(TRAIN), run(TRAIN));
        assert_ne!(run(TRAIN), run(Pass::Train { seed: 1, epoch: 1, step: 1 }));
        assert_eq!(run(Pass::Evaluate), run(Pass::Evaluate));
    }
}
