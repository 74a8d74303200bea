//! A comparison with the columns that name its groups.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::analysis::{Against, Comparison, Group, Point, compare};
use crate::cli::table;
use crate::metric::Objective;
use crate::query::Aggregate;
use crate::store::Rivals;

/// Characters of a group's settings that a sentence repeats; a longer list is named by its letter alone.
const LONGEST: usize = 60;

/// Groups, ready to be shown.
#[derive(Debug)]
pub(super) struct View {
    pub(super) objective: Objective,
    pub(super) aggregate: Aggregate,
    /// The paths that groups are told apart by.
    pub(super) paths: Vec<String>,
    pub(super) comparison: Comparison,
    /// Whether the two best groups of the first family can be told apart; none where there are no two.
    pub(super) verdict: Option<Against>,
    /// Whether sentences name settings by their paths, as a page with all of them does.
    pub(super) is_dotted: bool,
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
        let verdict = match comparison.groups.as_slice() {
            [first, second, ..] if first.family.is_some() && first.family == second.family => {
                Some(second.against)
            }
            _ => None,
        };
        Self { objective, aggregate, paths, comparison, verdict, is_dotted: false }
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

    /// A group by its letter, with its settings where they are short.
    pub(super) fn label(&self, group: &Group) -> String {
        let values = self.values(group);
        let settings = if self.is_dotted { dotted(&values) } else { label(&values) };
        if settings.is_empty() || settings.chars().count() > LONGEST {
            return group.name.clone();
        }
        format!("{} ({settings})", group.name)
    }

    /// The first group of the same family as this one.
    pub(super) fn first(&self, family: Option<usize>) -> Option<&Group> {
        let is_first = |group: &&Group| group.against == Against::First && group.family == family;
        self.comparison.groups.iter().find(is_first)
    }
}

/// Groups by their families, in the order in which they are shown; those of none stand by themselves.
pub(super) fn families(shown: &[Group]) -> Vec<Vec<&Group>> {
    let mut families: Vec<(Option<usize>, Vec<&Group>)> = Vec::new();
    for group in shown {
        match families.iter_mut().find(|(family, _)| *family == group.family) {
            Some((_, groups)) => groups.push(group),
            None => families.push((group.family, vec![group])),
        }
    }
    families.into_iter().map(|(_, groups)| groups).collect()
}

/// Settings by their paths; nothing for none.
fn dotted(values: &Map<String, Value>) -> String {
    let words = values.iter().map(|(path, value)| format!("{path}={}", table::value(value)));
    words.collect::<Vec<_>>().join(" ")
}

/// Settings as people name them; nothing for none.
pub(super) fn label(values: &Map<String, Value>) -> String {
    let columns = table::Parameters::new(std::iter::once(values));
    let cells: Vec<String> = columns.cells(values).collect();
    match cells.as_slice() {
        [one] if values.contains_key("model.name") => one.clone(),
        _ => {
            let pairs = columns.headers().zip(&cells);
            let words = pairs.map(|(name, cell)| format!("{}={cell}", name.to_lowercase()));
            words.collect::<Vec<_>>().join(" ")
        }
    }
}

/// Says whether a setting is part of what the name of a data set and split tells.
pub(super) fn is_of_the_data(path: &str) -> bool {
    ["data.name", "data.val_fraction", "data.split"].contains(&path)
        || path.starts_with("data.split.")
}

/// Drops paths of which all points have the same value, unless nothing is left, and those that the data set
/// and split tell.
fn keep_what_differs(paths: &mut Vec<String>, points: &mut [Point]) {
    let differs =
        |at: &usize| points.windows(2).any(|pair| pair[0].values[*at] != pair[1].values[*at]);
    let own: Vec<usize> = (0..paths.len()).filter(|at| !is_of_the_data(&paths[*at])).collect();
    let mut kept: Vec<usize> = own.iter().copied().filter(differs).collect();
    if kept.is_empty() {
        kept = own;
    }
    *paths = kept.iter().map(|at| paths[*at].clone()).collect();
    for point in points {
        point.values = kept.iter().map(|at| point.values[*at].clone()).collect();
    }
}

/// The verdict of a group in words.
pub(super) fn against(group: &Group) -> String {
    let chance = |p: f64| if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") };
    match &group.against {
        Against::First => "-".to_owned(),
        Against::Separable(_, adjusted) => format!("separable, {}", chance(*adjusted)),
        Against::NotSeparable(_, adjusted) => format!("not separable, {}", chance(*adjusted)),
        Against::OneSeed => "one seed: cannot be told".to_owned(),
        Against::NoSpread => "no spread: cannot be told".to_owned(),
        Against::NoValue => "no value".to_owned(),
        Against::NeverLearnt if group.takes_all() => {
            "never learnt: takes all for foreground".to_owned()
        }
        Against::NeverLearnt => "never learnt".to_owned(),
        Against::NotComparable => "not comparable".to_owned(),
    }
}
