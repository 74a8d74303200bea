//! `regatta predict`: mask images from trained trials, made by the worker.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use super::members::{self, Members};
use super::{Context, Failure};
use crate::help::{Example, examples};

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("any images: files, stacks, folders", "regatta predict 3fa9 stack.tif more-images/ -o masks"),
    ("its own validation images, with their Jaccard", "regatta predict 3fa9 --split val -o masks"),
    (
        "the three best of a sweep, together",
        "regatta predict --top 3 --sweep lr-batch more-images/ -o masks",
    ),
    (
        "shown in four ways, threshold chosen on the validation split",
        "regatta predict 3fa9 stack.tif -o masks --tta flips --threshold val",
    ),
];

/// Write mask images with the best checkpoints of trials
///
/// TRIAL is the first digits of a trial's id, as many as tell it from others; several, as A,B,C, decide
/// together, by their mean logit. Beside each mask: a map of probabilities, an overlay, a line of
/// images.csv; metrics.json has the rest. docs/predict.md tells more.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
#[command(
    override_usage = "regatta predict [OPTIONS] --output <DIR> <TRIAL[,TRIAL…]> [IMAGE]...\n       \
                            regatta predict [OPTIONS] --output <DIR> --top <N> [IMAGE]..."
)]
pub(super) struct Args {
    /// Trials (unless --top); then images: PNG, TIFF, stacks with all their pages, or folders of these
    /// [default: --split of the trial's data]
    #[arg(value_name = "TRIAL|IMAGE")]
    words: Vec<PathBuf>,
    #[command(flatten)]
    members: Members,
    /// Which files of the trial's data: train, val, test or all [default: val]
    #[arg(long, value_parser = ["train", "val", "test", "all"])]
    split: Option<String>,
    /// Folder for the masks
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Write no probability/NAME.png
    #[arg(long)]
    no_probability: bool,
    /// Write no overlay/NAME.png
    #[arg(long)]
    no_overlay: bool,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let (trials, images) = args.members.divide(&args.words)?;
    if !images.is_empty() {
        if args.split.is_some() {
            return Err(Failure::usage("images are named, and so is --split")
                .hint("without images, --split says which of the trial's own data"));
        }
        args.members.refuse_idle_data()?;
    }
    let mut words: Vec<OsString> = vec!["predict".into()];
    words.extend(args.members.words(ctx, &trials).await?);
    if let Some(split) = &args.split {
        words.extend(["--split".into(), split.clone().into()]);
    }
    words.extend(["--output".into(), args.output.clone().into()]);
    words.extend(args.no_probability.then(|| "--no-probability".into()));
    words.extend(args.no_overlay.then(|| "--no-overlay".into()));
    words.push("--".into());
    words.extend(images.iter().map(|image| image.clone().into_os_string()));
    members::have_done(&words).await
}
