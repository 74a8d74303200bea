//! Images and masks: found, paired, decoded, divided, cut into patches and changed at random.
//!
//! ```text
//! folder   files → pairs by name          split       pairs → train, val, test
//! picture  a file → pixels                mask        pixels → foreground, odd values
//! fraction less training data than all    summary     density and brightness of each part
//! leak     what copied masks score
//! patch    regions → windows of an epoch  foreground  windows around foreground
//! augment  windows → changed patches      minibatch   patches → tensors
//! ```

mod augment;
mod folder;
mod foreground;
mod fraction;
mod leak;
mod mask;
mod minibatch;
mod patch;
mod picture;
mod split;
mod summary;

use std::path::Path;

use sha2::{Digest, Sha256};

pub use folder::{Entry, find, loose, passed_over};
pub use leak::{Leak, WARN_ABOVE};
pub use mask::Mask;
pub use minibatch::{Minibatch, Normalisation, Recipe, input};
pub use patch::{Region, Sampler};
pub use picture::{Picture, Source};
pub(super) use split::FILE as SPLIT_FILE;
pub use split::{Part, Roles};
pub use summary::{Share, Summary};

use crate::event::Fingerprint;
use crate::id::hex;
use crate::layout::{self, Limit};
use crate::setting::{Data, Split, SplitBy};
use crate::worker::learner::LearnerError;

/// A decoded image with its mask.
#[derive(Debug)]
pub struct Slice {
    /// Name without extension; pages of a stack are `name#3`, counted from 0.
    pub name: String,
    /// The image.
    pub picture: Picture,
    /// The truth, of the same size; none where an image to be predicted has no mask.
    pub mask: Option<Mask>,
}

/// The images of training and validation, in memory.
#[derive(Debug)]
pub struct DataSet {
    /// All slices used, in natural order of names.
    pub slices: Vec<Slice>,
    /// Where training patches come from.
    pub train: Vec<Region>,
    /// How many regions (slices, or cells of random patches) would be for training, but are left out
    /// because `data.train_fraction` asks for less than all.
    pub left_out: usize,
    /// What is evaluated; every pixel belongs to one region.
    pub val: Vec<Region>,
    /// What each file found is for, in natural order of names.
    pub roles: Roles,
    /// What copying training masks scores on the validation split.
    pub leak: Leak,
    /// What is said of a split that leaks; it stands among the warnings.
    pub leak_warning: Option<String>,
    /// Identity of the files.
    pub fingerprint: Fingerprint,
    /// What a user should know: leakage, a split without validation data of its own.
    pub warnings: Vec<String>,
}

impl DataSet {
    /// Reads everything that training needs.
    ///
    /// # Errors
    /// When files are missing, unpaired, unreadable or of different sizes, or when the split leaves
    /// nothing for training or validation.
    pub fn open(settings: &Data, seed: u64) -> Result<Self, LearnerError> {
        let entries = paired(settings)?;
        let roles = split::roles(settings, &entries)?;
        let mut slices = Vec::new();
        let (mut train, mut val) = (Vec::new(), Vec::new());
        let mut used = Vec::new();
        let (mut place, mut places) = (0, Vec::new());
        let mut oddities = mask::Oddities::default();
        for (entry, part) in entries.iter().zip(&roles.parts) {
            let here = place;
            place += usize::from(*part != Part::Test);
            if !matches!(part, Part::Train | Part::Val) {
                continue;
            }
            let slice = decode(entry, settings)?;
            if let Some(mask) = &slice.mask {
                oddities.look(&slice.name, mask);
            }
            let whole = Region::whole(slices.len(), &slice.picture);
            if *part == Part::Train {
                train.push(whole)
            } else {
                val.push(whole)
            }
            slices.push(slice);
            places.push(here);
            used.push((entry, *part));
        }
        let fingerprint = fingerprint(settings, &used)?;
        let mut warnings = oddities.warnings();
        let mut left_out = roles.parts.iter().filter(|part| **part == Part::LeftOut).count();
        if settings.split == Split::Word(SplitBy::LeakyRandomPatches) {
            (train, val) = patch::deal_cells(&train, settings.patch, settings.val_fraction, seed);
            let chosen = fraction::spread(train.len(), settings.train_fraction);
            left_out = chosen.iter().filter(|is_chosen| !**is_chosen).count();
            train =
                train.into_iter().zip(chosen).filter(|(_, is)| *is).map(|(cell, _)| cell).collect();
            warnings.push(LEAK.to_owned());
        }
        if train.is_empty() || val.is_empty() {
            return Err(split::nothing_left(settings, &roles, train.is_empty()));
        }
        let leak = Leak::measure(&slices, &places, &train, &val);
        let wanted = split::val_count(place, settings.val_fraction);
        let leak_warning = leak.warning(&slices, &places, place, wanted);
        warnings.extend(leak_warning.clone());
        Ok(Self { slices, train, left_out, val, roles, leak, leak_warning, fingerprint, warnings })
    }

