//! Finds image and mask files and pairs them by name.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::layout;
use crate::setting::Data;
use crate::worker::learner::LearnerError;

use super::picture::Source;
use super::unreadable;

/// An image and its mask, not yet decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// File name without extension, followed by `#page` for the pages of a stack.
    pub name: String,
    /// The image.
    pub image: Source,
    /// The mask of the same name.
    pub mask: Option<Source>,
}

/// Finds the images, in natural order of names (`z2` before `z10`), each with the mask of the same
/// file name without extension and `mask_suffix`. The order in which a file system lists files never matters.
///
/// # Errors
/// When the image folder is missing or empty, two images share a name, a mask has no image or lacks the
/// suffix, images would be their own masks, or the pages of a stack and its mask do not agree in number.
pub fn find(settings: &Data) -> Result<Vec<Entry>, LearnerError> {
    let root = Path::new(&settings.path);
    let (images_at, masks_at) = (root.join(&settings.images), root.join(&settings.masks));
    if !root.is_dir() {
        return Err(wrong(root, "no such folder", "set data.path to the folder of the data set"));
    }
    if !images_at.is_dir() {
        let hint = format!("put images into `{}`, or set data.images", settings.images);
        return Err(wrong(&images_at, "no such folder", &hint));
    }
    let (images, mut masks) = images_and_masks(&images_at, &masks_at, settings.mask_suffix())?;
    if images.is_empty() {
        return Err(wrong(&images_at, "no images in it", "PNG and TIFF files are read"));
    }
    let mut entries = Vec::new();
    for (stem, path) in images {
        let mask = masks.remove(&stem);
        entries.extend(pair(&stem, &path, mask.as_deref())?);
    }
    if let Some((_, path)) = masks.first_key_value() {
        let mut names: Vec<&str> = masks.keys().map(String::as_str).collect();
        names.sort_by(|a, b| natural(a, b));
        let mut what =
            format!("no image has this name ({})", unpaired(&names, "masks without image"));
        let lone = without_mask(&entries);
        if !lone.is_empty() {
            what.push_str(&format!(
                "; nor has every image a mask ({})",
                unpaired(&lone, "images without mask")
            ));
        }
        let hint = match settings.mask_suffix() {
            "" => format!("give each image in {} the name of its mask", images_at.display()),
            suffix => format!(
                "give each image in {} the name of its mask without `{suffix}` (data.mask_suffix)",
                images_at.display()
            ),
        };
        return Err(wrong(path, &what, &hint));
    }
    entries.sort_by(|a, b| natural(&a.name, &b.name));
    Ok(entries)
}

/// Files by the name that an image and its mask share.
type Named = BTreeMap<String, PathBuf>;

/// Lists the images and the masks; where both lie in one folder, the suffix tells them apart.
fn images_and_masks(
    images_at: &Path,
    masks_at: &Path,
    suffix: &str,
) -> Result<(Named, Named), LearnerError> {
    let mut images = files(images_at)?;
    let is_one_folder = images_at.canonicalize().ok() == masks_at.canonicalize().ok();
    if is_one_folder && suffix.is_empty() {
        let hint = "set data.masks to the folder of the masks, or data.mask_suffix to the end of their names";
        return Err(wrong(masks_at, "images and masks lie in one folder", hint));
    }
    let masks = match is_one_folder {
        true => images.extract_if(.., |stem, _| stem.ends_with(suffix)).collect(),
        false if masks_at.is_dir() => files(masks_at)?,
        false => Named::new(),
    };
    let bare = |(stem, path): (String, PathBuf)| match stem.strip_suffix(suffix) {
        Some(name) => Ok((name.to_owned(), path)),
        None => {
            let what = format!("its name does not end in `{suffix}`");
            Err(wrong(&path, &what, "data.mask_suffix says that the names of masks do"))
        }
    };
    Ok((images, masks.into_iter().map(bare).collect::<Result<_, _>>()?))
}

/// Finds images by the paths that somebody named: files, and folders of them in natural order of names.
/// None has a mask. Folders within folders are not entered; of masks that lie beside their images in one, by
/// `mask_suffix`, nothing is taken.
///
/// # Errors
/// When a path is missing, is no image, or a folder holds none.
pub fn loose(paths: &[PathBuf], mask_suffix: &str) -> Result<Vec<Entry>, LearnerError> {
    let mut entries = Vec::new();
    for path in paths {
        if path.is_dir() {
            let all = files(path)?;
            let is_mask = |stem: &str| {
                let image = stem.strip_suffix(mask_suffix).filter(|name| *name != stem);
                image.is_some_and(|name| all.contains_key(name))
            };
            let images = all.iter().filter(|(stem, _)| !is_mask(stem));
            let mut found: Vec<(String, PathBuf)> =
                images.map(|(stem, path)| (stem.clone(), path.clone())).collect();
            if found.is_empty() {
                let hint = match path.join("images").is_dir() {
                    true => "name its folder `images`",
                    false => "PNG and TIFF files are read",
                };
                return Err(wrong(path, "no images in it", hint));
            }
            found.sort_by(|(a, _), (b, _)| natural(a, b));
            for (stem, file) in found {
                entries.extend(pair(&stem, &file, None)?);
            }
        } else if !path.is_file() {
            let hint = "name images, or folders of them; several trials are given as A,B,C";
            return Err(wrong(path, "no such file or folder", hint));
        } else if !Source::knows(path) {
            return Err(wrong(path, "no PNG or TIFF by its name", "other formats are not read"));
        } else {
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            entries.extend(pair(&stem.unwrap_or_default(), path, None)?);
        }
    }
    Ok(entries)
}

