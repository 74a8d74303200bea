//! The analysis of trials: their epochs are read one trial after the other, so that many need no more
//! memory than one.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::identity;
use crate::analysis::{Analysis, Epoch, Life, Standing};
use crate::event::{StopReason, WORDS_OF_A_LEAK, WORDS_OF_A_ROLLBACK, WORDS_OF_AN_EARLY_END};
use crate::id::TrialId;
use crate::metric::{Metrics, Objective};
use crate::store::rows::Rows;
use crate::store::{Store, StoreError, TrialState, from_word, uint};

/// The epochs of a trial, and what they come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// Its analysis.
    pub analysis: Analysis,
    /// Seconds of training and evaluation, each epoch once.
    pub seconds: f64,
    /// Number and metrics of each epoch, in ascending order.
    pub epochs: Vec<(u64, Metrics)>,
}

/// What is known of a trial before its epochs are read.
struct Known {
    row: i64,
    objective: Objective,
    life: Life,
}

impl Store {
    /// Analyses trials, given by sweep and identity, in that order; by another metric than the objective
    /// where one is given. Reads their epochs.
    ///
    /// # Errors
    /// When there is no such trial or the database fails.
    pub async fn analyses(
        &mut self,
        trials: &[(String, TrialId)],
        by: Option<&Objective>,
    ) -> Result<Vec<Analysis>, StoreError> {
        let known = self.lives(trials).await?;
        let mut found = Vec::with_capacity(trials.len());
        for key in trials {
            found.push(self.course(of(&known, key)?, by).await?.analysis);
        }
        Ok(found)
    }

    /// As [`Store::analyses`], with the metrics of all epochs.
    ///
    /// # Errors
    /// As there.
    pub async fn courses(
        &mut self,
        trials: &[(String, TrialId)],
        by: Option<&Objective>,
    ) -> Result<Vec<Course>, StoreError> {
        let known = self.lives(trials).await?;
        let mut found = Vec::with_capacity(trials.len());
        for key in trials {
            found.push(self.course(of(&known, key)?, by).await?);
        }
        Ok(found)
    }

    /// Returns what workers warned of validation splits that leak, by sweep and trial; of all sweeps for none.
    ///
    /// # Errors
    /// When there is no such sweep or the database fails.
    pub async fn leaks(
        &mut self,
        sweeps: &[String],
    ) -> Result<HashMap<(String, TrialId), String>, StoreError> {
        let ids = serde_json::Value::from(self.sweeps(sweeps).await?).to_string();
        let rows = sqlx::query(
            "select sweep.name, trial.identity, warning.text
             from warning join attempt using (attempt_id) join trial using (trial_id)
                 join sweep using (sweep_id)
             where instr(warning.text, ?2) = 1
                 and sweep.sweep_id in (select value from json_each(?1))
             order by attempt.number",
        )
        .bind(ids)
        .bind(WORDS_OF_A_LEAK)
        .fetch(&mut self.connection);
        let mut rows = Rows::new(rows);
        let mut found = HashMap::new();
        while let Some(row) = rows.next().await? {
            let trial = identity(row.try_get("identity")?)?;
            found.insert((row.try_get("name")?, trial), row.try_get("text")?);
        }
        Ok(found)
    }

