//! Collecting: what is new in the journals of a sweep, read into the database.
//!
//! One process at a time collects, in one transaction a sweep. It reads the controller's journal
//! and the journals of attempts that may still grow, from where it stopped; it never walks
//! everything.

use std::collections::{BTreeSet, HashSet};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection};

use super::acts::stamp;
use super::news::News;
use super::{Mode, Store, StoreError, acts, attempts, evidence, plan_file};
use crate::layout::{LockError, Root, SweepFolder, list, lock, may_be_there};
use crate::setting;

/// How long a command waits for another one that collects.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long `rebuild` waits.
const LONG_PATIENCE: Duration = Duration::from_secs(30);

/// Trials that are judged at a time: what is known of all of a large sweep is much.
pub(super) const CHUNK: usize = 500;

/// Trials that never began whose folders are looked for one by one.
const FEW: usize = 100;

/// What collecting a sweep brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// The sweep.
    pub sweep: String,
    /// New records.
    pub records: u64,
    /// Damaged lines in its journals, old ones too. They were skipped.
    pub bad_lines: u64,
    /// Journals with damaged lines and their number, the worst first; a few.
    pub damaged: Vec<(PathBuf, u64)>,
    /// What could not be read as it should, a sentence each. All else was.
    pub problems: Vec<String>,
    /// When the database last heard from the journals; `None`: never.
    pub as_of: Option<Timestamp>,
    /// Whether nothing was read of what the controller did last: another process collects, nothing may be
    /// written, or its journal cannot be read.
    pub from_cache: bool,
    /// Whether the folder of the sweep is gone: the database alone remembers it, until it is rebuilt.
    pub is_gone: bool,
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
        let is_there = |path: PathBuf| may_be_there(&path);
        let leads_away = folder.path().is_symlink();
        if leads_away || !is_there(folder.controller_journal()) && !is_there(folder.plan()) {
            // The database may remember a sweep whose folder was removed.
            return match self.sweep(sweep).await {
                Ok(_) => {
                    let remembered = self.remembered(root, sweep).await?;
                    Ok(Collected { is_gone: true, ..remembered })
                }
                Err(StoreError::NoSweep { name, nearest: None }) => {
                    let names = sweeps(root)?;
                    let near = setting::nearest(&name, names.iter().map(String::as_str));
                    Err(StoreError::NoSweep { nearest: near.map(str::to_owned), name })
                }
                Err(error) => Err(error),
            };
        }
        if self.mode() == Mode::ReadOnly {
            return self.remembered(root, sweep).await;
        }
        // What lives in memory nobody else writes.
        let _lock = match self.is_in_memory() {
            true => None,
            false => match lock(&root.collect_lock(), PATIENCE) {
                Err(LockError::Held { .. }) => return self.remembered(root, sweep).await,
                Err(LockError::Io { source, .. })
                    if matches!(
                        source.kind(),
                        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied
                    ) =>
                {
                    return self.remembered(root, sweep).await;
                }
                other => Some(other?),
            },
        };
        let news = self.collect_locked(root, sweep, now, Start::WhereItStopped).await?;
        let remembered = self.remembered(root, sweep).await?;
        let News { records, problems, is_behind } = news;
        Ok(Collected { records, problems, from_cache: is_behind, ..remembered })
    }

    /// Collects every sweep under the root, and tells of those that are there no more.
    ///
    /// # Errors
    /// As for one; the sweeps before the one that failed are collected.
    pub async fn collect_all(
        &mut self,
        root: &Root,
        now: Timestamp,
    ) -> Result<Vec<Collected>, StoreError> {
        let mut names: BTreeSet<String> = sweeps(root)?.into_iter().collect();
        names.extend(self.sweep_names().await?);
        let mut all = Vec::new();
        for sweep in names {
            all.push(self.collect(root, &sweep, now).await?);
        }
        Ok(all)
    }

    /// Returns when journals were last read, of whichever sweep.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_collect(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<String> = sqlx::query_scalar("select max(collected_at) from sweep")
            .fetch_one(&mut self.connection)
            .await?;
        Ok(at.and_then(|at| at.parse().ok()))
    }

    /// Forgets everything and reads all journals again, a sweep at a time. Only what the scheduler
    /// said in polls is lost. A sweep whose controller's journal cannot be read stays as it was.
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
            let news = self.collect_locked(root, &sweep, now, Start::Over).await?;
            let remembered = self.remembered(root, &sweep).await?;
            let News { records, problems, is_behind } = news;
            all.push(Collected { records, problems, from_cache: is_behind, ..remembered });
        }
        Ok(all)
    }

    async fn collect_locked(
        &mut self,
        root: &Root,
        sweep: &str,
        now: Timestamp,
        start: Start,
    ) -> Result<News, StoreError> {
        let mut transaction = self.connection.begin_with("begin immediate").await?;
        if start == Start::Over {
            forget(&mut transaction, sweep).await?;
        }
        let news = ingest(&mut transaction, root, sweep, now).await?;
        // What cannot be read now is no reason to forget what was.
        match start == Start::Over && news.is_behind {
            true => transaction.rollback().await?,
            false => transaction.commit().await?,
        }
        Ok(news)
    }

    async fn remembered(&mut self, root: &Root, sweep: &str) -> Result<Collected, StoreError> {
        let row: Option<(i64, Option<String>)> = sqlx::query_as(
            "select journal_bad + (select coalesce(sum(attempt.journal_bad), 0)
                 from attempt join trial using (trial_id)
                 where trial.sweep_id = sweep.sweep_id and attempt.journal_bad > 0),
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
            damaged: if bad > 0 {
                self.damaged(&root.sweep(sweep), sweep).await?
            } else {
                Vec::new()
            },
            problems: Vec::new(),
            as_of: at.and_then(|at| at.parse().ok()),
            from_cache: true,
            is_gone: false,
        })
    }

    async fn damaged(
        &mut self,
        folder: &SweepFolder,
        sweep: &str,
    ) -> Result<Vec<(PathBuf, u64)>, StoreError> {
        let rows: Vec<(Option<String>, Option<u32>, i64)> = sqlx::query_as(
            "select null, null, journal_bad from sweep where name = ?1 and journal_bad > 0
             union all
             select identity, number, attempt.journal_bad
             from attempt join trial using (trial_id) join sweep using (sweep_id)
             where name = ?1 and attempt.journal_bad > 0
             order by 3 desc, 1, 2 limit 5",
        )
        .bind(sweep)
        .fetch_all(&mut self.connection)
        .await?;
        let place = |(identity, number, bad): (Option<String>, Option<u32>, i64)| {
            let of_trial = identity.and_then(|identity| identity.parse().ok()).zip(number);
            let path = of_trial.map_or_else(
                || folder.controller_journal(),
                |(trial, number)| folder.trial(&trial).journal(number),
            );
            (path, super::uint(bad))
        };
        Ok(rows.into_iter().map(place).collect())
    }
}

