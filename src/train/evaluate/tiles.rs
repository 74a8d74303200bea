//! How a large image is cut into tiles, and what each tile's logits weigh where tiles overlap.

use tch::Device;

use crate::train::model::Network;
use crate::worker::learner::LearnerError;

/// Longest side, in pixels, that is computed in one piece where neither network nor user says.
const WHOLE: usize = 1024;
/// Bytes that the tiles which go through a network on a GPU together may take.
const ROOM: u64 = 4 << 30;
/// Tiles that go through a network together at most, where nobody says.
const MOST: u64 = 16;

/// What a user wishes; nothing is decided by the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TileWish {
    /// Edge of a tile, in pixels.
    pub tile: Option<u32>,
    /// Pixels that neighbouring tiles share.
    pub overlap: Option<u32>,
    /// Tiles that go through the network together.
    pub at_once: Option<u32>,
}

/// How images are cut for a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::train) struct Tiling {
    /// Longest side, in pixels, that is computed at once.
    pub(in crate::train) side: usize,
    /// Pixels that neighbouring tiles share, at least.
    pub(in crate::train) overlap: usize,
    /// Pixels at each inner border of a tile that weigh nothing.
    pub(in crate::train) margin: usize,
    /// Tiles begin at multiples of this.
    pub(super) grid: usize,
    /// Whether smaller images are extended to `side`, by mirroring.
    pub(super) is_filled: bool,
    /// Whether the tiles say what a pass over the whole image says.
    pub(in crate::train) is_exact: bool,
    /// Tiles that go through the network together.
    pub(in crate::train) at_once: usize,
}

/// A piece of a side.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tile {
    /// First pixel.
    pub(super) start: usize,
    /// Pixels.
    pub(super) length: usize,
    /// What each pixel of the tile weighs; at each pixel of the image the weights of all tiles sum to 1.
    pub(super) weights: Vec<f32>,
}

impl Tiling {
    /// Cuts as the network needs it.
    pub(in crate::train) fn of(network: &dyn Network, device: Device) -> Self {
        let grid = size(network.grid()).max(1);
        let (side, margin) = match (network.largest_piece(), network.receptive_radius()) {
            (Some(side), _) => return Self::whole_patches(size(side), network, device),
            (None, Some(radius)) => (usual_side(size(radius)), size(radius)),
            (None, None) => (WHOLE, 0),
        };
        let side = up_to(side, grid);
        let (overlap, is_exact) = match network.receptive_radius() {
            Some(_) => (2 * margin + grid, true),
            None => ((side / 2).min(side - grid), false),
        };
        let at_once = at_once(network, side, device);
        Self { side, overlap, margin, grid, is_filled: false, is_exact, at_once }
    }

    /// Networks that say how much they take get that, as in training; half of it is shared.
    fn whole_patches(side: usize, network: &dyn Network, device: Device) -> Self {
        let at_once = at_once(network, side, device);
        let (overlap, margin, grid) = (side / 2, 0, 1);
        Self { side, overlap, margin, grid, is_filled: true, is_exact: false, at_once }
    }

    /// Cuts as somebody wishes. The edge of tiles is a wish for networks that take any size only, and
    /// becomes a multiple of the network's grid.
    ///
    /// # Errors
    /// When tiles overlap so much that they would not move on.
    pub(in crate::train) fn wished(
        network: &dyn Network,
        device: Device,
        wish: TileWish,
    ) -> Result<Self, LearnerError> {
        let mut tiling = Self::of(network, device);
        if let Some(tile) = wish.tile.filter(|_| !tiling.is_filled) {
            // Where tiles are blended alone, less than two steps of the grid would leave nothing to share.
            let least = if tiling.is_exact { tiling.grid } else { 2 * tiling.grid };
            tiling.side = up_to(tile as usize, tiling.grid).max(least);
            tiling.overlap = tiling.usual_overlap();
        }
        let most = tiling.side.saturating_sub(tiling.grid);
        if let Some(overlap) = wish.overlap.map(|overlap| overlap as usize) {
            if overlap > most {
                return Err(LearnerError::Setting {
                    setting: "--overlap".to_owned(),
                    what: format!(
                        "tiles of {} pixels can share {most} pixels at most; a larger --tile or a \
                         smaller --overlap",
                        tiling.side
                    ),
                });
            }
            tiling.overlap = overlap;
        }
        tiling.overlap = tiling.overlap.min(most);
        if tiling.is_exact && tiling.overlap < 2 * tiling.margin {
            tiling.is_exact = false;
            tiling.margin = tiling.overlap / 4;
        }
        if wish.tile.is_some() {
            tiling.at_once = at_once(network, tiling.side, device);
        }
        if let Some(count) = wish.at_once {
            tiling.at_once = (count as usize).max(1);
        }
        Ok(tiling)
    }

    /// Overlap with which tiles of this side are exact, if they have room for it; half a tile otherwise.
    fn usual_overlap(&self) -> usize {
        let needed = 2 * self.margin + self.grid;
        if self.is_exact && needed + self.grid <= self.side { needed } else { self.side / 2 }
    }

