//! Windows and regions as tensors.

use tch::{Device, TchError, Tensor};

use crate::setting::Augmentation;

use super::augment::{Intensity, Turn, Warp};
use super::patch::{Region, Sampler, Window};
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
        let mut row = Vec::new();
        for region in regions {
            let picture = &slices[region.slice].picture;
            for y in region.top..region.top + region.height {
                row.clear();
                picture.push_row(&mut row, y, region.left..region.left + region.width, 0, 1);
                for value in row.iter().copied().map(f64::from) {
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

/// Samples that room is made for before they are cut.
const MOST: usize = 64;

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
        let wanted = usize::try_from(samples.end.saturating_sub(samples.start)).unwrap_or_default();
        let mut images = Vec::with_capacity(wanted.min(MOST) * channels * edge * edge);
        let mut truth = Vec::with_capacity(wanted.min(MOST) * edge * edge);
        let mut count = 0;
        for sample in samples {
            let Some(window) = sampler.window(slices, epoch, sample) else { break };
            let slice = &slices[window.region.slice];
            recipe.push_patch(&mut images, &mut truth, slice, &window, (epoch, sample));
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
    let mut values = Vec::with_capacity(channels * region.height * region.width);
    for channel in 0..channels {
        for y in region.top..region.top + region.height {
            let columns = region.left..region.left + region.width;
            picture.push_row(&mut values, y, columns, channel, channels);
        }
    }
    values.iter_mut().for_each(|value| *value = normalisation.apply(*value));
    let shape = [1, channels, region.height, region.width]
        .map(|size| i64::try_from(size).unwrap_or(i64::MAX));
    Tensor::f_from_slice(&values)?.f_view(shape)
}

impl Recipe {
    /// Appends a patch, changed at random, normalised, in all channels; and its truth.
    fn push_patch(
        &self,
        images: &mut Vec<f32>,
        truth: &mut Vec<f32>,
        slice: &Slice,
        window: &Window,
        (epoch, sample): (u64, u64),
    ) {
        let edge = self.edge;
        let place = (self.seed, epoch, sample);
        let turn = Turn::draw(&self.augmentation, self.seed, epoch, sample);
        // A grey image is changed once, and copied to all channels after.
        let planes = if slice.picture.planes == 1 { 1 } else { self.channels };
        let area = edge * edge;
        let mut values = Vec::with_capacity(planes * area);
        let mut labels = Vec::with_capacity(area);
        match Warp::draw(&self.augmentation, edge, window, place) {
            Some(warp) => {
                warp.push_values(&mut values, &slice.picture, window.region, planes);
                match &slice.mask {
                    Some(mask) => warp.push_truth(&mut labels, mask, window.region),
                    None => labels.resize(area, 0.0),
                }
            }
            None => push_window(&mut values, &mut labels, slice, window, (edge, planes)),
        }
        let mut turned = Vec::with_capacity(values.len());
        values.chunks_exact(area).for_each(|plane| turn.push(&mut turned, plane, edge));
        turn.push(truth, &labels, edge);
        if let Some(intensity) = Intensity::draw(&self.augmentation, place) {
            intensity.apply(&mut turned, edge);
        }
        let first = images.len();
        images.extend(turned.into_iter().map(|value| self.normalisation.apply(value)));
        for _ in 1..self.channels / planes.max(1) {
            images.extend_from_within(first..first + planes * area);
        }
    }
}

/// Appends the values and the truth of a window as they are; beyond the region they are mirrored.
fn push_window(
    values: &mut Vec<f32>,
    labels: &mut Vec<f32>,
    slice: &Slice,
    window: &Window,
    (edge, planes): (usize, usize),
) {
    let Window { region, top, left, .. } = *window;
    let rows: Vec<usize> = (0..edge).map(|y| region.mirrored(top + y, 0).0).collect();
    let columns: Vec<usize> = (0..edge).map(|x| region.mirrored(0, left + x).1).collect();
    let is_inside = left + edge <= region.width;
    for plane in 0..planes {
        for y in &rows {
            if is_inside {
                let first = region.left + left;
                slice.picture.push_row(values, *y, first..first + edge, plane, planes);
            } else {
                let value = |x: &usize| slice.picture.value(*y, *x, plane, planes);
                values.extend(columns.iter().map(value));
            }
        }
    }
    let Some(mask) = &slice.mask else {
        labels.resize(edge * edge, 0.0);
        return;
    };
    for y in rows {
        let row = &mask.pixels[y * mask.width..][..mask.width];
        labels.extend(columns.iter().map(|x| f32::from(row[*x])));
    }
}

#[cfg(test)]
mod tests;
