//! Bars where somebody watches, a line for each change where not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{Context, table};
use crate::control::Step;
use crate::id::TrialId;
use crate::store::{TrialRow, TrialState};

/// Bars shown for single trials at most.
const MAX_BARS: usize = 8;

/// The bar of all trials and that of one, in any width: words are cut, and bars end in the same column.
const TOTAL: &str = "{msg:34!} {wide_bar} {pos:>5}/{len:5} epochs {elapsed_precise}";
const ONE: &str = "  {msg:32!} {wide_bar} {pos:>5}/{len:5}                ";

/// What a waiting command shows.
pub(super) struct Display {
    bars: Option<Bars>,
    /// What was last told of each trial.
    told: BTreeMap<TrialId, (TrialState, u64)>,
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    trials: BTreeMap<TrialId, ProgressBar>,
}

impl Display {
    pub(super) fn new(ctx: &Context) -> Self {
        let bars = ctx.screen.is_watched().then(|| {
            let all = MultiProgress::new();
            let total = all.add(ProgressBar::new(0));
            total.set_style(style(TOTAL));
            Bars { all, total, trials: BTreeMap::new() }
        });
        Self { bars, told: BTreeMap::new() }
    }

    /// Says whether it wants to be shown something every second.
    pub(super) fn is_live(&self) -> bool {
        self.bars.is_some()
    }

    pub(super) fn show(&mut self, ctx: &Context, rows: &[TrialRow]) {
        match &mut self.bars {
            Some(bars) => bars.show(rows),
            None => self.tell(ctx, rows),
        }
    }

    /// Says something above the bars.
    pub(super) fn say(&self, ctx: &Context, text: &str) {
        match &self.bars {
            Some(bars) => drop(bars.all.println(text)),
            None => ctx.screen.warn(text),
        }
    }

    /// Passes on above the bars what another verb said.
    pub(super) fn pass_on(&self, ctx: &Context, text: &str) {
        match &self.bars {
            Some(bars) => drop(bars.all.println(text)),
            None => ctx.screen.tell(text),
        }
    }

    pub(super) fn end(&mut self) {
        if let Some(bars) = self.bars.take() {
            let _ = bars.all.clear();
        }
    }

    fn tell(&mut self, ctx: &Context, rows: &[TrialRow]) {
        let seeds = Seeds::of(rows);
        for row in rows {
            let value = row.value.map_or(String::new(), |value| format!("  best {value:.4}"));
            let (stage, tenth) = match row.epochs {
                Some(epochs) if row.state == TrialState::Running => {
                    // A line at each tenth, not at each epoch.
                    (
                        format!("{} {}/{epochs} epochs", row.state, row.epochs_done),
                        row.epochs_done * 10 / epochs.max(1),
                    )
                }
                _ => (row.state.to_string(), 0),
            };
            let mark = (row.state.clone(), tenth);
            if self.told.get(&row.trial) != Some(&mark) {
                ctx.screen.note(format!("{}  {}  {stage}{value}", row.trial, seeds.name(row)));
                self.told.insert(row.trial.clone(), mark);
            }
        }
    }
}

impl Bars {
    fn show(&mut self, rows: &[TrialRow]) {
        let finished = rows.iter().filter(|row| row.state == TrialState::Finished).count();
        let running = rows.iter().filter(|row| row.state == TrialState::Running).count();
        if self.total.length() == Some(0) {
            // Not before there is something to show: a bar of nothing looks full.
            self.total.enable_steady_tick(Duration::from_millis(500));
        }
        self.total.set_length(rows.iter().filter_map(|row| row.epochs).sum());
        self.total.set_position(rows.iter().map(|row| row.epochs_done).sum());
        self.total
            .set_message(format!("{finished}/{} trials finished, {running} running", rows.len()));
        let seeds = Seeds::of(rows);
        for row in rows {
            if row.state == TrialState::Running {
                self.show_trial(row, &seeds);
            } else if let Some(bar) = self.trials.remove(&row.trial) {
                bar.finish_and_clear();
                let value =
                    row.value.map_or("no value".to_owned(), |value| format!("best {value:.4}"));
                let _ = self.all.println(format!(
                    "{}  {}  {}  {value}",
                    row.trial,
                    seeds.name(row),
                    row.state
                ));
            }
        }
    }

