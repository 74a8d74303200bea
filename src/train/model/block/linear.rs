//! Linear layers.

use tch::{TchError, Tensor};

use crate::train::model::Parameters;
use crate::train::model::parameters::Init;

/// A linear map of the last dimension.
#[derive(Debug)]
pub(in crate::train::model) struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Makes it with `<name>.weight`, `[to, from]`, and `<name>.bias`, which starts at 0.
    pub(in crate::train::model) fn build(
        parameters: &mut Parameters,
        name: &str,
        from: i64,
        to: i64,
        init: Init,
    ) -> Result<Self, TchError> {
        let linear = Self::unbiased(parameters, name, from, to, init)?;
        let bias = Some(parameters.constant(&format!("{name}.bias"), to, 0.0)?);
        Ok(Self { bias, ..linear })
    }

    /// The same without a bias.
    pub(in crate::train::model) fn unbiased(
        parameters: &mut Parameters,
        name: &str,
        from: i64,
        to: i64,
        init: Init,
    ) -> Result<Self, TchError> {
        let weight = parameters.weight(&format!("{name}.weight"), &[to, from], from, init)?;
        Ok(Self { weight, bias: None })
    }

    /// Takes `[…, from]`.
    pub(in crate::train::model) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_linear(&self.weight, self.bias.as_ref())
    }
}
