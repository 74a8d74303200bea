//! Who a trial is: a hash of what makes its training what it is.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::id::TrialId;
use crate::setting::SETTINGS_VERSION;

/// Returns the identity of resolved settings with a seed. Where the data lie does not matter, only
/// their name; resources, budget, policy and objective are not settings.
#[must_use]
pub fn identify(settings: &Map<String, Value>, seed: u64) -> TrialId {
    let mut text = String::with_capacity(1024);
    // The keys of the whole in order, as below; written here so that nothing need be copied.
    text.push_str("{\"seed\":");
    text.push_str(&seed.to_string());
    text.push_str(",\"settings\":");
    write_map(settings, &mut text, |path| path == ["data", "path"], &mut Vec::new());
    text.push_str(&format!(",\"settings_version\":{SETTINGS_VERSION}}}"));
    let digest = Sha256::digest(text);
    let hex: String =
        digest.iter().take(TrialId::LEN / 2).map(|byte| format!("{byte:02x}")).collect();
    match hex.parse() {
        Ok(id) => id,
        Err(_) => unreachable!("eight bytes are sixteen lower-case hex digits"),
    }
}

/// Writes JSON with sorted keys and without spaces (RFC 8785, whose numbers are the shortest that
/// read back the same), without the keys that `skip` names by their path.
fn write_map<'a>(
    map: &'a Map<String, Value>,
    to: &mut String,
    skip: fn(&[&str]) -> bool,
    path: &mut Vec<&'a str>,
) {
    let mut entries: Vec<(&String, &Value)> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    to.push('{');
    let mut comma = "";
    for (key, value) in entries {
        path.push(key);
        if !skip(path) {
            to.push_str(comma);
            to.push_str(&Value::from(key.as_str()).to_string());
            to.push(':');
            match value {
                Value::Object(inner) => write_map(inner, to, skip, path),
                scalar => to.push_str(&scalar.to_string()),
            }
            comma = ",";
        }
        path.pop();
    }
    to.push('}');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
