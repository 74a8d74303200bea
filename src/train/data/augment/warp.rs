//! Where the pixels of a changed patch come from: another scale, a smooth displacement.

use crate::setting::Augmentation;
use crate::train::data::patch::{Region, Window};
use crate::train::data::{Mask, Picture};
use crate::train::draw::Draw;

use super::gauss;

/// A patch of `edge` × `edge` pixels cut at another scale, and displaced.
#[derive(Clone, Debug)]
pub(in crate::train::data) struct Warp {
    pub(super) edge: usize,
    /// Pixels of the slice for one of the patch.
    pub(super) step: f32,
    /// Where the patch's corner lies, counted from the region's corner; rows and columns.
    pub(super) start: [f32; 2],
    pub(super) field: Option<Field>,
}

impl Warp {
    /// Draws the change of one sample; none where the settings ask for none.
    ///
    /// The magnification m is from 1 / (1 + scale) to 1 + scale, evenly in its logarithm. The patch
    /// then shows a square of edge / m pixels. It lies at random within the window (or around it,
    /// where it is larger), within the region as far as that is large enough, and holds the window's
    /// anchor, if that has one.
    pub(in crate::train::data) fn draw(
        settings: &Augmentation,
        edge: usize,
        window: &Window,
        (seed, epoch, sample): (u64, u64, u64),
    ) -> Option<Self> {
        if settings.scale == 0.0 && settings.elastic == 0.0 {
            return None;
        }
        let mut draw = Draw::new(seed, "scale", epoch, sample);
        let most = settings.scale.ln_1p();
        let side = size(edge) / draw.within(-most, most).exp();
        let mut start = |corner: usize, region: usize, anchor: Option<usize>| {
            let mut start = size(corner) + draw.unit() * (size(edge) - side);
            if let Some(anchor) = anchor.map(size) {
                start = start.clamp(f64::min(anchor + 1.0 - side, anchor), anchor);
            }
            if side <= size(region) {
                start = start.clamp(0.0, size(region) - side);
            }
            start
        };
        let region = window.region;
        let top = start(window.top, region.height, window.anchor.map(|anchor| anchor.0));
        let left = start(window.left, region.width, window.anchor.map(|anchor| anchor.1));
        let field = (settings.elastic > 0.0).then(|| {
            let mut draw = Draw::new(seed, "elastic", epoch, sample);
            Field::draw(edge, settings.elastic, settings.elastic_sigma, &mut draw)
        });
        #[expect(clippy::cast_possible_truncation, reason = "places are of 32 bits")]
        let (step, start) = ((side / size(edge)) as f32, [top as f32, left as f32]);
        Some(Self { edge, step, start, field })
    }

    /// Calls `put` with the place of every pixel of the patch, row by row: in rows and columns from
    /// the region's corner, between pixels, and perhaps beyond the region.
    fn places(&self, mut put: impl FnMut(f32, f32)) {
        // The centre of a pixel lies half a pixel from its corner.
        let place = |start: f32, at: f32| start + (at + 0.5) * self.step - 0.5;
        let columns: Vec<f32> = (0..self.edge).map(|x| place(self.start[1], float(x))).collect();
        let mut moved = [vec![0.0; self.edge], vec![0.0; self.edge]];
        for y in 0..self.edge {
            let row = place(self.start[0], float(y));
            if let Some(field) = &self.field {
                field.row(y, &mut moved);
            }
            let [down, right] = &moved;
            for ((column, down), right) in columns.iter().zip(down).zip(right) {
                put(row + down * self.step, column + right * self.step);
            }
        }
    }

    /// Appends the patch's values of each of `channels` channels: bilinear between pixels, mirrored
    /// beyond the region.
    pub(in crate::train::data) fn push_values(
        &self,
        values: &mut Vec<f32>,
        picture: &Picture,
        region: Region,
        channels: usize,
    ) {
        for channel in 0..channels {
            self.places(|y, x| {
                let (top, below, down) = between(y, region.height);
                let (left, beside, right) = between(x, region.width);
                let value = |y: usize, x: usize| {
                    picture.value(region.top + y, region.left + x, channel, channels)
                };
                let upper = lerp(value(top, left), value(top, beside), right);
                let lower = lerp(value(below, left), value(below, beside), right);
                values.push(lerp(upper, lower, down));
            });
        }
    }

