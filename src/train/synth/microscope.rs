//! What the microscope adds: blur, uneven light, noise, and 8 bits.

use crate::train::draw::Draw;

use super::noise::{field, hash};
use super::place;

/// Standard deviation of the noise, in grey values.
const NOISE: f32 = 13.0;

/// Turns drawn grey values into a picture.
pub(super) fn expose(grey: Vec<f32>, size: usize, seed: u64, z: usize) -> Vec<u8> {
    let blurred = blur(&grey, size);
    let mut draw = Draw::new(seed, "exposure", 0, z as u64);
    let light = number(draw.within(-5.0, 5.0));
    let seed = hash(seed, [4, i32::try_from(z).unwrap_or_default(), 0]);
    let mut pixels = Vec::with_capacity(blurred.len());
    for (at, value) in blurred.iter().enumerate() {
        let [x, y, _] = place(at % size, at / size, 0);
        let shade = 6.0 * field(seed, [x / 150.0, y / 150.0, 0.5]);
        let value = value + light + shade + NOISE * bell(&mut draw);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        pixels.push(value.round().clamp(0.0, 255.0) as u8);
    }
    pixels
}

/// Smooths with the weights 1 2 1, in both directions.
fn blur(grey: &[f32], size: usize) -> Vec<f32> {
    let at = |y: usize, x: usize| grey[y.min(size - 1) * size + x.min(size - 1)];
    let row = |y: usize, x: usize| at(y, x.saturating_sub(1)) + 2.0 * at(y, x) + at(y, x + 1);
    let places = (0..size).flat_map(|y| (0..size).map(move |x| (y, x)));
    places
        .map(|(y, x)| (row(y.saturating_sub(1), x) + 2.0 * row(y, x) + row(y + 1, x)) / 16.0)
        .collect()
}

/// Nearly normal: the sum of four uniform numbers, centred, of variance 1.
fn bell(draw: &mut Draw) -> f32 {
    let sum: f64 = (0..4).map(|_| draw.unit()).sum();
    number((sum - 2.0) * 3.0_f64.sqrt())
}

#[expect(clippy::cast_possible_truncation, reason = "drawing needs no more precision")]
fn number(value: f64) -> f32 {
    value as f32
}
