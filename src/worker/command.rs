//! The worker's command line.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

mod example;
mod manual;
mod prove;
mod using;

pub use manual::Man;
pub use prove::VerifyResume;
pub use using::{Checkpoint, Evaluate, Export, Predict, Split, Tta, Using};

use crate::help::examples;
use crate::layout::{self, Limit, Lines, SweepFolder, TrialFolder};
use crate::setting::Settings;
use crate::sweep::Assignment;

use super::attempt::Request;

/// Trains one trial of a sweep: resumes it, saves it, stops in time.
#[derive(Debug, Parser)]
#[command(name = "regatta-worker", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What the worker can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a trial; job scripts call this
    ///
    /// By hand only to look for a mistake: the controller then knows nothing of it. Exit codes: 0 finished or
    /// max_train_time used up, 1 failed, 2 wrong usage, 65 diverged, 75 stopped early with a checkpoint (run it
    /// again).
    #[command(after_help = examples(example::RUN))]
    Run(Run),
    /// Say whether a trial could start: model, data, memory; `regatta check` calls this
    ///
    /// For settings that are in no sweep yet: builds the network, reads the images, trains one minibatch.
    #[command(after_help = examples(example::CHECK))]
    Check(Check),
    /// Prove in minutes that a trial, cut and resumed on this machine, ends as if it had not been
    ///
    /// A short form of the trial is trained in a temporary folder: once uncut, then cut at places
    /// spread over it by a signal, by sudden death and by running out of time. Losses, metrics,
    /// weights and the last checkpoint must be the same, bit for bit. Exit codes: 0 they are, 1 they
    /// are not or it could not be tried.
    #[command(after_help = examples(example::VERIFY_RESUME))]
    VerifyResume(VerifyResume),
    /// Write mask images with trained networks; `regatta predict` calls this
    ///
    /// Where there is no controller, only the folder of a trial.
    #[command(after_help = examples(example::PREDICT))]
    Predict(Predict),
    /// Count what trained networks find in images with masks; `regatta evaluate` calls this
    ///
    /// Where there is no controller, only the folder of a trial.
    #[command(after_help = examples(example::EVALUATE))]
    Evaluate(Evaluate),
    /// Write a trained network for other programs; `regatta export` calls this
    ///
    /// As TorchScript and safetensors, with a model card. Where there is no controller, only the folder of a
    /// trial.
    #[command(after_help = examples(example::EXPORT))]
    Export(Export),
    /// List the networks: settings to paste into a sweep, parameters
    ///
    /// With what the earlier system reported of its own. To choose `model` in a sweep.
    #[command(after_help = examples(example::MODELS))]
    Models(Models),
    /// Draw a small EM-like volume with mitochondria, to try things
    ///
    /// To try a sweep before your own images are at hand.
    #[command(after_help = examples(example::SYNTH))]
    Synth(Synth),
    /// Write pages of manual, one a verb; `regatta man` calls this
    ///
    /// Pages that are there are replaced.
    #[command(after_help = examples(example::MAN))]
    Man(Man),
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The trial
    #[command(flatten)]
    pub trial: Which,
    /// Seconds this process may use, counted from its start [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub time_left: Option<Duration>,
    /// Who started it, such as slurm:123_4:1; for the record and to tell restarts apart
    #[arg(long, value_name = "TEXT", default_value = "by hand")]
    pub origin: String,
    /// A folder on this node where checkpoints go that the trial's folder refuses, such as $TMPDIR
    #[arg(long, value_name = "DIR", env = "REGATTA_SCRATCH")]
    pub scratch: Option<PathBuf>,
    /// Epochs between two lines in the log [default: about twenty lines in all]; the first epochs, the
    /// last and every best one have theirs anyway
    #[arg(long, value_name = "N", env = "REGATTA_REPORT_EVERY", value_parser = clap::value_parser!(u64).range(1..))]
    pub report_every: Option<u64>,
}

/// Which trial.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Which {
    /// A job file (runs/SWEEP/jobs/TOKEN.jsonl); each line is a trial
    #[arg(long, value_name = "FILE", requires = "index", conflicts_with = "trial")]
    pub job: Option<PathBuf>,
    /// The line of the job file, from 0
    #[arg(long, value_name = "N", requires = "job", conflicts_with = "trial")]
    pub index: Option<usize>,
    /// The folder of a trial that was staged or begun
    #[arg(long, value_name = "DIR")]
    pub trial: Option<PathBuf>,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// All settings of a trial with their defaults, as in its trial.json
    #[arg(long, value_name = "JSON", value_parser = settings)]
    pub settings: Box<Settings>,
    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `models`.
