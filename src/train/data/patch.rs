//! Regions of slices, the windows cut out of them, and the order of an epoch.

use crate::train::draw::Draw;

use super::Slice;
use super::foreground::Foreground;
use super::picture::Picture;

/// A rectangle of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Index of the slice.
    pub slice: usize,
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Region {
    /// All of a slice.
    #[must_use]
    pub fn whole(slice: usize, picture: &Picture) -> Self {
        Self { slice, top: 0, left: 0, height: picture.height, width: picture.width }
    }

    /// Returns the place in the slice of the pixel (y, x) counted from the region's corner; what
    /// lies beyond the region is its mirror image.
    #[must_use]
    pub fn mirrored(&self, y: usize, x: usize) -> (usize, usize) {
        (self.top + mirror(y, self.height), self.left + mirror(x, self.width))
    }
}

/// Folds an index into `0..length` as between two mirrors that stand on the outer pixels.
fn mirror(index: usize, length: usize) -> usize {
    if index < length {
        return index;
    }
    let period = 2 * (length.max(2) - 1);
    let place = index % period;
    place.min(period - place).min(length - 1)
}

/// A square cut out of a region; `top` and `left` count from the region's corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) region: Region,
    pub(super) top: usize,
    pub(super) left: usize,
    /// A place, counted from the region's corner, that the patch should show.
    pub(super) anchor: Option<(usize, usize)>,
}

/// Says which windows an epoch shows, in which order.
#[derive(Clone, Debug)]
pub struct Sampler {
    seed: u64,
    edge: usize,
    grid: Vec<Window>,
    crops: Option<u64>,
    /// Fraction of the random windows that hold foreground, and where that is.
    foreground: Option<(f64, Foreground)>,
    /// The order of the epoch last asked for.
    order: (u64, Vec<usize>),
}

impl Sampler {
    /// Lays a grid of non-overlapping windows of edge `edge` over the regions. Windows at the lower
    /// and right border are moved inwards, so that every pixel is seen; a region smaller than a
    /// window is extended by mirroring. With `crops` an epoch shows that many random windows.
    #[must_use]
    pub fn new(regions: &[Region], edge: u32, crops: Option<u64>, seed: u64) -> Self {
        let edge = edge as usize;
        let grid = regions.iter().flat_map(|region| {
            let columns = starts(region.width, edge);
            starts(region.height, edge).into_iter().flat_map(move |top| {
                let window = move |left| Window { region: *region, top, left, anchor: None };
                columns.clone().into_iter().map(window)
            })
        });
        Self { seed, edge, grid: grid.collect(), crops, foreground: None, order: (0, Vec::new()) }
    }

    /// Lets the fraction `part` of the random windows hold a foreground pixel that is chosen at random
    /// among all of the regions; they lie at random around it. Without random windows, or where there
    /// is no foreground, nothing changes.
    #[must_use]
    pub fn with_foreground(mut self, part: f64, slices: &[Slice], regions: &[Region]) -> Self {
        if part > 0.0 && self.crops.is_some() {
            self.foreground = Foreground::of(slices, regions).map(|found| (part, found));
        }
        self
    }

    /// Returns the number of windows in an epoch.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.crops.unwrap_or(self.grid.len() as u64)
    }

    /// Returns window `sample` of an epoch: a function of (seed, epoch, sample).
    pub(super) fn window(&mut self, slices: &[Slice], epoch: u64, sample: u64) -> Option<Window> {
        if self.crops.is_some() {
            return self.crop(slices, epoch, sample);
        }
        if self.order.0 != epoch {
            let order = Draw::new(self.seed, "order", epoch, 0).permutation(self.grid.len());
            self.order = (epoch, order);
        }
        let index = self.order.1.get(usize::try_from(sample).ok()?)?;
        self.grid.get(*index).copied()
    }

    /// A random window. Large regions have more grid cells, so that all pixels count alike.
    #[expect(clippy::cast_possible_truncation, reason = "below the size of an image")]
    fn crop(&self, slices: &[Slice], epoch: u64, sample: u64) -> Option<Window> {
        if let Some((part, foreground)) = &self.foreground {
            let mut draw = Draw::new(self.seed, "foreground crop", epoch, sample);
            if draw.unit() < *part {
                return foreground.window(slices, self.edge, &mut draw);
            }
        }
        let mut draw = Draw::new(self.seed, "crop", epoch, sample);
        let region = self.grid.get(draw.below(self.grid.len() as u64) as usize)?.region;
        let mut start = |side: usize| {
            let free = side.saturating_sub(self.edge) as u64;
            draw.below(free + 1) as usize
        };
        let (top, left) = (start(region.height), start(region.width));
        Some(Window { region, top, left, anchor: None })
    }
}

