//! One setting: its kind, range, default and documentation, and how a value is checked against it.

mod check;

use serde_json::{Map, Value};

use super::table::Section;
use super::{Problem, known_paths, nearest};

pub(super) use check::{SPLIT_WORDS, describe};

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
    /// The paper or manual that defines it; none where it is plain or our own.
    pub source: Option<&'static str>,
    /// Whether its default means "as before there was this setting": it then does not stand in the
    /// resolved settings, so that older trials keep their identity.
    pub is_neutral: bool,
}

impl Field {
    /// Names the paper or manual.
    #[must_use]
    pub const fn source(mut self, source: &'static str) -> Self {
        self.source = Some(source);
        self
    }

    /// Leaves the default out of the resolved settings.
    #[must_use]
    pub const fn neutral(mut self) -> Self {
        self.is_neutral = true;
        self
    }
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
    /// A list of `least` to `most` whole numbers, each from `min` to `max`.
    Ints {
        /// Smallest number.
        min: i64,
        /// Largest number.
        max: i64,
        /// Shortest list.
        least: usize,
        /// Longest list.
        most: usize,
    },
    /// Any text.
    Text,
    /// One of a few words.
    Word(&'static [&'static str]),
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
    /// A list of whole numbers.
    Ints(&'static [i64]),
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
            let hint = match other {
                // Two schedules at once would fight each other.
                Value::Array(_) if !section.variants.is_empty() => format!(
                    "a trial has one {0}, as two would overwrite each other; to try several, make them \
                     an axis: grid: {{ {0}: [...] }}",
                    section.name
                ),
                _ => format!("such as {}", section.example),
            };
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
            Ok(value) if field.is_left_out(&value) => {}
            Ok(value) => drop(resolved.insert(field.name.to_owned(), value)),
            Err((what, hint)) => problems.push(problem(&at(field.name), what, hint)),
        }
    }
    for key in given.keys().filter(|key| !is_other(key) && fields.iter().all(|f| f.name != *key)) {
        problems.push(unknown_key(&at(key), key, prefix, fields));
    }
}

/// Adds the defaults that [`resolve_section`] left out.
pub(super) fn complete_section(section: &Section, resolved: &mut Map<String, Value>) {
    let Some(Value::Object(own)) = resolved.get_mut(section.name) else { return };
    let name = own.get("name").and_then(Value::as_str);
    let variant = section.variants.iter().find(|variant| Some(variant.name) == name);
    let fields = section.fields.iter().chain(variant.iter().flat_map(|variant| variant.fields));
    complete_fields(fields, own);
}

/// Adds the defaults of these fields that are not there.
pub(super) fn complete_fields<'a>(
    fields: impl Iterator<Item = &'a Field>,
    resolved: &mut Map<String, Value>,
) {
    for field in fields.filter(|field| field.is_neutral) {
        if !resolved.contains_key(field.name)
            && let Ok(value) = field.default_value(&Map::new())
        {
            resolved.insert(field.name.to_owned(), value);
        }
    }
}

/// The default of a field that resolved settings leave out; none for null, and for other fields.
pub(super) fn default_left_out(fields: &[Field], name: &str) -> Option<Value> {
    let field = fields.iter().find(|field| field.is_neutral && field.name == name)?;
    field.default_value(&Map::new()).ok().filter(|value| !value.is_null())
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
    // Tables say `lr` for `optimizer.lr`.
    let is_end = |path: &String| path.rsplit_once('.').is_some_and(|(_, last)| last == key);
    let inner = known_paths().find(|path| prefix.is_empty() && is_end(path));
    let near = inner.or_else(|| nearest(key, known.iter().copied()).map(str::to_owned));
    let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
    let of_another = sections.iter().filter(|section| section.name == prefix).find_map(|section| {
        let has_it =
            |variant: &&super::table::Variant| variant.fields.iter().any(|f| f.name == key);
        section.variants.iter().find(has_it).map(|variant| variant.name)
    });
    let what = of_another.map_or_else(
        || format!("unknown key `{key}`"),
        |name| format!("`{key}` belongs to `{prefix}.name: {name}`, and a trial has one {prefix}"),
    );
    problem(path, what, Some(format!("{near}known: {}", known.join(", "))))
}

pub(super) fn problem(path: &str, what: String, hint: Option<String>) -> Problem {
    Problem { path: path.to_owned(), what, hint }
}

/// What is wrong, and what to do.
pub(super) type Wrong = (String, Option<String>);

impl Field {
    fn default_value(&self, given: &Map<String, Value>) -> Result<Value, Wrong> {
        Ok(match self.default {
            Default::Required => {
                return Err(("it is missing".to_owned(), Some(self.doc.to_owned())));
            }
            Default::Absent => Value::Null,
            Default::Bool(value) => Value::from(value),
            Default::Int(value) => Value::from(value),
            Default::Float(value) => Value::from(value),
            Default::Ints(values) => Value::from(values),
            Default::Text(value) => Value::from(value),
            Default::FolderName => {
                let path = given.get("path").and_then(Value::as_str).unwrap_or_default();
                Value::from(path.trim_end_matches('/').rsplit('/').next().unwrap_or_default())
            }
        })
    }

    /// Says whether a resolved value is left out.
    fn is_left_out(&self, value: &Value) -> bool {
        self.is_neutral && self.default_value(&Map::new()).as_ref() == Ok(value)
    }
}
