//! Which images are segmented, and what their masks are called.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::layout;
use crate::setting::{Data, Split, SplitBy};
use crate::train::data::{self, DataSet, Entry, Part, Region, Source};
use crate::worker::learner::LearnerError;

use super::ensemble::{Ensemble, Member};

/// Where images come from.
#[derive(Clone, Debug)]
pub enum Images {
    /// A part of the data that the trials were trained on. `Part::All` needs no masks.
    Part(Part),
    /// Files and folders of files, without masks.
    Files(Vec<PathBuf>),
    /// Another folder with images and masks: all of it, or a part by its `split.csv`.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Which.
        part: Part,
    },
}

/// One image to segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Where it is, and its mask where there is one.
    pub(super) entry: Entry,
    /// The part of it; none: all of it.
    pub(super) region: Option<Region>,
    /// What its mask is called: `vnc_12.png`; `stack_0003.png` for page 3 of a stack; with its corner
    /// for a part of an image.
    pub(super) file: String,
}

impl Item {
    fn new(entry: Entry, region: Option<Region>) -> Self {
        let page = entry.name.rsplit_once('#');
        let page = page.and_then(|(stem, page)| Some((stem, page.parse::<u32>().ok()?)));
        let base = page.map_or(entry.name.clone(), |(stem, page)| format!("{stem}_{page:04}"));
        let file = match region {
            Some(part) => format!("{base}_y{}_x{}.png", part.top, part.left),
            None => format!("{base}.png"),
        };
        Self { entry, region, file }
    }
}

impl Images {
    /// The word that metrics are named by: `val/jaccard`.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Part(part) | Self::Folder { part, .. } => part.as_str(),
            Self::Files(_) => Part::All.as_str(),
        }
    }

    /// Finds the images.
    pub(super) fn find(&self, ensemble: &Ensemble<'_>) -> Result<Vec<Item>, LearnerError> {
        let items = match self {
            Self::Files(paths) => {
                let suffix = ensemble.members.first().map(|first| first.data.mask_suffix());
                whole(data::loose(paths, suffix.unwrap_or_default())?)
            }
            Self::Part(part) => shared(&ensemble.members, *part, "--split")?,
            Self::Folder { path, part } => {
                let Some(first) = ensemble.members.first() else { return Ok(Vec::new()) };
                let settings = folder_settings(&first.data, path, *part);
                if *part != Part::All && !path.join(data::SPLIT_FILE).is_file() {
                    return Err(LearnerError::Data {
                        path: path.join(data::SPLIT_FILE),
                        what: format!("--split {} asks for it, and it is missing", part.as_str()),
                        hint: Some(
                            "without --split all images of the folder are taken; with it, a table with \
                             the columns `name,split` says which"
                                .to_owned(),
                        ),
                    });
                }
                let entries = match part {
                    Part::All => data::paired(&settings)?,
                    part => data::part_entries(&settings, *part)?,
                };
                whole(entries)
            }
        };
        refuse_equal_names(&items)?;
        Ok(items)
    }
}

/// Says which images in the folders named are of a kind that is not read.
pub(super) fn passed_over(images: &Images) -> Option<String> {
    let Images::Files(paths) = images else { return None };
    let others = data::passed_over(paths);
    let first = others.first()?;
    Some(format!(
        "{} images in the folders named are not read, first `{first}`: only PNG and TIFF are",
        others.len()
    ))
}

/// Says of each member how many of the images it was trained on, known by their places: such values say
/// nothing of new images.
pub(super) fn trained_on(items: &[Item], ensemble: &Ensemble<'_>) -> Vec<String> {
    let place = |source: &Source| Some((source.path.canonicalize().ok()?, source.page));
    let warn = |member: &Member<'_>| {
        let entries = data::part_entries(&member.data, Part::Train).ok()?;
        let learnt: BTreeSet<_> = entries.iter().filter_map(|e| place(&e.image)).collect();
        let known = |item: &&Item| place(&item.entry.image).is_some_and(|p| learnt.contains(&p));
        let count = items.iter().filter(known).count();
        let (trial, all) = (member.trained.trial(), items.len());
        (count > 0).then(|| {
            format!(
                "trial {trial} was trained on {count} of the {all} images: what it finds there says nothing \
                 of new ones"
            )
        })
    };
    ensemble.members.iter().filter_map(warn).collect()
}

