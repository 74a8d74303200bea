//! `regatta predict`: mask images from a trained trial, made by the worker.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use super::ask::{self, from_store};
use super::gate::worker_program;
use super::{Context, Failure};
use crate::scheduler::program;

/// Write mask images with the best checkpoint of a trial
///
/// Example: regatta predict 3fa9 --split val -o masks
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The trial: the first digits of its id, as many as tell it from others
    #[arg(value_name = "TRIAL")]
    trial: String,
    /// Which files of its data: train, val or test
    #[arg(long, default_value = "val", value_parser = ["train", "val", "test"])]
    split: String,
    /// Folder for the masks
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Another place of the data [default: where the trial was trained]
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let mut store = ask::ask(ctx, &[]).await?.store;
    let key = store.resolve_trial(&args.trial).await.map_err(from_store)?;
    let folder = ctx.root.sweep(&key.sweep).trial(&key.trial);
    let worker = worker_program()?;
    let mut words: Vec<OsString> = vec!["predict".into(), "--trial".into(), folder.path().into()];
    words.extend([
        "--split".into(),
        args.split.clone().into(),
        "--output".into(),
        args.output.clone().into(),
    ]);
    if let Some(data) = &args.data {
        words.extend(["--data".into(), data.clone().into()]);
    }
    if ctx.screen.is_json() {
        words.push("--json".into());
    }
    let code = program::call(&worker, &words)
        .await
        .map_err(|error| Failure::file("start", &worker, &error))?;
    Ok(ExitCode::from(code))
}
