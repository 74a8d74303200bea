//! Whether what was found, or what was shown, is far from what training has seen.
//!
//! Networks that call nearly everything foreground were once used for weeks before anybody looked. A
//! number beside the density of the training masks would have told.

use serde::Serialize;

use crate::train::data::{Normalisation, Picture};

/// Predictions may hold so many times as much foreground as the training masks, or as little.
const FACTOR: f64 = 3.0;
/// Above this they are far whatever the factor, where training had less than [`RARE`].
const MUCH: f64 = 0.5;
const RARE: f64 = 0.25;
/// So many times larger or smaller may the deviation of an image's grey values be.
const SPREAD: f64 = 3.0;

/// What is far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Far {
    /// The foreground that was found.
    Coverage,
    /// The grey values that were shown.
    Brightness,
}

impl Far {
    /// Returns its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Coverage => "coverage",
            Self::Brightness => "brightness",
        }
    }
}

/// Says whether a fraction of foreground is far from that of the training masks.
pub(super) fn is_coverage_far(coverage: f64, density: Option<f64>) -> bool {
    let Some(density) = density.filter(|density| *density > 0.0) else { return false };
    let is_outside = coverage > FACTOR * density || coverage < density / FACTOR;
    is_outside || (coverage > MUCH && density < RARE)
}

/// Says whether grey values are far from those of training: their mean by more than one deviation, or
/// their deviation by more than a factor of three.
pub(super) fn is_brightness_far(shown: Normalisation, trained: Normalisation) -> bool {
    let ratio = shown.deviation / trained.deviation;
    (shown.mean - trained.mean).abs() > trained.deviation
        || !(1.0 / SPREAD..=SPREAD).contains(&ratio)
}

/// Mean and deviation of all grey values of an image in `[0, 1]`, after the contrast step.
pub(super) fn brightness(picture: &Picture) -> Normalisation {
    let (mut sum, mut squares, mut row) = (0.0, 0.0, Vec::new());
    for y in 0..picture.height {
        row.clear();
        picture.push_row(&mut row, y, 0..picture.width, 0, 1);
        for value in row.iter().copied().map(f64::from) {
            sum += value;
            squares += value * value;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "pixel counts stay far below 2^53")]
    let pixels = (picture.height * picture.width).max(1) as f64;
    let mean = sum / pixels;
    Normalisation { mean, deviation: (squares / pixels - mean * mean).max(0.0).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_is_far_outside_a_factor_of_three_or_above_half() {
        let rows = [
            (0.05, 0.056, false),
            (0.168, 0.056, false),
            (0.17, 0.056, true),
            (0.018, 0.056, true),
            (0.0, 0.056, true),
            (0.86, 0.056, true),
            (0.51, 0.2, true),
            (0.51, 0.25, false),
            (0.9, 0.4, false),
        ];
        for (coverage, density, far) in rows {
            assert_eq!(is_coverage_far(coverage, Some(density)), far, "{coverage} of {density}");
        }
        assert!(!is_coverage_far(0.9, None) && !is_coverage_far(0.9, Some(0.0)));
    }

    #[test]
    fn brightness_is_far_beyond_a_deviation_or_three_times_as_flat() {
        let of = |mean, deviation| Normalisation { mean, deviation };
        let trained = of(0.5, 0.15);
        for (shown, far) in [
            (of(0.5, 0.15), false),
            (of(0.64, 0.1), false),
            (of(0.66, 0.15), true),
            (of(0.03, 0.01), true),
            (of(0.5, 0.04), true),
            (of(0.5, 0.46), true),
        ] {
            assert_eq!(is_brightness_far(shown, trained), far, "{shown:?}");
        }
        let flat = Picture::of_bytes(2, 2, 1, vec![0, 255, 0, 255]);
        assert_eq!(brightness(&flat), of(0.5, 0.5));
    }
}