    fn show_trial(&mut self, row: &TrialRow, seeds: &Seeds) {
        if !self.trials.contains_key(&row.trial) {
            if self.trials.len() == MAX_BARS {
                return;
            }
            let bar = self.all.add(ProgressBar::new(row.epochs.unwrap_or(0)));
            bar.set_style(style(ONE));
            self.trials.insert(row.trial.clone(), bar);
        }
        let Some(bar) = self.trials.get(&row.trial) else { return };
        let value = row.value.map_or(" ".repeat(6), |value| format!("{value:.4}"));
        bar.set_length(row.epochs.unwrap_or(0));
        bar.set_position(row.epochs_done);
        bar.set_message(format!("{value}  {}", seeds.name(row)));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Sweeps whose trials are told apart by their seeds, too.
#[derive(Clone, Debug, Default)]
pub(super) struct Seeds(BTreeSet<String>);

impl Seeds {
    /// Finds the sweeps with several seeds.
    pub(super) fn of<'a>(rows: impl IntoIterator<Item = &'a TrialRow>) -> Self {
        let mut first: BTreeMap<&str, u64> = BTreeMap::new();
        let mut several = BTreeSet::new();
        for row in rows {
            if *first.entry(&row.sweep).or_insert(row.seed) != row.seed {
                several.insert(row.sweep.as_str());
            }
        }
        Self(several.into_iter().map(str::to_owned).collect())
    }

    /// Says whether the trials of a sweep have several.
    pub(super) fn differ_in(&self, sweep: &str) -> bool {
        self.0.contains(sweep)
    }

    /// What tells a trial from others, in a few words: its seed, which is short, before its swept values.
    pub(super) fn name(&self, row: &TrialRow) -> String {
        let words = table::in_words(&row.parameters);
        match self.differ_in(&row.sweep) {
            true => format!("seed={} {words}", row.seed).trim_end().to_owned(),
            false => words,
        }
    }
}

/// A bar over bytes, where somebody watches.
pub(super) struct Bytes {
    bar: Option<ProgressBar>,
}

impl Bytes {
    pub(super) fn new(ctx: &Context, what: &str) -> Self {
        let bar = ctx.screen.is_watched().then(|| {
            let bar = ProgressBar::no_length().with_message(what.to_owned());
            bar.set_style(style("{msg:10} {bar:24} {bytes}/{total_bytes}  {elapsed_precise}"));
            bar
        });
        Self { bar }
    }

    pub(super) fn show(&mut self, step: Step) {
        let Some(bar) = &self.bar else { return };
        match step {
            Step::Looked(bytes) | Step::Moved(bytes) => bar.inc(bytes),
            Step::Total(bytes) => {
                bar.reset();
                bar.set_length(bytes);
            }
        }
    }

    pub(super) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sweep: &str, seed: u64) -> TrialRow {
        let parameters = serde_json::json!({ "optimizer.lr": 0.1 });
        TrialRow {
            sweep: sweep.to_owned(),
            trial: format!("{seed:016x}").parse().expect("id"),
            state: TrialState::Running,
            why: String::new(),
            seed,
            repeat: 0,
            parameters: parameters.as_object().expect("object").clone(),
            attempts: 1,
            elapsed: None,
            heard_at: None,
            epochs_done: 0,
            epochs: None,
            value: None,
            epoch: None,
        }
    }

    #[test]
    fn seeds_are_part_of_names_where_they_differ_within_a_sweep() {
        let rows = [row("one", 3), row("two", 4), row("two", 5), row("one", 3)];
        let seeds = Seeds::of(&rows);
        let names: Vec<String> = rows.iter().map(|row| seeds.name(row)).collect();
        assert_eq!(names, ["lr=0.1", "seed=4 lr=0.1", "seed=5 lr=0.1", "lr=0.1"]);
        let mut bare = [row("one", 0), row("one", 1)];
        bare.iter_mut().for_each(|row| row.parameters.clear());
        assert_eq!(Seeds::of(&bare).name(&bare[0]), "seed=0");
    }
}
