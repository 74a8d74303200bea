//! What may stand under `fixed:` and in axes, as JSON Schema (draft 2020-12), for editors.
//!
//! A schema sees one key at a time: what settings mean together (`rule`) only the program knows.

use serde_json::{Map, Value, json};

use super::field::{Bound, Default, Field, Kind, SPLIT_WORDS};
use super::table::{SECTIONS, Section, TOP};
use crate::metric::OBJECTIVES;

/// Largest number of a split's mapping.
const SPLIT_MOST: u64 = 1_000_000_000;

/// The mapping `fixed`: settings in their sections. A null takes away what an included file says.
#[must_use]
pub fn fixed() -> Value {
    let mut properties: Map<String, Value> =
        TOP.iter().map(|field| (field.name.to_owned(), or_null(documented(field)))).collect();
    for section in SECTIONS {
        properties.insert(section.name.to_owned(), or_null(whole(section, true)));
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// The same where no file is included: a null then takes nothing away, and is a value of few settings.
#[must_use]
pub fn fixed_without_nulls() -> Value {
    let is_null = |fields: &[Field]| {
        let may = fields.iter().filter(|field| matches!(field.default, Default::Absent));
        may.map(|field| (field.name.to_owned(), Value::Bool(true))).collect::<Map<_, _>>()
    };
    let some = json!({ "not": { "type": "null" } });
    let mut properties = is_null(TOP);
    for section in SECTIONS {
        let mut own = is_null(section.fields);
        section.variants.iter().for_each(|variant| own.extend(is_null(variant.fields)));
        properties.insert(
            section.name.to_owned(),
            json!({ "not": { "type": "null" }, "properties": own, "additionalProperties": some }),
        );
    }
    json!({ "properties": properties, "additionalProperties": some })
}

/// Whole sections as values of an axis, by the names under which axes refer to them.
#[must_use]
pub fn sections() -> Map<String, Value> {
    let all = SECTIONS.iter();
    all.map(|section| (definition(section), whole(section, false))).collect()
}

fn definition(section: &Section) -> String {
    format!("section_{}", section.name)
}

fn of_section(section: &Section) -> Value {
    json!({ "$ref": format!("#/$defs/{}", definition(section)) })
}

/// Axes with lists of values, by dotted path or by section. A null takes away what an included file says.
#[must_use]
pub fn listed_axes() -> Value {
    axes(
        |value, description| json!({ "type": "array", "minItems": 1, "items": value, "description": description }),
    )
}

/// Axes that are sampled from a distribution, by dotted path or by section.
#[must_use]
pub fn sampled_axes() -> Value {
    let pair = |kind: &str| json!({ "type": "array", "items": { "type": kind }, "minItems": 2, "maxItems": 2 });
    let one = |word: &str, bounds: Value| {
        json!({ "type": "object", "properties": { word: bounds }, "required": [word],
                "additionalProperties": false })
    };
    axes(move |value, description| {
        let mut ways =
            vec![one("choice", json!({ "type": "array", "minItems": 1, "items": value }))];
        if has_type(&value, "integer") || has_type(&value, "number") {
            ways.push(one("int", pair("integer")));
        }
        if has_type(&value, "number") {
            ways.push(one("uniform", pair("number")));
            let mut above = pair("number");
            above["items"]["exclusiveMinimum"] = json!(0);
            ways.push(one("log_uniform", above));
        }
        json!({ "oneOf": ways, "description": description })
    })
}

/// Names of all settings and sections, with nothing said of their values.
#[must_use]
pub fn named() -> Value {
    let all: Map<String, Value> =
        super::known_paths().map(|path| (path, Value::Bool(true))).collect();
    json!({ "type": "object", "properties": all, "additionalProperties": false })
}

fn axes(axis: impl Fn(Value, String) -> Value) -> Value {
    let mut properties = Map::new();
    for field in TOP {
        properties.insert(field.name.to_owned(), axis(plain(field), sentence(field)));
    }
    for section in SECTIONS {
        let about = format!("{}, as whole mappings", section.doc);
        properties.insert(section.name.to_owned(), axis(of_section(section), about));
        if !section.variants.is_empty() {
            let name = format!("{}.name", section.name);
            properties.insert(name, axis(names(section), format!("kind of {}", section.name)));
        }
        for (name, fields) in by_name(section) {
            let path = format!("{}.{name}", section.name);
            let about = distinct(fields.iter().map(|field| Value::from(sentence(field))));
            let about: Vec<&str> = about.iter().filter_map(Value::as_str).collect();
            properties
                .insert(path, axis(any_of(fields.iter().copied().map(plain)), about.join(" or: ")));
        }
    }
    let ways = json!({ "enum": ["stratified", "blocks", "folds"] });
    properties.insert("data.split.by".to_owned(), axis(ways, "`by` of the split".to_owned()));
    for (key, least) in [("gap", 0), ("folds", 2), ("fold", 0)] {
        let about = format!("`{key}` of the split");
        properties.insert(format!("data.split.{key}"), axis(split_number(least), about));
    }
    let properties: Map<String, Value> =
        properties.into_iter().map(|(path, axis)| (path, or_null(axis))).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// A section with all its settings; those of one kind where its `name` says which.
fn whole(section: &Section, may_be_null: bool) -> Value {
    let end = |value: Value| if may_be_null { or_null(value) } else { value };
    let mut properties = Map::new();
    if !section.variants.is_empty() {
        properties.insert("name".to_owned(), end(names(section)));
    }
    for (name, fields) in by_name(section) {
        properties.insert(name.to_owned(), end(any_of(fields.into_iter().map(documented))));
    }
    let mut whole = json!({
        "type": "object", "properties": properties, "additionalProperties": false,
        "description": format!("{}; such as {}", section.doc, section.example),
    });
    let of_one = section.variants.iter().map(|variant| {
        let own = || section.fields.iter().chain(variant.fields);
        let known: Vec<&str> =
            std::iter::once("name").chain(own().map(|field| field.name)).collect();
        let all = by_name(section);
        let is_shared = |field: &&Field| {
            let same = all.iter().find(|(name, _)| *name == field.name);
            same.is_some_and(|(_, fields)| distinct(fields.iter().map(|f| documented(f))).len() > 1)
        };
        let exactly: Map<String, Value> = variant
            .fields
            .iter()
            .filter(is_shared)
            .map(|field| (field.name.to_owned(), end(documented(field))))
            .collect();
        json!({
            "if": { "required": ["name"], "properties": { "name": { "const": variant.name } } },
            "then": { "propertyNames": { "enum": known }, "properties": exactly },
        })
    });
    let of_one: Vec<Value> = of_one.collect();
    if !of_one.is_empty() {
        whole["allOf"] = of_one.into();
    }
    whole
}

/// Kinds of a section.
fn names(section: &Section) -> Value {
    let known: Vec<&str> = section.variants.iter().map(|variant| variant.name).collect();
    let about = section.variants.iter().map(|variant| format!("{}: {}", variant.name, variant.doc));
    let mut names = json!({ "enum": known, "description": about.collect::<Vec<_>>().join("; ") });
    if let Some(default) = section.default_variant {
        names["default"] = default.into();
    }
    names
}

/// Settings of a section by their key: of several kinds it may have several.
fn by_name(section: &Section) -> Vec<(&'static str, Vec<&'static Field>)> {
    let mut found: Vec<(&str, Vec<&Field>)> = Vec::new();
    let variants = section.variants.iter().flat_map(|variant| variant.fields);
    for field in section.fields.iter().chain(variants) {
        match found.iter_mut().find(|(name, _)| *name == field.name) {
            Some((_, fields)) => fields.push(field),
            None => found.push((field.name, vec![field])),
        }
    }
    found
}

/// What values a setting takes.
fn plain(field: &Field) -> Value {
    let value = match field.kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Int { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Float { min, zero: Bound::Inclusive, max } => {
            json!({ "type": "number", "minimum": min, "maximum": max })
        }
        Kind::Float { min, zero: Bound::Exclusive, max } => {
            json!({ "type": "number", "exclusiveMinimum": min, "maximum": max })
        }
        Kind::Ints { min, max, least, most } => json!({
            "type": "array", "minItems": least, "maxItems": most,
            "items": { "type": "integer", "minimum": min, "maximum": max },
        }),
        Kind::Text => json!({ "type": "string" }),
        Kind::Word(known) => json!({ "enum": known }),
        Kind::Metric => json!({ "enum": OBJECTIVES }),
        Kind::Split => split(),
    };
    if matches!(field.default, Default::Absent) { or_null(value) } else { value }
}

/// The same with its meaning and its default.
fn documented(field: &Field) -> Value {
    let mut value = plain(field);
    value["description"] = sentence(field).into();
    let default = match field.default {
        Default::Required | Default::Absent | Default::FolderName => return value,
        Default::Bool(default) => json!(default),
        Default::Int(default) => json!(default),
        Default::Float(default) => json!(default),
        Default::Text(default) => json!(default),
        Default::Ints(default) => json!(default),
    };
    value["default"] = default;
    value
}

fn sentence(field: &Field) -> String {
    field.source.map_or(field.doc.to_owned(), |source| format!("{} ({source})", field.doc))
}

fn split() -> Value {
    let by = |word: &str, numbers: &[(&str, u64)]| {
        let mut properties: Map<String, Value> =
            numbers.iter().map(|(key, least)| ((*key).to_owned(), split_number(*least))).collect();
        properties.insert("by".to_owned(), json!({ "const": word }));
        json!({ "type": "object", "properties": properties, "required": ["by"], "additionalProperties": false })
    };
    json!({ "anyOf": [
        { "enum": SPLIT_WORDS },
        by("stratified", &[]),
        by("blocks", &[("gap", 0)]),
        by("folds", &[("folds", 2), ("fold", 0), ("gap", 0)]),
    ] })
}

fn split_number(least: u64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": SPLIT_MOST })
}

/// One of several, or the one that they all are.
fn any_of(all: impl Iterator<Item = Value>) -> Value {
    let mut all = distinct(all);
    if all.len() == 1 { all.remove(0) } else { json!({ "anyOf": all }) }
}

fn distinct(all: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for one in all {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}

/// Lets null in beside what there is.
fn or_null(mut value: Value) -> Value {
    let types = match value.get_mut("type") {
        Some(Value::String(one)) => Some(json!([one, "null"])),
        Some(_) => return value,
        None => None,
    };
    if let Some(types) = types {
        value["type"] = types;
    } else if let Some(Value::Array(known)) = value.get_mut("enum") {
        known.push(Value::Null);
    } else if let Some(Value::Array(ways)) = value.get_mut("anyOf") {
        ways.push(json!({ "type": "null" }));
    } else if let Some(Value::Array(ways)) = value.get_mut("oneOf") {
        ways.push(json!({ "type": "null" }));
    }
    value
}

fn has_type(value: &Value, name: &str) -> bool {
    match value.get("anyOf").and_then(Value::as_array) {
        Some(ways) => ways.iter().any(|way| has_type(way, name)),
        None => match &value["type"] {
            Value::Array(types) => types.iter().any(|one| one == name),
            one => one == name,
        },
    }
}
