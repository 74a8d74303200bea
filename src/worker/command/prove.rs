//! Arguments of `verify-resume`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::{Map, Value};

use crate::layout::TrialFolder;
use crate::metric::Objective;
use crate::setting::{self, SETTINGS_VERSION};
use crate::sweep::{Assignment, Budget, Trial, identify};
use crate::worker::verify::Request;

use super::{CommandError, Which};

/// Arguments of `verify-resume`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct VerifyResume {
    /// The folder of a trial, in which nothing is changed
    #[arg(long, value_name = "DIR", group = "what")]
    pub trial: Option<PathBuf>,
    /// A job file (runs/SWEEP/jobs/TOKEN.jsonl); each line is a trial
    #[arg(long, value_name = "FILE", group = "what", requires = "index")]
    pub job: Option<PathBuf>,
    /// The line of the job file, from 0
    #[arg(long, value_name = "N", requires = "job")]
    pub index: Option<usize>,
    /// Settings as under `fixed:` of a sweep, as JSON; what is missing has its default
    #[arg(long, value_name = "JSON", group = "what")]
    pub settings: Option<String>,
    /// Seed for --settings [default: 0]
    #[arg(long, value_name = "N", requires = "settings", conflicts_with_all = ["trial", "job"])]
    pub seed: Option<u64>,
    /// Most optimizer updates in an epoch
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub steps: u64,
    /// Most epochs
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub epochs: u64,
    /// Places where it is cut; a trial for each, and one with all of them
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub cuts: u64,
    /// Where the temporary folder is made, for some checkpoints [default: the system's]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Print the verdict and all numbers as JSON
    #[arg(long)]
    pub json: bool,
}

impl VerifyResume {
    /// Reads what to prove.
    ///
    /// # Errors
    /// When the trial or the settings cannot be read.
    pub fn request(&self) -> Result<Request, CommandError> {
        let (assignment, folder) = match &self.settings {
            Some(text) => (assignment(text, self.seed.unwrap_or(0))?, None),
            None => self.read()?,
        };
        let dir = self.dir.clone().unwrap_or_else(std::env::temp_dir);
        let Self { steps, epochs, cuts, .. } = *self;
        Ok(Request { assignment, folder, steps, epochs, cuts, dir })
    }

    fn read(&self) -> Result<(Assignment, Option<TrialFolder>), CommandError> {
        let Self { job, index, trial, .. } = self;
        let which = Which { job: job.clone(), index: *index, trial: trial.clone() };
        let (assignment, folder) = which.read()?;
        Ok((assignment, Some(folder)))
    }
}

/// A trial with these settings that belongs to no sweep.
fn assignment(text: &str, seed: u64) -> Result<Assignment, CommandError> {
    let wrong = |what: String| CommandError::Settings { what };
    let given: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let settings = setting::resolve(&given).map_err(|problems| {
        let lines = problems.into_iter().map(|problem| match &problem.hint {
            Some(hint) => format!("{problem} ({hint})"),
            None => problem.to_string(),
        });
        wrong(lines.collect::<Vec<_>>().join("; "))
    })?;
    let trial = Trial {
        id: identify(&settings, seed),
        seed,
        repeat: 0,
        parameters: Arc::default(),
        settings: Arc::new(settings),
    };
    Ok(Assignment {
        trial,
        sweep: "verify-resume".to_owned(),
        settings_version: SETTINGS_VERSION,
        objective: Objective::default(),
        budget: Budget::default(),
        token: None,
        only_check: false,
    })
}
