//! The values of a setting in an order in which they can be drawn: each by itself, or numbers in bins
//! where there are too many.

use std::cmp::Ordering;

use serde::Serialize;
use serde_json::Value;

use crate::cli::table;

/// Values that are drawn one by one, at most; more numbers go into bins.
const MOST_LEVELS: usize = 12;

/// Bins of numbers that are too many.
const BINS: u32 = 8;

/// Words that are drawn, at most; a setting with more is no axis.
const MOST_WORDS: usize = 40;

/// From this factor between the largest and the smallest number on bins are equal in their logarithms.
const WIDE: f64 = 50.0;

/// Steps along which trials are drawn.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Axis {
    /// What stands at each step.
    pub(super) labels: Vec<String>,
    /// Whether the values are numbers, in their order.
    pub(super) numeric: bool,
    /// Whether a step holds several values.
    pub(super) binned: bool,
    /// Whether numbers are told apart by their factors rather than their differences.
    pub(super) log: bool,
    /// The step of each trial; none where it has no value.
    pub(super) steps: Vec<Option<usize>>,
}

impl Axis {
    /// Orders values; none where nobody could read them all.
    pub(super) fn of(values: &[Option<Value>]) -> Option<Self> {
        let mut distinct: Vec<&Value> = values.iter().flatten().collect();
        distinct.sort_by(|a, b| order(a, b));
        distinct.dedup();
        let numbers: Vec<f64> = distinct.iter().filter_map(|value| value.as_f64()).collect();
        let numeric = !numbers.is_empty() && numbers.len() == distinct.len();
        let positive = numbers.iter().all(|number| *number > 0.0);
        let log = numeric
            && positive
            && numbers
                .last()
                .zip(numbers.first())
                .is_some_and(|(most, least)| most / least >= WIDE);
        if numeric && distinct.len() > MOST_LEVELS {
            return Some(Self::binned(values, &numbers, log));
        }
        if distinct.len() > MOST_WORDS {
            return None;
        }
        let step = |value: &Option<Value>| {
            let value = value.as_ref()?;
            distinct.iter().position(|other| *other == value)
        };
        Some(Self {
            labels: distinct.iter().map(|value| table::value(value)).collect(),
            numeric,
            binned: false,
            log,
            steps: values.iter().map(step).collect(),
        })
    }

    fn binned(values: &[Option<Value>], sorted: &[f64], log: bool) -> Self {
        let scale = |number: f64| if log { number.ln() } else { number };
        let back = |number: f64| if log { number.exp() } else { number };
        let (least, most) = (scale(sorted[0]), scale(sorted[sorted.len() - 1]));
        let width = (most - least) / f64::from(BINS);
        let edge =
            |step: u32| table::value(&Value::from(rounded(back(least + width * f64::from(step)))));
        let step = |value: &Option<Value>| {
            let at = (scale(value.as_ref()?.as_f64()?) - least) / width;
            // The largest value belongs to the last bin.
            (0..BINS as usize).rev().find(|step| at >= f64::from(u32::try_from(*step).unwrap_or(0)))
        };
        Self {
            labels: (0..BINS).map(|step| format!("{} – {}", edge(step), edge(step + 1))).collect(),
            numeric: true,
            binned: true,
            log,
            steps: values.iter().map(step).collect(),
        }
    }
}

/// Numbers by size, before all else by its text.
fn order(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => table::value(a).cmp(&table::value(b)),
    }
}

/// Three digits are enough for the edge of a bin.
fn rounded(number: f64) -> f64 {
    format!("{number:.2e}").parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn axis(values: &[Value]) -> Axis {
        Axis::of(&values.iter().cloned().map(Some).collect::<Vec<_>>()).expect("an axis")
    }

    #[test]
    fn numbers_stand_by_size_and_words_by_text() {
        let found = axis(&[json!(1e-3), json!(16), json!(1e-4), json!(2)]);
        assert_eq!(found.labels, ["1e-4", "0.001", "2", "16"]);
        assert_eq!(found.steps, [1, 3, 0, 2].map(Some));
        assert!(found.numeric && found.log && !found.binned);
        let words = axis(&[json!("unet"), json!("swin"), json!("unet")]);
        assert_eq!((words.labels.len(), words.numeric), (2, false));
        assert_eq!(words.steps, [1, 0, 1].map(Some));
    }

    #[test]
    fn many_numbers_are_binned_and_none_is_lost() {
        let values: Vec<Value> = (0..40).map(|at| json!(1e-5 * 1.2_f64.powi(at))).collect();
        let found = axis(&values);
        assert!(found.binned && found.log && found.labels.len() == 8);
        assert!(found.steps.iter().all(Option::is_some));
        assert_eq!((found.steps[0], found.steps[39]), (Some(0), Some(7)));
        assert!(found.steps.windows(2).all(|pair| pair[0] <= pair[1]));
        let none = Axis::of(&[None, Some(json!(3))]).expect("an axis");
        assert_eq!(none.steps, [None, Some(0)]);
    }
}
