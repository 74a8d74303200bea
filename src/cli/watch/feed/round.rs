//! One round of reading: what is new in the journals, and what the view is about.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::log;
use crate::cli::ask::{self, from_store};
use crate::cli::screen::Aside;
use crate::cli::watch::pace::Pace;
use crate::cli::watch::seen::{Chosen, Kept, Seen, Wanted};
use crate::cli::{Context, Failure, failure};
use crate::clock::Clock;
use crate::id::TrialId;
use crate::query;
use crate::store::{Mode, Selector, Store, StoreError, TrialRow};

/// Between two looks at the journals of sweeps that are not looked at closely.
const OTHERS: Duration = Duration::from_secs(15);

/// Samples of a machine that are read.
const SAMPLES: u32 = 120;

/// What reads, with what it read last.
pub(super) struct Reader {
    pub(super) ctx: Context,
    said: Aside,
    /// Names; none means all.
    sweeps: Vec<String>,
    pause: Duration,
    /// When all is read again.
    pub(super) pace: Pace,
    others: Pace,
    /// What was wrong with files when all sweeps were collected last.
    problems: Vec<String>,
    wanted: Wanted,
    seen: Seen,
    /// Curves with the number of epochs that were done when they were read.
    curves: HashMap<TrialId, (u64, Vec<f64>)>,
    /// A database in memory stands for one that cannot be used; it is kept.
    kept: Option<Store>,
}

impl Reader {
    pub(super) fn new(ctx: Context, said: Aside, sweeps: Vec<String>, pause: Duration) -> Self {
        Self {
            ctx,
            said,
            sweeps,
            pause,
            pace: Pace::default(),
            others: Pace::default(),
            problems: Vec::new(),
            wanted: Wanted::default(),
            seen: Seen::default(),
            curves: HashMap::new(),
            kept: None,
        }
    }

    /// Reads what is wanted from now on, or as before; all of it where it is time, else only what is new
    /// in the wish. What cannot be read stays as it was.
    pub(super) async fn read(&mut self, wanted: Option<Wanted>) -> Seen {
        let now = self.ctx.clock.monotonic();
        let mut is_whole = self.pace.is_due(now);
        if let Some(wanted) = wanted {
            is_whole |= wanted.sweep != self.wanted.sweep;
            self.wanted = wanted;
        }
        if is_whole {
            self.seen.troubles.clear();
        }
        if let Err(failure) = self.read_from_store(is_whole).await {
            self.seen.troubles.push(failure.message);
        }
        // What is noted of damaged journals is for commands that answer once.
        let warnings = self.said.take().into_iter();
        let warnings =
            warnings.filter_map(|text| text.strip_prefix("warning: ").map(str::to_owned));
        self.seen.troubles.extend(warnings);
        if is_whole {
            self.pace.done(now, self.ctx.clock.monotonic(), self.pause);
        }
        self.seen.clone()
    }

    async fn read_from_store(&mut self, is_whole: bool) -> Result<(), Failure> {
        let mut store = match self.kept.take() {
            Some(store) => store,
            None => ask::open(&self.ctx).await?,
        };
        let read = self.read_from(&mut store, is_whole).await;
        self.kept = store.is_in_memory().then_some(store);
        read
    }

    async fn read_from(&mut self, store: &mut Store, is_whole: bool) -> Result<(), Failure> {
        if is_whole {
            if let Err(error) = self.collect(store).await {
                // What is known already can be shown all the same.
                self.seen.troubles.push(failure::chain(&error));
            }
            self.seen.troubles.extend_from_slice(&self.problems);
            let known: HashSet<String> =
                store.sweep_names().await.map_err(from_store)?.into_iter().collect();
            let names: Vec<_> =
                self.sweeps.iter().filter(|name| known.contains(*name)).cloned().collect();
            let is_none_there = names.is_empty() && !self.sweeps.is_empty();
            self.seen.sweeps = match is_none_there {
                true => Vec::new(),
                false => store.overview(&names).await.map_err(from_store)?,
            };
            self.trials(store).await?;
        }
        self.condition(store).await?;
        self.curves(store).await?;
        self.chosen(store).await
    }

