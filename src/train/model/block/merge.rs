//! From a map of tokens, `[n, height, width, channels]`, to one of half or of double the size.

use tch::{TchError, Tensor};

use super::{LayerNorm, Linear};
use crate::train::model::Parameters;
use crate::train::model::parameters::Init;

/// Patch merging (Liu et al. 2021, section 3.1): 2 × 2 tokens become one of twice the channels.
#[derive(Debug)]
pub(in crate::train::model) struct Merge {
    norm: LayerNorm,
    reduction: Linear,
}

impl Merge {
    /// Makes it with `<name>.norm` and `<name>.reduction`.
    pub(in crate::train::model) fn build(
        parameters: &mut Parameters,
        name: &str,
        from: i64,
    ) -> Result<Self, TchError> {
        let (norm, reduction) = (format!("{name}.norm"), format!("{name}.reduction"));
        let norm = LayerNorm::build(parameters, &norm, 4 * from)?;
        let (from, to) = (4 * from, 2 * from);
        let reduction = Linear::unbiased(parameters, &reduction, from, to, Init::Truncated)?;
        Ok(Self { norm, reduction })
    }

    /// Takes a map of even height and width.
    pub(in crate::train::model) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let size = x.size();
        let x = x.f_reshape([size[0], size[1] / 2, 2, size[2] / 2, 2, size[3]])?;
        // The four tokens in the papers' order: down the columns.
        let x = x.f_permute([0, 1, 3, 4, 2, 5])?.f_flatten(3, 5)?;
        self.reduction.forward(&self.norm.forward(&x)?)
    }
}

/// Patch expanding (Cao et al. 2021, section 3.5): a token becomes 2 × 2 of half the channels.
#[derive(Debug)]
pub(in crate::train::model) struct Expand {
    expand: Linear,
    norm: LayerNorm,
}

impl Expand {
    /// Makes it with `<name>.expand` and `<name>.norm`.
    pub(in crate::train::model) fn build(
        parameters: &mut Parameters,
        name: &str,
        from: i64,
    ) -> Result<Self, TchError> {
        let (expand, norm) = (format!("{name}.expand"), format!("{name}.norm"));
        let expand = Linear::unbiased(parameters, &expand, from, 2 * from, Init::Truncated)?;
        Ok(Self { expand, norm: LayerNorm::build(parameters, &norm, from / 2)? })
    }

    /// Takes any map.
    pub(in crate::train::model) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let size = x.size();
        let (height, width) = (size[1], size[2]);
        let x = self.expand.forward(x)?.f_view([size[0], height, width, 2, 2, size[3] / 2])?;
        let x = x.f_permute([0, 1, 3, 2, 4, 5])?;
        self.norm.forward(&x.f_reshape([size[0], 2 * height, 2 * width, size[3] / 2])?)
    }
}
