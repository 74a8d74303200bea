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

    /// Returns the headers: the last word of each path (of `model.name` the first), the whole path where two
    /// share it or it would read as another column.
    pub(super) fn headers(&self) -> impl Iterator<Item = String> + '_ {
        self.paths.iter().map(move |path| {
            let shared = self.paths.iter().filter(|other| short(other) == short(path)).count() > 1;
            let is_taken = TAKEN.contains(&short(path));
            if shared || is_taken { path } else { short(path) }.to_uppercase()
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

/// Words that head other columns, or say nothing alone.
const TAKEN: [&str; 20] = [
    "at", "attempts", "best", "by", "data", "epoch", "final", "flags", "gap", "group", "lost",
    "mean", "n", "sd", "seed", "state", "sweep", "time", "trial", "value",
];

/// The word of a path that says most.
fn short(path: &str) -> &str {
    match path.rsplit_once('.') {
        Some((section, "name")) => section,
        Some((_, last)) => last,
        None => path,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn headers_are_short_where_that_is_clear() {
        let settings = json!({
            "model.name": "unet", "optimizer.name": "sgd", "optimizer.lr": 1, "data.split.gap": 2,
            "data.split.by": "blocks", "guards.patience": 3, "schedule.patience": 4,
        });
        let columns = Parameters::new(std::iter::once(settings.as_object().expect("object")));
        let headers: Vec<String> = columns.headers().collect();
        assert_eq!(
            headers,
            [
                "DATA.SPLIT.BY",
                "DATA.SPLIT.GAP",
                "GUARDS.PATIENCE",
                "MODEL",
                "LR",
                "OPTIMIZER",
                "SCHEDULE.PATIENCE",
            ]
        );
    }
}
