//! Settings as programs use them. Ranges and defaults stand in the table, not here.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// All settings of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The network.
    pub model: Model,
    /// The data; none for the toy.
    pub data: Option<Data>,
    /// The loss; none for the toy.
    pub loss: Option<Loss>,
    /// How weights are updated.
    pub optimizer: Optimizer,
    /// Learning rate over time.
    pub schedule: Schedule,
    /// Random changes; none for the toy.
    pub augmentation: Option<Augmentation>,
    /// When to give up.
    pub guards: Guards,
    /// Passes over the data.
    pub epochs: u64,
    /// Patches in a minibatch.
    pub batch_size: u64,
    /// Random crops in an epoch, instead of the grid.
    pub samples_per_epoch: Option<u64>,
    /// Minibatches whose gradients are averaged for one optimizer update.
    #[serde(default = "one")]
    pub gradient_accumulation: u64,
}

fn one() -> u64 {
    1
}

impl Settings {
    /// Reads resolved settings.
    ///
    /// # Errors
    /// When they were not resolved by this version's table.
    pub fn from_resolved(resolved: &Map<String, Value>) -> serde_json::Result<Self> {
        Self::deserialize(Value::Object(resolved.clone()))
    }
}

/// The network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Model {
    /// The torch-free learner.
    Toy(Toy),
    /// U-Net.
    Unet(Unet),
}

/// Settings of the toy learner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toy {
    /// Optimizer updates in an epoch.
    pub steps_per_epoch: u64,
    /// Seconds of a step.
    pub step_seconds: f64,
    /// Seconds of an evaluation.
    pub eval_seconds: f64,
    /// Seconds of a checkpoint.
    pub save_seconds: f64,
    /// Step at which the loss becomes NaN.
    pub diverge_at: Option<u64>,
    /// Step at which the learner fails.
    pub fail_at: Option<u64>,
    /// Any text.
    pub note: String,
}

/// Settings of the U-Net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unet {
    /// Channels of the first level.
    pub base: i64,
    /// Times the image is halved.
    pub depth: i64,
    /// Channels of the input.
    pub channels: i64,
    /// Fraction of channels dropped at the bottom.
    pub dropout: f64,
}

/// Images and masks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Identity of the data set.
    pub name: String,
    /// Folder, absolute.
    pub path: String,
    /// Folder of the images within.
    pub images: String,
    /// Folder of the masks within.
    pub masks: String,
    /// Edge of the patches, in pixels.
    pub patch: u32,
    /// What is validation data.
    pub split: Split,
    /// Fraction of the files for validation.
    pub val_fraction: f64,
}

/// What is validation data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Split {
    /// A word.
    Word(SplitBy),
    /// `{ by: blocks, gap: N }`: the last files, with `gap` unused files before them.
    Blocks {
        /// Always `blocks`.
        by: Blocks,
        /// Files left unused between training and validation.
        gap: u64,
    },
}

/// The word `blocks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blocks {
    /// `blocks`
    Blocks,
}

/// A split with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SplitBy {
    /// The last files, in natural order of names, are validation.
    #[serde(rename = "file")]
    File,
    /// `split.csv` beside the image folder names them (columns `name,split`).
    #[serde(rename = "split.csv")]
    Csv,
    /// Random patches of all files: neighbours leak. For comparison with earlier work only.
    #[serde(rename = "leaky_random_patches")]
    LeakyRandomPatches,
}

/// Weights of the parts of the loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Weight of binary cross-entropy.
    pub bce: f64,
    /// Weight of soft Dice.
    pub dice: f64,
}

/// How weights are updated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Optimizer {
    /// AdamW.
    Adamw {
        /// Learning rate.
        lr: f64,
        /// Decoupled weight decay.
        weight_decay: f64,
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the denominator.
        eps: f64,
    },
}

impl Optimizer {
    /// Returns the base learning rate.
    #[must_use]
    pub fn lr(&self) -> f64 {
        match self {
            Self::Adamw { lr, .. } => *lr,
        }
    }
}

/// Learning rate over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// It stays.
    Constant,
    /// Linear rise, then a cosine down.
    WarmupCosine {
        /// Epochs of the rise.
        warmup_epochs: f64,
        /// Last learning rate as a fraction.
        final_factor: f64,
    },
    /// It falls when a metric stops improving.
    Plateau(Plateau),
}

/// When the learning rate falls, and how far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plateau {
    /// What must improve.
    pub metric: String,
    /// What the learning rate is multiplied by.
    pub factor: f64,
    /// Epochs without improvement that are let pass.
    pub patience: u64,
    /// Least improvement that counts, as a fraction of the best value.
    pub threshold: f64,
    /// Epochs after a fall in which nothing is counted.
    pub cooldown: u64,
    /// Smallest learning rate as a fraction.
    pub min_factor: f64,
}

impl Schedule {
    /// Returns the factor on the learning rate for the update after `done` updates of `total`, as far
    /// as it is a pure function of the step. What a plateau adds to it follows from the metrics, and
    /// the loop keeps it.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "steps stay far below 2^53")]
    pub fn factor(&self, done: u64, total: u64, steps_per_epoch: u64) -> f64 {
        match self {
            Self::Constant | Self::Plateau(_) => 1.0,
            Self::WarmupCosine { warmup_epochs, final_factor } => {
                let (done, total) = (done as f64, total as f64);
                let warmup = warmup_epochs * steps_per_epoch as f64;
                if done < warmup {
                    return (done + 1.0) / warmup;
                }
                let progress = ((done - warmup) / (total - warmup).max(1.0)).clamp(0.0, 1.0);
                let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
                final_factor + (1.0 - final_factor) * cosine
            }
        }
    }
}

/// Random changes to training patches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Mirror.
    pub flips: bool,
    /// Turn by multiples of 90 degrees.
    pub rotations: bool,
}

/// When to give up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guards {
    /// A loss above this, or not a number, is divergence.
    pub max_loss: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_rises_to_one_and_the_cosine_ends_at_the_final_factor() {
        let schedule = Schedule::WarmupCosine { warmup_epochs: 2.0, final_factor: 0.1 };
        let at = |done| schedule.factor(done, 100, 10);
        assert!((at(0) - 0.05).abs() < 1e-12);
        assert!((at(19) - 1.0).abs() < 1e-12 && (at(20) - 1.0).abs() < 1e-12);
        assert!((at(60) - 0.55).abs() < 1e-12);
        assert!((at(100) - 0.1).abs() < 1e-12);
    }
}
