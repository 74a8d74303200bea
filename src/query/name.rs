//! What can be asked of a trial: fields of its own, settings by their path, metrics with an aggregate.

use std::fmt;
use std::str::FromStr;

use super::{is_pattern, matches};
use crate::setting::{known_paths, nearest};

/// Something that a trial has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// What every trial has.
    Field(Field),
    /// A setting, by its path: `optimizer.lr`.
    Setting(String),
    /// A metric over a trial's epochs: `val/loss@last`.
    Metric(String, Aggregate),
}

impl Name {
    /// Returns what values it has; none where that is different from trial to trial.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Field(field) => Some(field.kind()),
            Self::Setting(_) => None,
            Self::Metric(..) => Some(Kind::Number),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => f.write_str(field.as_str()),
            Self::Setting(path) => f.write_str(path),
            Self::Metric(metric, Aggregate::Best) => f.write_str(metric),
            Self::Metric(metric, aggregate) => write!(f, "{metric}@{aggregate}"),
        }
    }
}

/// What kind of values something has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Texts.
    Text,
    /// Whole numbers.
    Whole,
    /// Numbers.
    Number,
    /// true or false.
    Truth,
}

/// What every trial has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// Name of its sweep.
    Sweep,
    /// Its identity.
    Trial,
    /// How it stands.
    State,
    /// Why.
    Why,
    /// Its seed.
    Seed,
    /// Which repeat it is, from 0.
    Repeat,
    /// Epochs that are done.
    EpochsDone,
    /// Epochs to do in all.
    Epochs,
    /// Attempts so far.
    Attempts,
    /// Training seconds that attempts told at their end.
    Elapsed,
    /// Best value of the objective.
    Value,
    /// The epoch that reached it.
    Epoch,
    /// Whether neighbours of its validation patches are trained on.
    Leaky,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Sweep,
        Self::Trial,
        Self::State,
        Self::Why,
        Self::Seed,
        Self::Repeat,
        Self::EpochsDone,
        Self::Epochs,
        Self::Attempts,
        Self::Elapsed,
        Self::Value,
        Self::Epoch,
        Self::Leaky,
    ];

    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sweep => "sweep",
            Self::Trial => "trial",
            Self::State => "state",
            Self::Why => "why",
            Self::Seed => "seed",
            Self::Repeat => "repeat",
            Self::EpochsDone => "epochs_done",
            Self::Epochs => "epochs",
            Self::Attempts => "attempts",
            Self::Elapsed => "elapsed",
            Self::Value => "value",
            Self::Epoch => "epoch",
            Self::Leaky => "leaky",
        }
    }

    /// Returns what values it has.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Sweep | Self::Trial | Self::State | Self::Why => Kind::Text,
            Self::Elapsed | Self::Value => Kind::Number,
            Self::Leaky => Kind::Truth,
            _ => Kind::Whole,
        }
    }
}

/// Which of a trial's epochs gives the value of a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// The one in which the metric itself was best.
    #[default]
    Best,
    /// The newest one.
    Last,
    /// The one in which the metric was largest.
    Max,
    /// The one in which the metric was smallest.
    Min,
    /// The one in which the sweep's objective was best.
    BestVal,
    /// The one with this number.
    Epoch(u64),
}

/// Words of the aggregates that have one.
const AGGREGATES: [(&str, Aggregate); 5] = [
    ("best", Aggregate::Best),
    ("last", Aggregate::Last),
    ("max", Aggregate::Max),
    ("min", Aggregate::Min),
    ("best-val", Aggregate::BestVal),
];

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Epoch(number) = self {
            return write!(f, "{number}");
        }
        let word = AGGREGATES.iter().find(|(_, aggregate)| aggregate == self);
        f.write_str(word.map_or("", |(word, _)| word))
    }
}

impl FromStr for Aggregate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, aggregate)) = AGGREGATES.iter().find(|(word, _)| *word == text) {
            return Ok(*aggregate);
        }
        match text.parse() {
            Ok(0) => Err("epochs are counted from 1".to_owned()),
            Ok(number) => Ok(Self::Epoch(number)),
            Err(_) => {
                let words = AGGREGATES.map(|(word, _)| word);
                Err(format!("known: {}, or the number of an epoch", words.join(", ")))
            }
        }
    }
}

/// What is known here beside fields and the table of settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Metrics that were recorded.
    pub metrics: Vec<String>,
    /// Paths that sweeps vary.
    pub swept: Vec<String>,
    /// Words of the states of trials.
    pub states: Vec<String>,
}

