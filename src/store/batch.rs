//! What journals brought, on its way into the database: many rows a statement.
//!
//! A statement costs the way to SQLite's thread and back, twenty times what it does for one epoch. Rows wait here
//! until there are enough of them, in the order in which they came.

use std::collections::BTreeMap;

use sqlx::query_builder::Separated;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

/// Bytes of text that wait at most, so that memory does not grow with the journals.
const FULL: usize = 4 << 20;

/// Rows of a statement. Epochs have most columns, and a statement 32,766 values at most (sqlite.org, "Limits").
pub(super) const ROWS: usize = 200;

/// A value of a column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Whole(i64),
    Real(f64),
    Text(String),
}

impl Cell {
    fn bind(self, row: &mut Separated<'_, Sqlite, &'static str>) {
        match self {
            Self::Null => row.push_bind(None::<i64>),
            Self::Whole(value) => row.push_bind(value),
            Self::Real(value) => row.push_bind(value),
            Self::Text(text) => row.push_bind(text),
        };
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Whole(value)
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Self {
        Self::Whole(value.into())
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// New values of an attempt's columns; the last one of each counts.
pub(super) type Patch = BTreeMap<&'static str, Cell>;

/// A row of the table `epoch`.
#[derive(Debug)]
pub(super) struct EpochRow {
    pub(super) trial_id: i64,
    pub(super) epoch: i64,
    pub(super) attempt: u32,
    pub(super) step: i64,
    pub(super) at: String,
    pub(super) metrics: String,
    pub(super) weights_sha256: String,
    pub(super) train_seconds: f64,
    pub(super) eval_seconds: f64,
    pub(super) images_per_second: f64,
    pub(super) is_best: bool,
}

/// A row of the tables `sample` and `warning`.
#[derive(Debug)]
pub(super) struct DatedRow {
    pub(super) attempt_id: i64,
    pub(super) seq: i64,
    pub(super) at: String,
    pub(super) text: String,
}

/// Rows that wait.
#[derive(Debug, Default)]
pub(super) struct Batch {
    attempts: BTreeMap<i64, Patch>,
    epochs: Vec<EpochRow>,
    samples: Vec<DatedRow>,
    warnings: Vec<DatedRow>,
    size: usize,
}

impl Batch {
    /// Sets a column of an attempt.
    pub(super) fn set(&mut self, attempt_id: i64, column: &'static str, value: impl Into<Cell>) {
        let value = value.into();
        if let Cell::Text(text) = &value {
            self.size += text.len();
        }
        self.attempts.entry(attempt_id).or_default().insert(column, value);
    }

    /// Adds an epoch.
    pub(super) fn epoch(&mut self, row: EpochRow) {
        self.size += size_of::<EpochRow>() + row.metrics.len() + row.weights_sha256.len();
        self.epochs.push(row);
    }

    /// Adds a look at the machine.
    pub(super) fn sample(&mut self, row: DatedRow) {
        self.size += size_of::<DatedRow>() + row.text.len();
        self.samples.push(row);
    }

    /// Adds a warning.
    pub(super) fn warning(&mut self, row: DatedRow) {
        self.size += size_of::<DatedRow>() + row.text.len();
        self.warnings.push(row);
    }

    /// Says whether it should be written before more comes.
    pub(super) fn is_full(&self) -> bool {
        self.size > FULL
    }

    /// Writes all that waits.
    pub(super) async fn write(&mut self, db: &mut SqliteConnection) -> sqlx::Result<()> {
        let Self { attempts, epochs, samples, warnings, .. } = std::mem::take(self);
        write_epochs(db, epochs).await?;
        write_dated(db, "insert into sample (attempt_id, seq, at, metrics) ", samples).await?;
        write_dated(db, "insert into warning (attempt_id, seq, at, text) ", warnings).await?;
        write_attempts(db, attempts).await
    }
}

/// Two attempts may have done the same epoch: the newer one's counts.
const OF_THE_NEWEST: &str = "
    on conflict (trial_id, epoch) do update set
        attempt = excluded.attempt, step = excluded.step, at = excluded.at,
        metrics = excluded.metrics, weights_sha256 = excluded.weights_sha256,
        train_seconds = excluded.train_seconds, eval_seconds = excluded.eval_seconds,
        images_per_second = excluded.images_per_second, is_best = excluded.is_best
    where excluded.attempt > epoch.attempt
       or (excluded.attempt = epoch.attempt and excluded.step > epoch.step)";

async fn write_epochs(db: &mut SqliteConnection, rows: Vec<EpochRow>) -> sqlx::Result<()> {
    for some in blocks(rows) {
        let is_usual = some.len() == ROWS;
        let mut sql = QueryBuilder::new(
            "insert into epoch (trial_id, epoch, attempt, step, at, metrics, weights_sha256,
                 train_seconds, eval_seconds, images_per_second, is_best) ",
        );
        sql.push_values(some, |mut cells, row| {
            cells.push_bind(row.trial_id).push_bind(row.epoch).push_bind(row.attempt);
            cells.push_bind(row.step).push_bind(row.at).push_bind(row.metrics);
            cells.push_bind(row.weights_sha256).push_bind(row.train_seconds);
            cells.push_bind(row.eval_seconds).push_bind(row.images_per_second);
            cells.push_bind(row.is_best);
        });
        sql.push(OF_THE_NEWEST);
        sql.build().persistent(is_usual).execute(&mut *db).await?;
    }
    Ok(())
}

async fn write_dated(
    db: &mut SqliteConnection,
    insert: &'static str,
    rows: Vec<DatedRow>,
) -> sqlx::Result<()> {
    for some in blocks(rows) {
        let is_usual = some.len() == ROWS;
        let mut sql = QueryBuilder::new(insert);
        sql.push_values(some, |mut cells, row| {
            cells.push_bind(row.attempt_id).push_bind(row.seq);
            cells.push_bind(row.at).push_bind(row.text);
        });
        sql.push(" on conflict do nothing");
        sql.build().persistent(is_usual).execute(&mut *db).await?;
    }
    Ok(())
}

/// Attempts that got values of the same columns share a statement; most of them did the same.
async fn write_attempts(
    db: &mut SqliteConnection,
    attempts: BTreeMap<i64, Patch>,
) -> sqlx::Result<()> {
    let mut alike: BTreeMap<Vec<&'static str>, Vec<(i64, Patch)>> = BTreeMap::new();
    for (attempt_id, patch) in attempts {
        alike.entry(patch.keys().copied().collect()).or_default().push((attempt_id, patch));
    }
    for (columns, rows) in alike {
        let set: Vec<_> =
            (2..).zip(&columns).map(|(at, column)| format!("{column} = made.column{at}")).collect();
        for some in blocks(rows) {
            let is_usual = some.len() == ROWS;
            let mut sql = QueryBuilder::new("with made as (");
            sql.push_values(some, |mut cells, (attempt_id, patch)| {
                cells.push_bind(attempt_id);
                patch.into_values().for_each(|cell| cell.bind(&mut cells));
            });
            sql.push(format!(
                ") update attempt set {} from made where attempt_id = made.column1",
                set.join(", ")
            ));
            sql.build().persistent(is_usual).execute(&mut *db).await?;
        }
    }
    Ok(())
}

/// Rows in blocks of one size, the last one smaller.
pub(super) fn blocks<T>(rows: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut rows = rows.into_iter();
    std::iter::from_fn(move || {
        let some: Vec<T> = rows.by_ref().take(ROWS).collect();
        (!some.is_empty()).then_some(some)
    })
}
