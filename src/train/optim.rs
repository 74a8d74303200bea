//! Our own optimizers: the library has no way to save the state of its own.

mod adam;
mod clip;
mod sgd;

use safetensors::Dtype;
use tch::{TchError, Tensor};

use crate::setting;
use crate::worker::learner::{Array, LearnerError, State};

use super::model::Parameters;
use super::state;
use adam::Adam;
use sgd::Sgd;

const STEP: &str = "optimizer.step";

/// Updates parameters from their gradients. Before that, in this order: the penalty on the kernels of
/// convolutions joins the gradient (`l2_conv`), the norm of all gradients is taken, and gradients are
/// clipped to it (`clip_norm`).
#[derive(Debug)]
pub struct Optimizer {
    rule: Box<dyn Rule>,
    clip_norm: Option<f64>,
    l2_conv: f64,
    /// Which parameters are kernels of convolutions.
    kernels: Vec<bool>,
    /// Updates done.
    steps: u32,
}

/// How one parameter moves, and what is remembered for that: one array for each parameter and word.
trait Rule: std::fmt::Debug {
    /// Moves a parameter, the `index`-th of all that are trained. `steps` counts from 1.
    fn update(
        &mut self,
        index: usize,
        parameter: &mut Tensor,
        gradient: &Tensor,
        lr: f64,
        steps: u32,
    ) -> Result<(), TchError>;

    /// Lends everything that is remembered: the word for it, and a tensor for each parameter.
    fn memory(&self) -> Vec<(&'static str, &[Tensor])>;

    /// As [`Self::memory`], for changing it.
    fn memory_mut(&mut self) -> Vec<(&'static str, &mut [Tensor])>;
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// Euclidean norm of all gradients together, penalty included, before clipping.
    pub norm: f64,
    /// Whether parameters moved: not where that norm is no finite number.
    pub is_done: bool,
}

impl Optimizer {
    /// Starts with nothing remembered.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub fn new(settings: &setting::Optimizer, parameters: &Parameters) -> Result<Self, TchError> {
        let (clip_norm, l2_conv) = (settings.clip_norm(), settings.l2_conv());
        let rule: Box<dyn Rule> = match settings {
            setting::Optimizer::Adamw(adam) => Box::new(Adam::new(adam, true, parameters)?),
            setting::Optimizer::Adam(adam) => Box::new(Adam::new(adam, false, parameters)?),
            setting::Optimizer::Sgd(sgd) => Box::new(Sgd::new(sgd, parameters)?),
        };
        let names = parameters.trainable().map(|(name, _)| name);
        let kernels = names.map(|name| parameters.is_convolution(name)).collect();
        Ok(Self { rule, clip_norm, l2_conv, kernels, steps: 0 })
    }

    /// Updates all parameters from their gradients and clears these. A parameter without a gradient
    /// is left alone. Where the norm of all gradients is not finite, one value at least is not, or is
    /// too large to go on with: then nothing is changed but the gradients, which are cleared.
    ///
    /// # Errors
    /// When the library fails.
    pub fn step(&mut self, parameters: &mut Parameters, lr: f64) -> Result<Update, TchError> {
        let _guard = tch::no_grad_guard();
        if self.l2_conv > 0.0 {
            clip::add_penalty(parameters, &self.kernels, self.l2_conv)?;
        }
        let norm = clip::norm(parameters)?;
        if !norm.is_finite() {
            clear(parameters)?;
            return Ok(Update { norm, is_done: false });
        }
        let factor = self.clip_norm.map_or(1.0, |largest| clip::factor(norm, largest));
        self.steps += 1;
        for (index, (_, parameter)) in parameters.trainable_mut().enumerate() {
            let mut gradient = parameter.grad();
            if !gradient.defined() {
                continue;
            }
            if factor < 1.0 {
                let _ = gradient.f_mul_scalar_(factor)?;
            }
            self.rule.update(index, parameter, &gradient, lr, self.steps)?;
            let _ = gradient.f_zero_()?;
        }
        Ok(Update { norm, is_done: true })
    }

    /// Forgets everything, gradients too: as it was before the first step.
    ///
    /// # Errors
    /// When the library fails.
    pub fn reset(&mut self, parameters: &Parameters) -> Result<(), TchError> {
        clear(parameters)?;
        for (_, tensors) in self.rule.memory_mut() {
            for tensor in tensors {
                let _ = tensor.f_zero_()?;
            }
        }
        self.steps = 0;
        Ok(())
    }

    /// Returns the bytes of what [`Self::save`] adds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let memory = self.rule.memory();
        let tensors = memory.iter().flat_map(|(_, tensors)| tensors.iter());
        tensors.map(state::bytes_of).sum::<u64>() + size_of::<i64>() as u64
    }

    /// Adds what is remembered, such as the moments of Adam as `optimizer.m.<parameter>` and
    /// `optimizer.v.<parameter>`, and the number of updates as `optimizer.step`. `parameters` are
    /// those that it was made for.
    ///
    /// # Errors
    /// When the library fails.
    pub fn save(&self, parameters: &Parameters, into: &mut State) -> Result<(), LearnerError> {
        for (word, tensors) in self.rule.memory() {
            for ((name, _), tensor) in parameters.trainable().zip(tensors) {
                into.insert(format!("optimizer.{word}.{name}"), state::array_of(tensor)?);
            }
        }
        let bytes = i64::from(self.steps).to_le_bytes().to_vec();
        into.insert(STEP.to_owned(), Array { dtype: Dtype::I64, shape: vec![], bytes });
        Ok(())
    }

    /// Takes back what [`Self::save`] gave; gradients are cleared.
    ///
    /// # Errors
    /// When an array is missing or does not fit; nothing is then changed.
    pub fn restore(&mut self, parameters: &Parameters, from: &State) -> Result<(), LearnerError> {
        let steps = from
            .get(STEP)
            .filter(|array| array.dtype == Dtype::I64)
            .and_then(|array| <[u8; 8]>::try_from(array.bytes.as_slice()).ok())
            .and_then(|bytes| u32::try_from(i64::from_le_bytes(bytes)).ok())
            .ok_or_else(|| LearnerError::Misfit { what: format!("`{STEP}` is no step count") })?;
        let mut filled = Vec::new();
        for (word, tensors) in self.rule.memory_mut() {
            for ((name, _), tensor) in parameters.trainable().zip(tensors) {
                let array = state::fitting(from, &format!("optimizer.{word}.{name}"), tensor)?;
                filled.push((tensor, array));
            }
        }
        for (tensor, array) in filled {
            state::fill(tensor, array)?;
        }
        self.steps = steps;
        Ok(clear(parameters)?)
    }
}

/// Overwrites gradients with 0: what is not a number stays so under every product.
fn clear(parameters: &Parameters) -> Result<(), TchError> {
    for (_, parameter) in parameters.trainable() {
        let mut gradient = parameter.grad();
        if gradient.defined() {
            let _ = gradient.f_zero_()?;
        }
    }
    Ok(())
}

/// A zero for every value of every parameter.
fn zeros(parameters: &Parameters) -> Result<Vec<Tensor>, TchError> {
    parameters.trainable().map(|(_, parameter)| parameter.detach().f_zeros_like()).collect()
}

#[cfg(test)]
mod parity_tests;
#[cfg(test)]
mod tests;
