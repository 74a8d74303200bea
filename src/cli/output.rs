//! How an answer leaves: its format, and whether to the terminal or into a file.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Value, json};

use super::sheet::Sheet;
use super::{Context, Failure};
use crate::layout;

/// Heading of [`Output`] in help texts.
const HOW: &str = "How to tell it";

/// How an answer is told.
#[derive(Debug, clap::Args)]
pub(super) struct Output {
    /// How to write: a table for people, csv, json (one value), jsonl (an object a line), parquet [default:
    /// what the name of the file ends in, else a table]
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = HOW, hide_possible_values = true)]
    format: Option<Format>,
    /// Write a file instead of printing: all of it or, where that fails, nothing
    #[arg(short, long, value_name = "FILE", help_heading = HOW)]
    output: Option<PathBuf>,
    /// Print comma-separated values, as --format csv
    #[arg(long, conflicts_with_all = ["json", "format"], help_heading = HOW)]
    csv: bool,
}

/// Forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// Comma-separated values
    Csv,
    /// One value
    Json,
    /// An object a line
    Jsonl,
    /// Columns with types
    Parquet,
}

/// An answer in all its forms; the one that is wanted is made.
pub(super) struct Answer<'a> {
    pub(super) table: &'a dyn Fn() -> String,
    pub(super) json: &'a dyn Fn() -> Value,
    pub(super) sheet: &'a dyn Fn() -> Cow<'a, Sheet>,
}

impl Output {
    /// Into a file.
    pub(super) fn to(format: Format, file: &Path) -> Self {
        Self { format: Some(format), output: Some(file.to_owned()), csv: false }
    }

    /// Tells which form is wanted.
    pub(super) fn format(&self, ctx: &Context) -> Result<Format, Failure> {
        match self.format {
            Some(format) if ctx.screen.is_json() && format != Format::Json => {
                Err(Failure::usage("--json and another --format ask for two things")
                    .hint("leave one of them out"))
            }
            Some(format) => Ok(format),
            None if self.csv => Ok(Format::Csv),
            None if ctx.screen.is_json() => Ok(Format::Json),
            None => Ok(self.output.as_deref().and_then(by_name).unwrap_or(Format::Table)),
        }
    }

    /// Says whether the answer is for programs, which want all rows.
    pub(super) fn is_whole(&self, ctx: &Context) -> Result<bool, Failure> {
        Ok(self.format(ctx)? != Format::Table)
    }

    /// Prints or writes an answer.
    pub(super) fn deliver(&self, ctx: &Context, answer: &Answer<'_>) -> Result<(), Failure> {
        deliver(ctx, self.format(ctx)?, self.output.as_deref(), answer)
    }

    /// Prints or writes columns and rows.
    pub(super) fn deliver_rows(&self, ctx: &Context, sheet: &Sheet) -> Result<(), Failure> {
        deliver_rows(ctx, self.format(ctx)?, self.output.as_deref(), sheet)
    }
}

/// Prints or writes columns and rows that are all of the answer; in JSON they are `rows`.
pub(super) fn deliver_rows(
    ctx: &Context,
    format: Format,
    file: Option<&Path>,
    sheet: &Sheet,
) -> Result<(), Failure> {
    let rows = || (0..sheet.rows.len()).map(|at| sheet.object(at)).collect::<Vec<_>>();
    let answer = Answer {
        table: &|| sheet.table(),
        json: &|| json!({ "schema_version": 1, "rows": rows() }),
        sheet: &|| Cow::Borrowed(sheet),
    };
    deliver(ctx, format, file, &answer)
}

/// Prints an answer, or writes it to a file.
fn deliver(
    ctx: &Context,
    format: Format,
    file: Option<&Path>,
    answer: &Answer<'_>,
) -> Result<(), Failure> {
    let with_end = |text: String| (text.trim_end_matches('\n').to_owned() + "\n").into_bytes();
    let bytes = match format {
        Format::Table => with_end((answer.table)()),
        Format::Json => {
            let text = serde_json::to_string_pretty(&(answer.json)());
            with_end(text.map_err(Failure::internal)?)
        }
        Format::Csv => (answer.sheet)().csv().into_bytes(),
        Format::Jsonl => (answer.sheet)().json_lines().into_bytes(),
        Format::Parquet if file.is_none() && std::io::stdout().is_terminal() => {
            return Err(Failure::usage("a Parquet file is no text")
                .hint("name a file with -o, or lead it into one with `>`"));
        }
        Format::Parquet => (answer.sheet)().parquet(),
    };
    let Some(path) = file else {
        return ctx.screen.bytes(&bytes).map_err(|error| {
            Failure::site(format!("failed to write the answer: {error}"))
                .hint("what was written of it is not whole")
        });
    };
    layout::write_users_file(path, &bytes)
        .map_err(|error| Failure::file("write", path, &error).hint("nothing was written"))?;
    ctx.screen.note(format!("wrote {}", path.display()));
    Ok(())
}

/// The form that the name of a file tells.
pub(super) fn by_name(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()? {
        "csv" => Some(Format::Csv),
        "json" => Some(Format::Json),
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        "parquet" => Some(Format::Parquet),
        _ => None,
    }
}