#[derive(Debug, Args)]
pub struct Models {
    /// Print the list as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `synth`.
#[derive(Debug, Args)]
pub struct Synth {
    /// Folder for `images` and `masks`
    pub dir: PathBuf,
    /// Number of slices
    #[arg(long, default_value_t = 20)]
    pub slices: u32,
    /// Edge of the slices in pixels
    #[arg(long, default_value_t = 256)]
    pub size: u32,
    /// The same seed gives the same volume
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// Why the trial on the command line cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A file cannot be read.
    #[error("failed to read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The job file is shorter.
    #[error("{} has {lines} lines, there is no line {index} (counted from 0)", path.display())]
    NoSuchLine {
        /// The job file.
        path: PathBuf,
        /// Its lines.
        lines: usize,
        /// The line asked for.
        index: usize,
    },
    /// It is no assignment.
    #[error("{} holds no trial: {source}", path.display())]
    Garbled {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The settings on the command line are not as they should be.
    #[error("--settings: {what}")]
    Settings {
        /// What is wrong with them.
        what: String,
    },
    /// It lies at no place where a job file lies.
    #[error("{} does not lie in the folder `jobs` of a sweep", path.display())]
    Astray {
        /// The job file.
        path: PathBuf,
    },
}

impl Which {
    /// Reads what to do and where.
    ///
    /// # Errors
    /// When the file cannot be read or does not hold it.
    pub fn read(&self) -> Result<(Assignment, TrialFolder), CommandError> {
        if let Some(trial) = &self.trial {
            let folder = TrialFolder::new(trial);
            let path = folder.assignment();
            let failed = |source| CommandError::Read { path: path.clone(), source };
            folder.guard().map_err(failed)?;
            let text = layout::read_limited_text(&path, Limit::TRIAL).map_err(failed)?;
            let assignment = serde_json::from_str(&text)
                .map_err(|source| CommandError::Garbled { path, source })?;
            return Ok((assignment, folder));
        }
        let path = self.job.clone().unwrap_or_default();
        let index = self.index.unwrap_or(0);
        let failed = |source| CommandError::Read { path: path.clone(), source };
        let line = match job_line(&path, index).map_err(failed)? {
            Ok(line) => line,
            Err(lines) => return Err(CommandError::NoSuchLine { path, lines, index }),
        };
        let absolute = std::path::absolute(&path)
            .map_err(|source| CommandError::Read { path: path.clone(), source })?;
        let Some(sweep) = absolute.parent().and_then(std::path::Path::parent) else {
            return Err(CommandError::Astray { path });
        };
        let assignment: Assignment = serde_json::from_slice(&line)
            .map_err(|source| CommandError::Garbled { path: path.clone(), source })?;
        let sweep = SweepFolder::new(sweep);
        let folder = sweep.trial(&assignment.trial.id);
        sweep.guard().and_then(|()| folder.guard()).map_err(failed)?;
        Ok((assignment, folder))
    }
}

impl Run {
    /// Makes the request.
    ///
    /// # Errors
    /// When the trial cannot be read.
    pub fn request(&self) -> Result<Request, CommandError> {
        let (assignment, folder) = self.trial.read()?;
        let request = Request::new(assignment, folder);
        let (origin, scratch) = (self.origin.clone(), self.scratch.clone());
        let scratch = scratch.filter(|scratch| !scratch.as_os_str().is_empty());
        let (time_left, report_every) = (self.time_left, self.report_every);
        Ok(Request { time_left, origin, scratch, report_every, ..request })
    }
}

/// A line of a job file, or the number of lines that it has.
fn job_line(path: &std::path::Path, index: usize) -> std::io::Result<Result<Vec<u8>, usize>> {
    // A file that is not there is an error here, not an empty one.
    layout::open_read(path)?;
    let mut lines = Lines::open(path, 0, Limit::TRIAL)?;
    let mut count = 0;
    while let Some(line) = lines.next_line()? {
        if count == index {
            return match line.is_cut {
                true => Err(Limit::TRIAL.exceeded(path, Some(line.length))),
                false => Ok(Ok(line.bytes.to_vec())),
            };
        }
        count += 1;
    }
    Ok(Err(count))
}

fn settings(text: &str) -> Result<Box<Settings>, String> {
    let resolved = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Settings::from_resolved(&resolved).map(Box::new).map_err(|error| error.to_string())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is needed".to_owned())?;
    // A job that is already over its limit has no time left, and that is no mistake of usage.
    Duration::try_from_secs_f64(seconds.max(0.0)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        let parse = |args: &str| Cli::try_parse_from(args.split(' ')).is_ok();
        assert!(parse("regatta-worker run --job j.jsonl --index 3 --time-left 59.5"));
        assert!(parse("regatta-worker run --trial d --origin slurm:1_2:3"));
        assert!(parse("regatta-worker run --trial d --time-left=-3"));
        for bad in ["run", "run --job j", "run --index 1", "run --trial d --job j --index 0"] {
            assert!(!parse(&format!("regatta-worker {bad}")), "{bad}");
        }
        assert!(!parse("regatta-worker run --trial d --time-left UNLIMITED"));
        assert!(parse("regatta-worker predict --trial d --split test -o out --data x"));
        assert!(parse("regatta-worker predict --trial d --trial e a.png b -o out --threshold val"));
        assert!(parse("regatta-worker evaluate --trial d data --split test --tta all --tile 512"));
        for bad in ["-o o", "--trial d", "--trial d -o o a.png --split val"] {
            assert!(!parse(&format!("regatta-worker predict {bad}")), "{bad}");
        }
        for bad in ["--threshold test", "--threshold 1", "--tile 0", "--tta some", "--split gap"] {
            assert!(!parse(&format!("regatta-worker evaluate --trial d data {bad}")), "{bad}");
        }
        assert!(parse("regatta-worker export --trial d --output out --checkpoint last --force"));
        assert!(!parse("regatta-worker export --trial d -o out --checkpoint first"));
        assert!(parse("regatta-worker synth d --slices 4 --size 64 --seed 1"));
        assert!(parse(
            "regatta-worker verify-resume --trial d --steps 3 --epochs 1 --cuts 2 --json"
        ));
        assert!(parse("regatta-worker verify-resume --settings {} --seed 3 --dir x"));
        for bad in
            ["", "--trial d --settings {}", "--job j", "--trial d --seed 1", "--trial d --cuts 0"]
        {
            assert!(!parse(&format!("regatta-worker verify-resume {bad}")), "{bad}");
        }
    }
}
