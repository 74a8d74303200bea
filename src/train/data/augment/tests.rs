//! What random changes do, and what they leave alone.

use super::*;
use crate::train::data::patch::{Region, Window};
use crate::train::data::{Mask, Picture};

const OFF: Augmentation = Augmentation {
    flips: false,
    rotations: false,
    scale: 0.0,
    elastic: 0.0,
    elastic_sigma: 16.0,
    brightness: 0.0,
    contrast: 0.0,
    gamma: 0.0,
    noise: 0.0,
    blur: 0.0,
};

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

#[test]
fn a_turned_plane_holds_what_each_pixel_comes_from() {
    for sample in 0..40 {
        let settings = Augmentation { flips: true, rotations: true, ..OFF };
        let turn = Turn::draw(&settings, 1, 1, sample);
        let mut out = Vec::new();
        turn.push(&mut out, &[0.0, 1.0, 2.0, 3.0], 2);
        let numbers: Vec<f32> =
            applied(turn).iter().map(|at| f32::from(u8::try_from(*at).expect("small"))).collect();
        assert_eq!(out, numbers);
    }
}

fn drawn(flips: bool, rotations: bool) -> std::collections::BTreeSet<Vec<usize>> {
    let settings = Augmentation { flips, rotations, ..OFF };
    (0..200).map(|sample| applied(Turn::draw(&settings, 1, 1, sample))).collect()
}

#[test]
fn settings_choose_the_group() {
    assert_eq!(drawn(false, false).len(), 1);
    assert_eq!(drawn(true, false).len(), 4);
    assert_eq!(drawn(false, true).len(), 4);
    assert_eq!(drawn(true, true).len(), 8);
}

#[test]
fn what_is_off_draws_nothing() {
    let region = Region { slice: 0, top: 0, left: 0, height: 64, width: 64 };
    let window = Window { region, top: 3, left: 5, anchor: None };
    assert!(Warp::draw(&OFF, 32, &window, (1, 1, 1)).is_none());
    assert!(Intensity::draw(&OFF, (1, 1, 1)).is_none());
}

/// A patch of 32 pixels from a region of 40 in a picture of 64, whose other pixels are white.
fn patch(settings: &Augmentation, window: (usize, usize), sample: u64) -> (Vec<f32>, Vec<f32>) {
    let inside = |y: usize, x: usize| (12..52).contains(&y) && (12..52).contains(&x);
    let pixels = || (0..64 * 64).map(|at| (at / 64, at % 64));
    let value = |(y, x)| if inside(y, x) { u8::try_from(y + x).expect("small") } else { 255 };
    let picture = Picture::of_bytes(64, 64, 1, pixels().map(value).collect());
    let label = |(y, x)| u8::from(!inside(y, x) || y < 22);
    let mask = Mask::of_pixels(64, 64, pixels().map(label).collect());
    let region = Region { slice: 0, top: 12, left: 12, height: 40, width: 40 };
    let window = Window { region, top: window.0, left: window.1, anchor: None };
    let warp = Warp::draw(settings, 32, &window, (1, 1, sample)).expect("a change");
    let (mut values, mut truth) = (Vec::new(), Vec::new());
    warp.push_values(&mut values, &picture, region, 1);
    warp.push_truth(&mut truth, &mask, region);
    (values, truth)
}

#[test]
fn a_patch_never_sees_beyond_its_region_and_its_mask_moves_with_it() {
    let settings = Augmentation { scale: 1.0, elastic: 6.0, elastic_sigma: 5.0, ..OFF };
    let mut seen = std::collections::BTreeSet::new();
    for sample in 0..60 {
        let (values, truth) = patch(&settings, (8, 0), sample);
        assert!(values.iter().all(|value| *value <= 102.0 / 255.0), "sample {sample}");
        assert!(truth.iter().all(|label| [0.0, 1.0].contains(label)));
        // Rows 12 to 21 of the slice are foreground, where y + x is 12 + 12 at least and 21 + 51 at
        // most: bright pixels are background, dark ones foreground.
        for (value, label) in values.iter().zip(&truth) {
            let sum = value * 255.0;
            assert!(*label == 0.0 || sum < 73.0, "{sum}");
            assert!(*label == 1.0 || sum > 33.0, "{sum}");
        }
        seen.insert(values.iter().map(|value| value.to_bits()).collect::<Vec<_>>());
        assert_eq!((values, truth), patch(&settings, (8, 0), sample), "a function of the sample");
    }
    assert_eq!(seen.len(), 60);
}

