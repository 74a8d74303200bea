//! The Gaussian filter, an axis at a time.

/// Weights at whole distances up to three standard deviations, their sum 1. Never empty; one weight
/// where `sigma` is 0.
pub(super) fn kernel(sigma: f64) -> Vec<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "a few hundred at most")]
    let radius = (3.0 * sigma).ceil() as i32;
    let weight = |at: i32| match at {
        0 => 1.0,
        at => (-0.5 * (f64::from(at) / sigma).powi(2)).exp(),
    };
    let sum: f64 = (-radius..=radius).map(weight).sum();
    #[expect(clippy::cast_possible_truncation, reason = "weights are of 32 bits")]
    let weights = (-radius..=radius).map(|at| (weight(at) / sum) as f32).collect();
    weights
}

/// Filters a square of `side` × `side` values; only the inner part comes back, where the kernel lies
/// within: `side - kernel.len() + 1` values a side.
pub(super) fn inner(values: &[f32], side: usize, kernel: &[f32]) -> Vec<f32> {
    let kept = (side + 1).saturating_sub(kernel.len());
    let mut along = Vec::with_capacity(side * kept);
    for row in values.chunks_exact(side) {
        let start = along.len();
        along.resize(start + kept, 0.0);
        for (shift, weight) in kernel.iter().enumerate() {
            add(&mut along[start..], &row[shift..], *weight);
        }
    }
    let mut out = vec![0.0; kept * kept];
    for (y, row) in out.chunks_exact_mut(kept.max(1)).enumerate() {
        for (shift, weight) in kernel.iter().enumerate() {
            add(row, &along[(y + shift) * kept..], *weight);
        }
    }
    out
}

/// Filters a square of `edge` × `edge` values; beyond its border it is mirrored, the outer pixels
/// standing once.
pub(super) fn mirrored(values: &[f32], edge: usize, kernel: &[f32]) -> Vec<f32> {
    let radius = kernel.len() / 2;
    let side = edge + 2 * radius;
    let places: Vec<usize> = (0..side).map(|at| fold(at, radius, edge)).collect();
    let wide: Vec<f32> =
        places.iter().flat_map(|y| places.iter().map(move |x| values[y * edge + x])).collect();
    inner(&wide, side, kernel)
}

/// The place in `0..edge` of index `at` of a square that is wider by `radius` on each side.
fn fold(at: usize, radius: usize, edge: usize) -> usize {
    let period = 2 * (edge.max(2) - 1);
    let place = (at + period * radius - radius) % period;
    place.min(period - place).min(edge - 1)
}

/// Adds `weight` times the values.
fn add(sums: &mut [f32], values: &[f32], weight: f32) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += weight * value;
    }
}
