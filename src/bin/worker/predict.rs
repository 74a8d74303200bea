//! What the worker's door does with trained networks: predict and evaluate, telling how far it is.
#![expect(clippy::print_stderr, reason = "this is a part of a door: it prints")]

use std::error::Error;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use regatta::clock::SystemClock;
use regatta::event::Outcome;
use regatta::train::data::Part;
use regatta::train::predict::{
    self, ImageReport, Images, Output, Report, Request, Showing, TileWish, Turns, Watch,
};
use regatta::worker::checkpoint::Choice;
use regatta::worker::command::{Evaluate, Predict, Split, Tta, Using, Which};
use regatta::worker::stop::StopFlag;
use regatta::worker::trained::Trained;

use super::{fail, say};

/// Exit code after a signal (128 + SIGINT).
const INTERRUPTED: u8 = 130;

/// Writes masks; returns the exit code.
pub(crate) fn predict(arguments: &Predict, stop: &StopFlag) -> u8 {
    let images = if arguments.images.is_empty() {
        Images::Part(part(arguments.split))
    } else {
        Images::Files(arguments.images.clone())
    };
    let output = Output {
        folder: arguments.output.clone(),
        probability: !arguments.no_probability,
        overlay: !arguments.no_overlay,
    };
    let work = Work { using: &arguments.using, images, output: Some(output), each: false };
    work.end(stop, |report| report.predicted(&arguments.output))
}

/// Counts what is right; returns the exit code.
pub(crate) fn evaluate(arguments: &Evaluate, stop: &StopFlag) -> u8 {
    let (path, part) = (arguments.folder.clone(), part(arguments.split));
    let output = arguments.output.clone().map(|folder| Output {
        folder,
        probability: !arguments.no_probability,
        overlay: !arguments.no_overlay,
    });
    let images = Images::Folder { path, part };
    let work = Work { using: &arguments.using, images, output, each: true };
    work.end(stop, Report::evaluated)
}

/// What both do.
struct Work<'a> {
    using: &'a Using,
    images: Images,
    output: Option<Output>,
    each: bool,
}

impl Work<'_> {
    fn end(self, stop: &StopFlag, words: impl Fn(&Report) -> String) -> u8 {
        let (is_json, folder) = (self.using.json, self.output.as_ref().map(|o| o.folder.clone()));
        let report = match self.report(stop) {
            Ok(report) => report,
            Err(_) if stop.reason().is_some() => {
                eprintln!("error: stopped by a signal before an image was done");
                return INTERRUPTED;
            }
            Err(error) => return fail(&*error),
        };
        for warning in &report.warnings[..] {
            eprintln!("warning: {warning}");
        }
        for image in &report.failed {
            eprintln!("error: left out: {}", image.error);
        }
        if is_json {
            match serde_json::to_string(&report) {
                Ok(text) => say(&text),
                Err(error) => return fail(&error),
            }
        } else {
            say(&words(&report));
        }
        if report.complete {
            let outcome =
                if report.failed.is_empty() { Outcome::Finished } else { Outcome::Failed };
            return outcome.exit_code();
        }
        let done = report.images.len();
        match folder {
            Some(folder) => eprintln!(
                "error: stopped by a signal: the files of {done} images in {} are whole, the others are \
                 missing",
                folder.display()
            ),
            None => eprintln!("error: stopped by a signal after {done} images"),
        }
        INTERRUPTED
    }

    fn report(self, stop: &StopFlag) -> Result<Report, Box<dyn Error>> {
        let Using { trials, data, tile, overlap, tiles_at_once, tta, threshold, quiet, .. } =
            self.using;
        let (mut members, mut warnings) = (Vec::new(), Vec::new());
        for trial in trials {
            let which = Which { job: None, index: None, trial: Some(trial.clone()) };
            let (assignment, folder) = which.read()?;
            let clock = SystemClock::new();
            members.push(Trained::read(assignment, &folder, Choice::Best, &clock, &mut warnings)?);
        }
        for warning in warnings {
            eprintln!("warning: {warning}");
        }
        let tiles = TileWish { tile: *tile, overlap: *overlap, at_once: *tiles_at_once };
        let turns = match tta {
            Tta::None => Turns::None,
            Tta::Flips => Turns::Flips,
            Tta::All => Turns::All,
        };
        let request = Request {
            members: &members,
            images: self.images,
            data: data.clone(),
            showing: Showing { tiles, turns },
            threshold: *threshold,
            each: self.each,
            output: self.output,
            threads: super::net::threads(),
        };
        let mut teller = Teller::new(stop, *quiet);
        let report = predict::predict(&request, &mut teller);
        teller.end();
        Ok(report?)
    }
}

/// Tells how far it is: a bar where somebody watches, a line for each image where not.
struct Teller<'a> {
    stop: &'a StopFlag,
    is_quiet: bool,
    bar: Option<ProgressBar>,
}

impl<'a> Teller<'a> {
    fn new(stop: &'a StopFlag, is_quiet: bool) -> Self {
        let bar = (!is_quiet && std::io::stderr().is_terminal()).then(|| {
            let style = "{msg:40} {bar:24} {pos:>4}/{len} images  {elapsed_precise}";
            let style = ProgressStyle::with_template(style);
            let bar = ProgressBar::new(0);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { stop, is_quiet, bar }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Watch for Teller<'_> {
    fn go_on(&self) -> bool {
        self.stop.reason().is_none()
    }

    fn about(&mut self, what: &str, done: usize, of: usize) {
        if let Some(bar) = &self.bar {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
            bar.set_message(what.to_owned());
        }
    }

    fn done(&mut self, image: &ImageReport, number: usize, of: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(number as u64);
        } else if !self.is_quiet {
            let jaccard =
                image.jaccard.map_or(String::new(), |value| format!(", Jaccard {value:.4}"));
            eprintln!(
                "{number}/{of} {}: coverage {:.2} %{jaccard}, {:.1} s",
                image.name,
                100.0 * image.coverage,
                image.seconds
            );
        }
    }
}

fn part(split: Split) -> Part {
    match split {
        Split::Train => Part::Train,
        Split::Val => Part::Val,
        Split::Test => Part::Test,
        Split::All => Part::All,
    }
}
