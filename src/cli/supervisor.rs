//! `regatta local-supervisor`: the hidden process behind a job of the local scheduler.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Context, Failure};
use crate::id::Token;
use crate::layout::SweepFolder;
use crate::scheduler::supervise;

/// Look after a job of the local scheduler
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of the sweep
    #[arg(long)]
    folder: PathBuf,
    /// Mark of the submission
    #[arg(long)]
    token: Token,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    supervise(&SweepFolder::new(&args.folder), args.token, &ctx.clock)
        .await
        .map_err(Failure::site)?;
    Ok(ExitCode::SUCCESS)
}