    /// Collects the sweep that is looked at, and now and then the others.
    async fn collect(&mut self, store: &mut Store) -> Result<(), StoreError> {
        if store.mode() == Mode::ReadOnly {
            return Ok(());
        }
        let (root, began) = (self.ctx.root.clone(), self.ctx.clock.monotonic());
        let now = self.ctx.clock.now();
        if self.others.is_due(began) {
            let mut brought = Vec::new();
            if self.sweeps.is_empty() {
                brought = store.collect_all(&root, now).await?;
            }
            for sweep in &self.sweeps {
                brought.push(store.collect(&root, sweep, now).await?);
            }
            let problems = brought.iter().flat_map(|one| {
                one.problems.iter().map(|problem| format!("{}: {problem}", one.sweep))
            });
            self.problems = problems.collect();
            self.others.done(began, self.ctx.clock.monotonic(), OTHERS);
        } else if let Some(sweep) = &self.wanted.sweep {
            store.collect(&root, sweep, now).await?;
        }
        Ok(())
    }

    async fn trials(&mut self, store: &mut Store) -> Result<(), Failure> {
        let Some(sweep) = self.wanted.sweep.clone() else { return Ok(()) };
        let one = std::slice::from_ref(&sweep);
        let trials = store.trials(one).await.map_err(from_store)?;
        let status = store.status(one).await.map_err(from_store)?;
        let progress = status.into_iter().flat_map(|status| status.progress);
        self.seen.progress = Arc::new(progress.map(|one| (one.trial.clone(), one)).collect());
        self.seen.trials = Arc::new(trials);
        if self.seen.sweep.as_ref() != Some(&sweep) {
            self.curves.clear();
            self.seen.chosen = None;
            self.seen.sweep = Some(sweep);
        }
        Ok(())
    }

    async fn condition(&mut self, store: &mut Store) -> Result<(), Failure> {
        let (Some(condition), Some(sweep)) =
            (self.wanted.condition.clone(), self.seen.sweep.clone())
        else {
            self.seen.kept = None;
            return Ok(());
        };
        let words = store.vocabulary().await.map_err(from_store)?;
        let trials = match query::parse(&condition, &words) {
            Err(error) => {
                let hint = error.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
                Err(format!("column {}: {error}{hint}", error.column(&condition)))
            }
            Ok(filter) => {
                let sweeps = vec![sweep.clone()];
                let selector = Selector { sweeps, filter: Some(filter), ..Selector::default() };
                let (rows, _) = store.trials_of(&selector).await.map_err(from_store)?;
                Ok(rows.into_iter().map(|row| row.trial).collect())
            }
        };
        self.seen.kept = Some(Kept { condition, sweep, trials });
        Ok(())
    }

    /// Reads the curves of trials on the screen that have new epochs.
    async fn curves(&mut self, store: &mut Store) -> Result<(), Failure> {
        let Some(sweep) = &self.seen.sweep else { return Ok(()) };
        let visible: HashSet<&TrialId> = self.wanted.visible.iter().collect();
        let rows = self.seen.trials.iter().filter(|row| visible.contains(&row.trial));
        let done: HashMap<&TrialId, u64> =
            rows.map(|row: &TrialRow| (&row.trial, row.epochs_done)).collect();
        let is_new = |(trial, epochs): &(&&TrialId, &u64)| {
            self.curves.get(**trial).map_or(0, |(known, _)| *known) != **epochs
        };
        let new: Vec<TrialId> =
            done.iter().filter(is_new).map(|(trial, _)| (*trial).clone()).collect();
        if !new.is_empty() {
            let read = store.curves(sweep, &new).await.map_err(from_store)?;
            for (trial, curve) in read {
                let epochs = done.get(&trial).copied().unwrap_or_default();
                let values = curve.into_iter().filter_map(|(_, value)| value).collect();
                self.curves.insert(trial, (epochs, values));
            }
        }
        let shown = done.keys().filter_map(|trial| {
            self.curves.get(*trial).map(|(_, values)| ((*trial).clone(), values.clone()))
        });
        self.seen.curves = shown.collect();
        Ok(())
    }

    async fn chosen(&mut self, store: &mut Store) -> Result<(), Failure> {
        let (Some(sweep), Some(trial)) = (&self.seen.sweep, &self.wanted.trial) else {
            self.seen.chosen = None;
            return Ok(());
        };
        let is_here = self.seen.trials.iter().any(|row| row.trial == *trial);
        if !is_here {
            self.seen.chosen = None;
            return Ok(());
        }
        let key = store.resolve_trial(&format!("{sweep}/{trial}")).await.map_err(from_store)?;
        self.seen.chosen = Some(Chosen {
            detail: store.show(&key).await.map_err(from_store)?,
            samples: store.samples(&key, SAMPLES).await.map_err(from_store)?,
            log: log::tail(&self.ctx.root.sweep(sweep), trial),
        });
        Ok(())
    }
}
