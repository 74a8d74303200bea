//! The status table of networks in Markdown: of each, on each data set and split, its best setting.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::view::{is_of_the_data, label};
use crate::analysis::{Fate, Group, compare};
use crate::cli::ask::{metric, span};
use crate::store::Rivals;

/// A network, on one data set and split.
struct Row<'a> {
    network: &'a str,
    dataset: &'a str,
    /// Its groups, the best first.
    groups: Vec<&'a Group>,
}

/// Returns the table, and the number of trials in it whose validation leaked.
pub(super) fn text(rivals: &Rivals) -> (String, usize) {
    let direction = rivals.objective.direction;
    let comparison = compare(rivals.members.clone(), &rivals.points, true, direction);
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut known: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for group in &comparison.groups {
        let (network, dataset) = (group.network.as_str(), group.dataset.as_str());
        let at = *known.entry((network, dataset)).or_insert(rows.len());
        if at == rows.len() {
            rows.push(Row { network, dataset, groups: Vec::new() });
        }
        rows[at].groups.push(group);
    }
    let has_seeds = rows.iter().any(|row| row.groups[0].sample.n > 1);
    let leaky = comparison.groups.iter().map(|group| group.count(|member| member.is_leaky)).sum();
    let mut table = header(&rivals.objective.metric, has_seeds);
    for row in &rows {
        table.push_str(&line(row, &setting(rivals, row), has_seeds));
    }
    (table, leaky)
}

fn header(name: &str, has_seeds: bool) -> String {
    let value = if name == "val/jaccard" { "Jaccard" } else { name };
    let mut heads = vec!["Network", "Setting", "Data", value];
    heads.extend(if has_seeds { vec!["±", "n"] } else { Vec::new() });
    heads.extend(["Status", "Time"]);
    format!("| {} |\n|{}\n", heads.join(" | "), "---|".repeat(heads.len()))
}

fn line(row: &Row<'_>, setting: &str, has_seeds: bool) -> String {
    let best = row.groups[0];
    let none = || "–".to_owned();
    let value = best.sample.mean.map_or_else(none, |mean| {
        let flag = match (best.is_blind(), best.is_leaky) {
            (true, _) if best.takes_all() => " (takes all for foreground)",
            (true, _) => " (never learnt)",
            (_, true) => " (leaky)",
            _ => "",
        };
        format!("{}{flag}", metric(Some(mean)))
    });
    let setting = match row.groups.len() {
        1 => setting.to_owned(),
        count => format!("{setting} (best of {count})"),
    };
    let mut cells = vec![row.network.to_owned(), setting, row.dataset.to_owned(), value];
    if has_seeds {
        cells.push(best.sample.deviation.map_or_else(none, |spread| metric(Some(spread))));
        cells.push(best.sample.n.to_string());
    }
    cells.push(status(row));
    cells.push(best.median_seconds.map_or_else(none, span));
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// How the trials of the best setting stand, and what befell those of the others.
fn status(row: &Row<'_>) -> String {
    let mut text = counts(&row.groups[..1]);
    if row.groups.len() > 1 {
        let others = counts(&row.groups[1..]);
        if others != "finished" {
            let _ = write!(text, "; other settings: {others}");
        }
    }
    text
}

fn counts(groups: &[&Group]) -> String {
    let members = || groups.iter().flat_map(|group| &group.members);
    let all = members().count();
    let mut words: BTreeMap<&str, usize> = BTreeMap::new();
    for member in members() {
        let word = match &member.fate {
            Fate::Done if member.value.is_none() => "without a value",
            Fate::Done if member.is_collapsed => "collapsed at the end",
            Fate::Done if member.never_learnt => "never learnt",
            Fate::Done if member.is_spent => "out of training time",
            Fate::Done => "finished",
            Fate::Lost(word) => word,
            Fate::Open => "not finished yet",
        };
        *words.entry(word).or_default() += 1;
    }
    match Vec::from_iter(&words).as_slice() {
        [(word, _)] => (**word).to_owned(),
        several => {
            let words = several.iter().map(|(word, count)| format!("{count} of {all} {word}"));
            words.collect::<Vec<_>>().join(", ")
        }
    }
}

/// The best setting of a row, by what its settings differ in; of a single one by what its sweep varies.
/// Network and data have columns of their own.
fn setting(rivals: &Rivals, row: &Row<'_>) -> String {
    let best = row.groups[0];
    let parameters = &rivals.points[best.members[0].point].parameters;
    let is_varied = |path: &str| {
        parameters.keys().any(|key| {
            path.strip_prefix(key.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    let differs = |at: usize| row.groups.iter().any(|group| group.values[at] != best.values[at]);
    let told = rivals.paths.iter().enumerate().filter(|(at, path)| {
        let is_own = path.as_str() != "model.name" && !is_of_the_data(path);
        is_own && if row.groups.len() > 1 { differs(*at) } else { is_varied(path) }
    });
    let told: Map<String, Value> =
        told.filter_map(|(at, path)| Some((path.clone(), best.values[at].clone()?))).collect();
    if told.is_empty() { "–".to_owned() } else { label(&told) }
}
