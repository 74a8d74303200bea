//! A report in some sentences.

use std::collections::BTreeMap;

use super::data::SPLIT;
use super::document::{Document, Line};
use super::effects::{Parameter, levels, share};
use crate::analysis::median;
use crate::cli::ask::{metric, plural, span, unique_length};
use crate::store::TrialState;

/// The sentences; `lead` says which group is the better one.
pub(super) fn summary(document: &Document, lead: Option<&str>) -> Vec<String> {
    let parts = [
        Some(scope(document)),
        only(document),
        data(document),
        best(document),
        others(document),
        lead.map(|lead| {
            let settled = document.method.as_str();
            format!("Of the groups, {lead} ({settled}).")
        }),
        settings(document),
        time(document),
        gpu(document),
    ];
    parts.into_iter().flatten().collect()
}

fn scope(document: &Document) -> String {
    if document.trials.is_empty() {
        return format!(
            "{} has no trials yet.",
            match document.sweeps.as_slice() {
                [] => "This folder".to_owned(),
                sweeps => sweeps.join(", "),
            }
        );
    }
    let trials = plural(document.trials.len() as u64, "trial");
    let mut settings: BTreeMap<usize, usize> = BTreeMap::new();
    for line in &document.trials {
        *settings.entry(line.setting).or_default() += 1;
    }
    let repeats = match (settings.values().min(), settings.values().max()) {
        (Some(1), Some(1)) | (None, _) | (_, None) => "one seed each".to_owned(),
        (Some(least), Some(most)) if least == most => format!("{least} seeds each"),
        (Some(least), Some(most)) => format!("{least} to {most} trials each"),
    };
    let names: Vec<&str> =
        document.parameters.iter().map(|parameter| parameter.path.as_str()).collect();
    let over = match names.as_slice() {
        [] => String::new(),
        names => format!(" over {}", names.join(", ")),
    };
    let states: Vec<String> =
        document.states().iter().map(|(count, state)| format!("{count} {state}")).collect();
    let settings = plural(settings.len() as u64, "setting");
    let stands = if states.is_empty() { String::new() } else { format!("; {}", states.join(", ")) };
    format!("{}: {trials} of {settings}{over}, {repeats}{stands}.", document.sweeps.join(", "))
}

/// What `--where` left.
fn only(document: &Document) -> Option<String> {
    let list: Vec<String> = document.conditions.iter().map(|text| quoted(text)).collect();
    (!list.is_empty()).then(|| {
        format!(
            "Only trials with {} are told; others of these sweeps are left out.",
            list.join(" and ")
        )
    })
}

/// On what values were taken: a split says more of them than most settings.
fn data(document: &Document) -> Option<String> {
    let list = document.data.join("; ");
    (!list.is_empty()).then(|| format!("Validated on {list}."))
}

fn best(document: &Document) -> Option<String> {
    let Some(line) = document.best() else {
        return Some(format!("No trial has a value of {} yet.", document.metric));
    };
    let length = unique_length(document.trials.iter().map(|line| line.best.trial.as_str()));
    let settings = line.setting(&document.parameters);
    let with = if settings.is_empty() { String::new() } else { format!("{settings}, ") };
    let of = line.epochs.map_or(String::new(), |all| format!(" of {all}"));
    let measures =
        [gap(line), line.analysis.stability.map(|sd| format!("stability {}", metric(Some(sd))))];
    let measures: Vec<String> = measures.into_iter().flatten().collect();
    let measured =
        if measures.is_empty() { String::new() } else { format!("; {}", measures.join(", ")) };
    Some(format!(
        "The best {}{} is {}: trial {} at epoch {}{of} ({with}seed {}), which is judged {}{measured}.",
        document.metric,
        on_first(document),
        metric(line.best.value),
        &line.best.trial.as_str()[..length],
        line.best.epoch.unwrap_or_default(),
        line.best.seed,
        quoted(&line.analysis.verdict),
    ))
}

/// Of which data a sentence is, where there are several.
fn on_first(document: &Document) -> String {
    match &document.data[..] {
        [first, _, ..] => format!(" on {first}"),
        _ => String::new(),
    }
}

