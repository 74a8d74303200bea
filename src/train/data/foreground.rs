//! Windows around foreground: every foreground pixel of the training regions can be chosen, each with
//! the same probability.

use std::sync::Arc;

use crate::train::draw::Draw;

use super::Slice;
use super::patch::{Region, Window};

/// Where the foreground of some regions is.
#[derive(Clone, Debug)]
pub(super) struct Foreground {
    regions: Arc<[Region]>,
    rows: Arc<[Row]>,
}

/// A row that holds foreground.
#[derive(Clone, Copy, Debug)]
struct Row {
    region: u32,
    /// Counted from the region's corner.
    y: u32,
    /// Foreground pixels up to the end of this row.
    total: u64,
}

impl Foreground {
    /// Finds it; none where there is none.
    pub(super) fn of(slices: &[Slice], regions: &[Region]) -> Option<Self> {
        let (mut rows, mut total) = (Vec::new(), 0);
        for (region, index) in regions.iter().zip(0..) {
            for (y, at) in (0..region.height).zip(0..) {
                let found =
                    row(slices, *region, y).iter().map(|pixel| u64::from(*pixel)).sum::<u64>();
                total += found;
                if found > 0 {
                    rows.push(Row { region: index, y: at, total });
                }
            }
        }
        (total > 0).then(|| Self { regions: regions.into(), rows: rows.into() })
    }

    /// A window of edge `edge` around a foreground pixel, within its region as far as that is large
    /// enough.
    #[expect(clippy::cast_possible_truncation, reason = "below the size of an image")]
    pub(super) fn window(&self, slices: &[Slice], edge: usize, draw: &mut Draw) -> Option<Window> {
        let chosen = draw.below(self.rows.last()?.total);
        let index = self.rows.partition_point(|row| row.total <= chosen);
        let before = index.checked_sub(1).map_or(0, |index| self.rows[index].total);
        let Row { region, y, .. } = *self.rows.get(index)?;
        let region = *self.regions.get(region as usize)?;
        let y = y as usize;
        let pixels = row(slices, region, y).iter().enumerate().filter(|(_, pixel)| **pixel == 1);
        let x = pixels.map(|(x, _)| x).nth((chosen - before) as usize)?;
        let mut start = |place: usize, side: usize| {
            let last = place.min(side.saturating_sub(edge));
            let first = (place + 1).saturating_sub(edge).min(last);
            first + draw.below((last - first) as u64 + 1) as usize
        };
        let (top, left) = (start(y, region.height), start(x, region.width));
        Some(Window { region, top, left, anchor: Some((y, x)) })
    }
}

/// A row of a region's mask; empty where there is no mask.
fn row(slices: &[Slice], region: Region, y: usize) -> &[u8] {
    let Some(mask) = slices.get(region.slice).and_then(|slice| slice.mask.as_ref()) else {
        return &[];
    };
    &mask.pixels[(region.top + y) * mask.width + region.left..][..region.width]
}
