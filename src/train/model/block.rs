//! Layers that networks share.

use tch::{Kind, TchError, Tensor};

use super::{Parameters, Pass};

/// As PyTorch's defaults.
const MOMENTUM: f64 = 0.1;
const EPS: f64 = 1e-5;

/// A convolution of odd kernel that keeps height and width.
#[derive(Debug)]
pub(super) struct Conv {
    weight: Tensor,
    bias: Option<Tensor>,
    padding: i64,
}

impl Conv {
    /// Without a bias: a normalisation follows.
    pub(super) fn plain(
        parameters: &mut Parameters,
        name: &str,
        from: i64,
        to: i64,
        kernel: i64,
    ) -> Result<Self, TchError> {
        let shape = [to, from, kernel, kernel];
        let weight = parameters.he(&format!("{name}.weight"), &shape, from * kernel * kernel)?;
        Ok(Self { weight, bias: None, padding: kernel / 2 })
    }

    /// With a bias that starts at `bias`.
    pub(super) fn biased(
        parameters: &mut Parameters,
        name: &str,
        from: i64,
        to: i64,
        kernel: i64,
        bias: f64,
    ) -> Result<Self, TchError> {
        let mut conv = Self::plain(parameters, name, from, to, kernel)?;
        conv.bias = Some(parameters.constant(&format!("{name}.bias"), to, bias)?);
        Ok(conv)
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let padding = [self.padding, self.padding];
        x.f_conv2d(&self.weight, self.bias.as_ref(), [1, 1], padding, [1, 1], 1)
    }
}

/// Batch normalisation (Ioffe and Szegedy 2015).
#[derive(Debug)]
pub(super) struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
}

impl BatchNorm {
    pub(super) fn build(
        parameters: &mut Parameters,
        name: &str,
        channels: i64,
    ) -> Result<Self, TchError> {
        Ok(Self {
            weight: parameters.constant(&format!("{name}.weight"), channels, 1.0)?,
            bias: parameters.constant(&format!("{name}.bias"), channels, 0.0)?,
            mean: parameters.buffer(&format!("{name}.running_mean"), channels, 0.0)?,
            variance: parameters.buffer(&format!("{name}.running_var"), channels, 1.0)?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor, TchError> {
        let (weight, bias) = (Some(&self.weight), Some(&self.bias));
        let (mean, variance) = (Some(&self.mean), Some(&self.variance));
        let training = pass != Pass::Evaluate;
        x.f_batch_norm(weight, bias, mean, variance, training, MOMENTUM, EPS, true)
    }
}

/// Twice: 3×3 convolution, batch normalisation, ReLU.
#[derive(Debug)]
pub(super) struct DoubleConv {
    layers: [(Conv, BatchNorm); 2],
}

impl DoubleConv {
    pub(super) fn build(
        parameters: &mut Parameters,
        name: &str,
        from: i64,
        to: i64,
    ) -> Result<Self, TchError> {
        let mut layer = |number: u32, from| {
            let conv = Conv::plain(parameters, &format!("{name}.conv{number}"), from, to, 3)?;
            let norm = BatchNorm::build(parameters, &format!("{name}.bn{number}"), to)?;
            Ok::<_, TchError>((conv, norm))
        };
        Ok(Self { layers: [layer(1, from)?, layer(2, to)?] })
    }

    pub(super) fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor, TchError> {
        let mut x = x.shallow_clone();
        for (conv, norm) in &self.layers {
            x = norm.forward(&conv.forward(&x)?, pass)?.f_relu_()?;
        }
        Ok(x)
    }
}

/// A transposed 2×2 convolution of stride 2: it doubles height and width.
#[derive(Debug)]
pub(super) struct UpConv {
    weight: Tensor,
    bias: Tensor,
}

impl UpConv {
    pub(super) fn build(
        parameters: &mut Parameters,
        name: &str,
        from: i64,
        to: i64,
    ) -> Result<Self, TchError> {
        // Strides equal the kernel: every output pixel sums one kernel place over all inputs.
        let weight = parameters.he(&format!("{name}.weight"), &[from, to, 2, 2], from)?;
        let bias = parameters.constant(&format!("{name}.bias"), to, 0.0)?;
        Ok(Self { weight, bias })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_conv_transpose2d(&self.weight, Some(&self.bias), [2, 2], [0, 0], [0, 0], 1, [1, 1])
    }
}

/// Drops whole channels with probability `fraction` in training and scales up the rest (Tompson et
/// al. 2015). What is dropped depends on (seed, epoch, step) and `place` alone.
pub(super) fn drop_channels(
    x: &Tensor,
    fraction: f64,
    place: &str,
    pass: Pass,
) -> Result<Tensor, TchError> {
    let Some(mut draw) = pass.draw(place).filter(|_| fraction > 0.0) else {
        return Ok(x.shallow_clone());
    };
    let (samples, channels) = (x.size()[0], x.size()[1]);
    #[expect(clippy::cast_possible_truncation, reason = "activations are 32-bit")]
    let kept = (1.0 / (1.0 - fraction)) as f32;
    let factors: Vec<f32> =
        (0..samples * channels).map(|_| if draw.unit() < fraction { 0.0 } else { kept }).collect();
    let factors = Tensor::f_from_slice(&factors)?.f_view([samples, channels, 1, 1])?;
    x.f_mul(&factors.f_to_device(x.device())?.f_to_kind(Kind::Float)?)
}
