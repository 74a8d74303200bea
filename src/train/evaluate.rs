//! From an image to logits and counts. Training's evaluation and prediction both go this way, so
//! that they agree in every pixel.

mod tally;
#[cfg(test)]
mod tests;
mod tiles;
mod turns;

use tch::{Device, Kind, TchError, Tensor};

use crate::worker::learner::LearnerError;

use super::data::{Normalisation, Picture, Region, input};
use super::model::{Network, Pass};

pub(super) use tally::{Tally, count, truth};
use tiles::Tile;
pub use tiles::TileWish;
pub(super) use tiles::Tiling;
pub use turns::Turns;

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
    /// 1 where the logit is above the threshold, row by row.
    pub(super) pixels: Vec<u8>,
}

impl Segmented {
    /// Decides each pixel: foreground where the logit is above `threshold` (0: a probability of 0.5).
    pub(super) fn decide(logits: Tensor, threshold: f64) -> Result<Self, LearnerError> {
        let decided = logits.f_gt(threshold)?.f_to_kind(Kind::Uint8)?.f_contiguous()?;
        let mut pixels = vec![0; logits.numel()];
        let length = pixels.len();
        decided.f_copy_data_u8(&mut pixels, length)?;
        Ok(Self { logits, pixels })
    }
}

impl Segmenter<'_> {
    /// Segments a region as training's evaluation does: tiles as the network needs them, nothing turned, a
    /// probability above 0.5 is foreground. `None` when `go_on` said stop.
    pub(super) fn segment(
        &self,
        picture: &Picture,
        region: Region,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Segmented>, LearnerError> {
        let tiling = Tiling::of(self.network, self.device);
        let logits = self.logits(picture, region, (tiling, Turns::None), go_on)?;
        logits.map(|logits| Segmented::decide(logits, 0.0)).transpose()
    }

    /// Computes the logits of a region, `[height, width]`, on the CPU: means over what `turns` shows.
    /// `None` when `go_on` said stop. What is longer than a tile is cut into tiles that overlap, blended
    /// by Gaussian weights; see [`Tiling`].
    pub(super) fn logits(
        &self,
        picture: &Picture,
        region: Region,
        (tiling, turns): (Tiling, Turns),
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Tensor>, LearnerError> {
        let _guard = tch::no_grad_guard();
        let image = input(picture, region, self.channels, self.normalisation)?;
        let mut all = Vec::new();
        for turn in turns.each() {
            let Some(logits) = self.tiled(&turn.apply(&image)?, tiling, go_on)? else {
                return Ok(None);
            };
            all.push(turn.undo(&logits)?);
        }
        Ok(Some(mean(all)?))
    }

    /// Takes `[1, channels, height, width]`, gives `[height, width]`.
    fn tiled(
        &self,
        image: &Tensor,
        tiling: Tiling,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Tensor>, LearnerError> {
        let [height, width] = [image.size()[2], image.size()[3]];
        let side = |length| usize::try_from(length).unwrap_or_default();
        let (rows, columns) = (tiling.along(side(height)), tiling.along(side(width)));
        if let ([_], [_]) = (&rows[..], &columns[..]) {
            if !go_on() {
                return Ok(None);
            }
            let whole = self.forward(std::slice::from_ref(image), tiling)?.remove(0);
            return Ok(Some(within(&whole, [0, 0], [height, width])?.f_contiguous()?));
        }
        let logits = Tensor::f_zeros([height, width], (Kind::Float, Device::Cpu))?;
        let mut tiles: Vec<(&Tile, &Tile)> =
            rows.iter().flat_map(|row| columns.iter().map(move |column| (row, column))).collect();
        // Only tiles of one size go together; those at the far borders may be smaller.
        tiles.sort_by_key(|(row, column)| (row.length, column.length));
        for same in tiles.chunk_by(|(a, b), (c, d)| (a.length, b.length) == (c.length, d.length)) {
            for some in same.chunks(tiling.at_once.max(1)) {
                if !go_on() {
                    return Ok(None);
                }
                let seen = some.iter().map(|(row, column)| {
                    let images = image.f_narrow(2, index(row.start), index(row.length))?;
                    images.f_narrow(3, index(column.start), index(column.length))
                });
                let seen = seen.collect::<Result<Vec<_>, TchError>>()?;
                for ((row, column), said) in some.iter().zip(self.forward(&seen, tiling)?) {
                    let size = [index(row.length), index(column.length)];
                    let weights = Tensor::f_from_slice(&row.weights)?.f_unsqueeze(1)?;
                    let weights = weights.f_mul(&Tensor::f_from_slice(&column.weights)?)?;
                    let weighed = within(&said, [0, 0], size)?.f_mul(&weights)?;
                    let place = [index(row.start), index(column.start)];
                    let _ = within(&logits, place, size)?.f_add_(&weighed)?;
                }
            }
        }
        Ok(Some(logits))
    }

    /// Computes the logits of images of one size, one minibatch, each `[height, width]`, on the CPU.
    fn forward(&self, images: &[Tensor], tiling: Tiling) -> Result<Vec<Tensor>, TchError> {
        let images = match images {
            [one] => one.shallow_clone(),
            several => Tensor::f_cat(several, 0)?,
        };
        let images = if tiling.is_filled { filled(images, tiling.side)? } else { images };
        let output =
            self.network.forward(&images.f_to_device(self.device)?, Pass::fastest(self.device))?;
        let output = output.f_to_device(Device::Cpu)?.f_select(1, 0)?;
        (0..output.size()[0]).map(|number| output.f_select(0, number)).collect()
    }
}

/// The mean of logits of one shape, exact where all are equal; one alone is returned as it is.
pub(super) fn mean(mut all: Vec<Tensor>) -> Result<Tensor, TchError> {
    if all.len() == 1
        && let Some(one) = all.pop()
    {
        return one.f_contiguous();
    }
    Tensor::f_stack(&all, 0)?
        .f_mean_dim([0].as_slice(), false, Kind::Double)?
        .f_to_kind(Kind::Float)
}

/// A rectangle of `[height, width]`.
fn within(x: &Tensor, from: [i64; 2], size: [i64; 2]) -> Result<Tensor, TchError> {
    x.f_narrow(0, from[0], size[0])?.f_narrow(1, from[1], size[1])
}

/// Extends what is smaller than `side` below and on the right, as training does with small regions.
fn filled(images: Tensor, side: usize) -> Result<Tensor, TchError> {
    let mut images = images;
    for axis in [2, 3] {
        let length = images.size()[axis];
        let Some(height) = usize::try_from(length).ok().filter(|length| *length < side) else {
            continue;
        };
        let line = Region { slice: 0, top: 0, left: 0, height, width: 1 };
        let rows: Vec<i64> = (0..side).map(|row| index(line.mirrored(row, 0).0)).collect();
        images = images.f_index_select(index(axis), &Tensor::f_from_slice(&rows)?)?;
    }
    Ok(images)
}

fn index(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