    /// Returns what says which training windows an epoch shows: the grid, or `crops` random ones, as
    /// the settings of the data want them.
    #[must_use]
    pub fn sampler(&self, settings: &Data, crops: Option<u64>, seed: u64) -> Sampler {
        let sampler = Sampler::new(&self.train, settings.patch, crops, seed);
        sampler.with_foreground(settings.foreground_crops, &self.slices, &self.train)
    }
}

/// What is said of a random split over patches.
pub const LEAK: &str = "leaky_random_patches puts neighbours of the validation patches into \
     training: the scores say nothing about new images";

/// Reads the images of one part, for prediction. With `Part::All` masks may be missing.
///
/// # Errors
/// As for [`DataSet::open`].
pub fn open_part(settings: &Data, part: Part) -> Result<Vec<Slice>, LearnerError> {
    part_entries(settings, part)?.iter().map(|entry| decode(entry, settings)).collect()
}

/// Finds the images of one part. With `Part::All` masks may be missing.
///
/// # Errors
/// As for [`DataSet::open`].
pub fn part_entries(settings: &Data, part: Part) -> Result<Vec<Entry>, LearnerError> {
    if part == Part::All {
        return find(settings);
    }
    let entries = paired(settings)?;
    let roles = split::roles(settings, &entries)?;
    let parts = entries.into_iter().zip(roles.parts);
    let chosen: Vec<Entry> =
        parts.filter(|(_, role)| *role == part).map(|(entry, _)| entry).collect();
    if chosen.is_empty() {
        let what = format!("the split `{}` has no files", part.as_str());
        let hint = Some("name its files in split.csv, or choose another split".to_owned());
        return Err(LearnerError::Data { path: settings.path.clone().into(), what, hint });
    }
    Ok(chosen)
}

/// Identity of the files that training on these settings would use, without reading their pixels.
///
/// # Errors
/// When files are missing, unpaired or unreadable.
pub fn fingerprint_of(settings: &Data) -> Result<Fingerprint, LearnerError> {
    let entries = paired(settings)?;
    let roles = split::roles(settings, &entries)?;
    let used: Vec<(&Entry, Part)> = entries
        .iter()
        .zip(roles.parts)
        .filter(|(_, part)| matches!(part, Part::Train | Part::Val))
        .collect();
    fingerprint(settings, &used)
}

/// Identity of the files that validation on these settings would use: `Fingerprint::val_sha256`.
///
/// # Errors
/// As for [`fingerprint_of`].
pub fn val_sha256_of(settings: &Data) -> Result<String, LearnerError> {
    let part = match settings.split {
        Split::Word(SplitBy::LeakyRandomPatches) => return Ok(fingerprint_of(settings)?.sha256),
        _ => Part::Val,
    };
    let entries = part_entries(settings, part)?;
    let used: Vec<_> = entries.iter().map(|entry| (entry, part)).collect();
    Ok(fingerprint(settings, &used)?.sha256)
}

