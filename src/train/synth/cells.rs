//! Cells: a warped Voronoi diagram of weighted seeds on a jittered lattice.

use super::noise::{field, hash, mix, rise, scaled, unit};

/// Mean distance of seeds, in pixels.
const PITCH: f32 = 58.0;

/// Fills space with cells.
#[derive(Debug)]
pub(super) struct Cells {
    seed: u64,
}

/// What a point belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The cell's random bits, its identity.
    pub(super) cell: u64,
    /// Distance from the middle of the membrane, about in pixels.
    pub(super) border: f32,
}

/// How a seed draws a point.
#[derive(Clone, Copy)]
struct Seed {
    bits: u64,
    distance: f32,
    direction: [f32; 3],
}

const FAR: Seed = Seed { bits: 0, distance: f32::MAX, direction: [0.0; 3] };

impl Cells {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed: hash(seed, [1, 0, 0]) }
    }

    /// Finds the cell of a point. Seeds attract with a strength of their own, so that cells differ
    /// in size and their membranes bend.
    pub(super) fn at(&self, point: [f32; 3]) -> Place {
        let point = self.warped(point);
        #[expect(clippy::cast_possible_truncation, reason = "a floor within a small volume")]
        let base = point.map(|value| (value / PITCH).floor() as i32);
        let (mut nearest, mut second) = (FAR, FAR);
        for number in 0..27 {
            let step = [number % 3 - 1, number / 3 % 3 - 1, number / 9 - 1];
            let seed = self.attraction(point, [0, 1, 2].map(|axis| base[axis] + step[axis]));
            if seed.distance < nearest.distance {
                second = nearest;
                nearest = seed;
            } else if seed.distance < second.distance {
                second = seed;
            }
        }
        // Half the difference changes by less than a pixel a pixel where both seeds lie on one side;
        // divided by its slope it is a distance, so that membranes are equally thick everywhere.
        let slope: f32 = (0..3)
            .map(|axis| nearest.direction[axis] - second.direction[axis])
            .map(|part| part * part)
            .sum();
        let border = (second.distance - nearest.distance) / slope.sqrt().max(0.5);
        Place { cell: nearest.bits, border }
    }

    fn attraction(&self, point: [f32; 3], lattice: [i32; 3]) -> Seed {
        let bits = hash(self.seed, lattice);
        let mut offset = [0.0; 3];
        for (axis, value) in offset.iter_mut().enumerate() {
            let part = u32::try_from(axis).unwrap_or_default();
            #[expect(clippy::cast_precision_loss, reason = "a small lattice")]
            let seed = (lattice[axis] as f32 + 0.1 + 0.8 * unit(bits, part)) * PITCH;
            *value = point[axis] - seed;
        }
        let length = offset.iter().map(|part| part * part).sum::<f32>().sqrt();
        let direction = offset.map(|part| part / length.max(1e-3));
        Seed { bits, distance: length - 0.45 * PITCH * unit(bits, 3), direction }
    }

    fn warped(&self, point: [f32; 3]) -> [f32; 3] {
        let mut warped = point;
        for (axis, value) in warped.iter_mut().enumerate() {
            let seed = self.seed ^ (axis as u64 + 1);
            *value += 13.0 * field(seed, scaled(point, 1.0 / 40.0));
            *value += 3.5 * field(seed ^ 8, scaled(point, 1.0 / 13.0));
        }
        warped
    }

    /// Returns the grey value of cytoplasm and membrane.
    pub(super) fn grey(&self, point: [f32; 3]) -> f32 {
        let Place { cell, border } = self.at(point);
        // A few cells are as dark as glia.
        let glia = unit(cell.rotate_left(5), 0) < 0.09;
        let cytoplasm = if glia { 118.0 } else { 168.0 + 24.0 * unit(cell.rotate_left(9), 1) };
        let coarse = field(self.seed ^ 16, scaled(point, 1.0 / 26.0));
        let fine = field(self.seed ^ 17, scaled(point, 1.0 / 5.0));
        let grains = field(self.seed ^ 18, scaled(point, 1.0 / 2.6));
        let mut grey = cytoplasm + 9.0 * coarse + 10.0 * fine;
        grey -= 26.0 * rise(0.25, 0.75, grains) * (1.0 + 0.6 * fine);
        // Now and then the membrane is thick and dark, as at a synapse.
        let synapse = rise(0.45, 0.7, field(self.seed ^ 19, scaled(point, 1.0 / 22.0)));
        let half_width = 1.0 + 1.8 * synapse;
        mix(46.0, grey, rise(half_width - 0.3, half_width + 1.5, border))
    }
}
