//! Resources as JSON Schema (draft 2020-12), for editors: beside `resources`, which reads them.

use serde_json::{Map, Value, json};

/// Characters that no header line can hold.
const WORD: &str = "^[^\\s\"\\\\`#\\x00-\\x1f]+$";
/// Limits of time in SLURM's spellings.
const TIME: &str = "^\\s*([Uu][Nn][Ll][Ii][Mm][Ii][Tt][Ee][Dd]|[Ii][Nn][Ff][Ii][Nn][Ii][Tt][Ee]|[0-9]+(:[0-5]?[0-9])?|[0-9]+:[0-5]?[0-9]:[0-5]?[0-9]|[0-9]+-[0-9]+(:[0-5]?[0-9]){0,2})\\s*$";

/// The mapping `resources`.
#[must_use]
pub fn schema() -> Value {
    let item = || json!({ "type": ["string", "number", "boolean"], "pattern": WORD });
    let word = || json!({ "type": ["string", "number", "boolean", "null"], "pattern": WORD });
    let words = || json!({ "type": ["array", "null"], "items": item() });
    let whole = |least: u32, pattern: &str| json!({ "type": ["integer", "string", "null"], "minimum": least, "pattern": pattern });
    let keys = [
        ("partition", "Partition, or several with commas.", word()),
        (
            "time",
            "Wall-clock limit: \"HH:MM:SS\", \"D-HH:MM:SS\", minutes, or UNLIMITED. Put colons into quotes.",
            whole(1, TIME),
        ),
        ("cpus", "CPU cores of a task.", whole(1, "^\\s*\\+?0*[1-9][0-9]*\\s*$")),
        (
            "mem",
            "Memory of a task: a number with K, M, G or T; without one megabytes.",
            whole(1, "^\\s*0*[1-9][0-9]*([kKmMgGtT][bB]?)?\\s*$"),
        ),
        (
            "gpus",
            "GPUs of a task: a number, or kind and number (a100:1).",
            whole(0, "^\\s*([A-Za-z0-9_.-]+:)?\\+?[0-9]+\\s*$"),
        ),
        ("account", "Account that pays.", word()),
        ("qos", "Quality of service.", word()),
        ("constraint", "Features that a node must have (a100, a100|h100).", word()),
        ("reservation", "Reservation.", word()),
        ("nodelist", "Nodes to use.", words()),
        ("exclude", "Nodes not to use.", words()),
        (
            "extra",
            "Further options of sbatch, --option or --option=value.",
            json!({ "type": ["array", "null"], "items": { "type": "string", "pattern": "^\\s*--[a-z0-9][a-z0-9-]*(=.*)?$" } }),
        ),
    ];
    let properties: Map<String, Value> = keys
        .into_iter()
        .map(|(key, about, mut value)| {
            value["description"] = about.into();
            (key.to_owned(), value)
        })
        .collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}
