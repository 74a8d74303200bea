//! Our own optimizers: the library has no way to save the state of its own.

use std::collections::BTreeMap;

use safetensors::Dtype;
use tch::{TchError, Tensor};

use crate::setting::{Adam, Optimizer};
use crate::worker::learner::{Array, LearnerError, State};

use super::model::Parameters;
use super::state;

const STEP: &str = "optimizer.step";

/// AdamW (Loshchilov and Hutter 2019, algorithm 2; the decay is multiplied by the learning rate,
/// as in PyTorch, and applies to all parameters).
#[derive(Debug)]
pub struct AdamW {
    weight_decay: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    steps: u32,
    moments: BTreeMap<String, Moments>,
}

#[derive(Debug)]
struct Moments {
    first: Tensor,
    second: Tensor,
}

impl AdamW {
    /// Starts with moments of zero.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub fn new(settings: &Optimizer, parameters: &Parameters) -> Result<Self, TchError> {
        let Optimizer::Adamw(Adam { weight_decay, beta1, beta2, eps, .. }) = *settings else {
            return Err(TchError::Torch("this optimizer is not there yet".to_owned()));
        };
        let mut moments = BTreeMap::new();
        for (name, parameter) in parameters.trainable() {
            let zeros = || parameter.detach().f_zeros_like();
            moments.insert(name.to_owned(), Moments { first: zeros()?, second: zeros()? });
        }
        Ok(Self { weight_decay, beta1, beta2, eps, steps: 0, moments })
    }

    /// Updates all parameters from their gradients and clears these. A parameter without a gradient
    /// is left alone.
    ///
    /// # Errors
    /// When the library fails.
    pub fn step(&mut self, parameters: &mut Parameters, lr: f64) -> Result<(), TchError> {
        self.steps += 1;
        let steps = f64::from(self.steps);
        let correction1 = 1.0 - self.beta1.powf(steps);
        let correction2 = (1.0 - self.beta2.powf(steps)).sqrt();
        let _guard = tch::no_grad_guard();
        for (name, parameter) in parameters.trainable_mut() {
            let Some(moments) = self.moments.get_mut(name) else { continue };
            let mut gradient = parameter.grad();
            if !gradient.defined() {
                continue;
            }
            let _ = parameter.f_mul_scalar_(1.0 - lr * self.weight_decay)?;
            let Moments { first, second } = moments;
            let _ = first.f_mul_scalar_(self.beta1)?;
            let _ = first.f_add_(&gradient.f_mul_scalar(1.0 - self.beta1)?)?;
            let _ = second.f_mul_scalar_(self.beta2)?;
            let square = gradient.f_mul(&gradient)?;
            let _ = second.f_add_(&square.f_mul_scalar(1.0 - self.beta2)?)?;
            let below = second.f_sqrt()?.f_div_scalar(correction2)?.f_add_scalar(self.eps)?;
            let change = first.f_div(&below)?.f_mul_scalar(-lr / correction1)?;
            let _ = parameter.f_add_(&change)?;
            let _ = gradient.f_zero_()?;
        }
        Ok(())
    }

    /// Returns the bytes of what [`Self::save`] adds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let moments = self.moments.values();
        let sizes = moments.map(|m| state::bytes_of(&m.first) + state::bytes_of(&m.second));
        sizes.sum::<u64>() + size_of::<i64>() as u64
    }

    /// Adds the moments as `optimizer.m.<parameter>` and `optimizer.v.<parameter>`, and the number
    /// of updates as `optimizer.step`.
    ///
    /// # Errors
    /// When the library fails.
    pub fn save(&self, into: &mut State) -> Result<(), LearnerError> {
        for (name, moments) in &self.moments {
            into.insert(format!("optimizer.m.{name}"), state::array_of(&moments.first)?);
            into.insert(format!("optimizer.v.{name}"), state::array_of(&moments.second)?);
        }
        let bytes = i64::from(self.steps).to_le_bytes().to_vec();
        into.insert(STEP.to_owned(), Array { dtype: Dtype::I64, shape: vec![], bytes });
        Ok(())
    }

    /// Takes back what [`Self::save`] gave.
    ///
    /// # Errors
    /// When an array is missing or does not fit; nothing is then changed.
    pub fn restore(&mut self, from: &State) -> Result<(), LearnerError> {
        let steps = from
            .get(STEP)
            .filter(|array| array.dtype == Dtype::I64)
            .and_then(|array| <[u8; 8]>::try_from(array.bytes.as_slice()).ok())
            .and_then(|bytes| u32::try_from(i64::from_le_bytes(bytes)).ok())
            .ok_or_else(|| LearnerError::Misfit { what: format!("`{STEP}` is no step count") })?;
        let mut filled = Vec::new();
        for (name, moments) in &mut self.moments {
            let m = state::fitting(from, &format!("optimizer.m.{name}"), &moments.first)?;
            let v = state::fitting(from, &format!("optimizer.v.{name}"), &moments.second)?;
            filled.push((moments, m, v));
        }
        for (moments, m, v) in filled {
            state::fill(&mut moments.first, m)?;
            state::fill(&mut moments.second, v)?;
        }
        self.steps = steps;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::nn::OptimizerConfig;
    use tch::{Device, Kind, nn};

    const SETTINGS: Optimizer = Optimizer::Adamw(Adam {
        lr: 0.05,
        weight_decay: 0.1,
        beta1: 0.9,
        beta2: 0.99,
        eps: 1e-8,
        clip_norm: None,
        l2_conv: 0.0,
    });

    fn start() -> Tensor {
        Tensor::from_slice(&[1.0_f32, -2.0, 0.5, 3.0, 0.0])
    }

    fn objective(x: &Tensor) -> Tensor {
        let target = Tensor::from_slice(&[0.3_f32, 0.1, -0.7, 2.0, 0.2]);
        ((x - target).pow_tensor_scalar(2) * Tensor::from_slice(&[1.0_f32, 5.0, 0.1, 2.0, 1e-4]))
            .sum(Kind::Float)
    }

    fn ours() -> (Parameters, AdamW) {
        let parameters = Parameters::of([("x", start())]).expect("parameters");
        let optimizer = AdamW::new(&SETTINGS, &parameters).expect("optimizer");
        (parameters, optimizer)
    }

    fn advance(parameters: &mut Parameters, optimizer: &mut AdamW, steps: u32) {
        for _ in 0..steps {
            let x = parameters.trainable().next().expect("x").1.shallow_clone();
            objective(&x).backward();
            optimizer.step(parameters, 0.05).expect("step");
        }
    }

    fn bytes(parameters: &Parameters) -> Vec<u8> {
        state::array_of(parameters.trainable().next().expect("x").1).expect("array").bytes
    }

    #[test]
    fn ten_updates_equal_those_of_the_library() {
        let (mut parameters, mut optimizer) = ours();
        advance(&mut parameters, &mut optimizer, 10);

        let store = nn::VarStore::new(Device::Cpu);
        let mut x = store.root().zeros("x", &[5]);
        tch::no_grad(|| x.copy_(&start()));
        let config = nn::AdamW { beta1: 0.9, beta2: 0.99, wd: 0.1, eps: 1e-8, amsgrad: false };
        let mut library = config.build(&store, 0.05).expect("optimizer");
        for _ in 0..10 {
            library.backward_step(&objective(&x));
        }
        let mine = parameters.trainable().next().expect("x").1;
        assert!((mine - &start()).abs().max().double_value(&[]) > 0.1, "nothing moved");
        assert!((mine - &x).abs().max().double_value(&[]) <= 1e-6);
    }

    #[test]
    fn an_optimizer_saved_and_restored_goes_on_bit_for_bit() {
        let (mut parameters, mut optimizer) = ours();
        advance(&mut parameters, &mut optimizer, 9);
        let uncut = bytes(&parameters);

        let (mut parameters, mut optimizer) = ours();
        advance(&mut parameters, &mut optimizer, 4);
        let mut saved = State::new();
        optimizer.save(&mut saved).expect("saved");
        let weights = parameters.trainable().next().expect("x").1.detach().copy();
        let mut parameters = Parameters::of([("x", weights)]).expect("parameters");
        let mut optimizer = AdamW::new(&SETTINGS, &parameters).expect("optimizer");
        optimizer.restore(&saved).expect("restored");
        advance(&mut parameters, &mut optimizer, 5);
        assert_eq!(bytes(&parameters), uncut);
    }

    #[test]
    fn a_missing_moment_is_named() {
        let (_, mut optimizer) = ours();
        let mut saved = State::new();
        optimizer.save(&mut saved).expect("saved");
        saved.remove("optimizer.v.x");
        let error = optimizer.restore(&saved).expect_err("a misfit").to_string();
        assert!(error.contains("optimizer.v.x"), "{error}");
    }
}
