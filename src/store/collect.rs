//! Collecting: what is new in the journals of a sweep, read into the database.
//!
//! One process at a time collects, in one transaction a sweep. It reads the controller's journal
//! and the journals of attempts that may still grow, from where it stopped; it never walks
//! everything.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::acts::stamp;
use super::{Mode, Store, StoreError, acts, attempts, evidence, plan_file};
use crate::layout::{LockError, Root, list, lock};
use crate::setting;

/// How long a command waits for another one that collects.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long `rebuild` waits.
const LONG_PATIENCE: Duration = Duration::from_secs(30);

/// What collecting a sweep brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// The sweep.
    pub sweep: String,
    /// New records.
    pub records: u64,
    /// Damaged lines in its journals, old ones too. They were skipped.
    pub bad_lines: u64,
    /// When the database last heard from the journals; `None`: never.
    pub as_of: Option<Timestamp>,
    /// Whether nothing was read, because another process collects or nothing may be written.
    pub from_cache: bool,
}

impl Store {
    /// Reads what is new of one sweep. Where another process collects, or nothing may be written,
    /// the answer says of when the database is.
    ///
    /// # Errors
    /// When there is no such sweep, a file cannot be read, or the database fails; the database is
    /// then as before.
    pub async fn collect(
        &mut self,
        root: &Root,
        sweep: &str,
        now: Timestamp,
    ) -> Result<Collected, StoreError> {
        let folder = root.sweep(sweep);
        if !folder.controller_journal().is_file() && !folder.plan().is_file() {
            // The database may remember a sweep whose folder was removed.
            return match self.sweep(sweep).await {
                Ok(_) => self.remembered(sweep).await,
                Err(StoreError::NoSweep { name, nearest: None }) => {
                    let names = sweeps(root)?;
                    let near = setting::nearest(&name, names.iter().map(String::as_str));
                    Err(StoreError::NoSweep { nearest: near.map(str::to_owned), name })
                }
                Err(error) => Err(error),
            };
        }
        if self.mode() == Mode::ReadOnly {
            return self.remembered(sweep).await;
        }
        let _lock = match lock(&root.collect_lock(), PATIENCE) {
            Err(LockError::Held { .. }) => return self.remembered(sweep).await,
            other => other?,
        };
        let records = self.collect_locked(root, sweep, now, Start::WhereItStopped).await?;
        let remembered = self.remembered(sweep).await?;
        Ok(Collected { records, from_cache: false, ..remembered })
    }

    /// Collects every sweep under the root.
    ///
    /// # Errors
    /// As for one; the sweeps before the one that failed are collected.
    pub async fn collect_all(
        &mut self,
        root: &Root,
        now: Timestamp,
    ) -> Result<Vec<Collected>, StoreError> {
        let mut all = Vec::new();
        for sweep in sweeps(root)? {
            all.push(self.collect(root, &sweep, now).await?);
        }
        Ok(all)
    }

    /// Forgets everything and reads all journals again, a sweep at a time. Only what the scheduler
    /// said in polls is lost.
    ///
    /// # Errors
    /// When another process keeps collecting, a file cannot be read, or the database fails.
    pub async fn rebuild(
        &mut self,
        root: &Root,
        now: Timestamp,
    ) -> Result<Vec<Collected>, StoreError> {
        let _lock = lock(&root.collect_lock(), LONG_PATIENCE)?;
        let sweeps = sweeps(root)?;
        let kept = serde_json::Value::from(sweeps.clone()).to_string();
        sqlx::query("delete from sweep where name not in (select value from json_each(?))")
            .bind(kept)
            .execute(&mut self.connection)
            .await?;
        let mut all = Vec::new();
        for sweep in sweeps {
            let records = self.collect_locked(root, &sweep, now, Start::Over).await?;
            let remembered = self.remembered(&sweep).await?;
            all.push(Collected { records, from_cache: false, ..remembered });
        }
        Ok(all)
    }

    async fn collect_locked(
        &mut self,
        root: &Root,
        sweep: &str,
        now: Timestamp,
        start: Start,
    ) -> Result<u64, StoreError> {
        let mut transaction = self.connection.begin_with("begin immediate").await?;
        if start == Start::Over {
            sqlx::query("delete from sweep where name = ?")
                .bind(sweep)
                .execute(&mut *transaction)
                .await?;
        }
        let records = ingest(&mut transaction, root, sweep, now).await?;
        transaction.commit().await?;
        Ok(records)
    }

    async fn remembered(&mut self, sweep: &str) -> Result<Collected, StoreError> {
        let row: Option<(i64, Option<String>)> = sqlx::query_as(
            "select journal_bad + (select coalesce(sum(attempt.journal_bad), 0)
                 from attempt join trial using (trial_id) where trial.sweep_id = sweep.sweep_id),
                 collected_at
             from sweep where name = ?",
        )
        .bind(sweep)
        .fetch_optional(&mut self.connection)
        .await?;
        let (bad, at) = row.unwrap_or((0, None));
        Ok(Collected {
            sweep: sweep.to_owned(),
            records: 0,
            bad_lines: super::uint(bad),
            as_of: at.and_then(|at| at.parse().ok()),
            from_cache: true,
        })
    }
}

/// Where reading begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    WhereItStopped,
    Over,
}

async fn ingest(
    db: &mut SqliteConnection,
    root: &Root,
    sweep: &str,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let folder = root.sweep(sweep);
    let sweep_id = plan_file::sweep_row(db, sweep).await?;
    plan_file::ingest(db, sweep_id, &folder).await?;
    let mut records = acts::ingest(db, sweep_id, &folder).await?;
    let candidates = attempts::candidates(db, sweep_id).await?;
    if !candidates.is_empty() {
        let there: BTreeSet<String> =
            list(folder.path()).map_err(read(folder.path().to_owned()))?.into_iter().collect();
        for candidate in candidates.iter().filter(|c| there.contains(&c.identity)) {
            records += attempts::ingest(db, &folder, candidate).await?;
        }
        evidence::refresh_states(db, &candidates, now).await?;
    }
    sqlx::query("update sweep set collected_at = ? where sweep_id = ?")
        .bind(stamp(now))
        .bind(sweep_id)
        .execute(db)
        .await?;
    Ok(records)
}

fn sweeps(root: &Root) -> Result<Vec<String>, StoreError> {
    root.sweeps().map_err(read(root.path().to_owned()))
}

fn read(path: PathBuf) -> impl FnOnce(std::io::Error) -> StoreError {
    move |source| StoreError::Read { path, source }
}
