//! Uses a trained network: writes masks, counts what is right.

use std::io::Cursor as Buffer;
use std::path::{Path, PathBuf};

use image::{GrayImage, ImageFormat};
use serde::Serialize;
use tch::Device;

use crate::layout;
use crate::metric::{Confusion, Metrics};
use crate::setting::{Data, Settings, Split, SplitBy};
use crate::worker::learner::{LearnerError, State};

use super::data::{self, DataSet, Part, Region, Slice};
use super::evaluate::{Segmenter, Tally};
use super::learner::{channels, image_settings, saved_normalisation};
use super::model;

/// What a prediction came to; also written as `metrics.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The images, in natural order of names.
    pub images: Vec<ImageReport>,
    /// Counts pooled over all images that have a mask; none where no image has one.
    pub pooled: Option<Confusion>,
    /// Metrics of the pooled counts, as `val/jaccard`.
    pub metrics: Metrics,
}

/// What came of one image.
#[derive(Clone, Debug, Serialize)]
pub struct ImageReport {
    /// Its name.
    pub name: String,
    /// The mask written, within the folder.
    pub file: String,
    /// Fraction of pixels predicted as foreground.
    pub coverage: f64,
    /// Its counts; none where it has no mask.
    pub confusion: Option<Confusion>,
    /// Its Jaccard index; none where it has no mask, or neither mask has foreground.
    pub jaccard: Option<f64>,
}

/// What to predict, and where to.
#[derive(Debug)]
pub struct Request<'a> {
    /// Settings of the trial.
    pub settings: &'a Settings,
    /// Seed of the trial; it matters for a random split only.
    pub seed: u64,
    /// A saved state of the trial's learner; its `optimizer.…` is not needed.
    pub state: &'a State,
    /// Which images. `Part::All` needs no masks.
    pub part: Part,
    /// Where to write; it is made.
    pub folder: &'a Path,
    /// Another data set than the trial's.
    pub data: Option<&'a Path>,
    /// CPU threads.
    pub threads: u32,
}

/// Masks made by hand are dear: a folder that holds images is taken only if an earlier call filled it.
fn refuse_to_overwrite(folder: &Path, data: &Data) -> Result<(), LearnerError> {
    let refused = |what: &str| LearnerError::Data {
        path: folder.to_owned(),
        what: what.to_owned(),
        hint: Some("name an empty or new folder with -o".to_owned()),
    };
    let same = |name: &str| {
        let theirs = Path::new(&data.path).join(name).canonicalize();
        theirs.is_ok_and(|theirs| folder.canonicalize().is_ok_and(|ours| ours == theirs))
    };
    if same(&data.images) || same(&data.masks) {
        return Err(refused("this is a folder of the data: nothing is written into it"));
    }
    let names = layout::list(folder).map_err(|error| unwritable(folder, &error))?;
    if !names.is_empty() && !names.iter().any(|name| name == "metrics.json") {
        return Err(refused("this folder holds files that no prediction wrote"));
    }
    Ok(())
}

/// Writes a mask (PNG, 0 and 255) for each image of the part, named like the image (`name_0003.png`
/// for page 3 of a stack), and `metrics.json`. Pixels are those that training's evaluation counted.
///
/// # Errors
/// When data cannot be read, the state does not fit the settings, or files cannot be written.
pub fn predict(request: &Request) -> Result<Report, LearnerError> {
    let settings = request.settings;
    let (data_settings, loss, _) = image_settings(settings)?;
    tch::set_num_threads(i32::try_from(request.threads.max(1)).unwrap_or(i32::MAX));
    let device = Device::cuda_if_available();
    let (network, mut parameters) =
        model::build(&settings.model, data_settings.patch.into(), request.seed, device)?;
    parameters.restore(request.state)?;
    let segmenter = Segmenter {
        network: network.as_ref(),
        channels: channels(&settings.model)?,
        device,
        normalisation: saved_normalisation(request.state)?,
    };
    let mut data_settings = data_settings.clone();
    if let Some(path) = request.data {
        data_settings.path = path.display().to_string();
    }
    refuse_to_overwrite(request.folder, &data_settings)?;
    let (slices, regions) = open(&data_settings, request)?;
    layout::create_users_folder(request.folder)
        .map_err(|error| unwritable(request.folder, &error))?;
    let mut tally = Tally::new(loss);
    let mut images = Vec::new();
    for region in &regions {
        let slice = &slices[region.slice];
        let Some(segmented) = segmenter.segment(&slice.picture, *region, &mut || true)? else {
            continue;
        };
        let file = file_name(slice, *region);
        write_mask(&request.folder.join(&file), *region, &segmented.pixels)?;
        let confusion =
            slice.mask.as_ref().map(|mask| tally.add(&segmented, mask, *region)).transpose()?;
        images.push(image_report(slice, file, &segmented.pixels, confusion));
    }
    let counted = images.iter().any(|image| image.confusion.is_some());
    let pooled = counted.then_some(tally.confusion);
    let metrics = if counted { tally.metrics(request.part.as_str()) } else { Metrics::default() };
    let report = Report { images, pooled, metrics };
    write_report(&request.folder.join("metrics.json"), &report)?;
    Ok(report)
}

