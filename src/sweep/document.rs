//! The sweep file's shape, strict: an unknown key is an error with a hint, never ignored.

use serde::Deserialize;
use serde_json::Map;
use serde_yaml::{Mapping, Value};

use super::complaint::SweepError;
use super::place::{Path, Step};
use super::source::Source;
use super::trial::Budget;
use super::{duration, policy::Policy};
use crate::metric::{OBJECTIVES, Objective};
use crate::setting::nearest;

/// The keys as they stand in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) name: String,
    #[serde(default)]
    pub(super) objective: Objective,
    #[serde(default)]
    pub(super) fixed: Mapping,
    #[serde(default)]
    pub(super) grid: Mapping,
    #[serde(default)]
    pub(super) zip: Vec<Mapping>,
    pub(super) random: Option<RandomAxes>,
    #[serde(default = "one")]
    pub(super) repeats: u32,
    #[serde(default)]
    pub(super) seed: u64,
    #[serde(default)]
    pub(super) resources: Mapping,
    #[serde(default)]
    pub(super) overrides: Vec<RawOverride>,
    pub(super) max_in_flight: Option<u32>,
    #[serde(default)]
    budget: RawBudget,
    #[serde(default)]
    pub(super) policy: Policy,
    pub(super) notify: Option<Notify>,
    pub(super) template: Option<String>,
}

fn one() -> u32 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RandomAxes {
    pub(super) count: u32,
    #[serde(default)]
    pub(super) seed: u64,
    pub(super) axes: Mapping,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOverride {
    pub(super) when: Mapping,
    pub(super) resources: Mapping,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBudget {
    margin: Option<Value>,
    max_attempt_time: Option<Value>,
    max_train_time: Option<Value>,
    checkpoint_every: Option<Value>,
    grace: Option<Value>,
}

/// What to do when a sweep ends.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// A shell command; the summary is its standard input.
    pub command: String,
}

/// Reads the shape of a merged document.
pub(super) fn read(source: &Source) -> Result<Document, SweepError> {
    let document: Document = serde_path_to_error::deserialize(&source.value)
        .map_err(|error| misshaped(source, &error))?;
    if let Some(what) = name_complaint(&document.name) {
        let hint = "letters, digits, `-`, `_` and `.`, such as `lr-batch`; at most 64";
        return Err(source.complain(&[key("name")], what, Some(hint.to_owned())));
    }
    let metric = &document.objective.metric;
    if !OBJECTIVES.contains(&metric.as_str()) {
        let near = nearest(metric, OBJECTIVES.into_iter());
        let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
        let hint = format!("{near}known: {}", OBJECTIVES.join(", "));
        let what = format!("nobody measures `{metric}`");
        return Err(source.complain(&[key("objective"), key("metric")], what, Some(hint)));
    }
    if document.repeats == 0 {
        return Err(source.complain(
            &[key("repeats")],
            "0 is too small",
            Some("at least 1".to_owned()),
        ));
    }
    if document.max_in_flight == Some(0) {
        return Err(source.complain(
            &[key("max_in_flight")],
            "0 is too small",
            Some("at least 1, or leave it out".to_owned()),
        ));
    }
    Ok(document)
}

/// Says what keeps a text from being the name of a sweep, and so of a folder in the folder of runs.
#[must_use]
pub fn name_complaint(name: &str) -> Option<&'static str> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() {
        Some("the name is empty")
    } else if !name.chars().all(good) || name.len() > 64 {
        Some("this is no name for a folder")
    } else if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Some("a name begins with a letter or a digit")
    } else if name.starts_with("regatta.db") {
        Some("this is the name of the database")
    } else {
        None
    }
}

/// Reads the time budget.
pub(super) fn budget(source: &Source, document: &Document) -> Result<Budget, SweepError> {
    let default = Budget::default();
    let raw = &document.budget;
    let read = |name: &str, value: &Option<Value>| -> Result<Option<f64>, SweepError> {
        let Some(value) = value else { return Ok(None) };
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let bad = || {
            source.complain(
                &[key("budget"), key(name)],
                "this is no duration",
                Some("such as 120s, 10min, 22h or 1-00:00:00".to_owned()),
            )
        };
        duration::seconds(&text).map(Some).ok_or_else(bad)
    };
    Ok(Budget {
        margin: read("margin", &raw.margin)?.unwrap_or(default.margin),
        max_attempt_time: read("max_attempt_time", &raw.max_attempt_time)?,
        max_train_time: read("max_train_time", &raw.max_train_time)?,
        checkpoint_every: read("checkpoint_every", &raw.checkpoint_every)?
            .unwrap_or(default.checkpoint_every),
        grace: read("grace", &raw.grace)?.unwrap_or(default.grace),
    })
}

/// Turns a mapping into JSON. Numbers must be finite and keys texts.
pub(super) fn json_map(
    source: &Source,
    at: &[Step],
    map: &Mapping,
) -> Result<Map<String, serde_json::Value>, SweepError> {
    let mut out = Map::new();
    for (name, value) in map {
        let Some(name) = name.as_str() else {
            let what = "a key must be a plain word";
            return Err(source.complain(at, what, None));
        };
        let mut path = at.to_vec();
        path.push(key(name));
        out.insert(name.to_owned(), json(source, &path, value)?);
    }
    Ok(out)
}

