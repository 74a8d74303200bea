//! What trials cost: the times of their attempts, and what was seen of their GPUs.

use std::collections::HashMap;

use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::analysis::{Cause, Stint};
use crate::id::TrialId;
use crate::scheduler::TaskEnd;
use crate::store::evidence::moment;
use crate::store::rows::Rows;
use crate::store::{Store, StoreError, uint};

/// What a trial spent, as far as its attempts tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spent {
    /// Its attempts, the oldest first.
    pub stints: Vec<Stint>,
    /// What its newest attempt computed on.
    pub device: Option<String>,
    /// What was seen of the first GPU.
    pub gpu: Option<Gpu>,
}

/// What samples of a trial's attempts tell of the first GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Gpu {
    /// Samples that tell of it.
    pub samples: u64,
    /// Mean utilisation, percent.
    pub utilisation: Option<f64>,
    /// Most memory that was used, bytes.
    pub memory: Option<f64>,
    /// Mean power, watts.
    pub power: Option<f64>,
    /// Highest temperature, degrees Celsius.
    pub temperature: Option<f64>,
}

impl Store {
    /// Tells what trials of these sweeps spent, all for none; trials without an attempt are left out.
    ///
    /// # Errors
    /// When there is no such sweep or the database fails.
    pub async fn spent(
        &mut self,
        sweeps: &[String],
    ) -> Result<HashMap<(String, TrialId), Spent>, StoreError> {
        let ids = serde_json::Value::from(self.sweeps(sweeps).await?).to_string();
        let gpus = self.gpus(&ids).await?;
        let rows = sqlx::query(
            // The scheduler's word is about the newest attempt of a submission.
            "select trial.trial_id, sweep.name, identity, started_at, seen_at, attempt.ended_at, outcome, reason,
                    seconds_to_start, checkpoint_pause, time_given, time_left_unused, stop_time_left, device,
                    iif(number = (select max(other.number) from attempt as other
                                  where other.trial_id = attempt.trial_id and other.token = attempt.token),
                        coalesce(task.ended, iif(report = 'ended', report_word, null)), null) as word
             from trial join sweep using (sweep_id) join attempt using (trial_id)
                 left join submission on submission.sweep_id = trial.sweep_id
                     and submission.token = attempt.token
                 left join submission_task as task
                     on task.submission_id = submission.submission_id and task.trial_id = trial.trial_id
             where trial.sweep_id in (select value from json_each(?))
             order by trial.trial_id, attempt.number",
        )
        .bind(ids)
        .fetch(&mut self.connection);
        let mut rows = Rows::new(rows);
        let mut found: HashMap<(String, TrialId), Spent> = HashMap::new();
        while let Some(row) = rows.next().await? {
            let trial = super::identity(row.try_get("identity")?)?;
            let spent = found.entry((row.try_get("name")?, trial)).or_default();
            spent.stints.push(stint(&row)?);
            spent.device = row.try_get::<Option<String>, _>("device")?.or(spent.device.take());
            spent.gpu = gpus.get(&row.try_get("trial_id")?).copied();
        }
        Ok(found)
    }

    async fn gpus(&mut self, ids: &str) -> Result<HashMap<i64, Gpu>, StoreError> {
        let rows = sqlx::query(
            r#"select attempt.trial_id, count(*) as samples,
                      avg(sample.metrics ->> '$."gpu/utilisation"') as utilisation,
                      max(cast(sample.metrics ->> '$."gpu/memory"' as real)) as memory,
                      avg(sample.metrics ->> '$."gpu/power"') as power,
                      max(cast(sample.metrics ->> '$."gpu/temperature"' as real)) as temperature
               from sample join attempt using (attempt_id) join trial using (trial_id)
               where trial.sweep_id in (select value from json_each(?))
                   and instr(sample.metrics, '"gpu/') > 0
               group by attempt.trial_id"#,
        )
        .bind(ids)
        .fetch(&mut self.connection);
        let mut rows = Rows::new(rows);
        let mut found = HashMap::new();
        while let Some(row) = rows.next().await? {
            let gpu = Gpu {
                samples: uint(row.try_get("samples")?),
                utilisation: row.try_get("utilisation")?,
                memory: row.try_get("memory")?,
                power: row.try_get("power")?,
                temperature: row.try_get("temperature")?,
            };
            found.insert(row.try_get("trial_id")?, gpu);
        }
        Ok(found)
    }
}

fn stint(row: &SqliteRow) -> sqlx::Result<Stint> {
    let at = |name| -> sqlx::Result<Option<f64>> {
        Ok(moment(row.try_get(name)?).map(|at| at.as_duration().as_secs_f64()))
    };
    Ok(Stint {
        started_at: at("started_at")?,
        seen_at: at("seen_at")?,
        ended_at: at("ended_at")?,
        outcome: row.try_get("outcome")?,
        reason: row.try_get("reason")?,
        seconds_to_start: row.try_get("seconds_to_start")?,
        checkpoint_pause: row.try_get("checkpoint_pause")?,
        time_given: row.try_get("time_given")?,
        time_left_unused: row.try_get("time_left_unused")?,
        stop_time_left: row.try_get("stop_time_left")?,
        told: row.try_get::<Option<&str>, _>("word")?.and_then(cause),
    })
}

/// What the scheduler's word for an end says of its cause; a job that failed or is complete says nothing.
fn cause(word: &str) -> Option<Cause> {
    match TaskEnd::of_word(word)? {
        TaskEnd::Preempted => Some(Cause::Preempted),
        TaskEnd::TimedOut => Some(Cause::TimeLimit),
        TaskEnd::Cancelled => Some(Cause::Cancelled),
        TaskEnd::OutOfMemory => Some(Cause::OutOfMemory),
        TaskEnd::NodeFailed => Some(Cause::NodeFailed),
        TaskEnd::Completed | TaskEnd::Failed => None,
    }
}
