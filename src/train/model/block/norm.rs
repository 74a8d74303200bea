//! Normalisations.

use tch::{TchError, Tensor};

use crate::train::model::{Parameters, Pass};

/// As PyTorch's defaults.
const MOMENTUM: f64 = 0.1;
const EPS: f64 = 1e-5;
/// As in the networks that normalise layers (Liu et al. 2022).
const LAYER_EPS: f64 = 1e-6;

/// Batch normalisation (Ioffe and Szegedy 2015).
#[derive(Debug)]
pub(in crate::train::model) struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
}

impl BatchNorm {
    /// Its output has mean 0 and variance 1 at the start.
    pub(in crate::train::model) fn build(
        parameters: &mut Parameters,
        name: &str,
        channels: i64,
    ) -> Result<Self, TchError> {
        Self::around(parameters, name, channels, 0.0)
    }

    /// Its output has the mean `start` at the start.
    pub(in crate::train::model) fn around(
        parameters: &mut Parameters,
        name: &str,
        channels: i64,
        start: f64,
    ) -> Result<Self, TchError> {
        Ok(Self {
            weight: parameters.constant(&format!("{name}.weight"), channels, 1.0)?,
            bias: parameters.constant(&format!("{name}.bias"), channels, start)?,
            mean: parameters.buffer(&format!("{name}.running_mean"), channels, 0.0)?,
            variance: parameters.buffer(&format!("{name}.running_var"), channels, 1.0)?,
        })
    }

    /// Takes `[n, channels, height, width]`.
    pub(in crate::train::model) fn forward(
        &self,
        x: &Tensor,
        pass: Pass,
    ) -> Result<Tensor, TchError> {
        let (weight, bias) = (Some(&self.weight), Some(&self.bias));
        let (mean, variance) = (Some(&self.mean), Some(&self.variance));
        let training = matches!(pass, Pass::Train { .. });
        x.f_batch_norm(weight, bias, mean, variance, training, MOMENTUM, EPS, true)
    }

    /// Returns what it does in use: factor and shift of each channel.
    pub(super) fn affine(&self) -> Result<(Tensor, Tensor), TchError> {
        let factor = self.variance.f_add_scalar(EPS)?.f_rsqrt()?.f_mul(&self.weight)?;
        let shift = self.bias.f_sub(&self.mean.f_mul(&factor)?)?;
        Ok((factor, shift))
    }
}

/// Layer normalisation over the channels of each place (Ba et al. 2016).
#[derive(Debug)]
pub(in crate::train::model) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    channels: i64,
}

impl LayerNorm {
    /// Its output has mean 0 and variance 1 at the start.
    pub(in crate::train::model) fn build(
        parameters: &mut Parameters,
        name: &str,
        channels: i64,
    ) -> Result<Self, TchError> {
        let weight = parameters.constant(&format!("{name}.weight"), channels, 1.0)?;
        let bias = parameters.constant(&format!("{name}.bias"), channels, 0.0)?;
        Ok(Self { weight, bias, channels })
    }

    /// Takes `[…, channels]`.
    pub(in crate::train::model) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let (weight, bias) = (Some(&self.weight), Some(&self.bias));
        x.f_layer_norm([self.channels], weight, bias, LAYER_EPS, true)
    }

    /// Takes `[n, channels, height, width]`. Where memory lies channels last nothing is copied.
    pub(in crate::train::model) fn over_channels(&self, x: &Tensor) -> Result<Tensor, TchError> {
        self.forward(&x.f_permute([0, 2, 3, 1])?)?.f_permute([0, 3, 1, 2])
    }
}
