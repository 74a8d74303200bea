//! Attention over tokens.

use tch::{Kind, TchError, Tensor};

use super::{Linear, drop_values};
use crate::train::model::parameters::Init;
use crate::train::model::{Parameters, Pass};

/// Multi-head self-attention (Vaswani et al. 2017): `<name>.qkv`, whose output is query, key and value,
/// each head by head, and `<name>.proj`.
#[derive(Debug)]
pub(in crate::train::model) struct Attention {
    qkv: Linear,
    proj: Linear,
    heads: i64,
}

impl Attention {
    /// Takes `from` channels and gives `to`; the heads share the latter.
    pub(in crate::train::model) fn build(
        parameters: &mut Parameters,
        name: &str,
        from: i64,
        to: i64,
        heads: i64,
    ) -> Result<Self, TchError> {
        let truncated = Init::Truncated;
        let qkv = Linear::build(parameters, &format!("{name}.qkv"), from, 3 * to, truncated)?;
        let proj = Linear::build(parameters, &format!("{name}.proj"), to, to, truncated)?;
        Ok(Self { qkv, proj, heads })
    }

    /// Takes `[n, tokens, from]`. `bias` is added to the scores; it is `[groups, heads, tokens, tokens]`,
    /// where `groups` divides `n` and samples take turns, or `[1, heads or 1, tokens, tokens]`.
    pub(in crate::train::model) fn forward(
        &self,
        x: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<Tensor, TchError> {
        let (n, tokens) = (x.size()[0], x.size()[1]);
        let split = self.qkv.forward(x)?.f_view([n, tokens, 3, self.heads, -1])?;
        let split = split.f_permute([2, 0, 3, 1, 4])?;
        let [q, k, v] = [0, 1, 2].map(|part| split.f_select(0, part));
        let mixed = attend(&q?, &k?, &v?, bias)?;
        self.proj.forward(&mixed.f_transpose(1, 2)?.f_reshape([n, tokens, -1])?)
    }
}

/// `softmax(q kᵀ / √d + bias) v` of `[n, heads, tokens, d]`.
///
/// The library's own function is twice as fast as the three steps one by one, and keeps no scores, where
/// no gradient of the bias is asked for; where one is, it is slower (measured on one thread, windows of 64
/// tokens and 1024 tokens at once).
fn attend(q: &Tensor, k: &Tensor, v: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, TchError> {
    let size = q.size();
    let (n, heads, tokens, width) = (size[0], size[1], size[2], size[3]);
    let Some(bias) = bias.filter(|bias| bias.requires_grad()) else {
        let whole = bias.map(|bias| spread(bias, n)).transpose()?;
        return Tensor::f_scaled_dot_product_attention(q, k, v, whole, 0.0, false, None, false);
    };
    #[expect(clippy::cast_precision_loss, reason = "heads are narrow")]
    let scale = (width as f64).powf(-0.5);
    let scores = q.f_mul_scalar(scale)?.f_matmul(&k.f_transpose(-2, -1)?)?;
    let groups = bias.size()[0];
    let scores = scores.f_view([n / groups, groups, heads, tokens, tokens])?.f_add(bias)?;
    let scores = scores.f_view([n, heads, tokens, tokens])?;
    scores.f_softmax(-1, None::<Kind>)?.f_matmul(v)
}

/// Repeats `[groups, …]` until there are `n`.
fn spread(bias: &Tensor, n: i64) -> Result<Tensor, TchError> {
    let groups = bias.size()[0];
    if groups == 1 || groups == n {
        return Ok(bias.shallow_clone());
    }
    bias.f_repeat([n / groups, 1, 1, 1])
}

/// Two linear layers with a GELU between them, the inner one four times as wide: `<name>.fc1`, `<name>.fc2`.
#[derive(Debug)]
pub(in crate::train::model) struct Perceptron {
    fc1: Linear,
    fc2: Linear,
}

impl Perceptron {
    pub(in crate::train::model) fn build(
        parameters: &mut Parameters,
        name: &str,
        channels: i64,
    ) -> Result<Self, TchError> {
        let truncated = Init::Truncated;
        let inner = 4 * channels;
        let fc1 = Linear::build(parameters, &format!("{name}.fc1"), channels, inner, truncated)?;
        let fc2 = Linear::build(parameters, &format!("{name}.fc2"), inner, channels, truncated)?;
        Ok(Self { fc1, fc2 })
    }

    /// Takes `[…, channels]`; a fraction of the values is dropped after each layer.
    pub(in crate::train::model) fn forward(
        &self,
        x: &Tensor,
        dropout: f64,
        place: &str,
        pass: Pass,
    ) -> Result<Tensor, TchError> {
        let inner = self.fc1.forward(x)?.f_gelu("none")?;
        let inner = drop_values(&inner, dropout, &format!("{place}.fc1"), pass)?;
        drop_values(&self.fc2.forward(&inner)?, dropout, &format!("{place}.fc2"), pass)
    }
}
