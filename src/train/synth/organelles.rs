//! Mitochondria and vesicles within cells.

use crate::train::draw::Draw;

use super::cells::Cells;
use super::noise::{field, hash, mix, rise, scaled};
use super::{SPACING, Spec, place};

/// Fraction of pixels at which no more mitochondria are placed.
const DENSITY: f64 = 0.095;
/// Cytoplasm, in pixels, that stays between mitochondrion and cell membrane.
const CLEARANCE: f32 = 3.5;

/// All mitochondria, drawn into the volume: grey values where there is one, otherwise NaN.
#[derive(Debug)]
pub(super) struct Mitochondria {
    size: usize,
    grey: Vec<f32>,
}

/// A bent, tapering tube.
struct Tube {
    cell: u64,
    center: [f32; 3],
    axis: [f32; 3],
    bend: [f32; 3],
    half_length: f32,
    radius: f32,
    seed: u64,
}

impl Mitochondria {
    /// Places tubes in cells that are wide enough, until they fill their share.
    pub(super) fn place(spec: &Spec, cells: &Cells) -> Self {
        let volume = spec.slices * spec.size * spec.size;
        let mut all = Self { size: spec.size, grey: vec![f32::NAN; volume] };
        let mut filled = 0;
        for number in 0..4000 {
            #[expect(clippy::cast_precision_loss, reason = "pixel counts stay far below 2^53")]
            if filled as f64 >= DENSITY * volume as f64 {
                break;
            }
            let mut draw = Draw::new(spec.seed, "mitochondrion", 0, number);
            if let Some(tube) = tube(spec, cells, &mut draw, number) {
                filled += all.carve(spec, cells, &tube);
            }
        }
        all
    }

    /// Returns the grey value at a pixel within a mitochondrion.
    pub(super) fn grey(&self, z: usize, y: usize, x: usize) -> Option<f32> {
        self.grey.get((z * self.size + y) * self.size + x).copied().filter(|grey| !grey.is_nan())
    }

    /// Draws a tube and returns the number of pixels it took; 0 when it would touch another one.
    fn carve(&mut self, spec: &Spec, cells: &Cells, tube: &Tube) -> usize {
        let reach = tube.half_length + tube.radius + 4.0;
        let mut painted = Vec::new();
        for z in span(tube.center[2] / SPACING, reach / SPACING, spec.slices) {
            for y in span(tube.center[1], reach, spec.size) {
                for x in span(tube.center[0], reach, spec.size) {
                    let point = place(x, y, z);
                    let Some((depth, along)) = tube.depth(point) else { continue };
                    let here = cells.at(point);
                    let depth = depth.min(here.border - CLEARANCE);
                    if here.cell != tube.cell || depth <= 0.0 {
                        continue;
                    }
                    if self.grey(z, y, x).is_some() {
                        return 0;
                    }
                    painted.push((
                        (z * spec.size + y) * spec.size + x,
                        tube.grey(point, depth, along),
                    ));
                }
            }
        }
        for (at, grey) in &painted {
            self.grey[*at] = *grey;
        }
        painted.len()
    }
}

fn tube(spec: &Spec, cells: &Cells, draw: &mut Draw, number: u64) -> Option<Tube> {
    let center = inside(spec, draw);
    let home = cells.at(center);
    if home.border < 11.0 {
        return None;
    }
    let axis = direction(draw);
    let bend = direction(draw);
    let strength = narrow(draw.within(0.0, 9.0));
    let radius = narrow(draw.within(8.5, 15.0)).min(home.border - 2.0);
    Some(Tube {
        cell: home.cell,
        center,
        axis,
        bend: bend.map(|part| part * strength),
        half_length: radius * narrow(draw.within(1.3, 3.2)),
        radius,
        seed: hash(spec.seed, [2, 0, 0]) ^ number,
    })
}

impl Tube {
    /// Returns the distance from the surface inwards and the place along the tube, in pixels; none
    /// outside.
    fn depth(&self, point: [f32; 3]) -> Option<(f32, f32)> {
        let offset = [0, 1, 2].map(|axis| point[axis] - self.center[axis]);
        let along: f32 = (0..3).map(|axis| offset[axis] * self.axis[axis]).sum();
        let share = along / self.half_length;
        if share.abs() >= 1.0 {
            return None;
        }
        let across: f32 = (0..3)
            .map(|axis| {
                let line = along * self.axis[axis] + share * share * self.bend[axis];
                (offset[axis] - line) * (offset[axis] - line)
            })
            .sum();
        let lumps = 1.0 + 0.14 * field(self.seed, scaled(point, 1.0 / 14.0));
        let round = (1.0 - share * share * share * share).sqrt();
        let depth = self.radius * lumps * round - across.sqrt();
        (depth > 0.0).then_some((depth, along))
    }

