//! `regatta export`: a sweep in one file, for another cluster.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::ask::{ask, from_store, plural, sweep_name};
use super::gate::absolute;
use super::progress::Bytes;
use super::submit::{PATIENCE, from_control};
use super::{Context, Failure, show};
use crate::clock::Clock;
use crate::control::{self, Checkpoints};
use crate::layout::Root;
use crate::store::Store;

/// Pack a sweep into one file, to go on with it on another cluster
///
/// It holds the sweep file, the plan, all journals, and of each trial the newest and the best
/// checkpoint. Jobs that run are not touched: what they do from now on is not in the bundle.
///
/// Example: regatta export lr-batch --bundle lr-batch.tar
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name or file of a sweep
    #[arg(value_name = "SWEEP")]
    sweep: String,
    /// The file to write, a tar archive
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// Take all checkpoints that are there
    #[arg(long, conflicts_with = "no_checkpoints")]
    all_checkpoints: bool,
    /// Take no checkpoints: trials that did not finish begin anew there
    #[arg(long)]
    no_checkpoints: bool,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let root = Root::new(absolute(ctx.root.path())?);
    let sweep = sweep_name(&args.sweep)?;
    if args.bundle.symlink_metadata().is_ok() && !args.force {
        return Err(Failure::user(format!("{} is there already", args.bundle.display()))
            .hint("give another name, or --force to write over it"));
    }
    let mut asked = ask(ctx, std::slice::from_ref(&sweep)).await?;
    tell_in_flight(ctx, &mut asked.store, &sweep).await?;
    drop(asked);
    let checkpoints = match (args.no_checkpoints, args.all_checkpoints) {
        (true, _) => Checkpoints::None,
        (_, true) => Checkpoints::All,
        _ => Checkpoints::Current,
    };
    let mut bytes = Bytes::new(ctx, "packing");
    let out = absolute(&args.bundle)?;
    let packed =
        control::export(&root, &sweep, &out, checkpoints, ctx.clock.now(), PATIENCE, &mut |step| {
            bytes.show(step)
        });
    bytes.end();
    let packed = packed.map_err(from_control)?;
    for what in &packed.left_out {
        ctx.screen.warn(format!("left out: {what}"));
    }
    if ctx.screen.is_json() {
        ctx.screen.json(&json!({
            "schema_version": 1, "sweep": sweep, "bundle": out, "trials": packed.trials,
            "files": packed.files, "bytes": packed.bytes, "left_out": packed.left_out,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    ctx.screen.answer(format!(
        "{}: {} of {sweep}, {}, {}",
        args.bundle.display(),
        plural(packed.trials, "trial"),
        plural(packed.files, "file"),
        show::size(packed.bytes),
    ));
    let file = args.bundle.file_name().map_or(args.bundle.as_path(), Path::new);
    ctx.screen.note(format!("take it there and give: `regatta import {}`", file.display()));
    Ok(ExitCode::SUCCESS)
}

async fn tell_in_flight(ctx: &Context, store: &mut Store, sweep: &str) -> Result<(), Failure> {
    let all = store.status(&[sweep.to_owned()]).await.map_err(from_store)?;
    let states = all.iter().flat_map(|status| &status.states);
    let in_flight: u64 =
        states.filter(|(state, _)| state.is_in_flight()).map(|(_, count)| count).sum();
    if in_flight > 0 {
        ctx.screen.warn(format!(
            "{} of {sweep} in flight: what they do from now on is not in the bundle, and both \
             clusters would train them. {} ends them with a checkpoint",
            plural(in_flight, "trial"),
            ctx.command(&format!("cancel {sweep}")),
        ));
    }
    Ok(())
}
