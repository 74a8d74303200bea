//! One row a trial and metric over its epochs: what ranking reads instead of every epoch.

use std::collections::BTreeMap;

use sqlx::{QueryBuilder, SqliteConnection};

use super::batch::{ROWS, blocks};
use super::rows::Rows;
use super::{int, uint};
use crate::metric::{Direction, Metrics};

/// Trials whose epochs are read at a time.
const TRIALS: usize = 500;

/// A value and the first epoch that reached it.
type Reached = Option<(f64, u64)>;

/// What the epochs of a trial say of one metric.
#[derive(Debug, Default, PartialEq)]
struct Summary {
    maximum: Reached,
    minimum: Reached,
    last: Option<f64>,
    last_epoch: u64,
}

/// Makes the rows of these trials of a sweep again from their epochs.
pub(super) async fn refresh(
    db: &mut SqliteConnection,
    sweep_id: i64,
    trials: &[i64],
) -> sqlx::Result<()> {
    for some in trials.chunks(TRIALS) {
        let ids = serde_json::json!(some).to_string();
        let epochs = sqlx::query_as::<_, (i64, i64, String)>(
            "select trial_id, epoch, metrics from json_each(?) wanted
                 cross join epoch on epoch.trial_id = wanted.value
             order by wanted.key, epoch",
        )
        .bind(&ids)
        .fetch(&mut *db);
        let mut epochs = Rows::new(epochs);
        let mut found: BTreeMap<i64, Summaries> = BTreeMap::new();
        while let Some((trial_id, epoch, metrics)) = epochs.next().await? {
            if let Ok(metrics) = serde_json::from_str::<Metrics>(&metrics) {
                found.entry(trial_id).or_default().add(uint(epoch), &metrics);
            }
        }
        drop(epochs);
        sqlx::query("delete from summary where trial_id in (select value from json_each(?))")
            .bind(&ids)
            .execute(&mut *db)
            .await?;
        let rows = found.into_iter().flat_map(|(trial_id, summaries)| {
            summaries.0.into_iter().map(move |(metric, summary)| (trial_id, metric, summary))
        });
        write(db, sweep_id, rows.collect()).await?;
    }
    Ok(())
}

async fn write(
    db: &mut SqliteConnection,
    sweep_id: i64,
    rows: Vec<(i64, String, Summary)>,
) -> sqlx::Result<()> {
    for some in blocks(rows) {
        let is_usual = some.len() == ROWS;
        let mut sql = QueryBuilder::new(
            "insert into summary (trial_id, metric, sweep_id, maximum, maximum_epoch, minimum,
                 minimum_epoch, last, last_epoch) ",
        );
        sql.push_values(some, |mut cells, (trial_id, metric, summary)| {
            let value = |reached: Reached| reached.map(|(value, _)| value);
            let epoch = |reached: Reached| reached.map(|(_, epoch)| int(epoch));
            cells.push_bind(trial_id).push_bind(metric).push_bind(sweep_id);
            cells.push_bind(value(summary.maximum)).push_bind(epoch(summary.maximum));
            cells.push_bind(value(summary.minimum)).push_bind(epoch(summary.minimum));
            cells.push_bind(summary.last).push_bind(int(summary.last_epoch));
        });
        sql.build().persistent(is_usual).execute(&mut *db).await?;
    }
    Ok(())
}

/// What the epochs of a trial say of each metric.
#[derive(Debug, Default)]
struct Summaries(BTreeMap<String, Summary>);

impl Summaries {
    /// Takes an epoch; they are given in ascending order.
    fn add(&mut self, epoch: u64, metrics: &Metrics) {
        for (name, value) in metrics.iter() {
            if !self.0.contains_key(name) {
                self.0.insert(name.to_owned(), Summary::default());
            }
            let Some(summary) = self.0.get_mut(name) else { continue };
            reach(&mut summary.maximum, Direction::Maximize, value, epoch);
            reach(&mut summary.minimum, Direction::Minimize, value, epoch);
            summary.last = value;
            summary.last_epoch = epoch;
        }
    }
}

fn reach(best: &mut Reached, direction: Direction, value: Option<f64>, epoch: u64) {
    if let Some(value) = value
        && direction.improves(Some(value), best.map(|(best, _)| best))
    {
        *best = Some((value, epoch));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_values_counts_and_nan_never_does() {
        let epochs = [0.5, f64::NAN, 0.7, 0.7, 0.2, f64::NAN];
        let mut found = Summaries::default();
        for (epoch, value) in (1..).zip(epochs) {
            let mut metrics = Metrics::default();
            metrics.set("val/jaccard", value);
            found.add(epoch, &metrics);
        }
        let wanted =
            Summary { maximum: Some((0.7, 3)), minimum: Some((0.2, 5)), last: None, last_epoch: 6 };
        assert_eq!(found.0["val/jaccard"], wanted);
    }
}
