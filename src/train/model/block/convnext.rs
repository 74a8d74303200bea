//! ConvNeXt blocks (Liu et al. 2022).

use tch::{TchError, Tensor};

use super::{Conv, ConvSpec, LayerNorm, Linear, drop_path};
use crate::train::model::parameters::Init;
use crate::train::model::{Parameters, Pass};

/// The block of figure 4 of the paper: depthwise 7×7 convolution, layer normalisation, a perceptron of
/// one hidden layer four times as wide with GELU, layer scale (Touvron et al. 2021), and the input added;
/// in training a sample skips it with some probability (Huang et al. 2016).
#[derive(Debug)]
pub(in crate::train::model) struct ConvnextBlock {
    conv: Conv,
    norm: LayerNorm,
    widen: Linear,
    narrow: Linear,
    scale: Option<Tensor>,
    skipped: f64,
    place: String,
}

impl ConvnextBlock {
    /// Makes `<name>.conv_dw`, `.norm`, `.mlp.fc1`, `.mlp.fc2` and `.gamma`, the layer scale, which starts
    /// at `scale`; none if that is 0. `skipped` is the probability of being skipped.
    pub(in crate::train::model) fn build(
        parameters: &mut Parameters,
        name: &str,
        channels: i64,
        scale: f64,
        skipped: f64,
    ) -> Result<Self, TchError> {
        let conv = ConvSpec::new(channels, channels, 7).groups(channels).init(Init::Truncated);
        let conv = conv.bias(0.0).build(parameters, &format!("{name}.conv_dw"))?;
        let norm = LayerNorm::build(parameters, &format!("{name}.norm"), channels)?;
        let mut linear = |part: &str, from, to| {
            Linear::build(parameters, &format!("{name}.mlp.{part}"), from, to, Init::Truncated)
        };
        let widen = linear("fc1", channels, 4 * channels)?;
        let narrow = linear("fc2", 4 * channels, channels)?;
        let scale = (scale > 0.0)
            .then(|| parameters.constant(&format!("{name}.gamma"), channels, scale))
            .transpose()?;
        Ok(Self { conv, norm, widen, narrow, scale, skipped, place: name.to_owned() })
    }

    /// Takes `[n, channels, height, width]`.
    pub(in crate::train::model) fn forward(
        &self,
        x: &Tensor,
        pass: Pass,
    ) -> Result<Tensor, TchError> {
        let mut y = self.conv.forward(x)?.f_permute([0, 2, 3, 1])?;
        y = self.norm.forward(&y)?;
        y = self.narrow.forward(&self.widen.forward(&y)?.f_gelu("none")?)?;
        if let Some(scale) = &self.scale {
            y = y.f_mul(scale)?;
        }
        y = drop_path(&y, self.skipped, &self.place, pass)?;
        y.f_permute([0, 3, 1, 2])?.f_add(x)
    }
}
