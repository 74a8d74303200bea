//! Attention ResU-Net: the attention U-Net (Oktay et al. 2018) of residual blocks (He et al. 2016).

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
    UShape::build(settings, Plan { residual: true, gated: true }, parameters)
}
