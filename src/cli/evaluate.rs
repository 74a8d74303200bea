//! `regatta evaluate`: what trained trials find in a folder with truth, counted by the worker.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use super::members::{self, Members};
use super::{Context, Failure};
use crate::help::{Example, examples};

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("one trial on another volume", "regatta evaluate 3fa9 data/other"),
    (
        "the three best, on the test slices of its split.csv",
        "regatta evaluate --top 3 data/other --split test",
    ),
    ("with masks and a table of images", "regatta evaluate 3fa9 data/other -o found"),
];

/// Count what trained trials find in images whose masks are known
///
/// For a volume that no trial has seen. Jaccard, Dice, precision, recall and loss from pixel counts pooled
/// over all images; how the values of single images spread; of several trials a line for each, and one for all
/// together. DATA is a folder with `images` and `masks`. Nothing is written without -o.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
#[command(override_usage = "regatta evaluate [OPTIONS] <TRIAL[,TRIAL…]> <DATA>\n       \
                            regatta evaluate [OPTIONS] --top <N> <DATA>")]
pub(super) struct Args {
    /// Trials (unless --top), then the folder
    #[arg(value_name = "TRIAL|DATA", required = true)]
    words: Vec<PathBuf>,
    #[command(flatten)]
    members: Members,
    /// Which files of the folder, by its split.csv: train, val, test or all
    #[arg(long, default_value = "all", value_parser = ["train", "val", "test", "all"])]
    split: String,
    /// Folder for masks, images.csv and metrics.json [default: nothing is written]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Write no probability/NAME.png
    #[arg(long, requires = "output")]
    no_probability: bool,
    /// Write no overlay/NAME.png
    #[arg(long, requires = "output")]
    no_overlay: bool,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let (trials, rest) = args.members.divide(&args.words)?;
    let [folder] = rest else {
        let what =
            if rest.is_empty() { "no folder is named" } else { "more than one folder is named" };
        return Err(Failure::usage(what)
            .hint("a folder with `images` and `masks`; several trials are given as A,B,C"));
    };
    args.members.refuse_idle_data()?;
    let mut words: Vec<OsString> = vec!["evaluate".into()];
    words.extend(args.members.words(ctx, &trials).await?);
    words.extend(["--split".into(), args.split.clone().into()]);
    if let Some(output) = &args.output {
        words.extend(["--output".into(), output.clone().into()]);
    }
    words.extend(args.no_probability.then(|| "--no-probability".into()));
    words.extend(args.no_overlay.then(|| "--no-overlay".into()));
    words.extend(["--".into(), folder.clone().into_os_string()]);
    members::have_done(&words).await
}
