//! What settings mean together: those that would contradict, hide or overwrite each other.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Problem;
use super::field::problem;

/// Parts of the loss.
const PARTS: [&str; 5] = ["bce", "dice", "focal", "tversky", "focal_tversky"];

/// Fills in what follows from what is given.
pub(super) fn prepared(given: &Map<String, Value>) -> Map<String, Value> {
    let mut given = given.clone();
    // Who asks for one loss does not want the usual ones beside it.
    if let Some(Value::Object(loss)) = given.get_mut("loss")
        && PARTS.iter().any(|part| loss.contains_key(*part))
    {
        for part in PARTS {
            loss.entry(part).or_insert_with(|| Value::from(0.0));
        }
    }
    // So that the same network is the same trial, whether its window is named or not.
    if let Some(Value::Object(model)) = given.get_mut("model")
        && model.get("name").and_then(Value::as_str) == Some("swin_unet")
        && model.get("variant").is_none_or(|variant| variant == "paper")
    {
        model.entry("window").or_insert_with(|| Value::from(8));
    }
    given
}

/// Drops resolved settings that change nothing beside the others: two trials that differ in them alone
/// are one.
pub(super) fn drop_idle(given: &mut Map<String, Value>) {
    let is_off = |section: &Map<String, Value>, key: &str| {
        section.get(key).is_none_or(|value| value.as_f64() == Some(0.0))
    };
    if let Some(Value::Object(loss)) = given.get_mut("loss") {
        let (focal, tversky) = (is_off(loss, "focal"), is_off(loss, "tversky"));
        let focal_tversky = is_off(loss, "focal_tversky");
        loss.retain(|key, _| match key.as_str() {
            "focal_gamma" | "focal_alpha" => !focal,
            "tversky_alpha" | "tversky_beta" => !(tversky && focal_tversky),
            "focal_tversky_gamma" => !focal_tversky,
            _ => true,
        });
    }
    if let Some(Value::Object(guards)) = given.get_mut("guards") {
        let stops = guards.get("action").is_none_or(|action| action == "stop");
        let is_patient = guards.get("patience").is_none_or(Value::is_null);
        guards.retain(|key, _| match key.as_str() {
            "rollbacks" | "rollback_factor" => !stops,
            "metric" | "min_delta" | "restore_best" => !is_patient,
            _ => true,
        });
    }
    if let Some(Value::Object(augmentation)) = given.get_mut("augmentation")
        && is_off(augmentation, "elastic")
    {
        augmentation.remove("elastic_sigma");
    }
}

/// Returns settings without those that change nothing beside the others, and yet are part of a trial's
/// identity, as they were from the first: `data.val_fraction` beside a split that says itself what is
/// validation data.
#[must_use]
pub fn effective(resolved: &Map<String, Value>) -> Cow<'_, Map<String, Value>> {
    let has_idle = |data: &Map<String, Value>| {
        let says_itself = match data.get("split") {
            Some(Value::String(word)) => word == "split.csv",
            Some(Value::Object(split)) => split.get("by").is_some_and(|by| by == "folds"),
            _ => false,
        };
        says_itself && data.contains_key("val_fraction")
    };
    let data = resolved.get("data").and_then(Value::as_object);
    if !data.is_some_and(has_idle) {
        return Cow::Borrowed(resolved);
    }
    let mut kept = resolved.clone();
    if let Some(Value::Object(data)) = kept.get_mut("data") {
        data.remove("val_fraction");
    }
    Cow::Owned(kept)
}

