//! Draws a small volume that looks like an electron microscope's, with its truth: cells with
//! membranes, vesicles, mitochondria with cristae that run through neighbouring slices.
//!
//! For newcomers without data, and for tests. The same specification gives the same bytes anywhere:
//! only additions, products and roots are used, which every machine rounds alike.

mod cells;
mod microscope;
mod noise;
mod organelles;

use std::path::Path;

use crate::layout;
use crate::worker::learner::LearnerError;

use super::predict::{unwritable, write_grey};
use cells::Cells;
use organelles::{Mitochondria, Vesicles};

/// Pixels between neighbouring slices: sections are thicker than pixels are wide.
const SPACING: f32 = 8.0;

/// What to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Number of slices.
    pub slices: usize,
    /// Edge of the square slices, in pixels.
    pub size: usize,
    /// Seed.
    pub seed: u64,
}

/// A drawn slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Grey values, row by row.
    pub image: Vec<u8>,
    /// 255 in mitochondria, otherwise 0.
    pub mask: Vec<u8>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Summary {
    /// Number of slices.
    pub slices: usize,
    /// Fraction of pixels in mitochondria.
    pub density: f64,
}

/// Draws all slices.
#[must_use]
pub fn draw(spec: &Spec) -> Vec<Drawn> {
    let cells = Cells::new(spec.seed);
    let mitochondria = Mitochondria::place(spec, &cells);
    let vesicles = Vesicles::place(spec, &cells, &mitochondria);
    (0..spec.slices).map(|z| slice(spec, &cells, &mitochondria, &vesicles, z)).collect()
}

fn slice(
    spec: &Spec,
    cells: &Cells,
    mitochondria: &Mitochondria,
    vesicles: &Vesicles,
    z: usize,
) -> Drawn {
    let mut grey = Vec::with_capacity(spec.size * spec.size);
    let mut mask = Vec::with_capacity(spec.size * spec.size);
    for y in 0..spec.size {
        for x in 0..spec.size {
            let point = place(x, y, z);
            let inside = mitochondria.grey(z, y, x);
            mask.push(if inside.is_some() { 255 } else { 0 });
            grey.push(inside.unwrap_or_else(|| cells.grey(point)));
        }
    }
    vesicles.paint(z, spec.size, &mut grey, &mask);
    Drawn { image: microscope::expose(grey, spec.size, spec.seed, z), mask }
}

/// The place of a pixel in space, in pixels.
#[expect(clippy::cast_precision_loss, reason = "images are far smaller than 2^23")]
fn place(x: usize, y: usize, z: usize) -> [f32; 3] {
    [x as f32, y as f32, z as f32 * SPACING]
}

/// Writes `images/slice_000.png` and `masks/slice_000.png` and so on under `folder`.
///
/// # Errors
/// When they cannot be written.
pub fn write(spec: &Spec, folder: &Path) -> Result<Summary, LearnerError> {
    let (images, masks) = (folder.join("images"), folder.join("masks"));
    for made in [&images, &masks] {
        layout::create_users_folder(made).map_err(|error| unwritable(made, &error))?;
    }
    let mut foreground = 0;
    for (number, drawn) in draw(spec).into_iter().enumerate() {
        let name = format!("slice_{number:03}.png");
        foreground += drawn.mask.iter().filter(|pixel| **pixel > 0).count();
        write_grey(&images.join(&name), spec.size, spec.size, drawn.image)?;
        write_grey(&masks.join(&name), spec.size, spec.size, drawn.mask)?;
    }
    let pixels = spec.slices * spec.size * spec.size;
    #[expect(clippy::cast_precision_loss, reason = "pixel counts stay far below 2^53")]
    let density = foreground as f64 / pixels.max(1) as f64;
    Ok(Summary { slices: spec.slices, density })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: Spec = Spec { slices: 4, size: 128, seed: 1 };

    #[test]
    fn the_same_seed_draws_the_same_bytes_and_another_seed_others() {
        assert_eq!(draw(&SPEC), draw(&SPEC));
        assert_ne!(draw(&SPEC), draw(&Spec { seed: 2, ..SPEC }));
    }

    #[test]
    fn mitochondria_fill_a_twentieth_to_a_seventh_and_run_through_slices() {
        for seed in 0..4 {
            let drawn = draw(&Spec { seed, slices: 6, size: 192 });
            let count = |of: &dyn Fn(usize, usize) -> bool, z: usize| {
                (0..192 * 192).filter(|pixel| of(z, *pixel)).count()
            };
            let is = |z: usize, pixel: usize| drawn[z].mask[pixel] == 255;
            let all: usize = (0..6).map(|z| count(&is, z)).sum();
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let density = all as f64 / (6 * 192 * 192) as f64;
            assert!((0.05..=0.15).contains(&density), "seed {seed}: {density}");
            let shared: usize =
                (0..5).map(|z| count(&|z, pixel| is(z, pixel) && is(z + 1, pixel), z)).sum();
            assert!(3 * shared > all, "seed {seed}: slices are unrelated, {shared} of {all}");
        }
    }
}
