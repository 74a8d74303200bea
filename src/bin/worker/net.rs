//! What the worker's door does with libtorch: learn, look, export, draw, list networks.
#![expect(clippy::print_stderr, reason = "this is a part of a door: it prints")]

use std::error::Error;
use std::fmt::Write as _;

use super::Looked;

use regatta::clock::SystemClock;
use regatta::setting::Settings;
use regatta::train::NetLearner;
use regatta::train::export as exporting;
use regatta::train::model::catalogue;
use regatta::train::synth::Spec;
use regatta::worker::checkpoint::Choice;
use regatta::worker::command::{Check, Checkpoint, Export, Models, Synth, Which};
use regatta::worker::learner::{Learner, LearnerError};
use regatta::worker::trained::Trained;

pub(crate) fn build(settings: &Settings, seed: u64) -> Result<Box<dyn Learner>, LearnerError> {
    Ok(Box::new(NetLearner::build(settings, seed, threads())?))
}

/// Writes the network with what there is to know of it.
pub(crate) fn export(arguments: &Export) -> Result<String, Box<dyn Error>> {
    let which = Which { job: None, index: None, trial: Some(arguments.trial.clone()) };
    let (assignment, folder) = which.read()?;
    let choice = match arguments.checkpoint {
        Checkpoint::Best => Choice::Best,
        Checkpoint::Last => Choice::Last,
    };
    let mut warnings = Vec::new();
    let read = Trained::read(assignment, &folder, choice, &SystemClock::new(), &mut warnings);
    for warning in &warnings {
        eprintln!("warning: {warning}");
    }
    let (folder, replace) = (arguments.output.as_path(), arguments.force);
    let facts = exporting::export(&exporting::Request { trained: &read?, folder, replace })?;
    if arguments.json {
        return Ok(serde_json::to_string(&facts)?);
    }
    for flag in &facts.flags {
        eprintln!("warning: {}", flag.text);
    }
    Ok(format!(
        "model.pt, model.safetensors, model.json and README.md in {} from checkpoint {}\n\
         model.pt gives the network's logits, up to {:.1e} of the largest",
        folder.display(),
        facts.checkpoint,
        facts.difference,
    ))
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

/// As many threads as this process may use, or as `OMP_NUM_THREADS` says.
#[expect(clippy::disallowed_methods, reason = "this is a door: it reads the environment")]
pub(super) fn threads() -> u32 {
    let told = std::env::var("OMP_NUM_THREADS").ok().and_then(|text| text.parse().ok());
    let cpus = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    told.unwrap_or_else(|| u32::try_from(cpus()).unwrap_or(1))
}
