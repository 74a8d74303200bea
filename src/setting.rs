//! Settings of a trial: what may be set, in which range, with which default, and why.
//!
//! [`table`] is the one source: hints, defaults and documentation come from it. [`resolve`] turns
//! what a sweep says into complete settings; the typed form that programs use is [`Settings`].

mod field;
mod rule;
pub mod schema;
pub mod table;
mod typed;

use serde_json::{Map, Value};

pub use field::{Bound, Default, Field, Kind};
pub use rule::effective;
pub use typed::{
    Action, Adam, Augmentation, Blocks, CoatnetUnet, ConvnextUnet, Data, Folds, Guards, Layout,
    Loss, Model, Optimizer, Plateau, Schedule, Settings, Sgd, Split, SplitBy, SwinUnet, Toy,
    UShape,
};

/// Meaning of the settings; part of every trial's identity. It rises when the same settings come to
/// mean another training.
pub const SETTINGS_VERSION: u32 = 1;

/// Something wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct Problem {
    /// Where: `optimizer.lr`.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Completes settings with defaults and checks every value. The result is canonical: the same
/// training has the same JSON, however its numbers were spelt and its keys ordered.
///
/// # Errors
/// All problems, in the order of the table.
pub fn resolve(given: &Map<String, Value>) -> Result<Map<String, Value>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut resolved = Map::new();
    let given = &rule::prepared(given);
    let toy = given.get("model").and_then(|m| m.get("name")).and_then(Value::as_str) == Some("toy");
    for section in table::SECTIONS {
        // The toy learner has no images; everything about them is left out of its identity.
        if toy && section.images_only {
            continue;
        }
        field::resolve_section(section, given.get(section.name), &mut resolved, &mut problems);
    }
    field::resolve_fields("", table::TOP, given, &mut resolved, &mut problems, |key| {
        table::SECTIONS.iter().any(|section| section.name == key)
    });
    if problems.is_empty() {
        rule::check(&complete(&resolved), &mut problems);
        rule::drop_idle(&mut resolved);
    }
    if problems.is_empty() { Ok(resolved) } else { Err(problems) }
}

/// Adds the defaults that resolved settings leave out for the sake of older trials' identity.
#[must_use]
pub fn complete(resolved: &Map<String, Value>) -> Map<String, Value> {
    let mut all = resolved.clone();
    for section in table::SECTIONS {
        field::complete_section(section, &mut all);
    }
    field::complete_fields(table::TOP.iter(), &mut all);
    all
}

/// Returns what a setting is where resolved settings leave it out: its value, and the kind of the section
/// that has it, where it is not all of them. Nothing for settings that are never left out.
#[must_use]
pub fn left_out(path: &str) -> Vec<(Option<&'static str>, Value)> {
    let Some((name, own)) = path.split_once('.') else {
        return field::default_left_out(table::TOP, path).map(|v| (None, v)).into_iter().collect();
    };
    let Some(section) = table::SECTIONS.iter().find(|section| section.name == name) else {
        return Vec::new();
    };
    let of_all = field::default_left_out(section.fields, own).map(|value| (None, value));
    let of_some = section.variants.iter().filter_map(|variant| {
        Some((Some(variant.name), field::default_left_out(variant.fields, own)?))
    });
    of_all.into_iter().chain(of_some).collect()
}

/// Names of all sections and settings, as dotted paths, for hints.
pub fn known_paths() -> impl Iterator<Item = String> {
    let top = table::TOP.iter().map(|field| field.name.to_owned());
    let sections = table::SECTIONS.iter().flat_map(|section| {
        let own = section.fields.iter();
        let variants = section.variants.iter().flat_map(|variant| variant.fields.iter());
        let fields =
            own.chain(variants).map(move |field| format!("{}.{}", section.name, field.name));
        let name = (!section.variants.is_empty()).then(|| format!("{}.name", section.name));
        std::iter::once(section.name.to_owned()).chain(name).chain(fields)
    });
    top.chain(sections)
}

/// What other programs call things, by our name.
const SYNONYMS: [(&str, &str); 7] = [
    ("iou", "jaccard"),
    ("miou", "jaccard"),
    ("f1", "dice"),
    ("dsc", "dice"),
    ("learning_rate", "lr"),
    ("learningrate", "lr"),
    ("wd", "weight_decay"),
];

/// The same word by our name for its last part: `val/jaccard` for `val/iou`.
fn by_our_name(word: &str) -> Option<String> {
    let start = word.rfind(['/', '.']).map_or(0, |at| at + 1);
    let (before, last) = word.split_at(start);
    let is_same = |(other, _): &&(&str, &str)| last.eq_ignore_ascii_case(other);
    SYNONYMS.iter().find(is_same).map(|(_, ours)| format!("{before}{ours}"))
}

