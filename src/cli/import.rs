//! `regatta import`: a sweep from another cluster.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::ask::{from_store, plural};
use super::gate::absolute;
use super::progress::Bytes;
use super::submit::{PATIENCE, from_control, open_store};
use super::{Context, Failure, preflight, show};
use crate::clock::Clock;
use crate::control::{self, NewPath};
use crate::help::{Example, examples};
use crate::layout::Root;

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("data lie where they lay", "regatta import lr-batch.tar"),
    ("data lie elsewhere here", "regatta import lr-batch.tar --path /old/data=/scratch/data"),
];

/// Unpack a sweep that `regatta export` packed, to go on with it here
///
/// Nothing is submitted. Jobs of the old cluster are history: what was under way there goes on here
/// from its checkpoint with `regatta resume`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    /// The bundle
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    /// Data that lie elsewhere here: the beginning of their path there and here. May be given
    /// several times; the first that fits counts
    #[arg(long = "path", value_name = "OLD=NEW", value_parser = new_path)]
    paths: Vec<NewPath>,
}

fn new_path(typed: &str) -> Result<NewPath, String> {
    match typed.split_once('=') {
        Some((old, new)) if old.starts_with('/') && new.starts_with('/') => {
            Ok(NewPath { old: old.to_owned(), new: new.to_owned() })
        }
        _ => Err("write two absolute paths, such as /old/data=/new/data".to_owned()),
    }
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let root = Root::new(absolute(ctx.root.path())?);
    let mut bytes = Bytes::new(ctx, "unpacking");
    let imported =
        control::import(&root, &args.bundle, &args.paths, &ctx.clock, PATIENCE, &mut |step| {
            bytes.show(step);
        });
    bytes.end();
    let imported = imported.map_err(from_control)?;
    let sweep = &imported.manifest.sweep;
    if imported.rewritten == 0 && !args.paths.is_empty() {
        ctx.screen.warn("no data path of the sweep begins like what --path names");
    }
    let data = preflight::data(&imported.plan);
    if let Err(missing) = &data {
        ctx.screen.warn(format!("{missing}: `--path OLD=NEW` tells where it is"));
        ctx.screen.note(format!(
            "   hint: put it there; or remove {} and import again with --path",
            root.sweep(sweep).path().display()
        ));
    }
    if imported.plan.site_template.is_some() {
        ctx.screen.note(
            "note: its jobs use the site's template of the old cluster; `regatta submit SWEEP.yaml` \
             takes the one of this site",
        );
    }
    let mut store = open_store(&root).await?;
    let collected = store.collect(&root, sweep, ctx.clock.now()).await.map_err(from_store)?;
    super::ask::tell(ctx, &collected);
    let all = store.status(std::slice::from_ref(sweep)).await.map_err(from_store)?;
    if ctx.screen.is_json() {
        let states: serde_json::Map<_, _> = all
            .iter()
            .flat_map(|status| &status.states)
            .map(|(state, count)| (state.word(), (*count).into()))
            .collect();
        ctx.screen.json(&json!({
            "schema_version": 1, "sweep": sweep, "from": imported.manifest.from,
            "exported_at": imported.manifest.exported_at, "trials": imported.plan.trials.len(),
            "begun": imported.begun, "bytes": imported.manifest.bytes(), "states": states,
            "data_missing": data.err().map(|missing| missing.to_string()),
        }));
        return Ok(ExitCode::SUCCESS);
    }
    ctx.screen.answer(format!(
        "{sweep}: {}, {} begun, {}",
        plural(imported.plan.trials.len() as u64, "trial"),
        imported.begun,
        show::size(imported.manifest.bytes()),
    ));
    for status in &all {
        ctx.screen.answer(super::status::as_text(ctx, status));
    }
    ctx.screen.note(format!(
        "go on with {}, and what was cancelled there with {}",
        ctx.command(&format!("resume {sweep}")),
        ctx.command(&format!("resume {sweep} --state cancelled"))
    ));
    Ok(ExitCode::SUCCESS)
}