/// The overfitting gap at both epochs that are told elsewhere, so that nobody takes one for the other.
fn gap(line: &Line) -> Option<String> {
    let at_best = line.analysis.gap_at_best?;
    let at_end = line
        .analysis
        .gap
        .map_or(String::new(), |gap| format!(" and {} after its last epoch", metric(Some(gap))));
    Some(format!(
        "its overfitting gap (val/loss less train/loss) is {} at that epoch{at_end}",
        metric(Some(at_best))
    ))
}

/// The best values on other data sets and splits.
fn others(document: &Document) -> Option<String> {
    let length = unique_length(document.trials.iter().map(|line| line.best.trial.as_str()));
    let told = |(at, name): (usize, &String)| {
        let line = &document.trials[document.best_on(at)?];
        let trial = &line.best.trial.as_str()[..length];
        Some(format!("{} on {name} (trial {trial})", metric(line.best.value)))
    };
    let told: Vec<String> = document.data.iter().enumerate().skip(1).filter_map(told).collect();
    (!told.is_empty()).then(|| format!("The best elsewhere, not comparable: {}.", told.join("; ")))
}

fn quoted(words: &str) -> String {
    format!("“{words}”")
}

/// Which settings matter, as far as the spread tells; of the first data set and split alone.
fn settings(document: &Document) -> Option<String> {
    let is_told = |line: &&Line| line.counts && line.data == Some(0);
    let values: Vec<Option<f64>> = document
        .trials
        .iter()
        .map(|line| Some(line).filter(is_told).and_then(|line| line.best.value))
        .collect();
    let share = |parameter: &Parameter| share(&levels(parameter.axis.as_ref()?, &values), &values);
    let mut shares: Vec<(f64, &str)> = document
        .parameters
        .iter()
        .filter(|parameter| document.data.len() < 2 || parameter.path != SPLIT)
        .filter_map(|parameter| Some((share(parameter)?, parameter.path.as_str())))
        .collect();
    shares.sort_by(|a, b| b.0.total_cmp(&a.0));
    let told: Vec<String> = shares
        .iter()
        .take(3)
        .map(|(share, path)| format!("{path} explains {:.0} %", 100.0 * share))
        .collect();
    (!told.is_empty()).then(|| {
        format!("Of the differences between values{} {}.", on_first(document), told.join(", "))
    })
}

fn time(document: &Document) -> Option<String> {
    let seconds = document.trials.iter().filter_map(|line| line.analysis.training_seconds);
    let total: f64 = seconds.clone().sum();
    let half = median(seconds)?;
    let cost = &document.cost;
    let lost = match cost.interrupted() {
        0 => "no attempt was interrupted".to_owned(),
        count => format!(
            "{} cost {} of waiting and {} of starting again{}",
            plural(count, "interruption"),
            span(cost.waiting),
            span(cost.later_starts),
            match waiting(document) {
                0 => String::new(),
                1 => " until now, and 1 trial still waits to go on".to_owned(),
                more => format!(" until now, and {more} trials still wait to go on"),
            }
        ),
    };
    Some(format!(
        "Training took {} over all trials, {} in the median; {lost}.",
        span(total),
        span(half)
    ))
}

/// Trials that were interrupted and stand in the queue again: what that costs is not known yet.
fn waiting(document: &Document) -> usize {
    let waits = |line: &&Line| {
        line.cost.interrupted() > 0
            && [TrialState::Waiting, TrialState::Submitted].contains(&line.best.state)
    };
    document.trials.iter().filter(waits).count()
}

fn gpu(document: &Document) -> Option<String> {
    let (mut sum, mut weight) = (0.0, 0.0);
    let told = |line: &Line| Some((line.gpu?.utilisation?, line.cost.wall.max(1.0)));
    for (utilisation, wall) in document.trials.iter().filter_map(told) {
        sum += utilisation * wall;
        weight += wall;
    }
    (weight > 0.0).then(|| {
        format!("While attempts ran, GPUs were busy for {:.0} % of the time.", sum / weight)
    })
}
