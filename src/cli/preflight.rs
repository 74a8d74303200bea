//! What can be seen of the data without opening an image: folders, names, pairs.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::Failure;
use crate::layout;
use crate::plan::Plan;

/// Extensions that are taken for images.
const IMAGES: [&str; 3] = ["png", "tif", "tiff"];
/// Names that are told of those that do not pair.
const SHOWN: usize = 5;

/// What was found in a data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The folder.
    pub(super) path: String,
    /// Pairs of image and mask.
    pub(super) pairs: usize,
}

/// Looks at every data folder of a plan.
pub(super) fn data(plan: &Plan) -> Result<Vec<Found>, Failure> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for trial in &plan.trials {
        let Some(data) = trial.settings.get("data") else { continue };
        let text = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let place = (text("path"), text("images"), text("masks"), data.get("split").cloned());
        if seen.insert(format!("{place:?}")) {
            let pairs = pairs(&place.0, &place.1, &place.2)?;
            if place.3.as_ref().and_then(Value::as_str) == Some("split.csv")
                && !Path::new(&place.0).join("split.csv").is_file()
            {
                return Err(Failure::user(format!("{}: there is no split.csv, which `data.split` asks for", place.0))
                    .hint("write one with the columns name,split (train, val or test), or set data.split to `file`"));
            }
            let here = Found { path: place.0, pairs };
            if !found.contains(&here) {
                found.push(here);
            }
        }
    }
    Ok(found)
}

fn pairs(path: &str, images: &str, masks: &str) -> Result<usize, Failure> {
    let folder = Path::new(path);
    if !folder.is_dir() {
        return Err(Failure::user(format!("there is no data folder {path}")).hint(
            "`data.path` is relative to the file in which it stands, an included one too; it holds the folders images and masks",
        ));
    }
    let images_found = stems(&folder.join(images), "data.images")?;
    let masks_found = stems(&folder.join(masks), "data.masks")?;
    let without_mask: Vec<&String> = images_found.difference(&masks_found).collect();
    let without_image: Vec<&String> = masks_found.difference(&images_found).collect();
    if without_mask.is_empty() && without_image.is_empty() {
        return Ok(images_found.len());
    }
    // Both lists at once: a name that is spelt in two ways stands in both.
    let lists = [
        (&without_mask, images, images_found.len(), "images have no mask"),
        (&without_image, masks, masks_found.len(), "masks have no image"),
    ];
    let told = lists.into_iter().filter(|(names, ..)| !names.is_empty());
    let told: Vec<String> = told
        .map(|(names, folder, of, what)| {
            format!("{} of {of} {what}: {folder}/{}", names.len(), first_of(names))
        })
        .collect();
    let failure = Failure::user(format!("{path}: {}", told.join("; "))).hint(
        "image and mask share their file name (not its extension): rename, add or remove files, or \
         set data.images and data.masks",
    );
    Err(match suffix(&images_found, &masks_found) {
        None => failure,
        Some(suffix) => failure.hint(format!(
            "the masks end in `{suffix}`; to take that away, in {}: for f in *{suffix}.*; do mv -n \"$f\" \
             \"${{f%{suffix}.*}}.${{f##*.}}\"; done",
            folder.join(masks).display()
        )),
    })
}

/// What all masks have behind the name of their image: `_seg`, `-mask`.
fn suffix(images: &BTreeSet<String>, masks: &BTreeSet<String>) -> Option<String> {
    let first = masks.first()?;
    let owns = |image: &&String| first.starts_with(image.as_str()) && first != *image;
    let image = images.iter().filter(owns).max_by_key(|image| image.len())?;
    let suffix = first.strip_prefix(image.as_str())?;
    // It is told as part of a command.
    let is_plain = suffix.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    let has_image =
        |mask: &String| mask.strip_suffix(suffix).is_some_and(|image| images.contains(image));
    (is_plain && masks.iter().all(has_image)).then(|| suffix.to_owned())
}

/// Folders where one is missed, the first few.
fn folders_beside(missing: &Path) -> Option<String> {
    let parent = missing.parent()?;
    let mut names = layout::list(parent).ok()?;
    names.retain(|name| parent.join(name).is_dir());
    (!names.is_empty()).then(|| first_of(&names.iter().collect::<Vec<_>>()))
}

/// The first few of a list.
fn first_of(names: &[&String]) -> String {
    let mut text =
        names.iter().take(SHOWN).map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

fn stems(folder: &Path, setting: &str) -> Result<BTreeSet<String>, Failure> {
    if !folder.is_dir() {
        let failure = Failure::user(format!("there is no folder {}", folder.display()));
        let failure = failure.hint(format!("`{setting}` names it within `data.path`"));
        return Err(match folders_beside(folder) {
            None => failure,
            Some(there) => failure.hint(format!("the folders there: {there}")),
        });
    }
    let names = layout::list(folder).map_err(|error| Failure::file("read", folder, &error))?;
    let stem = |name: String| {
        let (stem, extension) = name.rsplit_once('.')?;
        IMAGES.contains(&extension.to_lowercase().as_str()).then(|| stem.to_owned())
    };
    let found: BTreeSet<String> = names.into_iter().filter_map(stem).collect();
    if found.is_empty() {
        return Err(Failure::user(format!("{} holds no images", folder.display()))
            .hint(format!("known: {}", IMAGES.join(", "))));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_that_all_masks_have_is_seen() {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect();
        let images = names(&["z1", "z10"]);
        assert_eq!(suffix(&images, &names(&["z10_seg", "z1_seg"])).as_deref(), Some("_seg"));
        assert_eq!(suffix(&images, &names(&["z1_seg", "z10_mask"])), None);
        assert_eq!(suffix(&images, &names(&["z1", "z10"])), None);
        assert_eq!(suffix(&images, &names(&["z1$(x)", "z10$(x)"])), None);
    }
}
