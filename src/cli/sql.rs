//! `regatta sql`: a question in SQL, on the documented views.

use std::borrow::Cow;
use std::io::Read;
use std::process::ExitCode;

use serde_json::json;

use super::ask::{ask, from_store, plural};
use super::output::{Answer, Output};
use super::sheet::Sheet;
use super::{Context, Failure};
use crate::help::{Example, examples};
use crate::layout::Limit;
use crate::store::{Mode, Store};

/// Rows of the table where none were asked for.
const SHOWN: usize = 1000;

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    (
        "finished trials, the best first",
        "regatta sql \"select trial, value from trials where state = 'finished' order by value desc\"",
    ),
    (
        "hours of training of each sweep, as CSV",
        "regatta sql \"select sweep, sum(elapsed) / 3600 from trials group by sweep\" --csv",
    ),
    ("a longer question from a file", "regatta sql - < question.sql"),
];

/// Ask in SQL, reading only
///
/// For what no other verb answers. docs/sql.md lists the views: sweeps, trials, epochs, metrics, attempts,
/// warnings.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    /// One statement that reads; `-` takes it from the standard input
    #[arg(value_name = "STATEMENT")]
    statement: String,
    /// Tell so many rows at most, 0 for all [default: 1000 in a table, else all]
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let whole = args.output.is_whole(ctx)?;
    let statement = match args.statement.as_str() {
        "-" => typed()?,
        text => text.to_owned(),
    };
    let asked = ask(ctx, &[]).await?;
    // What was read into memory is there alone; else a connection that cannot write.
    let mut store = match asked.store.is_in_memory() {
        true => asked.store,
        false => {
            drop(asked);
            Store::open(&ctx.root.database(), Mode::ReadOnly).await.map_err(from_store)?
        }
    };
    let most = args.top.or((!whole).then_some(SHOWN)).filter(|top| *top > 0);
    let table = store.sql(&statement, most).await.map_err(from_store)?;
    let mut sheet = Sheet::default();
    sheet.columns(table.columns);
    sheet.rows = table.rows;
    let names = || sheet.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    args.output.deliver(
        ctx,
        &Answer {
            table: &|| sheet.table(),
            json: &|| json!({ "schema_version": 1, "columns": names(), "rows": sheet.rows }),
            sheet: &|| Cow::Borrowed(&sheet),
        },
    )?;
    if table.is_cut {
        let rows = plural(sheet.rows.len() as u64, "row");
        ctx.screen.note(format!("note: {rows} shown, there are more (--top 0 tells all)"));
    }
    Ok(ExitCode::SUCCESS)
}

/// A statement from the standard input.
fn typed() -> Result<String, Failure> {
    let mut text = String::new();
    let most = Limit::SWEEP.bytes;
    match std::io::stdin().lock().take(most + 1).read_to_string(&mut text) {
        Ok(_) if text.len() as u64 > most => {
            Err(Failure::usage("this statement is too long").hint("a question fits a page"))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::usage(format!("the statement cannot be read: {error}"))),
    }
}
