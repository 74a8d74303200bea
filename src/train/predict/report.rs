//! What a prediction came to, as values: of each image, of each member, of all together.

use std::path::PathBuf;

use serde::Serialize;

use crate::metric::{Confusion, Metrics};
use crate::train::evaluate::Turns;
use crate::worker::learner::LearnerError;

use super::choose::ThresholdReport;
use super::ensemble::Member;
use super::far::Far;
use super::images::Item;
use super::spread::Spread;

/// What a prediction came to; also written as `metrics.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this shape.
    pub schema_version: u32,
    /// Whether all images were done; false while it works, and where it was stopped.
    pub complete: bool,
    /// The networks that decided together, by their mean logit.
    pub members: Vec<MemberReport>,
    /// How images were shown.
    pub options: Options,
    /// Above what a pixel is foreground.
    pub threshold: ThresholdReport,
    /// The images, in their order.
    pub images: Vec<ImageReport>,
    /// Images that could not be read and were left out.
    pub failed: Vec<Failed>,
    /// How much was found.
    pub coverage: Coverage,
    /// Counts pooled over all images that have a mask; none where no image has one.
    pub pooled: Option<Confusion>,
    /// Metrics of the pooled counts, as `val/jaccard`.
    pub metrics: Metrics,
    /// Metrics of the same pixels at a threshold of 0.5, where another one is used.
    pub metrics_at_half: Option<Metrics>,
    /// How values of single images spread, as `jaccard`.
    pub spread: std::collections::BTreeMap<String, Spread>,
    /// What a user should know, one sentence each.
    pub warnings: Vec<String>,
}

/// A network that took part.
#[derive(Clone, Debug, Serialize)]
pub struct MemberReport {
    /// The trial.
    pub trial: String,
    /// Its sweep.
    pub sweep: String,
    /// Its checkpoint.
    pub checkpoint: String,
    /// The epoch after which that was saved.
    pub epoch: Option<u64>,
    /// Edge of the tiles, in pixels.
    pub tile: usize,
    /// Pixels that tiles share, at least.
    pub overlap: usize,
    /// Whether tiles say what a pass over the whole image says.
    pub tiles_are_exact: bool,
    /// Tiles that went through the network together.
    pub tiles_at_once: usize,
    /// Fraction of its training pixels that is foreground, where it is known.
    pub train_density: Option<f64>,
    /// Metrics of this network alone, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
}

/// How images were shown.
#[derive(Clone, Debug, Serialize)]
pub struct Options {
    /// Test-time augmentation.
    pub tta: Turns,
    /// What was segmented: `val`, `all`, …
    pub images: &'static str,
}

/// How much was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Coverage {
    /// Fraction of all pixels.
    pub predicted: Option<f64>,
    /// Fraction of the training pixels that is foreground; a mean over the members where it is known.
    pub trained: Option<f64>,
    /// Whether the former is far from the latter.
    pub is_far: bool,
}

/// An image that could not be read.
#[derive(Clone, Debug, Serialize)]
pub struct Failed {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub source: PathBuf,
    /// Why not.
    pub error: String,
}

impl Failed {
    pub(super) fn of(item: &Item, error: &LearnerError) -> Self {
        let entry = &item.entry;
        Self {
            name: entry.name.clone(),
            source: entry.image.path.clone(),
            error: error.to_string(),
        }
    }
}

/// What came of one image.
#[derive(Clone, Debug, Serialize)]
pub struct ImageReport {
    /// Its name.
    pub name: String,
    /// The mask written, within the folder.
    pub file: String,
    /// SHA-256 of that file, in hex; none where nothing was written.
    pub sha256: Option<String>,
    /// Where it was read.
    pub source: PathBuf,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Fraction of pixels predicted as foreground.
    pub coverage: f64,
    /// Mean probability of foreground.
    pub mean_probability: f64,
    /// Mean grey value in `[0, 1]`, as the first member sees it before mean and deviation are taken out.
    pub brightness: f64,
    /// Deviation of the grey values.
    pub brightness_std: f64,
    /// What is far from training.
    pub far: Vec<Far>,
    /// Seconds, from reading to writing.
    pub seconds: f64,
    /// Its counts; none where it has no mask.
    pub confusion: Option<Confusion>,
    /// Its Jaccard index; none where it has no mask, or neither mask has foreground.
    pub jaccard: Option<f64>,
    /// Its Dice coefficient; none as for the Jaccard index.
    pub dice: Option<f64>,
    /// Its precision; none where nothing was found, too.
    pub precision: Option<f64>,
    /// Its recall; none where there is no foreground, too.
    pub recall: Option<f64>,
}

