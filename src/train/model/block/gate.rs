//! Attention gates: they weigh a skip connection by what the coarser level has found.

use tch::{TchError, Tensor};

use super::{BatchNorm, Conv, ConvSpec, nearest_up, normed};
use crate::setting::Layout;
use crate::train::model::{Parameters, Pass};

/// An additive attention gate (Oktay et al. 2018, figure 2). From features `x` of a
/// level and the signal `g` of the level below: `x · resample(σ(ψ(ReLU(θ(x) + φ(g)))))`, where θ is a
/// 2×2 convolution of stride 2 without bias, φ and ψ are 1×1 convolutions with biases; ψ gives one
/// weight for each place, which goes to the finer grid by bilinear interpolation.
#[derive(Debug)]
pub(in crate::train::model) struct Gate {
    theta: Conv,
    phi: Conv,
    psi: Conv,
    more: Option<More>,
}

/// What gates of the earlier system have besides. Weights go to the finer grid by repetition there.
#[derive(Debug)]
struct More {
    /// The signal is made of `g` by a 1×1 convolution to the channels of `x`.
    signal: (Conv, BatchNorm),
    /// φ is followed by a transposed 3×3 convolution of stride 1: a convolution, the kernel mirrored.
    grow: Conv,
    /// What comes out goes through a 1×1 convolution.
    result: (Conv, BatchNorm),
}

impl Gate {
    /// For `channels` of `x` and `below` of `g`; between them there are as many channels as in `x`.
    pub(in crate::train::model) fn build(
        parameters: &mut Parameters,
        name: &str,
        channels: i64,
        below: i64,
        layout: Layout,
    ) -> Result<Self, TchError> {
        let mut conv =
            |part: &str, spec: ConvSpec| spec.build(parameters, &format!("{name}.{part}"));
        let same = ConvSpec::new(channels, channels, 1).bias(0.0);
        let psi = conv("psi", ConvSpec::new(channels, 1, 1).bias(0.0))?;
        let theta = ConvSpec::new(channels, channels, 2).stride(2);
        if layout == Layout::Paper {
            let theta = conv("theta", theta)?;
            let phi = conv("phi", ConvSpec::new(below, channels, 1).bias(0.0))?;
            return Ok(Self { theta, phi, psi, more: None });
        }
        let theta = conv("theta", theta.bias(0.0))?;
        let phi = conv("phi", same)?;
        let grow = conv("grow", ConvSpec::new(channels, channels, 3).bias(0.0))?;
        let signal = conv("signal.conv", ConvSpec::new(below, channels, 1).bias(0.0))?;
        let result = conv("result.conv", same)?;
        let mut norm =
            |part: &str| BatchNorm::build(parameters, &format!("{name}.{part}.bn"), channels);
        let signal = (signal, norm("signal")?);
        let result = (result, norm("result")?);
        Ok(Self { theta, phi, psi, more: Some(More { signal, grow, result }) })
    }

    /// Takes `x`, `[n, channels, 2 · height, 2 · width]`, and `g`, `[n, below, height, width]`.
    pub(in crate::train::model) fn forward(
        &self,
        x: &Tensor,
        g: &Tensor,
        pass: Pass,
    ) -> Result<Tensor, TchError> {
        let Some(More { signal, grow, result }) = &self.more else {
            let weights = self.weights(x, &self.phi.forward(g)?)?;
            // The factors and not the sizes: a tracer keeps sizes as numbers.
            let fine = weights.f_upsample_bilinear2d_vec(None::<i64>, false, [2.0, 2.0])?;
            return x.f_mul(&fine);
        };
        let signal = normed(&signal.0, &signal.1, g, pass)?.f_relu_()?;
        let weights = self.weights(x, &grow.forward(&self.phi.forward(&signal)?)?)?;
        let gated = x.f_mul(&nearest_up(&weights)?)?;
        normed(&result.0, &result.1, &gated, pass)
    }

    /// Makes one weight between 0 and 1 for each place of the coarser grid.
    fn weights(&self, x: &Tensor, signal: &Tensor) -> Result<Tensor, TchError> {
        let sum = self.theta.forward(x)?.f_add_(signal)?.f_relu_()?;
        self.psi.forward(&sum)?.f_sigmoid()
    }
}
