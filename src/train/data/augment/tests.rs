//! What random changes do, and what they leave alone.

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
