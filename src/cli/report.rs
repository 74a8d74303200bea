//! `regatta report`: sweeps on one page that needs nothing else.

mod axes;
mod curves;
mod data;
mod document;
mod effects;
mod flags;
mod overlay;
mod page;
mod predictions;
mod tables;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

pub(super) use self::document::Document;
use self::document::Material;
pub(super) use self::page::{Live, html, policy};
pub(super) use self::predictions::{Prediction, read as read_predictions};
use super::ask::{ask, from_store, plural};
use super::question;
use super::{Context, Failure, compare, show};
use crate::clock::Clock;
use crate::help::{Example, examples};
use crate::layout::{self, Limit};
use crate::store::Selector;

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("the page", "regatta report lr-batch -o report.html"),
    (
        "with masks from `regatta predict`",
        "regatta report lr-batch --predictions masks -o report.html",
    ),
    (
        "the trials of one split alone",
        "regatta report lr-batch --where 'data.split.by = \"blocks\"' -o blocks.html",
    ),
    ("the table of groups for a paper", "regatta report lr-batch -o table.tex"),
];

/// Write a report of sweeps: one page with figures and tables
///
/// For whoever has no account here: a browser opens it without network. The end of the file's name says what
/// is written: `.html` the page, `.json` what it shows, `.md` and `.tex` the table of groups for a paper.
/// docs/report.md tells what is on it.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    /// Names or files of sweeps [default: all]
    #[arg(value_name = "SWEEP")]
    sweeps: Vec<String>,
    /// The file to write
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
    /// Rank and draw by this metric [default: the objective]
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// Only trials for which this holds, such as 'data.split.by = "blocks"'; docs/asking.md has the language
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<String>,
    /// Show overlays from this folder of `regatta predict`; may be given several times
    #[arg(long, value_name = "DIR")]
    predictions: Vec<PathBuf>,
    /// Write over a file that is no report
    #[arg(long)]
    force: bool,
}

/// What is written.
#[derive(Clone, Copy, Debug)]
enum Form {
    Page,
    Document,
    Markdown,
    Latex,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let form = form(&args.output)?;
    if !args.force {
        check_free(&args.output)?;
    }
    let predictions = read_predictions(&args.predictions)?;
    let document =
        document(ctx, &args.sweeps, args.metric.as_deref(), &args.conditions, predictions).await?;
    for prediction in &document.predictions {
        for what in &prediction.left_out {
            ctx.screen.warn(format!("a sample prediction is left out: {what}"));
        }
    }
    let text = match form {
        Form::Page => {
            let data = serde_json::to_string(&document).map_err(Failure::internal)?;
            html(&document.sweeps, &data, None)
        }
        Form::Document => serde_json::to_string(&document).map_err(Failure::internal)?,
        Form::Markdown => document.tables.markdown.clone(),
        Form::Latex => document.tables.latex.clone(),
    };
    layout::write_users_file(&args.output, text.as_bytes())
        .map_err(|error| Failure::file("write", &args.output, &error))?;
    let (trials, bytes) = (document.trials.len() as u64, text.len() as u64);
    if ctx.screen.is_json() {
        ctx.screen.json(&json!({
            "schema_version": 1, "file": args.output, "bytes": bytes, "trials": trials,
            "flags": document.flags,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    ctx.screen.answer(format!(
        "{}: {}, {}",
        args.output.display(),
        plural(trials, "trial"),
        show::size(bytes)
    ));
    for flag in &document.flags {
        let advice =
            flag.on_command_line.as_deref().map_or(String::new(), |advice| format!(" {advice}"));
        let text = format!("{}{advice}", flag.text);
        let text = text.trim_end_matches('.');
        match flag.weight {
            flags::Weight::Warning => ctx.screen.warn(text),
            flags::Weight::Note => ctx.screen.note(format!("note: {text}")),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks what `best`, `trials --analysis` and `compare` ask, and puts it together.
pub(super) async fn document(
    ctx: &Context,
    sweeps: &[String],
    metric: Option<&str>,
    conditions: &[String],
    predictions: Vec<Prediction>,
) -> Result<Document, Failure> {
    let mut asked = ask(ctx, sweeps).await?;
    let store = &mut asked.store;
    let selector = Selector {
        sweeps: asked.sweeps.clone(),
        metric: metric.map(str::to_owned),
        filter: question::filter(conditions, store).await?,
        ..Selector::default()
    };
    let ranking = store.best(&selector).await.map_err(from_store)?;
    let rows = store.trials(&asked.sweeps).await.map_err(from_store)?;
    let rivals = store.rivals(&selector, &[]).await.map_err(from_store)?;
    let keys: Vec<_> =
        ranking.rows.iter().map(|row| (row.sweep.clone(), row.trial.clone())).collect();
    let courses = store.courses(&keys, Some(&rivals.objective)).await.map_err(from_store)?;
    let spent = store.spent(&asked.sweeps).await.map_err(from_store)?;
    let leaks = store.leaks(&asked.sweeps).await.map_err(from_store)?;
    let told = compare::told(store, rivals.clone()).await?;
    let now = ctx.clock.now();
    let generated_at = format!("{now:.0}");
    let as_of = asked.as_of.unwrap_or(now);
    Ok(Document::new(Material {
        ranking,
        rows,
        courses,
        spent,
        leaks,
        conditions: conditions.to_vec(),
        rivals,
        told,
        predictions,
        generated_at,
        as_of,
    }))
}

fn form(file: &Path) -> Result<Form, Failure> {
    match file.extension().and_then(|end| end.to_str()) {
        Some("html" | "htm") => Ok(Form::Page),
        Some("json") => Ok(Form::Document),
        Some("md") => Ok(Form::Markdown),
        Some("tex") => Ok(Form::Latex),
        _ => Err(Failure::usage(format!("{}: nobody can tell what to write", file.display()))
            .hint(
                "end the name in .html for the page, .json for its data, .md or .tex for a table",
            )),
    }
}

/// An earlier report is written over; nothing else is.
fn check_free(file: &Path) -> Result<(), Failure> {
    if file.symlink_metadata().is_err() {
        return Ok(());
    }
    let beginning = layout::read_piece(file, 0, Limit::LOG_PIECE.at_most(4096));
    let beginning = beginning.map_err(|error| Failure::file("read", file, &error))?;
    if String::from_utf8_lossy(&beginning).contains("regatta report") {
        return Ok(());
    }
    Err(Failure::user(format!("{} is there already, and is no report", file.display()))
        .hint("give another name, or --force to write over it"))
}
