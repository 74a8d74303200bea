//! Groups as a table, as columns and rows, and as JSON.

use serde_json::{Map, Value, json};

use super::sweeps::{self, Summary};
use super::view::{self, View, against};
use super::words;
use crate::analysis::{Against, Group, Member};
use crate::cli::analysis::time;
use crate::cli::ask::{metric, unique_length};
use crate::cli::sheet::Sheet;
use crate::cli::table;
use crate::query::Kind;

pub(super) fn as_text(
    view: &View,
    shown: usize,
    notes: &[String],
    all: Option<&[Summary]>,
) -> String {
    let mut parts = Vec::new();
    let groups = &view.comparison.groups[..view.comparison.groups.len().min(shown)];
    if !groups.is_empty() {
        let values: Vec<Map<String, Value>> = groups.iter().map(|one| view.values(one)).collect();
        let columns = table::Parameters::new(values.iter());
        let length = unique_length(groups.iter().filter_map(best).map(|best| best.trial.as_str()));
        let families = view::families(groups);
        for family in &families {
            let table = as_table(view, family, &columns, length);
            parts.push(match families.len() {
                1 => table,
                _ => format!("{}\n{table}", heading(family[0])),
            });
        }
        let lines = words::plain_verdicts(view).into_iter().chain(words::leads(view));
        let lines = lines.chain([words::method(view)]);
        let lines = lines.chain(notes.iter().map(|note| format!("* {note}")));
        parts.push(lines.collect::<Vec<_>>().join("\n"));
    }
    parts.extend(all.map(sweeps::as_table));
    parts.join("\n\n")
}

/// What the groups of a family were validated on.
fn heading(group: &Group) -> String {
    let data = &group.dataset;
    match (group.family, group.is_leaky) {
        (None, _) => "Validated on different files, not comparable:".to_owned(),
        (_, true) => format!("Validated on {data}, which leaks:"),
        _ => format!("Validated on {data}:"),
    }
}

fn as_table(view: &View, groups: &[&Group], columns: &table::Parameters, length: usize) -> String {
    let first = view.first(groups[0].family).map_or("THE FIRST", |first| first.name.as_str());
    let fixed = ["N", "MEAN", "SD", "95 % INTERVAL", "BEST", "TRIAL", "TIME", "LOST"];
    let fixed = fixed.map(str::to_owned).into_iter().chain([format!("AGAINST {first}")]);
    let mut table = table::new();
    let head = std::iter::once("GROUP".to_owned()).chain(columns.headers());
    table.set_header(head.chain(fixed).collect::<Vec<_>>());
    for group in groups {
        let interval = group.sample.interval();
        let best = best(group);
        let fixed = [
            number(group),
            metric(group.sample.mean),
            metric(group.sample.deviation),
            interval.map_or("-".to_owned(), |(low, high)| {
                format!("{} to {}", metric(Some(low)), metric(Some(high)))
            }),
            metric(best.and_then(|best| best.value)),
            best.map_or("-".to_owned(), |best| best.trial.as_str()[..length].to_owned()),
            time(group.median_seconds),
            group.lost_trials().to_string(),
            against(group),
        ];
        let values = view.values(group);
        let cells = std::iter::once(group.name.clone()).chain(columns.cells(&values));
        table.add_row(cells.chain(fixed));
    }
    table::text(&table)
}

/// Values of trials, `2/3` where not all count.
fn number(group: &Group) -> String {
    let (n, all) = (group.sample.n, group.members.len());
    if n == all { n.to_string() } else { format!("{n}/{all}") }
}

fn best(group: &Group) -> Option<&Member> {
    group.best.map(|at| &group.members[at])
}

/// The shape is a promise: scripts read it.
pub(super) fn as_json(
    view: &View,
    shown: usize,
    notes: &[String],
    all: Option<&[Summary]>,
) -> Value {
    let group = |group: &Group| {
        let (p, p_holm) = chances(&group.against);
        json!({
            "group": group.name, "family": family(group),
            "by": view.values(group), "trials": group.members.len(), "n": group.sample.n,
            "mean": group.sample.mean, "sd": group.sample.deviation,
            "ci95": group.sample.interval().map(|(low, high)| [low, high]),
            "best": best(group).map(|best| json!({
                "trial": best.trial, "sweep": best.sweep, "value": best.value, "epoch": best.epoch,
            })),
            "median_seconds": group.median_seconds, "lost": group.lost, "open": group.open_trials(),
            "collapsed": group.count(|member| member.is_collapsed),
            "never_learnt": group.count(|member| member.never_learnt),
            "leaky": group.count(|member| member.is_leaky), "settings": group.points,
            "data": [group.dataset], "p": p, "p_holm": p_holm, "verdict": verdict(&group.against),
        })
    };
    json!({
        "schema_version": 1,
        "kind": "groups",
        "metric": view.objective.metric,
        "direction": view.objective.direction,
        "epoch": view.epoch(),
        "by": view.paths,
        "test": { "name": "welch", "level": crate::analysis::LEVEL, "correction": "holm", "tests": view.comparison.tests.iter().sum::<usize>() },
        "verdict": view.verdict.as_ref().map(verdict),
        "families": families(view),
        "groups": view.comparison.groups.iter().take(shown).map(group).collect::<Vec<_>>(),
        "notes": notes,
        "sweeps": all.unwrap_or_default().iter().map(sweeps::as_json).collect::<Vec<_>>(),
    })
}

