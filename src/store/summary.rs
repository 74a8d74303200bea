//! One row a trial and metric over its epochs: what ranking reads instead of every epoch.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;

use super::{int, uint};
use crate::metric::{Direction, Metrics};

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

/// Makes the rows of a trial again from its epochs.
pub(super) async fn refresh(
    db: &mut SqliteConnection,
    sweep_id: i64,
    trial_id: i64,
) -> sqlx::Result<()> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as("select epoch, metrics from epoch where trial_id = ? order by epoch")
            .bind(trial_id)
            .fetch_all(&mut *db)
            .await?;
    let epochs = rows.iter().filter_map(|(epoch, json)| {
        Some((uint(*epoch), serde_json::from_str::<Metrics>(json).ok()?))
    });
    sqlx::query("delete from summary where trial_id = ?").bind(trial_id).execute(&mut *db).await?;
    for (metric, summary) in summarise(epochs) {
        sqlx::query(
            "insert into summary (trial_id, metric, sweep_id, maximum, maximum_epoch, minimum,
                 minimum_epoch, last, last_epoch)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(trial_id)
        .bind(metric)
        .bind(sweep_id)
        .bind(summary.maximum.map(|(value, _)| value))
        .bind(summary.maximum.map(|(_, epoch)| int(epoch)))
        .bind(summary.minimum.map(|(value, _)| value))
        .bind(summary.minimum.map(|(_, epoch)| int(epoch)))
        .bind(summary.last)
        .bind(int(summary.last_epoch))
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// Summarises epochs given in ascending order.
fn summarise(epochs: impl Iterator<Item = (u64, Metrics)>) -> BTreeMap<String, Summary> {
    let mut found: BTreeMap<String, Summary> = BTreeMap::new();
    for (epoch, metrics) in epochs {
        for (name, value) in metrics.iter() {
            let summary = found.entry(name.to_owned()).or_default();
            reach(&mut summary.maximum, Direction::Maximize, value, epoch);
            reach(&mut summary.minimum, Direction::Minimize, value, epoch);
            summary.last = value;
            summary.last_epoch = epoch;
        }
    }
    found
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
        let epochs = (1..).zip(epochs).map(|(epoch, value)| {
            let mut metrics = Metrics::default();
            metrics.set("val/jaccard", value);
            (epoch, metrics)
        });
        let found = summarise(epochs);
        let wanted =
            Summary { maximum: Some((0.7, 3)), minimum: Some((0.2, 5)), last: None, last_epoch: 6 };
        assert_eq!(found["val/jaccard"], wanted);
    }
}
