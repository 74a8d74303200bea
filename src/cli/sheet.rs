//! An answer as columns and rows, and its ways out: a table, CSV, lines of JSON, Parquet.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::ask::{csv, metric, unique_length};
use super::{parquet, table};
use crate::query::{Kind, Name};

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) name: String,
    /// What it holds; none where the values themselves tell.
    kind: Option<Kind>,
}

/// Columns and rows. A value that is not there is null.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sheet {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Value>>,
}

impl Sheet {
    /// Adds a column of a known kind.
    pub(super) fn column(&mut self, name: &str, kind: Kind) {
        self.add(name, Some(kind));
    }

    /// Adds columns whose values tell what they are.
    pub(super) fn columns(&mut self, names: impl IntoIterator<Item = String>) {
        names.into_iter().for_each(|name| self.add(&name, None));
    }

    /// Adds columns of what trials have.
    pub(super) fn names(&mut self, names: &[Name]) {
        names.iter().for_each(|name| self.add(&name.to_string(), name.kind()));
    }

    /// No two columns have the same name.
    fn add(&mut self, name: &str, kind: Option<Kind>) {
        let is_free = |name: &str| self.columns.iter().all(|column| column.name != name);
        let mut free = name.to_owned();
        let mut number = 2;
        while !is_free(&free) {
            free = format!("{name}_{number}");
            number += 1;
        }
        self.columns.push(Column { name: free, kind });
    }

    /// Returns the place of a column.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Keeps these columns, each named once, in this order.
    pub(super) fn keep(&mut self, places: &[usize]) {
        self.columns = places.iter().map(|at| self.columns[*at].clone()).collect();
        for row in &mut self.rows {
            *row = places.iter().map(|at| std::mem::take(&mut row[*at])).collect();
        }
    }

    /// Drops columns without any value, unless there are no rows.
    pub(super) fn drop_empty(&mut self) {
        let has_value = |at: &usize| self.rows.iter().any(|row| !row[*at].is_null());
        let kept: Vec<usize> = (0..self.columns.len()).filter(has_value).collect();
        if !self.rows.is_empty() && kept.len() < self.columns.len() {
            self.keep(&kept);
        }
    }

    /// What each column holds: as it was said, where all values are so.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        let kind = |(at, column): (usize, &Column)| {
            let values = || self.rows.iter().map(|row| &row[at]).filter(|value| !value.is_null());
            let fits = |kind: &Kind| values().all(|value| is_of(value, *kind));
            let said = column.kind.filter(fits);
            let is_empty = values().next().is_none();
            let seen = || match is_empty {
                true => None,
                false => [Kind::Truth, Kind::Whole, Kind::Number].into_iter().find(fits),
            };
            said.or_else(seen).unwrap_or(Kind::Text)
        };
        self.columns.iter().enumerate().map(kind).collect()
    }

    /// As CSV (RFC 4180). Numbers that need not be whole have a point or an exponent, so that the type of a
    /// column does not depend on its values; what is not there is empty.
    pub(super) fn csv(&self) -> String {
        let kinds = self.kinds();
        let head = self.columns.iter().map(|column| column.name.clone()).collect();
        let line = |row: &Vec<Value>| row.iter().zip(&kinds).map(|(v, k)| field(v, *k)).collect();
        csv(std::iter::once(head).chain(self.rows.iter().map(line)))
    }

    /// A row as a JSON object.
    pub(super) fn object(&self, at: usize) -> Value {
        let pairs = self.columns.iter().zip(self.rows.get(at).into_iter().flatten());
        let pairs = pairs.map(|(column, value)| (column.name.clone(), value.clone()));
        Value::Object(pairs.collect::<Map<String, Value>>())
    }

    /// As JSON objects, a line each.
    pub(super) fn json_lines(&self) -> String {
        (0..self.rows.len()).map(|at| self.object(at).to_string() + "\n").collect()
    }

    /// As a Parquet file.
    pub(super) fn parquet(&self) -> Vec<u8> {
        let columns: Vec<parquet::Column> = self
            .columns
            .iter()
            .zip(self.kinds())
            .map(|(c, kind)| parquet::Column { name: c.name.clone(), kind })
            .collect();
        parquet::file(&columns, &self.rows)
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut shown = table::new();
        shown.set_header(self.headers());
        let trial = self.place("trial");
        let ids: Vec<&str> = self.rows.iter().filter_map(|row| row[trial?].as_str()).collect();
        let length = unique_length(ids.iter().copied());
        let kinds = self.kinds();
        for row in &self.rows {
            let cell = |(at, value): (usize, &Value)| match value {
                Value::Null => "-".to_owned(),
                Value::String(text) if Some(at) == trial => {
                    text.get(..length).unwrap_or(text).to_owned()
                }
                value if kinds[at] == Kind::Number && self.columns[at].kind.is_some() => {
                    metric(value.as_f64())
                }
                value => table::value(value),
            };
            shown.add_row(row.iter().enumerate().map(cell));
        }
        table::text(&shown)
    }

    /// Names in capitals; of paths such as `optimizer.lr` the last word, where it is the only one.
    fn headers(&self) -> Vec<String> {
        let is_path = |name: &str| name.chars().all(|c| c.is_alphanumeric() || "._-".contains(c));
        let last = |name: &str| match name.rsplit_once('.') {
            Some((_, last)) if is_path(name) => last.to_owned(),
            _ => name.to_owned(),
        };
        let all: Vec<String> = self.columns.iter().map(|column| last(&column.name)).collect();
        let twice: BTreeSet<&String> = all
            .iter()
            .filter(|word| all.iter().filter(|other| other == word).count() > 1)
            .collect();
        let header = |(column, short): (&Column, &String)| {
            let name = if twice.contains(short) { &column.name } else { short };
            name.to_uppercase()
        };
        self.columns.iter().zip(&all).map(header).collect()
    }
}

