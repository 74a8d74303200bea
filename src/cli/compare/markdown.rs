//! The status table of networks in Markdown: of each its best setting.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::view::label;
use crate::analysis::{Fate, Group, compare};
use crate::cli::ask::{metric, span};
use crate::store::Rivals;

/// A network, on one data set and split.
struct Row<'a> {
    network: &'a str,
    dataset: &'a str,
    /// Its groups, the best first.
    groups: Vec<&'a Group>,
    label: String,
}

/// Returns the table, and the number of trials in it whose validation leaked.
pub(super) fn text(rivals: &Rivals) -> (String, usize) {
    let direction = rivals.objective.direction;
    let comparison = compare(rivals.members.clone(), &rivals.points, true, direction);
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut known: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for group in &comparison.groups {
        let point = &rivals.points[group.members[0].point];
        let at = *known.entry((&point.network, &point.dataset)).or_insert(rows.len());
        if at == rows.len() {
            let label = named(&point.parameters);
            let (network, dataset) = (&point.network, &point.dataset);
            rows.push(Row { network, dataset, groups: Vec::new(), label });
        }
        rows[at].groups.push(group);
    }
    let several_data = rows.iter().any(|row| row.dataset != rows[0].dataset);
    let has_seeds = rows.iter().any(|row| row.groups[0].sample.n > 1);
    let leaky = comparison.groups.iter().map(|group| group.count(|member| member.is_leaky)).sum();
    let mut table = header(&rivals.objective.metric, several_data, has_seeds);
    for row in &rows {
        table.push_str(&line(row, several_data, has_seeds));
    }
    (table, leaky)
}

fn header(name: &str, several_data: bool, has_seeds: bool) -> String {
    let value = if name == "val/jaccard" { "Jaccard" } else { name };
    let mut heads = vec!["Network", "Setting"];
    heads.extend(several_data.then_some("Data"));
    heads.push(value);
    heads.extend(if has_seeds { vec!["±", "n"] } else { Vec::new() });
    heads.extend(["Status", "Time"]);
    format!("| {} |\n|{}\n", heads.join(" | "), "---|".repeat(heads.len()))
}

fn line(row: &Row<'_>, several_data: bool, has_seeds: bool) -> String {
    let best = row.groups[0];
    let none = || "–".to_owned();
    let value = best.sample.mean.map_or_else(none, |mean| {
        let flag = if best.count(|member| member.is_leaky) > 0 { " (leaky)" } else { "" };
        format!("{}{flag}", metric(Some(mean)))
    });
    let setting = match row.groups.len() {
        1 => row.label.clone(),
        count => format!("{} (best of {count})", row.label),
    };
    let mut cells = vec![row.network.to_owned(), setting];
    cells.extend(several_data.then(|| row.dataset.to_owned()));
    cells.push(value);
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

/// A setting without the name of the network, which has a column of its own.
fn named(parameters: &Map<String, Value>) -> String {
    let others = parameters.iter().filter(|(path, _)| *path != "model.name");
    let others: Map<String, Value> = others.map(|(k, v)| (k.clone(), v.clone())).collect();
    if others.is_empty() { "–".to_owned() } else { label(&others) }
}
