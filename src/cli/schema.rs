//! `regatta schema`: the sweep file's shape, for editors.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Context, Failure};
use crate::help::{Example, examples};
use crate::layout::{self, Limit};
use crate::{script, sweep};

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    (
        "into a workspace that `regatta init` made, after an update",
        "regatta schema -o sweep.schema.json",
    ),
    ("to read it", "regatta schema | less"),
];

/// Print the JSON Schema of sweep files, for editors
///
/// An editor that knows it completes keys, tells what they mean, and marks mistakes while you type. The first
/// line of a sweep names it: `# yaml-language-server: $schema=../sweep.schema.json`. docs/sweep-file.md tells
/// more.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    /// Write a file instead; an earlier schema there is replaced
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let text = text()?;
    let Some(file) = &args.output else {
        ctx.screen.answer(text);
        return Ok(ExitCode::SUCCESS);
    };
    check_free(file)?;
    layout::write_users_file(file, text.as_bytes())
        .map_err(|error| Failure::file("write", file, &error))?;
    ctx.screen.note(format!("wrote {}", file.display()));
    Ok(ExitCode::SUCCESS)
}

/// The schema as it stands in a file.
pub(super) fn text() -> Result<String, Failure> {
    let schema = sweep::schema(script::schema());
    let text = serde_json::to_string_pretty(&schema).map_err(Failure::internal)?;
    Ok(text + "\n")
}

/// An earlier schema is written over; nothing else is.
fn check_free(file: &Path) -> Result<(), Failure> {
    if file.symlink_metadata().is_err() {
        return Ok(());
    }
    let earlier = layout::read_named_text(file, Limit::SWEEP);
    match earlier {
        Ok(text) if text.contains(sweep::SCHEMA_ID) => Ok(()),
        _ => Err(Failure::user(format!(
            "{} is there already, and is no schema of sweeps",
            file.display()
        ))
        .hint("give another name")),
    }
}