/// Names files in these folders that are images of a kind that is not read.
#[must_use]
pub fn passed_over(paths: &[PathBuf]) -> Vec<String> {
    const OTHER: [&str; 7] = ["jpg", "jpeg", "bmp", "gif", "webp", "jp2", "dm3"];
    let is_other = |name: &String| {
        let extension = Path::new(name).extension().map(|one| one.to_ascii_lowercase());
        extension.is_some_and(|one| OTHER.iter().any(|other| one == *other))
    };
    let within =
        paths.iter().filter(|path| path.is_dir()).filter_map(|path| layout::list(path).ok());
    within.flatten().filter(is_other).collect()
}

/// Makes sure that every image has a mask.
///
/// # Errors
/// When one has not.
pub(super) fn need_masks(settings: &Data, entries: &[Entry]) -> Result<(), LearnerError> {
    let masks_at = Path::new(&settings.path).join(&settings.masks);
    let lone = without_mask(entries);
    let Some(first) = lone.first() else { return Ok(()) };
    let hint = match settings.mask_suffix() {
        "" => format!("each image needs a mask of the same name, here {first}.png"),
        suffix => format!("each image needs a mask, here {first}{suffix}.png (data.mask_suffix)"),
    };
    if !masks_at.is_dir() {
        return Err(wrong(&masks_at, "no such folder", &hint));
    }
    let (lone, all) = (unpaired(&lone, "have no mask"), entries.len());
    Err(wrong(&masks_at, &format!("of {all} images {lone}"), &hint))
}

/// Names of the images without a mask, in natural order.
fn without_mask(entries: &[Entry]) -> Vec<&str> {
    let lone = entries.iter().filter(|entry| entry.mask.is_none());
    let mut names: Vec<&str> = lone.map(|entry| entry.name.as_str()).collect();
    names.sort_by(|a, b| natural(a, b));
    names
}

/// Counts names and tells the first few: `7 have no mask: a, b, …`.
fn unpaired(names: &[&str], what: &str) -> String {
    const TOLD: usize = 5;
    let first = names.iter().take(TOLD).copied().collect::<Vec<_>>().join(", ");
    let more = if names.len() > TOLD { ", …" } else { "" };
    format!("{} {what}: {first}{more}", names.len())
}

fn wrong(path: &Path, what: &str, hint: &str) -> LearnerError {
    LearnerError::Data { path: path.to_owned(), what: what.to_owned(), hint: Some(hint.to_owned()) }
}

/// Lists the image files of a folder by stem; other files and hidden ones are passed over.
fn files(folder: &Path) -> Result<Named, LearnerError> {
    let names = layout::list(folder).map_err(|error| unreadable(folder, &error))?;
    let mut found = BTreeMap::new();
    for name in names.iter().filter(|name| !name.starts_with('.')) {
        let path = folder.join(name);
        if !Source::knows(&path) || !path.is_file() {
            continue;
        }
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or(name).to_owned();
        if let Some(other) = found.insert(stem.clone(), path.clone()) {
            let other = other.file_name().unwrap_or_default().display().to_string();
            let what = format!("`{other}` has the same name");
            return Err(wrong(&path, &what, "names without extension must differ: remove one"));
        }
    }
    Ok(found)
}

fn pair(stem: &str, image: &Path, mask: Option<&Path>) -> Result<Vec<Entry>, LearnerError> {
    let images = Source::pages(image)?;
    let masks = mask.map(Source::pages).transpose()?;
    if let Some((path, masks)) = mask.zip(masks.as_ref())
        && masks.len() != images.len()
    {
        let what = format!("it has {} pages, its image has {}", masks.len(), images.len());
        return Err(wrong(path, &what, "a stack and its mask need the same number of pages"));
    }
    let stack = images.len() > 1;
    let mut masks = masks.map(Vec::into_iter);
    let entry = |(page, image)| Entry {
        name: if stack { format!("{stem}#{page}") } else { stem.to_owned() },
        image,
        mask: masks.as_mut().and_then(Iterator::next),
    };
    Ok(images.into_iter().enumerate().map(entry).collect())
}

/// Compares names with numbers in them by the size of the numbers.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    while !left.is_empty() && !right.is_empty() {
        let order = match (digits(left), digits(right)) {
            (0, _) | (_, 0) => {
                let (x, y) = (left.chars().next(), right.chars().next());
                left = &left[x.map_or(0, char::len_utf8)..];
                right = &right[y.map_or(0, char::len_utf8)..];
                x.cmp(&y)
            }
            (m, n) => {
                let (x, y) =
                    (left[..m].trim_start_matches('0'), right[..n].trim_start_matches('0'));
                (left, right) = (&left[m..], &right[n..]);
                x.len().cmp(&y.len()).then_with(|| x.cmp(y))
            }
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_people_count() {
        let mut names = ["z10", "z2", "a", "z02b", "z1", "z002", "z"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["a", "z", "z1", "z002", "z2", "z02b", "z10"]);
        assert_eq!(natural("é1", "é1"), Ordering::Equal);
    }
}
