//! From an image to logits and counts. Training's evaluation and prediction both go this way, so
//! that they agree in every pixel.

use tch::{Device, Kind, TchError, Tensor};

use crate::metric::{Confusion, Metrics};
use crate::setting::Loss;
use crate::worker::learner::LearnerError;

use super::data::{Mask, Normalisation, Picture, Region, input};
use super::loss::LossSums;
use super::model::{Network, Pass};

/// Longest side, in pixels, that is computed in one piece where the network does not say.
const WHOLE: usize = 1024;
/// Pixels that such a piece sees beyond what it decides, on each inner side.
const MARGIN: usize = 64;

/// How large images are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Longest side, in pixels, that is computed at once.
    pub(super) side: usize,
    /// Pixels that a tile sees beyond what it decides, on each inner side.
    margin: usize,
    /// Whether smaller regions are extended to `side`, by mirroring.
    is_filled: bool,
}

impl Piece {
    /// Networks that say how much they take get that, as in training, and decide the inner half of it.
    pub(super) fn of(network: &dyn Network) -> Self {
        match network.largest_piece().and_then(|side| usize::try_from(side).ok()) {
            Some(side) => Self { side, margin: side / 4, is_filled: true },
            None => Self { side: WHOLE, margin: MARGIN, is_filled: false },
        }
    }
}

/// A trained network, ready to be used.
#[derive(Debug)]
pub(super) struct Segmenter<'a> {
    pub(super) network: &'a dyn Network,
    pub(super) channels: usize,
    pub(super) device: Device,
    pub(super) normalisation: Normalisation,
}

/// What came of one region.
#[derive(Debug)]
pub(super) struct Segmented {
    /// `[height, width]`, on the CPU.
    pub(super) logits: Tensor,
    /// 1 where the probability is above 0.5, row by row.
    pub(super) pixels: Vec<u8>,
}

impl Segmenter<'_> {
    /// Segments a region; `None` when `go_on` said stop. Regions of more than 1024 pixels a side, or
    /// of more than the network takes, are cut into tiles that overlap; every pixel is decided by one
    /// tile. A network that takes no more than a patch is given no less either.
    pub(super) fn segment(
        &self,
        picture: &Picture,
        region: Region,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Segmented>, LearnerError> {
        let _guard = tch::no_grad_guard();
        let size = [region.height, region.width].map(index);
        let mut logits = Tensor::f_zeros(size, (Kind::Float, Device::Cpu))?;
        let piece = Piece::of(self.network);
        for vertical in tiles(region.height, piece) {
            for horizontal in tiles(region.width, piece) {
                if !go_on() {
                    return Ok(None);
                }
                self.tile(picture, region, vertical, horizontal, &mut logits)?;
            }
        }
        let decided = logits.f_gt(0.0)?.f_to_kind(Kind::Uint8)?;
        let mut pixels = vec![0; region.height * region.width];
        decided.f_copy_data_u8(&mut pixels, region.height * region.width)?;
        Ok(Some(Segmented { logits, pixels }))
    }

    fn tile(
        &self,
        picture: &Picture,
        region: Region,
        vertical: Tile,
        horizontal: Tile,
        logits: &mut Tensor,
    ) -> Result<(), TchError> {
        let seen = Region {
            slice: region.slice,
            top: region.top + vertical.seen.0,
            left: region.left + horizontal.seen.0,
            height: vertical.seen.1,
            width: horizontal.seen.1,
        };
        let images = input(picture, seen, self.channels, self.normalisation)?;
        let images = filled(images, Piece::of(self.network))?;
        let output = self.network.forward(&images.f_to_device(self.device)?, Pass::Evaluate)?;
        let output = output.f_to_device(Device::Cpu)?.f_select(0, 0)?.f_select(0, 0)?;
        let part = |tensor: &Tensor, from: [usize; 2]| {
            let rows = tensor.f_narrow(0, index(from[0]), index(vertical.kept.1))?;
            rows.f_narrow(1, index(from[1]), index(horizontal.kept.1))
        };
        let inner = [vertical.kept.0 - vertical.seen.0, horizontal.kept.0 - horizontal.seen.0];
        let mut target = part(logits, [vertical.kept.0, horizontal.kept.0])?;
        target.f_copy_(&part(&output, inner)?)
    }
}

/// Counts and loss of a whole split.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) confusion: Confusion,
    loss: LossSums,
}

impl Tally {
    /// Counts from nothing; the loss has these weights.
    pub(super) fn new(weights: &Loss) -> Self {
        Self { confusion: Confusion::default(), loss: LossSums::new(weights) }
    }

    /// Counts every pixel of a region once and returns the region's own counts.
    pub(super) fn add(
        &mut self,
        segmented: &Segmented,
        mask: &Mask,
        region: Region,
    ) -> Result<Confusion, LearnerError> {
        let rows = (region.top..region.top + region.height).map(|y| y * mask.width + region.left);
        let truth: Vec<u8> =
            rows.flat_map(|start| &mask.pixels[start..start + region.width]).copied().collect();
        let mut counts = Confusion::default();
        for (predicted, truth) in segmented.pixels.iter().zip(&truth) {
            counts.count(*predicted == 1, *truth == 1);
        }
        self.confusion += counts;
        let truth = Tensor::f_from_slice(&truth)?.f_to_kind(Kind::Float)?;
        self.loss.add(&segmented.logits, &truth.f_view_as(&segmented.logits)?)?;
        Ok(counts)
    }