/// Returns the known word nearest to `word`, if one is near.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let ours = by_our_name(word);
    let word = ours.as_deref().unwrap_or(word);
    let score = |other: &str| {
        let same = usize::from(!other.starts_with(word.get(..1).unwrap_or_default()));
        (strsim::damerau_levenshtein(&word.to_lowercase(), other), same)
    };
    let limit = (word.chars().count() / 3).max(1) + 1;
    let known: Vec<&str> = known.collect();
    // Tables say `lr` for `optimizer.lr`.
    let is_end = |other: &&&str| other.rsplit('.').next() == Some(word) && **other != word;
    if let Some(path) = known.iter().find(is_end) {
        return Some(path);
    }
    known
        .into_iter()
        .map(|other| (score(other), other))
        .filter(|((d, _), _)| *d <= limit)
        .min()
        .map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn other_names_of_the_same_lead_to_ours() {
        let known = ["val/dice", "val/jaccard", "optimizer.lr", "model.base"];
        let near = |word| nearest(word, known.into_iter());
        assert_eq!(near("val/iou"), Some("val/jaccard"));
        assert_eq!(near("val/F1"), Some("val/dice"));
        assert_eq!(near("learning_rate"), Some("optimizer.lr"));
        assert_eq!(near("val/jacard"), Some("val/jaccard"));
        assert_eq!(near("something"), None);
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().expect("object").clone()
    }

    fn unet() -> Map<String, Value> {
        object(json!({ "model": { "name": "unet" }, "data": { "path": "/d/lucchi" } }))
    }

    fn problems(change: impl FnOnce(&mut Map<String, Value>)) -> Vec<Problem> {
        let mut given = unet();
        change(&mut given);
        resolve(&given).expect_err("a problem")
    }

    #[test]
    fn defaults_complete_the_settings_and_fit_the_types() {
        let resolved = resolve(&unet()).expect("resolved");
        assert_eq!(resolved["data"]["name"], "lucchi");
        assert_eq!(resolved["optimizer"]["name"], "adamw");
        Settings::from_resolved(&resolved).expect("typed");
        let toy = resolve(&object(json!({ "model": { "name": "toy" } }))).expect("resolved");
        assert!(!toy.contains_key("data"));
        Settings::from_resolved(&toy).expect("typed");
    }

    #[test]
    fn defaults_that_are_left_out_are_found_by_their_path() {
        let resolved = resolve(&unet()).expect("resolved");
        let mut found = 0;
        for (section, whole) in complete(&resolved) {
            let Value::Object(whole) = whole else { continue };
            let name = whole.get("name").and_then(Value::as_str);
            for (key, value) in whole.iter().filter(|(_, value)| !value.is_null()) {
                if resolved[&section].get(key).is_none() {
                    let told = left_out(&format!("{section}.{key}"));
                    let is_it = |(kind, default): &(Option<&str>, Value)| {
                        default == value && (kind.is_none() || *kind == name)
                    };
                    assert!(told.iter().any(is_it), "{section}.{key}: {told:?}");
                    found += 1;
                }
            }
        }
        assert!(found > 10, "{found}");
        assert_eq!(left_out("gradient_accumulation"), [(None, json!(1))]);
        for none in ["optimizer.lr", "epochs", "nothing", "no.thing", ""] {
            assert!(left_out(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn the_spelling_of_numbers_does_not_matter() {
        let with = |lr: Value, batch: Value| {
            let mut given = unet();
            given.insert("optimizer".to_owned(), json!({ "lr": lr }));
            given.insert("batch_size".to_owned(), batch);
            serde_json::to_string(&resolve(&given).expect("resolved")).expect("json")
        };
        assert_eq!(with(json!(1e-4), json!(4)), with(json!(0.0001), json!(4.0)));
        assert_eq!(with(json!(1), json!(4)), with(json!(1.0), json!(4)));
    }

    #[test]
    fn every_kind_of_mistake_says_what_to_do() {
        let found = problems(|given| {
            given.insert(
                "optimizer".to_owned(),
                json!({ "name": "adamw", "lr": "1e-4", "weigth_decay": 0.1 }),
            );
            given.insert("batch_size".to_owned(), json!(-4));
            given.insert("epoch".to_owned(), json!(3));
            given.insert("model".to_owned(), json!({ "name": "unett" }));
        });
        let text: Vec<_> =
            found.iter().map(|p| format!("{p} | {}", p.hint.as_deref().unwrap_or("-"))).collect();
        insta::assert_snapshot!(text.join("\n"), @r#"
        model.name: unknown model `unett` | did you mean `unet`? known: toy, unet, attention_unet, attention_resunet, convnext_unet, swin_unet, coatnet_unet
        optimizer.lr: a number is needed, this is the text "1e-4" | write 1e-4 without quotes
        optimizer.weigth_decay: unknown key `weigth_decay` | did you mean `weight_decay`? known: name, clip_norm, l2_conv, lr, weight_decay, beta1, beta2, eps
        batch_size: -4 is too small | at least 1
        epoch: unknown key `epoch` | did you mean `epochs`? known: model, data, loss, optimizer, schedule, augmentation, guards, epochs, batch_size, samples_per_epoch, gradient_accumulation
        "#);
    }

    #[test]
    fn a_nearest_word_must_be_near() {
        assert_eq!(nearest("lr_rate", ["lr", "eps"].into_iter()), None);
        assert_eq!(nearest("batchsize", ["batch_size", "epochs"].into_iter()), Some("batch_size"));
    }
}