fn open(settings: &Data, request: &Request) -> Result<(Vec<Slice>, Vec<Region>), LearnerError> {
    let leaky = settings.split == Split::Word(SplitBy::LeakyRandomPatches);
    if leaky && matches!(request.part, Part::Train | Part::Val) {
        let data = DataSet::open(settings, request.seed)?;
        let regions = if request.part == Part::Val { data.val } else { data.train };
        return Ok((data.slices, regions));
    }
    let slices = data::open_part(settings, request.part)?;
    let regions = slices
        .iter()
        .enumerate()
        .map(|(index, slice)| Region::whole(index, &slice.picture))
        .collect();
    Ok((slices, regions))
}

fn image_report(
    slice: &Slice,
    file: String,
    pixels: &[u8],
    confusion: Option<Confusion>,
) -> ImageReport {
    let foreground = pixels.iter().filter(|pixel| **pixel == 1).count();
    #[expect(clippy::cast_precision_loss, reason = "pixel counts stay far below 2^53")]
    let coverage = foreground as f64 / pixels.len().max(1) as f64;
    let jaccard = confusion.map(|counts| counts.jaccard()).filter(|value| value.is_finite());
    ImageReport { name: slice.name.clone(), file, coverage, confusion, jaccard }
}

/// `vnc_12.png`; `stack_0003.png` for a page; with its corner for a part of an image.
fn file_name(slice: &Slice, region: Region) -> String {
    let base = match slice.name.rsplit_once('#').map(|(stem, page)| (stem, page.parse::<u32>())) {
        Some((stem, Ok(page))) => format!("{stem}_{page:04}"),
        _ => slice.name.clone(),
    };
    if region == Region::whole(region.slice, &slice.picture) {
        format!("{base}.png")
    } else {
        format!("{base}_y{}_x{}.png", region.top, region.left)
    }
}

fn write_mask(path: &Path, region: Region, pixels: &[u8]) -> Result<(), LearnerError> {
    let values = pixels.iter().map(|pixel| 255 * pixel).collect();
    write_grey(path, region.height, region.width, values)
}

/// Writes an 8-bit grey PNG, row by row.
pub(super) fn write_grey(
    path: &Path,
    height: usize,
    width: usize,
    values: Vec<u8>,
) -> Result<(), LearnerError> {
    let side = |size| u32::try_from(size).unwrap_or(u32::MAX);
    let image = GrayImage::from_raw(side(width), side(height), values)
        .ok_or_else(|| unwritable(path, &"its pixels are not as many as its size says"))?;
    let mut bytes = Buffer::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).map_err(|error| unwritable(path, &error))?;
    layout::write_users_file(path, bytes.get_ref()).map_err(|error| unwritable(path, &error))
}

fn write_report(path: &Path, report: &Report) -> Result<(), LearnerError> {
    let text = serde_json::to_vec_pretty(report).map_err(|error| unwritable(path, &error))?;
    layout::write_users_file(path, &text).map_err(|error| unwritable(path, &error))
}

pub(super) fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> LearnerError {
    LearnerError::Data {
        path: PathBuf::from(path),
        what: format!("it cannot be written: {error}"),
        hint: None,
    }
}
