//! Windows and regions as tensors.

use tch::{Device, TchError, Tensor};

use crate::setting::Augmentation;

use super::augment::Turn;
use super::patch::{Region, Sampler};
use super::{Picture, Slice};

/// What is subtracted from values in `[0, 1]`, and what they are then divided by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// Mean over all training pixels.
    pub mean: f64,
    /// Standard deviation over all training pixels.
    pub deviation: f64,
}

impl Normalisation {
    /// Measures the training regions.
    #[must_use]
    pub fn of(slices: &[Slice], regions: &[Region]) -> Self {
        let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
        for region in regions {
            let picture = &slices[region.slice].picture;
            for y in region.top..region.top + region.height {
                for x in region.left..region.left + region.width {
                    let value = f64::from(picture.value(y, x, 0, 1));
                    sum += value;
                    squares += value * value;
                    count += 1.0;
                }
            }
        }
        let mean = sum / f64::max(count, 1.0);
        let variance = squares / f64::max(count, 1.0) - mean * mean;
        // An image of one grey value has no deviation; it is only centred.
        let deviation = if variance > 1e-12 { variance.sqrt() } else { 1.0 };
        Self { mean, deviation }
    }

    #[expect(clippy::cast_possible_truncation, reason = "networks see 32-bit values")]
    fn apply(self, value: f32) -> f32 {
        ((f64::from(value) - self.mean) / self.deviation) as f32
    }
}

/// Images and truths for one optimizer update.
#[derive(Debug)]
pub struct Minibatch {
    /// `[n, channels, edge, edge]`, normalised.
    pub images: Tensor,
    /// `[n, 1, edge, edge]`, 0 or 1.
    pub truth: Tensor,
}

/// How patches become tensors.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Seed of the trial.
    pub seed: u64,
    /// Edge of a patch.
    pub edge: usize,
    /// Channels that the network takes.
    pub channels: usize,
    /// Mean and deviation.
    pub normalisation: Normalisation,
    /// Random changes.
    pub augmentation: Augmentation,
}

impl Minibatch {
    /// Cuts the samples `first..last` of an epoch.
    ///
    /// # Errors
    /// When the library fails.
    pub fn cut(
        recipe: &Recipe,
        slices: &[Slice],
        sampler: &mut Sampler,
        epoch: u64,
        samples: std::ops::Range<u64>,
    ) -> Result<Self, TchError> {
        let (edge, channels) = (recipe.edge, recipe.channels);
        let (mut images, mut truth) = (Vec::new(), Vec::new());
        let mut count = 0;
        for sample in samples {
            let Some(window) = sampler.window(epoch, sample) else { break };
            let turn = Turn::draw(&recipe.augmentation, recipe.seed, epoch, sample);
            let slice = &slices[window.region.slice];
            let places: Vec<(usize, usize)> = (0..edge * edge)
                .map(|at| turn.source(at / edge, at % edge, edge))
                .map(|(y, x)| window.region.mirrored(window.top + y, window.left + x))
                .collect();
            push_pixels(&mut images, &slice.picture, &places, channels, recipe.normalisation);
            let mask = slice.mask.as_ref();
            let is_foreground = |(y, x): &(usize, usize)| {
                mask.map_or(0.0, |mask| f32::from(mask.pixels[y * mask.width + x]))
            };
            truth.extend(places.iter().map(is_foreground));
            count += 1;
        }
        let edge = i64::try_from(edge).unwrap_or(i64::MAX);
        let channels = i64::try_from(channels).unwrap_or(1);
        Ok(Self {
            images: Tensor::f_from_slice(&images)?.f_view([count, channels, edge, edge])?,
            truth: Tensor::f_from_slice(&truth)?.f_view([count, 1, edge, edge])?,
        })
    }

    /// Moves it to the device.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub fn to(self, device: Device) -> Result<Self, TchError> {
        let images = self.images.f_to_device(device)?;
        Ok(Self { images, truth: self.truth.f_to_device(device)? })
    }
}

/// Cuts a region as the input of a network, `[1, channels, height, width]`.
///
/// # Errors
/// When the library fails.
pub fn input(
    picture: &Picture,
    region: Region,
    channels: usize,
    normalisation: Normalisation,
) -> Result<Tensor, TchError> {
    let rows = region.top..region.top + region.height;
    let places: Vec<(usize, usize)> =
        rows.flat_map(|y| (region.left..region.left + region.width).map(move |x| (y, x))).collect();
    let mut values = Vec::new();
    push_pixels(&mut values, picture, &places, channels, normalisation);
    let shape = [1, channels, region.height, region.width]
        .map(|size| i64::try_from(size).unwrap_or(i64::MAX));
    Tensor::f_from_slice(&values)?.f_view(shape)
}

fn push_pixels(
    values: &mut Vec<f32>,
    picture: &Picture,
    places: &[(usize, usize)],
    channels: usize,
    normalisation: Normalisation,
) {
    for channel in 0..channels {
        let value =
            |(y, x): &(usize, usize)| normalisation.apply(picture.value(*y, *x, channel, channels));
        values.extend(places.iter().map(value));
    }
}
