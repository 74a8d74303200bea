//! A file's pixels: PNG or a page of a TIFF, 8 or 16 bits, grey or colour; and masks.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use image::DynamicImage;
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult};

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

/// The truth of an image.
#[derive(Clone, Debug)]
pub struct Mask {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 for foreground, 0 for background, row by row.
    pub pixels: Vec<u8>,
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

    fn sample(&self, at: usize) -> f32 {
        let value = match &self.samples {
            Samples::Byte(values) => f32::from(values[at]) / 255.0,
            Samples::Word(values) => f32::from(values[at]) / 65_535.0,
        };
        self.contrast.map_or(value, |contrast| contrast.apply(value))
    }

    /// Appends the values of a row's columns, as [`Self::value`] returns them.
    pub(super) fn push_row(
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
    pub(super) fn set_contrast(&mut self, gain: f64, offset: f64) {
        let changes = gain != 1.0 || offset != 0.0;
        self.contrast = changes.then_some(Contrast { gain: gain as f32, offset: offset as f32 });
    }

    /// Bits of a value in the file.
    pub(super) fn bits(&self) -> u32 {
        if self.is_wide() { 16 } else { 8 }
    }

    fn is_wide(&self) -> bool {
        matches!(self.samples, Samples::Word(_))
    }

    /// Returns the largest of each pixel's planes: a mask painted in any colour is foreground.
    fn whole_values(&self) -> Vec<u16> {
        let pixels = 0..self.height * self.width;
        let at = |index: usize| match &self.samples {
            Samples::Byte(values) => u16::from(values[index]),
            Samples::Word(values) => values[index],
        };
        pixels
            .map(|pixel| {
                let planes = (0..self.planes).map(|plane| at(pixel * self.planes + plane));
                planes.max().unwrap_or_default()
            })
            .collect()
    }
}

impl Mask {
    /// Returns the number of foreground pixels.
    #[must_use]
    pub fn foreground(&self) -> u64 {
        self.pixels.iter().map(|pixel| u64::from(*pixel)).sum()
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
        let page = |page| Self { path: path.to_owned(), page };
        if !is_tiff(path) {
            return Ok(vec![page(0)]);
        }
        let mut decoder = open_tiff(path)?;
        let mut pages = vec![page(0)];
        while decoder.more_images() {
            decoder.next_image().map_err(|error| unreadable(path, &error))?;
            pages.push(page(pages.len()));
        }
        Ok(pages)
    }

    /// Decodes the image.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else than 8- or 16-bit grey or colour.
    pub fn read_picture(&self) -> Result<Picture, LearnerError> {
        if is_tiff(&self.path) { read_tiff(&self.path, self.page) } else { read_png(&self.path) }
    }

    /// Decodes the image as a mask. Foreground is 1 in a mask of zeros and ones, otherwise the
    /// upper half of the range (above 127 of 8 bits).
    ///
    /// # Errors
    /// As for [`Self::read_picture`], and when the values are neither: labels of objects would
    /// silently become background.
    pub fn read_mask(&self) -> Result<Mask, LearnerError> {
        let picture = self.read_picture()?;
        let values = picture.whole_values();
        let largest = values.iter().copied().max().unwrap_or_default();
        // Many programs save an 8-bit mask in 16 bits without stretching it.
        let limit = if picture.is_wide() && largest > 255 { 32_767 } else { 127 };
        if largest > 1 && largest <= limit {
            return Err(LearnerError::Data {
                path: self.path.clone(),
                what: format!("its largest value is {largest}, so nothing is foreground"),
                hint: Some(
                    "a mask has 0 for background and 255 (or 1) for foreground; labels of \
                     objects must be turned into that first"
                        .to_owned(),
                ),
            });
        }
        let above = if largest <= 1 { 0 } else { limit };
        let pixels = values.iter().map(|value| u8::from(*value > above)).collect();
        Ok(Mask { height: picture.height, width: picture.width, pixels })
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
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
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

fn open_tiff(path: &Path) -> Result<Decoder<BufReader<File>>, LearnerError> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    Decoder::new(BufReader::new(file)).map_err(|error| unreadable(path, &error))
}

fn read_tiff(path: &Path, page: usize) -> Result<Picture, LearnerError> {
    let wrong = |error: tiff::TiffError| unreadable(path, &error);
    let mut decoder = open_tiff(path)?;
    decoder.seek_to_image(page).map_err(wrong)?;
    let (width, height) = decoder.dimensions().map_err(wrong)?;
    let (width, height) = (width as usize, height as usize);
    let color = decoder.colortype().map_err(wrong)?;
    let kept = match color {
        ColorType::Gray(8 | 16) | ColorType::GrayA(8 | 16) => 1,
        ColorType::RGB(8 | 16) | ColorType::RGBA(8 | 16) => 3,
        other => return Err(unsupported(path, page, &format!("{other:?}"))),
    };
    let samples = match decoder.read_image().map_err(wrong)? {
        DecodingResult::U8(values) => Samples::Byte(keep(values, width * height, kept)),
        DecodingResult::U16(values) => Samples::Word(keep(values, width * height, kept)),
        _ => return Err(unsupported(path, page, "numbers that are not 8- or 16-bit")),
    };
    Ok(Picture { height, width, planes: kept, samples, contrast: None })
}

fn unsupported(path: &Path, page: usize, found: &str) -> LearnerError {
    LearnerError::Data {
        path: path.to_owned(),
        what: format!("page {page} holds {found}"),
        hint: Some("save it as 8- or 16-bit grey or RGB".to_owned()),
    }
}

/// Drops what a pixel has beyond its first `kept` values (transparency).
fn keep<T: Copy>(values: Vec<T>, pixels: usize, kept: usize) -> Vec<T> {
    let there = values.len() / pixels.max(1);
    if there <= kept {
        return values;
    }
    values.chunks_exact(there).flat_map(|pixel| &pixel[..kept]).copied().collect()
}
