//! Questions that people write in SQL: one statement that only reads, on a connection that can only read.

use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Column, Executor, Row, SqlSafeStr, Statement, TypeInfo, ValueRef};

use crate::id::hex;
use crate::store::rows::Rows;
use crate::store::{Store, StoreError};

/// First words of statements that only read.
const READING: [&str; 4] = ["select", "with", "values", "explain"];

/// What a question in SQL gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Names of its columns.
    pub columns: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<Value>>,
    /// Whether there are more rows than were wanted.
    pub is_cut: bool,
}

impl Store {
    /// Answers one statement with `most` rows at most. Nothing can be changed by it, whatever it says.
    ///
    /// # Errors
    /// When it is no single statement that reads, or SQLite cannot do it.
    pub async fn sql(&mut self, text: &str, most: Option<usize>) -> Result<Table, StoreError> {
        let statement = single(text).map_err(|what| StoreError::NoQuestion { what })?;
        let failed = |source| match source {
            sqlx::Error::Database(error) => {
                StoreError::NoQuestion { what: error.message().to_owned() }
            }
            other => StoreError::Sqlite(other),
        };
        self.connection.execute("pragma query_only = on").await?;
        let sql = AssertSqlSafe(statement.to_owned()).into_sql_str();
        let prepared = (&mut self.connection).prepare(sql.clone()).await.map_err(failed)?;
        let columns = prepared.columns().iter().map(|column| column.name().to_owned()).collect();
        let mut table = Table { columns, ..Table::default() };
        let rows = sqlx::query(sql).fetch(&mut self.connection);
        let mut rows = Rows::new(rows);
        while let Some(row) = rows.next().await.map_err(failed)? {
            if most.is_some_and(|most| table.rows.len() == most) {
                table.is_cut = true;
                break;
            }
            table.rows.push(values(&row)?);
        }
        Ok(table)
    }
}

/// All columns of a row by the types that they have in it; bytes in hex.
pub(super) fn values(row: &SqliteRow) -> sqlx::Result<Vec<Value>> {
    let one = |at: usize| -> sqlx::Result<Value> {
        let raw = row.try_get_raw(at)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        let kind = raw.type_info().name().to_owned();
        Ok(match kind.as_str() {
            "INTEGER" => Value::from(row.try_get_unchecked::<i64, _>(at)?),
            "REAL" => Value::from(row.try_get_unchecked::<f64, _>(at)?),
            "BLOB" => Value::from(hex(row.try_get_unchecked(at)?)),
            _ => Value::from(row.try_get_unchecked::<String, _>(at)?),
        })
    };
    (0..row.len()).map(one).collect()
}

/// The one statement of a text, without what stands behind it; or what is wrong.
fn single(text: &str) -> Result<&str, String> {
    let code = blanked(text)?;
    let body = code.trim_end().trim_end_matches(';').trim_end();
    if body.contains(';') {
        return Err("this is more than one statement".to_owned());
    }
    let first = body.split(|c: char| !c.is_ascii_alphabetic()).find(|word| !word.is_empty());
    match first.map(str::to_lowercase) {
        None => Err("there is no statement".to_owned()),
        Some(word) if READING.contains(&word.as_str()) => Ok(&text[..body.len()]),
        Some(word) => {
            Err(format!("`{word}` does not read; a question begins with {}", READING.join(", ")))
        }
    }
}

/// The same text, as long in bytes, with blanks for comments and `x` for what is quoted.
fn blanked(text: &str) -> Result<String, String> {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(sign) = rest.chars().next() {
        let (length, filling) = match sign {
            '\'' | '"' | '`' => (quoted(rest, sign).ok_or("a quote is not closed")?, "x"),
            '[' => (rest.find(']').ok_or("a bracket is not closed")? + 1, "x"),
            '-' if rest.starts_with("--") => (rest.find('\n').unwrap_or(rest.len()), " "),
            '/' if rest.starts_with("/*") => {
                (rest[2..].find("*/").map_or(rest.len(), |end| end + 4), " ")
            }
            other => {
                code.push(other);
                rest = &rest[other.len_utf8()..];
                continue;
            }
        };
        code.push_str(&filling.repeat(length));
        rest = &rest[length..];
    }
    Ok(code)
}

/// Bytes up to the closing quote, a doubled one being part of the text.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut at = 1;
    loop {
        at += rest[at..].find(quote)? + 1;
        if !rest[at..].starts_with(quote) {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_statement_that_reads_is_let_in() {
        for (text, statement) in [
            ("select 1", "select 1"),
            ("  select ';' as \";\" ; -- bye; bye\n", "  select ';' as \";\""),
            (
                "/* a; b */ WITH x as (select 1) select * from x;;",
                "/* a; b */ WITH x as (select 1) select * from x",
            ),
            ("values (1)", "values (1)"),
            ("select 'it''s; fine', `;`, [a;b]", "select 'it''s; fine', `;`, [a;b]"),
        ] {
            assert_eq!(single(text), Ok(statement), "{text}");
        }
        for (text, what) in [
            ("", "no statement"),
            ("-- select 1", "no statement"),
            ("select 1; select 2", "more than one"),
            ("select 1; attach 'x' as y", "more than one"),
            ("delete from trial", "`delete` does not read"),
            ("vacuum into 'copy.db'", "`vacuum` does not read"),
            ("pragma query_only = off", "`pragma` does not read"),
            ("select 'open", "quote"),
        ] {
            let told = single(text).expect_err(text);
            assert!(told.contains(what), "{text}: {told}");
        }
    }
}