    /// Returns `<split>/loss`, `<split>/jaccard` and so on.
    pub(super) fn metrics(&self, split: &str) -> Metrics {
        let mut metrics = Metrics::default();
        self.confusion.record(split, &mut metrics);
        metrics.set(format!("{split}/loss"), self.loss.loss());
        metrics
    }
}

/// A piece of a side: what is decided and what is seen for that, each (start, length).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tile {
    kept: (usize, usize),
    seen: (usize, usize),
}

fn tiles(side: usize, piece: Piece) -> Vec<Tile> {
    if side <= piece.side {
        return vec![Tile { kept: (0, side), seen: (0, side) }];
    }
    let core = (piece.side - 2 * piece.margin).max(1);
    (0..side)
        .step_by(core)
        .map(|start| {
            let end = (start + core).min(side);
            let from = start.saturating_sub(piece.margin).min(side - piece.side);
            Tile { kept: (start, end - start), seen: (from, piece.side) }
        })
        .collect()
}

/// Extends what is smaller than a piece below and on the right, as training does with small regions.
fn filled(images: Tensor, piece: Piece) -> Result<Tensor, TchError> {
    let mut images = images;
    for axis in [2, 3] {
        let length = images.size()[axis];
        let Some(height) = usize::try_from(length).ok().filter(|length| *length < piece.side)
        else {
            continue;
        };
        if piece.is_filled {
            let line = Region { slice: 0, top: 0, left: 0, height, width: 1 };
            let rows: Vec<i64> =
                (0..piece.side).map(|row| index(line.mirrored(row, 0).0)).collect();
            images = images.f_index_select(index(axis), &Tensor::f_from_slice(&rows)?)?;
        }
    }
    Ok(images)
}

fn index(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::data::Source;

    const USUAL: Piece = Piece { side: WHOLE, margin: MARGIN, is_filled: false };

    #[test]
    fn tiles_decide_each_pixel_once_and_see_a_margin() {
        assert_eq!(tiles(1024, USUAL), [Tile { kept: (0, 1024), seen: (0, 1024) }]);
        let small = |side| Piece { side, margin: side / 4, is_filled: true };
        for piece in [USUAL, small(256), small(50), small(1)] {
            for side in [1025, 1793, 3840] {
                let mut next = 0;
                for Tile { kept, seen } in tiles(side, piece) {
                    assert_eq!(kept.0, next);
                    next += kept.1;
                    let before = kept.0 - seen.0;
                    let after = (seen.0 + seen.1) - next;
                    assert!(before >= piece.margin || kept.0 == 0, "{side}");
                    assert!(after >= piece.margin || seen.0 + seen.1 == side, "{side}");
                    assert!(seen.0 + seen.1 <= side && seen.1 == piece.side);
                }
                assert_eq!(next, side);
            }
        }
    }

    /// Takes no more than 8 pixels a side and gives every pixel its own value.
    #[derive(Debug)]
    struct Mirror {
        seen: std::cell::RefCell<Vec<Vec<i64>>>,
    }

    impl Network for Mirror {
        fn forward(&self, images: &Tensor, _: Pass) -> Result<Tensor, TchError> {
            self.seen.borrow_mut().push(images.size());
            Ok(images.shallow_clone())
        }

        fn stride(&self) -> i64 {
            1
        }

        fn values_per_pixel(&self) -> u64 {
            1
        }

        fn largest_piece(&self) -> Option<i64> {
            Some(8)
        }
    }

    #[test]
    fn a_network_gets_pieces_of_its_size_and_every_pixel_keeps_its_place() {
        for (height, width) in [(8, 8), (3, 5), (21, 6), (17, 40)] {
            let bytes: Vec<u8> = (0..height * width).map(|at| (at % 251) as u8).collect();
            let folder = tempfile::tempdir().expect("folder");
            let path = folder.path().join("image.png");
            crate::train::predict::write_grey(&path, height, width, bytes.clone()).expect("PNG");
            let picture = Source { path, page: 0 }.read_picture().expect("picture");
            let network = Mirror { seen: std::cell::RefCell::default() };
            let normalisation = Normalisation { mean: 0.0, deviation: 1.0 };
            let (network_ref, device) = (&network, Device::Cpu);
            let segmenter = Segmenter { network: network_ref, channels: 1, device, normalisation };
            let region = Region::whole(0, &picture);
            let found = segmenter.segment(&picture, region, &mut || true).expect("segmented");
            let found = (found.expect("not stopped").logits * 255.0).round();
            let expected = Tensor::from_slice(&bytes).view([index(height), index(width)]);
            assert_eq!(found, expected.to_kind(Kind::Float), "{height} x {width}");
            assert!(network.seen.borrow().iter().all(|size| size[2..] == [8, 8]));
        }
    }
}
