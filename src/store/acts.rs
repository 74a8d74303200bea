//! The controller's journal, read into the database.

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::news::News;
use super::{StoreError, int, plan_file, uint, word};
use crate::event::{Act, Decision};
use crate::id::{Token, TrialId};
use crate::journal::{Mark, Opened, Record, Whose};
use crate::layout::SweepFolder;

/// Reads the new records. Returns whether the journal is the file that was read before; where it is
/// not, nothing was read.
pub(super) async fn ingest(
    db: &mut SqliteConnection,
    sweep_id: i64,
    folder: &SweepFolder,
    news: &mut News,
) -> Result<bool, StoreError> {
    let mark = mark(db, sweep_id).await?;
    let path = folder.controller_journal();
    let sweep = folder.path().file_name().unwrap_or_default().to_string_lossy();
    let begin = mark.clone();
    let mut reader = match news.open::<Act>(&path, mark) {
        Some(Opened::Here(reader)) => reader,
        Some(Opened::Changed) => return Ok(false),
        None => {
            news.is_behind = true;
            return Ok(true);
        }
    };
    let problems = news.problems.len();
    let whose = |act: &Act| Whose::of(act.owner(), &sweep.as_ref());
    while let Some(Record { seq, at, body }) = news.next(&path, &mut reader, whose) {
        let hand = Hand { db, sweep_id, folder, seq, at: stamp(at) };
        hand.apply(&body).await?;
    }
    news.is_behind |= problems < news.problems.len();
    if *reader.mark() != begin {
        finish(db, sweep_id, reader.mark(), reader.bad()).await?;
    }
    Ok(true)
}

async fn mark(db: &mut SqliteConnection, sweep_id: i64) -> sqlx::Result<Mark> {
    let (offset, seq, foreign, head): (i64, i64, Option<i64>, Option<String>) = sqlx::query_as(
        "select journal_offset, journal_seq, journal_foreign, journal_head
         from sweep where sweep_id = ?",
    )
    .bind(sweep_id)
    .fetch_one(db)
    .await?;
    Ok(Mark { offset: uint(offset), seq: uint(seq), foreign: foreign.map(uint), head })
}

async fn finish(
    db: &mut SqliteConnection,
    sweep_id: i64,
    mark: &Mark,
    bad: u64,
) -> sqlx::Result<()> {
    sqlx::query(
        "update sweep set journal_offset = ?, journal_seq = ?, journal_foreign = ?,
         journal_head = ?, journal_bad = journal_bad + ? where sweep_id = ?",
    )
    .bind(int(mark.offset))
    .bind(int(mark.seq))
    .bind(mark.foreign.map(int))
    .bind(&mark.head)
    .bind(int(bad))
    .bind(sweep_id)
    .execute(db)
    .await?;
    Ok(())
}

/// Writes one record.
struct Hand<'a> {
    db: &'a mut SqliteConnection,
    sweep_id: i64,
    folder: &'a SweepFolder,
    seq: u64,
    at: String,
}