/// A name of something that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Vocabulary {
    /// Finds what a name means: a field, a setting, or a metric, with `@` and an aggregate where it is
    /// not its best value.
    ///
    /// # Errors
    /// When it is none of these; with the nearest word.
    pub fn name(&self, text: &str) -> Result<Name, Unknown> {
        if let Some((metric, aggregate)) = text.split_once('@') {
            let aggregate = aggregate.parse().map_err(|known: String| Unknown {
                what: format!("`@{aggregate}` is nothing that a metric has"),
                hint: Some(known),
            })?;
            return self.metric(metric).map(|metric| Name::Metric(metric, aggregate));
        }
        if let Some(field) = Field::ALL.into_iter().find(|field| field.as_str() == text) {
            return Ok(Name::Field(field));
        }
        let is_inside = |path: &str| {
            text == path || text.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'))
        };
        let is_sound = !text.split('.').any(str::is_empty);
        let mut known = known_paths().filter(|path| !is_section_only(path));
        let is_setting =
            known.any(|path| is_inside(&path)) || self.swept.iter().any(|path| is_inside(path));
        if is_sound && is_setting {
            return Ok(Name::Setting(text.to_owned()));
        }
        if self.metrics.iter().any(|metric| metric == text) {
            return Ok(Name::Metric(text.to_owned(), Aggregate::Best));
        }
        if text.contains('/') {
            return self.metric(text).map(|metric| Name::Metric(metric, Aggregate::Best));
        }
        let known: Vec<String> = self.all().collect();
        let hint = match nearest(text, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let fields = Field::ALL.map(Field::as_str);
                format!("fields: {}; settings: docs/settings.md", fields.join(", "))
            }
        };
        let what = format!("`{text}` is no field, no setting and no recorded metric");
        Err(Unknown { what, hint: Some(hint) })
    }

    /// Finds all that a pattern such as `optimizer.*` or `val/*@last` fits, or the one thing that is named.
    ///
    /// # Errors
    /// When nothing fits.
    pub fn names(&self, text: &str) -> Result<Vec<Name>, Unknown> {
        if !is_pattern(text) {
            return self.name(text).map(|name| vec![name]);
        }
        let (pattern, aggregate) = text.split_once('@').map_or((text, None), |(p, a)| (p, Some(a)));
        let found: Vec<Name> = match aggregate {
            None => {
                let fits = self.all().filter(|word| matches(pattern, word));
                fits.filter_map(|word| self.name(&word).ok()).collect()
            }
            Some(aggregate) => {
                let fits = self.metrics.iter().filter(|metric| matches(pattern, metric));
                let named = fits.map(|metric| self.name(&format!("{metric}@{aggregate}")));
                named.collect::<Result<_, _>>()?
            }
        };
        match found.is_empty() {
            false => Ok(found),
            true => Err(Unknown {
                what: format!("nothing that trials have fits `{text}`"),
                hint: Some("such as optimizer.* or val/*@last".to_owned()),
            }),
        }
    }

    /// Paths of all settings that are values: those of the table, and what sweeps vary beside them.
    pub fn settings(&self) -> impl Iterator<Item = String> {
        let own = |path: &String| {
            !is_section_only(path) && Field::ALL.iter().all(|field| field.as_str() != path)
        };
        let mut all: Vec<String> = Vec::new();
        for path in known_paths().chain(self.swept.iter().cloned()).filter(own) {
            if !all.contains(&path) {
                all.push(path);
            }
        }
        all.into_iter()
    }

    fn metric(&self, text: &str) -> Result<String, Unknown> {
        if self.metrics.iter().any(|metric| metric == text) {
            return Ok(text.to_owned());
        }
        let hint = match nearest(text, self.metrics.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.metrics.is_empty() => "no epoch has ended yet".to_owned(),
            None => format!("recorded: {}", self.metrics.join(", ")),
        };
        Err(Unknown { what: format!("no trial has recorded `{text}`"), hint: Some(hint) })
    }

    /// Every word: fields, settings, metrics; each once.
    fn all(&self) -> impl Iterator<Item = String> {
        let fields = Field::ALL.map(|field| field.as_str().to_owned()).into_iter();
        let metrics: Vec<String> = self.metrics.clone();
        fields.chain(self.settings()).chain(metrics)
    }
}

/// Says whether a path is a whole section such as `model`, which is no value.
fn is_section_only(path: &str) -> bool {
    crate::setting::table::SECTIONS.iter().any(|section| section.name == path)
}
