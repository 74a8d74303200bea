//! The leak meter: what copying the mask of the nearest training slice scores, with no image and no
//! network. A network is only worth its score beyond that.

use crate::event::WORDS_OF_A_LEAK;
use std::collections::HashMap;

use super::{Mask, Region, Slice};

/// Above this Jaccard, validation data are near copies of training data. In contiguous volumes of
/// 5 nm and 45 nm a split without a gap scores 0.4 to 0.6, one with a gap of 20 slices 0.1 to 0.25, and
/// one by random patches 0.92.
pub const WARN_ABOVE: f64 = 0.4;

/// Slices that are needed to tell a volume from single images.
const MIN_SLICES: usize = 8;
/// By how much neighbours in a volume are more alike (in Jaccard) than slices half the set apart.
const MIN_RISE: f64 = 0.1;
/// Pairs that are compared for that, of each kind.
const PAIRS: usize = 24;

/// What the leak meter says of a split.
#[derive(Clone, Debug, PartialEq)]
pub enum Leak {
    /// Jaccard, pooled over the validation regions.
    Scored(f64),
    /// The files are no volume, for this reason.
    NotApplicable(String),
}

impl Leak {
    /// Measures a split. `places[i]` is the place of `slices[i]` among all files that are not for the
    /// test, in natural order of names; a region is compared with the same region of the nearest
    /// training slice that has it (of two the earlier one). Where no training slice has it, nothing is
    /// copied: all is background.
    #[must_use]
    pub fn measure(slices: &[Slice], places: &[usize], train: &[Region], val: &[Region]) -> Self {
        if let Some(why) = no_volume(slices) {
            return Self::NotApplicable(why);
        }
        let key = |region: &Region| (region.top, region.left, region.height, region.width);
        let mut sources: HashMap<_, Vec<usize>> = HashMap::new();
        for region in train {
            sources.entry(key(region)).or_default().push(region.slice);
        }
        let mut overlap = Overlap::default();
        for region in val {
            let Some(truth) = &slices[region.slice].mask else { continue };
            let nearest = sources.get(&key(region)).and_then(|training| {
                let distance = |slice: &&usize| places[**slice].abs_diff(places[region.slice]);
                // The first of several that are equally near; slices are in order.
                training.iter().min_by_key(distance)
            });
            match nearest.and_then(|slice| slices[*slice].mask.as_ref()) {
                Some(copy) => overlap.add(truth, copy, *region),
                None => overlap.union += overlap_of(truth, truth, *region).union,
            }
        }
        let is_empty = val.iter().all(|region| {
            slices[region.slice]
                .mask
                .as_ref()
                .is_none_or(|mask| overlap_of(mask, mask, *region).union == 0)
        });
        match overlap.jaccard().filter(|_| !is_empty) {
            Some(jaccard) => Self::Scored(jaccard),
            None => Self::NotApplicable("the validation masks hold no foreground".to_owned()),
        }
    }

    /// The Jaccard; none where the files are no volume.
    #[must_use]
    pub fn jaccard(&self) -> Option<f64> {
        match self {
            Self::Scored(jaccard) => Some(*jaccard),
            Self::NotApplicable(_) => None,
        }
    }

    /// Why there is no Jaccard.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Scored(_) => None,
            Self::NotApplicable(why) => Some(why),
        }
    }

    /// What a user should be told where the split leaks, and which one would not: of `slices` with their
    /// `places` among so many files, `val` of them for validation.
    #[must_use]
    pub fn warning(
        &self,
        slices: &[Slice],
        places: &[usize],
        files: usize,
        val: usize,
    ) -> Option<String> {
        let jaccard = self.jaccard().filter(|jaccard| *jaccard > WARN_ABOVE)?;
        let remedy = match remedy(slices, places, files, val) {
            Ok((gap, score)) => format!(
                "Set data.split to {{ by: blocks, gap: {gap} }}, the smallest gap tried that keeps training and \
                 validation apart ({score:.3})"
            ),
            Err(widest) => format!(
                "No gap of up to {widest} files keeps training and validation apart here: validate on another \
                 volume, by split.csv"
            ),
        };
        Some(format!(
            "{WORDS_OF_A_LEAK}a Jaccard of {jaccard:.3} on the validation split: a network's score says little \
             about new images. {remedy}"
        ))
    }
}

