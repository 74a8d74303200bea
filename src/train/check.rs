//! Looks before a sweep is submitted: does the network run, do the data fit, how much memory.

use std::fmt;

use serde::Serialize;

use crate::clock::{Clock, SystemClock};
use crate::event::Cursor;
use crate::setting::Settings;
use crate::worker::learner::{Learner, LearnerError};
use crate::worker::telemetry;

use super::data::{DataSet, Summary};
use super::evaluate::Tiling;
use super::learner::{NetLearner, channels, device_name, image_settings};
use super::prefetch;

/// What the library takes before it has done anything (measured on a CPU).
const LIBRARY_BYTES: u64 = 150 << 20;

/// Mean and deviation of the input.
const NORMALISATION_BYTES: u64 = 16;

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckReport {
    /// Trainable parameters.
    pub parameters: u64,
    /// Where it would compute.
    pub device: String,
    /// Bytes that training takes, roughly (within a factor of two): the library, weights, gradients,
    /// moments, and what a step keeps for its backward pass or the evaluation of an image.
    pub memory_bytes: u64,
    /// Bytes that this process held at most, a minibatch and an evaluation included; none where the system
    /// does not tell.
    pub peak_bytes: Option<u64>,
    /// Seconds that this step took, the first of its process: later ones are faster.
    pub step_seconds: f64,
    /// Bytes of a checkpoint's arrays: parameters, buffers, moments of the optimizer.
    pub state_bytes: u64,
    /// Optimizer updates in an epoch.
    pub steps_per_epoch: u64,
    /// Slices for training.
    pub train_files: u64,
    /// Slices for validation.
    pub val_files: u64,
    /// Smallest and largest slice, as (width, height).
    pub sizes: [(u64, u64); 2],
    /// Fraction of the training pixels that is foreground.
    pub train_density: f64,
    /// Fraction of the validation pixels that is foreground.
    pub val_density: f64,
    /// What copying the mask of the nearest training slice scores on the validation split; none where
    /// the files are no volume.
    pub leak_jaccard: Option<f64>,
    /// Why there is no such score.
    pub leak_reason: Option<String>,
    /// What is to be said of a score that is high; it stands among the warnings, too.
    pub leak_warning: Option<String>,
    /// Pixels, brightness and foreground of each part.
    pub data: Summary,
    /// What a user should know, one sentence each.
    pub warnings: Vec<String>,
}

/// Reads the data, builds the network, trains it for one minibatch of the real size and evaluates the
/// largest validation image.
///
/// # Errors
/// As [`NetLearner::build`]: what would stop training stops here. So does a first loss that is not a
/// number.
pub fn check(settings: &Settings, seed: u64) -> Result<CheckReport, LearnerError> {
    let one = Settings { gradient_accumulation: 1, ..settings.clone() };
    let mut learner = NetLearner::build(&one, seed, 1)?.cutting_on(0);
    let clock = SystemClock::new();
    let began = clock.monotonic();
    let loss = learner.train_step(Cursor::START, settings.optimizer.lr())?;
    let step_seconds = (clock.monotonic() - began).as_secs_f64();
    if !loss.is_finite() {
        let what = "the loss of the first training step, or a gradient, is not a number".to_owned();
        return Err(LearnerError::Library { what });
    }
    learner.segment_largest()?;
    let (data_settings, _, _) = image_settings(settings)?;
    let (network, parameters, data) = (&learner.network, &learner.parameters, &learner.data);
    let inputs = channels(&settings.model)? as u64;
    let minibatch = settings.batch_size * u64::from(data_settings.patch).pow(2);
    let computed = network.values_per_pixel()
        * minibatch.max(largest_piece(data, Tiling::of(network.as_ref(), learner.device)) / 2);
    let cut_ahead = prefetch::MOST_AHEAD * minibatch * (inputs + 1);
    let values = computed + cut_ahead;
    let summary = Summary::of(data);
    let (train_density, val_density) = (summary.train.density, summary.val.density);
    Ok(CheckReport {
        parameters: parameters.count(),
        device: device_name(learner.device),
        state_bytes: parameters.bytes() + learner.optimizer.bytes() + NORMALISATION_BYTES,
        memory_bytes: LIBRARY_BYTES + 16 * parameters.count() + 4 * values,
        peak_bytes: telemetry::memory_peak(),
        step_seconds,
        steps_per_epoch: learner
            .sampler
            .samples()
            .div_ceil(settings.batch_size * settings.gradient_accumulation),
        train_files: data.fingerprint.train_files,
        val_files: data.fingerprint.val_files,
        sizes: sizes(data),
        train_density,
        val_density,
        leak_jaccard: data.leak.jaccard(),
        leak_reason: data.leak.reason().map(str::to_owned),
        leak_warning: data.leak_warning.clone(),
        warnings: warnings(data, &summary, data_settings.patch as usize),
        data: summary,
    })
}