impl Hand<'_> {
    async fn apply(self, act: &Act) -> Result<(), StoreError> {
        match act {
            // The plan is read from its file, whenever that has changed.
            // Why something was submitted again is told from the journal itself.
            Act::Header { .. } | Act::Planned { .. } | Act::Decided { .. } | Act::Unknown => Ok(()),
            Act::Intent { token, scheduler, decision, trials } => {
                self.intent(*token, scheduler, *decision, trials).await
            }
            Act::Accepted { token, job } => {
                let sql = "update submission set job = ?, accepted_at = ?
                           where sweep_id = ? and token = ?";
                self.settle(sql, *token, job).await
            }
            Act::Refused { token, error, limit, absent } => {
                let sql = match (limit, absent) {
                    (true, _) => {
                        "update submission set refused_kind = 'limit', refused = ?, refused_at = ?
                         where sweep_id = ? and token = ?"
                    }
                    (_, true) => {
                        "update submission set refused_kind = 'absent', refused = ?, refused_at = ?
                         where sweep_id = ? and token = ?"
                    }
                    _ => {
                        "update submission set refused = ?, refused_at = ?
                         where sweep_id = ? and token = ?"
                    }
                };
                self.settle(sql, *token, error).await
            }
            Act::Workspace { .. } => self.workspace(act).await,
            Act::Cancelled { trials, by } => self.cancelled(trials, by).await,
            Act::Lost { trial, token, evidence, node } => {
                let sql = "update submission_task set lost = ?, lost_at = ?, lost_node = ?";
                self.task(sql, (trial, *token), evidence, &[node.as_ref()]).await
            }
            Act::Imported { from, .. } => self.imported(&from.to_string_lossy()).await,
            Act::TaskEnded { trial, token, state, node, exit, judged } => {
                let sql = "update submission_task
                           set ended = ?, ended_at = ?, ended_node = ?, ended_exit = ?,
                               ended_judged = ?";
                let exit = exit.map(String::from);
                let more = [node.as_ref(), exit.as_ref(), judged.as_ref()];
                self.task(sql, (trial, *token), state, &more).await
            }
        }
    }

    async fn intent(
        self,
        token: Token,
        scheduler: &str,
        decision: Decision,
        trials: &[TrialId],
    ) -> Result<(), StoreError> {
        let Self { db, sweep_id, folder, seq, at } = self;
        let made = sqlx::query(
            "insert into submission (sweep_id, seq, token, scheduler, decision, intended_at)
             values (?, ?, ?, ?, ?, ?) on conflict do nothing",
        )
        .bind(sweep_id)
        .bind(int(seq))
        .bind(token.to_string())
        .bind(scheduler)
        .bind(word(decision))
        .bind(at)
        .execute(&mut *db)
        .await?;
        let (submission, known): (i64, i64) = sqlx::query_as(
            "select submission_id, (select count(*) from submission_task t
                                    where t.submission_id = submission.submission_id)
             from submission where sweep_id = ? and token = ?",
        )
        .bind(sweep_id)
        .bind(token.to_string())
        .fetch_one(&mut *db)
        .await?;
        // Of one that was read before, trials may have been forgotten, and be planned again.
        if made.rows_affected() == 0 && usize::try_from(known) == Ok(trials.len()) {
            return Ok(());
        }
        for (task, id) in (0_i64..).zip(trials) {
            let trial_id = plan_file::trial_of_submission(db, sweep_id, folder, token, id).await?;
            let added = sqlx::query(
                "insert into submission_task (submission_id, task, trial_id) values (?, ?, ?)
                 on conflict do nothing",
            )
            .bind(submission)
            .bind(task)
            .bind(trial_id)
            .execute(&mut *db)
            .await?;
            if added.rows_affected() == 0 {
                continue;
            }
            // A settled trial that is submitted again may change again.
            sqlx::query("update trial set state = 'submitted' where trial_id = ?")
                .bind(trial_id)
                .execute(&mut *db)
                .await?;
        }
        Ok(())
    }

    async fn workspace(self, act: &Act) -> Result<(), StoreError> {
        let Act::Workspace { token, folder, commit, dirty, diff_sha256 } = act else {
            return Ok(());
        };
        sqlx::query(
            "update submission set workspace = ?, git_commit = ?, git_dirty = ?, diff_sha256 = ?
             where sweep_id = ? and token = ?",
        )
        .bind(folder.to_string_lossy())
        .bind(commit)
        .bind(*dirty)
        .bind(diff_sha256.as_deref())
        .bind(self.sweep_id)
        .bind(token.to_string())
        .execute(self.db)
        .await?;
        Ok(())
    }

    async fn settle(self, sql: &'static str, token: Token, said: &str) -> Result<(), StoreError> {
        sqlx::query(sql)
            .bind(said)
            .bind(self.at)
            .bind(self.sweep_id)
            .bind(token.to_string())
            .execute(self.db)
            .await?;
        Ok(())
    }

    /// Keeps what was said of a trial's task, when, and more of it.
    async fn task(
        self,
        sql: &'static str,
        (trial, token): (&TrialId, Token),
        said: &str,
        more: &[Option<&String>],
    ) -> Result<(), StoreError> {
        let which = " where submission_id in
                         (select submission_id from submission where sweep_id = ? and token = ?)
                     and trial_id in (select trial_id from trial where identity = ?)";
        let query = sqlx::query(AssertSqlSafe(format!("{sql}{which}"))).bind(said).bind(self.at);
        let query = more.iter().fold(query, |query, value| query.bind(*value));
        query
            .bind(self.sweep_id)
            .bind(token.to_string())
            .bind(trial.as_str())
            .execute(self.db)
            .await?;
        Ok(())
    }

    /// What was submitted before is over, as far as anybody here can tell.
    async fn imported(self, from: &str) -> Result<(), StoreError> {
        let sql = "update sweep set imported_from = ?, imported_at = ? where sweep_id = ?";
        sqlx::query(sql)
            .bind(from)
            .bind(&self.at)
            .bind(self.sweep_id)
            .execute(&mut *self.db)
            .await?;
        for sql in [
            "update submission set refused = 'no answer was heard before the sweep was moved',
                 refused_at = ?1
             where sweep_id = ?2 and job is null and refused is null",
            "update submission_task set lost = 'the sweep was moved here', lost_at = ?1
             where lost is null and submission_id in
                 (select submission_id from submission where sweep_id = ?2)",
            "update submission set elsewhere = 1 where ?1 is not null and sweep_id = ?2",
        ] {
            sqlx::query(sql).bind(&self.at).bind(self.sweep_id).execute(&mut *self.db).await?;
        }
        Ok(())
    }

    async fn cancelled(self, trials: &[TrialId], by: &str) -> Result<(), StoreError> {
        for trial in trials {
            sqlx::query(
                "update trial set cancel_seq = ?, cancelled_at = ?, cancelled_by = ?
                 where sweep_id = ? and identity = ?",
            )
            .bind(int(self.seq))
            .bind(&self.at)
            .bind(by)
            .bind(self.sweep_id)
            .bind(trial.as_str())
            .execute(&mut *self.db)
            .await?;
        }
        Ok(())
    }
}

/// A moment as the database keeps it: text that sorts by time.
pub(super) fn stamp(at: Timestamp) -> String {
    format!("{at:.6}")
}
