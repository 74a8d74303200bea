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
    outline: bool,
    trainable: Vec<Trainable>,
    buffers: Vec<Buffer>,
}

#[derive(Debug)]
struct Trainable {
    name: String,
    tensor: Tensor,
    start: Start,
    convolution: bool,
}

#[derive(Debug)]
struct Buffer {
    name: String,
    tensor: Tensor,
    start: f64,
}

/// What a trainable tensor is filled with at the start.
#[derive(Debug)]
enum Start {
    /// One value.
    Constant(f64),
    /// The normal distribution of mean 0.
    Normal { deviation: f64 },
    /// The same, what lies beyond two deviations drawn again.
    Truncated { deviation: f64 },
    /// A copy of these values.
    Given(Tensor),
}

/// The distribution that a layer's weights start from. Biases start from constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Init {
    /// He's normal distribution for `ReLU` (He et al. 2015): mean 0, variance `2 / inputs`, where
    /// `inputs` is the number of inputs that an output sums.
    He,
    /// The normal distribution of mean 0 and deviation 0.02, cut off at two deviations: what
    /// transformers start from, and ConvNeXt after them (Liu et al. 2022).
    Truncated,
}

impl Parameters {
    /// Starts with none.
    #[must_use]
    pub fn new(seed: u64, device: Device) -> Self {
        Self { seed, device, outline: false, trainable: Vec::new(), buffers: Vec::new() }
    }

    /// Starts with none, for a network that is only to be counted: tensors get their shapes, but
    /// neither values nor memory.
    #[must_use]
    pub fn outline() -> Self {
        Self { outline: true, ..Self::new(0, Device::Cpu) }
    }

