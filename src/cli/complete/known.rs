//! What can be offered: read from the folder and from the database as it lies there; nothing where either is
//! missing.

use std::collections::HashSet;

use clap_complete::engine::CompletionCandidate;
use tokio::runtime::Runtime;

use super::line;
use crate::cli::{ask, table};
use crate::layout::Root;
use crate::metric::OBJECTIVES;
use crate::query::{Field, Vocabulary};
use crate::setting::known_paths;
use crate::store::{Candidate, Store, TrialState};

/// Trials that are offered where nothing was typed; of more, a digit is wanted first.
const MOST: u32 = 500;

/// The folder that the line is about.
pub(super) struct Known {
    root: Root,
    /// The database, and what runs its questions; none where it cannot be read.
    opened: Option<(Runtime, Store)>,
}

impl Known {
    pub(super) fn here() -> Self {
        let root = line::root();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok();
        let opened = runtime.and_then(|runtime| {
            let store = runtime.block_on(Store::open_still(&root.database())).ok()?;
            Some((runtime, store))
        });
        Self { root, opened }
    }

    /// Sweeps that begin like this.
    pub(super) fn sweeps(&self, typed: &str) -> Vec<CompletionCandidate> {
        let names = self.root.sweeps().unwrap_or_default();
        offered(names.into_iter().map(|name| (name, "sweep".to_owned())), typed)
    }

    /// Trials that begin like this, as `3fa9` or `lr-batch/3fa9`.
    pub(super) fn trials(&mut self, typed: &str) -> Vec<CompletionCandidate> {
        let Some((runtime, store)) = &mut self.opened else { return Vec::new() };
        let found = runtime.block_on(async {
            if typed.is_empty() && store.has_more_trials_than(MOST).await? {
                return Ok(Vec::new());
            }
            match typed.rsplit_once('/') {
                Some((sweep, prefix)) => store.candidates(Some(sweep), prefix).await,
                None => store.candidates(None, typed).await,
            }
        });
        let sweep = typed.rsplit_once('/').map(|(sweep, _)| sweep);
        let name = |trial: &Candidate| match sweep {
            Some(sweep) => format!("{sweep}/{}", trial.trial),
            None => trial.trial.clone(),
        };
        let found = found.unwrap_or_default();
        found
            .iter()
            .map(|trial| CompletionCandidate::new(name(trial)).help(Some(described(trial).into())))
            .collect()
    }

    /// Metrics that were recorded, and those that every learner measures.
    pub(super) fn metrics(&mut self, typed: &str) -> Vec<CompletionCandidate> {
        let words = self.words();
        offered(words.metrics.into_iter().map(|name| (name, "metric".to_owned())), typed)
    }

    /// Settings by their dotted path; what was swept comes first.
    pub(super) fn settings(&mut self, typed: &str) -> Vec<CompletionCandidate> {
        let words = self.words();
        offered(settings(words.swept), typed)
    }

    /// All names that can be asked of a trial.
    pub(super) fn names(&mut self, typed: &str) -> Vec<CompletionCandidate> {
        offered(self.all(), typed)
    }

    /// The last name in a condition.
    pub(super) fn condition(&mut self, typed: &str) -> Vec<CompletionCandidate> {
        // The shell takes its own quote off, or does not.
        let typed = typed.trim_start_matches(['\'', '"']);
        let is_of_a_name = |c: char| c.is_alphanumeric() || "._/@-".contains(c);
        let start = typed
            .rfind(|c: char| !is_of_a_name(c))
            .map_or(0, |at| at + typed[at..].chars().next().map_or(0, char::len_utf8));
        let (before, last) = typed.split_at(start);
        // After an operator comes a value, with blanks around it or without; of states the words are known.
        let said = before.trim_end();
        let name = said.trim_end_matches(['=', '!', '<', '>', '~']);
        let (name, operator) = (name.trim_end(), &said[name.len()..]);
        let name = name.rsplit(|c: char| !is_of_a_name(c)).next();
        let all = match (operator, name) {
            ("=" | "!=", Some("state")) => states(last),
            ("", _) => offered(self.all(), last),
            _ => Vec::new(),
        };
        all.into_iter().map(|name| name.add_prefix(before)).collect()
    }

    fn all(&mut self) -> Vec<(String, String)> {
        let Vocabulary { metrics, swept, .. } = self.words();
        let fields =
            Field::ALL.iter().map(|field| (field.as_str().to_owned(), "of a trial".to_owned()));
        let metrics = metrics.into_iter().map(|name| (name, "metric".to_owned()));
        settings(swept).chain(metrics).chain(fields).collect()
    }

    fn words(&mut self) -> Vocabulary {
        let mut words = match &mut self.opened {
            Some((runtime, store)) => runtime.block_on(store.vocabulary()).unwrap_or_default(),
            None => Vocabulary::default(),
        };
        if words.metrics.is_empty() {
            words.metrics = OBJECTIVES.iter().map(ToString::to_string).collect();
        }
        words
    }
}

/// States that begin like this.
pub(super) fn states(typed: &str) -> Vec<CompletionCandidate> {
    offered(TrialState::ALL.iter().map(|state| (state.word(), "state".to_owned())), typed)
}

fn settings(swept: Vec<String>) -> impl Iterator<Item = (String, String)> {
    let others: Vec<_> = known_paths().filter(|path| !swept.contains(path)).collect();
    let swept = swept.into_iter().map(|path| (path, "swept".to_owned()));
    swept.chain(others.into_iter().map(|path| (path, "setting".to_owned())))
}

/// Those that begin like this, in their order and each once, with a word on what it is: optimizers share names of
/// settings, and some settings are fields of a trial as well.
fn offered(
    all: impl IntoIterator<Item = (String, String)>,
    typed: &str,
) -> Vec<CompletionCandidate> {
    let mut seen = HashSet::new();
    let mut is_new = |name: &String| name.starts_with(typed) && seen.insert(name.clone());
    let fitting = all.into_iter().filter(|(name, _)| is_new(name));
    fitting.map(|(name, what)| CompletionCandidate::new(name).help(Some(what.into()))).collect()
}

/// A trial in a line: `lr-batch, finished, 0.9238, batch_size=2 lr=0.005`.
fn described(trial: &Candidate) -> String {
    let value = trial.value.map(|value| ask::metric(Some(value)));
    let parameters = Some(table::in_words(&trial.parameters)).filter(|words| !words.is_empty());
    let all = [Some(trial.sweep.clone()), Some(trial.state.clone()), value, parameters];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