fn is_of(value: &Value, kind: Kind) -> bool {
    match kind {
        Kind::Text => value.is_string(),
        Kind::Whole => value.is_i64(),
        Kind::Number => value.is_f64() || value.as_i64().is_some_and(is_exact),
        Kind::Truth => value.is_boolean(),
    }
}

/// Says whether a whole number is the same as a double.
fn is_exact(whole: i64) -> bool {
    whole.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS
}

/// A value as the text that stands for it where there are no types.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn field(value: &Value, kind: Kind) -> String {
    match value.as_f64() {
        Some(number) if kind == Kind::Number => format!("{number:?}"),
        _ => text(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sheet() -> Sheet {
        let mut sheet = Sheet::default();
        sheet.column("trial", Kind::Text);
        sheet.column("value", Kind::Number);
        sheet.columns(["optimizer.lr", "model.base", "x", "x"].map(str::to_owned));
        sheet.rows = vec![
            vec![
                json!("0123456789abcdef"),
                json!(1.0),
                json!(1),
                json!(16),
                json!(true),
                json!([1]),
            ],
            vec![
                json!("1021e04900000000"),
                json!(null),
                json!(5e-4),
                json!(null),
                json!(false),
                json!("a,b"),
            ],
        ];
        sheet
    }

    #[test]
    fn columns_have_one_type_whatever_their_values() {
        let (told, seen) = (sheet(), [Kind::Text, Kind::Number, Kind::Number, Kind::Whole]);
        assert_eq!(told.kinds()[..4], seen);
        assert_eq!(told.kinds()[4..], [Kind::Truth, Kind::Text]);
        insta::assert_snapshot!(told.csv(), @r#"
        trial,value,optimizer.lr,model.base,x,x_2
        0123456789abcdef,1.0,1.0,16,true,[1]
        1021e04900000000,,0.0005,,false,"a,b"
        "#);
        assert_eq!(
            told.json_lines().lines().nth(1),
            Some(
                r#"{"model.base":null,"optimizer.lr":0.0005,"trial":"1021e04900000000","value":null,"x":false,"x_2":"a,b"}"#
            )
        );
        insta::assert_snapshot!(told.table(), @r"
        TRIAL     VALUE   LR    BASE  X      X_2
        01234567  1.0000  1     16    true   [1]
        1021e049  -       5e-4  -     false  a,b
        ");
    }

    #[test]
    fn a_whole_number_that_does_not_fit_becomes_text() {
        let mut sheet = Sheet::default();
        sheet.column("seed", Kind::Whole);
        sheet.rows = vec![vec![json!(u64::MAX)]];
        assert_eq!(sheet.kinds(), [Kind::Text]);
        assert_eq!(sheet.csv(), "seed\n18446744073709551615\n");
        sheet.rows = vec![vec![json!(0.5)], vec![json!((1_i64 << 53) + 1)]];
        assert_eq!(sheet.kinds(), [Kind::Text], "no double is 2^53 + 1");
        sheet.rows = vec![vec![json!(null)]];
        assert_eq!(sheet.kinds(), [Kind::Whole]);
    }

    #[test]
    fn only_paths_are_cut_to_their_last_word() {
        let mut sheet = Sheet::default();
        sheet.columns(
            ["optimizer.lr", "val/f0.5", "max(value * 1.5)", "a.x", "b.x"].map(str::to_owned),
        );
        let headers = ["LR", "VAL/F0.5", "MAX(VALUE * 1.5)", "A.X", "B.X"];
        assert_eq!(sheet.headers(), headers);
    }
}
