//! Sample predictions: overlays that `regatta predict` wrote, and what is known of them.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::overlay;
use crate::cli::Failure;
use crate::layout::{self, Limit};

/// Images of a prediction that are shown: the worst, the middle and the best ones.
const SHOWN: usize = 6;

/// Bytes of all images of a report.
const MOST_BYTES: u64 = 9 << 20;

/// Bytes of `metrics.json`.
const MOST_WORDS: u64 = 64 << 20;

/// A folder of `regatta predict`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::cli) struct Prediction {
    /// `sweep/trial` of the networks that decided together.
    pub(super) members: Vec<String>,
    /// What was segmented (`val`, `test`, …).
    pub(super) images_of: String,
    /// Metrics over all its images, by name.
    pub(super) metrics: Value,
    /// Images in all.
    pub(super) all: usize,
    /// Images whose truth is known.
    pub(super) with_truth: usize,
    /// Images that are shown.
    pub(super) images: Vec<Image>,
    /// What the prediction warned of.
    pub(super) warnings: Vec<String>,
    /// What could not be shown, and why.
    pub(super) left_out: Vec<String>,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Image {
    pub(super) name: String,
    /// `worst`, `middle`, `best`, or nothing where no truth is known.
    pub(super) place: &'static str,
    pub(super) jaccard: Option<f64>,
    pub(super) dice: Option<f64>,
    pub(super) coverage: Option<f64>,
    pub(super) width: Option<u64>,
    pub(super) height: Option<u64>,
    /// Whether the overlay that is shown was made smaller than the one in the folder.
    pub(super) is_smaller: bool,
    /// The overlay, as a data URL.
    pub(super) url: String,
}

/// Reads the folders; images that do not fit are left out, and told.
pub(in crate::cli) fn read(folders: &[std::path::PathBuf]) -> Result<Vec<Prediction>, Failure> {
    let each = MOST_BYTES / folders.len().max(1) as u64;
    folders.iter().map(|folder| of(folder, each)).collect()
}

/// Images are taken as long as they have no more than `room` bytes together; each has its share of it.
fn of(folder: &Path, mut room: u64) -> Result<Prediction, Failure> {
    let each = room / SHOWN as u64;
    let path = folder.join("metrics.json");
    let hint = "--predictions wants a folder that `predict -o` wrote";
    let text = layout::read_named_text(&path, Limit::TABLE.at_most(MOST_WORDS))
        .map_err(|error| Failure::file("read", &path, &error).hint(hint))?;
    let report: Value = serde_json::from_str(&text).map_err(|error| {
        Failure::user(format!("{} is no report of a prediction: {error}", path.display()))
            .hint(hint)
    })?;
    let images: Vec<&Value> = report["images"].as_array().into_iter().flatten().collect();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let member = |member: &Value| {
        let epoch = member["epoch"].as_u64().map_or(String::new(), |at| format!(", epoch {at}"));
        format!("{}/{}{epoch}", word(&member["sweep"]), word(&member["trial"]))
    };
    let mut left_out = Vec::new();
    let mut shown = Vec::new();
    for (place, image) in chosen(&images) {
        let file = word(&image["file"]);
        match overlay::embedded(folder, &file, each.min(room)) {
            Ok(found) => {
                room = room.saturating_sub(found.bytes);
                shown.push(Image {
                    name: word(&image["name"]),
                    place,
                    jaccard: image["jaccard"].as_f64(),
                    dice: image["dice"].as_f64(),
                    coverage: image["coverage"].as_f64(),
                    width: image["width"].as_u64(),
                    height: image["height"].as_u64(),
                    is_smaller: found.is_smaller,
                    url: found.url,
                });
            }
            Err(why) => left_out.push(format!("{file}: {why}")),
        }
    }
    let mut warnings: Vec<String> =
        report["warnings"].as_array().into_iter().flatten().map(word).collect();
    if report["complete"] != Value::Bool(true) {
        warnings.push("the prediction was stopped before it was complete".to_owned());
    }
    Ok(Prediction {
        members: report["members"].as_array().into_iter().flatten().map(member).collect(),
        images_of: word(&report["options"]["images"]),
        metrics: report["metrics"].clone(),
        all: images.len(),
        with_truth: images.iter().filter(|image| image["jaccard"].is_number()).count(),
        images: shown,
        warnings,
        left_out,
    })
}

/// The worst, the middle and the best two by their Jaccard index; the first ones where no truth is known.
fn chosen<'a>(images: &[&'a Value]) -> Vec<(&'static str, &'a Value)> {
    let mut known: Vec<(f64, &Value)> =
        images.iter().filter_map(|image| Some((image["jaccard"].as_f64()?, *image))).collect();
    if known.is_empty() {
        return images.iter().take(SHOWN).map(|image| ("", *image)).collect();
    }
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    let last = known.len() - 1;
    let middle = known.len() / 2;
    let wanted = [
        ("worst", 0),
        ("worst", 1),
        ("middle", middle.saturating_sub(1)),
        ("middle", middle),
        ("best", last.saturating_sub(1)),
        ("best", last),
    ];
    let mut taken = Vec::new();
    let mut found = Vec::new();
    for (place, at) in wanted {
        if at <= last && !taken.contains(&at) {
            taken.push(at);
            found.push((place, known[at].1));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_worst_the_middle_and_the_best_are_chosen_once_each() {
        let images: Vec<Value> =
            [0.5, 0.9, 0.1, 0.7].iter().map(|jaccard| json!({ "jaccard": jaccard })).collect();
        let images: Vec<&Value> = images.iter().collect();
        let found: Vec<(&str, f64)> = chosen(&images)
            .into_iter()
            .map(|(place, image)| (place, image["jaccard"].as_f64().expect("number")))
            .collect();
        assert_eq!(found, [("worst", 0.1), ("worst", 0.5), ("middle", 0.7), ("best", 0.9)]);
        let unknown = json!({ "jaccard": null });
        assert_eq!(chosen(&[&unknown; 9]).len(), SHOWN);
    }
}