/// Fraction of the pixels of all training masks that is foreground, without reading an image.
///
/// # Errors
/// As for [`DataSet::open`].
#[expect(clippy::cast_precision_loss, reason = "pixel counts stay far below 2^53")]
pub fn train_density(settings: &Data) -> Result<f64, LearnerError> {
    let (mut foreground, mut pixels) = (0, 0);
    for source in part_entries(settings, Part::Train)?.iter().filter_map(|e| e.mask.as_ref()) {
        let mask = source.read_mask()?;
        foreground += mask.foreground();
        pixels += mask.pixels.len() as u64;
    }
    Ok(foreground as f64 / pixels.max(1) as f64)
}

/// Finds all pairs; an image without a mask is an error.
///
/// # Errors
/// When files are missing or unpaired.
pub fn paired(settings: &Data) -> Result<Vec<Entry>, LearnerError> {
    let entries = find(settings)?;
    folder::need_masks(settings, &entries)?;
    Ok(entries)
}

/// Decodes a pair. The contrast step of the settings holds for all that is read of the picture.
///
/// # Errors
/// When a file cannot be decoded or the sizes differ.
pub fn decode(entry: &Entry, settings: &Data) -> Result<Slice, LearnerError> {
    let mut picture = entry.image.read_picture()?;
    picture.set_contrast(settings.contrast_gain, settings.contrast_offset);
    let mask = entry.mask.as_ref().map(Source::read_mask).transpose()?;
    if let Some((mask, source)) = mask.as_ref().zip(entry.mask.as_ref())
        && (mask.width, mask.height) != (picture.width, picture.height)
    {
        return Err(LearnerError::Data {
            path: source.path.clone(),
            what: format!(
                "the mask is {} × {}, its image is {} × {}",
                mask.width, mask.height, picture.width, picture.height
            ),
            hint: Some(format!("is it the mask of {}?", entry.image.path.display())),
        });
    }
    Ok(Slice { name: entry.name.clone(), picture, mask })
}

/// Hashes names, parts and contents.
fn fingerprint(settings: &Data, used: &[(&Entry, Part)]) -> Result<Fingerprint, LearnerError> {
    let leaky = settings.split == Split::Word(SplitBy::LeakyRandomPatches);
    let mut contents = FileHashes::default();
    let (mut all, mut val) = (Sha256::new(), Sha256::new());
    for (entry, part) in used {
        let is_val = leaky || *part == Part::Val;
        let part = if leaky { "leaky" } else { part.as_str() };
        let name = format!("{}\0{part}\0", entry.name);
        let mut bytes = name.into_bytes();
        for source in std::iter::once(&entry.image).chain(&entry.mask) {
            bytes.extend(contents.of(&source.path)?);
        }
        all.update(&bytes);
        if is_val {
            val.update(&bytes);
        }
    }
    let files = |of| used.iter().filter(|(_, part)| *part == of).count() as u64;
    let train_files = files(Part::Train);
    let val_files = if leaky { train_files } else { files(Part::Val) };
    let (sha256, val_sha256) = (hex(&all.finalize()), Some(hex(&val.finalize())));
    Ok(Fingerprint { sha256, val_sha256, train_files, val_files })
}

/// SHA-256 of files, each read once even when it holds many slices.
#[derive(Default)]
struct FileHashes(std::collections::HashMap<std::path::PathBuf, [u8; 32]>);

impl FileHashes {
    fn of(&mut self, path: &Path) -> Result<[u8; 32], LearnerError> {
        if let Some(known) = self.0.get(path) {
            return Ok(*known);
        }
        let bytes =
            layout::read_named(path, Limit::IMAGE).map_err(|error| unreadable(path, &error))?;
        let digest = Sha256::digest(&bytes).into();
        self.0.insert(path.to_owned(), digest);
        Ok(digest)
    }
}

/// An error of reading a file or folder.
fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> LearnerError {
    LearnerError::Data {
        path: path.to_owned(),
        what: format!("it cannot be read: {error}"),
        hint: Some("may you read it, is it whole, and is its extension right?".to_owned()),
    }
}
