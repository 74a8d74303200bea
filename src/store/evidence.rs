//! From rows to [`Evidence`], and the states that follow from it back into the database.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::attempts::{Candidate, candidates, listed};
use super::rows::Rows;
use super::{
    AttemptFact, CancelFact, EndFact, Evidence, Fate, RefusalFact, Sighting, Store, StoreError,
    SubmissionFact, TaskEndFact, Verdict, derive, from_word, reports,
};
use crate::event::Outcome;
use crate::id::TrialId;

impl Store {
    /// Returns what is known of every trial of a sweep that may still change.
    ///
    /// # Errors
    /// When there is no such sweep or the database fails.
    pub async fn evidence(
        &mut self,
        sweep: &str,
        now: Timestamp,
    ) -> Result<BTreeMap<TrialId, Evidence>, StoreError> {
        let sweep_id = self.sweep(sweep).await?;
        let candidates = candidates(&mut self.connection, sweep_id).await?;
        let mut found = load(&mut self.connection, &candidates, now).await?;
        Ok(candidates
            .into_iter()
            .filter_map(|c| Some((c.identity.parse().ok()?, found.remove(&c.trial_id)?)))
            .collect())
    }

    /// Returns what is known of one trial.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn evidence_of(
        &mut self,
        key: &super::TrialKey,
        now: Timestamp,
    ) -> Result<Option<Evidence>, StoreError> {
        let candidate = Candidate {
            trial_id: key.row,
            sweep_id: key.sweep_row,
            identity: key.trial.to_string(),
            settled_by: None,
        };
        Ok(load(&mut self.connection, &[candidate], now).await?.remove(&key.row))
    }
}

impl Store {
    /// Returns the seconds by which the clocks of a trial's attempts are ahead of the controller's
    /// (behind: negative), where that was seen.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn clocks(
        &mut self,
        key: &super::TrialKey,
    ) -> Result<BTreeMap<u32, f64>, StoreError> {
        let rows: Vec<(u32, f64)> = sqlx::query_as(
            "select number, skew from attempt where trial_id = ? and skew is not null",
        )
        .bind(key.row)
        .fetch_all(&mut self.connection)
        .await?;
        Ok(rows.into_iter().collect())
    }
}

/// Decides anew how these trials stand.
pub(super) async fn refresh_states(
    db: &mut SqliteConnection,
    trials: &[Candidate],
    now: Timestamp,
) -> Result<(), StoreError> {
    // One statement for all of them: a sweep may have ten thousand trials under way.
    let judged = load(db, trials, now).await?.into_iter().map(|(trial_id, evidence)| {
        let Verdict { state, why, .. } = derive(&evidence);
        serde_json::json!([trial_id, state.word(), why])
    });
    sqlx::query(
        "update trial set state = judged.state, why = judged.why
         from (select value ->> 0 as trial_id, value ->> 1 as state, value ->> 2 as why
               from json_each(?)) as judged
         where trial.trial_id = judged.trial_id
             and (trial.state, trial.why) is not (judged.state, judged.why)",
    )
    .bind(serde_json::Value::from_iter(judged).to_string())
    .execute(db)
    .await?;
    Ok(())
}

/// A trial while its evidence is gathered.
struct Gathered {
    evidence: Evidence,
    submission_seq: i64,
    cancel_seq: Option<i64>,
}

async fn load(
    db: &mut SqliteConnection,
    trials: &[Candidate],
    now: Timestamp,
) -> Result<BTreeMap<i64, Evidence>, StoreError> {
    let ids: Vec<i64> = trials.iter().map(|trial| trial.trial_id).collect();
    let ids = serde_json::Value::from(ids).to_string();
    let mut found = cancels(db, &ids, now).await?;
    submissions(db, &ids, &mut found).await?;
    attempts(db, &ids, &mut found).await?;
    let judged = found.into_iter().map(|(trial_id, mut gathered)| {
        // A submission after a cancel means that the trial is wanted again.
        if gathered.cancel_seq.is_none_or(|seq| seq < gathered.submission_seq) {
            gathered.evidence.cancelled = None;
        }
        (trial_id, gathered.evidence)
    });
    Ok(judged.collect())
}

async fn cancels(
    db: &mut SqliteConnection,
    ids: &str,
    now: Timestamp,
) -> Result<BTreeMap<i64, Gathered>, StoreError> {
    type Columns = (i64, Option<i64>, Option<String>, Option<String>);
    let rows = sqlx::query_scalar(
        "select json_group_array(json_array(trial_id, cancel_seq, cancelled_at, cancelled_by))
         from trial where trial_id in (select value from json_each(?))",
    )
    .bind(ids)
    .fetch_one(db)
    .await?;
    let rows: Vec<Columns> = listed(rows)?;
    let gathered = |(trial_id, cancel_seq, at, by): Columns| {
        let cancelled = moment(at).map(|at| CancelFact { by: by.unwrap_or_default(), at });
        let evidence = Evidence { submission: None, refused: None, cancelled, attempt: None, now };
        (trial_id, Gathered { evidence, submission_seq: 0, cancel_seq })
    };
    Ok(rows.into_iter().map(gathered).collect())
}

