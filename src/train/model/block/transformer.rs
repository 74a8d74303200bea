//! The transformer block on maps of tokens, `[n, height, width, channels]`.

use std::cell::RefCell;

use tch::{Device, TchError, Tensor};

use super::{
    Attention, LayerNorm, Linear, Perceptron, RelativeBias, Windows, drop_path, drop_values,
};
use crate::train::model::parameters::Init;
use crate::train::model::{Parameters, Pass};

/// Whom a token attends to, and what it knows of where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::train::model) enum Reach {
    /// To all, without position.
    All,
    /// To all, with relative positions, in maps for which a side was foreseen.
    Map {
        /// Side, in tokens.
        side: i64,
    },
    /// To those in its window, with relative positions.
    Window {
        /// Side of the window, in tokens.
        side: i64,
        /// Whether windows begin half a window later.
        is_shifted: bool,
    },
}

/// What a block is to be.
#[derive(Clone, Copy, Debug)]
pub(in crate::train::model) struct TransformerSpec {
    /// Channels that come in.
    pub(in crate::train::model) from: i64,
    /// Channels that go out. Where they differ from those that come in, height and width are halved.
    pub(in crate::train::model) to: i64,
    /// Attention heads.
    pub(in crate::train::model) heads: i64,
    /// Whom a token attends to.
    pub(in crate::train::model) reach: Reach,
    /// Fraction of values dropped after attention and in the perceptron.
    pub(in crate::train::model) dropout: f64,
    /// Probability with which a sample skips each half of the block.
    pub(in crate::train::model) drop_path: f64,
}

/// `x + attention(norm(x))`, then `x + perceptron(norm(x))` (Liu et al. 2021, equation 3).
#[derive(Debug)]
pub(in crate::train::model) struct Transformer {
    norm1: LayerNorm,
    attn: Attention,
    bias: Option<RelativeBias>,
    norm2: LayerNorm,
    mlp: Perceptron,
    /// What is added to the scores in the windows of the last map: it is the same for the next one, and a
    /// tracer can only keep what was made before.
    mask: RefCell<Option<(Windows, Device, Option<Tensor>)>>,
    /// What the shortcut goes through, after pooling, where the block halves the map.
    shortcut: Option<Linear>,
    spec: TransformerSpec,
    name: String,
}

impl Transformer {
    /// Makes it with `<name>.norm1`, `<name>.attn`, `<name>.norm2`, `<name>.mlp`, and `<name>.shortcut`
    /// where it halves the map.
    pub(in crate::train::model) fn build(
        spec: TransformerSpec,
        parameters: &mut Parameters,
        name: &str,
    ) -> Result<Self, TchError> {
        let TransformerSpec { from, to, heads, reach, .. } = spec;
        let of = |part: &str| format!("{name}.{part}");
        let norm1 = LayerNorm::build(parameters, &of("norm1"), from)?;
        let bias = match reach {
            Reach::All => None,
            Reach::Map { side } | Reach::Window { side, .. } => {
                Some(RelativeBias::build(parameters, &of("attn"), side, heads)?)
            }
        };
        let attn = Attention::build(parameters, &of("attn"), from, to, heads)?;
        let norm2 = LayerNorm::build(parameters, &of("norm2"), to)?;
        let mlp = Perceptron::build(parameters, &of("mlp"), to)?;
        let mut grow = || Linear::build(parameters, &of("shortcut"), from, to, Init::Truncated);
        let shortcut = (from != to).then(&mut grow).transpose()?;
        let (mask, name) = (RefCell::default(), name.to_owned());
        Ok(Self { norm1, attn, bias, norm2, mlp, mask, shortcut, spec, name })
    }

    /// Takes `[n, height, width, from]`.
    pub(in crate::train::model) fn forward(
        &self,
        x: &Tensor,
        pass: Pass,
    ) -> Result<Tensor, TchError> {
        let mut normed = self.norm1.forward(x)?;
        let mut x = x.shallow_clone();
        if let Some(grow) = &self.shortcut {
            normed = halve(&normed)?;
            x = grow.forward(&halve(&x)?)?;
        }
        let TransformerSpec { dropout, drop_path: fraction, .. } = self.spec;
        let (first, second) = (format!("{}.attn", self.name), format!("{}.mlp", self.name));
        let mixed = drop_values(&self.mix(&normed)?, dropout, &first, pass)?;
        let x = x.f_add(&drop_path(&mixed, fraction, &first, pass)?)?;
        let thought = self.mlp.forward(&self.norm2.forward(&x)?, dropout, &second, pass)?;
        x.f_add(&drop_path(&thought, fraction, &second, pass)?)
    }

    fn mix(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let (height, width) = (x.size()[1], x.size()[2]);
        if let (Reach::Window { side, is_shifted }, Some(bias)) = (self.spec.reach, &self.bias) {
            let windows = Windows::of([height, width], side, is_shifted);
            let mut bias = bias.cut(windows.window[0], windows.window[1])?;
            if let Some(mask) = self.mask(windows, x.device())? {
                bias = bias.f_add(&mask)?;
            }
            return windows.join(&self.attn.forward(&windows.cut(x)?, Some(&bias))?);
        }
        let bias = self.bias.as_ref().map(|bias| bias.stretched(height, width)).transpose()?;
        let mixed = self.attn.forward(&x.f_flatten(1, 2)?, bias.as_ref())?;
        mixed.f_view([-1, height, width, self.spec.to])
    }

    fn mask(&self, windows: Windows, device: Device) -> Result<Option<Tensor>, TchError> {
        let mut kept = self.mask.borrow_mut();
        let (_, _, mask) = match kept.take() {
            Some(kept) if kept.0 == windows && kept.1 == device => kept,
            _ => (windows, device, windows.mask(device)?),
        };
        let given = mask.as_ref().map(Tensor::shallow_clone);
        *kept = Some((windows, device, mask));
        Ok(given)
    }
}

/// Means of 2 × 2 places.
fn halve(x: &Tensor) -> Result<Tensor, TchError> {
    let x = x.f_permute([0, 3, 1, 2])?;
    x.f_avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)?.f_permute([0, 2, 3, 1])
}
