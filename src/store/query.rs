//! Questions that commands ask, and the rows that answer them.

mod best;
mod resolve;
mod show;
mod status;
mod trials;

pub use best::ranking_sql;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::TrialState;
use crate::id::TrialId;
use crate::metric::{Direction, Metrics, Objective};

/// A trial of a sweep, found by what somebody typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialKey {
    /// Its sweep.
    pub sweep: String,
    /// Its identity.
    pub trial: TrialId,
    pub(super) row: i64,
    pub(super) sweep_row: i64,
}

/// Which of a trial's epochs stands for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aggregate {
    /// The best one.
    #[default]
    Best,
    /// The newest one.
    Last,
}

/// What to rank.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    /// Names of sweeps; none means all.
    pub sweeps: Vec<String>,
    /// The metric; none means the objective.
    pub metric: Option<String>,
    /// The good direction; none means the objective's, and for another metric `minimize` where its
    /// name ends in `loss`.
    pub direction: Option<Direction>,
    /// Which epoch stands for a trial.
    pub aggregate: Aggregate,
    /// At most so many rows.
    pub top: Option<u32>,
}

/// A ranking: the better first, trials without a value last.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// What is ranked.
    pub metric: String,
    /// Which values are good.
    pub direction: Direction,
    /// The trials.
    pub rows: Vec<BestRow>,
    /// Number of trials of these sweeps, shown or not.
    pub trials: u64,
    /// Number of those that are not finished.
    pub unfinished: u64,
    /// Versions of the worker that made the values; more than one is worth a note.
    pub versions: Vec<String>,
}

/// A trial in a ranking.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BestRow {
    /// Its sweep.
    pub sweep: String,
    /// Its identity.
    pub trial: TrialId,
    /// Its value; null where there is none or it is not finite.
    pub value: Option<f64>,
    /// The first epoch that reached it.
    pub epoch: Option<u64>,
    /// Its seed.
    pub seed: u64,
    /// How it stands.
    pub state: TrialState,
    /// What the sweep varies, by dotted path.
    pub parameters: Map<String, Value>,
}

/// A trial in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrialRow {
    /// Its sweep.
    pub sweep: String,
    /// Its identity.
    pub trial: TrialId,
    /// How it stands.
    pub state: TrialState,
    /// Why.
    pub why: String,
    /// Its seed.
    pub seed: u64,
    /// Which repeat it is, from 0.
    pub repeat: u32,
    /// What the sweep varies, by dotted path.
    pub parameters: Map<String, Value>,
    /// Attempts so far.
    pub attempts: u32,
    /// Training seconds of those attempts that told of their end.
    pub elapsed: Option<f64>,
    /// Epochs that are done.
    pub epochs_done: u64,
    /// Epochs to do in all.
    pub epochs: Option<u64>,
    /// Best value of the objective.
    pub value: Option<f64>,
    /// The epoch that reached it.
    pub epoch: Option<u64>,
}

/// Everything about one trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrialDetail {
    /// What a list tells.
    #[serde(flatten)]
    pub row: TrialRow,
    /// What is good.
    pub objective: Objective,
    /// All settings.
    pub settings: Map<String, Value>,
    /// Its attempts, the oldest first.
    pub attempts_made: Vec<AttemptRow>,
    /// Its epochs.
    pub history: Vec<EpochRow>,
    /// Warnings of all attempts.
    pub warnings: Vec<WarningRow>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttemptRow {
    /// Its number.
    pub number: u32,
    /// Who started it.
    pub origin: Option<String>,
    /// Its machine.
    pub host: Option<String>,
    /// What it computed on.
    pub device: Option<String>,
    /// Version of the worker.
    pub worker_version: Option<String>,
    /// The checkpoint it went on from.
    pub resumed_from: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// Its newest record.
    pub seen_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How: the word of its journal.
    pub outcome: Option<String>,
    /// What it stopped for.
    pub reason: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// Training seconds of all attempts so far.
    pub elapsed: Option<f64>,
    /// Damaged lines of its journal.
    pub bad_lines: u64,
}

/// One epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EpochRow {
    /// Its number, from 1.
    pub epoch: u64,
    /// The attempt that did it.
    pub attempt: u32,
    /// Its values.
    pub metrics: Metrics,
    /// Seconds of training.
    pub train_seconds: Option<f64>,
    /// Seconds of evaluation.
    pub eval_seconds: Option<f64>,
    /// Training samples a second.
    pub images_per_second: Option<f64>,
    /// SHA-256 over the weights.
    pub weights_sha256: String,
}

/// A warning of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WarningRow {
    /// The attempt.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
    /// What.
    pub text: String,
}

/// How a sweep stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SweepStatus {
    /// Its name.
    pub sweep: String,
    /// What is good.
    pub objective: Objective,
    /// Number of trials.
    pub trials: u64,
    /// Trials by state, states without trials left out.
    pub states: Vec<(TrialState, u64)>,
    /// Trials that are under way, the furthest first.
    pub progress: Vec<Progress>,
    /// Best value so far.
    pub best: Option<f64>,
    /// When the journals were last read.
    pub as_of: Option<Timestamp>,
}

/// How far a trial is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Progress {
    /// The trial.
    pub trial: TrialId,
    /// How it stands.
    pub state: TrialState,
    /// Why.
    pub why: String,
    /// What the sweep varies, by dotted path.
    pub parameters: Map<String, Value>,
    /// Its newest attempt.
    pub attempt: Option<u32>,
    /// Epochs that are done.
    pub epochs_done: u64,
    /// Epochs to do in all.
    pub epochs: Option<u64>,
    /// Seconds of an epoch, evaluation included.
    pub seconds_per_epoch: Option<f64>,
    /// Estimated seconds to the end.
    pub remaining: Option<f64>,
    /// Its newest record.
    pub seen_at: Option<Timestamp>,
    /// Its machine.
    pub host: Option<String>,
}

/// JSON text of a mapping; what makes no sense is empty.
fn object(json: &str) -> Map<String, Value> {
    serde_json::from_str(json).unwrap_or_default()
}

/// An identity as it stands in the database, where only checked ones are written.
fn identity(text: &str) -> Result<TrialId, sqlx::Error> {
    text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
