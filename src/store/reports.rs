//! What the scheduler said when it was asked, kept with its time. Volatile: `rebuild` forgets it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row};

use super::acts::stamp;
use super::attempts::candidates;
use super::collect::CHUNK;
use super::{Sight, Store, StoreError, evidence};
use crate::id::Token;
use crate::layout::Root;
use crate::scheduler::{JobRef, Reports, TaskEnd, TaskReport, TaskState};

impl Store {
    /// Returns the jobs of a sweep that may still have tasks: whom to ask the scheduler about.
    ///
    /// # Errors
    /// When there is no such sweep or the database fails.
    pub async fn open_jobs(
        &mut self,
        root: &Root,
        sweep: &str,
    ) -> Result<BTreeMap<String, Vec<JobRef>>, StoreError> {
        let sweep_id = self.sweep(sweep).await?;
        // A task whose end was told may have been started again by the scheduler.
        let rows: Vec<(String, String, String, u32)> = sqlx::query_as(
            "select s.scheduler, s.job, s.token,
                 (select count(*) from submission_task a where a.submission_id = s.submission_id)
             from submission s
             where s.sweep_id = ? and s.job is not null and s.refused is null
                 and s.elsewhere = 0
                 and exists (select 1 from submission_task t join trial using (trial_id)
                     where t.submission_id = s.submission_id
                         and trial.state not in ('finished', 'diverged')
                         and (t.ended is null and t.lost is null
                              -- On which node something failed is worth one question.
                              and (trial.state <> 'failed' or t.report is not 'absent')
                              or trial.state in ('submitted', 'running', 'waiting')))
             order by s.seq",
        )
        .bind(sweep_id)
        .fetch_all(&mut self.connection)
        .await?;
        let folder = root.sweep(sweep);
        let mut jobs: BTreeMap<String, Vec<JobRef>> = BTreeMap::new();
        for (scheduler, id, token, tasks) in rows {
            let Ok(token) = token.parse() else { continue };
            let job = JobRef { id, token, folder: folder.path().to_owned(), tasks };
            jobs.entry(scheduler).or_default().push(job);
        }
        Ok(jobs)
    }

