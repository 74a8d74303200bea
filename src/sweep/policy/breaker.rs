//! When a node is left out of all further submissions of a sweep.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::action::Seconds;

/// A node on which so many attempts went wrong within so long is left out for that long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Breaker {
    /// Attempts that went wrong; 0: no node is ever left out for this.
    pub failures: u32,
    /// Seconds that such an end counts.
    #[serde(rename = "for")]
    pub period: f64,
}

impl Breaker {
    /// No node is left out.
    pub const OFF: Self = Self { failures: 0, period: 0.0 };

    /// Says whether it is off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.failures == 0
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 3, period: 86_400.0 }
    }
}

impl<'de> Deserialize<'de> for Breaker {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BreakerVisitor)
    }
}

struct BreakerVisitor;

impl<'de> Visitor<'de> for BreakerVisitor {
    type Value = Breaker;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`off`, or a mapping such as { failures: 3, for: 24h }")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Breaker, E> {
        match word {
            "off" => Ok(Breaker::OFF),
            other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
        }
    }

    /// What some YAML readers make of `off`.
    fn visit_bool<E: de::Error>(self, word: bool) -> Result<Breaker, E> {
        if word { Ok(Breaker::default()) } else { Ok(Breaker::OFF) }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Breaker, A::Error> {
        let mut breaker = Breaker::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "failures" => breaker.failures = map.next_value()?,
                "for" => breaker.period = map.next_value::<Seconds>()?.0,
                other => return Err(de::Error::unknown_field(other, &["failures", "for"])),
            }
        }
        Ok(breaker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_off_or_has_a_number_and_a_time() {
        let read = |text: &str| serde_yaml::from_str::<Breaker>(text);
        assert!(read("off").expect("off").is_off());
        assert!(read("false").expect("false").is_off());
        let own = read("{ failures: 2, for: 1h }").expect("own");
        assert_eq!(own, Breaker { failures: 2, period: 3600.0 });
        assert_eq!(read("{ failures: 5 }").expect("part").period, 86_400.0);
        assert!(read("{ failure: 5 }").expect_err("key").to_string().contains("failures"));
        assert!(
            read("on fire").expect_err("word").to_string().contains("{ failures: 3, for: 24h }")
        );
    }
}
