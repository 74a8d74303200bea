//! Who a trial is: a hash of what makes its training what it is.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::id::{TrialId, hex};
use crate::setting::SETTINGS_VERSION;

/// Returns the identity of resolved settings with a seed. Where the data lie does not matter, only
/// their name; resources, budget, policy and objective are not settings.
#[must_use]
pub fn identify(settings: &Map<String, Value>, seed: u64) -> TrialId {
    // The keys of the whole in order, as below; written here so that nothing need be copied.
    let mut text = format!("{{\"seed\":{seed},\"settings\":").into_bytes();
    text.reserve(1024);
    write_map(settings, &mut text, |path| path == ["data", "path"], &mut Vec::with_capacity(4));
    text.extend(format!(",\"settings_version\":{SETTINGS_VERSION}}}").into_bytes());
    let digest = Sha256::digest(text);
    match hex(&digest[..TrialId::LEN / 2]).parse() {
        Ok(id) => id,
        Err(_) => unreachable!("eight bytes are sixteen lower-case hex digits"),
    }
}

/// Writes JSON with sorted keys and without spaces (RFC 8785, whose numbers are the shortest that
/// read back the same), without the keys that `skip` names by their path.
fn write_map<'a>(
    map: &'a Map<String, Value>,
    to: &mut Vec<u8>,
    skip: fn(&[&str]) -> bool,
    path: &mut Vec<&'a str>,
) {
    let mut entries: Vec<(&String, &Value)> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    to.push(b'{');
    let mut is_first = true;
    for (key, value) in entries {
        path.push(key);
        if !skip(path) {
            if !is_first {
                to.push(b',');
            }
            is_first = false;
            write_json(key, to);
            to.push(b':');
            match value {
                Value::Object(inner) => write_map(inner, to, skip, path),
                scalar => write_json(scalar, to),
            }
        }
        path.pop();
    }
    to.push(b'}');
}

fn write_json(value: &impl serde::Serialize, to: &mut Vec<u8>) {
    if serde_json::to_writer(to, value).is_err() {
        unreachable!("texts and numbers are always JSON, and memory takes them");
    }
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
