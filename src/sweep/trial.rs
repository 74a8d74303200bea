//! A trial, and the line of a job file that tells a worker what to do.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{Token, TrialId};
use crate::metric::Objective;

/// One resolved point of a sweep. Immutable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its identity.
    #[serde(rename = "trial")]
    pub id: TrialId,
    /// Seed of initialisation, data order, augmentation and dropout.
    pub seed: u64,
    /// Which of the sweep's repeats it is, from 0.
    pub repeat: u32,
    /// The swept settings by dotted path: what tells this trial from the others.
    pub parameters: Arc<Map<String, Value>>,
    /// All settings, resolved; the repeats of a point share them.
    pub settings: Arc<Map<String, Value>>,
}

/// How long an attempt may work and how often it saves. Seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Kept free at the end of the time.
    pub margin: f64,
    /// Limit for one attempt, beside the scheduler's.
    pub max_attempt_time: Option<f64>,
    /// Limit over all attempts of a trial.
    pub max_train_time: Option<f64>,
    /// Longest time between checkpoints.
    pub checkpoint_every: f64,
    /// Time between the signal to end and the kill.
    #[serde(default = "usual_grace")]
    pub grace: f64,
}

/// SLURM's `KillWait` where nobody configured another.
fn usual_grace() -> f64 {
    30.0
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            margin: 120.0,
            max_attempt_time: None,
            max_train_time: None,
            checkpoint_every: 600.0,
            grace: usual_grace(),
        }
    }
}

/// What a worker needs to know: a line of `jobs/<token>.jsonl`, and `trial.json` in the trial's
/// folder. `trial` is its first key, so that a shell finds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The trial.
    #[serde(flatten)]
    pub trial: Trial,
    /// Name of the sweep.
    pub sweep: String,
    /// Version of the settings' meaning.
    pub settings_version: u32,
    /// What is good.
    pub objective: Objective,
    /// Time limits.
    pub budget: Budget,
    /// The submission.
    pub token: Option<Token>,
    /// Whether the worker only looks if the trial could start, and writes what it found.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_check: bool,
}

/// What a worker that only looked has to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckSaid {
    /// Its exit code; 0: the trial could start.
    pub exit_code: u8,
    /// What it found, as `regatta-worker check --json` prints it.
    pub output: String,
    /// Warnings, or what went wrong and what to do.
    pub errors: String,
    /// The node it looked on; none: here.
    pub host: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trial_is_the_first_key_of_the_line() {
        let trial = Trial {
            id: "0123456789abcdef".parse().expect("id"),
            seed: 0,
            repeat: 0,
            parameters: Arc::default(),
            settings: Arc::default(),
        };
        let line = Assignment {
            trial,
            sweep: "toy".to_owned(),
            settings_version: 1,
            objective: Objective::default(),
            budget: Budget::default(),
            token: None,
            only_check: false,
        };
        let json = serde_json::to_string(&line).expect("json");
        assert!(json.starts_with(r#"{"trial":"0123456789abcdef","#), "{json}");
        assert_eq!(serde_json::from_str::<Assignment>(&json).expect("back"), line);
    }
}
