//! Which trials are asked about, by what, and in which order: the options that `best`, `trials`, `compare`
//! and `export` share.

use std::collections::BTreeSet;

use super::ask::Asked;
use super::{Context, Failure, ask};
use crate::metric::Direction;
use crate::query::{
    Aggregate, Expr, Field, Literal, Name, Operator, Order, Unknown, Vocabulary, is_pattern,
    matches, parse,
};
use crate::store::{Selector, Store, TrialState};

/// Heading of [`Question`] in help texts.
const WHICH: &str = "Which trials, and what of them";

/// Options of every question. docs/asking.md has the language of `--where`.
#[derive(Debug, clap::Args)]
pub(super) struct Question {
    /// Only trials for which this holds, such as 'optimizer.lr >= 1e-4 and model.name = "unet"'
    #[arg(long = "where", value_name = "CONDITION", help_heading = WHICH)]
    conditions: Vec<String>,
    /// Only trials in this state; may be given several times
    #[arg(long = "state", value_name = "STATE", value_parser = state, help_heading = WHICH)]
    states: Vec<TrialState>,
    /// Ask by this metric [default: the objective]
    #[arg(long, value_name = "NAME", help_heading = WHICH)]
    metric: Option<String>,
    /// Which epoch's value of it: best, last, max, min, a number, or best-val, the one in which the sweep's
    /// objective was best [default: best]
    #[arg(long, value_name = "WHEN", value_parser = aggregate, conflicts_with = "last", help_heading = WHICH)]
    at: Option<Aggregate>,
    /// Take the value of each trial's newest epoch, as --at last
    #[arg(long, help_heading = WHICH)]
    last: bool,
    /// Which values are good [default: the objective's; `minimize` for another metric ending in `loss`]
    #[arg(long, value_enum, value_name = "WORD", help_heading = WHICH)]
    direction: Option<Good>,
    /// Take trials together that have the same value of this setting, such as optimizer.lr, and tell mean,
    /// spread and whether the first group can be told from the others
    #[arg(long, visible_alias = "by", value_name = "PATH", value_parser = path, value_delimiter = ',', help_heading = WHICH)]
    pub(super) group_by: Vec<String>,
    /// Order by these names, -NAME for the largest first
    #[arg(long, value_name = "NAMES", value_delimiter = ',', allow_hyphen_values = true, help_heading = WHICH)]
    sort: Vec<String>,
    /// Tell these of each trial: fields, settings, metrics such as val/loss@last, patterns such as 'loss.*'
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = WHICH)]
    columns: Vec<String>,
    /// Tell so many at most, 0 for all [default: all; in tables 10 of `best`, 20 of `compare`]
    #[arg(long, value_name = "N", help_heading = WHICH)]
    top: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Good {
    /// Large values
    Maximize,
    /// Small values
    Minimize,
}

/// A question whose words are understood.
#[derive(Debug)]
pub(super) struct Understood {
    pub(super) selector: Selector,
    /// What is to be told of each trial; none: the usual.
    pub(super) columns: Vec<Name>,
}

impl Understood {
    /// The columns of a table or a file: the trial's identity stands first, unless it was asked for
    /// elsewhere, so that the next command can be typed. None for the usual ones.
    pub(super) fn columns_with_trial(&self) -> Vec<Name> {
        let trial = Name::Field(Field::Trial);
        let is_missing = !self.columns.is_empty() && !self.columns.contains(&trial);
        is_missing.then_some(trial).into_iter().chain(self.columns.iter().cloned()).collect()
    }
}

impl Question {
    /// Understands a question about trials of the sweeps that are asked about; `most` rows where no number
    /// is given.
    pub(super) async fn understand(
        &self,
        asked: &mut Asked,
        most: Option<u32>,
    ) -> Result<Understood, Failure> {
        let words = self.words(asked).await?;
        let mut understood = self.about_groups(asked, &words)?;
        for word in &self.columns {
            let found = words.names(word.trim()).map_err(|error| unknown("--columns", error))?;
            found.into_iter().for_each(|name| {
                if !understood.columns.contains(&name) {
                    understood.columns.push(name);
                }
            });
        }
        for word in &self.sort {
            let (word, is_descending) = key(word);
            let name = words.name(word).map_err(|error| unknown("--sort", error))?;
            understood.selector.order.push(Order { name, is_descending });
        }
        understood.selector.top = self.top(most);
        Ok(understood)
    }

