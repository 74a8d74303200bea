//! One setting: its kind, range, default and documentation, and how a value is checked against it.

use serde_json::{Map, Number, Value};

use super::table::Section;
use super::{Problem, nearest};
use crate::metric::OBJECTIVES;

/// A setting.
#[derive(Debug)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Its value where none is given.
    pub default: Default,
    /// What it means, with units.
    pub doc: &'static str,
}

/// What values a setting takes. Bounds are inclusive.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// true or false.
    Bool,
    /// A whole number.
    Int {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A number above (or from) `min` up to `max`.
    Float {
        /// Smallest.
        min: f64,
        /// Whether `min` itself is allowed.
        zero: Bound,
        /// Largest.
        max: f64,
    },
    /// Any text.
    Text,
    /// A metric that every learner measures ([`crate::metric::OBJECTIVES`]).
    Metric,
    /// The way images are divided: a word or a mapping.
    Split,
}

/// Whether the lower bound of a range belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// It does.
    Inclusive,
    /// It does not.
    Exclusive,
}

/// The value of a setting that is not given.
#[derive(Clone, Copy, Debug)]
pub enum Default {
    /// There is none: it must be given.
    Required,
    /// None is a value of its own (null).
    Absent,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(&'static str),
    /// A whole number that means "as before there was this setting": it does not stand in the resolved
    /// settings, so that older trials keep their identity.
    Neutral(i64),
    /// The last part of the section's `path`.
    FolderName,
}

pub(super) fn resolve_section(
    section: &Section,
    given: Option<&Value>,
    resolved: &mut Map<String, Value>,
    problems: &mut Vec<Problem>,
) {
    let empty = Map::new();
    let given = match given {
        None => &empty,
        Some(Value::Object(map)) => map,
        Some(other) => {
            let hint = format!("such as {}", section.example);
            problems.push(problem(
                section.name,
                format!("a mapping is needed, this is {}", describe(other)),
                Some(hint),
            ));
            return;
        }
    };
    let mut out = Map::new();
    let mut fields: Vec<&Field> = section.fields.iter().collect();
    if !section.variants.is_empty() {
        let Some(name) = variant_name(section, given, problems) else { return };
        let Some(variant) = section.variants.iter().find(|variant| variant.name == name) else {
            return;
        };
        out.insert("name".to_owned(), Value::from(name));
        fields.extend(variant.fields);
    }
    let has_name = !section.variants.is_empty();
    resolve_refs(section.name, &fields, given, &mut out, problems, |key| has_name && key == "name");
    resolved.insert(section.name.to_owned(), Value::Object(out));
}

fn variant_name(
    section: &Section,
    given: &Map<String, Value>,
    problems: &mut Vec<Problem>,
) -> Option<&'static str> {
    let path = format!("{}.name", section.name);
    let known = || section.variants.iter().map(|variant| variant.name);
    let list = known().collect::<Vec<_>>().join(", ");
    match given.get("name") {
        None if section.default_variant.is_some() => section.default_variant,
        None => {
            problems.push(problem(
                &path,
                "it is missing".to_owned(),
                Some(format!("known: {list}")),
            ));
            None
        }
        Some(Value::String(name)) => known().find(|known| known == name).or_else(|| {
            let near = nearest(name, known())
                .map_or(String::new(), |near| format!("did you mean `{near}`? "));
            let what = format!("unknown {} `{name}`", section.name);
            problems.push(problem(&path, what, Some(format!("{near}known: {list}"))));
            None
        }),
        Some(other) => {
            let what = format!("a name is needed, this is {}", describe(other));
            problems.push(problem(&path, what, Some(format!("known: {list}"))));
            None
        }
    }
}

pub(super) fn resolve_fields(
    prefix: &str,
    fields: &[Field],
    given: &Map<String, Value>,
    resolved: &mut Map<String, Value>,
    problems: &mut Vec<Problem>,
    is_other: impl Fn(&str) -> bool,
) {
    let fields: Vec<&Field> = fields.iter().collect();
    resolve_refs(prefix, &fields, given, resolved, problems, is_other);
}

