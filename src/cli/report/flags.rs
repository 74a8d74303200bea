//! What must be known before the numbers of a report are believed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::document::{Document, Line};
use crate::cli::ask::plural;
use crate::metric::Direction;
use crate::store::{Doubt, TrialState};

/// Levels of an axis below which its ends say nothing.
const FEWEST_LEVELS: usize = 3;

/// Part of its best value that a trial may lose until its last epoch.
const FALL: f64 = 0.1;

/// How much a flag weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Weight {
    /// Numbers are not to be believed as they stand.
    Warning,
    /// Good to know.
    Note,
}

/// A flag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Flag {
    /// A word for programs.
    pub(super) kind: &'static str,
    pub(super) weight: Weight,
    /// A sentence for people.
    pub(super) text: String,
    /// Indices of the trials that it is about; none: of all.
    pub(super) trials: Vec<usize>,
    /// What to do about it on the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<&'static str>,
    /// The same where the report is written.
    #[serde(skip)]
    pub(super) on_command_line: Option<String>,
}

impl Flag {
    fn new(kind: &'static str, weight: Weight, text: String, trials: Vec<usize>) -> Self {
        Self { kind, weight, text, trials, advice: None, on_command_line: None }
    }
}

/// All flags, warnings first; `condition` holds for the trials on the first data set and split alone.
pub(super) fn of(document: &Document, versions: &[String], condition: Option<&str>) -> Vec<Flag> {
    let mut flags: Vec<Flag> = [
        leaky(document),
        leak(document),
        mixed(document, condition),
        wrong(document),
        lost(document),
    ]
    .into_iter()
    .chain([single_seed(document), cancelled(document), open(document), fell(document)])
    .chain([edge(document), many(document)])
    .flatten()
    .collect();
    if versions.len() > 1 {
        let list = versions.join(", ");
        let text = format!("Values come from several versions of the worker: {list}.");
        flags.push(Flag::new("versions", Weight::Note, text, Vec::new()));
    }
    flags.sort_by_key(|flag| flag.weight == Weight::Note);
    flags
}

fn indices(document: &Document, is: impl Fn(&Line) -> bool) -> Vec<usize> {
    let all = document.trials.iter().enumerate();
    all.filter(|(_, line)| is(line)).map(|(at, _)| at).collect()
}

/// `2 of 12 trials were`, `1 of 12 trials was`.
fn share(part: &[usize], document: &Document, [one, several]: [&str; 2]) -> String {
    let verb = if part.len() == 1 { one } else { several };
    format!("{} of {} {verb}", part.len(), plural(document.trials.len() as u64, "trial"))
}

fn leaky(document: &Document) -> Option<Flag> {
    let trials = indices(document, |line| line.best.is_leaky);
    let text = format!(
        "{} validated on leaky_random_patches: neighbours of the validation patches were trained on, and \
         such values say nothing about new images.",
        share(&trials, document, ["was", "were"])
    );
    (!trials.is_empty()).then_some(Flag::new("leaky", Weight::Warning, text, trials))
}

/// What the worker found of the validation split before it trained, of each data set and split its own.
fn leak(document: &Document) -> Option<Flag> {
    let trials = indices(document, |line| line.leak.is_some());
    let mut found: Vec<(Option<usize>, &str, usize)> = Vec::new();
    for line in &document.trials {
        let Some(words) = line.leak.as_deref() else { continue };
        match found.iter_mut().find(|(data, known, _)| (*data, *known) == (line.data, words)) {
            Some((.., count)) => *count += 1,
            None => found.push((line.data, words, 1)),
        }
    }
    found.sort_by_key(|(data, ..)| *data);
    let told = match &found[..] {
        [] => return None,
        [(_, words, _)] => format!(": {words}."),
        several => {
            let one = |(data, words, count): &(Option<usize>, &str, usize)| {
                let name = data.map_or("other data", |data| document.data[data].as_str());
                format!("On {name} ({}) {words}.", plural(*count as u64, "trial"))
            };
            format!(". {}", several.iter().map(one).collect::<Vec<_>>().join(" "))
        }
    };
    let who = share(&trials, document, ["was", "were"]);
    let text = format!("{who} validated on a split that leaks{told}");
    Some(Flag::new("leak", Weight::Warning, text, trials))
}

