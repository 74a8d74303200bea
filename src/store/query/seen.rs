//! What a view that goes on asks again and again: it costs little, however many trials there are.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::Row;

use super::{TrialKey, identity};
use crate::id::TrialId;
use crate::metric::Metrics;
use crate::store::evidence::moment;
use crate::store::rows::Rows;
use crate::store::{Store, StoreError, uint};

/// What a worker saw of its machine at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleRow {
    /// When.
    pub at: Timestamp,
    /// Values by name, such as `gpu/utilisation` (percent) and `process/memory` (bytes).
    pub metrics: Metrics,
}

/// A curve: epochs in ascending order, and the value of each; none where it was not finite.
pub type Curve = Vec<(u64, Option<f64>)>;

impl Store {
    /// Returns the objective over the epochs of these trials of a sweep; those without epochs are left out.
    ///
    /// # Errors
    /// When there is no such sweep or the database fails.
    pub async fn curves(
        &mut self,
        sweep: &str,
        trials: &[TrialId],
    ) -> Result<HashMap<TrialId, Curve>, StoreError> {
        let sweep_id = self.sweep(sweep).await?;
        let rows = sqlx::query(
            r#"select trial.identity, epoch.epoch,
                      cast(epoch.metrics ->> ('$."' || sweep.metric || '"') as real) as value
               from json_each(?2) wanted
                   cross join trial on trial.sweep_id = ?1 and trial.identity = wanted.value
                   join sweep using (sweep_id)
                   join epoch using (trial_id)
               order by trial.trial_id, epoch.epoch"#,
        )
        .bind(sweep_id)
        .bind(serde_json::json!(trials).to_string())
        .fetch(&mut self.connection);
        let mut rows = Rows::new(rows);
        let mut found: HashMap<TrialId, Curve> = HashMap::new();
        while let Some(row) = rows.next().await? {
            let trial = identity(row.try_get("identity")?)?;
            let epoch = uint(row.try_get("epoch")?);
            found.entry(trial).or_default().push((epoch, row.try_get("value")?));
        }
        Ok(found)
    }

    /// Returns the newest samples of a trial's newest attempt that has any, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn samples(
        &mut self,
        key: &TrialKey,
        most: u32,
    ) -> Result<Vec<SampleRow>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "select at, metrics from sample
             where attempt_id = (select attempt_id from attempt
                 where trial_id = ?1 and exists
                     (select 1 from sample where sample.attempt_id = attempt.attempt_id)
                 order by number desc limit 1)
             order by seq desc limit ?2",
        )
        .bind(key.row)
        .bind(most)
        .fetch_all(&mut self.connection)
        .await?;
        let sample = |(at, metrics): (String, String)| {
            let metrics = serde_json::from_str(&metrics).unwrap_or_default();
            Some(SampleRow { at: moment(Some(at))?, metrics })
        };
        Ok(rows.into_iter().rev().filter_map(sample).collect())
    }
}
