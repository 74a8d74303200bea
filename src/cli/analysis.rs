//! The analysis of a trial in words and columns.

use serde_json::Value;

use super::ask::{metric, span};
use crate::analysis::Analysis;

/// All columns, as in JSON; docs/analysis.md defines each.
pub(super) const COLUMNS: [&str; 18] = [
    "verdict",
    "verdict_epoch",
    "best",
    "best_epoch",
    "final_value",
    "final_val_loss",
    "final_train_loss",
    "gap",
    "gap_at_best",
    "stability",
    "convergence_epoch",
    "epochs_done",
    "training_seconds",
    "seconds_per_epoch",
    "network_parameters",
    "images_per_second",
    "rollbacks",
    "ended_early",
];

/// The values of all columns, null for none.
pub(super) fn fields(analysis: &Analysis) -> Vec<Value> {
    let value = serde_json::to_value(analysis).unwrap_or_default();
    COLUMNS.iter().map(|name| value[*name].clone()).collect()
}

/// Columns of the table beside the best value.
pub(super) const HEADERS: [&str; 9] =
    ["AT", "FINAL", "GAP", "GAP AT BEST", "STABILITY", "95 % AT", "TIME", "PER EPOCH", "VERDICT"];

/// The cells below [`HEADERS`].
pub(super) fn cells(analysis: &Analysis) -> [String; 9] {
    [
        count(analysis.best_epoch),
        metric(analysis.final_value),
        metric(analysis.gap),
        metric(analysis.gap_at_best),
        metric(analysis.stability),
        count(analysis.convergence_epoch),
        time(analysis.training_seconds),
        seconds(analysis.seconds_per_epoch),
        analysis.verdict.clone(),
    ]
}

/// Rows of a table in which each column is a trial: name and cell.
pub(super) fn rows(name: &str, analysis: &Analysis) -> Vec<(String, String)> {
    let last = |what: &str| format!("last {what}");
    let mut rows = vec![
        ("verdict".to_owned(), analysis.verdict.clone()),
        (format!("best {name}"), metric(analysis.best)),
        ("at epoch".to_owned(), count(analysis.best_epoch)),
        (last(name), metric(analysis.final_value)),
    ];
    if name != "val/loss" {
        rows.push((last("val/loss"), metric(analysis.final_val_loss)));
    }
    if name != "train/loss" {
        rows.push((last("train/loss"), metric(analysis.final_train_loss)));
    }
    rows.extend([
        ("gap".to_owned(), metric(analysis.gap)),
        ("gap at the best epoch".to_owned(), metric(analysis.gap_at_best)),
        ("stability".to_owned(), metric(analysis.stability)),
        ("95 % of the best at epoch".to_owned(), count(analysis.convergence_epoch)),
        ("epochs done".to_owned(), analysis.epochs_done.to_string()),
        ("training time".to_owned(), time(analysis.training_seconds)),
        ("time per epoch".to_owned(), seconds(analysis.seconds_per_epoch)),
        ("images per second".to_owned(), tenth(analysis.images_per_second)),
        ("network parameters".to_owned(), count(analysis.network_parameters)),
    ]);
    if analysis.rollbacks > 0 {
        rows.push(("rollbacks".to_owned(), analysis.rollbacks.to_string()));
    }
    if analysis.ended_early {
        rows.push(("ended early".to_owned(), "yes (guards.patience)".to_owned()));
    }
    rows
}

fn count(number: Option<u64>) -> String {
    number.map_or("-".to_owned(), |number| number.to_string())
}

/// A span of time, `-` for none.
pub(super) fn time(seconds: Option<f64>) -> String {
    seconds.map_or("-".to_owned(), span)
}

fn seconds(seconds: Option<f64>) -> String {
    match seconds {
        Some(short) if short < 60.0 => format!("{short:.1}s"),
        other => time(other),
    }
}

fn tenth(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.1}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Life;
    use crate::metric::Objective;

    #[test]
    fn every_column_of_the_json_stands_in_the_csv() {
        let analysis = Analysis::of(&Objective::default(), &Life::default(), &[]);
        let value = serde_json::to_value(&analysis).expect("json");
        let mut names: Vec<&String> = value.as_object().expect("object").keys().collect();
        let mut columns = COLUMNS.to_vec();
        names.sort();
        columns.sort_unstable();
        assert_eq!(names, columns);
        assert_eq!(fields(&analysis)[0], "no epoch");
    }
}
