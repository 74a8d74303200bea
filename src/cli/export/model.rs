//! `regatta export TRIAL --model DIR`: a trained network, written by the worker.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::cli::ask::{self, from_store};
use crate::cli::gate::worker_program;
use crate::cli::members::begun;
use crate::cli::{Context, Failure};
use crate::scheduler::program;

/// Has the worker write the network of a trial into `folder`.
pub(super) async fn run(
    ctx: &Context,
    trial: &str,
    folder: &Path,
    checkpoint: &str,
    force: bool,
) -> Result<ExitCode, Failure> {
    let mut store = ask::ask(ctx, &[]).await?.store;
    let key = store.resolve_trial(trial).await.map_err(from_store)?;
    let trial = begun(ctx, &key.sweep, &key.trial)?;
    let worker = worker_program()?;
    let mut words: Vec<OsString> = vec!["export".into(), "--trial".into(), trial.path().into()];
    words.extend(["--output".into(), folder.into(), "--checkpoint".into(), checkpoint.into()]);
    if force {
        words.push("--force".into());
    }
    if ctx.screen.is_json() {
        words.push("--json".into());
    }
    let code = program::call(&worker, &words, &[])
        .await
        .map_err(|error| Failure::file("start", &worker, &error))?;
    Ok(ExitCode::from(code))
}
