//! What each setting does to the objective, and heat maps over pairs of settings.

use serde::Serialize;

use super::axes::Axis;
use crate::analysis::Sample;

/// Settings of which pairs are drawn, at most.
const MOST_PAIRED: usize = 5;

/// The pair that is asked for most.
const FIRST: [&str; 2] = ["optimizer.lr", "batch_size"];

/// A setting in which trials differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Parameter {
    /// Its dotted path.
    pub(super) path: String,
    /// Its last word, where no other has the same.
    pub(super) name: String,
    /// Its values in their order; none where they are too many.
    pub(super) axis: Option<Axis>,
    /// What trials came to at each step of the axis.
    pub(super) levels: Vec<Level>,
    /// Share of the spread of values that lies between the steps (η²: sum of squares between over all); none
    /// where there is no spread.
    pub(super) share: Option<f64>,
}

/// Trials with the same value of a setting, or with one in the same bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Level {
    /// Values that count.
    pub(super) n: usize,
    /// Their mean.
    pub(super) mean: Option<f64>,
    /// Their standard deviation, with n − 1.
    pub(super) sd: Option<f64>,
}

/// A heat map.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct HeatMap {
    /// Index of the setting along x.
    pub(super) x: usize,
    /// Index of the setting along y; none where there is one setting only.
    pub(super) y: Option<usize>,
    /// Cells with trials.
    pub(super) cells: Vec<Cell>,
}

/// Trials of a heat map at one place.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Cell {
    /// Step along x.
    pub(super) x: usize,
    /// Step along y.
    pub(super) y: usize,
    /// What those that count came to.
    #[serde(flatten)]
    pub(super) level: Level,
    /// Indices of all its trials, whether they count or not.
    pub(super) trials: Vec<usize>,
}

/// Values that count, one a trial.
pub(super) type Values<'a> = &'a [Option<f64>];

impl Level {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let Sample { n, mean, deviation } = Sample::of(values);
        Self { n, mean, sd: deviation }
    }
}

impl Parameter {
    pub(super) fn new(path: &str, name: &str, axis: Option<Axis>, values: Values) -> Self {
        let levels = axis.as_ref().map_or(Vec::new(), |axis| levels(axis, values));
        let share = share(&levels, values);
        Self { path: path.to_owned(), name: name.to_owned(), axis, levels, share }
    }
}

/// What trials came to at each step.
pub(super) fn levels(axis: &Axis, values: Values) -> Vec<Level> {
    let at = |step: usize| {
        let own = axis.steps.iter().zip(values).filter(move |(own, _)| **own == Some(step));
        Level::of(own.filter_map(|(_, value)| *value))
    };
    (0..axis.labels.len()).map(at).collect()
}

/// Sum of squares between levels over that of all values.
#[expect(clippy::cast_precision_loss, reason = "numbers of trials stay far below 2^53")]
pub(super) fn share(levels: &[Level], values: Values) -> Option<f64> {
    let all = Sample::of(values.iter().flatten().copied());
    let (mean, deviation) = (all.mean?, all.deviation?);
    let total = deviation.powi(2) * (all.n as f64 - 1.0);
    let square = |level: &Level| Some(level.n as f64 * (level.mean? - mean).powi(2));
    (total > 0.0).then(|| (levels.iter().filter_map(square).sum::<f64>() / total).min(1.0))
}

/// Heat maps of pairs, learning rate × batch size first where both differ.
pub(super) fn maps(parameters: &[Parameter], values: Values) -> Vec<HeatMap> {
    let first = |path: &str| FIRST.iter().position(|first| *first == path).unwrap_or(FIRST.len());
    let mut wanted: Vec<usize> = (0..parameters.len())
        .filter(|at| parameters[*at].axis.as_ref().is_some_and(|axis| axis.labels.len() > 1))
        .collect();
    wanted.sort_by(|a, b| {
        let (a, b) = (&parameters[*a], &parameters[*b]);
        let share = |one: &Parameter| one.share.unwrap_or(0.0);
        first(&a.path).cmp(&first(&b.path)).then(share(b).total_cmp(&share(a)))
    });
    wanted.truncate(MOST_PAIRED);
    if let [only] = wanted[..] {
        return vec![map(parameters, only, None, values)];
    }
    let later = |at: usize| wanted[at + 1..].iter().map(move |y| (at, *y));
    let pairs = (0..wanted.len()).flat_map(later);
    pairs.map(|(x, y)| map(parameters, wanted[x], Some(y), values)).collect()
}

fn map(parameters: &[Parameter], x: usize, y: Option<usize>, values: Values) -> HeatMap {
    let steps = |at: usize| parameters[at].axis.as_ref().map_or(&[][..], |axis| &axis.steps);
    let mut cells = std::collections::BTreeMap::<(usize, usize), Vec<usize>>::new();
    for (trial, column) in steps(x).iter().enumerate() {
        let row = y.map_or(Some(0), |y| steps(y)[trial]);
        if let Some(place) = column.zip(row) {
            cells.entry(place).or_default().push(trial);
        }
    }
    let cell = |((x, y), trials): (_, Vec<usize>)| {
        let level = Level::of(trials.iter().filter_map(|trial| values[*trial]));
        Cell { x, y, level, trials }
    };
    HeatMap { x, y, cells: cells.into_iter().map(cell).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn means_shares_and_cells_are_those_of_the_values() {
        let lr = [1, 1, 2, 2].map(|value| Some(json!(value)));
        let seed = [1, 2, 1, 2].map(|value| Some(json!(value)));
        let values = [Some(0.5), Some(0.7), Some(0.9), None];
        let of = |path, own: &[_]| Parameter::new(path, path, Axis::of(own), &values);
        let parameters = [of("model.base", &seed), of("optimizer.lr", &lr)];
        let lr = &parameters[1];
        assert_eq!((lr.levels[0].n, lr.levels[1].n), (2, 1));
        assert!((lr.levels[0].mean.expect("mean") - 0.6).abs() < 1e-15);
        // Squares: 2 · (0.6 − 0.7)² + (0.9 − 0.7)² of 0.2² + 0² + 0.2².
        assert!((lr.share.expect("share") - 0.75).abs() < 1e-12);
        let maps = maps(&parameters, &values);
        assert_eq!((maps.len(), maps[0].x, maps[0].y), (1, 1, Some(0)));
        let last = &maps[0].cells[3];
        assert_eq!((last.x, last.y, &last.trials[..], last.level.n), (1, 1, &[3][..], 0));
        let one = super::maps(&parameters[1..], &values);
        assert_eq!((one[0].y, one[0].cells.len()), (None, 2));
        assert!(super::maps(&[], &values).is_empty());
    }
}
