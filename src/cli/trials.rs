//! `regatta trials`: the list of trials.

use std::borrow::Cow;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::analysis::{COLUMNS, HEADERS, cells, fields};
use super::ask::{ask, from_store, metric, plural, unique_length};
use super::best::{parameter_cells, paths};
use super::output::{Answer, Format, Output};
use super::question::{Question, Understood, tell_of_hidden};
use super::sheet::Sheet;
use super::{Context, Failure, compare, table};
use crate::analysis::Analysis;
use crate::help::{Example, examples};
use crate::query::{Kind, Name};
use crate::store::{Selector, Store, TrialRow};

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("what went wrong, and why", "regatta trials lr-batch --state failed --state lost --why"),
    (
        "the slowest of those that have hardly begun",
        "regatta trials --where 'epochs_done < 5' --sort -elapsed",
    ),
    ("overfitting, stability and convergence of each", "regatta trials lr-batch --analysis"),
];

/// List trials with their states
///
/// To see which trials failed, are slow, or overfit. docs/asking.md tells more.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    /// Names, patterns or files of sweeps [default: all]
    #[arg(value_name = "SWEEP")]
    sweeps: Vec<String>,
    #[command(flatten)]
    question: Question,
    #[command(flatten)]
    output: Output,
    /// Show why each trial is in its state
    #[arg(long)]
    why: bool,
    /// Analyse each trial from its epochs: verdict, overfitting gap, stability, convergence
    #[arg(long, conflicts_with_all = ["why", "columns", "group_by"])]
    analysis: bool,
}

/// The list, with what was asked for beside it.
#[derive(Debug, Default)]
struct List {
    rows: Vec<TrialRow>,
    /// One a row, or none.
    analyses: Vec<Analysis>,
    /// What was asked of each; no columns where nothing was.
    told: Sheet,
    /// How the value is called.
    value: String,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let whole = args.output.is_whole(ctx)?;
    let mut asked = ask(ctx, &args.sweeps).await?;
    if !args.question.group_by.is_empty() {
        compare::groups(ctx, &args.question, &args.output, asked, false).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let understood = args.question.understand(&mut asked, None).await?;
    let is_json = args.output.format(ctx)? == Format::Json;
    let (shown, all) = match understood.columns.is_empty() || is_json {
        true => usual(ctx, args, &mut asked.store, understood).await?,
        // Nothing else of the trials is read.
        false => {
            let Understood { selector, .. } = &understood;
            let names = understood.columns_with_trial();
            let (sheet, all) = list(&mut asked.store, selector, &names).await?;
            args.output.deliver_rows(ctx, &sheet)?;
            (sheet.rows.len(), all)
        }
    };
    if !whole {
        ctx.screen.note(format!("note: {}", plural(shown as u64, "trial")));
    }
    tell_of_hidden(ctx, all, shown);
    Ok(ExitCode::SUCCESS)
}

/// Tells the usual of trials, in JSON with the columns that were asked for. Returns how many were told, and how
/// many there are.
async fn usual(
    ctx: &Context,
    args: &Args,
    store: &mut Store,
    understood: Understood,
) -> Result<(usize, u64), Failure> {
    let Understood { selector, columns } = understood;
    let (rows, all) = store.trials_of(&selector).await.map_err(from_store)?;
    let value = selector.metric.unwrap_or_else(|| "best".to_owned());
    let mut list = List { rows, value, ..List::default() };
    let ids: Vec<_> = list.rows.iter().map(|row| (row.sweep.clone(), row.trial.clone())).collect();
    if args.analysis {
        list.analyses = store.analyses(&ids, None).await.map_err(from_store)?;
    }
    list.told = told(store, &ids, &columns).await?;
    let answer = Answer {
        table: &|| list.table(args.why),
        json: &|| json!({ "schema_version": 1, "trials": list.json() }),
        sheet: &|| Cow::Owned(list.sheet()),
    };
    args.output.deliver(ctx, &answer)?;
    Ok((list.rows.len(), all))
}

/// What was asked of each of these trials, a row each; no columns where nothing was.
pub(super) async fn told(
    store: &mut Store,
    ids: &[(String, crate::id::TrialId)],
    names: &[Name],
) -> Result<Sheet, Failure> {
    let mut sheet = Sheet::default();
    if !names.is_empty() {
        sheet.rows = store.columns(ids, names).await.map_err(from_store)?;
        sheet.names(names);
    }
    Ok(sheet)
}

/// These names of the trials that are asked about, a row each, and how many trials there are.
pub(super) async fn list(
    store: &mut Store,
    selector: &Selector,
    names: &[Name],
) -> Result<(Sheet, u64), Failure> {
    let mut sheet = Sheet::default();
    let (rows, all) = store.columns_of(selector, names).await.map_err(from_store)?;
    sheet.rows = rows;
    sheet.names(names);
    Ok((sheet, all))
}

impl List {
    /// A trial's `analysis` and `columns` are there where they were asked for.
    fn json(&self) -> Vec<Value> {
        let whole = |(at, row): (usize, &TrialRow)| {
            let mut value = json!(row);
            if let Some(analysis) = self.analyses.get(at) {
                value["analysis"] = json!(analysis);
            }
            if !self.told.columns.is_empty() {
                value["columns"] = self.told.object(at);
            }
            value
        };
        self.rows.iter().enumerate().map(whole).collect()
    }