/// Turns a value into JSON.
pub(super) fn json(
    source: &Source,
    at: &[Step],
    value: &Value,
) -> Result<serde_json::Value, SweepError> {
    Ok(match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::String(text) => text.as_str().into(),
        Value::Number(number) => number_json(number).ok_or_else(|| {
            source.complain(
                at,
                format!("{number} is no usable number"),
                Some("a finite number is needed".to_owned()),
            )
        })?,
        Value::Sequence(list) => {
            let each = list.iter().enumerate().map(|(index, value)| {
                let mut path = at.to_vec();
                path.push(Step::Index(index));
                json(source, &path, value)
            });
            serde_json::Value::Array(each.collect::<Result<_, _>>()?)
        }
        Value::Mapping(map) => serde_json::Value::Object(json_map(source, at, map)?),
        Value::Tagged(tagged) => {
            let what = format!("the tag {} means nothing here", tagged.tag);
            return Err(source.complain(at, what, Some("remove it".to_owned())));
        }
    })
}

fn number_json(number: &serde_yaml::Number) -> Option<serde_json::Value> {
    if let Some(whole) = number.as_i64() {
        return Some(whole.into());
    }
    if let Some(whole) = number.as_u64() {
        return Some(whole.into());
    }
    number.as_f64().and_then(serde_json::Number::from_f64).map(serde_json::Value::Number)
}

pub(super) fn key(name: &str) -> Step {
    Step::Key(name.to_owned())
}

/// Turns serde's words into advice.
fn misshaped(source: &Source, error: &serde_path_to_error::Error<serde_yaml::Error>) -> SweepError {
    use serde_path_to_error::Segment;
    let mut path: Path = error
        .path()
        .iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect();
    let words = error.inner().to_string();
    let mut quoted = words.split('`').skip(1).step_by(2);
    if words.starts_with("unknown field") || words.contains(": unknown field") {
        let word = quoted.next().unwrap_or_default().to_owned();
        let known: Vec<&str> = quoted.collect();
        let near = match word.as_str() {
            // Near to `seed` by its letters, and meant otherwise.
            "seeds" if path.len() <= 1 => {
                "`repeats: N` trains every point with N seeds, from `seed` on; ".to_owned()
            }
            _ => nearest(&word, known.iter().copied())
                .map_or(String::new(), |near| format!("did you mean `{near}`? ")),
        };
        let hint = format!("{near}known: {}", known.join(", "));
        if path.last() != Some(&Step::Key(word.clone())) {
            path.push(Step::Key(word.clone()));
        }
        return source.complain(&path, format!("unknown key `{word}`"), Some(hint));
    }
    if words.contains("missing field") {
        let word = quoted.next().unwrap_or_default().to_owned();
        let example = match word.as_str() {
            "name" => "such as `name: lr-batch`",
            "metric" => "such as `metric: val/jaccard`",
            _ => "add it",
        };
        return source.complain(&path, format!("`{word}` is missing"), Some(example.to_owned()));
    }
    source.complain(&path, plain(&words), shape_hint(&path))
}

/// Serde's words for kinds of values, in the reader's.
fn plain(words: &str) -> String {
    // A path that serde puts before its words stands in the complaint already.
    let known = ["invalid type: ", "invalid value: ", "unknown variant "];
    let start = known.iter().filter_map(|begin| words.find(begin)).min().unwrap_or(0);
    let mut text = words[start..].to_owned();
    for (from, to) in [
        ("invalid type: ", "this is the "),
        ("invalid value: ", "this is the "),
        ("unknown variant", "unknown word"),
        ("expected u32", "a whole number is needed"),
        ("expected u64", "a whole number is needed"),
        ("expected a YAML mapping", "a mapping is needed"),
        ("expected a sequence", "a list is needed"),
        ("expected a string", "a text is needed"),
        ("expected struct ", "a mapping is needed for "),
        ("the sequence", "a list"),
        ("the map,", "a mapping,"),
        ("the unit value", "empty"),
        ("the string ", "the text "),
        ("the integer ", "the number "),
        ("the floating point ", "the number "),
    ] {
        text = text.replace(from, to);
    }
    text
}

fn shape_hint(path: &[Step]) -> Option<String> {
    let Some(Step::Key(top)) = path.first() else { return None };
    let example = match top.as_str() {
        "objective" => "such as `{ metric: val/jaccard, direction: maximize }`",
        "grid" => "such as `optimizer.lr: [1e-4, 1e-3]` below `grid:`",
        "zip" => "such as `zip: [ { batch_size: [4, 8], optimizer.lr: [1e-4, 2e-4] } ]`",
        "random" => {
            "such as `{ count: 40, seed: 1, axes: { optimizer.lr: { log_uniform: [1e-5, 1e-2] } } }`"
        }
        "fixed" | "resources" => "a mapping, each key on its own line below",
        "overrides" => "such as `- { when: { batch_size: 8 }, resources: { mem: 32G } }`",
        "policy" => "such as `timed_out: { retry: 10 }`",
        "repeats" | "max_in_flight" | "seed" => "a whole number",
        _ => return None,
    };
    Some(example.to_owned())
}