    async fn lives(
        &mut self,
        trials: &[(String, TrialId)],
    ) -> Result<HashMap<(String, String), Known>, StoreError> {
        let wanted: Vec<[&str; 2]> = trials.iter().map(|(s, t)| [s.as_str(), t.as_str()]).collect();
        let rows = sqlx::query(
            "select trial.trial_id, sweep.name, identity, state, metric, direction,
                    (select max(elapsed) from attempt
                     where attempt.trial_id = trial.trial_id) as elapsed,
                    (select weights from attempt where attempt.trial_id = trial.trial_id
                         and weights is not null order by number desc limit 1) as weights,
                    (select reason from attempt where attempt.trial_id = trial.trial_id
                         and reason is not null order by number desc limit 1) as reason,
                    (select count(*) from attempt join warning using (attempt_id)
                     where attempt.trial_id = trial.trial_id and instr(text, ?2) > 0) as rollbacks,
                    exists (select 1 from attempt join warning using (attempt_id)
                            where attempt.trial_id = trial.trial_id
                                and instr(text, ?3) = 1) as ended_early
             from json_each(?1) wanted
                 cross join sweep on sweep.name = wanted.value ->> 0
                 cross join trial on trial.sweep_id = sweep.sweep_id
                     and trial.identity = wanted.value ->> 1",
        )
        .bind(serde_json::json!(wanted).to_string())
        .bind(WORDS_OF_A_ROLLBACK)
        .bind(WORDS_OF_AN_EARLY_END)
        .fetch(&mut self.connection);
        let mut rows = Rows::new(rows);
        let mut found = HashMap::new();
        while let Some(row) = rows.next().await? {
            let key = (row.try_get("name")?, row.try_get("identity")?);
            found.insert(key, known(&row)?);
        }
        Ok(found)
    }

    async fn course(
        &mut self,
        known: &Known,
        by: Option<&Objective>,
    ) -> Result<Course, StoreError> {
        let objective = by.unwrap_or(&known.objective);
        let rows = sqlx::query(
            "select epoch, metrics, train_seconds, eval_seconds, images_per_second
             from epoch where trial_id = ? order by epoch",
        )
        .bind(known.row)
        .fetch(&mut self.connection);
        let mut rows = Rows::new(rows);
        let (mut epochs, mut told) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next().await? {
            let metrics: Metrics =
                serde_json::from_str(row.try_get("metrics")?).unwrap_or_default();
            let seconds = |name| row.try_get::<Option<f64>, _>(name);
            let (train, eval) = (seconds("train_seconds")?, seconds("eval_seconds")?);
            let epoch = Epoch {
                seconds: train.map(|train| train + eval.unwrap_or(0.0)),
                images_per_second: row.try_get("images_per_second")?,
                ..Epoch::new(uint(row.try_get("epoch")?), &metrics, objective)
            };
            told.push((epoch.epoch, metrics));
            epochs.push(epoch);
        }
        Ok(Course {
            analysis: Analysis::of(objective, &known.life, &epochs),
            seconds: epochs.iter().filter_map(|epoch| epoch.seconds).sum(),
            epochs: told,
        })
    }
}

fn of<'a>(
    known: &'a HashMap<(String, String), Known>,
    (sweep, trial): &(String, TrialId),
) -> Result<&'a Known, StoreError> {
    let unknown = || StoreError::NoTrial { prefix: format!("{sweep}/{trial}") };
    known.get(&(sweep.clone(), trial.to_string())).ok_or_else(unknown)
}

fn known(row: &SqliteRow) -> sqlx::Result<Known> {
    let direction: String = row.try_get("direction")?;
    let state: String = row.try_get("state")?;
    let reason: Option<String> = row.try_get("reason")?;
    let life = Life {
        standing: standing(&TrialState::from(state), reason.as_deref()),
        elapsed: row.try_get("elapsed")?,
        network_parameters: row.try_get::<Option<i64>, _>("weights")?.map(uint),
        rollbacks: uint(row.try_get("rollbacks")?),
        ended_early: row.try_get("ended_early")?,
    };
    let direction = from_word(&direction).unwrap_or_default();
    let objective = Objective { metric: row.try_get("metric")?, direction };
    Ok(Known { row: row.try_get("trial_id")?, objective, life })
}

/// How a trial stands, from its state and the `reason` that its newest attempt gave.
pub(super) fn standing(state: &TrialState, reason: Option<&str>) -> Standing {
    let has_collapsed = || reason.and_then(from_word) == Some(StopReason::Collapsed);
    match state {
        TrialState::Finished => Standing::Finished,
        TrialState::Diverged if has_collapsed() => Standing::Collapsed,
        TrialState::Diverged => Standing::Diverged,
        TrialState::Planned => Standing::Open,
        state if state.is_in_flight() => Standing::Open,
        _ => Standing::Broken,
    }
}
