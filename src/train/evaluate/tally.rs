//! Counts and loss of many regions.

use tch::{Kind, Tensor};

use crate::metric::{Confusion, Metrics};
use crate::setting::Loss;
use crate::train::data::{Mask, Region};
use crate::train::loss::LossSums;
use crate::worker::learner::LearnerError;

use super::Segmented;

/// Counts and loss of a whole split.
#[derive(Debug)]
pub(in crate::train) struct Tally {
    pub(in crate::train) confusion: Confusion,
    loss: LossSums,
}

impl Tally {
    /// Counts from nothing; the loss has these weights.
    pub(in crate::train) fn new(weights: &Loss) -> Self {
        Self { confusion: Confusion::default(), loss: LossSums::new(weights) }
    }

    /// Counts a region and returns its own counts. The mask is that of the whole picture.
    pub(in crate::train) fn add(
        &mut self,
        segmented: &Segmented,
        mask: &Mask,
        region: Region,
    ) -> Result<Confusion, LearnerError> {
        let truth = truth(mask, region);
        let counts = count(&segmented.pixels, &truth);
        self.confusion += counts;
        let truth = Tensor::f_from_slice(&truth)?.f_to_kind(Kind::Float)?;
        self.loss.add(&segmented.logits, &truth.f_view_as(&segmented.logits)?)?;
        Ok(counts)
    }

    /// Returns `<split>/loss`, `<split>/jaccard` and so on.
    pub(in crate::train) fn metrics(&self, split: &str) -> Metrics {
        let mut metrics = Metrics::default();
        self.confusion.record(split, &mut metrics);
        metrics.set(format!("{split}/loss"), self.loss.loss());
        metrics
    }
}

/// The pixels of a mask within a region, row by row.
pub(in crate::train) fn truth(mask: &Mask, region: Region) -> Vec<u8> {
    let rows = (region.top..region.top + region.height).map(|y| y * mask.width + region.left);
    rows.flat_map(|start| &mask.pixels[start..start + region.width]).copied().collect()
}

/// Counts pixels of 0 and 1.
pub(in crate::train) fn count(predicted: &[u8], truth: &[u8]) -> Confusion {
    let mut counts = Confusion::default();
    for (predicted, truth) in predicted.iter().zip(truth) {
        counts.count(*predicted == 1, *truth == 1);
    }
    counts
}
