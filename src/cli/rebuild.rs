//! `regatta rebuild`: make the database again from the journals.

use std::process::ExitCode;

use serde_json::json;

use super::submit::{from_store, open_store};
use super::{Context, Failure};
use crate::clock::Clock;
use crate::layout;

/// Make the database again from the journals
///
/// Nothing is lost by it: the journals are the record, SQLite is made from them. Example: regatta rebuild
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(ctx: &Context, _args: &Args) -> Result<ExitCode, Failure> {
    if !ctx.root.path().is_dir() {
        return Err(Failure::user(format!("there is no folder {}", ctx.root.path().display()))
            .hint("`--root` (or REGATTA_ROOT) names the folder of all sweeps"));
    }
    let mut store = match open_store(&ctx.root).await {
        Ok(store) => store,
        Err(failure) => {
            // Whatever it is, it is no database: everything in it is in the journals too.
            ctx.screen.warn(format!("{failure}; it is replaced"));
            layout::remove_database(&ctx.root)
                .map_err(|error| Failure::file("replace", &ctx.root.database(), &error))?;
            open_store(&ctx.root).await?
        }
    };
    let all = store.rebuild(&ctx.root, ctx.clock.now()).await.map_err(from_store)?;
    let hash = store.content_hash().await.map_err(from_store)?;
    if ctx.screen.is_json() {
        let sweeps: Vec<_> = all
            .iter()
            .map(|c| json!({ "sweep": c.sweep, "records": c.records, "bad_lines": c.bad_lines }))
            .collect();
        ctx.screen.json(&json!({ "schema_version": 1, "content_hash": hash, "sweeps": sweeps }));
        return Ok(ExitCode::SUCCESS);
    }
    for collected in &all {
        let bad = if collected.bad_lines > 0 {
            format!(", {} damaged lines skipped", collected.bad_lines)
        } else {
            String::new()
        };
        ctx.screen.answer(format!("{}: {} records{bad}", collected.sweep, collected.records));
    }
    ctx.screen.answer(format!("content {hash}"));
    Ok(ExitCode::SUCCESS)
}
