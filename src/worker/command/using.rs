//! The arguments of `predict`, `evaluate` and `export`: trained networks, and how images are shown to them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::metric::Threshold;

/// Arguments of `predict`.
#[derive(Debug, Args)]
pub struct Predict {
    /// Images: PNG, TIFF, stacks with all their pages, or folders of them [default: --split of the
    /// trial's data]
    #[arg(value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// The networks
    #[command(flatten)]
    pub using: Using,
    /// Which images of the trial's data
    #[arg(long, value_enum, default_value = "val", conflicts_with = "images")]
    pub split: Split,
    /// Folder for the masks
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Write no probability/NAME.png
    #[arg(long)]
    pub no_probability: bool,
    /// Write no overlay/NAME.png
    #[arg(long)]
    pub no_overlay: bool,
}

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// A folder with `images` and `masks`
    #[arg(value_name = "DATA")]
    pub folder: PathBuf,
    /// The networks
    #[command(flatten)]
    pub using: Using,
    /// Which of its images, by its split.csv
    #[arg(long, value_enum, default_value = "all")]
    pub split: Split,
    /// Folder for masks, images.csv and metrics.json [default: nothing is written]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Write no probability/NAME.png
    #[arg(long)]
    pub no_probability: bool,
    /// Write no overlay/NAME.png
    #[arg(long)]
    pub no_overlay: bool,
}

/// Trained networks, and how images are shown to them.
#[derive(Debug, Args)]
pub struct Using {
    /// The folder of a trial; several decide together, by their mean logit
    #[arg(long = "trial", value_name = "DIR", required = true)]
    pub trials: Vec<PathBuf>,
    /// Where the trials' own data lie now [default: where they were trained]
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// Edge of the tiles of large images, in pixels [default: 1024, more for networks that see far]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(16..=65536))]
    pub tile: Option<u32>,
    /// Pixels that tiles share [default: what makes seams vanish]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(0..=65536))]
    pub overlap: Option<u32>,
    /// Tiles that go through a network together [default: 1 on a CPU, by memory on a GPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub tiles_at_once: Option<u32>,
    /// Show each image in 1, 4 or 8 ways, and take the mean
    #[arg(long, value_enum, default_value = "none", value_name = "WHICH")]
    pub tta: Tta,
    /// Foreground has a larger probability; `val` chooses it on the validation split
    #[arg(long, default_value = "0.5", value_name = "P|val")]
    pub threshold: Threshold,
    /// Tell of no single image
    #[arg(long)]
    pub quiet: bool,
    /// Print what came of it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Test-time augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tta {
    /// As it is
    None,
    /// 4 ways: mirrored and upside down
    Flips,
    /// 8 ways: quarter turns, too
    All,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The folder of the trial
    #[arg(long, value_name = "DIR")]
    pub trial: PathBuf,
    /// Folder for the model, new or empty
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Which checkpoint
    #[arg(long, value_enum, default_value = "best")]
    pub checkpoint: Checkpoint,
    /// Replace a model that an earlier export wrote there
    #[arg(long)]
    pub force: bool,
    /// Print what came of it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Which checkpoint of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Checkpoint {
    /// That of the best epoch
    Best,
    /// The newest
    Last,
}

/// A part of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Split {
    /// What the network saw
    Train,
    /// What chose the best epoch
    Val,
    /// What nobody looked at
    Test,
    /// Every image
    All,
}