async fn forget(db: &mut SqliteConnection, sweep: &str) -> sqlx::Result<()> {
    sqlx::query("delete from sweep where name = ?").bind(sweep).execute(db).await?;
    Ok(())
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
) -> Result<News, StoreError> {
    let folder = root.sweep(sweep);
    let mut news = News::default();
    let mut sweep_id = plan_file::sweep_row(db, sweep).await?;
    plan_file::ingest(db, sweep_id, &folder, &mut news).await?;
    let before: Option<String> =
        sqlx::query_scalar("select collected_at from sweep where sweep_id = ?")
            .bind(sweep_id)
            .fetch_one(&mut *db)
            .await?;
    let looked = attempts::Looked { before: evidence::moment(before), now };
    if !acts::ingest(db, sweep_id, &folder, &mut news).await? {
        forget(db, sweep).await?;
        sweep_id = plan_file::sweep_row(db, sweep).await?;
        news.problems.truncate(1);
        plan_file::ingest(db, sweep_id, &folder, &mut news).await?;
        acts::ingest(db, sweep_id, &folder, &mut news).await?;
    }
    // What the controller did may change how any trial stands.
    let has_acted = news.records > 0;
    if has_acted {
        plan_file::forget_untouched(db, sweep_id).await?;
    }
    let mut candidates = attempts::candidates(db, sweep_id).await?;
    candidates.retain(|candidate| has_acted || !attempts::rests(&folder, candidate));
    let ids = candidates.iter().map(|candidate| candidate.trial_id);
    let mut known = attempts::known(db, ids).await?;
    // Most trials that never began have no folder: one look at all names spares many at their folders.
    let has_begun = |candidate: &&attempts::Candidate| known.contains_key(&candidate.trial_id);
    let are_few = candidates.iter().filter(|one| !has_begun(one)).count() <= FEW;
    let names = if are_few { Ok(Vec::new()) } else { list(folder.path()) };
    let there: HashSet<String> = match names {
        Ok(names) => names.into_iter().collect(),
        Err(error) => {
            news.unreadable(folder.path(), &error);
            HashSet::new()
        }
    };
    let may_be_there = |candidate: &&attempts::Candidate| {
        are_few || has_begun(candidate) || there.contains(&candidate.identity)
    };
    let begun: Vec<&attempts::Candidate> = candidates.iter().filter(may_be_there).collect();
    for some in begun.chunks(CHUNK) {
        let known = some.iter().filter_map(|one| known.remove_entry(&one.trial_id)).collect();
        attempts::ingest(db, &folder, some, known, looked, &mut news).await?;
    }
    for some in candidates.chunks(CHUNK) {
        evidence::refresh_states(db, some, now).await?;
    }
    sqlx::query("update sweep set collected_at = ? where sweep_id = ?")
        .bind(stamp(now))
        .bind(sweep_id)
        .execute(db)
        .await?;
    Ok(news)
}

fn sweeps(root: &Root) -> Result<Vec<String>, StoreError> {
    root.sweeps().map_err(read(root.path().to_owned()))
}

fn read(path: PathBuf) -> impl FnOnce(std::io::Error) -> StoreError {
    move |source| StoreError::Read { path, source }
}
