//! Stochastic gradient descent with momentum.

use tch::{TchError, Tensor};

use super::{Rule, zeros};
use crate::setting;
use crate::train::model::Parameters;

/// Stochastic gradient descent (Sutskever et al. 2013) in the form of `torch.optim.SGD`: the velocity
/// is `momentum · velocity + gradient`, without the learning rate in it, and decay is a part of the
/// gradient. Without momentum it remembers nothing.
#[derive(Debug)]
pub(super) struct Sgd {
    settings: setting::Sgd,
    velocity: Vec<Tensor>,
}

impl Sgd {
    pub(super) fn new(settings: &setting::Sgd, parameters: &Parameters) -> Result<Self, TchError> {
        let velocity = if settings.momentum > 0.0 { zeros(parameters)? } else { Vec::new() };
        Ok(Self { settings: settings.clone(), velocity })
    }
}

impl Rule for Sgd {
    fn update(
        &mut self,
        index: usize,
        parameter: &mut Tensor,
        gradient: &Tensor,
        lr: f64,
        _steps: u32,
    ) -> Result<(), TchError> {
        let setting::Sgd { momentum, nesterov, weight_decay, .. } = self.settings;
        let mut change = gradient.shallow_clone();
        if weight_decay > 0.0 {
            change = change.f_add(&parameter.f_mul_scalar(weight_decay)?)?;
        }
        if let Some(velocity) = self.velocity.get_mut(index) {
            // It starts at 0, so that the first is the gradient itself.
            let _ = velocity.f_mul_scalar_(momentum)?;
            let _ = velocity.f_add_(&change)?;
            change = if nesterov {
                change.f_add(&velocity.f_mul_scalar(momentum)?)?
            } else {
                velocity.shallow_clone()
            };
        }
        let _ = parameter.f_add_(&change.f_mul_scalar(-lr)?)?;
        Ok(())
    }

    fn memory(&self) -> Vec<(&'static str, &[Tensor])> {
        vec![("velocity", &self.velocity)]
    }

    fn memory_mut(&mut self) -> Vec<(&'static str, &mut [Tensor])> {
        vec![("velocity", &mut self.velocity)]
    }
}
