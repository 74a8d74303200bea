//! Reading what the controller staged: the plan of a sweep, and the job files of its submissions.

use std::path::Path;

use sqlx::{Connection, SqliteConnection};

use super::StoreError;
use super::news::News;
use super::plan_read::{self, PlanError, Staged};
use crate::id::{Token, TrialId};
use crate::layout::{self, Limit, SweepFolder};
use crate::metric::{Direction, Objective};
use crate::sweep::{Assignment, Trial};

/// Reads the staged plan where it is another one than the database has. Trials that are no longer
/// planned and were never touched are forgotten. One that makes no sense is told, and the plan from
/// before stays.
pub(super) async fn ingest(
    db: &mut SqliteConnection,
    sweep_id: i64,
    folder: &SweepFolder,
    news: &mut News,
) -> Result<(), StoreError> {
    let path = folder.plan();
    let known: (Option<String>, Option<String>) =
        sqlx::query_as("select plan_stat, plan_sha256 from sweep where sweep_id = ?")
            .bind(sweep_id)
            .fetch_one(&mut *db)
            .await?;
    let name = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let staged = match Staged::look(&path, known.0.as_deref()) {
        Ok(Some(staged)) => staged,
        Ok(None) => return Ok(()),
        Err(error) => {
            news.unreadable(&path, &error);
            return Ok(());
        }
    };
    if known.1.as_ref() == Some(&staged.sha256) {
        return note(db, sweep_id, staged.stat.as_deref()).await;
    }
    // A part of a plan is none: what came of it before it made no sense is undone.
    let mut whole = db.begin().await?;
    match trials(&mut whole, sweep_id, &path, name).await? {
        Ok(objective) => {
            let document = document(folder, news);
            sqlx::query(
                "update sweep set metric = ?, direction = ?, document = ?, plan_sha256 = ?
                 where sweep_id = ?",
            )
            .bind(objective.metric)
            .bind(objective.direction.as_str())
            .bind(document)
            .bind(&staged.sha256)
            .bind(sweep_id)
            .execute(&mut *whole)
            .await?;
            note(&mut whole, sweep_id, staged.stat.as_deref()).await?;
            whole.commit().await?;
        }
        Err(error) => {
            whole.rollback().await?;
            news.problems.push(format!("{} is damaged: {error}", path.display()));
        }
    }
    Ok(())
}

async fn trials(
    db: &mut SqliteConnection,
    sweep_id: i64,
    path: &Path,
    sweep: String,
) -> Result<Result<Objective, PlanError>, StoreError> {
    sqlx::query("update trial set planned = 0 where sweep_id = ?")
        .bind(sweep_id)
        .execute(&mut *db)
        .await?;
    let mut reading = plan_read::begin(path.to_owned(), sweep);
    while let Some(some) = reading.next().await {
        for trial in &some {
            upsert(db, sweep_id, trial, Planned::Yes).await?;
        }
    }
    let end = reading.end();
    if end.is_ok() {
        forget_untouched(db, sweep_id).await?;
        tell_again(db, sweep_id).await?;
    }
    Ok(end)
}

/// Has the controller's journal read from its start where it tells of refusals: trials that were forgotten after one
/// may be planned again, and it says what befell them.
async fn tell_again(db: &mut SqliteConnection, sweep_id: i64) -> Result<(), StoreError> {
    sqlx::query(
        "update sweep set journal_offset = 0, journal_seq = 0, journal_bad = 0, journal_foreign = null,
                          journal_head = null
         where sweep_id = ?1
             and exists (select 1 from submission where sweep_id = ?1 and refused is not null)",
    )
    .bind(sweep_id)
    .execute(db)
    .await?;
    Ok(())
}

async fn note(
    db: &mut SqliteConnection,
    sweep_id: i64,
    stat: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query("update sweep set plan_stat = ?1 where sweep_id = ?2 and plan_stat is not ?1")
        .bind(stat)
        .bind(sweep_id)
        .execute(db)
        .await?;
    Ok(())
}

fn document(folder: &SweepFolder, news: &mut News) -> String {
    match layout::read_if_any(&folder.document(), Limit::SWEEP) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            news.unreadable(&folder.document(), &error);
            String::new()
        }
    }
}

