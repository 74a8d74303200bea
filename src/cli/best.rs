//! `regatta best`: the ranking by the objective, or by any recorded metric.

use std::borrow::Cow;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::ask::{ask, from_store, metric, plural, unique_length};
use super::output::{Answer, Format, Output};
use super::question::{Question, Understood, tell_of_hidden};
use super::sheet::Sheet;
use super::trials::told;
use super::{Context, Failure, UNFINISHED, compare, table};
use crate::help::{Example, examples};
use crate::query::{Aggregate, Kind};
use crate::store::{BestRow, Doubt, Ranking};

/// Rows of the table where none were asked for.
const SHOWN: u32 = 10;

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("the ten best of a sweep", "regatta best lr-batch"),
    ("the three best by another metric", "regatta best lr-batch --metric val/dice --top 3"),
    (
        "some of several sweeps, into a table",
        "regatta best 'lr-*' --where 'optimizer.lr >= 1e-4 and model.name = \"unet\"' -o best.csv",
    ),
    ("the mean over seeds of each learning rate", "regatta best lr-batch --group-by optimizer.lr"),
];

/// Rank trials by the objective
///
/// By the sweep's own metric, or by any that was recorded; over one sweep or all. docs/asking.md tells more.
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
    /// Exit with 3 if any trial is not finished
    #[arg(long)]
    fail_if_unfinished: bool,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let whole = args.output.is_whole(ctx)?;
    let mut asked = ask(ctx, &args.sweeps).await?;
    if !args.question.group_by.is_empty() {
        let open = compare::groups(ctx, &args.question, &args.output, asked, false).await?;
        return Ok(code(args, open > 0));
    }
    let most = (!whole).then_some(SHOWN);
    let understood = args.question.understand(&mut asked, most).await?;
    let columns = match args.output.format(ctx)? {
        // There each trial has its identity already.
        Format::Json => understood.columns.clone(),
        _ => understood.columns_with_trial(),
    };
    let Understood { selector, .. } = understood;
    let ranking = asked.store.best(&selector).await.map_err(from_store)?;
    let ids = ranking.rows.iter().map(|row| (row.sweep.clone(), row.trial.clone()));
    let told = told(&mut asked.store, &ids.collect::<Vec<_>>(), &columns).await?;
    let several = several_sweeps(&ranking.rows);
    let name = match selector.aggregate {
        Aggregate::Best | Aggregate::Last => ranking.metric.clone(),
        aggregate => format!("{}@{aggregate}", ranking.metric),
    };
    args.output.deliver(
        ctx,
        &Answer {
            table: &|| match told.columns.is_empty() {
                true => as_table(&ranking, &name, several),
                false => told.table(),
            },
            json: &|| as_json(&ranking, several, &told),
            sheet: &|| match told.columns.is_empty() {
                true => Cow::Owned(as_sheet(&ranking, several)),
                false => Cow::Borrowed(&told),
            },
        },
    )?;
    tell(ctx, &ranking, told.columns.is_empty());
    if ranking.rows.is_empty() && selector.filter.is_some() {
        ctx.screen.note("note: no trial fits; `regatta trials` lists all of them");
    }
    Ok(code(args, ranking.unfinished > 0))
}

fn code(args: &Args, unfinished: bool) -> ExitCode {
    if args.fail_if_unfinished && unfinished {
        ExitCode::from(UNFINISHED)
    } else {
        ExitCode::SUCCESS
    }
}

