//! Deals numbered files into training and validation. Pure.

use super::Part;

/// The last `val` files are validation; `gap` files before them are unused.
pub(super) fn tail(files: usize, val: usize, gap: usize) -> Vec<Part> {
    let first = files.saturating_sub(val);
    block(files, first..files, gap)
}

/// The files of `fold` (counted from 0) of `folds` contiguous blocks are validation, with `gap` unused
/// files on either side. Sizes of blocks differ by one at most.
pub(super) fn fold(files: usize, folds: usize, fold: usize, gap: usize) -> Vec<Part> {
    let start = |fold: usize| fold.saturating_mul(files) / folds.max(1);
    block(files, start(fold)..start(fold + 1), gap)
}

fn block(files: usize, val: std::ops::Range<usize>, gap: usize) -> Vec<Part> {
    let near = val.start.saturating_sub(gap)..val.end.saturating_add(gap);
    (0..files)
        .map(|place| match place {
            place if val.contains(&place) => Part::Val,
            place if near.contains(&place) => Part::Unused,
            _ => Part::Train,
        })
        .collect()
}

/// Deals whole files so that training and validation have about the same distribution of densities:
/// of the files sorted by density (files of equal density in their order) cut into `val` groups of
/// equal size, the middle one of each is validation. A function of the densities alone.
pub(super) fn stratified(densities: &[f64], val: usize) -> Vec<Part> {
    let mut order: Vec<usize> = (0..densities.len()).collect();
    order.sort_by(|a, b| densities[*a].total_cmp(&densities[*b]));
    let mut parts = vec![Part::Train; densities.len()];
    for group in 0..val {
        let middle = (2 * group + 1) * densities.len() / (2 * val);
        if let Some(file) = order.get(middle) {
            parts[*file] = Part::Val;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use Part::{Train, Unused, Val};

    fn places(parts: &[Part], part: Part) -> Vec<usize> {
        (0..parts.len()).filter(|place| parts[*place] == part).collect()
    }

    #[test]
    fn a_block_has_gaps_where_it_has_neighbours() {
        assert_eq!(tail(6, 2, 1), [Train, Train, Train, Unused, Val, Val]);
        assert_eq!(tail(6, 2, 9), [Unused, Unused, Unused, Unused, Val, Val]);
        assert_eq!(fold(6, 3, 1, 1), [Train, Unused, Val, Val, Unused, Train]);
        assert_eq!(fold(6, 3, 0, 1), [Val, Val, Unused, Train, Train, Train]);
    }

    #[test]
    fn folds_hold_every_file_once_whatever_their_number() {
        for (files, folds) in [(10, 5), (11, 4), (165, 7), (3, 5)] {
            let mut all: Vec<usize> =
                (0..folds).flat_map(|index| places(&fold(files, folds, index, 2), Val)).collect();
            let sizes = (0..folds).map(|index| places(&fold(files, folds, index, 0), Val).len());
            let (least, most) = sizes.fold((usize::MAX, 0), |(a, b), n| (a.min(n), b.max(n)));
            assert!(most - least <= 1, "{files} {folds}");
            all.sort_unstable();
            assert_eq!(all, (0..files).collect::<Vec<_>>());
        }
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn stratified_parts_are_alike_in_density_and_the_tail_of_sorted_files_is_not() {
        // Densities that grow along the volume, as those of a cell that is entered.
        let densities: Vec<f64> = (0..50).map(|z: i32| f64::from(z * z) / 2500.0).collect();
        let gap = |parts: &[Part]| {
            let mean = |part| {
                let places = places(parts, part);
                places.iter().map(|at| densities[*at]).sum::<f64>() / places.len() as f64
            };
            (mean(Train) - mean(Val)).abs()
        };
        let dealt = stratified(&densities, 10);
        assert_eq!(places(&dealt, Val).len(), 10);
        assert!(gap(&dealt) < 0.01, "{}", gap(&dealt));
        assert!(gap(&tail(50, 10, 0)) > 0.5);
        assert_eq!(dealt, stratified(&densities, 10));
        // Equal densities: by their order.
        assert_eq!(places(&stratified(&[0.5; 6], 2), Val), [1, 4]);
        assert_eq!(places(&stratified(&[0.9, 0.1, 0.5], 3), Val), [0, 1, 2]);
    }
}