    /// Keeps what the scheduler answered about the jobs it was asked for, and decides anew how
    /// their trials stand. Tasks that two answers leave out are kept as absent. Call it only with
    /// an answer: an error of the scheduler says nothing.
    ///
    /// # Errors
    /// When there is no such sweep or the database fails.
    pub async fn record_reports(
        &mut self,
        sweep: &str,
        asked: &[JobRef],
        reports: &Reports,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sweep_id = self.sweep(sweep).await?;
        let said: BTreeMap<(Token, u32), &TaskReport> =
            reports.iter().map(|(task, report)| ((task.job.token, task.index), report)).collect();
        let mut transaction = self.connection.begin_with("begin immediate").await?;
        for job in asked {
            let tasks: Vec<(i64, u32)> = sqlx::query_as(
                "select t.submission_id, t.task
                 from submission_task t join submission s using (submission_id)
                 where s.sweep_id = ? and s.token = ?",
            )
            .bind(sweep_id)
            .bind(job.token.to_string())
            .fetch_all(&mut *transaction)
            .await?;
            for (submission_id, task) in tasks {
                let report = said.get(&(job.token, task)).copied();
                keep(&mut transaction, submission_id, task, report, now).await?;
            }
        }
        let trials = candidates(&mut transaction, sweep_id).await?;
        for some in trials.chunks(CHUNK) {
            evidence::refresh_states(&mut transaction, some, now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

impl Store {
    /// Keeps what the scheduler said under the numbers of our jobs that is not about them.
    ///
    /// # Errors
    /// When there is no such sweep or the database fails.
    pub async fn record_foreign(
        &mut self,
        sweep: &str,
        foreign: &[(JobRef, String)],
    ) -> Result<(), StoreError> {
        let sweep_id = self.sweep(sweep).await?;
        for (job, words) in foreign {
            sqlx::query(
                "update submission_task set report_foreign = ? where submission_id in
                     (select submission_id from submission where sweep_id = ? and token = ?)",
            )
            .bind(words)
            .bind(sweep_id)
            .bind(job.token.to_string())
            .execute(&mut self.connection)
            .await?;
        }
        Ok(())
    }

    /// Returns the node on which the scheduler last saw a task.
    ///
    /// # Errors
    /// When there is no such sweep or the database fails.
    pub async fn last_node(
        &mut self,
        sweep: &str,
        token: Token,
        task: u32,
    ) -> Result<Option<String>, StoreError> {
        let sweep_id = self.sweep(sweep).await?;
        let node: Option<Option<String>> = sqlx::query_scalar(
            "select report_node from submission_task join submission using (submission_id)
             where sweep_id = ? and token = ? and task = ?",
        )
        .bind(sweep_id)
        .bind(token.to_string())
        .bind(task)
        .fetch_optional(&mut self.connection)
        .await?;
        Ok(node.flatten())
    }
}

async fn keep(
    db: &mut sqlx::SqliteConnection,
    submission_id: i64,
    task: u32,
    report: Option<&TaskReport>,
    now: Timestamp,
) -> sqlx::Result<()> {
    let (kind, end) = match report.map(|report| &report.state) {
        None => ("absent", None),
        Some(TaskState::Pending(reason)) => ("pending", Some(reason.as_str())),
        Some(TaskState::Running) => ("running", None),
        Some(TaskState::Ended(end)) => ("ended", Some(end_word(*end))),
        Some(TaskState::Unknown(word)) => ("unknown", Some(word.as_str())),
    };
    // A scheduler forgets; what it said of the end stays. One answer without a task may be old or cut
    // short, and a task that waits or runs would be submitted again: the second one counts.
    sqlx::query(
        "update submission_task set
             report = iif((?1 = 'absent' or ?10) and report is not 'absent' and report is not 'ended'
                 and (report is not 'doubted' or reported_at is ?6), 'doubted', ?1),
             report_end = ?2, report_word = ?3,
             report_restarts = ?4, report_node = coalesce(?5, report_node), report_exit = ?9,
             reported_at = ?6
         where submission_id = ?7 and task = ?8 and not (?1 = 'absent' and report is 'ended')",
    )
    .bind(kind)
    .bind(end)
    .bind(report.map(|report| report.word.as_str()))
    .bind(report.map(|report| report.restarts))
    .bind(report.and_then(|report| report.node.as_deref()))
    .bind(stamp(now))
    .bind(submission_id)
    .bind(task)
    .bind(report.and_then(|report| report.exit).map(String::from))
    .bind(report.is_some_and(|report| report.inferred))
    .execute(db)
    .await?;
    Ok(())
}

/// Reads back what [`keep`] wrote.
pub(super) fn read(row: &SqliteRow) -> sqlx::Result<Option<Sight>> {
    let kind: Option<String> = row.try_get("report")?;
    let detail: Option<String> = row.try_get("report_end")?;
    let detail = detail.unwrap_or_default();
    let state = match kind.as_deref() {
        None | Some("doubted") => return Ok(None),
        Some("absent") => return Ok(Some(Sight::Absent)),
        Some("pending") => TaskState::Pending(detail),
        Some("running") => TaskState::Running,
        Some("ended") => match ENDS.iter().find(|(_, word)| *word == detail) {
            Some((end, _)) => TaskState::Ended(*end),
            None => TaskState::Unknown(detail),
        },
        Some(_) => TaskState::Unknown(detail),
    };
    Ok(Some(Sight::Seen(TaskReport {
        state,
        word: row.try_get::<Option<String>, _>("report_word")?.unwrap_or_default(),
        restarts: row.try_get::<Option<u32>, _>("report_restarts")?.unwrap_or(0),
        node: row.try_get("report_node")?,
        exit: row.try_get::<Option<String>, _>("report_exit")?.and_then(|text| text.parse().ok()),
        inferred: false,
    })))
}

const ENDS: [(TaskEnd, &str); 7] = [
    (TaskEnd::Completed, "completed"),
    (TaskEnd::Failed, "failed"),
    (TaskEnd::TimedOut, "timed_out"),
    (TaskEnd::OutOfMemory, "out_of_memory"),
    (TaskEnd::NodeFailed, "node_failed"),
    (TaskEnd::Preempted, "preempted"),
    (TaskEnd::Cancelled, "cancelled"),
];

fn end_word(end: TaskEnd) -> &'static str {
    ENDS.iter().find(|(other, _)| *other == end).map_or("", |(_, word)| word)
}