    /// Takes the given tensors as trainable; those of four dimensions as kernels of convolutions.
    ///
    /// # Errors
    /// When the library fails.
    pub fn of<'a>(tensors: impl IntoIterator<Item = (&'a str, Tensor)>) -> Result<Self, TchError> {
        let mut parameters = Self::new(0, Device::Cpu);
        for (name, tensor) in tensors {
            let mut copy = tensor.detach().f_zeros_like()?;
            tch::no_grad(|| copy.f_copy_(&tensor))?;
            let tensor = tensor.f_set_requires_grad(true)?;
            let (name, start) = (name.to_owned(), Start::Given(copy));
            let convolution = tensor.dim() == 4;
            parameters.trainable.push(Trainable { name, tensor, start, convolution });
        }
        Ok(parameters)
    }

    /// Makes the kernel of a convolution, each of whose outputs sums `inputs` values.
    pub(super) fn kernel(
        &mut self,
        name: &str,
        shape: &[i64],
        inputs: i64,
        init: Init,
    ) -> Result<Tensor, TchError> {
        self.add(name, shape, Start::of(init, inputs), true)
    }

    /// Makes a weight that is no kernel of a convolution. Each output sums `inputs` values.
    pub(super) fn weight(
        &mut self,
        name: &str,
        shape: &[i64],
        inputs: i64,
        init: Init,
    ) -> Result<Tensor, TchError> {
        self.add(name, shape, Start::of(init, inputs), false)
    }

    /// Makes a trainable tensor of one value.
    pub(super) fn constant(
        &mut self,
        name: &str,
        size: i64,
        value: f64,
    ) -> Result<Tensor, TchError> {
        self.add(name, &[size], Start::Constant(value), false)
    }

    /// Makes a tensor that is saved but not trained.
    pub(super) fn buffer(&mut self, name: &str, size: i64, value: f64) -> Result<Tensor, TchError> {
        let tensor = Tensor::f_full([size], value, (Kind::Float, self.device))?;
        let (name, tensor) = (name.to_owned(), tensor);
        self.buffers.push(Buffer { name, tensor: tensor.shallow_clone(), start: value });
        Ok(tensor)
    }

    fn add(
        &mut self,
        name: &str,
        shape: &[i64],
        start: Start,
        convolution: bool,
    ) -> Result<Tensor, TchError> {
        let tensor = if self.outline {
            Tensor::f_zeros([1], (Kind::Float, self.device))?.f_expand(shape, false)?
        } else {
            in_layout(&start.values(self.seed, name, shape)?.f_to_device(self.device)?)?
        };
        let tensor = tensor.f_set_requires_grad(true)?;
        let (name, added) = (name.to_owned(), tensor.shallow_clone());
        self.trainable.push(Trainable { name, tensor: added, start, convolution });
        Ok(tensor)
    }

    /// Returns to the very beginning: every value is that of a fresh build with the same seed, and
    /// gradients are zero.
    ///
    /// # Errors
    /// When the library fails.
    pub fn reset(&mut self) -> Result<(), TchError> {
        let _guard = tch::no_grad_guard();
        for Trainable { name, tensor, start, .. } in &mut self.trainable {
            tensor.f_copy_(&start.values(self.seed, name, &tensor.size())?)?;
            let mut gradient = tensor.grad();
            if gradient.defined() {
                let _ = gradient.f_zero_()?;
            }
        }
        for Buffer { tensor, start, .. } in &mut self.buffers {
            let _ = tensor.f_fill_(*start)?;
        }
        Ok(())
    }

    /// Iterates over what is trained.
    pub fn trainable(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.trainable.iter().map(|one| (one.name.as_str(), &one.tensor))
    }

    /// Iterates over what is trained, for changing it.
    pub fn trainable_mut(&mut self) -> impl Iterator<Item = (&str, &mut Tensor)> {
        self.trainable.iter_mut().map(|one| (one.name.as_str(), &mut one.tensor))
    }

    /// Says whether `name` is the kernel of a convolution, plain, depthwise or transposed.
    #[must_use]
    pub fn is_convolution(&self, name: &str) -> bool {
        self.trainable.iter().any(|one| one.convolution && one.name == name)
    }

    /// Iterates over what is trained, then over the buffers.
    pub(in crate::train) fn everything(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.trainable().chain(self.buffers.iter().map(|one| (one.name.as_str(), &one.tensor)))
    }

    /// Returns the number of trainable values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.trainable().map(|(_, tensor)| tensor.numel() as u64).sum()
    }

    /// Returns the number of all values: those that are trained, and the running mean and variance
    /// of batch normalisations. Keras counts the parameters of a network so.
    #[must_use]
    pub fn count_all(&self) -> u64 {
        self.everything().map(|(_, tensor)| tensor.numel() as u64).sum()
    }

    /// Returns the bytes of all values, buffers too.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.everything().map(|(_, tensor)| state::bytes_of(tensor)).sum()
    }

    /// Adds everything as `model.<name>`.
    ///
    /// # Errors
    /// When the library fails.
    pub fn save(&self, into: &mut State) -> Result<(), LearnerError> {
        for (name, tensor) in self.everything() {
            into.insert(format!("model.{name}"), state::array_of(tensor)?);
        }
        Ok(())
    }

    /// Takes back what [`Self::save`] gave.
    ///
    /// # Errors
    /// When an array is missing or does not fit; nothing is then changed.
    pub fn restore(&mut self, from: &State) -> Result<(), LearnerError> {
        let trainable = self.trainable.iter_mut().map(|one| (&one.name, &mut one.tensor));
        let buffers = self.buffers.iter_mut().map(|one| (&one.name, &mut one.tensor));
        let mut filled = Vec::new();
        for (name, tensor) in trainable.chain(buffers) {
            let array = state::fitting(from, &format!("model.{name}"), tensor)?;
            filled.push((tensor, array));
        }
        for (tensor, array) in filled {
            state::fill(tensor, array)?;
        }
        Ok(())
    }
}

