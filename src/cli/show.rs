//! `regatta show`: everything about one trial.

mod attempt;

pub(super) use attempt::size;

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::analysis::rows;
use super::ask::{ask, from_store, metric, span};
use super::{Context, Failure, table};
use crate::analysis::Analysis;
use crate::help::{Example, examples};
use crate::store::{EpochRow, TrialDetail};

/// Metrics in the table of epochs beside the objective; all are in --json.
const COLUMNS: usize = 4;

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("by the first digits of its id", "regatta show 3fa9"),
    ("where two sweeps have the same trial", "regatta show lr-batch/3fa9"),
    ("everything that is recorded, for a program", "regatta show 3fa9 --json"),
];

/// Show one trial: its state and why, settings, attempts, epochs
///
/// When `best` or `trials` made you curious about one.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    /// The first digits of its id, as many as tell it from others, or SWEEP/ID
    #[arg(value_name = "TRIAL")]
    trial: String,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let sweep = args.trial.rsplit_once('/').map(|(sweep, _)| sweep.to_owned());
    let mut asked = ask(ctx, sweep.as_slice()).await?;
    let key = asked.store.resolve_trial(&args.trial).await.map_err(from_store)?;
    let detail = asked.store.show(&key).await.map_err(from_store)?;
    let ids = [(key.sweep.clone(), key.trial.clone())];
    let analysis = asked.store.analyses(&ids, None).await.map_err(from_store)?.into_iter().next();
    if ctx.screen.is_json() {
        let mut value = json!({ "schema_version": 1, "analysis": analysis });
        if let (Some(object), Ok(Value::Object(detail))) =
            (value.as_object_mut(), serde_json::to_value(&detail))
        {
            object.extend(detail);
        }
        ctx.screen.json(&value);
    } else {
        ctx.screen.answer(as_text(&detail, analysis.as_ref()));
    }
    Ok(ExitCode::SUCCESS)
}

fn as_text(detail: &TrialDetail, analysis: Option<&Analysis>) -> String {
    let row = &detail.row;
    let done = super::trials::epochs(row.epochs_done, row.epochs);
    let best = match row.epoch {
        Some(epoch) => format!("{} (epoch {epoch})", metric(row.value)),
        None => "-".to_owned(),
    };
    let mut parts = vec![format!(
        "trial   {}\nsweep   {}\nstate   {}\n        {}\nbest    {} {best}\nepochs  {done}\nseed    {}",
        row.trial, row.sweep, row.state, row.why, detail.objective.metric, row.seed
    )];
    parts.push(format!("SETTINGS (* swept)\n{}", settings(detail)));
    parts.extend(detail.attempts_made.iter().map(attempt::as_text));
    if !detail.history.is_empty() {
        parts.extend(analysis.map(|analysis| analysed(detail, analysis)));
        parts.push(history(detail));
    }
    if !detail.warnings.is_empty() {
        let lines =
            detail.warnings.iter().map(|w| format!("{:.0} {}: {}", w.at, w.attempt, w.text));
        parts.push(format!("WARNINGS\n{}", lines.collect::<Vec<_>>().join("\n")));
    }
    parts.join("\n\n")
}

/// What is not told above already.
fn analysed(detail: &TrialDetail, analysis: &Analysis) -> String {
    let name = &detail.objective.metric;
    let known = [format!("best {name}"), "at epoch".to_owned(), "epochs done".to_owned()];
    let mut shown = table::new();
    for (name, cell) in rows(name, analysis).into_iter().filter(|(name, _)| !known.contains(name)) {
        shown.add_row([name, cell]);
    }
    format!("ANALYSIS\n{}", table::text(&shown))
}

fn settings(detail: &TrialDetail) -> String {
    let mut flat = Vec::new();
    flatten("", &detail.settings, &mut flat);
    let mut shown = table::new();
    for (path, value) in flat {
        let parts = |swept: &String| path == *swept || path.starts_with(&format!("{swept}."));
        let mark = if detail.row.parameters.keys().any(parts) { "*" } else { " " };
        shown.add_row([format!("{path}{mark}"), table::value(&value)]);
    }
    table::text(&shown)
}

fn flatten(prefix: &str, settings: &Map<String, Value>, out: &mut Vec<(String, Value)>) {
    for (key, value) in settings {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(inner) => flatten(&path, inner, out),
            other => out.push((path, other.clone())),
        }
    }
}

fn history(detail: &TrialDetail) -> String {
    let names = columns(&detail.history, &detail.objective.metric);
    let mut shown = table::new();
    let head = std::iter::once("EPOCH".to_owned()).chain(names.iter().map(|n| n.to_uppercase()));
    shown.set_header(head.chain(["TIME".to_owned()]).collect::<Vec<_>>());
    for epoch in &detail.history {
        let values = names.iter().map(|name| metric(epoch.metrics.get(name)));
        let seconds = epoch.train_seconds.unwrap_or(0.0) + epoch.eval_seconds.unwrap_or(0.0);
        let cells = std::iter::once(epoch.epoch.to_string()).chain(values);
        shown.add_row(cells.chain([span(seconds)]));
    }
    table::text(&shown)
}

/// The objective, then losses, then others, as many as fit.
fn columns(history: &[EpochRow], objective: &str) -> Vec<String> {
    let mut names: Vec<&str> =
        history.iter().flat_map(|epoch| epoch.metrics.iter().map(|(name, _)| name)).collect();
    names.sort_by_key(|name| (*name != objective, !name.ends_with("loss"), *name));
    names.dedup();
    names.into_iter().take(COLUMNS).map(str::to_owned).collect()
}
