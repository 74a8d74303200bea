//! `regatta best`: the ranking by the objective, or by any recorded metric.

use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::ask::{ask, csv, from_store, metric, plural, unique_length};
use super::{Context, Failure, UNFINISHED, table};
use crate::metric::Direction;
use crate::store::{Aggregate, BestRow, Ranking, Selector};

/// Rows of the table where none were asked for.
const SHOWN: u32 = 10;

/// Rank trials by the objective
///
/// Example: regatta best lr-batch --metric val/dice --top 3
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Names or files of sweeps [default: all]
    #[arg(value_name = "SWEEP")]
    sweeps: Vec<String>,
    /// Rank by this metric [default: the objective]
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// Which values are good [default: the objective's; `minimize` for another metric ending in `loss`]
    #[arg(long, value_enum, value_name = "WORD")]
    direction: Option<Good>,
    /// Rank by the newest epoch of each trial instead of its best
    #[arg(long)]
    last: bool,
    /// Show so many trials, 0 for all [default: 10; all with --json and --csv]
    #[arg(long, value_name = "N")]
    top: Option<u32>,
    /// Print comma-separated values
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Exit with 3 if any trial is not finished
    #[arg(long)]
    fail_if_unfinished: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Good {
    /// Large values
    Maximize,
    /// Small values
    Minimize,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let mut asked = ask(ctx, &args.sweeps).await?;
    let whole = ctx.screen.is_json() || args.csv;
    let selector = Selector {
        sweeps: asked.sweeps,
        metric: args.metric.clone(),
        direction: args.direction.map(|good| match good {
            Good::Maximize => Direction::Maximize,
            Good::Minimize => Direction::Minimize,
        }),
        aggregate: if args.last { Aggregate::Last } else { Aggregate::Best },
        top: args.top.or((!whole).then_some(SHOWN)).filter(|top| *top > 0),
    };
    let ranking = asked.store.best(&selector).await.map_err(from_store)?;
    let several = several_sweeps(&ranking.rows);
    if ctx.screen.is_json() {
        ctx.screen.json(&as_json(&ranking, several));
    } else if args.csv {
        ctx.screen.answer(as_csv(&ranking, several));
    } else {
        ctx.screen.answer(as_table(&ranking, several));
    }
    tell(ctx, &ranking);
    let unfinished = args.fail_if_unfinished && ranking.unfinished > 0;
    Ok(if unfinished { ExitCode::from(UNFINISHED) } else { ExitCode::SUCCESS })
}

fn tell(ctx: &Context, ranking: &Ranking) {
    let Ranking { rows, trials, unfinished, versions, .. } = ranking;
    tell_of_leaks(ctx, rows.iter().filter(|row| row.is_leaky).count(), rows.len(), "shown");
    let hidden = trials.saturating_sub(rows.len() as u64);
    if hidden > 0 {
        ctx.screen.note(format!("note: {} not shown (--top)", plural(hidden, "more trial")));
    }
    if *unfinished > 0 {
        let verb = if *unfinished == 1 { "is" } else { "are" };
        let all = plural(*trials, "trial");
        ctx.screen.note(format!("note: {unfinished} of {all} {verb} not finished"));
    }
    if versions.len() > 1 {
        let list = versions.join(", ");
        ctx.screen.note(format!("note: values come from several versions of the worker: {list}"));
    }
}

/// Warns of values that are not to be believed; `verb` says what is done with the trials.
pub(super) fn tell_of_leaks(ctx: &Context, leaky: usize, all: usize, verb: &str) {
    if leaky > 0 {
        ctx.screen.warn(format!(
            "{leaky} of {all} trials {verb} were validated on `leaky_random_patches`: neighbours of the \
             validation patches were trained on, and such values say nothing about new images"
        ));
    }
}

fn several_sweeps(rows: &[BestRow]) -> bool {
    rows.windows(2).any(|pair| pair[0].sweep != pair[1].sweep)
}

/// The shape is a promise: scripts read it. `sweep` is there where trials of several are ranked, `leaky`
/// where a trial's value is not to be believed.
fn as_json(ranking: &Ranking, several: bool) -> Value {
    let trial = |row: &BestRow| {
        let mut value = json!({
            "trial": row.trial, "value": row.value, "epoch": row.epoch, "seed": row.seed,
            "state": row.state, "parameters": row.parameters,
        });
        if row.is_leaky
            && let Some(object) = value.as_object_mut()
        {
            object.insert("leaky".to_owned(), Value::Bool(true));
        }
        if several && let Some(object) = value.as_object_mut() {
            object.insert("sweep".to_owned(), Value::from(row.sweep.clone()));
        }
        value
    };
    json!({
        "schema_version": 1,
        "metric": ranking.metric,
        "direction": ranking.direction,
        "trials": ranking.rows.iter().map(trial).collect::<Vec<_>>(),
    })
}

fn as_table(ranking: &Ranking, several: bool) -> String {
    let rows = &ranking.rows;
    let length = unique_length(rows.iter().map(|row| row.trial.as_str()));
    let columns = table::Parameters::new(rows.iter().map(|row| &row.parameters));
    let mut shown = table::new();
    let head = several.then(|| "SWEEP".to_owned()).into_iter();
    let head = head.chain(["TRIAL", &ranking.metric.to_uppercase(), "EPOCH"].map(str::to_owned));
    let head: Vec<_> =
        head.chain(columns.headers()).chain(["SEED", "STATE"].map(str::to_owned)).collect();
    shown.set_header(head);
    for row in rows {
        let cells = several.then(|| row.sweep.clone()).into_iter();
        let cells = cells.chain([
            row.trial.as_str()[..length].to_owned(),
            metric(row.value),
            row.epoch.map_or("-".to_owned(), |epoch| epoch.to_string()),
        ]);
        let cells = cells.chain(columns.cells(&row.parameters));
        shown.add_row(cells.chain([row.seed.to_string(), row.state.to_string()]));
    }
    table::text(&shown)
}

fn as_csv(ranking: &Ranking, several: bool) -> String {
    let paths = paths(ranking.rows.iter().map(|row| &row.parameters));
    let head = several.then(|| "sweep".to_owned()).into_iter();
    let head = head.chain(["trial", "value", "epoch", "seed", "state"].map(str::to_owned));
    let head = head.chain(paths.clone()).collect();
    let rows = ranking.rows.iter().map(|row| {
        let cells = several.then(|| row.sweep.clone()).into_iter();
        let cells = cells.chain([
            row.trial.to_string(),
            row.value.map(|value| value.to_string()).unwrap_or_default(),
            row.epoch.map(|epoch| epoch.to_string()).unwrap_or_default(),
            row.seed.to_string(),
            row.state.to_string(),
        ]);
        cells.chain(parameter_cells(&row.parameters, &paths)).collect()
    });
    csv(std::iter::once(head).chain(rows))
}

/// All swept paths, sorted.
pub(super) fn paths<'a>(all: impl Iterator<Item = &'a Map<String, Value>>) -> Vec<String> {
    let paths: std::collections::BTreeSet<&String> = all.flat_map(Map::keys).collect();
    paths.into_iter().cloned().collect()
}

/// A trial's values of these paths, empty where it has none.
pub(super) fn parameter_cells(parameters: &Map<String, Value>, paths: &[String]) -> Vec<String> {
    let cell = |path: &String| match parameters.get(path) {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    paths.iter().map(cell).collect()
}
