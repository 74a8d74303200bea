//! Pages of manual for the worker and its verbs.

use std::error::Error;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use jiff::Timestamp;

use super::Cli;
use crate::help::{self, Words};
use crate::layout;

/// What stands in the pages beside the command line.
const WORDS: Words = Words {
    exit_status: &[
        (
            "0",
            "Done; of run: the trial is finished, its max_train_time is used up, or another attempt has it.",
        ),
        ("1", "It failed; the message, or the trial's log, says why."),
        ("2", "The command line or the job file is wrong."),
        ("65", "Of run: training diverged; the last healthy checkpoint is kept."),
        ("75", "Of run: stopped early with a checkpoint; run it again."),
    ],
    environment: &[
        (
            "OMP_NUM_THREADS",
            "Threads of a trial on a processor; job scripts set it to resources.cpus.",
        ),
        ("RUST_LOG", "How much is told on stderr and in the trial's log; trace: each step."),
    ],
    files: &[
        ("runs/SWEEP/TRIAL/N.journal", "What attempt N tells, for the controller."),
        ("runs/SWEEP/TRIAL/N.log", "What it says, for people."),
        (
            "runs/SWEEP/TRIAL/checkpoint/",
            "Checkpoints; best.safetensors are the weights of the best epoch.",
        ),
    ],
    see_also: &["regatta(1)"],
};

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Folder for the pages
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
}

impl Man {
    /// Writes the pages; returns what to say.
    ///
    /// # Errors
    /// When a page cannot be made or written.
    pub fn write(&self, now: Timestamp) -> Result<String, Box<dyn Error>> {
        let day = now.strftime("%Y-%m-%d").to_string();
        let pages = help::pages(Cli::command(), &WORDS, &day)?;
        let failed = |path: &std::path::Path, error: std::io::Error| {
            format!("failed to write {}: {error}", path.display())
        };
        layout::create_users_folder(&self.output).map_err(|error| failed(&self.output, error))?;
        for page in &pages {
            let path = self.output.join(&page.file);
            layout::write_users_file(&path, page.text.as_bytes())
                .map_err(|error| failed(&path, error))?;
        }
        Ok(format!("wrote {} pages of regatta-worker into {}", pages.len(), self.output.display()))
    }
}
