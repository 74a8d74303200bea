//! Random changes to training patches: the eight symmetries of the square.

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
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The 2×2 patch `[0 1; 2 3]` after a turn, row by row.
    fn applied(turn: Turn) -> Vec<usize> {
        let places = [(0, 0), (0, 1), (1, 0), (1, 1)];
        places.iter().map(|(y, x)| turn.source(*y, *x, 2)).map(|(y, x)| 2 * y + x).collect()
    }

    #[test]
    fn quarters_turn_clockwise() {
        assert_eq!(applied(Turn::quarters(0)), [0, 1, 2, 3]);
        assert_eq!(applied(Turn::quarters(1)), [2, 0, 3, 1]);
        assert_eq!(applied(Turn::quarters(2)), [3, 2, 1, 0]);
        assert_eq!(applied(Turn::quarters(3)), [1, 3, 0, 2]);
    }

    fn drawn(flips: bool, rotations: bool) -> std::collections::BTreeSet<Vec<usize>> {
        let settings = Augmentation {
            flips,
            rotations,
            scale: 0.0,
            elastic: 0.0,
            elastic_sigma: 16.0,
            brightness: 0.0,
            contrast: 0.0,
            gamma: 0.0,
            noise: 0.0,
            blur: 0.0,
        };
        (0..200).map(|sample| applied(Turn::draw(&settings, 1, 1, sample))).collect()
    }

    #[test]
    fn settings_choose_the_group() {
        assert_eq!(drawn(false, false).len(), 1);
        assert_eq!(drawn(true, false).len(), 4);
        assert_eq!(drawn(false, true).len(), 4);
        assert_eq!(drawn(true, true).len(), 8);
    }
}
