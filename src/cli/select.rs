//! Which trials a verb is about: a sweep, a trial, states.

use std::collections::BTreeSet;

use super::submit::from_store;
use super::{Context, Failure, ask};
use crate::id::TrialId;
use crate::layout::Root;
use crate::store::{Store, StoreError, TrialRow, TrialState};

/// A sweep or trials of it.
#[derive(Debug, clap::Args)]
pub(super) struct Select {
    /// A sweep (its name or YAML file), or trials (the first digits of their ids)
    #[arg(required = true, value_name = "SWEEP|TRIAL")]
    what: Vec<String>,
    /// Only trials in this state, such as failed or cancelled; may be given several times
    #[arg(long, value_name = "STATE")]
    state: Vec<String>,
}

impl Select {
    /// The same as one word on the command line.
    pub(super) fn of(word: String) -> Self {
        Self { what: vec![word], state: Vec::new() }
    }
}

/// Trials of one sweep.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) sweep: String,
    pub(super) trials: BTreeSet<TrialId>,
    /// Whether trials or states were named, not only the sweep.
    pub(super) is_explicit: bool,
}

impl Select {
    /// Finds the trials. All must be of one sweep.
    pub(super) async fn find(
        &self,
        ctx: &Context,
        root: &Root,
        store: &mut Store,
    ) -> Result<Selected, Failure> {
        let mut sweep: Option<String> = None;
        let mut named = BTreeSet::new();
        for word in &self.what {
            let of = match sweep_here(root, word) {
                Some(name) => name,
                None => {
                    store
                        .collect_all(root, crate::clock::Clock::now(&ctx.clock))
                        .await
                        .map_err(from_store)?;
                    let key =
                        store.resolve_trial(word).await.map_err(|error| unknown(word, error))?;
                    named.insert(key.trial);
                    key.sweep
                }
            };
            if sweep.as_ref().is_some_and(|first| *first != of) {
                return Err(Failure::usage("these belong to several sweeps")
                    .hint("name trials of one sweep at a time"));
            }
            sweep = Some(of);
        }
        let sweep = sweep.unwrap_or_default();
        store
            .collect(root, &sweep, crate::clock::Clock::now(&ctx.clock))
            .await
            .map_err(from_store)?;
        let rows = store.trials(std::slice::from_ref(&sweep)).await.map_err(from_store)?;
        let wanted = |row: &TrialRow| {
            (named.is_empty() || named.contains(&row.trial))
                && (self.state.is_empty()
                    || self.state.iter().any(|state| *state == row.state.word()))
        };
        self.check_states()?;
        let trials = rows.iter().filter(|row| wanted(row)).map(|row| row.trial.clone()).collect();
        Ok(Selected { sweep, trials, is_explicit: !named.is_empty() || !self.state.is_empty() })
    }

    fn check_states(&self) -> Result<(), Failure> {
        let known: Vec<String> = TrialState::ALL.iter().map(TrialState::word).collect();
        match self.state.iter().find(|state| !known.contains(state)) {
            Some(state) => Err(Failure::usage(format!("`{state}` is no state"))
                .hint(format!("known: {}", known.join(", ")))),
            None => Ok(()),
        }
    }
}

/// Returns the name of the sweep that a word means, if it is staged here: the name itself, or that
/// of a sweep file.
pub(super) fn sweep_here(root: &Root, word: &str) -> Option<String> {
    let name = ask::sweep_name(word).ok()?;
    root.sweep(&name).controller_journal().is_file().then_some(name)
}

pub(super) fn unknown(word: &str, error: StoreError) -> Failure {
    match error {
        StoreError::NoTrial { .. } | StoreError::NoSweep { .. } => {
            Failure::user(format!("`{word}` is neither a sweep nor a trial here"))
                .hint("`regatta status` lists the sweeps, `regatta trials SWEEP` their trials")
        }
        other => from_store(other),
    }
}
