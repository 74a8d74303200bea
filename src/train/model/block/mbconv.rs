//! Inverted residual blocks (Sandler et al. 2018; Dai et al. 2021), on `[n, channels, height, width]`.

use tch::{Kind, TchError, Tensor};

use super::{BatchNorm, Conv, ConvSpec, drop_path, normed};
use crate::train::model::{Parameters, Pass};

/// Squeeze and excitation (Hu et al. 2018): each channel is weighted by what the means of all channels
/// say. `<name>.fc1`, `<name>.fc2`.
#[derive(Debug)]
struct Squeeze {
    fc1: Conv,
    fc2: Conv,
}

impl Squeeze {
    fn build(
        parameters: &mut Parameters,
        name: &str,
        channels: i64,
        inner: i64,
    ) -> Result<Self, TchError> {
        let layer = |parameters: &mut Parameters, name: String, from, to| {
            ConvSpec::new(from, to, 1).bias(0.0).build(parameters, &name)
        };
        Ok(Self {
            fc1: layer(parameters, format!("{name}.fc1"), channels, inner)?,
            fc2: layer(parameters, format!("{name}.fc2"), inner, channels)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let means = x.f_mean_dim([2, 3].as_slice(), true, None::<Kind>)?;
        let inner = self.fc1.forward(&means)?.f_silu()?;
        x.f_mul(&self.fc2.forward(&inner)?.f_sigmoid()?)
    }
}

/// `x + project(squeeze(depthwise(expand(norm(x)))))`: four times the channels inside; batch normalisation
/// and GELU after the first two convolutions; the squeeze works on a quarter of the outgoing channels.
#[derive(Debug)]
pub(in crate::train::model) struct Mbconv {
    pre_norm: BatchNorm,
    expand: (Conv, BatchNorm),
    depthwise: (Conv, BatchNorm),
    squeeze: Squeeze,
    project: Conv,
    /// On the shortcut, where channels or size change.
    shortcut: Option<Conv>,
    is_halving: bool,
    drop_path: f64,
    name: String,
}

impl Mbconv {
    /// Makes it with `<name>.pre_norm`, `conv1_1x1`, `norm1`, `conv2_kxk`, `norm2`, `se`, `conv3_1x1` and,
    /// where channels change, `shortcut.expand`. A halving one strides in its depthwise convolution and
    /// pools on its shortcut.
    pub(in crate::train::model) fn build(
        parameters: &mut Parameters,
        name: &str,
        (from, to): (i64, i64),
        is_halving: bool,
        drop_path: f64,
    ) -> Result<Self, TchError> {
        let of = |part: &str| format!("{name}.{part}");
        let inner = 4 * to;
        let stride = if is_halving { 2 } else { 1 };
        let pre_norm = BatchNorm::build(parameters, &of("pre_norm"), from)?;
        let expand = ConvSpec::new(from, inner, 1).build(parameters, &of("conv1_1x1"))?;
        let expand = (expand, BatchNorm::build(parameters, &of("norm1"), inner)?);
        let depthwise = ConvSpec::new(inner, inner, 3).groups(inner).stride(stride);
        let depthwise = depthwise.build(parameters, &of("conv2_kxk"))?;
        let depthwise = (depthwise, BatchNorm::build(parameters, &of("norm2"), inner)?);
        let squeeze = Squeeze::build(parameters, &of("se"), inner, (to / 4).max(1))?;
        let project = ConvSpec::new(inner, to, 1).bias(0.0).build(parameters, &of("conv3_1x1"))?;
        let mut grow =
            || ConvSpec::new(from, to, 1).bias(0.0).build(parameters, &of("shortcut.expand"));
        let shortcut = (from != to).then(&mut grow).transpose()?;
        let name = name.to_owned();
        Ok(Self {
            pre_norm,
            expand,
            depthwise,
            squeeze,
            project,
            shortcut,
            is_halving,
            drop_path,
            name,
        })
    }

    /// Takes `[n, from, height, width]`, both even where it halves them.
    pub(in crate::train::model) fn forward(
        &self,
        x: &Tensor,
        pass: Pass,
    ) -> Result<Tensor, TchError> {
        let mut inner = self.pre_norm.forward(x, pass)?;
        for (conv, norm) in [&self.expand, &self.depthwise] {
            inner = normed(conv, norm, &inner, pass)?.f_gelu("none")?;
        }
        let changed = self.project.forward(&self.squeeze.forward(&inner)?)?;
        let mut shortcut = x.shallow_clone();
        if self.is_halving {
            shortcut = shortcut.f_avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)?;
        }
        if let Some(grow) = &self.shortcut {
            shortcut = grow.forward(&shortcut)?;
        }
        shortcut.f_add(&drop_path(&changed, self.drop_path, &self.name, pass)?)
    }
}
