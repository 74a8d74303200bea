//! What looks at sweeps as `status` does, each at its own pace.

use std::collections::HashMap;
use std::time::Duration;

use super::Args;
use super::pace::{Pace, between_looks};
use super::seen::Told;
use crate::cli::ask::from_store;
use crate::cli::gate::absolute;
use crate::cli::looking::{Asked, look_at};
use crate::cli::screen::Aside;
use crate::cli::submit::open_store;
use crate::cli::{Context, Failure};
use crate::clock::Clock;
use crate::layout::Root;
use crate::store::StoreError;

/// What looks at sweeps.
pub(super) struct Looker {
    pub(super) args: Args,
    root: Root,
    /// Names; none means all.
    pub(super) sweeps: Vec<String>,
    paces: HashMap<String, Pace>,
}

impl Looker {
    /// What looks at these sweeps, all for none.
    pub(super) fn new(ctx: &Context, args: &Args, sweeps: Vec<String>) -> Result<Self, Failure> {
        let root = Root::new(absolute(ctx.root.path())?);
        Ok(Self { args: args.clone(), root, sweeps, paces: HashMap::new() })
    }

    /// All sweeps are looked at again at once.
    pub(super) fn hurry(&mut self) {
        self.paces.values_mut().for_each(Pace::hurry);
    }

    /// Says whether it is time to look at a sweep.
    pub(super) fn is_due(&self, ctx: &Context, sweep: &str) -> bool {
        self.pace(sweep).is_due(ctx.clock.monotonic())
    }

    /// The sweep that should have been looked at for the longest time.
    pub(super) fn next(&self, ctx: &Context) -> Option<String> {
        if self.args.way.offline {
            return None;
        }
        let names = match self.sweeps.is_empty() {
            true => self.root.sweeps().unwrap_or_default(),
            false => self.sweeps.clone(),
        };
        let now = ctx.clock.monotonic();
        // One after the other, also where all of them take longer than the pause.
        first(names.into_iter().map(|name| (self.pace(&name), name)), now)
    }

    fn pace(&self, sweep: &str) -> Pace {
        self.paces.get(sweep).copied().unwrap_or_default()
    }

    /// Looks at one sweep, and says when it is to be looked at again.
    pub(super) async fn look(&mut self, ctx: &Context, said: &Aside, sweep: &str) -> Told {
        let began = ctx.clock.monotonic();
        said.take();
        let looked = self.look_if_it_moves(ctx, sweep).await;
        let mut told = Told { sweep: sweep.to_owned(), words: said.take(), ..Told::default() };
        match looked {
            Ok(Some(asked)) => {
                told = Told {
                    scheduler: asked.scheduler,
                    at: asked.at,
                    silent: asked.silent,
                    goes_on: asked.goes_on,
                    ..told
                };
            }
            Ok(None) => {}
            Err(failure) => told.silent = Some(failure.message),
        }
        let pause = between_looks(&self.args.way.gate, told.scheduler);
        let pace = self.paces.entry(sweep.to_owned()).or_default();
        pace.done(began, ctx.clock.monotonic(), pause);
        told
    }

    async fn look_if_it_moves(&self, ctx: &Context, sweep: &str) -> Result<Option<Asked>, Failure> {
        let mut store = open_store(&self.root).await?;
        let may_move = match store.may_move(sweep).await {
            // Nobody has collected it yet.
            Err(StoreError::NoSweep { .. }) => false,
            other => other.map_err(from_store)?,
        };
        if !may_move {
            return Ok(None);
        }
        look_at(ctx, &self.args.way, &mut store, &self.root, sweep).await.map(Some)
    }
}

/// The name whose time came first, of those whose time has come.
fn first(names: impl Iterator<Item = (Pace, String)>, now: Duration) -> Option<String> {
    let due = names.filter(|(pace, _)| pace.is_due(now));
    due.min_by_key(|(pace, _)| pace.due()).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_longest_is_looked_at_first() {
        let second = Duration::from_secs;
        let done = |at: u64| {
            let mut pace = Pace::default();
            pace.done(second(at), second(at), second(2));
            pace
        };
        let next = |now: u64| {
            let all = [("a", done(8)), ("b", done(3)), ("c", done(3)), ("d", done(60))];
            first(all.map(|(name, pace)| (pace, name.to_owned())).into_iter(), second(now))
        };
        assert_eq!(next(10).as_deref(), Some("b"), "a is due as well, but since later");
        assert_eq!(next(4), None);
    }
}
