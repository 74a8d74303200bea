//! Masks: what is foreground in a file, and values that a mask should not have.

use std::collections::BTreeMap;

use crate::worker::learner::LearnerError;

use super::Source;
use super::picture::Picture;

/// The truth of an image.
#[derive(Clone, Debug)]
pub struct Mask {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 for foreground, 0 for background, row by row.
    pub pixels: Vec<u8>,
    /// Pixels by their value in the file, for values that are neither 0 nor that of foreground.
    pub odd: BTreeMap<u16, u64>,
    /// Whether pixels of different colours were found.
    pub is_coloured: bool,
}

impl Mask {
    /// A mask of zeros and ones, for tests.
    #[cfg(test)]
    pub(super) fn of_pixels(height: usize, width: usize, pixels: Vec<u8>) -> Self {
        Self { height, width, pixels, odd: BTreeMap::new(), is_coloured: false }
    }

    /// Returns the number of foreground pixels.
    #[must_use]
    pub fn foreground(&self) -> u64 {
        self.pixels.iter().map(|pixel| u64::from(*pixel)).sum()
    }
}

impl Source {
    /// Decodes the image as a mask. Of a colour mask the largest of red, green and blue counts.
    /// Foreground is 1 in a mask of zeros and ones, otherwise the upper half of the range: above 127,
    /// or above 32767 where a value of a 16-bit file is above 255 (many programs save 8-bit masks in
    /// 16 bits without stretching them).
    ///
    /// # Errors
    /// As for [`Self::read_picture`], and when nothing of the mask would be foreground although it is
    /// not empty: labels of objects would silently become background.
    pub fn read_mask(&self) -> Result<Mask, LearnerError> {
        let picture = self.read_picture()?;
        let (values, is_coloured) = whole_values(&picture);
        let largest = values.iter().copied().max().unwrap_or_default();
        let is_wide = picture.is_wide() && largest > 255;
        let limit = if is_wide { 32_767 } else { 127 };
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
        let (above, full) = match largest {
            0 | 1 => (0, 1),
            _ if is_wide => (limit, u16::MAX),
            _ => (limit, 255),
        };
        let pixels = values.iter().map(|value| u8::from(*value > above)).collect();
        let mut odd = BTreeMap::new();
        for value in values.iter().filter(|value| **value != 0 && **value != full) {
            *odd.entry(*value).or_default() += 1;
        }
        Ok(Mask { height: picture.height, width: picture.width, pixels, odd, is_coloured })
    }
}

/// Returns the largest of each pixel's planes, and whether planes differ anywhere.
fn whole_values(picture: &Picture) -> (Vec<u16>, bool) {
    let mut is_coloured = false;
    let values = (0..picture.height * picture.width).map(|pixel| {
        let planes = (0..picture.planes).map(|plane| picture.raw(pixel * picture.planes + plane));
        let (least, most) =
            planes.fold((u16::MAX, 0), |(a, b), value| (a.min(value), b.max(value)));
        is_coloured |= least != most;
        most
    });
    (values.collect(), is_coloured)
}

/// What was odd in the masks of a data set.
#[derive(Debug, Default)]
pub(super) struct Oddities {
    odd: Finding,
    values: BTreeMap<u16, u64>,
    coloured: Finding,
}

/// Masks that have something, and the first of them.
#[derive(Debug, Default)]
struct Finding {
    masks: u64,
    first: Option<String>,
}

impl Finding {
    fn note(&mut self, name: &str) {
        self.masks += 1;
        self.first.get_or_insert_with(|| name.to_owned());
    }
}

/// Values that are told at most.
const TOLD: usize = 6;

impl Oddities {
    pub(super) fn look(&mut self, name: &str, mask: &Mask) {
        if mask.is_coloured {
            self.coloured.note(name);
        }
        if !mask.odd.is_empty() {
            self.odd.note(name);
            mask.odd
                .iter()
                .for_each(|(value, count)| *self.values.entry(*value).or_default() += count);
        }
    }

    /// A sentence for each kind.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(first) = &self.odd.first {
            let mut most: Vec<(u16, u64)> = self.values.iter().map(|(v, n)| (*v, *n)).collect();
            most.sort_by_key(|(value, count)| (std::cmp::Reverse(*count), *value));
            let told: Vec<String> =
                most.iter().take(TOLD).map(|(value, count)| format!("{value} ({count})")).collect();
            let more = if most.len() > TOLD { ", …" } else { "" };
            warnings.push(format!(
                "{} masks, first `{first}`, hold {} pixels with values between those of background \
                 and foreground: {}{more}; the upper half of the range is foreground (above 127 of 8 \
                 bits). Smooth edges and lossy compression do this; masks of 0 and 255 are exact",
                self.odd.masks,
                self.values.values().sum::<u64>(),
                told.join(", "),
            ));
        }
        if let Some(first) = &self.coloured.first {
            warnings.push(format!(
                "{} masks, first `{first}`, are coloured: a pixel is foreground where the largest of \
                 red, green and blue is in the upper half of the range, whatever the colour",
                self.coloured.masks
            ));
        }
        warnings
    }
}
