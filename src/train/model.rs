//! Networks: one file each, made of shared blocks over named parameters.

mod block;
mod parameters;
pub mod unet;

use tch::{TchError, Tensor};

pub use parameters::Parameters;

use crate::setting::Model;
use crate::train::draw::Draw;
use crate::worker::learner::LearnerError;

/// A network for images.
pub trait Network: std::fmt::Debug {
    /// Computes the logits of the foreground, `[n, 1, height, width]`, of images
    /// `[n, channels, height, width]`, of any height and width.
    ///
    /// # Errors
    /// When the library fails, such as for want of memory.
    fn forward(&self, images: &Tensor, pass: Pass) -> Result<Tensor, TchError>;

    /// Returns the factor by which the image is shrunk at the deepest place.
    fn stride(&self) -> i64;

    /// Returns about how many 32-bit values a training step holds for each pixel of its input.
    fn values_per_pixel(&self) -> u64;
}

/// What a forward pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Training: normalisation by the minibatch, dropout drawn from (seed, epoch, step).
    Train {
        /// Seed of the trial.
        seed: u64,
        /// Epoch, from 1.
        epoch: u64,
        /// Step in the epoch.
        step: u64,
    },
    /// Use: normalisation by running statistics, no dropout.
    Evaluate,
}

impl Pass {
    /// Returns the generator for a place of the network; none where nothing is random.
    fn draw(self, place: &str) -> Option<Draw> {
        match self {
            Self::Train { seed, epoch, step } => {
                Some(Draw::new(seed, &format!("dropout {place}"), epoch, step))
            }
            Self::Evaluate => None,
        }
    }
}

/// Builds the network that the settings name, its weights drawn from the seed.
///
/// # Errors
/// When the settings cannot be built, or memory does not suffice.
pub fn build(
    settings: &Model,
    seed: u64,
    device: tch::Device,
) -> Result<(Box<dyn Network>, Parameters), LearnerError> {
    let mut parameters = Parameters::new(seed, device);
    match settings {
        Model::Unet(settings) => {
            let network = unet::Unet::build(settings, &mut parameters)?;
            Ok((Box::new(network), parameters))
        }
        Model::AttentionUnet(_)
        | Model::AttentionResunet(_)
        | Model::ConvnextUnet(_)
        | Model::SwinUnet(_)
        | Model::CoatnetUnet(_) => Err(LearnerError::Setting {
            setting: "model.name".to_owned(),
            what: "this network is not there yet".to_owned(),
        }),
        Model::Toy(_) => Err(LearnerError::Setting {
            setting: "model.name".to_owned(),
            what: "the toy learner is not made of tensors".to_owned(),
        }),
    }
}