    /// Appends the patch's truth: that of the nearest pixel, mirrored beyond the region.
    pub(in crate::train::data) fn push_truth(
        &self,
        truth: &mut Vec<f32>,
        mask: &Mask,
        region: Region,
    ) {
        self.places(|y, x| {
            let (y, x) = (nearest(y, region.height), nearest(x, region.width));
            let at = (region.top + y) * mask.width + region.left + x;
            truth.push(f32::from(mask.pixels[at]));
        });
    }
}

/// A smooth random displacement: white noise, evenly from -1 to 1, through a Gaussian filter, times a
/// factor that gives it the wanted standard deviation (Simard et al. 2003 name the factor itself). It
/// is computed at nodes half of the filter's width apart, and between them linearly.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// Pixels from a node to the next.
    pub(super) spacing: usize,
    /// Nodes in a row.
    pub(super) side: usize,
    /// Displacements of the nodes in pixels, row by row: down, right.
    pub(super) nodes: [Vec<f32>; 2],
}

impl Field {
    pub(super) fn draw(edge: usize, deviation: f64, sigma: f64, draw: &mut Draw) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 500")]
        let spacing = (sigma / 2.0).max(1.0) as usize;
        let side = edge.saturating_sub(1).div_ceil(spacing) + 1;
        let kernel = gauss::kernel(sigma / size(spacing));
        let radius = kernel.len() / 2;
        let power: f32 = kernel.iter().map(|weight| weight * weight).sum();
        // Even numbers from -1 to 1 have a variance of a third; each axis takes it times `power`.
        #[expect(clippy::cast_possible_truncation, reason = "places are of 32 bits")]
        let factor = deviation as f32 * 3.0_f32.sqrt() / power;
        let wide = side + 2 * radius;
        let mut component = || {
            #[expect(clippy::cast_possible_truncation, reason = "places are of 32 bits")]
            let noise: Vec<f32> =
                (0..wide * wide).map(|_| draw.within(-1.0, 1.0) as f32 * factor).collect();
            gauss::inner(&noise, wide, &kernel)
        };
        let nodes = [component(), component()];
        Self { spacing, side, nodes }
    }

    /// Writes the displacements of a row of pixels: down, right.
    fn row(&self, y: usize, moved: &mut [Vec<f32>; 2]) {
        let part = |pixel: usize| float(pixel % self.spacing) / float(self.spacing);
        let (node, down) = (y / self.spacing, part(y));
        // The last row of nodes stands for itself.
        let next = (node + 1).min(self.side - 1);
        for (nodes, moved) in self.nodes.iter().zip(moved) {
            let row = |node: usize| &nodes[node * self.side..][..self.side];
            let between: Vec<f32> =
                row(node).iter().zip(row(next)).map(|(a, b)| lerp(*a, *b, down)).collect();
            for (chunk, node) in moved.chunks_mut(self.spacing).zip(0..) {
                let (left, right): (f32, f32) =
                    (between[node], between[(node + 1).min(self.side - 1)]);
                for (pixel, value) in chunk.iter_mut().enumerate() {
                    *value = lerp(left, right, part(pixel));
                }
            }
        }
    }
}

fn lerp(from: f32, to: f32, part: f32) -> f32 {
    from + (to - from) * part
}

/// Folds a place into `0..=length - 1` as between two mirrors that stand on the outer pixels.
fn mirror(place: f32, length: usize) -> f32 {
    let last = float(length.saturating_sub(1));
    if (0.0..=last).contains(&place) {
        return place;
    }
    if last == 0.0 {
        return 0.0;
    }
    let folded = place.abs() % (2.0 * last);
    folded.min(2.0 * last - folded)
}

/// The pixels on both sides of a place, and how far it is from the first to the second.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the region")]
fn between(place: f32, length: usize) -> (usize, usize, f32) {
    let place = mirror(place, length);
    let first = place as usize;
    (first, (first + 1).min(length - 1), place - float(first))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the region")]
fn nearest(place: f32, length: usize) -> usize {
    ((mirror(place, length) + 0.5) as usize).min(length - 1)
}

#[expect(clippy::cast_precision_loss, reason = "sizes of images are far below 2^52")]
fn size(pixels: usize) -> f64 {
    pixels as f64
}

#[expect(clippy::cast_precision_loss, reason = "sizes of images are below 2^23")]
fn float(pixels: usize) -> f32 {
    pixels as f32
}