/// Checks complete settings, each of which is right by itself.
pub(super) fn check(all: &Map<String, Value>, problems: &mut Vec<Problem>) {
    let at = |path: &str| {
        let mut value = None;
        for key in path.split('.') {
            value = value.map_or_else(|| all.get(key), |value: &Value| value.get(key));
        }
        value.filter(|value| !value.is_null())
    };
    let number = |path: &str| at(path).and_then(Value::as_f64);
    let text = |path: &str| at(path).and_then(Value::as_str);
    let mut wrong = |path: &str, what: String, hint: &str| {
        problems.push(problem(path, what, Some(hint.to_owned())));
    };
    if at("loss").is_some() && PARTS.iter().all(|part| number(&format!("loss.{part}")) == Some(0.0))
    {
        wrong(
            "loss",
            "all its weights are 0: nothing would be learnt".to_owned(),
            "give one a weight, such as bce: 1",
        );
    }
    if let (Some(warmup), Some(epochs)) = (number("schedule.warmup_epochs"), number("epochs"))
        && warmup > 0.0
        && warmup >= epochs
    {
        let what =
            format!("a warm-up of {warmup} epochs is all of the {epochs} epochs of the trial");
        wrong("schedule.warmup_epochs", what, "fewer epochs of warm-up, or more `epochs`");
    }
    if let (Some("plateau"), Some(guard), Some(plateau)) =
        (text("schedule.name"), number("guards.patience"), number("schedule.patience"))
        && guard <= plateau
        && text("guards.metric") == text("schedule.metric")
    {
        let what = format!(
            "training would end after {guard} epochs without improvement, before `schedule.patience` \
             ({plateau}) lowers the learning rate"
        );
        wrong("guards.patience", what, "make it larger than schedule.patience");
    }
    if number("data.foreground_crops").is_some_and(|part| part > 0.0)
        && at("samples_per_epoch").is_none()
    {
        wrong(
            "data.foreground_crops",
            "it chooses among random crops, and without `samples_per_epoch` an epoch is the grid"
                .to_owned(),
            "set samples_per_epoch",
        );
    }
    if number("model.channels") == Some(2.0) {
        let what = "images have 1 channel or 3".to_owned();
        wrong("model.channels", what, "1 for grey; 3 for colours, or copies of grey");
    }
    let is_plain = text("model.name")
        .is_some_and(|name| ["unet", "attention_unet", "attention_resunet"].contains(&name));
    if let (true, Some(depth), Some(patch)) =
        (is_plain, number("model.depth"), number("data.patch"))
    {
        let least = 2.0 * depth.exp2();
        if patch < least {
            let what = format!("{patch} is too small for model.depth {depth}; at least {least}");
            wrong("data.patch", what, "a larger patch, or a smaller depth");
        }
    }
    network(all.get("model"), &mut wrong);
}

fn network(model: Option<&Value>, wrong: &mut impl FnMut(&str, String, &str)) {
    let Some(model) = model else { return };
    let of = |key: &str| model.get(key).filter(|value| !value.is_null());
    match of("name").and_then(Value::as_str) {
        Some("swin_unet") => {}
        Some("coatnet_unet") => return relative_attention(model, wrong),
        _ => return,
    }
    if of("variant").and_then(Value::as_str) == Some("earlier") && of("window").is_some() {
        wrong(
            "model.window",
            "the earlier system's network has no windows: each token attends to all".to_owned(),
            "leave it out, or take `variant: paper`",
        );
    }
    let list = |key: &str| -> Vec<i64> {
        let values = of(key).and_then(Value::as_array);
        values.map(|all| all.iter().filter_map(Value::as_i64).collect()).unwrap_or_default()
    };
    let (depths, heads) = (list("depths"), list("heads"));
    if depths.len() != heads.len() {
        let what = format!("{} numbers, and `model.depths` has {}", heads.len(), depths.len());
        wrong("model.heads", what, "a number for each level");
        return;
    }
    let embed = of("embed").and_then(Value::as_i64).unwrap_or_default();
    for (level, heads) in heads.iter().enumerate() {
        let channels = embed << level;
        if channels % heads != 0 {
            let what =
                format!("{channels} channels of level {level} do not divide among {heads} heads");
            wrong("model.heads", what, "heads that divide embed, 2 embed, 4 embed and so on");
        }
    }
}

