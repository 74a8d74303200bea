//! What a data set looks like: how many slices, how bright, how much foreground, for each part.

use serde::Serialize;

use super::{DataSet, Part, Region};

/// A data set as its training sees it. Files for the test are counted and not opened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Regions for training.
    pub train: Share,
    /// Regions for validation.
    pub val: Share,
    /// Both together.
    pub all: Share,
    /// Files for the test.
    pub test_files: u64,
    /// Files that are in a gap, or that `split.csv` leaves out.
    pub unused_files: u64,
    /// Regions (files, or cells of random patches) that `data.train_fraction` leaves out of training.
    pub left_out: u64,
    /// Bits of a value in the image files: 8, 16 or both.
    pub bits: Vec<u32>,
    /// Values of a pixel in the image files: 1 (grey), 3 (colour) or both.
    pub planes: Vec<u32>,
}

/// Numbers of one part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Share {
    /// Slices that it has pixels of.
    pub slices: u64,
    /// Pixels.
    pub pixels: u64,
    /// Fraction of the pixels that is foreground.
    pub density: f64,
    /// Slices without any foreground in this part.
    pub empty_slices: u64,
    /// Mean grey value in `[0, 1]`, after the contrast step.
    pub brightness: f64,
    /// Standard deviation of the grey values.
    pub brightness_std: f64,
}

impl Summary {
    /// Returns the fraction of the training pixels that is foreground.
    #[must_use]
    pub fn train_density(data: &DataSet) -> f64 {
        let (mut foreground, mut pixels) = (0_u64, 0_u64);
        for region in &data.train {
            pixels += (region.height * region.width) as u64;
            let Some(mask) = &data.slices[region.slice].mask else { continue };
            for y in region.top..region.top + region.height {
                let row = &mask.pixels[y * mask.width + region.left..][..region.width];
                foreground += row.iter().map(|pixel| u64::from(*pixel)).sum::<u64>();
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "pixel counts stay far below 2^53")]
        let density = foreground as f64 / pixels.max(1) as f64;
        density
    }

    /// Looks at every pixel of training and validation.
    #[must_use]
    pub fn of(data: &DataSet) -> Self {
        let (train, val) = (Sums::of(data, &data.train), Sums::of(data, &data.val));
        let count = |part| data.roles.parts.iter().filter(|of| **of == part).count() as u64;
        let kinds = |of: &dyn Fn(&super::Picture) -> u32| {
            let all: std::collections::BTreeSet<u32> =
                data.slices.iter().map(|slice| of(&slice.picture)).collect();
            all.into_iter().collect()
        };
        Self {
            train: train.share(),
            val: val.share(),
            all: train.with(&val).share(),
            test_files: count(Part::Test),
            unused_files: count(Part::Unused),
            left_out: data.left_out as u64,
            bits: kinds(&super::Picture::bits),
            planes: kinds(&|picture| u32::try_from(picture.planes).unwrap_or_default()),
        }
    }
}

/// What shares are computed from.
#[derive(Clone, Debug, Default)]
struct Sums {
    /// Foreground pixels by slice.
    foreground: std::collections::BTreeMap<usize, u64>,
    pixels: u64,
    sum: f64,
    squares: f64,
}

impl Sums {
    fn of(data: &DataSet, regions: &[Region]) -> Self {
        let mut sums = Self::default();
        let mut values = Vec::new();
        for region in regions {
            let slice = &data.slices[region.slice];
            let foreground = sums.foreground.entry(region.slice).or_default();
            for y in region.top..region.top + region.height {
                let columns = region.left..region.left + region.width;
                if let Some(mask) = &slice.mask {
                    let row = &mask.pixels[y * mask.width..][columns.clone()];
                    *foreground += row.iter().map(|pixel| u64::from(*pixel)).sum::<u64>();
                }
                values.clear();
                slice.picture.push_row(&mut values, y, columns, 0, 1);
                sums.pixels += values.len() as u64;
                for value in values.iter().copied().map(f64::from) {
                    sums.sum += value;
                    sums.squares += value * value;
                }
            }
        }
        sums
    }

    fn with(mut self, other: &Self) -> Self {
        for (slice, foreground) in &other.foreground {
            *self.foreground.entry(*slice).or_default() += foreground;
        }
        self.pixels += other.pixels;
        self.sum += other.sum;
        self.squares += other.squares;
        self
    }

    #[expect(clippy::cast_precision_loss, reason = "pixel counts stay far below 2^53")]
    fn share(&self) -> Share {
        let pixels = f64::max(self.pixels as f64, 1.0);
        let foreground: u64 = self.foreground.values().sum();
        let mean = self.sum / pixels;
        Share {
            slices: self.foreground.len() as u64,
            pixels: self.pixels,
            density: foreground as f64 / pixels,
            empty_slices: self.foreground.values().filter(|count| **count == 0).count() as u64,
            brightness: mean,
            brightness_std: (self.squares / pixels - mean * mean).max(0.0).sqrt(),
        }
    }
}