/// Whether a trial stands in the newest plan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Planned {
    Yes,
    No,
}

async fn upsert(
    db: &mut SqliteConnection,
    sweep_id: i64,
    trial: &Trial,
    planned: Planned,
) -> Result<(), StoreError> {
    let epochs = trial.settings.get("epochs").and_then(serde_json::Value::as_i64);
    sqlx::query(
        "insert into trial (sweep_id, identity, seed, repeat, parameters, settings, epochs, planned)
         values (?, ?, ?, ?, ?, ?, ?, ?)
         on conflict (sweep_id, identity) do update set
             seed = excluded.seed, repeat = excluded.repeat, parameters = excluded.parameters,
             settings = excluded.settings, epochs = excluded.epochs,
             planned = max(planned, excluded.planned)",
    )
    .bind(sweep_id)
    .bind(trial.id.as_str())
    // Seeds above 2^63 come back as they were; SQLite has signed numbers only.
    .bind(trial.seed.cast_signed())
    .bind(trial.repeat)
    .bind(json(&trial.parameters))
    .bind(json(&trial.settings))
    .bind(epochs)
    .bind(i64::from(planned == Planned::Yes))
    .execute(db)
    .await?;
    Ok(())
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Forgets trials that the newest plan no longer has and of which nothing came: no scheduler took them, and no
/// attempt began.
pub(super) async fn forget_untouched(
    db: &mut SqliteConnection,
    sweep_id: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "delete from trial where sweep_id = ? and planned = 0
         and not exists (select 1 from submission_task t join submission s using (submission_id)
             where t.trial_id = trial.trial_id and s.refused is null)
         and not exists (select 1 from attempt a where a.trial_id = trial.trial_id)",
    )
    .bind(sweep_id)
    .execute(db)
    .await?;
    Ok(())
}

/// Returns the row of a trial that a submission names. One that the newest plan no longer has is
/// taken from the job file.
pub(super) async fn trial_of_submission(
    db: &mut SqliteConnection,
    sweep_id: i64,
    folder: &SweepFolder,
    token: Token,
    id: &TrialId,
) -> Result<i64, StoreError> {
    if let Some(found) = trial_row(db, sweep_id, id).await? {
        return Ok(found);
    }
    for trial in job_file(&folder.job_file(token))? {
        if trial_row(db, sweep_id, &trial.id).await?.is_none() {
            upsert(db, sweep_id, &trial, Planned::No).await?;
        }
    }
    if let Some(found) = trial_row(db, sweep_id, id).await? {
        return Ok(found);
    }
    // Its files are gone; that it was submitted is still worth keeping.
    let made = sqlx::query("insert into trial (sweep_id, identity) values (?, ?)")
        .bind(sweep_id)
        .bind(id.as_str())
        .execute(db)
        .await?;
    Ok(made.last_insert_rowid())
}

/// Returns the row of a trial, if there is one.
pub(super) async fn trial_row(
    db: &mut SqliteConnection,
    sweep_id: i64,
    id: &TrialId,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar("select trial_id from trial where sweep_id = ? and identity = ?")
        .bind(sweep_id)
        .bind(id.as_str())
        .fetch_optional(db)
        .await
}

/// Returns the row of a sweep, made where there is none.
pub(super) async fn sweep_row(db: &mut SqliteConnection, name: &str) -> sqlx::Result<i64> {
    let objective = Objective::default();
    sqlx::query(
        "insert into sweep (name, metric, direction) values (?, ?, ?) on conflict do nothing",
    )
    .bind(name)
    .bind(objective.metric)
    .bind(Direction::default().as_str())
    .execute(&mut *db)
    .await?;
    sqlx::query_scalar("select sweep_id from sweep where name = ?").bind(name).fetch_one(db).await
}

/// Trials of a job file; lines that make no sense are left out.
fn job_file(path: &Path) -> Result<Vec<Trial>, StoreError> {
    let bytes = layout::read_if_any(path, Limit::JOB_FILE)
        .map_err(|source| StoreError::Read { path: path.to_owned(), source })?;
    let lines = bytes.split(|byte| *byte == b'\n');
    Ok(lines
        .filter_map(|line| serde_json::from_slice::<Assignment>(line).ok())
        .map(|assignment| assignment.trial)
        .collect())
}
