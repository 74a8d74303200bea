//! One round of looking for lines: schedulers are asked, journals read, and what is wrong is gathered.

use std::collections::BTreeMap;

use crate::cli::ask::{self, from_store};
use crate::cli::screen::Aside;
use crate::cli::watch::Args;
use crate::cli::watch::looker::Looker;
use crate::cli::watch::seen::Told;
use crate::cli::{Context, Failure};
use crate::clock::Clock;
use crate::store::{Collected, Mode, Store, TrialRow};

/// What looks once in a while.
pub(super) struct Round {
    /// For verbs whose words are not printed as they are.
    ctx: Context,
    said: Aside,
    looker: Looker,
    /// What schedulers said last, by sweep.
    told: BTreeMap<String, Told>,
    troubles: Troubles,
}

impl Round {
    pub(super) fn new(ctx: &Context, args: &Args, sweeps: &[String]) -> Result<Self, Failure> {
        let looker = Looker::new(ctx, args, sweeps.to_vec())?;
        let (ctx, said) = ctx.aside();
        Ok(Self { ctx, said, looker, told: BTreeMap::new(), troubles: Troubles::default() })
    }

    /// Asks the schedulers whose time has come, collects, and returns all trials.
    pub(super) async fn look(&mut self) -> Result<Vec<TrialRow>, Failure> {
        self.said.take();
        let mut store = ask::open(&self.ctx).await?;
        self.troubles.note("the database", self.said.take());
        let collected = self.collect(&mut store).await;
        let may_ask = store.mode() == Mode::ReadWrite && !store.is_in_memory();
        if may_ask && !self.looker.args.way.offline {
            for sweep in self.names(&mut store).await? {
                if self.looker.is_due(&self.ctx, &sweep) {
                    let told = self.looker.look(&self.ctx, &self.said, &sweep).await;
                    self.told.insert(sweep, told);
                }
            }
        }
        let rows = store.trials(&self.looker.sweeps).await.map_err(from_store)?;
        collected.map(|()| rows)
    }

    async fn collect(&mut self, store: &mut Store) -> Result<(), Failure> {
        let now = self.ctx.clock.now();
        // As it was named: so paths are told by `status`, too.
        let root = &self.ctx.root;
        let mut collected = Vec::new();
        if self.looker.sweeps.is_empty() {
            collected = store.collect_all(root, now).await.map_err(from_store)?;
        }
        for sweep in &self.looker.sweeps {
            collected.push(store.collect(root, sweep, now).await.map_err(from_store)?);
        }
        for one in &collected {
            self.note_damage(one);
        }
        Ok(())
    }

    /// Notes what `status` tells of a sweep's files.
    fn note_damage(&mut self, collected: &Collected) {
        let Collected { sweep, problems, from_cache, is_gone, .. } = collected;
        // Nobody read the files this time: what was wrong with them is so still.
        if *from_cache && !is_gone && problems.is_empty() {
            return;
        }
        ask::tell(&self.ctx, &Collected { from_cache: false, ..collected.clone() });
        self.troubles.note(sweep, self.said.take());
    }

    async fn names(&self, store: &mut Store) -> Result<Vec<String>, Failure> {
        match self.looker.sweeps.is_empty() {
            true => store.sweep_names().await.map_err(from_store),
            false => Ok(self.looker.sweeps.clone()),
        }
    }

    /// Says whether anything is in flight, or policy sends it later.
    pub(super) fn goes_on(&self, rows: &[TrialRow]) -> bool {
        let comes_back = self.told.values().any(|told| told.goes_on == Some(true));
        rows.iter().any(|row| row.state.is_in_flight()) || comes_back
    }

    /// What schedulers and verbs said, each once.
    pub(super) fn words(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        for told in self.told.values_mut() {
            words.append(&mut told.words);
            words.extend(told.silent.take().map(|silent| format!("{}: {silent}", told.sweep)));
        }
        words
    }

    /// What is wrong with files, each once.
    pub(super) fn troubles(&mut self) -> Vec<String> {
        std::mem::take(&mut self.troubles.new)
    }
}

/// What is not as it should be, told once and where it changes.
#[derive(Debug, Default)]
struct Troubles {
    /// What was told last, by what it is about.
    told: BTreeMap<String, Vec<String>>,
    new: Vec<String>,
}

impl Troubles {
    /// Notes all that is wrong with something now.
    fn note(&mut self, about: &str, words: Vec<String>) {
        let before = self.told.remove(about).unwrap_or_default();
        self.new.extend(words.iter().filter(|text| !before.contains(*text)).cloned());
        if !words.is_empty() {
            self.told.insert(about.to_owned(), words);
        } else if !before.is_empty() {
            self.new.push(format!("note: {about}: what was wrong with it is mended"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_are_told_once_and_where_they_change() {
        let mut troubles = Troubles::default();
        let mut new = |about: &str, words: &[&str]| {
            troubles.note(about, words.iter().map(|text| (*text).to_owned()).collect());
            std::mem::take(&mut troubles.new)
        };
        assert!(new("a", &[]).is_empty());
        assert_eq!(new("a", &["1 damaged line"]), ["1 damaged line"]);
        assert!(new("a", &["1 damaged line"]).is_empty());
        assert_eq!(new("b", &["1 damaged line"]), ["1 damaged line"]);
        assert_eq!(new("a", &["2 damaged lines", "no plan"]), ["2 damaged lines", "no plan"]);
        assert!(new("a", &["no plan"]).is_empty());
        assert_eq!(new("a", &[]), ["note: a: what was wrong with it is mended"]);
        assert!(new("a", &[]).is_empty());
        assert_eq!(new("a", &["no plan"]), ["no plan"]);
    }
}
