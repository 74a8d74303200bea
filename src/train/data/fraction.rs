//! Which part of the training data a trial sees, where `data.train_fraction` asks for less than all. Pure.

use super::Part;

/// Chooses `fraction` of `count` things that lie in a row: evenly spread over it, a smaller fraction within
/// a larger one, at least one thing. They are taken in the order of van der Corput's sequence in base 2
/// (middle, quarters, eighths, …), so that gaps between them differ by little more than a factor of two.
/// A function of the two numbers alone.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction of a small whole number"
)]
pub(super) fn spread(count: usize, fraction: f64) -> Vec<bool> {
    let wanted = ((count as f64 * fraction).round() as usize).clamp(count.min(1), count);
    let mut chosen = vec![false; count];
    let mut left = wanted;
    for number in 1_u64.. {
        if left == 0 {
            break;
        }
        // The bits of the number mirrored at the binary point: from 0 to below 1, in 2^-64.
        let place = (u128::from(number.reverse_bits()) * count as u128) >> 64;
        if let Some(is_chosen @ false) = chosen.get_mut(place as usize) {
            *is_chosen = true;
            left -= 1;
        }
    }
    chosen
}

/// Leaves out what of the training files is not among the chosen fraction; all else stays.
pub(super) fn thin(parts: &mut [Part], fraction: f64) {
    let training: Vec<&mut Part> = parts.iter_mut().filter(|part| **part == Part::Train).collect();
    let chosen = spread(training.len(), fraction);
    for (part, _) in training.into_iter().zip(chosen).filter(|(_, is_chosen)| !is_chosen) {
        *part = Part::LeftOut;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(count: usize, fraction: f64) -> Vec<usize> {
        let chosen = spread(count, fraction);
        (0..count).filter(|place| chosen[*place]).collect()
    }

    #[test]
    fn a_fraction_is_rounded_and_never_nothing() {
        assert_eq!(places(0, 0.5), Vec::<usize>::new());
        assert_eq!(places(1, 0.01), [0]);
        assert_eq!(places(9, 0.01), [4], "the middle");
        assert_eq!(places(8, 0.5).len(), 4);
        assert_eq!(places(165, 0.1).len(), 17);
        assert_eq!(places(165, 1.0), (0..165).collect::<Vec<_>>());
    }

    #[test]
    fn smaller_fractions_lie_within_larger_ones_and_all_are_spread_evenly() {
        for count in [3, 10, 64, 100, 132, 165, 1782] {
            let mut before: Vec<usize> = Vec::new();
            for fraction in [0.1, 0.2, 0.5, 0.75, 1.0] {
                let now = places(count, fraction);
                assert!(before.iter().all(|place| now.contains(place)), "{count} {fraction}");
                // Between two of them, and to both ends.
                let ends = now.iter().map(|place| place + 1).chain([count + 1]);
                let starts = [0].into_iter().chain(now.iter().map(|place| place + 1));
                let widest = starts.zip(ends).map(|(start, end)| end - start).max().expect("one");
                let mean = count.div_ceil(now.len());
                assert!(widest <= 2 * mean + 1, "{count} {fraction}: {widest} of {mean}");
                before = now;
            }
        }
    }

    #[test]
    fn only_training_files_are_left_out() {
        use Part::{LeftOut, Test, Train, Unused, Val};
        let mut parts = vec![Train, Test, Train, Train, Unused, Val, Train];
        thin(&mut parts, 0.5);
        assert_eq!(parts, [LeftOut, Test, Train, Train, Unused, Val, LeftOut]);
        let all = parts.clone();
        thin(&mut parts, 1.0);
        assert_eq!(parts, all);
    }
}
