//! The weights and buffers of a network, by name.

use tch::{Device, Kind, TchError, Tensor};

use crate::train::draw::Draw;
use crate::train::state;
use crate::worker::learner::{LearnerError, State};

/// Named tensors, in the order in which the network made them. Names are as in a PyTorch state
/// dict (`enc.0.conv1.weight`).
///
/// Initial values are drawn here, per name, from (seed, name): they do not depend on the order or
/// number of layers, on the device, or on the library's generator.
#[derive(Debug)]
pub struct Parameters {
    seed: u64,
    device: Device,
    trainable: Vec<(String, Tensor)>,
    buffers: Vec<(String, Tensor)>,
}

impl Parameters {
    /// Starts with none.
    #[must_use]
    pub fn new(seed: u64, device: Device) -> Self {
        Self { seed, device, trainable: Vec::new(), buffers: Vec::new() }
    }

    /// Takes the given tensors as trainable.
    ///
    /// # Errors
    /// When the library fails.
    pub fn of<'a>(tensors: impl IntoIterator<Item = (&'a str, Tensor)>) -> Result<Self, TchError> {
        let mut parameters = Self::new(0, Device::Cpu);
        for (name, tensor) in tensors {
            let tensor = tensor.f_set_requires_grad(true)?;
            parameters.trainable.push((name.to_owned(), tensor));
        }
        Ok(parameters)
    }

    /// Makes a weight of He's normal distribution for ReLU (He et al. 2015): mean 0, variance
    /// `2 / inputs`, where `inputs` is the number of inputs that an output sums.
    pub(super) fn he(
        &mut self,
        name: &str,
        shape: &[i64],
        inputs: i64,
    ) -> Result<Tensor, TchError> {
        #[expect(clippy::cast_precision_loss, reason = "layers are small")]
        let deviation = (2.0 / inputs as f64).sqrt();
        let mut draw = Draw::new(self.seed, &format!("init {name}"), 0, 0);
        let numel = shape.iter().product::<i64>();
        #[expect(clippy::cast_possible_truncation, reason = "weights are 32-bit")]
        let values: Vec<f32> = (0..numel).map(|_| (deviation * draw.normal()) as f32).collect();
        self.add(name, Tensor::f_from_slice(&values)?.f_view(shape)?)
    }

    /// Makes a trainable tensor of one value.
    pub(super) fn constant(
        &mut self,
        name: &str,
        size: i64,
        value: f64,
    ) -> Result<Tensor, TchError> {
        self.add(name, Tensor::f_full([size], value, (Kind::Float, Device::Cpu))?)
    }

    /// Makes a tensor that is saved but not trained.
    pub(super) fn buffer(&mut self, name: &str, size: i64, value: f64) -> Result<Tensor, TchError> {
        let tensor = Tensor::f_full([size], value, (Kind::Float, self.device))?;
        self.buffers.push((name.to_owned(), tensor.shallow_clone()));
        Ok(tensor)
    }

    fn add(&mut self, name: &str, value: Tensor) -> Result<Tensor, TchError> {
        let tensor = in_layout(&value.f_to_device(self.device)?)?.f_set_requires_grad(true)?;
        self.trainable.push((name.to_owned(), tensor.shallow_clone()));
        Ok(tensor)
    }

    /// Iterates over what is trained.
    pub fn trainable(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.trainable.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Iterates over what is trained, for changing it.
    pub fn trainable_mut(&mut self) -> impl Iterator<Item = (&str, &mut Tensor)> {
        self.trainable.iter_mut().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Returns the number of trainable values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.trainable.iter().map(|(_, tensor)| tensor.numel() as u64).sum()
    }

    /// Returns the bytes of all values, buffers too.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let all = self.trainable.iter().chain(&self.buffers);
        all.map(|(_, tensor)| state::bytes_of(tensor)).sum()
    }

    /// Adds everything as `model.<name>`.
    ///
    /// # Errors
    /// When the library fails.
    pub fn save(&self, into: &mut State) -> Result<(), LearnerError> {
        for (name, tensor) in self.trainable.iter().chain(&self.buffers) {
            into.insert(format!("model.{name}"), state::array_of(tensor)?);
        }
        Ok(())
    }

    /// Takes back what [`Self::save`] gave.
    ///
    /// # Errors
    /// When an array is missing or does not fit; nothing is then changed.
    pub fn restore(&mut self, from: &State) -> Result<(), LearnerError> {
        let all = self.trainable.iter_mut().chain(&mut self.buffers);
        let mut filled = Vec::new();
        for (name, tensor) in all {
            let array = state::fitting(from, &format!("model.{name}"), tensor)?;
            filled.push((tensor, array));
        }
        for (tensor, array) in filled {
            state::fill(tensor, array)?;
        }
        Ok(())
    }
}

/// Lays four-dimensional tensors out channels last on the CPU, in shape unchanged: convolutions of few
/// channels are a quarter faster there (measured at 8 channels on one thread).
pub(super) fn in_layout(tensor: &Tensor) -> Result<Tensor, TchError> {
    if tensor.dim() != 4 || tensor.device() != Device::Cpu {
        return Ok(tensor.shallow_clone());
    }
    tensor.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])
}
