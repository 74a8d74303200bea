//! The courses of all trials, in as few numbers as a page can carry.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::metric::{Metrics, Objective};
use crate::store::Course;

/// Numbers that a page carries easily: about 8 MB.
const MOST_NUMBERS: usize = 400_000;

/// What every report tells beside the objective.
const LOSSES: [&str; 2] = ["train/loss", "val/loss"];

/// Values of metrics over the epochs of each trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Curves {
    /// The metrics, the objective first.
    pub(super) metrics: Vec<String>,
    /// Metrics that are recorded and were left out, so that the page stays light.
    pub(super) left_out: Vec<String>,
    /// Of so many epochs one is told, and the best and the last; 1: all are.
    pub(super) every: usize,
    /// One a trial.
    pub(super) trials: Vec<Curve>,
}

/// The course of one trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Curve {
    /// Numbers of the epochs; none where they are 1, 2, 3, …
    pub(super) epochs: Option<Vec<u64>>,
    /// For each metric its values; null where it was not recorded or is not finite.
    pub(super) values: Vec<Vec<Option<f64>>>,
}

impl Curves {
    pub(super) fn of(objective: &Objective, courses: &[Course]) -> Self {
        let recorded: BTreeSet<&str> = courses
            .iter()
            .flat_map(|course| course.epochs.first().into_iter().chain(course.epochs.last()))
            .flat_map(|(_, metrics)| metrics.iter().map(|(name, _)| name))
            .collect();
        let epochs: usize = courses.iter().map(|course| course.epochs.len()).sum();
        let mut metrics = vec![objective.metric.clone()];
        let others = recorded.iter().filter(|name| !LOSSES.contains(name));
        let mut left_out = Vec::new();
        for name in LOSSES.iter().filter(|name| recorded.contains(*name)).chain(others) {
            let is_wanted = LOSSES.contains(name) || epochs * (metrics.len() + 1) <= MOST_NUMBERS;
            match is_wanted {
                _ if *name == objective.metric => {}
                true => metrics.push((*name).to_owned()),
                false => left_out.push((*name).to_owned()),
            }
        }
        let every = (epochs * metrics.len()).div_ceil(MOST_NUMBERS).max(1);
        let trials = courses.iter().map(|course| Curve::of(course, &metrics, every)).collect();
        Self { metrics, left_out, every, trials }
    }
}

impl Curve {
    fn of(course: &Course, metrics: &[String], every: usize) -> Self {
        let last = course.epochs.len().saturating_sub(1);
        let is_told = |(at, (epoch, _)): &(usize, &(u64, Metrics))| {
            at % every == 0 || *at == last || course.analysis.best_epoch == Some(*epoch)
        };
        let told = || course.epochs.iter().enumerate().filter(is_told).map(|(_, epoch)| epoch);
        let epochs: Vec<u64> = told().map(|(epoch, _)| *epoch).collect();
        let is_plain = epochs.iter().zip(1..).all(|(epoch, number)| *epoch == number);
        let of = |name: &String| told().map(|(_, metrics)| metrics.get(name)).collect();
        Self { epochs: (!is_plain).then_some(epochs), values: metrics.iter().map(of).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Analysis, Life};

    fn course(epochs: std::ops::RangeInclusive<u64>, more: &[&str]) -> Course {
        let metrics = |epoch: u64| {
            let mut metrics = Metrics::default();
            #[expect(clippy::cast_precision_loss, reason = "small")]
            metrics.set("val/jaccard", epoch as f64);
            metrics.set("val/loss", f64::NAN);
            more.iter().for_each(|name| metrics.set(*name, 1.0));
            (epoch, metrics)
        };
        let analysis = Analysis::of(&Objective::default(), &Life::default(), &[]);
        Course { analysis, seconds: 0.0, epochs: epochs.map(metrics).collect() }
    }

    #[test]
    fn every_metric_is_told_while_there_is_room() {
        let found =
            Curves::of(&Objective::default(), &[course(1..=3, &["lr"]), course(2..=2, &[])]);
        assert_eq!(found.metrics, ["val/jaccard", "val/loss", "lr"]);
        assert_eq!((found.every, found.left_out.len()), (1, 0));
        assert_eq!(found.trials[0].values[0], [1.0, 2.0, 3.0].map(Some));
        assert_eq!(found.trials[0].values[1], [None; 3]);
        assert_eq!((&found.trials[0].epochs, &found.trials[1].epochs), (&None, &Some(vec![2])));
    }

    #[test]
    fn too_many_numbers_are_thinned_and_the_end_is_kept() {
        let found = Curves::of(&Objective::default(), &[course(1..=500_000, &["lr"])]);
        assert_eq!((found.metrics.len(), &found.left_out[..]), (2, &["lr".to_owned()][..]));
        let epochs = found.trials[0].epochs.as_ref().expect("not all");
        assert_eq!((found.every, epochs.last()), (3, Some(&500_000)));
        assert!(epochs.len() * 2 < MOST_NUMBERS + 4);
    }
}