/// The images of a part of the data on which the members were trained, which must be the same for all.
pub(super) fn shared(
    members: &[Member<'_>],
    part: Part,
    asked_by: &str,
) -> Result<Vec<Item>, LearnerError> {
    let Some((first, others)) = members.split_first() else { return Ok(Vec::new()) };
    let items = of_part(&first.data, first.trained.seed(), part)?;
    for member in others {
        let (trained, is_dealt) = (member.trained, is_dealt(&member.data));
        let same_seed = trained.seed() == first.trained.seed();
        if same_files(&member.data, &first.data) && (!is_dealt || same_seed) {
            continue;
        }
        if of_part(&member.data, trained.seed(), part)? != items {
            return Err(LearnerError::Setting {
                setting: asked_by.to_owned(),
                what: format!(
                    "the {} files of trial {} are not those of trial {}: what one has not seen, the \
                     other may have learnt from; name images, or trials with the same data and split",
                    part.as_str(),
                    trained.trial(),
                    first.trained.trial()
                ),
            });
        }
    }
    Ok(items)
}

/// Settings of data that lie at another place now.
pub(super) fn moved(settings: &Data, place: Option<&Path>) -> Data {
    let mut settings = settings.clone();
    if let Some(place) = place {
        settings.path = place.display().to_string();
    }
    settings
}

/// Whether the seed of a trial deals the parts.
fn is_dealt(data: &Data) -> bool {
    data.split == Split::Word(SplitBy::LeakyRandomPatches)
}

/// Whether both settings find and divide the same files. Patches and contrast do not matter for that.
fn same_files(one: &Data, other: &Data) -> bool {
    let key = |data: &Data| Data {
        name: String::new(),
        contrast_gain: 1.0,
        contrast_offset: 0.0,
        foreground_crops: 0.0,
        patch: match is_dealt(data) {
            true => data.patch,
            false => 1,
        },
        ..data.clone()
    };
    key(one) == key(other)
}

fn of_part(settings: &Data, seed: u64, part: Part) -> Result<Vec<Item>, LearnerError> {
    if !(is_dealt(settings) && matches!(part, Part::Train | Part::Val)) {
        return Ok(whole(data::part_entries(settings, part)?));
    }
    let set = DataSet::open(settings, seed)?;
    let entries: BTreeMap<String, Entry> =
        data::find(settings)?.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
    let regions = if part == Part::Val { &set.val } else { &set.train };
    let items = regions.iter().filter_map(|region| {
        let slice = &set.slices[region.slice];
        let entry = entries.get(&slice.name)?.clone();
        let is_whole = *region == Region::whole(region.slice, &slice.picture);
        Some(Item::new(entry, (!is_whole).then_some(Region { slice: 0, ..*region })))
    });
    Ok(items.collect())
}

fn whole(entries: Vec<Entry>) -> Vec<Item> {
    entries.into_iter().map(|entry| Item::new(entry, None)).collect()
}

/// Settings for another folder: with the trial's names of the folders within, where they are there.
fn folder_settings(trained: &Data, path: &Path, part: Part) -> Data {
    let mut settings = moved(trained, Some(path));
    if !path.join(&settings.images).is_dir() {
        (settings.images, settings.masks) = ("images".to_owned(), "masks".to_owned());
    }
    let of_masks = layout::list(&path.join(&settings.masks)).unwrap_or_default();
    let has_suffix = |name: &String| {
        Path::new(name)
            .file_stem()
            .is_some_and(|stem| stem.to_string_lossy().ends_with(settings.mask_suffix()))
    };
    if !of_masks.iter().any(has_suffix) {
        settings.mask_suffix = None;
    }
    if part != Part::All {
        settings.split = Split::Word(SplitBy::Csv);
    }
    settings
}

/// Two masks of one name: the second would be written over the first.
fn refuse_equal_names(items: &[Item]) -> Result<(), LearnerError> {
    let mut seen: BTreeMap<&str, &Entry> = BTreeMap::new();
    for item in items {
        if let Some(other) = seen.insert(&item.file, &item.entry) {
            let (one, two) = (&other.image, &item.entry.image);
            return Err(LearnerError::Data {
                path: two.path.clone(),
                what: match one == two {
                    true => "it is named twice".to_owned(),
                    false => format!(
                        "its mask would be `{}`, and so would that of {}",
                        item.file,
                        one.path.display()
                    ),
                },
                hint: Some(
                    "predict images of one name one after the other, each into a folder of its own"
                        .to_owned(),
                ),
            });
        }
    }
    Ok(())
}
