//! Convolutions, plain and transposed.

use tch::{TchError, Tensor};

use crate::train::model::Parameters;
use crate::train::model::parameters::Init;

/// What a convolution is to be. Padding keeps height and width where the kernel is odd and the
/// stride 1; even kernels are not padded.
#[derive(Clone, Copy, Debug)]
pub(in crate::train::model) struct ConvSpec {
    from: i64,
    to: i64,
    kernel: i64,
    stride: i64,
    padding: i64,
    groups: i64,
    init: Init,
    bias: Option<f64>,
}

impl ConvSpec {
    /// Stride 1, one group, no bias, He's initial weights.
    pub(in crate::train::model) fn new(from: i64, to: i64, kernel: i64) -> Self {
        let padding = if kernel % 2 == 1 { kernel / 2 } else { 0 };
        let (stride, groups, init, bias) = (1, 1, Init::He, None);
        Self { from, to, kernel, stride, padding, groups, init, bias }
    }

    /// Moves the kernel by `stride` pixels.
    pub(in crate::train::model) fn stride(self, stride: i64) -> Self {
        Self { stride, ..self }
    }

    /// Splits the channels into groups that do not see each other; as many as channels: depthwise.
    pub(in crate::train::model) fn groups(self, groups: i64) -> Self {
        Self { groups, ..self }
    }

    /// Draws the weights from another distribution.
    pub(in crate::train::model) fn init(self, init: Init) -> Self {
        Self { init, ..self }
    }

    /// Adds a bias that starts at `start`.
    pub(in crate::train::model) fn bias(self, start: f64) -> Self {
        Self { bias: Some(start), ..self }
    }

    /// Makes the convolution with `<name>.weight`, `[to, from / groups, kernel, kernel]`, and
    /// `<name>.bias`.
    pub(in crate::train::model) fn build(
        self,
        parameters: &mut Parameters,
        name: &str,
    ) -> Result<Conv, TchError> {
        let Self { from, to, kernel, stride, padding, groups, init, bias } = self;
        let shape = [to, from / groups, kernel, kernel];
        let inputs = shape[1] * kernel * kernel;
        let weight = parameters.kernel(&format!("{name}.weight"), &shape, inputs, init)?;
        let bias = bias.map(|start| parameters.constant(&format!("{name}.bias"), to, start));
        Ok(Conv { weight, bias: bias.transpose()?, stride, padding, groups })
    }
}

/// A convolution.
#[derive(Debug)]
pub(in crate::train::model) struct Conv {
    weight: Tensor,
    bias: Option<Tensor>,
    stride: i64,
    padding: i64,
    groups: i64,
}

impl Conv {
    /// Takes `[n, from, height, width]`.
    pub(in crate::train::model) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let (stride, padding) = ([self.stride; 2], [self.padding; 2]);
        x.f_conv2d(&self.weight, self.bias.as_ref(), stride, padding, [1, 1], self.groups)
    }

    /// Returns this convolution with its results multiplied and added to, channel by channel.
    pub(super) fn scaled(&self, factor: &Tensor, shift: &Tensor) -> Result<Self, TchError> {
        let weight = self.weight.f_mul(&factor.f_view([-1, 1, 1, 1])?)?;
        let bias = match &self.bias {
            Some(bias) => bias.f_mul(factor)?.f_add(shift)?,
            None => shift.shallow_clone(),
        };
        Ok(Self { weight, bias: Some(bias), ..*self })
    }
}

/// What a transposed convolution is to be: its stride is its kernel's edge.
#[derive(Clone, Copy, Debug)]
pub(in crate::train::model) struct UpSpec {
    from: i64,
    to: i64,
    factor: i64,
    init: Init,
}

impl UpSpec {
    /// Multiplies height and width by `factor`; He's initial weights.
    pub(in crate::train::model) fn new(from: i64, to: i64, factor: i64) -> Self {
        Self { from, to, factor, init: Init::He }
    }

    /// Draws the weights from another distribution.
    pub(in crate::train::model) fn init(self, init: Init) -> Self {
        Self { init, ..self }
    }

    /// Makes it with `<name>.weight`, `[from, to, factor, factor]`, and `<name>.bias`.
    pub(in crate::train::model) fn build(
        self,
        parameters: &mut Parameters,
        name: &str,
    ) -> Result<UpConv, TchError> {
        let Self { from, to, factor, init } = self;
        // Strides equal the kernel: every output pixel sums one kernel place over all inputs.
        let shape = [from, to, factor, factor];
        let weight = parameters.kernel(&format!("{name}.weight"), &shape, from, init)?;
        let bias = parameters.constant(&format!("{name}.bias"), to, 0.0)?;
        Ok(UpConv { weight, bias, factor })
    }
}

/// A transposed convolution that multiplies height and width by its kernel's edge.
#[derive(Debug)]
pub(in crate::train::model) struct UpConv {
    weight: Tensor,
    bias: Tensor,
    factor: i64,
}

impl UpConv {
    /// Takes `[n, from, height, width]`.
    pub(in crate::train::model) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let (stride, zero) = ([self.factor; 2], [0, 0]);
        x.f_conv_transpose2d(&self.weight, Some(&self.bias), stride, zero, zero, 1, [1, 1])
    }
}

/// Repeats every pixel so that height and width are twice as large.
pub(in crate::train::model) fn nearest_up(x: &Tensor) -> Result<Tensor, TchError> {
    // The factors and not the sizes: a tracer keeps sizes as numbers.
    x.f_upsample_nearest2d_vec(None::<i64>, [2.0, 2.0])
}
