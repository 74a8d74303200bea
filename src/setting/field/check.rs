//! Whether a value is one that a setting takes, and its canonical form.

use serde_json::{Number, Value};

use super::{Bound, Field, Kind, Wrong};
use crate::metric::OBJECTIVES;
use crate::setting::nearest;

impl Field {
    /// Returns the canonical form of a value.
    pub(super) fn check(&self, value: &Value) -> Result<Value, Wrong> {
        match self.kind {
            Kind::Bool => match value {
                Value::Bool(_) => Ok(value.clone()),
                other => Err(needed("true or false", other)),
            },
            Kind::Int { min, max } => check_int(value, min, max),
            Kind::Float { min, zero, max } => check_float(value, min, zero, max),
            Kind::Ints { min, max, least, most } => check_ints(value, (min, max), (least, most)),
            Kind::Word(known) => check_word(value, known),
            Kind::Text => match value {
                Value::String(_) => Ok(value.clone()),
                other => Err(needed("a text", other)),
            },
            Kind::Metric => check_metric(value),
            Kind::Split => check_split(value),
        }
    }
}

fn check_int(value: &Value, min: i64, max: i64) -> Result<Value, Wrong> {
    let range = |(what, hint): Wrong| (what, hint.or(Some(format!("from {min} to {max}"))));
    let Value::Number(number) = value else { return Err(range(needed("a whole number", value))) };
    #[expect(clippy::cast_possible_truncation, reason = "a whole number within i64's exact range")]
    let whole = number.as_i64().or_else(|| {
        number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15).map(|f| f as i64)
    });
    match whole {
        None => Err(range(needed("a whole number", value))),
        Some(n) if n < min => Err((format!("{n} is too small"), Some(format!("at least {min}")))),
        Some(n) if n > max => Err((format!("{n} is too large"), Some(format!("at most {max}")))),
        Some(n) => Ok(Value::from(n)),
    }
}

fn check_float(value: &Value, min: f64, bound: Bound, max: f64) -> Result<Value, Wrong> {
    let Value::Number(number) = value else { return Err(needed("a number", value)) };
    let number = number.as_f64().unwrap_or(f64::NAN);
    let below = if bound == Bound::Inclusive { number < min } else { number <= min };
    if below || number > max || number.is_nan() {
        let word = if bound == Bound::Inclusive { "from" } else { "above" };
        let hint = format!("{word} {min} up to {max}");
        return Err((format!("{number} is out of range"), Some(hint)));
    }
    // -0.0 and 0 are one setting.
    Ok(Number::from_f64(number + 0.0).map_or(Value::Null, Value::Number))
}

fn check_ints(
    value: &Value,
    (min, max): (i64, i64),
    (least, most): (usize, usize),
) -> Result<Value, Wrong> {
    let size = if least == most { least.to_string() } else { format!("{least} to {most}") };
    let hint = || Some(format!("a list of {size} whole numbers, such as [2, 2, 6, 2]"));
    let Value::Array(list) = value else {
        return Err((format!("a list is needed, this is {}", describe(value)), hint()));
    };
    if !(least..=most).contains(&list.len()) {
        return Err((format!("the list has {} numbers", list.len()), hint()));
    }
    list.iter()
        .map(|number| check_int(number, min, max))
        .collect::<Result<Vec<_>, _>>()
        .map(Value::from)
}

fn check_word(value: &Value, known: &[&str]) -> Result<Value, Wrong> {
    let list = known.join(", ");
    let Value::String(word) = value else {
        return Err((
            format!("a word is needed, this is {}", describe(value)),
            Some(format!("known: {list}")),
        ));
    };
    if known.contains(&word.as_str()) {
        return Ok(value.clone());
    }
    let near = nearest(word, known.iter().copied())
        .map_or(String::new(), |near| format!("did you mean `{near}`? "));
    Err((format!("unknown word `{word}`"), Some(format!("{near}known: {list}"))))
}