    /// Cuts a side into tiles that begin at multiples of the grid; the last one ends with the side.
    pub(super) fn along(&self, length: usize) -> Vec<Tile> {
        if length <= self.side {
            return vec![Tile { start: 0, length, weights: vec![1.0; length] }];
        }
        let last = up_to(length - self.side, self.grid);
        let step = ((self.side - self.overlap) / self.grid * self.grid).max(self.grid);
        let starts = (0..last).step_by(step).chain([last]);
        let spans: Vec<_> = starts.map(|start| (start, self.side.min(length - start))).collect();
        let raw: Vec<Vec<f64>> =
            spans.iter().map(|(start, side)| self.gauss(*start, *side, length)).collect();
        let mut sums = vec![0.0; length];
        for ((start, _), weights) in spans.iter().zip(&raw) {
            sums[*start..].iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
        }
        let tile = |((start, length), raw): ((usize, usize), Vec<f64>)| {
            #[expect(clippy::cast_possible_truncation, reason = "weights are of 32 bits")]
            let share = |(weight, sum): (&f64, &f64)| (weight / sum) as f32;
            let weights = raw.iter().zip(&sums[start..]).map(share).collect();
            Tile { start, length, weights }
        };
        spans.into_iter().zip(raw).map(tile).collect()
    }

    /// A Gaussian about the middle of what counts, its deviation an eighth of a tile (as nnU-Net, Isensee
    /// et al. 2021, weighs its patches); nothing within the margin of an inner border.
    #[expect(clippy::cast_precision_loss, reason = "sides of images are small")]
    fn gauss(&self, start: usize, side: usize, length: usize) -> Vec<f64> {
        let first = if start > 0 { self.margin } else { 0 };
        let end = if start + side < length { side - self.margin } else { side };
        let (middle, deviation) = ((first + end) as f64 / 2.0, self.side as f64 / 8.0);
        let weight = |at: usize| {
            let distance = (at as f64 + 0.5 - middle) / deviation;
            if (first..end).contains(&at) { (-0.5 * distance * distance).exp() } else { 0.0 }
        };
        (0..side).map(weight).collect()
    }
}

/// Room for what a network sees around a tile: where that is much, the tile grows, or most of the work
/// would be done for pixels that weigh nothing.
fn usual_side(radius: usize) -> usize {
    if 2 * radius <= WHOLE / 2 { WHOLE } else { 2 * radius + WHOLE }
}

/// One on a CPU, which is busy with one. On a GPU as many as fit into 4 GiB; without gradients a network
/// holds about half the values that training does.
fn at_once(network: &dyn Network, side: usize, device: Device) -> usize {
    if !device.is_cuda() {
        return 1;
    }
    let bytes = 2 * network.values_per_pixel() * (side * side) as u64;
    usize::try_from((ROOM / bytes.max(1)).clamp(1, MOST)).unwrap_or(1)
}

fn up_to(length: usize, multiple: usize) -> usize {
    length.div_ceil(multiple) * multiple
}

fn size(length: i64) -> usize {
    usize::try_from(length).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiling(side: usize, overlap: usize, margin: usize, grid: usize) -> Tiling {
        let (is_filled, is_exact, at_once) = (grid == 1, true, 1);
        Tiling { side, overlap, margin, grid, is_filled, is_exact, at_once }
    }

    #[test]
    fn tiles_lie_on_the_grid_and_weigh_one_together() {
        let all = [
            tiling(1024, 240, 112, 16),
            tiling(64, 52, 24, 4),
            tiling(64, 48, 24, 4),
            tiling(50, 25, 0, 1),
            tiling(8, 7, 0, 1),
            tiling(2, 1, 0, 1),
        ];
        for tiling in all {
            for length in [1, 7, 63, 64, 65, 127, 1025, 1793, 3840] {
                let tiles = tiling.along(length);
                let mut sums = vec![0.0_f32; length];
                for Tile { start, length: side, weights } in &tiles {
                    assert!(start % tiling.grid == 0 && start + side <= length, "{tiling:?}");
                    assert!(*side <= tiling.side && weights.len() == *side);
                    let inner = |at: usize, before: bool| {
                        if before {
                            *start > 0 && at < tiling.margin
                        } else {
                            start + side < length && at + tiling.margin >= *side
                        }
                    };
                    for (at, weight) in weights.iter().enumerate() {
                        let nothing = inner(at, true) || inner(at, false);
                        assert_eq!(nothing, *weight == 0.0, "{tiling:?} {length} {start} {at}");
                        sums[start + at] += weight;
                    }
                }
                assert_eq!(tiles.last().map(|tile| tile.start + tile.length), Some(length));
                assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-6), "{tiling:?} {length}");
            }
        }
    }

    #[test]
    fn one_tile_is_the_whole_side_with_weight_one() {
        let one = tiling(1024, 240, 112, 16).along(1000);
        assert_eq!(one, [Tile { start: 0, length: 1000, weights: vec![1.0; 1000] }]);
    }
}
