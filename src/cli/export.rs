//! `regatta export`: a sweep for another cluster, a trained network or a table for other programs.

mod bundle;
mod data;
mod model;

use std::path::PathBuf;
use std::process::ExitCode;

use super::output::Format;
use super::question::Question;
use super::{Context, Failure};
use crate::control::Checkpoints;
use crate::help::{Example, examples};

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    (
        "a sweep, to go on elsewhere with `regatta import`",
        "regatta export lr-batch --bundle lr-batch.tar",
    ),
    ("a network that PyTorch runs without Regatta", "regatta export 3fa9 --model model"),
    (
        "finished trials as a table",
        "regatta export 'lr-*' --data trials.parquet --where 'state = finished'",
    ),
];

/// Carry away a sweep, a trained network, or a table of trials
///
/// A bundle (--bundle) holds the sweep file, the plan, all journals, and of each trial the newest and the best
/// checkpoint. Jobs that run are not touched: what they do from now on is not in it.
///
/// A model (--model) is a folder with the network of a trial's best epoch as TorchScript, its weights as
/// safetensors, and a model card.
///
/// A table (--data) has a row a trial, with all settings and metrics or those of --columns, as CSV, JSON, lines
/// of JSON or Parquet; it is written whole or not at all.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
#[command(group = clap::ArgGroup::new("kind").required(true).args(["bundle", "model", "data"]))]
pub(super) struct Args {
    /// For a bundle, name or file of a sweep; for a model, a trial: the first digits of its id; for a
    /// table, names, patterns or files of sweeps [default: all]
    #[arg(value_name = "SWEEP|TRIAL", required_unless_present = "data")]
    what: Vec<String>,
    /// The file to write, a tar archive
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// The folder to write a trained network to, new or empty
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// The file to write a table of trials to; one that is there is replaced
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// With --data: csv, json, jsonl or parquet [default: what the name of the file ends in]
    #[arg(long, value_enum, value_name = "FORMAT", requires = "data", hide_possible_values = true)]
    format: Option<Format>,
    #[command(flatten)]
    question: Question,
    /// Which checkpoint of the trial [default: best]
    #[arg(long, value_parser = ["best", "last"], conflicts_with_all = ["bundle", "data"])]
    checkpoint: Option<String>,
    /// Take all checkpoints that are there
    #[arg(long, conflicts_with_all = ["no_checkpoints", "model", "data"])]
    all_checkpoints: bool,
    /// Take no checkpoints: trials that did not finish begin anew there
    #[arg(long, conflicts_with_all = ["model", "data"])]
    no_checkpoints: bool,
    /// Write over a file, or over an earlier model, that is there
    #[arg(long, conflicts_with = "data")]
    force: bool,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    if let Some(file) = &args.data {
        data::run(ctx, &args.what, file, &args.question, args.format).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.question.is_about_many() || args.question.top(None).is_some() {
        return Err(Failure::usage("--where, --columns and the like go with --data")
            .hint("a bundle holds a whole sweep, a model is of one trial"));
    }
    let [what] = args.what.as_slice() else {
        return Err(Failure::usage("a bundle or a model is of one sweep or trial")
            .hint("name one at a time"));
    };
    let force = args.force;
    if let Some(folder) = &args.model {
        let checkpoint = args.checkpoint.as_deref().unwrap_or("best");
        return model::run(ctx, what, folder, checkpoint, force).await;
    }
    let Some(file) = &args.bundle else {
        return Err(Failure::usage("one of --bundle, --model and --data is needed"));
    };
    let checkpoints = match (args.no_checkpoints, args.all_checkpoints) {
        (true, _) => Checkpoints::None,
        (_, true) => Checkpoints::All,
        _ => Checkpoints::Current,
    };
    bundle::run(ctx, &bundle::Wanted { sweep: what, bundle: file, checkpoints, force }).await
}
