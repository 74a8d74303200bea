//! `regatta trials`: the list of trials.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::analysis::{COLUMNS, HEADERS, cells, fields};
use super::ask::{ask, csv, from_store, metric, plural, unique_length};
use super::best::{parameter_cells, paths};
use super::{Context, Failure, table};
use crate::analysis::Analysis;
use crate::store::{TrialRow, TrialState};

/// List trials with their states
///
/// Example: regatta trials lr-batch --state failed --state lost
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Names or files of sweeps [default: all]
    #[arg(value_name = "SWEEP")]
    sweeps: Vec<String>,
    /// Only trials in this state; may be given several times
    #[arg(long = "state", value_name = "STATE", value_parser = state)]
    states: Vec<TrialState>,
    /// Show why each trial is in its state
    #[arg(long)]
    why: bool,
    /// Analyse each trial from its epochs: verdict, overfitting gap, stability, convergence
    #[arg(long, conflicts_with = "why")]
    analysis: bool,
    /// Print comma-separated values
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let mut asked = ask(ctx, &args.sweeps).await?;
    let mut rows = asked.store.trials(&asked.sweeps).await.map_err(from_store)?;
    rows.retain(|row| args.states.is_empty() || args.states.contains(&row.state));
    let mut analyses = Vec::new();
    if args.analysis {
        let ids: Vec<_> = rows.iter().map(|row| (row.sweep.clone(), row.trial.clone())).collect();
        analyses = asked.store.analyses(&ids, None).await.map_err(from_store)?;
    }
    if ctx.screen.is_json() {
        ctx.screen.json(&json!({ "schema_version": 1, "trials": as_json(&rows, &analyses) }));
    } else if args.csv {
        ctx.screen.answer(as_csv(&rows, &analyses));
    } else {
        ctx.screen.answer(as_table(&rows, args.why, &analyses));
        ctx.screen.note(format!("note: {}", plural(rows.len() as u64, "trial")));
    }
    Ok(ExitCode::SUCCESS)
}

fn state(text: &str) -> Result<TrialState, String> {
    match TrialState::from(text.to_lowercase()) {
        TrialState::Unknown(_) if !text.starts_with("unknown(") => {
            let words: Vec<_> = TrialState::ALL.iter().map(TrialState::word).collect();
            Err(format!("known: {}", words.join(", ")))
        }
        state => Ok(state),
    }
}

/// A trial's `analysis` is there where it was asked for.
fn as_json(rows: &[TrialRow], analyses: &[Analysis]) -> Vec<Value> {
    let mut analyses = analyses.iter();
    let whole = |row: &TrialRow| {
        let mut value = json!(row);
        if let (Some(analysis), Some(object)) = (analyses.next(), value.as_object_mut()) {
            object.insert("analysis".to_owned(), json!(analysis));
        }
        value
    };
    rows.iter().map(whole).collect()
}

/// With analyses, one a row, or without any.
fn as_table(rows: &[TrialRow], why: bool, analyses: &[Analysis]) -> String {
    let several = rows.windows(2).any(|pair| pair[0].sweep != pair[1].sweep);
    let length = unique_length(rows.iter().map(|row| row.trial.as_str()));
    let columns = table::Parameters::new(rows.iter().map(|row| &row.parameters));
    let mut shown = table::new();
    let head = several.then(|| "SWEEP".to_owned()).into_iter();
    let head = head.chain(["TRIAL", "STATE", "EPOCH", "BEST"].map(str::to_owned));
    let head = head.chain(columns.headers()).chain(["SEED", "ATTEMPTS"].map(str::to_owned));
    let more = if analyses.is_empty() { Vec::new() } else { HEADERS.map(str::to_owned).to_vec() };
    let head: Vec<_> = head.chain(why.then(|| "WHY".to_owned())).chain(more).collect();
    shown.set_header(head);
    for (at, row) in rows.iter().enumerate() {
        let told = analyses.get(at).map(cells);
        let cells = several.then(|| row.sweep.clone()).into_iter();
        let cells = cells.chain([
            row.trial.as_str()[..length].to_owned(),
            row.state.to_string(),
            epochs(row.epochs_done, row.epochs),
            metric(row.value),
        ]);
        let cells = cells.chain(columns.cells(&row.parameters));
        let cells = cells.chain([row.seed.to_string(), row.attempts.to_string()]);
        let cells = cells.chain(why.then(|| row.why.clone()));
        shown.add_row(cells.chain(told.into_iter().flatten()));
    }
    table::text(&shown)
}

/// Epochs done of those to do.
pub(super) fn epochs(done: u64, all: Option<u64>) -> String {
    all.map_or_else(|| done.to_string(), |all| format!("{done}/{all}"))
}

fn as_csv(rows: &[TrialRow], analyses: &[Analysis]) -> String {
    let paths = paths(rows.iter().map(|row| &row.parameters));
    let fixed = ["sweep", "trial", "state", "epochs_done", "epochs", "value", "epoch", "seed"];
    let more = if analyses.is_empty() { Vec::new() } else { COLUMNS.map(prefixed).to_vec() };
    let head = fixed.map(str::to_owned).into_iter().chain(paths.clone()).chain(more).collect();
    let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    let rows = rows.iter().enumerate().map(|(at, row)| {
        let told = analyses.get(at).map(fields);
        let cells = [
            row.sweep.clone(),
            row.trial.to_string(),
            row.state.to_string(),
            row.epochs_done.to_string(),
            number(row.epochs),
            row.value.map(|value| value.to_string()).unwrap_or_default(),
            number(row.epoch),
            row.seed.to_string(),
        ];
        let cells = cells.into_iter().chain(parameter_cells(&row.parameters, &paths));
        cells.chain(told.into_iter().flatten()).collect()
    });
    csv(std::iter::once(head).chain(rows))
}

/// The list has `epochs_done` and others by the same name already.
fn prefixed(name: &str) -> String {
    format!("analysis.{name}")
}
