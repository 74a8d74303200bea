//! The files of a prediction, each written whole or not at all.

use std::io::Cursor as Buffer;
use std::path::{Path, PathBuf};

use image::{GrayImage, ImageFormat, RgbImage};
use tch::{Kind, Tensor};

use crate::layout;
use crate::setting::Data;
use crate::train::data::{Picture, Region};
use crate::worker::checkpoint::sha256_hex;
use crate::worker::learner::LearnerError;

use super::images::Item;
use super::overlay;
use super::report::{ImageReport, Report};

/// The report, which also marks a folder as one that a prediction filled.
const REPORT: &str = "metrics.json";
const TABLE: &str = "images.csv";
const PROBABILITY: &str = "probability";
const OVERLAY: &str = "overlay";

/// What is written, and where.
#[derive(Clone, Debug)]
pub struct Output {
    /// The folder; it is made.
    pub folder: PathBuf,
    /// Whether probabilities are written.
    pub probability: bool,
    /// Whether images with the masks drawn over them are written.
    pub overlay: bool,
}

impl Output {
    /// Masks made by hand are dear: a folder that holds files is taken only if an earlier call filled it,
    /// and never one that images are read from.
    pub(super) fn guard(&self, items: &[Item], data: &[&Data]) -> Result<(), LearnerError> {
        let folder = &self.folder;
        let refused = |what: &str| LearnerError::Data {
            path: folder.clone(),
            what: what.to_owned(),
            hint: Some("name an empty or new folder with -o".to_owned()),
        };
        let ours: Vec<PathBuf> = [folder.clone(), folder.join(PROBABILITY), folder.join(OVERLAY)]
            .iter()
            .filter_map(|path| path.canonicalize().ok())
            .collect();
        let is_ours = |path: &Path| path.canonicalize().is_ok_and(|path| ours.contains(&path));
        for data in data {
            let root = Path::new(&data.path);
            if is_ours(&root.join(&data.images)) || is_ours(&root.join(&data.masks)) {
                return Err(refused("this is a folder of the data: nothing is written into it"));
            }
        }
        for source in
            items.iter().flat_map(|item| [Some(&item.entry.image), item.entry.mask.as_ref()])
        {
            if source.and_then(|source| source.path.parent()).is_some_and(is_ours) {
                return Err(refused(
                    "images are read from this folder: nothing is written into it",
                ));
            }
        }
        let names = layout::list(folder).map_err(|error| unwritable(folder, &error))?;
        if !names.is_empty() && !names.iter().any(|name| name == REPORT) {
            return Err(refused("this folder holds files that no prediction wrote"));
        }
        let earlier = earlier(folder);
        if let Some(Earlier { file, .. }) = earlier.iter().find(|one| one.is_edited(folder)) {
            return Err(refused(&format!(
                "{file} was changed since it was predicted, and would be lost"
            )));
        }
        let stays = |file: &str| {
            refused(&format!(
                "this folder holds {file} of another prediction, which would stay beside the new masks"
            ))
        };
        let is_new = |file: &String| items.iter().any(|item| item.file == *file);
        if let Some(one) = earlier.iter().find(|one| !is_new(&one.file)) {
            return Err(stays(&one.file));
        }
        for part in self.left_out() {
            let files = earlier.iter().map(|one| format!("{part}/{}", one.file));
            if let Some(file) = files.into_iter().find(|file| folder.join(file).exists()) {
                return Err(stays(&file));
            }
        }
        Ok(())
    }

