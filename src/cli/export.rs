//! `regatta export`: a sweep for another cluster, or a trained network for other programs.

mod bundle;
mod model;

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Context, Failure};
use crate::control::Checkpoints;

/// Pack a sweep for another cluster (--bundle), or write a trained network for other programs (--model)
///
/// A bundle holds the sweep file, the plan, all journals, and of each trial the newest and the best
/// checkpoint. Jobs that run are not touched: what they do from now on is not in it.
///
/// A model is a folder with the network of a trial's best epoch as TorchScript, its weights as
/// safetensors, and a model card.
///
/// Examples: regatta export lr-batch --bundle lr-batch.tar; regatta export 3fa9 --model model
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("kind").required(true).args(["bundle", "model"]))]
pub(super) struct Args {
    /// For a bundle, name or file of a sweep; for a model, a trial: the first digits of its id
    #[arg(value_name = "SWEEP|TRIAL")]
    what: String,
    /// The file to write, a tar archive
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// The folder to write a trained network to, new or empty
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Which checkpoint of the trial [default: best]
    #[arg(long, value_parser = ["best", "last"], conflicts_with = "bundle")]
    checkpoint: Option<String>,
    /// Take all checkpoints that are there
    #[arg(long, conflicts_with_all = ["no_checkpoints", "model"])]
    all_checkpoints: bool,
    /// Take no checkpoints: trials that did not finish begin anew there
    #[arg(long, conflicts_with = "model")]
    no_checkpoints: bool,
    /// Write over a file, or over an earlier model, that is there
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let (what, force) = (args.what.as_str(), args.force);
    if let Some(folder) = &args.model {
        let checkpoint = args.checkpoint.as_deref().unwrap_or("best");
        return model::run(ctx, what, folder, checkpoint, force).await;
    }
    let Some(file) = &args.bundle else {
        return Err(Failure::usage("one of --bundle and --model is needed"));
    };
    let checkpoints = match (args.no_checkpoints, args.all_checkpoints) {
        (true, _) => Checkpoints::None,
        (_, true) => Checkpoints::All,
        _ => Checkpoints::Current,
    };
    bundle::run(ctx, &bundle::Wanted { sweep: what, bundle: file, checkpoints, force }).await
}