fn check_metric(value: &Value) -> Result<Value, Wrong> {
    let known = OBJECTIVES.join(", ");
    let Value::String(name) = value else {
        return Err((
            format!("the name of a metric is needed, this is {}", describe(value)),
            Some(format!("known: {known}")),
        ));
    };
    if OBJECTIVES.contains(&name.as_str()) {
        return Ok(value.clone());
    }
    let near = nearest(name, OBJECTIVES.iter().copied())
        .map_or(String::new(), |near| format!("did you mean `{near}`? "));
    Err((format!("unknown metric `{name}`"), Some(format!("{near}known: {known}"))))
}

/// The forms of a split.
const SPLITS: &str = "`file`, `split.csv`, `stratified`, `{ by: blocks, gap: 20 }`, \
     `{ by: folds, folds: 5, fold: 0, gap: 20 }` or `leaky_random_patches`";

/// Splits that one word names.
pub(in crate::setting) const SPLIT_WORDS: [&str; 4] =
    ["file", "split.csv", "stratified", "leaky_random_patches"];

/// Returns the one way of writing a split, so that two ways are one trial.
fn check_split(value: &Value) -> Result<Value, Wrong> {
    let wrong = |what: String| Err((what, Some(SPLITS.to_owned())));
    let map = match value {
        Value::String(word) if SPLIT_WORDS.contains(&word.as_str()) => return Ok(value.clone()),
        Value::String(word) => {
            let near = nearest(word, SPLIT_WORDS.into_iter())
                .map_or(String::new(), |near| format!(", did you mean `{near}`?"));
            return wrong(format!("`{word}` is no split{near}"));
        }
        Value::Object(map) => map,
        other => return wrong(format!("{} is no split", describe(other))),
    };
    let (keys, whole): (&[&str], _) = match map.get("by").and_then(Value::as_str) {
        Some("stratified") => (&["by"], Value::from("stratified")),
        Some("blocks") => {
            let gap = split_number(map, "gap", 0, 0)?;
            (&["by", "gap"], serde_json::json!({ "by": "blocks", "gap": gap }))
        }
        Some("folds") => {
            let folds = split_number(map, "folds", 5, 2)?;
            let fold = split_number(map, "fold", 0, 0)?;
            let gap = split_number(map, "gap", 0, 0)?;
            if fold >= folds {
                let hint = format!("0 to {}: folds are counted from 0", folds.saturating_sub(1));
                return Err((format!("there is no fold {fold} of {folds}"), Some(hint)));
            }
            let all =
                serde_json::json!({ "by": "folds", "folds": folds, "fold": fold, "gap": gap });
            (&["by", "folds", "fold", "gap"], all)
        }
        Some(other) => return wrong(format!("`by: {other}` is no way to split")),
        None => return wrong("this mapping is no split: it does not say `by`".to_owned()),
    };
    match map.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => wrong(format!("`{key}` belongs to no such split")),
        None => Ok(whole),
    }
}

/// A whole number of a split's mapping, at least `least`.
fn split_number(
    map: &serde_json::Map<String, Value>,
    key: &str,
    default: u64,
    least: u64,
) -> Result<u64, Wrong> {
    let Some(value) = map.get(key) else { return Ok(default) };
    value.as_u64().filter(|number| *number >= least && *number <= 1_000_000_000).ok_or_else(|| {
        let what = format!("`{key}` is {}", describe(value));
        (what, Some(format!("a whole number, at least {least}")))
    })
}

fn needed(what: &str, value: &Value) -> Wrong {
    let hint = match value {
        Value::String(text) if text.parse::<f64>().is_ok() && what.ends_with("number") => {
            Some(format!("write {text} without quotes"))
        }
        _ => None,
    };
    (format!("{what} is needed, this is {}", describe(value)), hint)
}

/// Returns a value in a reader's words.
pub(in crate::setting) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(value) => format!("{value}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}
