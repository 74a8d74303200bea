//! The sweep file's shape as JSON Schema (draft 2020-12), for editors: beside `document`, which reads it.

use serde_json::{Map, Value, json};

use super::policy::EndKind;
use crate::metric::OBJECTIVES;
use crate::setting::schema as settings;

/// What tells this schema from others.
pub const SCHEMA_ID: &str = "https://regatta.invalid/sweep.schema.json";

/// A duration: `120s`, `10min`, `22h`, `04:00:00`, `1-00:00:00`, or a number of seconds.
const DURATION: &str = r"^\s*(\+?([0-9]+\.?[0-9]*|\.[0-9]+)\s*(s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?)?|([0-9]+-)?[0-9]+:[0-5]?[0-9]:[0-5]?[0-9])\s*$";

/// Describes a sweep file. `resources` describes what a job may ask for, which only the controller knows.
#[must_use]
pub fn schema(resources: Value) -> Value {
    let mut properties = Map::new();
    let mut key = |name: &str, about: &str, mut value: Value| {
        value["description"] = about.into();
        properties.insert(name.to_owned(), value);
    };
    key("name", "Name of the sweep and of its folder.", json!({ "$ref": "#/$defs/name" }));
    key(
        "objective",
        "What `best` ranks by and which checkpoint is kept as the best. Without a direction a metric that ends in \
         `loss` is minimized, any other maximized.",
        mapping(
            &[
                ("metric", or_null(json!({ "enum": OBJECTIVES }))),
                ("direction", json!({ "enum": ["maximize", "minimize", null] })),
            ],
            &[],
        ),
    );
    key("fixed", "Settings of every trial.", json!({ "$ref": "#/$defs/fixed" }));
    key("grid", "Axes whose combinations are all tried.", json!({ "$ref": "#/$defs/listed_axes" }));
    key(
        "zip",
        "Lists of axes that are walked together.",
        json!({ "type": "array", "items": { "$ref": "#/$defs/zipped_axes" } }),
    );
    key(
        "random",
        "Axes that are sampled.",
        mapping(
            &[
                ("count", or_null(count(1))),
                ("seed", or_null(seed())),
                ("axes", or_null(json!({ "$ref": "#/$defs/sampled_axes" }))),
            ],
            &[],
        ),
    );
    key("repeats", "Trials of each point, with the seeds seed, seed + 1, …", count(1));
    key("seed", "The first seed.", seed());
    key(
        "resources",
        "What each job asks for; what is left out is the cluster's default.",
        json!({ "$ref": "#/$defs/resources" }),
    );
    let over = mapping(
        &[
            ("when", settings::named()),
            (
                "resources",
                json!({ "allOf": [
                    { "$ref": "#/$defs/resources" }, { "$ref": "#/$defs/resources_without_nulls" },
                ] }),
            ),
        ],
        &["when", "resources"],
    );
    key(
        "overrides",
        "Other resources for some trials; a later one wins.",
        json!({ "type": "array", "items": over }),
    );
    key("max_in_flight", "Tasks that may run at the same time.", count(1));
    key("budget", "Times.", json!({ "$ref": "#/$defs/budget" }));
    key("policy", "What to do after each kind of end.", json!({ "$ref": "#/$defs/policy" }));
    key(
        "template",
        "A template for the job script, relative to this file.",
        json!({ "type": "string" }),
    );
    key(
        "include",
        "Files that are merged under this one, a later one over an earlier one; null removes what they say.",
        json!({ "type": "array", "items": { "type": "string" } }),
    );
    key(
        "notify",
        "What is called when the sweep has ended.",
        mapping(&[("command", json!({ "type": "string" }))], &["command"]),
    );
    // What is null counts as left out.
    for value in properties.values_mut() {
        let about = value["description"].take();
        *value = json!({ "description": about, "anyOf": [without_description(value), { "type": "null" }] });
    }
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Sweep of Regatta",
        "description": "A sweep file as `regatta check` reads it. Made by `regatta schema`.",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "if": { "required": ["include"], "properties": { "include": { "type": "array", "minItems": 1 } } },
        "else": whole(),
        "$defs": {
            "name": name(),
            "fixed": settings::fixed(),
            "fixed_without_nulls": settings::fixed_without_nulls(),
            "listed_axes": settings::listed_axes(),
            "zipped_axes": {
                "$ref": "#/$defs/listed_axes", "minProperties": 1, "additionalProperties": not_null(),
            },
            "sampled_axes": at_least_one(settings::sampled_axes()),
            "resources": resources,
            // Of a list null is no value; of what is single it is none.
            "resources_without_nulls": { "properties": {
                "nodelist": not_null(), "exclude": not_null(), "extra": not_null(),
            } },
            "duration": duration(),
            "budget": budget(),
            "action": action(),
            "policy": policy(),
        },
    });
    if let Some(definitions) = schema["$defs"].as_object_mut() {
        definitions.extend(settings::sections());
    }
    schema
}

