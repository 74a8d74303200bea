//! Networks: one file each, made of shared blocks over named parameters.

mod attention_resunet;
mod attention_unet;
mod block;
pub mod catalogue;
mod coatnet_unet;
mod convnext_unet;
mod parameters;
#[cfg(test)]
mod parity_attention_tests;
#[cfg(test)]
mod parity_tests;
#[cfg(test)]
mod radius_tests;
mod swin_unet;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transformer_tests;
mod unet;

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

    /// Returns the smallest edge of patches to train on: at the deepest place more than one pixel must be
    /// left of them, for batch normalisation has nothing to measure otherwise.
    fn least_patch(&self) -> i64 {
        2 * self.stride()
    }

    /// Returns about how many 32-bit values a training step holds for each pixel of its input.
    fn values_per_pixel(&self) -> u64;

    /// Returns how far, in pixels, a pixel of the image can be from a logit and still change it: rows or
    /// columns, whichever is more. None where nobody can say, as the network attends to whole images, or
    /// to windows of windows.
    fn receptive_radius(&self) -> Option<i64> {
        None
    }

    /// Returns what the first pixels of tiles are to be multiples of, so that what the network lays over
    /// an image (pooled places, windows) falls on the same pixels as in the whole image.
    fn grid(&self) -> i64 {
        self.stride()
    }

    /// Returns the longest side, in pixels, of what the network is to be given at once: the edge of the
    /// patches it was trained on, where it attends to the whole image and so would need time and memory
    /// that grow with the square of the pixels, and would see distances that it never saw. None where any
    /// size will do.
    fn largest_piece(&self) -> Option<i64> {
        None
    }
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
    /// The same, with batch normalisations taken into the convolutions before them: logits differ by
    /// rounding.
    Fused,
}

impl Pass {
    /// Returns the generator for a place of the network; none where nothing is random.
    fn draw(self, place: &str) -> Option<Draw> {
        match self {
            Self::Train { seed, epoch, step } => {
                Some(Draw::new(seed, &format!("dropout {place}"), epoch, step))
            }
            Self::Evaluate | Self::Fused => None,
        }
    }

    /// Returns the fastest way to use a network on a device, as far as it was measured
    /// (`docs/export.md`).
    #[must_use]
    pub fn fastest(device: tch::Device) -> Self {
        if device == tch::Device::Cpu { Self::Fused } else { Self::Evaluate }
    }
}

/// Builds the network that the settings name, for training on patches of `edge` pixels, its weights
/// drawn from the seed.
///
/// # Errors
/// When the settings cannot be built, or memory does not suffice.
pub fn build(
    settings: &Model,
    edge: i64,
    seed: u64,
    device: tch::Device,
) -> Result<(Box<dyn Network>, Parameters), LearnerError> {
    let mut parameters = Parameters::new(seed, device);
    let network = build_into(settings, edge, &mut parameters)?;
    Ok((network, parameters))
}

/// Builds the network that the settings name and adds its parameters to `parameters`: those of an
/// outline ([`Parameters::outline`]) tell the sizes, at no cost of time and memory.
///
/// # Errors
/// As [`build`].
pub fn build_into(
    settings: &Model,
    edge: i64,
    parameters: &mut Parameters,
) -> Result<Box<dyn Network>, LearnerError> {
    let impossible = |what: &str| LearnerError::Setting {
        setting: "model.name".to_owned(),
        what: what.to_owned(),
    };
    Ok(match settings {
        Model::Unet(settings) => Box::new(unet::build(settings, parameters)?),
        Model::AttentionUnet(settings) => Box::new(attention_unet::build(settings, parameters)?),
        Model::AttentionResunet(settings) => {
            Box::new(attention_resunet::build(settings, parameters)?)
        }
        Model::ConvnextUnet(settings) => {
            Box::new(convnext_unet::ConvnextUnet::build(settings, parameters)?)
        }
        Model::SwinUnet(settings) => {
            Box::new(swin_unet::SwinUnet::build(settings, edge, parameters)?)
        }
        Model::CoatnetUnet(settings) => {
            Box::new(coatnet_unet::CoatnetUnet::build(settings, edge, parameters)?)
        }
        Model::Toy(_) => return Err(impossible("the toy learner is not made of tensors")),
    })
}
