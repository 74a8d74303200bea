//! Adam, and AdamW, which keeps decay out of the moments.

use tch::{TchError, Tensor};

use super::{Rule, zeros};
use crate::setting;
use crate::train::model::Parameters;

/// Adam (Kingma and Ba 2015, algorithm 1), as `torch.optim.Adam`: decay is a part of the gradient.
/// AdamW (Loshchilov and Hutter 2019, algorithm 2), as `torch.optim.AdamW`: decay, multiplied by the
/// learning rate, shrinks the parameter itself. It applies to all parameters.
#[derive(Debug)]
pub(super) struct Adam {
    settings: setting::Adam,
    is_decoupled: bool,
    first: Vec<Tensor>,
    second: Vec<Tensor>,
}

impl Adam {
    pub(super) fn new(
        settings: &setting::Adam,
        is_decoupled: bool,
        parameters: &Parameters,
    ) -> Result<Self, TchError> {
        let (first, second) = (zeros(parameters)?, zeros(parameters)?);
        Ok(Self { settings: settings.clone(), is_decoupled, first, second })
    }
}

impl Rule for Adam {
    fn update(
        &mut self,
        index: usize,
        parameter: &mut Tensor,
        gradient: &Tensor,
        lr: f64,
        steps: u32,
    ) -> Result<(), TchError> {
        let setting::Adam { weight_decay, beta1, beta2, eps, .. } = self.settings;
        let steps = f64::from(steps);
        let correction1 = 1.0 - beta1.powf(steps);
        let correction2 = (1.0 - beta2.powf(steps)).sqrt();
        let mut gradient = gradient.shallow_clone();
        if self.is_decoupled {
            let _ = parameter.f_mul_scalar_(1.0 - lr * weight_decay)?;
        } else if weight_decay > 0.0 {
            gradient = gradient.f_add(&parameter.f_mul_scalar(weight_decay)?)?;
        }
        let (first, second) = (&mut self.first[index], &mut self.second[index]);
        let _ = first.f_mul_scalar_(beta1)?;
        let _ = first.f_add_(&gradient.f_mul_scalar(1.0 - beta1)?)?;
        let _ = second.f_mul_scalar_(beta2)?;
        let square = gradient.f_mul(&gradient)?;
        let _ = second.f_add_(&square.f_mul_scalar(1.0 - beta2)?)?;
        let below = second.f_sqrt()?.f_div_scalar(correction2)?.f_add_scalar(eps)?;
        let change = first.f_div(&below)?.f_mul_scalar(-lr / correction1)?;
        let _ = parameter.f_add_(&change)?;
        Ok(())
    }

    fn memory(&self) -> Vec<(&'static str, &[Tensor])> {
        vec![("m", &self.first), ("v", &self.second)]
    }

    fn memory_mut(&mut self) -> Vec<(&'static str, &mut [Tensor])> {
        vec![("m", &mut self.first), ("v", &mut self.second)]
    }
}