/// What holds where no file is included: a null takes nothing away, and nothing comes from elsewhere.
fn whole() -> Value {
    let without_nulls = json!({ "additionalProperties": not_null() });
    let mut inner = not_null();
    inner["additionalProperties"] = not_null();
    json!({
        "required": ["name"],
        "properties": {
            "name": { "type": "string" },
            "objective": { "required": ["metric"], "properties": { "metric": not_null() } },
            "fixed": { "$ref": "#/$defs/fixed_without_nulls" },
            "grid": without_nulls,
            "random": {
                "required": ["count", "axes"],
                "properties": { "axes": without_nulls },
                "additionalProperties": not_null(),
            },
            "resources": { "$ref": "#/$defs/resources_without_nulls" },
            "policy": { "additionalProperties": inner },
        },
    })
}

fn not_null() -> Value {
    json!({ "not": { "type": "null" } })
}

/// Lets null in: it takes away what an included file says.
fn or_null(value: Value) -> Value {
    json!({ "anyOf": [value, { "type": "null" }] })
}

fn without_description(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        object.remove("description");
    }
    value
}

fn at_least_one(mut axes: Value) -> Value {
    axes["minProperties"] = json!(1);
    axes
}

fn mapping(properties: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: Map<String, Value> =
        properties.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn name() -> Value {
    json!({
        "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", "not": { "pattern": "^regatta\\.db" },
        "examples": ["lr-batch"],
    })
}

fn count(least: u32) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": u32::MAX })
}

fn seed() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX })
}

fn duration() -> Value {
    json!({ "anyOf": [{ "type": "number", "minimum": 0 }, { "type": "string", "pattern": DURATION }],
            "examples": ["120s", "10min", "22h", "1-00:00:00"] })
}

fn budget() -> Value {
    let keys = [
        ("margin", "Kept free at the end of a job's time."),
        ("checkpoint_every", "Longest time between two checkpoints."),
        ("grace", "Time between the signal to end and the kill."),
        ("max_attempt_time", "Limit for one job, beside the cluster's."),
        ("max_train_time", "Limit over all attempts of a trial."),
    ];
    let time = |about: &str| json!({ "description": about, "anyOf": [{ "$ref": "#/$defs/duration" }, { "type": "null" }] });
    mapping(&keys.map(|(key, about)| (key, time(about))), &[])
}

/// What to do after one kind of end.
fn action() -> Value {
    // From x1 to x100.
    let factor = json!({ "type": "string", "pattern": r"^x\+?0*([1-9][0-9]?(\.[0-9]*)?|100(\.0*)?)$",
                         "examples": ["x2", "x1.5"] });
    let keys = [
        ("retry", count(0)),
        ("backoff", json!({ "$ref": "#/$defs/duration" })),
        ("mem", factor.clone()),
        ("time", factor),
        ("exclude_node", json!({ "type": "boolean" })),
    ]
    .map(|(key, value)| (key, or_null(value)));
    json!({ "anyOf": [{ "enum": ["requeue", "stop"] }, mapping(&keys, &[])] })
}

fn policy() -> Value {
    let mut properties: Map<String, Value> = EndKind::ALL
        .iter()
        .map(|kind| (kind.word().to_owned(), or_null(json!({ "$ref": "#/$defs/action" }))))
        .collect();
    let own =
        [("failures", or_null(count(0))), ("for", or_null(json!({ "$ref": "#/$defs/duration" })))];
    let breaker = json!({
        "description": "When a node is left out of all further submissions.",
        "anyOf": [{ "enum": ["off", false, true, null] }, mapping(&own, &[])],
    });
    properties.insert("breaker".to_owned(), breaker);
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}
