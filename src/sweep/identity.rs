//! Who a trial is: a hash of what makes its training what it is.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::id::TrialId;
use crate::setting::SETTINGS_VERSION;

/// Returns the identity of resolved settings with a seed. Where the data lie does not matter, only
/// their name; resources, budget, policy and objective are not settings.
#[must_use]
pub fn identify(settings: &Map<String, Value>, seed: u64) -> TrialId {
    let mut settings = settings.clone();
    if let Some(data) = settings.get_mut("data").and_then(Value::as_object_mut) {
        data.remove("path");
    }
    let whole = json!({ "seed": seed, "settings": settings, "settings_version": SETTINGS_VERSION });
    let digest = Sha256::digest(canonical(&whole));
    let hex: String =
        digest.iter().take(TrialId::LEN / 2).map(|byte| format!("{byte:02x}")).collect();
    match hex.parse() {
        Ok(id) => id,
        Err(_) => unreachable!("eight bytes are sixteen lower-case hex digits"),
    }
}

/// Writes JSON with sorted keys and without spaces (RFC 8785, whose numbers are the shortest that
/// read back the same).
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort();
            let inner = keys
                .into_iter()
                .map(|key| format!("{}:{}", Value::from(key.as_str()), canonical(&map[key])));
            format!("{{{}}}", inner.collect::<Vec<_>>().join(","))
        }
        Value::Array(list) => {
            format!("[{}]", list.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(path: &str, lr: f64) -> Map<String, Value> {
        json!({ "optimizer": { "lr": lr }, "data": { "name": "d", "path": path } })
            .as_object()
            .expect("object")
            .clone()
    }

    #[test]
    fn the_place_of_the_data_does_not_matter_but_everything_else_does() {
        let id = identify(&settings("/a", 1e-4), 0);
        assert_eq!(id, identify(&settings("/b", 0.0001), 0));
        assert_ne!(id, identify(&settings("/a", 1e-3), 0));
        assert_ne!(id, identify(&settings("/a", 1e-4), 1));
    }

    #[test]
    fn ids_never_change_by_accident() {
        // Also what sha256sum says of the canonical JSON written by hand.
        assert_eq!(identify(&settings("/a", 1e-4), 0).as_str(), "997f48bfaf45d549");
    }
}