    /// From outside: outer membrane, a lighter gap, inner membrane, matrix with cristae.
    fn grey(&self, point: [f32; 3], depth: f32, along: f32) -> f32 {
        let wave = 3.2 * field(self.seed ^ 1, scaled(point, 1.0 / 9.0));
        let phase = (along + wave) / 6.5;
        let lamella = (2.0 * (phase - phase.floor()) - 1.0).abs();
        let there = rise(-0.35, 0.05, field(self.seed ^ 2, scaled(point, 1.0 / 7.0)));
        let grain = 7.0 * field(self.seed ^ 3, scaled(point, 1.0 / 3.0));
        let matrix = 112.0 + grain;
        let inner = mix(matrix, 62.0, there * rise(0.35, 0.75, lamella));
        if depth < 1.6 {
            52.0
        } else if depth < 2.6 {
            118.0
        } else {
            mix(64.0, inner, rise(3.6, 4.6, depth))
        }
    }
}

/// Small spheres with a dark skin, in clouds; some have a dark core.
#[derive(Debug)]
pub(super) struct Vesicles(Vec<Vesicle>);

#[derive(Debug)]
struct Vesicle {
    center: [f32; 3],
    radius: f32,
    core: f32,
}

impl Vesicles {
    pub(super) fn place(spec: &Spec, cells: &Cells, mitochondria: &Mitochondria) -> Self {
        let tries = spec.size * spec.size * spec.slices / 40;
        let mut all = Vec::new();
        for number in 0..tries as u64 {
            let mut draw = Draw::new(spec.seed, "vesicle", 0, number);
            let center = inside(spec, &mut draw);
            let cloud = field(hash(spec.seed, [3, 0, 0]), scaled(center, 1.0 / 34.0));
            let radius = narrow(draw.within(2.6, 4.6));
            let here = cells.at(center);
            if narrow(draw.unit()) > rise(0.0, 0.6, cloud) || here.border < radius + 3.0 {
                continue;
            }
            let core = if draw.below(12) == 0 { 60.0 } else { 196.0 };
            let vesicle = Vesicle { center, radius, core };
            if !vesicle.touches(spec, mitochondria) {
                all.push(vesicle);
            }
        }
        Self(all)
    }

    /// Paints those that slice `z` cuts, outside the mask.
    pub(super) fn paint(&self, z: usize, size: usize, grey: &mut [f32], mask: &[u8]) {
        for vesicle in &self.0 {
            let off = vesicle.center[2] - place(0, 0, z)[2];
            let square = vesicle.radius * vesicle.radius - off * off;
            if square <= 1.0 {
                continue;
            }
            let radius = square.sqrt();
            for y in span(vesicle.center[1], radius + 2.0, size) {
                for x in span(vesicle.center[0], radius + 2.0, size) {
                    let point = place(x, y, z);
                    let (dx, dy) = (point[0] - vesicle.center[0], point[1] - vesicle.center[1]);
                    let distance = (dx * dx + dy * dy).sqrt();
                    let at = y * size + x;
                    if mask[at] == 0 {
                        let ring = rise(1.5, 0.4, (distance - radius).abs());
                        let within = rise(radius, radius - 1.0, distance);
                        grey[at] =
                            mix(mix(grey[at], vesicle.core, 0.8 * within), 84.0, 0.85 * ring);
                    }
                }
            }
        }
    }
}

impl Vesicle {
    fn touches(&self, spec: &Spec, mitochondria: &Mitochondria) -> bool {
        let reach = self.radius + 2.0;
        span(self.center[2] / SPACING, reach / SPACING, spec.slices).any(|z| {
            let columns = span(self.center[0], reach, spec.size);
            span(self.center[1], reach, spec.size)
                .any(|y| columns.clone().any(|x| mitochondria.grey(z, y, x).is_some()))
        })
    }
}

/// The indices of `0..limit` within `reach` of `center`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the volume"
)]
fn span(center: f32, reach: f32, limit: usize) -> std::ops::Range<usize> {
    let low = (center - reach).floor().max(0.0) as usize;
    let high = (center + reach).ceil().max(0.0) as usize + 1;
    low.min(limit)..high.min(limit)
}

/// A random point of the volume.
fn inside(spec: &Spec, draw: &mut Draw) -> [f32; 3] {
    let end = place(spec.size, spec.size, spec.slices);
    end.map(|side| narrow(draw.unit()) * side)
}

/// A random direction: a point of the ball, moved to its surface.
fn direction(draw: &mut Draw) -> [f32; 3] {
    loop {
        let point = [0; 3].map(|_| narrow(draw.within(-1.0, 1.0)));
        let square: f32 = point.iter().map(|part| part * part).sum();
        if (0.01..=1.0).contains(&square) {
            return point.map(|part| part / square.sqrt());
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "drawing needs no more precision")]
fn narrow(value: f64) -> f32 {
    value as f32
}
