//! Tables for people.

use std::collections::BTreeSet;

use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use serde_json::{Map, Value};

/// Makes an empty table without lines; its columns are as wide as what they hold.
pub(super) fn new() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// Returns a table as text without blanks at the ends of lines.
pub(super) fn text(table: &Table) -> String {
    table.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Swept settings as columns with short names.
#[derive(Debug)]
pub(super) struct Parameters {
    paths: Vec<String>,
}

impl Parameters {
    /// Finds the columns of many trials.
    pub(super) fn new<'a>(all: impl Iterator<Item = &'a Map<String, Value>>) -> Self {
        let paths: BTreeSet<&String> = all.flat_map(Map::keys).collect();
        Self { paths: paths.into_iter().cloned().collect() }
    }

    /// Returns the headers: the last word of each path, the whole path where two share it.
    pub(super) fn headers(&self) -> impl Iterator<Item = String> + '_ {
        let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
        self.paths.iter().map(move |path| {
            let shared = self.paths.iter().filter(|other| last(other) == last(path)).count() > 1;
            if shared { path.clone() } else { last(path) }.to_uppercase()
        })
    }

    /// Returns the values of a trial, one a column.
    pub(super) fn cells<'a>(
        &'a self,
        parameters: &'a Map<String, Value>,
    ) -> impl Iterator<Item = String> + 'a {
        self.paths.iter().map(|path| parameters.get(path).map_or("-".to_owned(), value))
    }
}

/// Returns swept values in one line: `batch_size=4 lr=0.1`.
pub(super) fn in_words(parameters: &Map<String, Value>) -> String {
    let short = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let words = parameters.iter().map(|(path, of)| format!("{}={}", short(path), value(of)));
    words.collect::<Vec<_>>().join(" ")
}

/// Returns a value as people write it.
pub(super) fn value(value: &Value) -> String {
    match value {
        // What moves the cursor or breaks the line stays visible.
        Value::String(text) if text.contains(char::is_control) => {
            let shown = |c: char| match c.is_control() {
                true => c.escape_default().to_string(),
                false => c.to_string(),
            };
            text.chars().map(shown).collect()
        }
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(float)
                if float != 0.0
                    && (float.abs() < 1e-3 || float.abs() >= 1e7)
                    && number.is_f64() =>
            {
                format!("{float:e}")
            }
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}