impl Start {
    fn of(init: Init, inputs: i64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "layers are small")]
        let inputs = inputs as f64;
        match init {
            Init::He => Self::Normal { deviation: (2.0 / inputs).sqrt() },
            Init::Truncated => Self::Truncated { deviation: 0.02 },
        }
    }

    /// Makes the values of the tensor `name`, on the CPU.
    fn values(&self, seed: u64, name: &str, shape: &[i64]) -> Result<Tensor, TchError> {
        let mut draw = Draw::new(seed, &format!("init {name}"), 0, 0);
        let numel = shape.iter().product::<i64>();
        let mut drawn = |deviation: f64, limit: f64| {
            #[expect(clippy::cast_possible_truncation, reason = "weights are 32-bit")]
            let values: Vec<f32> =
                (0..numel).map(|_| (deviation * below(&mut draw, limit)) as f32).collect();
            Tensor::f_from_slice(&values)?.f_view(shape)
        };
        match self {
            Self::Constant(value) => Tensor::f_full(shape, *value, (Kind::Float, Device::Cpu)),
            Self::Normal { deviation } => drawn(*deviation, f64::INFINITY),
            Self::Truncated { deviation } => drawn(*deviation, 2.0),
            Self::Given(tensor) => Ok(tensor.shallow_clone()),
        }
    }
}

/// Draws a normal number, again where it is not between `-limit` and `limit`.
fn below(draw: &mut Draw, limit: f64) -> f64 {
    loop {
        let value = draw.normal();
        if value.abs() <= limit {
            return value;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(seed: u64) -> Parameters {
        let mut parameters = Parameters::new(seed, Device::Cpu);
        let _ = parameters.kernel("conv.weight", &[8, 4, 3, 3], 36, Init::He).expect("kernel");
        let _ = parameters.weight("fc.weight", &[200, 100], 100, Init::Truncated).expect("weight");
        let _ = parameters.constant("fc.bias", 200, 0.5).expect("bias");
        let _ = parameters.buffer("bn.running_var", 8, 1.0).expect("buffer");
        parameters
    }

    fn saved(parameters: &Parameters) -> State {
        let mut state = State::new();
        parameters.save(&mut state).expect("saved");
        state
    }

    #[test]
    fn the_truncated_normal_stays_within_two_deviations_and_fills_them() {
        let parameters = filled(1);
        let weight = parameters.trainable().nth(1).expect("a weight").1.detach();
        let most = weight.abs().max().double_value(&[]);
        assert!((0.0396..=0.04).contains(&most), "{most}");
        // A standard normal number within two deviations has the deviation 0.8796.
        let deviation = weight.std(true).double_value(&[]) / 0.02;
        assert!((deviation - 0.8796).abs() < 0.02, "{deviation}");
    }

    #[test]
    fn a_reset_gives_the_bits_of_a_fresh_build() {
        let mut parameters = filled(5);
        let fresh = saved(&parameters);
        let loss = parameters.trainable().nth(2).expect("a bias").1.square().sum(Kind::Float);
        loss.backward();
        tch::no_grad(|| {
            for (_, tensor) in parameters.trainable_mut() {
                let _ = tensor.fill_(9.0);
            }
            let _ = parameters.buffers[0].tensor.fill_(9.0);
        });
        assert_ne!(saved(&parameters), fresh);
        parameters.reset().expect("reset");
        assert_eq!(saved(&parameters), fresh);
        assert_ne!(saved(&filled(6)), fresh);
        let gradient = parameters.trainable().nth(2).expect("a bias").1.grad();
        assert_eq!(gradient.abs().max().double_value(&[]), 0.0);
    }

    #[test]
    fn convolutions_are_known_and_buffers_counted_apart() {
        let parameters = filled(1);
        let known = ["conv.weight", "fc.weight", "fc.bias"].map(|n| parameters.is_convolution(n));
        assert_eq!(known, [true, false, false]);
        assert_eq!(parameters.count(), 288 + 20_000 + 200);
        assert_eq!(parameters.count_all(), parameters.count() + 8);
    }

    #[test]
    fn an_outline_has_the_shapes_and_no_memory() {
        let mut parameters = Parameters::outline();
        let _ = parameters.kernel("huge", &[1 << 20, 1 << 20, 3, 3], 9, Init::He).expect("kernel");
        assert_eq!(parameters.count(), 9 << 40);
    }
}
