//! Blocks of two 3×3 convolutions: plain and residual.

use tch::{TchError, Tensor};

use super::{BatchNorm, Conv, ConvSpec, normed};
use crate::setting::Layout;
use crate::train::model::{Parameters, Pass};

/// Twice: 3×3 convolution, batch normalisation, `ReLU`.
#[derive(Debug)]
pub(in crate::train::model) struct DoubleConv {
    layers: [(Conv, BatchNorm); 2],
}

impl DoubleConv {
    /// With `biased`, the convolutions have biases. The normalisations after them take these away
    /// again; networks of the earlier system have them.
    pub(in crate::train::model) fn build(
        parameters: &mut Parameters,
        name: &str,
        from: i64,
        to: i64,
        biased: bool,
    ) -> Result<Self, TchError> {
        let mut layer = |number: u32, from| {
            let spec = with_bias(ConvSpec::new(from, to, 3), biased);
            let conv = spec.build(parameters, &format!("{name}.conv{number}"))?;
            let norm = BatchNorm::build(parameters, &format!("{name}.bn{number}"), to)?;
            Ok::<_, TchError>((conv, norm))
        };
        Ok(Self { layers: [layer(1, from)?, layer(2, to)?] })
    }

    /// Takes `[n, from, height, width]`.
    pub(in crate::train::model) fn forward(
        &self,
        x: &Tensor,
        pass: Pass,
    ) -> Result<Tensor, TchError> {
        let mut x = x.shallow_clone();
        for (conv, norm) in &self.layers {
            x = normed(conv, norm, &x, pass)?.f_relu_()?;
        }
        Ok(x)
    }
}

/// The basic residual block (He et al. 2016, section 3.3 and figure 5): 3×3 convolution, batch
/// normalisation, `ReLU`, 3×3 convolution, batch normalisation; the input is added, through a 1×1
/// convolution and a batch normalisation where channels change; `ReLU`.
#[derive(Debug)]
pub(in crate::train::model) struct Residual {
    layers: [(Conv, BatchNorm); 2],
    shortcut: Option<(Conv, BatchNorm)>,
}

impl Residual {
    /// In the earlier system's layout the convolutions have biases ([`DoubleConv::build`]), and the
    /// shortcut has its convolution whatever the channels.
    pub(in crate::train::model) fn build(
        parameters: &mut Parameters,
        name: &str,
        from: i64,
        to: i64,
        layout: Layout,
    ) -> Result<Self, TchError> {
        let biased = layout == Layout::Earlier;
        let DoubleConv { layers } = DoubleConv::build(parameters, name, from, to, biased)?;
        let mut shortcut = None;
        if from != to || layout == Layout::Earlier {
            let spec = with_bias(ConvSpec::new(from, to, 1), biased);
            let conv = spec.build(parameters, &format!("{name}.shortcut.conv"))?;
            shortcut =
                Some((conv, BatchNorm::build(parameters, &format!("{name}.shortcut.bn"), to)?));
        }
        Ok(Self { layers, shortcut })
    }

    /// Takes `[n, from, height, width]`.
    pub(in crate::train::model) fn forward(
        &self,
        x: &Tensor,
        pass: Pass,
    ) -> Result<Tensor, TchError> {
        let [(conv1, norm1), (conv2, norm2)] = &self.layers;
        let inner = normed(conv1, norm1, x, pass)?.f_relu_()?;
        let mut sum = normed(conv2, norm2, &inner, pass)?;
        let _ = match &self.shortcut {
            Some((conv, norm)) => sum.f_add_(&normed(conv, norm, x, pass)?)?,
            None => sum.f_add_(x)?,
        };
        sum.f_relu_()
    }
}

fn with_bias(spec: ConvSpec, biased: bool) -> ConvSpec {
    if biased { spec.bias(0.0) } else { spec }
}
