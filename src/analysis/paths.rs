//! Settings by their dotted paths.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Returns the value at a path such as `optimizer.lr`, which may be a mapping; none where there is no
/// such path.
#[must_use]
pub fn value_at(settings: &Map<String, Value>, path: &str) -> Option<Value> {
    let Some((first, rest)) = path.split_once('.') else { return settings.get(path).cloned() };
    value_at(settings.get(first)?.as_object()?, rest)
}

/// Returns all values that are no mappings, by their paths.
#[must_use]
pub fn flat(settings: &Map<String, Value>) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    fill(&mut found, "", settings);
    found
}

fn fill(found: &mut BTreeMap<String, Value>, prefix: &str, settings: &Map<String, Value>) {
    for (key, value) in settings {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(inner) => fill(found, &path, inner),
            other => {
                found.insert(path, other.clone());
            }
        }
    }
}

/// Returns the paths of which these settings have different values, or which some of them lack.
#[must_use]
pub fn different_paths(all: &[BTreeMap<String, Value>]) -> Vec<String> {
    let paths: BTreeSet<&String> = all.iter().flat_map(BTreeMap::keys).collect();
    let differs =
        |path: &&String| all.windows(2).any(|pair| pair[0].get(*path) != pair[1].get(*path));
    paths.into_iter().filter(differs).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_leads_to_a_value_or_a_mapping_and_differences_are_found() {
        let one = json!({ "model": { "name": "unet", "base": 16 }, "epochs": 3 });
        let two = json!({ "model": { "name": "unet" }, "epochs": 4 });
        let (one, two) = (one.as_object().expect("map"), two.as_object().expect("map"));
        assert_eq!(value_at(one, "model.base"), Some(json!(16)));
        assert_eq!(value_at(two, "model"), Some(json!({ "name": "unet" })));
        for none in ["model.depth", "epochs.x", "", "model."] {
            assert_eq!(value_at(one, none), None, "{none}");
        }
        assert_eq!(different_paths(&[flat(one), flat(two)]), ["epochs", "model.base"]);
        assert!(different_paths(&[flat(one)]).is_empty());
    }
}
