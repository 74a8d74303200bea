//! Images and what is done to them.

use serde::{Deserialize, Serialize};

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
    /// What the name of a mask has behind that of its image.
    pub mask_suffix: Option<String>,
    /// Edge of the patches, in pixels.
    pub patch: u32,
    /// What is validation data.
    pub split: Split,
    /// Fraction of the files for validation.
    pub val_fraction: f64,
    /// Fraction of the training data that is learnt from.
    pub train_fraction: f64,
    /// Factor of the contrast step.
    pub contrast_gain: f64,
    /// What the contrast step adds.
    pub contrast_offset: f64,
    /// Fraction of the random crops that hold foreground.
    pub foreground_crops: f64,
}

impl Data {
    /// What the name of a mask has behind that of its image; nothing where they are the same.
    #[must_use]
    pub fn mask_suffix(&self) -> &str {
        self.mask_suffix.as_deref().unwrap_or_default()
    }
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
    /// `{ by: folds, folds: K, fold: I, gap: N }`: the files in K blocks, of which one is validation.
    Folds {
        /// Always `folds`.
        by: Folds,
        /// Number of blocks.
        folds: u64,
        /// The block that is validation, counted from 0.
        fold: u64,
        /// Files left unused on either side of it.
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

/// The word `folds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Folds {
    /// `folds`
    Folds,
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
    /// Whole files, so that training and validation are alike in the density of their masks.
    #[serde(rename = "stratified")]
    Stratified,
    /// Random patches of all files: neighbours leak. For comparison with earlier work only.
    #[serde(rename = "leaky_random_patches")]
    LeakyRandomPatches,
}

/// Random changes to training patches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Mirror.
    pub flips: bool,
    /// Turn by multiples of 90 degrees.
    pub rotations: bool,
    /// Cut and resize: largest magnification less 1.
    pub scale: f64,
    /// Standard deviation of a smooth displacement, in pixels.
    pub elastic: f64,
    /// Smoothness of that displacement, in pixels.
    pub elastic_sigma: f64,
    /// Largest value added or taken away.
    pub brightness: f64,
    /// Largest change of the distance from the mean, as a fraction.
    pub contrast: f64,
    /// Largest exponent less 1.
    pub gamma: f64,
    /// Largest standard deviation of noise.
    pub noise: f64,
    /// Largest standard deviation of a blur, in pixels.
    pub blur: f64,
}