fn relative_attention(model: &Value, wrong: &mut impl FnMut(&str, String, &str)) {
    let number = |key: &str| model.get(key).and_then(Value::as_i64).unwrap_or_default();
    // The finest level that attends.
    let level = if model.get("variant").and_then(Value::as_str) == Some("earlier") { 1 } else { 2 };
    let (channels, head) = (number("embed") << level, number("head_width"));
    if head > 0 && channels % head != 0 {
        let what = format!("{channels} channels of level {level} are no whole heads of {head}");
        wrong("model.head_width", what, "a width that divides the channels of that level");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::effective;
    use crate::setting::resolve;

    fn problems(settings: serde_json::Value) -> Vec<String> {
        let mut given = json!({ "model": { "name": "unet" }, "data": { "path": "/d" } });
        for (key, value) in settings.as_object().expect("object") {
            given[key] = value.clone();
        }
        let resolved = resolve(given.as_object().expect("object"));
        resolved.err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_would_hide_or_contradict_is_refused() {
        for (settings, path) in [
            (json!({ "loss": { "bce": 0 } }), "loss"),
            (
                json!({ "schedule": { "name": "warmup_cosine", "warmup_epochs": 30 } }),
                "schedule.warmup_epochs",
            ),
            (
                json!({
                    "schedule": { "name": "plateau", "metric": "val/jaccard" },
                    "guards": { "patience": 10 },
                }),
                "guards.patience",
            ),
            (json!({ "data": { "path": "/d", "foreground_crops": 0.5 } }), "data.foreground_crops"),
            (
                json!({ "model": { "name": "swin_unet", "variant": "earlier", "window": 7 } }),
                "model.window",
            ),
            (json!({ "model": { "name": "swin_unet", "heads": [3, 6] } }), "model.heads"),
            (json!({ "model": { "name": "swin_unet", "embed": 50 } }), "model.heads"),
            (json!({ "model": { "name": "coatnet_unet", "embed": 4 } }), "model.head_width"),
            (
                json!({ "model": { "name": "coatnet_unet", "embed": 8, "variant": "earlier" } }),
                "model.head_width",
            ),
        ] {
            let found = problems(settings.clone());
            let names_it = |found: &String| found.starts_with(&format!("{path}: "));
            assert!(!found.is_empty() && found.iter().all(names_it), "{settings}: {found:?}");
        }
    }

    #[test]
    fn what_goes_together_passes() {
        for settings in [
            json!({ "loss": { "focal": 1 } }),
            json!({ "schedule": { "name": "plateau" }, "guards": { "patience": 5 } }),
            json!({ "schedule": { "name": "plateau", "metric": "val/jaccard", "patience": 8 }, "guards": { "patience": 15 } }),
            json!({ "model": { "name": "swin_unet", "embed": 48 } }),
            json!({ "model": { "name": "coatnet_unet", "embed": 8 } }),
        ] {
            assert_eq!(problems(settings.clone()), Vec::<String>::new(), "{settings}");
        }
    }

    #[test]
    fn settings_that_change_nothing_make_no_other_trial() {
        let resolved = |settings: serde_json::Value| {
            let mut given = json!({ "model": { "name": "unet" }, "data": { "path": "/d" } });
            for (key, value) in settings.as_object().expect("object") {
                given[key] = value.clone();
            }
            resolve(given.as_object().expect("object")).expect("resolved")
        };
        for (one, other, is_same) in [
            (
                json!({ "loss": { "dice": 1, "focal_gamma": 3 } }),
                json!({ "loss": { "dice": 1 } }),
                true,
            ),
            (
                json!({ "loss": { "focal": 1, "focal_gamma": 3 } }),
                json!({ "loss": { "focal": 1 } }),
                false,
            ),
            (json!({ "guards": { "rollbacks": 7, "min_delta": 0.1 } }), json!({}), true),
            (json!({ "data": { "path": "/d", "train_fraction": 1 } }), json!({}), true),
            (json!({ "data": { "path": "/d", "train_fraction": 0.5 } }), json!({}), false),
            (
                json!({ "guards": { "action": "rollback", "rollbacks": 7 } }),
                json!({ "guards": { "action": "rollback" } }),
                false,
            ),
            (json!({ "augmentation": { "elastic_sigma": 5 } }), json!({}), true),
        ] {
            assert_eq!(resolved(one.clone()) == resolved(other), is_same, "{one}");
        }
    }

    #[test]
    fn a_fraction_beside_a_split_that_says_itself_has_no_effect() {
        let kept = |split: serde_json::Value| {
            let data = json!({ "path": "/d", "split": split, "val_fraction": 0.3 });
            let given = json!({ "model": { "name": "unet" }, "data": data });
            let resolved = resolve(given.as_object().expect("object")).expect("resolved");
            assert_eq!(resolved["data"]["val_fraction"], 0.3, "it is part of the identity");
            effective(&resolved)["data"].get("val_fraction").is_some()
        };
        assert!(!kept(json!("split.csv")));
        assert!(!kept(json!({ "by": "folds", "folds": 5, "fold": 0 })));
        assert!(kept(json!({ "by": "blocks", "gap": 2 })));
        for word in ["file", "stratified", "leaky_random_patches"] {
            assert!(kept(json!(word)), "{word}");
        }
    }

    #[test]
    fn a_loss_that_is_asked_for_stands_alone_and_new_settings_leave_older_trials_alone() {
        let given = json!({ "model": { "name": "unet" }, "data": { "path": "/d" }, "loss": { "focal": 1 } });
        let resolved = resolve(given.as_object().expect("object")).expect("resolved");
        assert_eq!(resolved["loss"], json!({ "bce": 0.0, "dice": 0.0, "focal": 1.0 }));
        assert_eq!(resolved["guards"], json!({ "max_loss": 1e6 }));
    }
}
