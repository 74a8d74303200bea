//! A convolution and the batch normalisation after it as one convolution, for use.
//!
//! With running statistics the normalisation is a factor and a shift for each channel, which the kernel
//! and its bias can take (`torch.nn.utils.fuse_conv_bn_eval`): one pass over the map less. The kernel is
//! made anew with each call, which costs next to nothing beside a map of an image, and can never be of
//! other weights.

use tch::{TchError, Tensor};

use super::{BatchNorm, Conv};
use crate::train::model::Pass;

/// The normalised convolution of `x`; one operation in [`Pass::Fused`].
pub(in crate::train::model) fn normed(
    conv: &Conv,
    norm: &BatchNorm,
    x: &Tensor,
    pass: Pass,
) -> Result<Tensor, TchError> {
    if pass != Pass::Fused {
        return norm.forward(&conv.forward(x)?, pass);
    }
    let (factor, shift) = norm.affine()?;
    conv.scaled(&factor, &shift)?.forward(x)
}