/// Values that were taken on different images.
fn mixed(document: &Document, condition: Option<&str>) -> Option<Flag> {
    let families = document.compare["families"].as_array().map_or(0, Vec::len);
    let families = families.max(document.data.len());
    let text = format!(
        "Values are of {families} data sets or splits, and not comparable with each other: where all trials stand \
         together, rankings, means and effects of settings mix them. The groups keep them apart, and the \
         summary tells of each or says of which."
    );
    let mut flag = Flag::new("mixed", Weight::Warning, text, Vec::new());
    if document.data.len() > 1 {
        flag.advice =
            Some("Choose one above, under “Data”: all panels then show its trials alone.");
        let condition = condition.unwrap_or("CONDITION").replace('\'', "'\\''");
        flag.on_command_line =
            Some(format!("`--where '{condition}'` writes a report of one of them alone."));
    }
    (families > 1).then_some(flag)
}

/// A best value that did not last.
fn fell(document: &Document) -> Option<Flag> {
    let best = document.best()?;
    let (value, last) = (best.best.value?, best.analysis.final_value?);
    let is_worse = match document.direction {
        Direction::Maximize => last < value - FALL * value.abs(),
        Direction::Minimize => last > value + FALL * value.abs(),
    };
    let metric = |value| crate::cli::ask::metric(Some(value));
    let text = format!(
        "The best trial, {}, had its best value, {}, at epoch {} and {} after the last: so good an epoch may be \
         luck. More epochs, a smaller learning rate, or a schedule that ends low make training steadier.",
        best.best.trial,
        metric(value),
        best.best.epoch.unwrap_or_default(),
        metric(last)
    );
    is_worse.then_some(Flag::new(
        "fell",
        Weight::Note,
        text,
        document.best_on(0).into_iter().collect(),
    ))
}

/// Trials that went wrong, by the first words of their verdict.
fn wrong(document: &Document) -> Option<Flag> {
    const WRONG: [(&str, &str); 4] = [
        ("collapsed", "collapsed"),
        ("diverged", "diverged"),
        ("never learnt", "never learnt"),
        ("val/loss frozen", "with a frozen loss"),
    ];
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut trials = Vec::new();
    for (at, line) in document.trials.iter().enumerate() {
        let found = WRONG.iter().find(|(begins, _)| line.analysis.verdict.starts_with(begins));
        if let Some((_, word)) = found {
            *counts.entry(word).or_default() += 1;
            trials.push(at);
        }
    }
    let list: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    let text = format!(
        "{} wrong: {}. A best value before that still ranks; the network kept is of that epoch.",
        share(&trials, document, ["went", "went"]),
        list.join(", ")
    );
    (!trials.is_empty()).then_some(Flag::new("collapsed", Weight::Warning, text, trials))
}

fn is_open(line: &Line) -> bool {
    line.best.state == TrialState::Planned || line.best.state.is_in_flight()
}

fn lost(document: &Document) -> Option<Flag> {
    let is_lost = |line: &Line| !line.counts && !is_open(line) && !is_cancelled(line);
    let trials = indices(document, is_lost);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for at in &trials {
        let state = &document.trials[*at].best.state;
        let word = match state {
            TrialState::Finished => "without a value".to_owned(),
            state => state.word().replace('_', " "),
        };
        *counts.entry(word).or_default() += 1;
    }
    let list: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    let text = format!(
        "{} lost ({}) and left out of means, which that may flatter.",
        share(&trials, document, ["was", "were"]),
        list.join(", ")
    );
    (!trials.is_empty()).then_some(Flag::new("lost", Weight::Warning, text, trials))
}

