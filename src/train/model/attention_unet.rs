//! Attention U-Net (Oktay et al. 2018): the U-Net, its skip connections weighed by additive attention
//! gates.

use tch::TchError;

use crate::setting;

use super::Parameters;
use super::block::{Plan, UShape};

/// Builds the network and adds its parameters to `parameters`.
///
/// # Errors
/// When memory does not suffice.
pub(super) fn build(
    settings: &setting::UShape,
    parameters: &mut Parameters,
) -> Result<UShape, TchError> {
    UShape::build(settings, Plan { residual: false, gated: true }, parameters)
}
