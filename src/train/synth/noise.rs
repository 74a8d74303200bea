//! Smooth random fields: value noise on a lattice.

/// Mixes a lattice place into 64 bits (the finaliser of SplitMix64, Steele et al. 2014).
pub(super) fn hash(seed: u64, lattice: [i32; 3]) -> u64 {
    let mut mixed = seed;
    for coordinate in lattice {
        mixed = mixed
            .wrapping_add(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(coordinate.cast_unsigned().into());
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
    }
    mixed
}

/// Returns a number in `[0, 1)` from 16 of the bits.
pub(super) fn unit(bits: u64, part: u32) -> f32 {
    f32::from(u16::try_from((bits >> (16 * part)) & 0xffff).unwrap_or_default()) / 65_536.0
}

/// Returns a smooth field in `[-1, 1]` that changes over about one unit of `point`.
pub(super) fn field(seed: u64, point: [f32; 3]) -> f32 {
    let floor = point.map(f32::floor);
    #[expect(clippy::cast_possible_truncation, reason = "a floor within a small volume")]
    let base = floor.map(|value| value as i32);
    let mut weight = [0.0_f32; 3];
    for axis in 0..3 {
        let t = point[axis] - floor[axis];
        weight[axis] = t * t * (3.0 - 2.0 * t);
    }
    let corner = |dx: i32, dy: i32, dz: i32| {
        2.0 * unit(hash(seed, [base[0] + dx, base[1] + dy, base[2] + dz]), 0) - 1.0
    };
    let along_x = |dy, dz| mix(corner(0, dy, dz), corner(1, dy, dz), weight[0]);
    let along_y = |dz| mix(along_x(0, dz), along_x(1, dz), weight[1]);
    mix(along_y(0), along_y(1), weight[2])
}

/// Goes from `a` at 0 to `b` at 1.
pub(super) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// Rises smoothly from 0 at `low` to 1 at `high`.
pub(super) fn rise(low: f32, high: f32, value: f32) -> f32 {
    let t = ((value - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Scales a point.
pub(super) fn scaled(point: [f32; 3], scale: f32) -> [f32; 3] {
    point.map(|value| value * scale)
}