/// Not lost: somebody did not want them.
fn is_cancelled(line: &Line) -> bool {
    line.best.state == TrialState::Cancelled && !line.counts
}

fn cancelled(document: &Document) -> Option<Flag> {
    let trials = indices(document, is_cancelled);
    let who = share(&trials, document, ["was", "were"]);
    let text = format!("{who} cancelled by hand, and not part of means.");
    (!trials.is_empty()).then_some(Flag::new("cancelled", Weight::Note, text, trials))
}

fn open(document: &Document) -> Option<Flag> {
    let trials = indices(document, is_open);
    let who = share(&trials, document, ["is", "are"]);
    let text = format!("{who} not finished, and not part of means yet.");
    (!trials.is_empty()).then_some(Flag::new("unfinished", Weight::Note, text, trials))
}

/// Settings of which one seed counts: nobody knows their spread.
fn single_seed(document: &Document) -> Option<Flag> {
    let mut seeds: BTreeMap<usize, BTreeSet<u64>> = BTreeMap::new();
    for line in document.trials.iter().filter(|line| line.counts) {
        seeds.entry(line.setting).or_default().insert(line.best.seed);
    }
    let is_single = |setting: &usize| seeds.get(setting).is_some_and(|seeds| seeds.len() == 1);
    let single = seeds.keys().filter(|setting| is_single(setting)).count();
    let trials = indices(document, |line| line.counts && is_single(&line.setting));
    let text = format!(
        "{single} of {} {} a single seed: its spread is not known, and nobody can tell a difference to others \
         from chance. `repeats` in the sweep file adds seeds.",
        plural(seeds.len() as u64, "setting"),
        if single == 1 { "has" } else { "have" }
    );
    (single > 0).then_some(Flag::new("single_seed", Weight::Warning, text, trials))
}

/// A best value at the end of what was tried.
fn edge(document: &Document) -> Option<Flag> {
    let best = document.best()?;
    // What takes all for foreground says nothing of what lies beyond.
    if best.best.flags.iter().any(|flag| [Doubt::NeverLearnt, Doubt::TakesAll].contains(flag)) {
        return None;
    }
    let at_edge = document.parameters.iter().filter_map(|parameter| {
        let axis = parameter.axis.as_ref().filter(|axis| axis.numeric)?;
        // Other sweeps may have tried other values for reasons of their own.
        let own = document.trials.iter().zip(&axis.steps);
        let own =
            own.filter(|(line, _)| line.best.sweep == best.best.sweep && line.data == best.data);
        let tried: BTreeSet<usize> = own.filter_map(|(_, step)| *step).collect();
        let (first, last) =
            (tried.first()?, tried.last().filter(|_| tried.len() >= FEWEST_LEVELS)?);
        let step = axis.steps[document.best_on(0)?]?;
        let word = if step == *last { "largest" } else { "smallest" };
        let is_end = step == *last || step == *first;
        is_end.then(|| format!("{} ({word} tried: {})", parameter.path, axis.labels[step]))
    });
    let list: Vec<String> = at_edge.collect();
    let text = format!(
        "The best trial, {}, lies at the edge of {}: better values may lie beyond.",
        best.best.trial,
        list.join(" and ")
    );
    (!list.is_empty()).then_some(Flag::new(
        "edge",
        Weight::Note,
        text,
        document.best_on(0).into_iter().collect(),
    ))
}

/// A best of many is a little too good.
fn many(document: &Document) -> Option<Flag> {
    let is_rival = |line: &&Line| line.best.value.is_some() && line.data == Some(0);
    let valued = document.trials.iter().filter(is_rival).count();
    let text = format!(
        "The best of {valued} trials was chosen by its value on the validation split, so that this value \
         is a little too good. Only images that no choice has seen tell how good it is: a test split, \
         `regatta evaluate`."
    );
    (valued > 1).then_some(Flag::new("chosen", Weight::Note, text, Vec::new()))
}
