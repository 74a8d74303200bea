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
    /// A file that somebody may believe to be heeded, and is not.
    pub(super) note: Option<String>,
}

/// What the settings say of the places of files.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    path: String,
    images: String,
    masks: String,
    mask_suffix: String,
    split: Option<String>,
}

impl Place {
    fn of(data: &Value) -> Self {
        let text = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            path: text("path"),
            images: text("images"),
            masks: text("masks"),
            mask_suffix: text("mask_suffix"),
            split: data.get("split").and_then(Value::as_str).map(str::to_owned),
        }
    }

    /// What is said of a `split.csv` by a split that does not read who is for training in it.
    fn passed_over(&self) -> Option<String> {
        let is_there = Path::new(&self.path).join("split.csv").is_file();
        (is_there && self.split.as_deref() != Some("split.csv")).then(|| {
            let split = self.split.as_deref().unwrap_or("a mapping");
            format!(
                "of {}/split.csv only `test` is heeded, as data.split is {split}; `split: split.csv` takes train and \
                 val from it",
                self.path
            )
        })
    }
}

/// Looks at every data folder of a plan.
pub(super) fn data(plan: &Plan) -> Result<Vec<Found>, Failure> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for trial in &plan.trials {
        let Some(data) = trial.settings.get("data") else { continue };
        let place = Place::of(data);
        if seen.contains(&place) {
            continue;
        }
        let pairs = pairs(&place)?;
        if place.split.as_deref() == Some("split.csv")
            && !Path::new(&place.path).join("split.csv").is_file()
        {
            return Err(Failure::user(format!("{}: there is no split.csv, which `data.split` asks for", place.path))
                .hint("write one with the columns name,split (train, val or test), or set data.split to `file`"));
        }
        let here = Found { path: place.path.clone(), pairs, note: place.passed_over() };
        if !found.contains(&here) {
            found.push(here);
        }
        seen.insert(place);
    }
    Ok(found)
}

/// Why there may be no folder of this name.
fn folder_hint(path: &str) -> String {
    let mut parts = path.split('/').filter(|part| part.starts_with(['~', '$']));
    match parts.next() {
        Some(part) => format!(
            "`{part}` is taken as the name of a folder, as no shell reads a sweep file: write the whole path"
        ),
        None => "`data.path` is relative to the file in which it stands, an included one too; it holds the folders \
                 images and masks"
            .to_owned(),
    }
}

fn pairs(place: &Place) -> Result<usize, Failure> {
    let Place { path, images, masks, mask_suffix, .. } = place;
    let folder = Path::new(path);
    if !folder.is_dir() {
        return Err(
            Failure::user(format!("there is no data folder {path}")).hint(folder_hint(path))
        );
    }
    let mut images_found = stems(&folder.join(images), "data.images")?;
    let mut masks_found = stems(&folder.join(masks), "data.masks")?;
    if !mask_suffix.is_empty() {
        // In one folder none may have it.
        if !masks_found.iter().any(|name| name.ends_with(mask_suffix)) {
            let failure = Failure::user(format!(
                "{}: no name ends in `{mask_suffix}`",
                folder.join(masks).display()
            ));
            // Where both lie in one folder, names that go on where another one ends are masks.
            let plain = if images == masks { shortest_names(&masks_found) } else { images_found };
            return Err(match suffix(&plain, &masks_found.difference(&plain).cloned().collect()) {
                None => failure.hint(
                    "data.mask_suffix says that the names of all masks do, before their extension",
                ),
                Some(other) => failure
                    .hint(format!("masks seem to end in `{other}`: set data.mask_suffix: {other}")),
            });
        }
        if images == masks {
            images_found.retain(|name| !name.ends_with(mask_suffix));
            masks_found.retain(|name| name.ends_with(mask_suffix));
        }
        if let Some(other) = masks_found.iter().find(|name| !name.ends_with(mask_suffix)) {
            return Err(Failure::user(format!(
                "{}: the name of `{other}` does not end in `{mask_suffix}`",
                folder.join(masks).display()
            ))
            .hint("data.mask_suffix says that the names of all masks do"));
        }
        let bare = |name: &String| name.strip_suffix(mask_suffix).map(str::to_owned);
        masks_found = masks_found.iter().filter_map(bare).collect();
    } else if images == masks {
        return Err(Failure::user(format!("{path}: images and masks lie in one folder")).hint(
            "set data.masks to the folder of the masks, or data.mask_suffix to the end of their names",
        ));
    }
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
    let failure = Failure::user(format!("{path}: {}", told.join("; ")));
    if let (Some(first), false) = (without_mask.first(), mask_suffix.is_empty()) {
        return Err(failure.hint(format!(
            "with data.mask_suffix {mask_suffix} the mask of {first} is {first}{mask_suffix}: rename, add or \
             remove files, or set another suffix"
        )));
    }
    let failure = failure.hint(
        "image and mask share their file name (not its extension): rename, add or remove files, or \
         set data.images, data.masks and data.mask_suffix",
    );
    Err(match suffix(&images_found, &masks_found) {
        None => failure,
        Some(suffix) => failure.hint(format!(
            "the names of the masks end in `{suffix}`: set data.mask_suffix: {suffix}"
        )),
    })
}

/// Names that are no longer form of another one: images, where their masks lie beside them.
fn shortest_names(names: &BTreeSet<String>) -> BTreeSet<String> {
    // `z10` is no longer form of `z1`.
    let goes_on = |rest: &str| rest.starts_with(|c: char| !c.is_ascii_digit());
    let is_longer = |name: &&String| {
        names.iter().any(|one| name.strip_prefix(one.as_str()).is_some_and(goes_on))
    };
    names.iter().filter(|name| !is_longer(name)).cloned().collect()
}

/// What all masks have behind the name of their image: `_seg`, `-mask`.
fn suffix(images: &BTreeSet<String>, masks: &BTreeSet<String>) -> Option<String> {
    let first = masks.first()?;
    let owns = |image: &&String| first.starts_with(image.as_str()) && first != *image;
    let image = images.iter().filter(owns).max_by_key(|image| image.len())?;
    let suffix = first.strip_prefix(image.as_str())?;
    // It is told as a value of the sweep file.
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

/// The name of an image without its extension; nothing of other files.
fn stem(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    IMAGES.contains(&extension.to_lowercase().as_str()).then(|| stem.to_owned())
}

fn has_images(folder: &Path) -> bool {
    layout::list(folder).is_ok_and(|names| names.iter().any(|name| stem(name).is_some()))
}

fn stems(folder: &Path, setting: &str) -> Result<BTreeSet<String>, Failure> {
    if !folder.is_dir() {
        let failure = Failure::user(format!("there is no folder {}", folder.display()));
        let failure = failure.hint(format!("`{setting}` names it within `data.path`"));
        if folder.parent().is_some_and(has_images) {
            return Err(failure.hint(
                "images lie in `data.path` itself: set data.images: . (and data.masks: . with data.mask_suffix, where \
                 masks lie there, too)",
            ));
        }
        return Err(match folders_beside(folder) {
            None => failure,
            Some(there) => failure.hint(format!("the folders there: {there}")),
        });
    }
    let names = layout::list(folder).map_err(|error| Failure::file("read", folder, &error))?;
    let found: BTreeSet<String> = names.iter().filter_map(|name| stem(name)).collect();
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
