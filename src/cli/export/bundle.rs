//! `regatta export SWEEP --bundle FILE`: a sweep in one file, for another cluster.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::ask::{ask, from_store, plural, sweep_name};
use crate::cli::gate::absolute;
use crate::cli::progress::Bytes;
use crate::cli::submit::{PATIENCE, from_control};
use crate::cli::{Context, Failure, show};
use crate::clock::Clock;
use crate::control::{self, Checkpoints};
use crate::layout::Root;
use crate::store::Store;

/// What to pack, and where to.
pub(super) struct Wanted<'a> {
    /// Name or file of the sweep.
    pub(super) sweep: &'a str,
    /// The file to write.
    pub(super) bundle: &'a Path,
    pub(super) checkpoints: Checkpoints,
    /// Whether a file that is there is written over.
    pub(super) force: bool,
}

pub(super) async fn run(ctx: &Context, wanted: &Wanted<'_>) -> Result<ExitCode, Failure> {
    let root = Root::new(absolute(ctx.root.path())?);
    let Wanted { bundle, checkpoints, force, .. } = *wanted;
    let sweep = sweep_name(wanted.sweep)?;
    if bundle.symlink_metadata().is_ok() && !force {
        return Err(Failure::user(format!("{} is there already", bundle.display()))
            .hint("give another name, or --force to write over it"));
    }
    let mut asked = ask(ctx, std::slice::from_ref(&sweep)).await?;
    tell_in_flight(ctx, &mut asked.store, &sweep).await?;
    drop(asked);
    let mut bytes = Bytes::new(ctx, "packing");
    let out = absolute(bundle)?;
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
        bundle.display(),
        plural(packed.trials, "trial"),
        plural(packed.files, "file"),
        show::size(packed.bytes),
    ));
    let file = bundle.file_name().map_or(bundle, Path::new);
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