async fn submissions(
    db: &mut SqliteConnection,
    ids: &str,
    found: &mut BTreeMap<i64, Gathered>,
) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "select t.trial_id, s.seq, s.token, s.scheduler, s.intended_at, s.job, s.refused,
                s.refused_kind, t.task, t.ended, t.ended_at, t.ended_node, t.ended_exit, t.lost,
                t.lost_at, t.report, t.report_end, t.report_word, t.report_restarts,
                t.report_node, t.report_exit, t.report_foreign, t.reported_at
         from submission_task t join submission s using (submission_id)
         where t.trial_id in (select value from json_each(?))
         order by s.seq",
    )
    .bind(ids)
    .fetch(db);
    for row in Rows::new(rows).all().await? {
        let Some(gathered) = found.get_mut(&row.try_get("trial_id")?) else { continue };
        let refused: Option<String> = row.try_get("refused")?;
        if let Some(words) = refused {
            let kind: Option<String> = row.try_get("refused_kind")?;
            let is = |word| kind.as_deref() == Some(word);
            let refusal = RefusalFact { words, limit: is("limit"), absent: is("absent") };
            gathered.evidence.refused = Some(refusal);
            continue;
        }
        gathered.submission_seq = row.try_get("seq")?;
        gathered.evidence.refused = None;
        gathered.evidence.submission = submission(&row)?;
    }
    Ok(())
}

fn submission(row: &SqliteRow) -> Result<Option<SubmissionFact>, StoreError> {
    let job: Option<String> = row.try_get("job")?;
    let said = |what: &str, at: &str| -> sqlx::Result<Option<(String, Timestamp)>> {
        let words: Option<String> = row.try_get(what)?;
        Ok(words.zip(moment(row.try_get(at)?)))
    };
    let seen = match moment(row.try_get("reported_at")?) {
        Some(at) => reports::read(row)?.map(|sight| Sighting { sight, at }),
        None => None,
    };
    let token: String = row.try_get("token")?;
    let intended: Option<String> = row.try_get("intended_at")?;
    let (Ok(token), Some(intended_at)) = (token.parse(), moment(intended)) else { return Ok(None) };
    Ok(Some(SubmissionFact {
        token,
        scheduler: row.try_get("scheduler")?,
        intended_at,
        fate: job.map_or(Fate::Unheard, |job| Fate::Accepted { job }),
        task: row.try_get("task")?,
        ended: ended(row)?,
        lost: said("lost", "lost_at")?,
        seen,
        foreign: row.try_get("report_foreign")?,
    }))
}

fn ended(row: &SqliteRow) -> Result<Option<TaskEndFact>, StoreError> {
    let word: Option<String> = row.try_get("ended")?;
    let Some((word, at)) = word.zip(moment(row.try_get("ended_at")?)) else { return Ok(None) };
    let exit: Option<String> = row.try_get("ended_exit")?;
    let exit = exit.and_then(|text| text.parse().ok());
    Ok(Some(TaskEndFact { word, node: row.try_get("ended_node")?, exit, at }))
}

async fn attempts(
    db: &mut SqliteConnection,
    ids: &str,
    found: &mut BTreeMap<i64, Gathered>,
) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "select trial_id, number, token, host, started_at, seen_at, heard_at, skew, stop_reason,
                ended_at, outcome, reason, error
         from attempt where trial_id in (select value from json_each(?))
         order by number",
    )
    .bind(ids)
    .fetch(db);
    for row in Rows::new(rows).all().await? {
        let Some(gathered) = found.get_mut(&row.try_get("trial_id")?) else { continue };
        let newer = attempt(&row)?;
        let left = |a: &AttemptFact| {
            a.end.as_ref().is_some_and(|end| end.outcome == Some(Outcome::Superseded))
        };
        // One that left for another one counts only where there is no other.
        if gathered.evidence.attempt.as_ref().is_none_or(left) || !left(&newer) {
            gathered.evidence.attempt = Some(newer);
        }
    }
    Ok(())
}

fn attempt(row: &SqliteRow) -> Result<AttemptFact, StoreError> {
    let value = |name: &str| row.try_get::<Option<String>, _>(name);
    let stop = value("stop_reason")?.and_then(|word| from_word(&word));
    let end = match moment(value("ended_at")?) {
        Some(at) => Some(EndFact {
            outcome: value("outcome")?.and_then(|word| from_word(&word)),
            reason: value("reason")?.and_then(|word| from_word(&word)),
            error: value("error")?,
            at,
        }),
        None => None,
    };
    Ok(AttemptFact {
        number: row.try_get("number")?,
        token: value("token")?.and_then(|token| token.parse().ok()),
        host: value("host")?,
        started_at: moment(value("started_at")?),
        seen_at: moment(value("seen_at")?),
        heard_at: moment(value("heard_at")?),
        skew: row.try_get("skew")?,
        stop,
        end,
    })
}

/// A moment as the database keeps it.
pub(super) fn moment(text: Option<String>) -> Option<Timestamp> {
    text?.parse().ok()
}