/// First pixels of windows that cover `0..side`.
fn starts(side: usize, edge: usize) -> Vec<usize> {
    let last = side.saturating_sub(edge);
    (0..side.div_ceil(edge).max(1)).map(|number| (number * edge).min(last)).collect()
}

/// Cuts slices into cells of edge `edge` (smaller at the border), each pixel in one cell, and deals
/// the cells at random into training and validation.
pub(super) fn deal_cells(
    slices: &[Region],
    edge: u32,
    val_fraction: f64,
    seed: u64,
) -> (Vec<Region>, Vec<Region>) {
    let edge = edge as usize;
    let mut cells = Vec::new();
    for slice in slices {
        for top in (0..slice.height).step_by(edge) {
            for left in (0..slice.width).step_by(edge) {
                let (height, width) = (slice.height - top, slice.width - left);
                let (height, width) = (height.min(edge), width.min(edge));
                cells.push(Region { slice: slice.slice, top, left, height, width });
            }
        }
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a fraction of a small whole number"
    )]
    let count = (cells.len() as f64 * val_fraction).round().max(1.0) as usize;
    let order = Draw::new(seed, "leaky split", 0, 0).permutation(cells.len());
    let mut chosen = vec![false; cells.len()];
    order.iter().take(count).for_each(|index| chosen[*index] = true);
    let of = |val| {
        let pairs = cells.iter().zip(&chosen).filter(move |(_, chosen)| **chosen == val);
        pairs.map(|(cell, _)| *cell).collect::<Vec<_>>()
    };
    (of(false), of(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGION: Region = Region { slice: 0, top: 0, left: 0, height: 100, width: 70 };

    #[test]
    fn the_grid_covers_every_pixel_and_an_epoch_shows_each_window_once() {
        let mut sampler = Sampler::new(&[REGION], 32, None, 1);
        assert_eq!(sampler.samples(), 4 * 3);
        let mut seen = vec![false; 100 * 70];
        let mut windows = Vec::new();
        for sample in 0..12 {
            let window = sampler.window(&[], 3, sample).expect("window");
            for (y, x) in (0..32).flat_map(|y| (0..32).map(move |x| (y, x))) {
                seen[(window.top + y) * 70 + window.left + x] = true;
            }
            windows.push((window.top, window.left));
        }
        assert!(seen.iter().all(|seen| *seen));
        let order = windows.clone();
        windows.sort_unstable();
        windows.dedup();
        assert_eq!(windows.len(), 12);
        let next: Vec<_> = (0..12)
            .map(|sample| sampler.window(&[], 4, sample).map(|w| (w.top, w.left)).expect("window"))
            .collect();
        assert_ne!(order, next, "another epoch has another order");
        assert_eq!(sampler.window(&[], 4, 12), None);
    }

    #[test]
    fn crops_stay_inside_and_reach_the_border() {
        let mut sampler = Sampler::new(&[REGION], 32, Some(2000), 1);
        let tops: Vec<_> =
            (0..2000).map(|sample| sampler.window(&[], 1, sample).expect("window").top).collect();
        assert_eq!((tops.iter().min(), tops.iter().max()), (Some(&0), Some(&68)));
    }

    #[test]
    fn a_region_smaller_than_the_window_is_mirrored() {
        let places: Vec<_> = (0..8).map(|index| mirror(index, 3)).collect();
        assert_eq!(places, [0, 1, 2, 1, 0, 1, 2, 1]);
        assert_eq!(mirror(5, 1), 0);
    }

    #[test]
    fn dealt_cells_hold_every_pixel_once() {
        let (train, val) = deal_cells(&[REGION], 32, 0.25, 1);
        assert_eq!((train.len(), val.len()), (9, 3));
        let mut count = vec![0; 100 * 70];
        for cell in train.iter().chain(&val) {
            for y in cell.top..cell.top + cell.height {
                for x in cell.left..cell.left + cell.width {
                    count[y * 70 + x] += 1;
                }
            }
        }
        assert!(count.iter().all(|count| *count == 1));
    }
}