    /// Understands a question about groups. Order, columns and number are then those of groups, and are
    /// left to [`Question::arrange`].
    pub(super) async fn understand_groups(&self, asked: &mut Asked) -> Result<Selector, Failure> {
        let words = self.words(asked).await?;
        Ok(self.about_groups(asked, &words)?.selector)
    }

    /// The words of the sweeps, where any are needed.
    async fn words(&self, asked: &mut Asked) -> Result<Vocabulary, Failure> {
        let needs_words =
            !(self.conditions.is_empty() && self.sort.is_empty() && self.columns.is_empty());
        match needs_words {
            true => asked.store.vocabulary().await.map_err(ask::from_store),
            false => Ok(Vocabulary::default()),
        }
    }

    /// Which trials, and what of them is valued.
    fn about_groups(&self, asked: &Asked, words: &Vocabulary) -> Result<Understood, Failure> {
        let (metric, aggregate) = self.metric()?;
        let selector = Selector {
            sweeps: asked.sweeps.clone(),
            metric,
            direction: self.direction.map(|good| match good {
                Good::Maximize => Direction::Maximize,
                Good::Minimize => Direction::Minimize,
            }),
            aggregate,
            filter: self.filter(words)?,
            ..Selector::default()
        };
        Ok(Understood { selector, columns: Vec::new() })
    }

    /// At most so many rows.
    pub(super) fn top(&self, most: Option<u32>) -> Option<u32> {
        self.top.or(most).filter(|top| *top > 0)
    }

    /// Says whether it asks for anything that single trials, put side by side, do not have.
    pub(super) fn is_about_many(&self) -> bool {
        let about_trials = self.conditions.is_empty() && self.states.is_empty();
        let as_they_are = !self.last && self.at.is_none() && self.direction.is_none();
        let no_groups = self.group_by.is_empty() && self.sort.is_empty() && self.columns.is_empty();
        !(about_trials && as_they_are && no_groups) || self.metric_has_epoch()
    }

    /// Says whether columns were named.
    pub(super) fn has_columns(&self) -> bool {
        !self.columns.is_empty()
    }

    /// The metric that is named, without its aggregate.
    pub(super) fn metric_name(&self) -> Option<&str> {
        self.metric.as_deref().map(|text| text.split_once('@').map_or(text, |(name, _)| name))
    }

    fn metric_has_epoch(&self) -> bool {
        self.metric.as_deref().is_some_and(|text| text.contains('@'))
    }

    fn metric(&self) -> Result<(Option<String>, Aggregate), Failure> {
        let own = match (self.last, self.at) {
            (true, _) => Some(Aggregate::Last),
            (_, at) => at,
        };
        match self.metric.as_deref().map(|text| text.split_once('@').ok_or(text)) {
            None => Ok((None, own.unwrap_or_default())),
            Some(Err(name)) => Ok((Some(name.to_owned()), own.unwrap_or_default())),
            Some(Ok(_)) if own.is_some() => {
                Err(Failure::usage("--metric NAME@WHEN and --at or --last say it twice")
                    .hint("leave one of them out"))
            }
            Some(Ok((name, at))) => {
                let at = at.parse().map_err(|known: String| {
                    Failure::usage(format!("--metric: `@{at}` is nothing that a metric has"))
                        .hint(known)
                })?;
                Ok((Some(name.to_owned()), at))
            }
        }
    }

    fn filter(&self, words: &Vocabulary) -> Result<Option<Expr>, Failure> {
        let mut parts = Vec::new();
        if !self.states.is_empty() {
            let is = |state: &TrialState| Expr::Compare {
                name: Name::Field(Field::State),
                operator: Operator::Equal,
                literal: Literal::Text(state.word()),
            };
            parts.push(Expr::Any(self.states.iter().map(is).collect()));
        }
        parts.extend(parsed(&self.conditions, words)?);
        Ok((!parts.is_empty()).then_some(Expr::All(parts)))
    }

