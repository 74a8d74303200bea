//! Uses trained networks: writes masks, counts what is right.
//!
//! ```text
//! images    what is asked for → images        ensemble  trials → networks → logits of each
//! same      are these the trials' files?       outputs   masks, probabilities, overlays, tables
//! choose    the threshold, on validation only
//! far       is it like training?               report    what came of it; spread, words
//! ```

mod choose;
mod ensemble;
mod far;
mod images;
mod outputs;
mod overlay;
mod report;
mod same;
mod spread;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tch::Tensor;

use crate::clock::{Clock, SystemClock};
use crate::metric::{Confusion, Metrics, Threshold};
use crate::worker::learner::LearnerError;
use crate::worker::trained::Trained;

use super::data::{self, Picture, Region, Slice};
use super::evaluate::{Segmented, Tally, count, mean, truth};
use ensemble::Ensemble;
use images::Item;
use report::{Coverage, Failed, Options};
use spread::Spread;

pub use super::evaluate::{TileWish, Turns};
pub use choose::{OnVal, ThresholdReport};
pub use ensemble::Showing;
pub use far::Far;
pub use images::Images;
pub use outputs::Output;
pub(super) use outputs::{unwritable, write_grey};
pub use report::{ImageReport, MemberReport, Report};

/// What to segment, with what, and what to do with it.
#[derive(Debug)]
pub struct Request<'a> {
    /// The networks that decide together, by their mean logit; at least one.
    pub members: &'a [Trained],
    /// Which images.
    pub images: Images,
    /// Where the data of the trials lie now; none: where they were trained.
    pub data: Option<PathBuf>,
    /// How they are shown to the networks.
    pub showing: Showing,
    /// Above which probability a pixel is foreground.
    pub threshold: Threshold,
    /// Whether each member is counted by itself, too.
    pub each: bool,
    /// Where to write; none writes nothing.
    pub output: Option<Output>,
    /// CPU threads.
    pub threads: u32,
}

/// Whoever waits: hears how far it is, and may say stop.
pub trait Watch {
    /// Says whether to go on; asked between tiles.
    fn go_on(&self) -> bool {
        true
    }

    /// Hears what is worked on: so many images of so many are done.
    fn about(&mut self, _what: &str, _done: usize, _of: usize) {}

    /// Hears what came of image `number`, counted from 1.
    fn done(&mut self, _image: &ImageReport, _number: usize, _of: usize) {}
}

/// Who waits without a word.
#[derive(Clone, Copy, Debug)]
pub struct Patient;

impl Watch for Patient {}

