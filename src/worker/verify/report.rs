//! What came of it, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::difference::Difference;
use super::outline::Cut;

/// Version of the report's form as JSON.
const SCHEMA_VERSION: u32 = 1;

/// Differences that people are shown of the first trial that has any, and of the others the first;
/// JSON has all that were found.
const SHOWN: usize = 4;

/// A trial that was cut, once or several times, and resumed to its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CutTrial {
    /// Where and how, in order.
    pub cuts: Vec<Cut>,
    /// Optimizer updates that had to be done again.
    pub steps_redone: u64,
    /// Time of all its attempts.
    pub seconds: f64,
    /// SHA-256 in hex of the tensors of its last checkpoint.
    pub tensors_sha256: String,
    /// Whether it ended as the uncut one, with the same losses and metrics on the way.
    pub equal: bool,
    /// What was not the same, the first in time first.
    pub differences: Vec<Difference>,
}

/// The verdict and how it came about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Version of this form.
    pub schema_version: u32,
    /// Whether all cut trials ended as the uncut one.
    pub equal: bool,
    /// Whether a second uncut trial ended as the first one; only tried where a cut one did not.
    pub repeatable: Option<bool>,
    /// Epochs of the short trial.
    pub epochs: u64,
    /// Optimizer updates of its epochs.
    pub steps_per_epoch: u64,
    /// Optimizer updates from one checkpoint to the next.
    pub checkpoint_every_steps: u64,
    /// Trainable parameters.
    pub parameters: u64,
    /// `cpu` or the name of the device.
    pub device: String,
    /// Threads used for computing.
    pub threads: u32,
    /// Name and version of the library.
    pub library: String,
    /// Mean time of an optimizer update.
    pub step_seconds: f64,
    /// Mean time of an evaluation.
    pub evaluation_seconds: f64,
    /// Time of everything.
    pub seconds: f64,
    /// SHA-256 in hex of the tensors of the uncut trial's last checkpoint.
    pub tensors_sha256: String,
    /// The cut ones.
    pub trials: Vec<CutTrial>,
}

impl Report {
    pub(super) const SCHEMA_VERSION: u32 = SCHEMA_VERSION;

    fn verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.trials.len();
        if self.equal {
            let trials = if count == 1 {
                "the cut trial".to_owned()
            } else {
                format!("all {count} cut trials")
            };
            return write!(
                f,
                "bit-equal: {trials} had the losses, metrics and weights of the uncut one and ended \
                 with the same tensors (SHA-256 {})",
                self.tensors_sha256.get(..16).unwrap_or_default()
            );
        }
        let unequal = self.trials.iter().filter(|trial| !trial.equal).count();
        write!(f, "NOT bit-equal: {unequal} of {count} cut trials differ from the uncut one")?;
        if self.repeatable == Some(false) {
            f.write_str(
                "\ntwo uncut trials differ from each other too: with these settings training is not \
                 repeatable on this machine, and nothing can be said about resuming it",
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self.trials.iter().map(row).collect();
        let head = ["CUT AT", "HOW", "STEPS REDONE", "EQUAL"].map(str::to_owned);
        let width = |column: usize| {
            let all = rows.iter().chain([&head]).map(|row| row[column].chars().count());
            all.max().unwrap_or(0)
        };
        let widths = [0, 1, 2].map(width);
        for [at, how, redone, equal] in [&head].into_iter().chain(&rows) {
            let [a, b, c] = widths;
            writeln!(f, "{at:a$}  {how:b$}  {redone:c$}  {equal}")?;
        }
        writeln!(f)?;
        let unequal = (1..).zip(&self.trials).filter(|(_, trial)| !trial.equal);
        for (place, (number, trial)) in unequal.enumerate() {
            let shown = if place == 0 { SHOWN } else { 1 };
            let Some(first) = trial.differences.first() else { continue };
            writeln!(f, "trial {number} differs first: {first}")?;
            if let Some(meaning) = first.meaning() {
                writeln!(f, "  {meaning}")?;
            }
            for difference in trial.differences.iter().take(shown).skip(1) {
                writeln!(f, "  then {difference}")?;
            }
        }
        self.verdict(f)
    }
}

fn row(trial: &CutTrial) -> [String; 4] {
    let (at, how) = match trial.cuts.as_slice() {
        [cut] => (cut.to_string(), cut.way.to_string()),
        cuts => (format!("at {} places, one after another", cuts.len()), "in all ways".to_owned()),
    };
    let equal = if trial.equal { "yes" } else { "NO" };
    [at, how, trial.steps_redone.to_string(), equal.to_owned()]
}