#[test]
fn a_scale_alone_magnifies_up_and_down_within_its_range() {
    let settings = Augmentation { scale: 0.25, ..OFF };
    let slopes: Vec<f32> = (0..200)
        .map(|sample| {
            let (values, _) = patch(&settings, (4, 4), sample);
            // Values rise by one in a row: by the step of the patch between its pixels.
            255.0 * (values[20] - values[10]) / 10.0
        })
        .collect();
    let (least, most) = slopes.iter().fold((9.0_f32, 0.0_f32), |(a, b), s| (a.min(*s), b.max(*s)));
    assert!(least > 0.799 && least < 0.83, "{least}");
    assert!(most < 1.2501 && most > 1.2, "{most}");
}

#[test]
fn displacements_have_the_wanted_deviation_and_smoothness() {
    for (sigma, deviation) in [(8.0, 3.0), (2.0, 1.0)] {
        let (mut squares, mut steps, mut count) = (0.0, 0.0, 0.0);
        for index in 0..20 {
            let mut draw = Draw::new(index, "test", 0, 0);
            let field = super::warp::Field::draw(128, deviation, sigma, &mut draw);
            for row in field.nodes.iter().flat_map(|nodes| nodes.chunks_exact(field.side)) {
                for pair in row.windows(2) {
                    squares += f64::from(pair[0] * pair[0]);
                    steps += f64::from((pair[1] - pair[0]).powi(2));
                    count += 1.0;
                }
            }
        }
        let found = f64::sqrt(squares / count);
        assert!((found / deviation - 1.0).abs() < 0.1, "{found} for {deviation}");
        // A field filtered with sigma has the correlation exp(-d² / 4 sigma²) at distance d.
        let spacing = f64::max((sigma / 2.0_f64).floor(), 1.0);
        let expected = 2.0 * (1.0 - (-(spacing / sigma).powi(2) / 4.0).exp());
        let rough = steps / squares / expected;
        assert!((0.7..1.4).contains(&rough), "{rough} at {sigma}");
    }
}

#[test]
fn grey_values_stay_within_the_range_and_each_change_has_a_stream_of_its_own() {
    let all =
        Augmentation { brightness: 0.3, contrast: 0.5, gamma: 1.0, noise: 0.2, blur: 2.0, ..OFF };
    let ramp: Vec<f32> = (0..256_u16).map(|at| f32::from(at) / 255.0).collect();
    let changed = |settings: &Augmentation, sample| {
        let mut values = ramp.clone();
        Intensity::draw(settings, (1, 2, sample)).expect("a change").apply(&mut values, 16);
        values
    };
    for sample in 0..50 {
        let values = changed(&all, sample);
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
        assert_ne!(values, ramp);
        assert_eq!(values, changed(&all, sample));
        let one = Intensity::draw(&all, (1, 2, sample)).expect("a change");
        let other = Augmentation { blur: 0.0, contrast: 0.0, ..all.clone() };
        let other = Intensity::draw(&other, (1, 2, sample)).expect("a change");
        assert_eq!(
            (one.brightness, one.gamma, one.noise),
            (other.brightness, other.gamma, other.noise)
        );
        assert!((0.5..=2.0).contains(&one.gamma) && one.brightness.abs() <= 0.3);
        assert!((0.5..1.5).contains(&one.contrast) && one.blur < 2.0 && one.noise < 0.2);
    }
}

#[test]
fn noise_has_mean_zero_and_the_drawn_deviation() {
    let change = Intensity {
        blur: 0.0,
        contrast: 1.0,
        brightness: 0.0,
        gamma: 1.0,
        noise: 0.05,
        place: (1, 2, 3),
    };
    let mut values = vec![0.5; 128 * 128];
    change.apply(&mut values, 128);
    let off = values.iter().map(|value| f64::from(*value) - 0.5);
    let (sum, squares) = off.fold((0.0, 0.0), |(sum, squares), v| (sum + v, squares + v * v));
    let count = 128.0 * 128.0;
    assert!((sum / count).abs() < 0.002, "{}", sum / count);
    assert!((f64::sqrt(squares / count) - 0.05).abs() < 0.001);
}