/// Segments images. Writes, where an output is named, a mask (PNG, 0 and 255) for each, named like the
/// image (`name_0003.png` for page 3 of a stack), with `probability/` and `overlay/` where they are
/// wanted, `images.csv` and `metrics.json`. Pixels are those that training's evaluation counts. When the
/// watch says stop, the report is of the images that are whole, and says that it is not complete.
///
/// # Errors
/// When data cannot be read, a state does not fit its settings, two masks would have one name, the folder
/// holds other files, or files cannot be written.
pub fn predict(request: &Request, watch: &mut dyn Watch) -> Result<Report, LearnerError> {
    tch::set_num_threads(i32::try_from(request.threads.max(1)).unwrap_or(i32::MAX));
    if request.members.is_empty() {
        return Err(LearnerError::Library { what: "no trial is named".to_owned() });
    }
    let ensemble = Ensemble::build(request.members, request.showing, request.data.as_deref())?;
    let items = request.images.find(&ensemble)?;
    let mut notes = doubts(request.members);
    if let Images::Part(part) = request.images {
        notes.extend(same::judge(&ensemble.members, part)?);
    }
    notes.extend(images::passed_over(&request.images));
    notes.extend(ensemble.notes.iter().cloned());
    if let Some(output) = &request.output {
        let data: Vec<_> = ensemble.members.iter().map(|member| &member.data).collect();
        output.guard(&items, &data)?;
    }
    let Some(threshold) = choose::settle(request.threshold, &ensemble, watch)? else {
        return Err(LearnerError::Library {
            what: "it was stopped before anything was done".into(),
        });
    };
    let mut report = Report {
        schema_version: 1,
        complete: false,
        members: ensemble.members.iter().map(|member| MemberReport::of(member, None)).collect(),
        options: Options { tta: request.showing.turns, images: request.images.word() },
        threshold,
        images: Vec::new(),
        failed: Vec::new(),
        coverage: Coverage { trained: ensemble.density(), ..Coverage::default() },
        pooled: None,
        metrics: Metrics::default(),
        metrics_at_half: None,
        spread: BTreeMap::new(),
        warnings: notes,
    };
    if report.options.images != data::Part::Train.as_str() {
        report.warnings.extend(images::trained_on(&items, &ensemble));
    }
    if let Some(output) = &request.output {
        output.begin(&report)?;
    }
    let mut work = Work::new(request, &ensemble, report.threshold.logit);
    report.complete = true;
    for (number, item) in items.iter().enumerate() {
        watch.about(&item.entry.name, number, items.len());
        let began = work.clock.monotonic();
        let slice = match data::decode(&item.entry, &ensemble.members[0].data) {
            Ok(slice) => slice,
            // Of many images one may be broken. A value over images with masks is over all of them.
            Err(error) if matches!(request.images, Images::Files(_)) && items.len() > 1 => {
                report.failed.push(Failed::of(item, &error));
                continue;
            }
            Err(error) => return Err(error),
        };
        let Some(image) = work.image(item, (slice, began), watch)? else {
            report.complete = false;
            break;
        };
        watch.done(&image, number + 1, items.len());
        report.images.push(image);
    }
    work.pool(&mut report);
    report.warn();
    if let Some(output) = &request.output {
        output.end(&report)?;
    }
    Ok(report)
}

/// What is doubtful about the networks.
fn doubts(members: &[Trained]) -> Vec<String> {
    let of = |one: &Trained| {
        let trial = one.trial().clone();
        one.flags().into_iter().map(move |flag| format!("trial {trial}: {}", flag.text))
    };
    members.iter().flat_map(of).collect()
}

/// What is counted while images are segmented.
struct Work<'a> {
    request: &'a Request<'a>,
    ensemble: &'a Ensemble<'a>,
    threshold: f64,
    clock: SystemClock,
    /// Of all together; the loss is the members', if they have one.
    all: Tally,
    at_half: Confusion,
    /// Of each member.
    each: Vec<Tally>,
}

impl<'a> Work<'a> {
    fn new(request: &'a Request, ensemble: &'a Ensemble, threshold: f64) -> Self {
        let losses = ensemble.members.iter().map(|member| member.loss);
        let each = if request.each && ensemble.members.len() > 1 { usize::MAX } else { 0 };
        let each = losses.take(each).map(Tally::new).collect();
        Self {
            request,
            ensemble,
            threshold,
            clock: SystemClock::new(),
            all: Tally::new(ensemble.members[0].loss),
            at_half: Confusion::default(),
            each,
        }
    }

