//! What to do after each kind of end: data, not code.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Actions by kind of end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Made room for a more important job.
    pub preempted: Action,
    /// Reached the time limit, or stopped before it.
    pub timed_out: Action,
    /// Needed more memory than it had.
    pub out_of_memory: Action,
    /// Its node failed.
    pub node_failed: Action,
    /// An error.
    pub failed: Action,
    /// Training diverged.
    pub diverged: Action,
    /// Vanished.
    pub lost: Action,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Action {
    /// Times a trial is submitted again after this kind of end.
    pub retry: u32,
    /// Factor on memory at each of them (`x2`).
    #[serde(serialize_with = "write_factor", skip_serializing_if = "Option::is_none")]
    pub mem: Option<f64>,
    /// Factor on time at each of them.
    #[serde(serialize_with = "write_factor", skip_serializing_if = "Option::is_none")]
    pub time: Option<f64>,
    /// Whether the node is left out from then on.
    pub exclude_node: bool,
}

impl Action {
    const fn retry(retry: u32) -> Self {
        Self { retry, mem: None, time: None, exclude_node: false }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            preempted: Action::retry(1000),
            timed_out: Action::retry(10),
            out_of_memory: Action { mem: Some(2.0), ..Action::retry(2) },
            node_failed: Action { exclude_node: true, ..Action::retry(3) },
            failed: Action::retry(0),
            diverged: Action::retry(0),
            lost: Action::retry(3),
        }
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ActionVisitor)
    }
}

struct ActionVisitor;

impl<'de> Visitor<'de> for ActionVisitor {
    type Value = Action;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`requeue`, `stop`, or a mapping such as { retry: 2, mem: x2 }")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Action, E> {
        match word {
            "requeue" => Ok(Action::retry(1000)),
            "stop" => Ok(Action::retry(0)),
            other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Action, A::Error> {
        const KNOWN: &[&str] = &["retry", "mem", "time", "exclude_node"];
        let mut action = Action::retry(0);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "retry" => action.retry = map.next_value()?,
                "mem" => action.mem = Some(factor(&map.next_value::<String>()?)?),
                "time" => action.time = Some(factor(&map.next_value::<String>()?)?),
                "exclude_node" => action.exclude_node = map.next_value()?,
                other => return Err(de::Error::unknown_field(other, KNOWN)),
            }
        }
        Ok(action)
    }
}

#[expect(clippy::ref_option, reason = "serde hands the field over like this")]
fn write_factor<S: serde::Serializer>(factor: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    match factor {
        Some(factor) => to.serialize_str(&format!("x{factor}")),
        None => to.serialize_none(),
    }
}

/// Reads `x2` or `x1.5`.
fn factor<E: de::Error>(text: &str) -> Result<f64, E> {
    let number = text.strip_prefix('x').and_then(|number| number.parse::<f64>().ok());
    number
        .filter(|factor| (1.0..=100.0).contains(factor))
        .ok_or_else(|| E::custom(format!("`{text}` is no factor such as x2 (from x1 to x100)")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_staged_reads_back_the_same() {
        let json = serde_json::to_string(&Policy::default()).expect("json");
        assert_eq!(serde_json::from_str::<Policy>(&json).expect("back"), Policy::default());
    }

    #[test]
    fn actions_are_words_or_mappings() {
        let read = |text: &str| serde_yaml::from_str::<Policy>(text);
        assert_eq!(read("preempted: stop").expect("word").preempted.retry, 0);
        assert_eq!(read("lost: { retry: 2, mem: x1.5 }").expect("mapping").lost.mem, Some(1.5));
        assert!(read("lost: { retry: 2, mem: 1.5 }").is_err());
        assert!(read("lost: { retires: 2 }").expect_err("key").to_string().contains("retires"));
    }
}
