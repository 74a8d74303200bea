//! A file's pixels: PNG or a page of a TIFF, 8 or 16 bits, grey or colour.

mod stack;

use std::path::{Path, PathBuf};

use image::DynamicImage;

use crate::layout::{self, Limit};
use crate::worker::learner::LearnerError;

use super::unreadable;

/// A place that holds one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// The page within it, counted from 0; 0 for a PNG.
    pub page: usize,
}

/// An image in the precision of its file.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Values of a pixel: 1 (grey) or 3 (red, green, blue).
    pub planes: usize,
    samples: Samples,
    /// The contrast step, where there is one.
    contrast: Option<Contrast>,
}

/// A step that every value goes through: multiplied, added to, clipped to `[0, 1]`.
#[derive(Clone, Copy, Debug)]
struct Contrast {
    gain: f32,
    offset: f32,
}

impl Contrast {
    fn apply(self, value: f32) -> f32 {
        (self.gain * value + self.offset).clamp(0.0, 1.0)
    }
}

#[derive(Clone, Debug)]
enum Samples {
    Byte(Vec<u8>),
    Word(Vec<u16>),
}

impl Picture {
    /// Returns a pixel's value in `[0, 1]` in channel `channel` of `channels`. A grey image has
    /// equal channels; a colour image has its luminance (ITU-R BT.709) where one is asked for.
    #[must_use]
    pub fn value(&self, y: usize, x: usize, channel: usize, channels: usize) -> f32 {
        let at = (y * self.width + x) * self.planes;
        match (self.planes, channels) {
            (1, _) => self.sample(at),
            (_, 1) => {
                let [red, green, blue] = [0, 1, 2].map(|plane| self.sample(at + plane));
                0.2126 * red + 0.7152 * green + 0.0722 * blue
            }
            _ => self.sample(at + channel),
        }
    }

    /// A value as the file has it.
    pub(super) fn raw(&self, at: usize) -> u16 {
        match &self.samples {
            Samples::Byte(values) => u16::from(values[at]),
            Samples::Word(values) => values[at],
        }
    }

    /// A picture of 8-bit values, row by row, for tests.
    #[cfg(test)]
    pub(in crate::train) fn of_bytes(
        height: usize,
        width: usize,
        planes: usize,
        values: Vec<u8>,
    ) -> Self {
        Self { height, width, planes, samples: Samples::Byte(values), contrast: None }
    }

    fn sample(&self, at: usize) -> f32 {
        let value = match &self.samples {
            Samples::Byte(values) => f32::from(values[at]) / 255.0,
            Samples::Word(values) => f32::from(values[at]) / 65_535.0,
        };
        self.contrast.map_or(value, |contrast| contrast.apply(value))
    }

    /// Appends the values of a row's columns, as [`Self::value`] returns them.
    pub(in crate::train) fn push_row(
        &self,
        values: &mut Vec<f32>,
        y: usize,
        columns: std::ops::Range<usize>,
        channel: usize,
        channels: usize,
    ) {
        match (&self.samples, self.planes, self.contrast) {
            (Samples::Byte(bytes), 1, None) => {
                let row = &bytes[y * self.width..][columns];
                values.extend(row.iter().map(|byte| f32::from(*byte) / 255.0));
            }
            _ => values.extend(columns.map(|x| self.value(y, x, channel, channels))),
        }
    }

    /// Sets the contrast step: from here on every value is `gain` times what the file says plus
    /// `offset`, clipped to `[0, 1]`.
    #[expect(clippy::cast_possible_truncation, reason = "values are of 32 bits")]
    pub(in crate::train) fn set_contrast(&mut self, gain: f64, offset: f64) {
        let changes = gain != 1.0 || offset != 0.0;
        self.contrast = changes.then_some(Contrast { gain: gain as f32, offset: offset as f32 });
    }

    /// Bits of a value in the file.
    pub(super) fn bits(&self) -> u32 {
        if self.is_wide() { 16 } else { 8 }
    }

    pub(in crate::train) fn is_wide(&self) -> bool {
        matches!(self.samples, Samples::Word(_))
    }
}

impl Source {
    /// Says whether a file is of a kind that can be read.
    pub(super) fn knows(path: &Path) -> bool {
        is_png(path) || is_tiff(path)
    }

    /// Lists the images of a file: one for a PNG, one for each page of a TIFF.
    ///
    /// # Errors
    /// When a TIFF cannot be read.
    pub(super) fn pages(path: &Path) -> Result<Vec<Self>, LearnerError> {
        let pages = if is_tiff(path) { stack::pages(path)? } else { 1 };
        Ok((0..pages).map(|page| Self { path: path.to_owned(), page }).collect())
    }

    /// Decodes the image.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else than 8- or 16-bit grey or colour.
    pub fn read_picture(&self) -> Result<Picture, LearnerError> {
        if is_tiff(&self.path) { stack::read(&self.path, self.page) } else { read_png(&self.path) }
    }
}

fn extension_is(path: &Path, known: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| known.iter().any(|k| extension.eq_ignore_ascii_case(k)))
}

fn is_png(path: &Path) -> bool {
    extension_is(path, &["png"])
}

fn is_tiff(path: &Path) -> bool {
    extension_is(path, &["tif", "tiff"])
}

fn read_png(path: &Path) -> Result<Picture, LearnerError> {
    let bytes = layout::read_named(path, Limit::IMAGE).map_err(|error| unreadable(path, &error))?;
    let decoded = image::load_from_memory_with_format(&bytes, image::ImageFormat::Png)
        .map_err(|error| unreadable(path, &error))?;
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let (planes, samples) = match decoded {
        DynamicImage::ImageLuma8(grey) => (1, Samples::Byte(grey.into_raw())),
        DynamicImage::ImageLuma16(grey) => (1, Samples::Word(grey.into_raw())),
        DynamicImage::ImageLumaA8(_) => (1, Samples::Byte(decoded.into_luma8().into_raw())),
        DynamicImage::ImageLumaA16(_) => (1, Samples::Word(decoded.into_luma16().into_raw())),
        DynamicImage::ImageRgb16(_) | DynamicImage::ImageRgba16(_) => {
            (3, Samples::Word(decoded.into_rgb16().into_raw()))
        }
        other => (3, Samples::Byte(other.into_rgb8().into_raw())),
    };
    Ok(Picture { height, width, planes, samples, contrast: None })
}
