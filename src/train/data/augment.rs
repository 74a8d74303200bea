//! Random changes to training patches, functions of (seed, epoch, sample), in this order: scale and
//! displacement ([`Warp`]), the eight symmetries of the square ([`Turn`]), grey values ([`Intensity`]).

mod gauss;
mod intensity;
#[cfg(test)]
mod parity_tests;
#[cfg(test)]
mod tests;
mod warp;

pub(super) use intensity::Intensity;
pub(super) use warp::Warp;

use crate::setting::Augmentation;
use crate::train::draw::Draw;

/// A symmetry of the square: first mirrored along the diagonal, then upside down, then left to right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    transpose: bool,
    flip_y: bool,
    flip_x: bool,
}

impl Turn {
    /// Draws the change of one sample.
    pub(super) fn draw(settings: &Augmentation, seed: u64, epoch: u64, sample: u64) -> Self {
        let mut draw = Draw::new(seed, "augmentation", epoch, sample);
        let mut turn = Self::default();
        if settings.rotations {
            turn = Self::quarters(draw.below(4));
        }
        if settings.flips {
            turn.flip_y ^= draw.below(2) == 1;
            turn.flip_x ^= draw.below(2) == 1;
        }
        turn
    }

    /// A turn by `quarters` times 90 degrees.
    fn quarters(quarters: u64) -> Self {
        match quarters {
            0 => Self::default(),
            1 => Self { transpose: true, flip_y: false, flip_x: true },
            2 => Self { transpose: false, flip_y: true, flip_x: true },
            _ => Self { transpose: true, flip_y: true, flip_x: false },
        }
    }

    /// Returns where in the original patch the pixel (y, x) of the changed one comes from.
    pub(super) fn source(self, y: usize, x: usize, edge: usize) -> (usize, usize) {
        let y = if self.flip_y { edge - 1 - y } else { y };
        let x = if self.flip_x { edge - 1 - x } else { x };
        if self.transpose { (x, y) } else { (y, x) }
    }

    /// Appends a turned plane of `edge` × `edge` values.
    pub(super) fn push(self, out: &mut Vec<f32>, plane: &[f32], edge: usize) {
        for y in 0..edge {
            let (row, column) = self.source(y, 0, edge);
            let first = row * edge + column;
            let step = if self.transpose { edge } else { 1 };
            // What comes from the left or above, or from the right or below.
            if self.flip_x {
                out.extend(plane[..=first].iter().rev().step_by(step).take(edge));
            } else {
                out.extend(plane[first..].iter().step_by(step).take(edge));
            }
        }
    }
}
