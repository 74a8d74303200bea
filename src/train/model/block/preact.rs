//! Convolution blocks with batch normalisation and GELU, on `[n, channels, height, width]`.

use tch::{TchError, Tensor};

use super::{BatchNorm, Conv, ConvSpec, drop_path, normed};
use crate::train::model::{Parameters, Pass};

/// Convolution, batch normalisation, GELU: `<name>.conv`, `<name>.norm`.
#[derive(Debug)]
pub(in crate::train::model) struct ConvNormGelu {
    conv: Conv,
    norm: BatchNorm,
}

impl ConvNormGelu {
    pub(in crate::train::model) fn build(
        spec: ConvSpec,
        parameters: &mut Parameters,
        name: &str,
        channels: i64,
    ) -> Result<Self, TchError> {
        let conv = spec.build(parameters, &format!("{name}.conv"))?;
        let norm = BatchNorm::build(parameters, &format!("{name}.norm"), channels)?;
        Ok(Self { conv, norm })
    }

    pub(in crate::train::model) fn forward(
        &self,
        x: &Tensor,
        pass: Pass,
    ) -> Result<Tensor, TchError> {
        normed(&self.conv, &self.norm, x, pass)?.f_gelu("none")
    }
}

/// A residual block that normalises first (He et al. 2016b): twice batch normalisation, GELU, 3×3
/// convolution with a bias. `<name>.norm1`, `conv1`, `norm2`, `conv2`.
#[derive(Debug)]
pub(in crate::train::model) struct PreActivation {
    layers: [(BatchNorm, Conv); 2],
    drop_path: f64,
    name: String,
}

impl PreActivation {
    pub(in crate::train::model) fn build(
        parameters: &mut Parameters,
        name: &str,
        channels: i64,
        drop_path: f64,
    ) -> Result<Self, TchError> {
        let mut layer = |number: u32| {
            let norm = BatchNorm::build(parameters, &format!("{name}.norm{number}"), channels)?;
            let conv = ConvSpec::new(channels, channels, 3).bias(0.0);
            let conv = conv.build(parameters, &format!("{name}.conv{number}"))?;
            Ok::<_, TchError>((norm, conv))
        };
        Ok(Self { layers: [layer(1)?, layer(2)?], drop_path, name: name.to_owned() })
    }

    pub(in crate::train::model) fn forward(
        &self,
        x: &Tensor,
        pass: Pass,
    ) -> Result<Tensor, TchError> {
        let mut changed = x.shallow_clone();
        for (norm, conv) in &self.layers {
            changed = conv.forward(&norm.forward(&changed, pass)?.f_gelu("none")?)?;
        }
        x.f_add(&drop_path(&changed, self.drop_path, &self.name, pass)?)
    }
}