/// What was compared with what, and on which data.
fn families(view: &View) -> Vec<Value> {
    let family = |(at, tests): (usize, &usize)| {
        let own = || view.comparison.groups.iter().filter(|group| group.family == Some(at));
        json!({
            "family": at + 1, "data": own().map(|group| &group.dataset).next(),
            "leaky": own().any(|group| group.is_leaky), "groups": own().count(),
            "first": view.first(Some(at)).map(|first| &first.name), "tests": tests,
        })
    };
    view.comparison.tests.iter().enumerate().map(family).collect()
}

/// Families are counted from 1 where people see them.
fn family(group: &Group) -> Option<usize> {
    group.family.map(|family| family + 1)
}

/// The verdict in one word.
fn verdict(against: &Against) -> &'static str {
    match against {
        Against::First => "first",
        Against::Separable(..) => "separable",
        Against::NotSeparable(..) => "not_separable",
        Against::OneSeed => "one_seed",
        Against::NoSpread => "no_spread",
        Against::NoValue => "no_value",
        Against::NeverLearnt => "never_learnt",
        Against::NotComparable => "not_comparable",
    }
}

fn chances(against: &Against) -> (Option<f64>, Option<f64>) {
    match against {
        Against::Separable(p, adjusted) | Against::NotSeparable(p, adjusted) => {
            (Some(*p), Some(*adjusted))
        }
        _ => (None, None),
    }
}

/// Columns beside those of the settings.
const FIXED: [(&str, Kind); 22] = [
    ("trials", Kind::Whole),
    ("n", Kind::Whole),
    ("mean", Kind::Number),
    ("sd", Kind::Number),
    ("ci95_low", Kind::Number),
    ("ci95_high", Kind::Number),
    ("best", Kind::Number),
    ("best_trial", Kind::Text),
    ("best_epoch", Kind::Whole),
    ("median_seconds", Kind::Number),
    ("lost", Kind::Whole),
    ("open", Kind::Whole),
    ("collapsed", Kind::Whole),
    ("never_learnt", Kind::Whole),
    ("leaky", Kind::Whole),
    ("settings", Kind::Whole),
    ("p", Kind::Number),
    ("p_holm", Kind::Number),
    ("verdict", Kind::Text),
    ("group", Kind::Text),
    ("family", Kind::Whole),
    ("data", Kind::Text),
];

/// All groups.
pub(super) fn as_sheet(view: &View) -> Sheet {
    let mut sheet = Sheet::default();
    sheet.columns(view.paths.iter().cloned());
    for (name, kind) in FIXED {
        sheet.column(name, kind);
    }
    let row = |group: &Group| {
        let cells = crate::cli::best::parameter_cells(&view.values(group), &view.paths);
        let best = best(group);
        let (low, high) = group.sample.interval().unzip();
        let (p, p_holm) = chances(&group.against);
        let fixed = [
            json!(group.members.len()),
            json!(group.sample.n),
            json!(group.sample.mean),
            json!(group.sample.deviation),
            json!(low),
            json!(high),
            json!(best.and_then(|best| best.value)),
            json!(best.map(|best| &best.trial)),
            json!(best.and_then(|best| best.epoch)),
            json!(group.median_seconds),
            json!(group.lost_trials()),
            json!(group.open_trials()),
            json!(group.count(|member| member.is_collapsed)),
            json!(group.count(|member| member.never_learnt)),
            json!(group.count(|member| member.is_leaky)),
            json!(group.points),
            json!(p),
            json!(p_holm),
            json!(verdict(&group.against)),
            json!(group.name),
            json!(family(group)),
            json!(group.dataset),
        ];
        cells.into_iter().chain(fixed).collect()
    };
    sheet.rows = view.comparison.groups.iter().map(row).collect();
    sheet
}
