//! `regatta rebuild`: make the database again from the journals.

use std::process::ExitCode;

use serde_json::json;

use super::ask::{check_root, in_files, plural};
use super::submit::{from_store, open_store};
use super::{Context, Failure};
use crate::clock::Clock;
use crate::help::{Example, examples};
use crate::layout;
use crate::store::{Mode, Store, StoreError};

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("of the folder runs", "regatta rebuild"),
    ("of another folder", "regatta --root /scratch/you/runs rebuild"),
];

/// Make the database again from the journals
///
/// When it is damaged, locked for good, or was deleted. Nothing is lost by it: the journals are the record,
/// SQLite is made from them. A sweep that cannot be read stays as it was, and the exit code is 1.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {}

pub(super) async fn run(ctx: &Context, _args: &Args) -> Result<ExitCode, Failure> {
    check_root(ctx)?;
    let mut store = match Store::open(&ctx.root.database(), Mode::ReadWrite).await {
        Ok(store) => store,
        Err(error @ StoreError::Newer { .. }) => return Err(from_store(error)),
        Err(error) if error.may_pass() => return Err(from_store(error)),
        Err(error) => {
            let failure = super::failure::chain(&error);
            // Whatever it is, it is no database: everything in it is in the journals too.
            ctx.screen.warn(format!("{failure}; it is replaced"));
            layout::remove_database(&ctx.root)
                .map_err(|error| Failure::file("replace", &ctx.root.database(), &error))?;
            open_store(&ctx.root).await?
        }
    };
    let all = store.rebuild(&ctx.root, ctx.clock.now()).await.map_err(from_store)?;
    let mut code = ExitCode::SUCCESS;
    for collected in &all {
        if collected.from_cache {
            ctx.screen.warn(format!("{}: not read, so it stays as it was", collected.sweep));
            code = ExitCode::FAILURE;
        }
        for problem in &collected.problems {
            ctx.screen.warn(format!("{}: {problem}", collected.sweep));
        }
    }
    let hash = store.content_hash().await.map_err(from_store)?;
    if ctx.screen.is_json() {
        let sweeps: Vec<_> = all
            .iter()
            .map(|c| {
                let damaged: Vec<_> = c
                    .damaged
                    .iter()
                    .map(|(path, lines)| json!({ "file": path, "lines": lines }))
                    .collect();
                json!({
                    "sweep": c.sweep, "records": c.records, "bad_lines": c.bad_lines,
                    "damaged": damaged, "problems": c.problems,
                })
            })
            .collect();
        ctx.screen.json(&json!({ "schema_version": 1, "content_hash": hash, "sweeps": sweeps }));
        return Ok(code);
    }
    for collected in all.iter().filter(|collected| !collected.from_cache) {
        let bad = if collected.bad_lines > 0 {
            let files = in_files(&collected.damaged, collected.bad_lines);
            format!(", {} skipped{files}", plural(collected.bad_lines, "damaged line"))
        } else {
            String::new()
        };
        ctx.screen.answer(format!("{}: {} records{bad}", collected.sweep, collected.records));
    }
    ctx.screen.answer(format!("content {hash}"));
    Ok(code)
}