/// Gaps that are tried.
const GAPS: [usize; 16] = [1, 2, 3, 4, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 75, 100];

/// The smallest gap before the last `val` of so many files that does not leak, with its score; the widest one that
/// was tried where all do. At least as many files must be left for training as there are for validation.
fn remedy(
    slices: &[Slice],
    places: &[usize],
    files: usize,
    val: usize,
) -> Result<(usize, f64), usize> {
    let first = files.saturating_sub(val);
    let whole = |range: std::ops::Range<usize>| -> Vec<Region> {
        let chosen = places.iter().enumerate().filter(|(_, place)| range.contains(*place));
        chosen.map(|(slice, _)| Region::whole(slice, &slices[slice].picture)).collect()
    };
    let validation = whole(first..files);
    let mut widest = 0;
    for gap in GAPS.into_iter().take_while(|gap| gap + val <= first) {
        widest = gap;
        let leak = Leak::measure(slices, places, &whole(0..first - gap), &validation);
        match leak.jaccard() {
            Some(score) if score <= WARN_ABOVE => return Ok((gap, score)),
            _ => {}
        }
    }
    Err(widest)
}

/// Why the slices are no volume, if they are none: too few, of different sizes, without foreground, or
/// neighbouring masks are not more alike than those of slices half the set apart.
fn no_volume(slices: &[Slice]) -> Option<String> {
    let masks: Vec<&Mask> = slices.iter().filter_map(|slice| slice.mask.as_ref()).collect();
    if masks.len() < MIN_SLICES {
        return Some(format!(
            "{} slices are too few to tell a volume from single images ({MIN_SLICES} are needed)",
            masks.len()
        ));
    }
    let size = |mask: &&Mask| (mask.width, mask.height);
    if masks.iter().any(|mask| size(mask) != size(&masks[0])) {
        return Some("the images are of different sizes, so they are no volume".to_owned());
    }
    let alike = |distance: usize| {
        let pairs = masks.len() - distance;
        let mut overlap = Overlap::default();
        let chosen = pairs.min(PAIRS);
        for number in 0..chosen {
            let first = number * pairs / chosen;
            let (one, other) = (masks[first], masks[first + distance]);
            let all = Region { slice: 0, top: 0, left: 0, height: one.height, width: one.width };
            overlap.add(one, other, all);
        }
        overlap.jaccard()
    };
    let (Some(near), Some(far)) = (alike(1), alike(masks.len() / 2)) else {
        return Some("the masks hold no foreground".to_owned());
    };
    (near < far + MIN_RISE).then(|| {
        format!(
            "the files are no volume: masks of neighbouring files overlap no more (Jaccard {near:.3}) \
             than those of files far apart ({far:.3})"
        )
    })
}

#[derive(Clone, Copy, Debug, Default)]
struct Overlap {
    both: u64,
    union: u64,
}

impl Overlap {
    fn add(&mut self, one: &Mask, other: &Mask, region: Region) {
        let of = overlap_of(one, other, region);
        self.both += of.both;
        self.union += of.union;
    }

    #[expect(clippy::cast_precision_loss, reason = "pixel counts stay far below 2^53")]
    fn jaccard(self) -> Option<f64> {
        (self.union > 0).then(|| self.both as f64 / self.union as f64)
    }
}

fn overlap_of(one: &Mask, other: &Mask, region: Region) -> Overlap {
    let mut overlap = Overlap::default();
    for y in region.top..region.top + region.height {
        let row = |mask: &Mask| {
            let start = y * mask.width + region.left;
            start..start + region.width
        };
        let pairs = one.pixels[row(one)].iter().zip(&other.pixels[row(other)]);
        let (both, union) = pairs.fold((0_u32, 0_u32), |(both, union), (a, b)| {
            (both + u32::from(a & b), union + u32::from(a | b))
        });
        overlap.both += u64::from(both);
        overlap.union += u64::from(union);
    }
    overlap
}
