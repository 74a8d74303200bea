//! What to do after one kind of end.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::sweep::duration;

/// Retries that are as good as no limit.
const ALWAYS: u32 = 1000;

/// What to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Action {
    /// Times a trial is submitted again after this kind of end.
    pub retry: u32,
    /// Seconds to wait before the first of them; twice as long before each further one. None: what is
    /// usual for this kind of end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<f64>,
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
    pub(super) const fn retry(retry: u32) -> Self {
        Self { retry, backoff: None, mem: None, time: None, exclude_node: false }
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
        f.write_str("`requeue`, `stop`, or a mapping such as { retry: 2, backoff: 5min, mem: x2 }")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Action, E> {
        match word {
            "requeue" => Ok(Action::retry(ALWAYS)),
            "stop" => Ok(Action::retry(0)),
            other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Action, A::Error> {
        const KNOWN: &[&str] = &["retry", "backoff", "mem", "time", "exclude_node"];
        let mut action = Action::retry(0);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "retry" => action.retry = map.next_value()?,
                "backoff" => action.backoff = Some(map.next_value::<Seconds>()?.0),
                "mem" => action.mem = Some(factor(&map.next_value::<String>()?)?),
                "time" => action.time = Some(factor(&map.next_value::<String>()?)?),
                "exclude_node" => action.exclude_node = map.next_value()?,
                other => return Err(de::Error::unknown_field(other, KNOWN)),
            }
        }
        Ok(action)
    }
}

/// A duration: a text such as `5min`, or a number of seconds.
pub(super) struct Seconds(pub(super) f64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecondsVisitor)
    }
}

struct SecondsVisitor;

impl Visitor<'_> for SecondsVisitor {
    type Value = Seconds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as 90s, 5min or 1h")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Seconds, E> {
        let bad = || E::invalid_value(de::Unexpected::Str(text), &self);
        duration::seconds(text).map(Seconds).ok_or_else(bad)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Seconds, E> {
        let good = number.is_finite() && number >= 0.0;
        good.then_some(Seconds(number))
            .ok_or_else(|| E::invalid_value(de::Unexpected::Float(number), &self))
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds stay far below 2^53")]
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Seconds, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Seconds, E> {
        let bad = || E::invalid_value(de::Unexpected::Signed(number), &self);
        u64::try_from(number).map_err(|_| bad()).and_then(|number| self.visit_u64(number))
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
    use crate::sweep::Policy;

    #[test]
    fn actions_are_words_or_mappings() {
        let read = |text: &str| serde_yaml::from_str::<Policy>(text);
        assert_eq!(read("preempted: stop").expect("word").preempted.retry, 0);
        assert_eq!(read("lost: { retry: 2, mem: x1.5 }").expect("mapping").lost.mem, Some(1.5));
        assert!(read("lost: { retry: 2, mem: 1.5 }").is_err());
        assert!(read("lost: { retires: 2 }").expect_err("key").to_string().contains("retires"));
        let backoff = |text: &str| read(&format!("lost: {{ backoff: {text} }}"));
        for (text, seconds) in [("5min", 300.0), ("90", 90.0), ("1.5", 1.5), ("01:00:00", 3600.0)] {
            assert_eq!(backoff(text).expect(text).lost.backoff, Some(seconds), "{text}");
        }
        for bad in ["5 minits", "-5", "[]", ".inf"] {
            let error = backoff(bad).expect_err(bad).to_string();
            assert!(error.contains("such as 90s, 5min or 1h"), "{bad}: {error}");
        }
    }
}