impl MemberReport {
    pub(super) fn of(member: &Member, metrics: Option<Metrics>) -> Self {
        let (trained, tiling) = (member.trained, member.tiling);
        Self {
            trial: trained.trial().to_string(),
            sweep: trained.assignment.sweep.clone(),
            checkpoint: trained.checkpoint.clone(),
            epoch: trained.epoch(),
            tile: tiling.side,
            overlap: tiling.overlap,
            tiles_are_exact: tiling.is_exact,
            tiles_at_once: tiling.at_once,
            train_density: member.density,
            metrics,
        }
    }
}

impl ImageReport {
    /// Takes the counts of an image that has a mask.
    pub(super) fn count(&mut self, counts: Confusion) {
        let some = |value: f64| value.is_finite().then_some(value);
        self.confusion = Some(counts);
        self.jaccard = some(counts.jaccard());
        self.dice = some(counts.dice());
        self.precision = some(counts.precision());
        self.recall = some(counts.recall());
    }

    /// All images as comma-separated values (RFC 4180). The columns of the truth are empty where it is not
    /// known.
    pub(super) fn table(images: &[Self]) -> String {
        let mut text =
            "name,file,width,height,coverage,mean_probability,brightness,brightness_std,\
                        far,seconds,tp,fp,fn,tn,jaccard,dice,precision,recall\n"
                .to_owned();
        for image in images {
            let far: Vec<&str> = image.far.iter().map(|far| far.as_str()).collect();
            let number =
                |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
            let count = |of: fn(&Confusion) -> u64| {
                image.confusion.as_ref().map_or(String::new(), |counts| of(counts).to_string())
            };
            let cells = [
                quoted(&image.name),
                quoted(&image.file),
                image.width.to_string(),
                image.height.to_string(),
                format!("{:.6}", image.coverage),
                format!("{:.6}", image.mean_probability),
                format!("{:.4}", image.brightness),
                format!("{:.4}", image.brightness_std),
                far.join("+"),
                format!("{:.3}", image.seconds),
                count(|counts| counts.true_positive),
                count(|counts| counts.false_positive),
                count(|counts| counts.false_negative),
                count(|counts| counts.true_negative),
                number(image.jaccard),
                number(image.dice),
                number(image.precision),
                number(image.recall),
            ];
            text.push_str(&cells.join(","));
            text.push('\n');
        }
        text
    }
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

impl Report {
    /// What the user should see of coverage and brightness, in numbers.
    pub(super) fn warn(&mut self) {
        let pixels = |image: &ImageReport| (image.width * image.height) as u64;
        let all: u64 = self.images.iter().map(pixels).sum();
        if all == 0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "pixel counts stay far below 2^53")]
        let found =
            self.images.iter().map(|image| image.coverage * pixels(image) as f64).sum::<f64>()
                / all as f64;
        self.coverage.predicted = Some(found);
        let density = self.coverage.trained;
        self.coverage.is_far = super::far::is_coverage_far(found, density);
        let images = self.images.len();
        let told = density.map(|density| format!("{:.2} %", 100.0 * density));
        if found == 0.0 {
            let of = told.map_or(String::new(), |told| format!("; the training masks hold {told}"));
            self.warnings.push(format!("nothing at all was found in {images} images{of}"));
        } else if self.coverage.is_far {
            self.warnings.push(format!(
                "{:.2} % of all pixels were found to be foreground, {} of the training pixels are: \
                 look at the overlays before you use these masks",
                100.0 * found,
                told.unwrap_or_default()
            ));
        }
        let of = |far: Far| self.images.iter().filter(move |image| image.far.contains(&far));
        let (many, dark) = (of(Far::Coverage).count(), of(Far::Brightness).count());
        if many > 0 && many < images && !self.coverage.is_far {
            self.warnings.push(format!(
                "in {many} of {images} images the foreground is less than a third or more than three \
                 times that of the training masks (column `far` of images.csv)"
            ));
        }
        if let Some(first) = of(Far::Brightness).next() {
            self.warnings.push(format!(
                "{dark} of {images} images, first `{}` with {:.3} ± {:.3}, are much brighter, darker or \
                 flatter than what the networks were trained on: are they scaled as the training images \
                 were?",
                first.name, first.brightness, first.brightness_std
            ));
        }
    }
}