    /// Segments an image that was read at `began`, writes and counts it. `None` when the watch said stop.
    fn image(
        &mut self,
        item: &Item,
        (mut slice, began): (Slice, Duration),
        watch: &mut dyn Watch,
    ) -> Result<Option<ImageReport>, LearnerError> {
        let region = item.region.unwrap_or(Region::whole(0, &slice.picture));
        let shown = far::brightness(&slice.picture);
        let logits = self.ensemble.logits(&mut slice.picture, region, &mut || watch.go_on())?;
        let Some(logits) = logits else { return Ok(None) };
        let is_dark = self.is_brightness_far(&mut slice.picture);
        let first = &self.ensemble.members[0].data;
        slice.picture.set_contrast(first.contrast_gain, first.contrast_offset);
        let segmented = Segmented::decide(
            mean(logits.iter().map(Tensor::shallow_clone).collect())?,
            self.threshold,
        )?;
        let Segmented { logits: together, pixels } = &segmented;
        let truth = slice.mask.as_ref().map(|mask| truth(mask, region));
        let written = self.request.output.as_ref().map(|output| {
            let pictured = (&slice.picture, region);
            output.image(&item.file, pictured, (pixels, truth.as_deref()), together)
        });
        let coverage = fraction(pixels);
        let is_much = far::is_coverage_far(coverage, self.ensemble.density());
        let far = [(is_much, Far::Coverage), (is_dark, Far::Brightness)];
        let mut report = ImageReport {
            name: item.entry.name.clone(),
            file: item.file.clone(),
            sha256: written.transpose()?,
            source: item.entry.image.path.clone(),
            width: region.width,
            height: region.height,
            coverage,
            mean_probability: together
                .f_sigmoid()?
                .f_mean(tch::Kind::Double)?
                .f_double_value(&[])?,
            brightness: shown.mean,
            brightness_std: shown.deviation,
            far: far.into_iter().filter(|(is_far, _)| *is_far).map(|(_, far)| far).collect(),
            seconds: 0.0,
            confusion: None,
            jaccard: None,
            dice: None,
            precision: None,
            recall: None,
        };
        if let Some((mask, truth)) = slice.mask.as_ref().zip(truth) {
            report.count(self.all.add(&segmented, mask, region)?);
            let half = Segmented::decide(together.shallow_clone(), 0.0)?;
            self.at_half += count(&half.pixels, &truth);
            for (tally, logits) in self.each.iter_mut().zip(logits) {
                tally.add(&Segmented::decide(logits, self.threshold)?, mask, region)?;
            }
        }
        report.seconds = (self.clock.monotonic() - began).as_secs_f64();
        Ok(Some(report))
    }

    /// Whether the grey values are far from what any member was trained on.
    fn is_brightness_far(&self, picture: &mut Picture) -> bool {
        let mut known: Option<((f64, f64), data::Normalisation)> = None;
        self.ensemble.members.iter().any(|member| {
            let contrast = (member.data.contrast_gain, member.data.contrast_offset);
            let shown = match known {
                Some((of, shown)) if of == contrast => shown,
                _ => {
                    picture.set_contrast(contrast.0, contrast.1);
                    far::brightness(picture)
                }
            };
            known = Some((contrast, shown));
            far::is_brightness_far(shown, member.normalisation)
        })
    }

    /// Puts pooled counts and the spread over images into the report.
    fn pool(&self, report: &mut Report) {
        if !report.images.iter().any(|image| image.confusion.is_some()) {
            return;
        }
        let word = report.options.images;
        report.pooled = Some(self.all.confusion);
        report.metrics = match self.ensemble.loss() {
            Some(_) => self.all.metrics(word),
            None => counted(&self.all.confusion, word),
        };
        let is_usual = self.threshold == 0.0;
        report.metrics_at_half = (!is_usual).then(|| counted(&self.at_half, word));
        for (member, tally) in report.members.iter_mut().zip(&self.each) {
            member.metrics = Some(tally.metrics(word));
        }
        let values: [(&str, Value); 4] = [
            ("jaccard", |image| image.jaccard),
            ("dice", |image| image.dice),
            ("precision", |image| image.precision),
            ("recall", |image| image.recall),
        ];
        for (name, of) in values {
            let images = report.images.iter();
            let spread = Spread::of(images.filter_map(|i| Some((i.name.as_str(), of(i)?))));
            report.spread.extend(spread.map(|spread| (name.to_owned(), spread)));
        }
    }
}

/// A value of an image that not every image has.
type Value = fn(&ImageReport) -> Option<f64>;

fn counted(counts: &Confusion, word: &str) -> Metrics {
    let mut metrics = Metrics::default();
    counts.record(word, &mut metrics);
    metrics
}

/// The fraction of ones.
#[expect(clippy::cast_precision_loss, reason = "pixel counts stay far below 2^53")]
fn fraction(pixels: &[u8]) -> f64 {
    let ones = pixels.iter().filter(|pixel| **pixel == 1).count();
    ones as f64 / pixels.len().max(1) as f64
}
