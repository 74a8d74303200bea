//! What the worker's door does with libtorch: learn, look, predict, draw, list networks.
#![expect(clippy::print_stderr, reason = "this is a part of a door: it prints")]

use std::error::Error;
use std::fmt::Write as _;

use super::Looked;

use regatta::clock::SystemClock;
use regatta::setting::Settings;
use regatta::train::data::Part;
use regatta::train::model::catalogue;
use regatta::train::synth::Spec;
use regatta::train::{NetLearner, predict as predicting};
use regatta::worker::checkpoint::Shelf;
use regatta::worker::command::{Check, Models, Predict, Split, Synth, Which};
use regatta::worker::learner::{Learner, LearnerError};

pub(crate) fn build(settings: &Settings, seed: u64) -> Result<Box<dyn Learner>, LearnerError> {
    Ok(Box::new(NetLearner::build(settings, seed, threads())?))
}

/// Writes masks with the weights of the best epoch.
pub(crate) fn predict(arguments: &Predict) -> Result<String, Box<dyn Error>> {
    let which = Which { job: None, index: None, trial: Some(arguments.trial.clone()) };
    let (assignment, folder) = which.read()?;
    let trial = assignment.trial;
    let mut warnings = Vec::new();
    let shelf = Shelf::new(trial.id, folder.checkpoints());
    let saved = shelf.best(&SystemClock::new(), &mut warnings)?;
    tell(&warnings);
    let (name, state) = saved.ok_or("the trial has no checkpoint yet")?;
    let report = predicting::predict(&predicting::Request {
        settings: &Settings::from_resolved(&trial.settings)?,
        seed: trial.seed,
        state: &state,
        part: part(arguments.split),
        folder: &arguments.output,
        data: arguments.data.as_deref(),
        threads: threads(),
    })?;
    if arguments.json {
        return Ok(serde_json::to_string(&report)?);
    }
    let (images, folder) = (report.images.len(), arguments.output.display());
    let mut text = format!("{images} masks in {folder} from checkpoint {name}\n");
    for (name, value) in report.metrics.iter() {
        let value = value.map_or_else(|| "-".to_owned(), |value| format!("{value:.6}"));
        writeln!(text, "{name:<16} {value}")?;
    }
    Ok(text)
}

pub(crate) fn check(arguments: &Check) -> Result<Looked, Box<dyn Error>> {
    let found = regatta::train::check::check(&arguments.settings, 0)?;
    let warnings = found.warnings.clone();
    if arguments.json {
        return Ok(Looked { text: serde_json::to_string(&found)?, warnings });
    }
    let text = found.to_string();
    Ok(Looked { text, warnings })
}

/// Lists the networks, a line each and what there is to know below it.
pub(crate) fn models(arguments: &Models) -> Result<String, Box<dyn Error>> {
    let entries = catalogue::entries()?;
    if arguments.json {
        return Ok(serde_json::to_string(&entries)?);
    }
    let mut text = format!("{:>11} {:>11} {:>11}\n", "PARAMETERS", "AS IN KERAS", "REPORTED");
    for entry in &entries {
        let number = |number: Option<u64>| number.map_or("-".to_owned(), |n| n.to_string());
        let (keras, reported) = (entry.keras_parameters, entry.reference_parameters);
        let keras = number(Some(keras.unwrap_or(entry.parameters)));
        let (count, reported) = (entry.parameters, number(reported));
        writeln!(text, "{count:>11} {keras:>11} {reported:>11}  {}", entry.settings)?;
        if !entry.note.is_empty() {
            writeln!(text, "{:>37}{}", "", entry.note)?;
        }
    }
    Ok(text)
}

pub(crate) fn synth(arguments: &Synth) -> Result<String, Box<dyn Error>> {
    let (slices, size) = (arguments.slices.try_into()?, arguments.size.try_into()?);
    let spec = Spec { slices, size, seed: arguments.seed };
    let summary = regatta::train::synth::write(&spec, &arguments.dir)?;
    Ok(format!(
        "{slices} slices of {size} x {size} in {}, {:.1} % mitochondria",
        arguments.dir.display(),
        100.0 * summary.density
    ))
}

fn tell(warnings: &[String]) {
    for warning in warnings {
        eprintln!("warning: {warning}");
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

/// As many threads as this process may use, or as `OMP_NUM_THREADS` says.
#[expect(clippy::disallowed_methods, reason = "this is a door: it reads the environment")]
fn threads() -> u32 {
    let told = std::env::var("OMP_NUM_THREADS").ok().and_then(|text| text.parse().ok());
    let cpus = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    told.unwrap_or_else(|| u32::try_from(cpus()).unwrap_or(1))
}