/// What a user should know of the data, one sentence each.
pub(super) fn warnings(data: &DataSet, summary: &Summary, patch: usize) -> Vec<String> {
    let mut warnings = data.warnings.clone();
    let parts = [("training", &summary.train), ("validation", &summary.val)];
    for (split, density) in parts.map(|(split, part)| (split, part.density)) {
        if density == 0.0 {
            warnings.push(format!("the {split} masks hold no foreground"));
        } else if density > 0.5 {
            let percent = 100.0 * density;
            warnings.push(format!(
                "{percent:.0} % of the {split} pixels are foreground: are the masks inverted?"
            ));
        }
    }
    let small = data.train.iter().filter(|region| region.height.min(region.width) < patch);
    let small = small.count();
    if small > 0 {
        warnings.push(format!(
            "{small} training regions are smaller than data.patch {patch} and are mirrored to fill it"
        ));
    }
    warnings
}

/// Pixels of the largest piece that is evaluated at once; for each it holds half the values that
/// training does.
fn largest_piece(data: &DataSet, tiling: Tiling) -> u64 {
    let side = |side: usize| side.min(tiling.side) as u64;
    data.val.iter().map(|region| side(region.height) * side(region.width)).max().unwrap_or_default()
}

fn sizes(data: &DataSet) -> [(u64, u64); 2] {
    let sizes = || {
        let of = |slice: &super::data::Slice| (slice.picture.width, slice.picture.height);
        data.slices.iter().map(of).map(|(width, height)| (width as u64, height as u64))
    };
    let area = |(width, height): &(u64, u64)| width * height;
    [sizes().min_by_key(area).unwrap_or_default(), sizes().max_by_key(area).unwrap_or_default()]
}

impl fmt::Display for CheckReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.memory_bytes.div_ceil(1 << 20);
        writeln!(out, "{} parameters on {}, about {memory} MiB", self.parameters, self.device)?;
        let peak = self
            .peak_bytes
            .map_or(String::new(), |bytes| format!(", {} MiB at most", bytes.div_ceil(1 << 20)));
        writeln!(out, "first step  {:.2} s{peak}", self.step_seconds)?;
        writeln!(
            out,
            "{} training and {} validation images, {} steps an epoch",
            self.train_files, self.val_files, self.steps_per_epoch
        )?;
        for (name, share) in [
            ("training", &self.data.train),
            ("validation", &self.data.val),
            ("both", &self.data.all),
        ] {
            writeln!(
                out,
                "{name:<11} {:5} slices, foreground {:5.2} %, brightness {:.3} ± {:.3}",
                share.slices,
                100.0 * share.density,
                share.brightness,
                share.brightness_std
            )?;
        }
        let Summary { test_files, unused_files, left_out, .. } = self.data;
        writeln!(out, "not opened  {test_files:5} test files, {unused_files} unused")?;
        if left_out > 0 {
            writeln!(out, "left out    {left_out:5} files or patches, by data.train_fraction")?;
        }
        match (self.leak_jaccard, &self.leak_reason) {
            (Some(jaccard), _) => write!(
                out,
                "leak meter  {jaccard:.3}: the Jaccard of copying the nearest training slice's mask"
            ),
            (None, Some(why)) => write!(out, "leak meter  not applicable: {why}"),
            (None, None) => Ok(()),
        }
    }
}
