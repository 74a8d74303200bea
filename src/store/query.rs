//! Questions that commands ask, and the rows that answer them.

mod analyses;
mod best;
mod candidates;
mod changed;
mod columns;
mod costs;
mod packed;
mod points;
mod resolve;
mod rivals;
mod seen;
mod show;
mod sight;
mod sql;
mod status;
mod terms;
mod trials;

pub use analyses::Course;
pub use best::ranking_sql;
pub use candidates::Candidate;
pub use costs::{Gpu, Spent};
pub use rivals::Rivals;
pub use seen::{Curve, SampleRow};
pub use sight::Doubt;
pub use sql::Table;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::TrialState;
use crate::id::TrialId;
use crate::metric::{Direction, Metrics, Objective};
use crate::query::{Aggregate, Expr, Order};

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

/// What is asked about.
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
    /// Only trials for which this holds.
    pub filter: Option<Expr>,
    /// The order; what is equal in it, and all for none, has the usual order of the answer.
    pub order: Vec<Order>,
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
    /// Number of trials that were asked about, shown or not.
    pub trials: u64,
    /// Number of those that are not finished.
    pub unfinished: u64,
    /// Versions of the worker that made the values of these rows; more than one is worth a note.
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
    /// What the sweep varies, by dotted path, and what differs between its plans.
    pub parameters: Map<String, Value>,
    /// Whether neighbours of its validation patches were trained on (`leaky_random_patches`).
    pub is_leaky: bool,
    /// Why its value is not what it looks like.
    pub flags: Vec<Doubt>,
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
    /// What the sweep varies, by dotted path, and what differs between its plans.
    pub parameters: Map<String, Value>,
    /// Attempts so far.
    pub attempts: u32,
    /// Training seconds of those attempts that told of their end.
    pub elapsed: Option<f64>,
    /// When the controller last heard something new of them.
    #[serde(skip)]
    pub heard_at: Option<Timestamp>,
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
    /// The submission it belongs to, if any.
    pub token: Option<String>,
    /// Who started it.
    pub origin: Option<String>,
    /// Starts of its job before this one, as the origin tells.
    pub restarts: Option<u32>,
    /// Its machine.
    pub host: Option<String>,
    /// What it computed on.
    pub device: Option<String>,
    /// Threads it computed with.
    pub threads: Option<u32>,
    /// Version of libtorch, or of the toy learner.
    pub library: Option<String>,
    /// Version of the worker.
    pub worker_version: Option<String>,
    /// Program, machine, command line, environment and settings.
    pub surroundings: Option<Value>,
    /// The user's workspace at the submission, if it was under git.
    pub workspace: Option<WorkspaceRow>,
    /// Folder for checkpoints that the shared folder refuses.
    pub scratch: Option<String>,
    /// The checkpoint it went on from.
    pub resumed_from: Option<String>,
    /// What is not as it was when that checkpoint was written.
    pub differs: Vec<String>,
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
    /// Seconds that it had when training began; none: no limit.
    pub time_given: Option<f64>,
    /// At the request to stop: predicted seconds of the next unit with a checkpoint.
    pub predicted_step: Option<f64>,
    /// At the request to stop: predicted seconds of the checkpoint that followed.
    pub predicted_save: Option<f64>,
    /// Seconds that were left at the request to stop.
    pub stop_time_left: Option<f64>,
    /// Seconds from the request to stop to the end.
    pub seconds_to_leave: Option<f64>,
    /// Seconds that were left unused at the end.
    pub time_left_unused: Option<f64>,
    /// Checkpoints written.
    pub checkpoints: u64,
    /// Bytes of the newest checkpoint.
    pub checkpoint_bytes: Option<u64>,
    /// Seconds that they took in the background.
    pub checkpoint_seconds: f64,
    /// Seconds that training stood still for them.
    pub checkpoint_pause: f64,
    /// Training seconds of earlier attempts.
    pub elapsed_before: Option<f64>,
    /// Training seconds of all attempts so far.
    pub elapsed: Option<f64>,
    /// Damaged lines of its journal.
    pub bad_lines: u64,
}

/// The user's workspace at a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkspaceRow {
    /// The folder.
    pub folder: String,
    /// Full name of the commit.
    pub commit: String,
    /// Whether something differed from it.
    pub dirty: bool,
    /// SHA-256 of `jobs/TOKEN.diff`, if that was written.
    pub diff_sha256: Option<String>,
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
    /// Its seed.
    pub seed: u64,
    /// Which repeat it is, from 0.
    pub repeat: u32,
    /// What the sweep varies, by dotted path, and what differs between its plans.
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
    /// When the time of its newest attempt is up, if that is limited and goes on.
    pub attempt_ends_at: Option<Timestamp>,
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