    fn table(&self, why: bool) -> String {
        let Self { rows, analyses, .. } = self;
        let several = rows.windows(2).any(|pair| pair[0].sweep != pair[1].sweep);
        let length = unique_length(rows.iter().map(|row| row.trial.as_str()));
        let columns = table::Parameters::new(rows.iter().map(|row| &row.parameters));
        let mut shown = table::new();
        let head = several.then(|| "SWEEP".to_owned()).into_iter();
        let value = self.value.to_uppercase();
        let head = head.chain(["TRIAL", "STATE", "EPOCH", &value].map(str::to_owned));
        let head = head.chain(columns.headers()).chain(["SEED", "ATTEMPTS"].map(str::to_owned));
        let more =
            if analyses.is_empty() { Vec::new() } else { HEADERS.map(str::to_owned).to_vec() };
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

    fn sheet(&self) -> Sheet {
        let paths = paths(self.rows.iter().map(|row| &row.parameters));
        let mut sheet = Sheet::default();
        for (name, kind) in FIXED {
            sheet.column(name, kind);
        }
        sheet.columns(paths.clone());
        if !self.analyses.is_empty() {
            sheet.columns(COLUMNS.map(prefixed));
        }
        let line = |(at, row): (usize, &TrialRow)| {
            let cells = [
                json!(row.sweep),
                json!(row.trial),
                json!(row.state),
                json!(row.epochs_done),
                json!(row.epochs),
                json!(row.value),
                json!(row.epoch),
                json!(row.seed),
            ];
            let cells = cells.into_iter().chain(parameter_cells(&row.parameters, &paths));
            cells.chain(self.analyses.get(at).map(fields).into_iter().flatten()).collect()
        };
        sheet.rows = self.rows.iter().enumerate().map(line).collect();
        sheet
    }
}

/// Columns of every list.
const FIXED: [(&str, Kind); 8] = [
    ("sweep", Kind::Text),
    ("trial", Kind::Text),
    ("state", Kind::Text),
    ("epochs_done", Kind::Whole),
    ("epochs", Kind::Whole),
    ("value", Kind::Number),
    ("epoch", Kind::Whole),
    ("seed", Kind::Whole),
];

/// Epochs done of those to do.
pub(super) fn epochs(done: u64, all: Option<u64>) -> String {
    all.map_or_else(|| done.to_string(), |all| format!("{done}/{all}"))
}

/// The list has `epochs_done` and others by the same name already.
fn prefixed(name: &str) -> String {
    format!("analysis.{name}")
}