fn resolve_refs(
    prefix: &str,
    fields: &[&Field],
    given: &Map<String, Value>,
    resolved: &mut Map<String, Value>,
    problems: &mut Vec<Problem>,
    is_other: impl Fn(&str) -> bool,
) {
    let at =
        |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
    for field in fields {
        let value = match given.get(field.name) {
            None => field.default_value(given),
            Some(Value::Null) if matches!(field.default, Default::Absent) => Ok(Value::Null),
            Some(value) => field.check(value),
        };
        match value {
            Ok(value) if field.is_neutral(&value) => {}
            Ok(value) => drop(resolved.insert(field.name.to_owned(), value)),
            Err((what, hint)) => problems.push(problem(&at(field.name), what, hint)),
        }
    }
    for key in given.keys().filter(|key| !is_other(key) && fields.iter().all(|f| f.name != *key)) {
        problems.push(unknown_key(&at(key), key, prefix, fields));
    }
}

fn unknown_key(path: &str, key: &str, prefix: &str, fields: &[&Field]) -> Problem {
    let sections = super::table::SECTIONS;
    let outer: Vec<&str> = if prefix.is_empty() {
        sections.iter().map(|section| section.name).collect()
    } else {
        let has_name = sections.iter().any(|s| s.name == prefix && !s.variants.is_empty());
        Vec::from_iter(has_name.then_some("name"))
    };
    let known: Vec<&str> = outer.into_iter().chain(fields.iter().map(|field| field.name)).collect();
    let near = nearest(key, known.iter().copied())
        .map_or(String::new(), |near| format!("did you mean `{near}`? "));
    problem(
        path,
        format!("unknown key `{key}`"),
        Some(format!("{near}known: {}", known.join(", "))),
    )
}

fn problem(path: &str, what: String, hint: Option<String>) -> Problem {
    Problem { path: path.to_owned(), what, hint }
}

/// What is wrong, and what to do.
type Wrong = (String, Option<String>);

impl Field {
    fn default_value(&self, given: &Map<String, Value>) -> Result<Value, Wrong> {
        Ok(match self.default {
            Default::Required => {
                return Err(("it is missing".to_owned(), Some(self.doc.to_owned())));
            }
            Default::Absent => Value::Null,
            Default::Bool(value) => Value::from(value),
            Default::Int(value) | Default::Neutral(value) => Value::from(value),
            Default::Float(value) => Value::from(value),
            Default::Text(value) => Value::from(value),
            Default::FolderName => {
                let path = given.get("path").and_then(Value::as_str).unwrap_or_default();
                Value::from(path.trim_end_matches('/').rsplit('/').next().unwrap_or_default())
            }
        })
    }

    fn is_neutral(&self, value: &Value) -> bool {
        matches!(self.default, Default::Neutral(neutral) if value.as_i64() == Some(neutral))
    }

    /// Returns the canonical form of a value.
    fn check(&self, value: &Value) -> Result<Value, Wrong> {
        match self.kind {
            Kind::Bool => match value {
                Value::Bool(_) => Ok(value.clone()),
                other => Err(needed("true or false", other)),
            },
            Kind::Int { min, max } => check_int(value, min, max),
            Kind::Float { min, zero, max } => check_float(value, min, zero, max),
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

fn check_split(value: &Value) -> Result<Value, Wrong> {
    const WORDS: [&str; 3] = ["file", "split.csv", "leaky_random_patches"];
    let hint = || {
        Some("`file`, `split.csv`, `leaky_random_patches` or `{ by: blocks, gap: 20 }`".to_owned())
    };
    match value {
        Value::String(word) if WORDS.contains(&word.as_str()) => Ok(value.clone()),
        Value::Object(map) => {
            let known = map.keys().all(|key| ["by", "gap"].contains(&key.as_str()));
            let blocks = map.get("by").and_then(Value::as_str) == Some("blocks");
            let gap = map.get("gap").map_or(Some(0), Value::as_u64);
            match gap {
                Some(gap) if known && blocks => {
                    Ok(serde_json::json!({ "by": "blocks", "gap": gap }))
                }
                _ => Err(("this mapping is no split".to_owned(), hint())),
            }
        }
        other => Err((format!("{} is no split", describe(other)), hint())),
    }
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
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(value) => format!("{value}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}