    /// Folders of what is not written.
    fn left_out(&self) -> impl Iterator<Item = &'static str> {
        let parts = [(self.probability, PROBABILITY), (self.overlay, OVERLAY)];
        parts.into_iter().filter(|(is_wanted, _)| !is_wanted).map(|(_, part)| part)
    }

    /// Makes the folders, and marks them as a prediction's by a report that is not complete.
    pub(super) fn begin(&self, report: &Report) -> Result<(), LearnerError> {
        let parts =
            [(true, None), (self.probability, Some(PROBABILITY)), (self.overlay, Some(OVERLAY))];
        for (_, part) in parts.iter().filter(|(is_wanted, _)| *is_wanted) {
            let path = part.map_or(self.folder.clone(), |part| self.folder.join(part));
            layout::create_users_folder(&path).map_err(|error| unwritable(&path, &error))?;
        }
        self.report(report)
    }

    /// Writes what came of an image; returns the SHA-256 of the mask's file, in hex.
    pub(super) fn image(
        &self,
        file: &str,
        (picture, region): (&Picture, Region),
        (pixels, truth): (&[u8], Option<&[u8]>),
        logits: &Tensor,
    ) -> Result<String, LearnerError> {
        let (height, width) = (region.height, region.width);
        let mask = pixels.iter().map(|pixel| 255 * pixel).collect();
        let sha256 = write_grey(&self.folder.join(file), height, width, mask)?;
        if self.probability {
            let path = self.folder.join(PROBABILITY).join(file);
            write_grey(&path, height, width, probabilities(logits)?)?;
        }
        if self.overlay {
            let path = self.folder.join(OVERLAY).join(file);
            let bytes = overlay::draw(picture, region, pixels, truth);
            let drawn = RgbImage::from_raw(side(width), side(height), bytes);
            write_png(&path, drawn.map(image::DynamicImage::ImageRgb8))?;
        }
        Ok(sha256)
    }

    /// Writes the table of images and the report.
    pub(super) fn end(&self, report: &Report) -> Result<(), LearnerError> {
        let path = self.folder.join(TABLE);
        let table = ImageReport::table(&report.images);
        layout::write_users_file(&path, table.as_bytes())
            .map_err(|error| unwritable(&path, &error))?;
        self.report(report)
    }

    fn report(&self, report: &Report) -> Result<(), LearnerError> {
        let path = self.folder.join(REPORT);
        let text = serde_json::to_vec_pretty(report).map_err(|error| unwritable(&path, &error))?;
        layout::write_users_file(&path, &text).map_err(|error| unwritable(&path, &error))
    }
}

/// A mask that an earlier prediction wrote.
#[derive(serde::Deserialize)]
struct Earlier {
    file: String,
    sha256: Option<String>,
}

impl Earlier {
    /// Whether somebody changed it since. One that cannot be read counts as changed.
    fn is_edited(&self, folder: &Path) -> bool {
        let Some(sha256) = &self.sha256 else { return false };
        layout::read_named(&folder.join(&self.file), layout::Limit::IMAGE)
            .map_or(true, |bytes| sha256_hex(&bytes) != *sha256)
    }
}

/// Masks that an earlier prediction wrote into the folder, as far as they are still there.
fn earlier(folder: &Path) -> Vec<Earlier> {
    #[derive(serde::Deserialize)]
    struct Told {
        images: Vec<Earlier>,
    }
    let bytes = layout::read_named(&folder.join(REPORT), layout::Limit::TABLE);
    let told = bytes.ok().and_then(|bytes| serde_json::from_slice::<Told>(&bytes).ok());
    let images = told.into_iter().flat_map(|told| told.images);
    images.filter(|image| folder.join(&image.file).is_file()).collect()
}

/// Probabilities as bytes: 255 is 1.
fn probabilities(logits: &Tensor) -> Result<Vec<u8>, LearnerError> {
    let scaled = logits.f_sigmoid()?.f_mul_scalar(255.0)?.f_round()?.f_to_kind(Kind::Uint8)?;
    let mut bytes = vec![0; logits.numel()];
    let length = bytes.len();
    scaled.f_contiguous()?.f_copy_data_u8(&mut bytes, length)?;
    Ok(bytes)
}

/// Writes an 8-bit grey PNG, row by row; returns the SHA-256 of the file, in hex.
pub(in crate::train) fn write_grey(
    path: &Path,
    height: usize,
    width: usize,
    values: Vec<u8>,
) -> Result<String, LearnerError> {
    let grey = GrayImage::from_raw(side(width), side(height), values);
    write_png(path, grey.map(image::DynamicImage::ImageLuma8))
}

fn write_png(path: &Path, image: Option<image::DynamicImage>) -> Result<String, LearnerError> {
    let image =
        image.ok_or_else(|| unwritable(path, &"its pixels are not as many as its size says"))?;
    let mut bytes = Buffer::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).map_err(|error| unwritable(path, &error))?;
    let bytes = bytes.into_inner();
    layout::write_users_file(path, &bytes).map_err(|error| unwritable(path, &error))?;
    Ok(sha256_hex(&bytes))
}

fn side(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

pub(in crate::train) fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> LearnerError {
    LearnerError::Data {
        path: PathBuf::from(path),
        what: format!("it cannot be written: {error}"),
        hint: None,
    }
}
