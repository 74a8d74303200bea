//! A comparison with the columns that name its groups.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::analysis::{Against, Comparison, Group, Point, compare};
use crate::cli::table;
use crate::metric::Objective;
use crate::query::Aggregate;
use crate::store::Rivals;

/// Groups, ready to be shown.
#[derive(Debug)]
pub(super) struct View {
    pub(super) objective: Objective,
    pub(super) aggregate: Aggregate,
    /// The paths that groups are made by.
    pub(super) paths: Vec<String>,
    pub(super) comparison: Comparison,
    /// The two best groups, and whether they can be told apart; none for one group.
    pub(super) verdict: Option<([String; 2], Against)>,
}

impl View {
    /// Groups by these paths; for none by network where there are several, else by what differs.
    pub(super) fn new(rivals: Rivals, by: &[String], aggregate: Aggregate) -> Self {
        let Rivals { objective, mut paths, mut points, members, .. } = rivals;
        let networks: BTreeSet<&str> = points.iter().map(|point| point.network.as_str()).collect();
        let apart = by.is_empty() && networks.len() < 2;
        if by.is_empty() && networks.len() > 1 {
            paths = vec!["model.name".to_owned()];
            for point in &mut points {
                point.values = vec![Some(Value::from(point.network.clone()))];
            }
        } else if by.is_empty() {
            keep_what_differs(&mut paths, &mut points);
        }
        let comparison = compare(members, &points, apart, objective.direction);
        let mut view = Self { objective, aggregate, paths, comparison, verdict: None };
        if let [first, second, ..] = view.comparison.groups.as_slice() {
            view.verdict = Some(([first, second].map(|group| view.label(group)), second.against));
        }
        view
    }

    /// Puts the groups in another order; what was found about them stays.
    pub(super) fn arrange(&mut self, order: &[usize]) {
        let groups = std::mem::take(&mut self.comparison.groups);
        let mut groups: Vec<Option<Group>> = groups.into_iter().map(Some).collect();
        self.comparison.groups = order.iter().filter_map(|at| groups[*at].take()).collect();
    }

    /// Which epoch the values are from, in a word.
    pub(super) fn epoch(&self) -> String {
        match self.aggregate {
            Aggregate::Best => "best".to_owned(),
            Aggregate::Last => "newest".to_owned(),
            other => other.to_string(),
        }
    }

    /// The settings by which a group is told from others, by path.
    pub(super) fn values(&self, group: &Group) -> Map<String, Value> {
        let pairs = self.paths.iter().zip(&group.values);
        pairs.filter_map(|(path, value)| Some((path.clone(), value.clone()?))).collect()
    }

    /// A group in one word or some.
    pub(super) fn label(&self, group: &Group) -> String {
        label(&self.values(group))
    }

    /// The plain verdict on the two best groups, where they cannot be told apart.
    pub(super) fn plain_verdict(&self) -> Option<String> {
        match &self.verdict {
            Some(([first, second], Against::NotSeparable(..))) => Some(format!(
                "not separable: with these seeds nobody can tell {first} from {second}"
            )),
            _ => None,
        }
    }

    /// The better of the groups in a sentence.
    pub(super) fn lead(&self) -> Option<String> {
        let is_first = |group: &&Group| group.against == Against::First;
        let first = self.comparison.groups.iter().find(is_first)?;
        let others: Vec<&Group> =
            self.comparison.groups.iter().filter(|group| !is_first(group)).collect();
        first.sample.mean?;
        if others.is_empty() {
            return Some("there is one group: nothing to test it against".to_owned());
        }
        let count = |is: fn(&Against) -> bool| others.iter().filter(|g| is(&g.against)).count();
        let parts = [
            (count(|a| matches!(a, Against::Separable(..))), "separable from"),
            (count(|a| matches!(a, Against::NotSeparable(..))), "not separable from"),
            (count(|a| matches!(a, Against::OneSeed)), "with one seed, cannot be told from"),
            (count(|a| matches!(a, Against::NoSpread)), "without spread, cannot be told from"),
            (count(|a| matches!(a, Against::NotComparable)), "not comparable with"),
            (count(|a| matches!(a, Against::NoValue)), "nothing to compare with in"),
        ];
        let told = parts.iter().filter(|(count, _)| *count > 0);
        let told: Vec<_> = told.map(|(count, words)| format!("{words} {count}")).collect();
        let others = others.len();
        let noun = if others == 1 { "other" } else { "others" };
        Some(format!(
            "{} has the best mean; of {others} {noun}: {}",
            self.label(first),
            told.join(", ")
        ))
    }

    /// How the values were taken and tested.
    pub(super) fn method(&self) -> String {
        let Objective { metric, direction } = &self.objective;
        let epoch = match self.aggregate {
            Aggregate::Best | Aggregate::Last => format!("the {} epoch", self.epoch()),
            Aggregate::Max => "the epoch with its largest value".to_owned(),
            Aggregate::Min => "the epoch with its smallest value".to_owned(),
            Aggregate::BestVal => "the epoch with the best objective".to_owned(),
            Aggregate::Epoch(number) => format!("epoch {number}"),
        };
        let test = match self.comparison.tests {
            0 => String::new(),
            1 => "; Welch's t-test against the first group at 5 %, one test".to_owned(),
            tests => format!(
                "; Welch's t-test against the first group at 5 %, corrected after Holm for {tests} tests"
            ),
        };
        format!("{metric} ({direction}) of {epoch} of each trial{test}")
    }
}

/// Settings as people name them; `all` for none.
pub(super) fn label(values: &Map<String, Value>) -> String {
    let columns = table::Parameters::new(std::iter::once(values));
    let cells: Vec<String> = columns.cells(values).collect();
    match cells.as_slice() {
        [] => "all".to_owned(),
        [one] if values.contains_key("model.name") => one.clone(),
        _ => {
            let pairs = columns.headers().zip(&cells);
            let words = pairs.map(|(name, cell)| format!("{}={cell}", name.to_lowercase()));
            words.collect::<Vec<_>>().join(" ")
        }
    }
}

/// Drops paths of which all points have the same value, unless nothing is left.
fn keep_what_differs(paths: &mut Vec<String>, points: &mut [Point]) {
    let differs =
        |at: &usize| points.windows(2).any(|pair| pair[0].values[*at] != pair[1].values[*at]);
    let kept: Vec<usize> = (0..paths.len()).filter(differs).collect();
    if kept.is_empty() {
        return;
    }
    *paths = kept.iter().map(|at| paths[*at].clone()).collect();
    for point in points {
        point.values = kept.iter().map(|at| point.values[*at].clone()).collect();
    }
}

/// The verdict of a group in words.
pub(super) fn against(against: &Against) -> String {
    let chance = |p: f64| if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") };
    match against {
        Against::First => "-".to_owned(),
        Against::Separable(_, adjusted) => format!("separable, {}", chance(*adjusted)),
        Against::NotSeparable(_, adjusted) => format!("not separable, {}", chance(*adjusted)),
        Against::OneSeed => "one seed: cannot be told".to_owned(),
        Against::NoSpread => "no spread: cannot be told".to_owned(),
        Against::NoValue => "no value".to_owned(),
        Against::NotComparable => "not comparable".to_owned(),
    }
}