    /// Orders and picks what a sheet of groups has. Returns the order of its rows and the places of the
    /// columns that are wanted, none for all.
    pub(super) fn arrange(
        &self,
        sheet: &super::sheet::Sheet,
    ) -> Result<(Vec<usize>, Vec<usize>), Failure> {
        let known = || sheet.columns.iter().map(|column| column.name.as_str());
        let place = |option: &str, word: &str| {
            sheet.place(word).ok_or_else(|| {
                let hint = match crate::setting::nearest(word, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known: {}", known().collect::<Vec<_>>().join(", ")),
                };
                Failure::usage(format!("{option}: groups have no `{word}`")).hint(hint)
            })
        };
        let mut rows: Vec<usize> = (0..sheet.rows.len()).collect();
        for word in self.sort.iter().rev() {
            let (word, is_descending) = key(word);
            let at = place("--sort", word)?;
            rows.sort_by(|a, b| compare(&sheet.rows[*a][at], &sheet.rows[*b][at], is_descending));
        }
        let mut columns: Vec<usize> = Vec::new();
        for word in &self.columns {
            let word = word.trim();
            let found: Vec<usize> = match is_pattern(word) {
                true => {
                    let names = known().enumerate();
                    names.filter(|(_, name)| matches(word, name)).map(|(at, _)| at).collect()
                }
                false => vec![place("--columns", word)?],
            };
            if found.is_empty() {
                let known = known().collect::<Vec<_>>().join(", ");
                return Err(Failure::user(format!(
                    "--columns: nothing that groups have fits `{word}`"
                ))
                .hint(format!("known: {known}")));
            }
            columns.extend(found);
        }
        let mut seen = BTreeSet::new();
        columns.retain(|at| seen.insert(*at));
        Ok((rows, columns))
    }
}

/// What all conditions of `--where` ask for together; none for none.
pub(super) async fn filter(
    conditions: &[String],
    store: &mut Store,
) -> Result<Option<Expr>, Failure> {
    if conditions.is_empty() {
        return Ok(None);
    }
    let words = store.vocabulary().await.map_err(ask::from_store)?;
    Ok(Some(Expr::All(parsed(conditions, &words)?)))
}

fn parsed(conditions: &[String], words: &Vocabulary) -> Result<Vec<Expr>, Failure> {
    let parsed = |text: &String| {
        parse(text, words).map_err(|error| {
            let marked = error.marked(text).replace('\n', "\n  ");
            let column = error.column(text);
            let failure = Failure::usage(format!("--where, column {column}: {error}\n  {marked}"));
            error.hint.iter().fold(failure, |failure, hint| failure.hint(hint))
        })
    };
    conditions.iter().map(parsed).collect()
}

/// Orders values, what is missing last either way.
fn compare(
    a: &serde_json::Value,
    b: &serde_json::Value,
    is_descending: bool,
) -> std::cmp::Ordering {
    let way = |order: std::cmp::Ordering| if is_descending { order.reverse() } else { order };
    match (a.is_null(), b.is_null()) {
        (false, false) => way(match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => super::sheet::text(a).cmp(&super::sheet::text(b)),
        }),
        (a, b) => a.cmp(&b),
    }
}

/// A name, and whether the largest comes first.
fn key(word: &str) -> (&str, bool) {
    let word = word.trim();
    word.strip_prefix('-').map_or((word, false), |name| (name, true))
}

fn unknown(option: &str, unknown: Unknown) -> Failure {
    let failure = Failure::user(format!("{option}: {}", unknown.what));
    unknown.hint.iter().fold(failure, |failure, hint| failure.hint(hint))
}

fn aggregate(text: &str) -> Result<Aggregate, String> {
    text.parse()
}

fn state(text: &str) -> Result<TrialState, String> {
    match TrialState::from(text.to_lowercase()) {
        TrialState::Unknown(_) if !text.starts_with("unknown(") => {
            let words: Vec<_> = TrialState::ALL.iter().map(TrialState::word).collect();
            Err(format!("known: {}", words.join(", ")))
        }
        state => Ok(state),
    }
}

fn path(text: &str) -> Result<String, String> {
    match text {
        "seed" | "repeat" => {
            Err("repeats over seeds are what a group is made of; name another setting".to_owned())
        }
        "" => Err("name a setting, such as optimizer.lr".to_owned()),
        path => Ok(path.to_owned()),
    }
}

/// Tells how many rows were left out.
pub(super) fn tell_of_hidden(ctx: &Context, all: u64, shown: usize) {
    let hidden = all.saturating_sub(shown as u64);
    if hidden > 0 {
        let more = ask::plural(hidden, "more trial");
        ctx.screen.note(format!("note: {more} not shown (--top)"));
    }
}