/// Notes about a ranking; `has_flags` says whether its table has that column.
fn tell(ctx: &Context, ranking: &Ranking, has_flags: bool) {
    let Ranking { rows, trials, unfinished, versions, .. } = ranking;
    tell_of_leaks(ctx, rows.iter().filter(|row| row.is_leaky).count(), rows.len(), "shown");
    let place = if has_flags { " (FLAGS)" } else { "" };
    tell_of_splits(ctx, rows, place);
    tell_of_blind(ctx, rows, place);
    tell_of_hidden(ctx, *trials, rows.len());
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

/// Warns of splits that leak by what their workers measured.
fn tell_of_splits(ctx: &Context, rows: &[BestRow], place: &str) {
    let leaky = rows.iter().filter(|row| row.flags.contains(&Doubt::SplitLeaks)).count();
    if leaky > 0 {
        ctx.screen.warn(format!(
            "{leaky} of {} trials shown were validated on a split that leaks{place}: copying the nearest \
             training mask scores high there; `regatta check` tells how high, and which gap is wide enough",
            rows.len()
        ));
    }
}

/// Warns of values that say how frequent foreground is, and nothing of the network.
fn tell_of_blind(ctx: &Context, rows: &[BestRow], place: &str) {
    let is_blind = |row: &&BestRow| {
        row.flags.iter().any(|flag| [Doubt::NeverLearnt, Doubt::TakesAll].contains(flag))
    };
    let blind = rows.iter().filter(is_blind).count();
    if blind > 0 {
        ctx.screen.warn(format!(
            "{blind} of {} trials shown do not tell foreground from background{place}: taking all for \
             foreground scores as high as foreground is frequent, and nothing was learnt",
            rows.len()
        ));
    }
}

/// Why a value is not what it looks like, in words; nothing for none.
fn flags(row: &BestRow) -> String {
    row.flags.iter().map(|flag| flag.words()).collect::<Vec<_>>().join(", ")
}

fn several_sweeps(rows: &[BestRow]) -> bool {
    rows.windows(2).any(|pair| pair[0].sweep != pair[1].sweep)
}

/// The shape is a promise: scripts read it. `sweep` is there where trials of several are ranked, `leaky`
/// and `flags` where a trial's value is not to be believed, `columns` where some were asked for.
fn as_json(ranking: &Ranking, several: bool, told: &Sheet) -> Value {
    let trial = |(at, row): (usize, &BestRow)| {
        let mut value = json!({
            "trial": row.trial, "value": row.value, "epoch": row.epoch, "seed": row.seed,
            "state": row.state, "parameters": row.parameters,
        });
        if row.is_leaky {
            value["leaky"] = Value::Bool(true);
        }
        if !row.flags.is_empty() {
            value["flags"] = json!(row.flags);
        }
        if several {
            value["sweep"] = Value::from(row.sweep.clone());
        }
        if !told.columns.is_empty() {
            value["columns"] = told.object(at);
        }
        value
    };
    json!({
        "schema_version": 1,
        "metric": ranking.metric,
        "direction": ranking.direction,
        "trials": ranking.rows.iter().enumerate().map(trial).collect::<Vec<_>>(),
    })
}

fn as_table(ranking: &Ranking, name: &str, several: bool) -> String {
    let rows = &ranking.rows;
    let length = unique_length(rows.iter().map(|row| row.trial.as_str()));
    let columns = table::Parameters::new(rows.iter().map(|row| &row.parameters));
    let mut shown = table::new();
    let head = several.then(|| "SWEEP".to_owned()).into_iter();
    let head = head.chain(["TRIAL", &name.to_uppercase(), "EPOCH"].map(str::to_owned));
    let has_flags = rows.iter().any(|row| !row.flags.is_empty());
    let head = head.chain(columns.headers()).chain(["SEED", "STATE"].map(str::to_owned));
    let head: Vec<_> = head.chain(has_flags.then(|| "FLAGS".to_owned())).collect();
    shown.set_header(head);
    for row in rows {
        let cells = several.then(|| row.sweep.clone()).into_iter();
        let cells = cells.chain([
            row.trial.as_str()[..length].to_owned(),
            metric(row.value),
            row.epoch.map_or("-".to_owned(), |epoch| epoch.to_string()),
        ]);
        let cells = cells.chain(columns.cells(&row.parameters));
        let cells = cells.chain([row.seed.to_string(), row.state.to_string()]);
        let told = || if row.flags.is_empty() { "-".to_owned() } else { flags(row) };
        shown.add_row(cells.chain(has_flags.then(told)));
    }
    table::text(&shown)
}

fn as_sheet(ranking: &Ranking, several: bool) -> Sheet {
    let paths = paths(ranking.rows.iter().map(|row| &row.parameters));
    let mut sheet = Sheet::default();
    if several {
        sheet.column("sweep", Kind::Text);
    }
    sheet.column("trial", Kind::Text);
    sheet.column("value", Kind::Number);
    sheet.column("epoch", Kind::Whole);
    sheet.column("seed", Kind::Whole);
    sheet.column("state", Kind::Text);
    sheet.columns(paths.clone());
    sheet.column("flags", Kind::Text);
    sheet.rows = ranking
        .rows
        .iter()
        .map(|row| {
            let cells = several.then(|| json!(row.sweep)).into_iter();
            let cells = cells.chain([
                json!(row.trial),
                json!(row.value),
                json!(row.epoch),
                json!(row.seed),
                json!(row.state),
            ]);
            let told = (!row.flags.is_empty()).then(|| flags(row));
            cells.chain(parameter_cells(&row.parameters, &paths)).chain([json!(told)]).collect()
        })
        .collect();
    sheet
}

/// All swept paths, sorted.
pub(super) fn paths<'a>(all: impl Iterator<Item = &'a Map<String, Value>>) -> Vec<String> {
    let paths: std::collections::BTreeSet<&String> = all.flat_map(Map::keys).collect();
    paths.into_iter().cloned().collect()
}

/// A trial's values of these paths, null where it has none.
pub(super) fn parameter_cells(parameters: &Map<String, Value>, paths: &[String]) -> Vec<Value> {
    paths.iter().map(|path| parameters.get(path).cloned().unwrap_or_default()).collect()
}
