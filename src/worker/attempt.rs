//! One attempt, from the claim to the exit code.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::event::{Event, Outcome, StopReason};
use crate::id::AttemptUuid;
use crate::journal;
use crate::layout::{self, TrialFolder};
use crate::setting::Settings;
use crate::sweep::Assignment;

use super::budget::Budget;
use super::callback::{Callback, Callbacks, Wish};
use super::checkpoint::{CheckpointError, Checkpoints, LoopState, Saved, Worked};
use super::claim::{self, Claim, ClaimError, Heart, Patience, Process};
use super::guard::Guard;
use super::learner::{Description, Learner, LearnerError};
use super::progress::{LogFile, Progress};
use super::record::{Recorder, TrialResult};
use super::saving::Saving;
use super::stop::{StopFlag, Watch};
use super::training::{Ending, Tools, Training};

/// What an attempt is asked to do.
#[derive(Clone, Debug)]
pub struct Request {
    /// The trial and its limits.
    pub assignment: Assignment,
    /// Where it lives.
    pub folder: TrialFolder,
    /// Time that the scheduler gives, if limited.
    pub time_left: Option<Duration>,
    /// Who started it: `slurm:123_4:1`.
    pub origin: String,
    /// When another attempt is taken for dead.
    pub patience: Patience,
    /// Where the program log goes.
    pub log: LogFile,
}

impl Request {
    /// Asks for a trial without limits of time, with usual patience.
    #[must_use]
    pub fn new(assignment: Assignment, folder: TrialFolder) -> Self {
        Self {
            assignment,
            folder,
            time_left: None,
            origin: "by hand".to_owned(),
            patience: Patience::default(),
            log: LogFile::default(),
        }
    }
}

/// Makes the learner that the settings name, for a seed.
pub type BuildLearner<'a> =
    dyn Fn(&Settings, u64, &Arc<dyn Clock>) -> Result<Box<dyn Learner>, LearnerError> + 'a;

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// The trial could not be claimed.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// A file of the trial could not be used.
    #[error("failed to {what} in {}: {source}", folder.path().display())]
    Folder {
        /// What was tried.
        what: &'static str,
        /// The trial's folder.
        folder: TrialFolder,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The settings are those of another version.
    #[error("the settings cannot be read: {0}")]
    Settings(#[from] serde_json::Error),
    /// The learner cannot go on.
    #[error(transparent)]
    Learner(#[from] LearnerError),
    /// The checkpoints cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A bug.
    #[error("panicked: {0}")]
    Panic(String),
}

impl AttemptError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Learner(LearnerError::Data { hint, .. }) => hint.as_deref(),
            Self::Checkpoint(CheckpointError::OtherData { .. }) => {
                Some("give the changed data another `data.name`: that makes another trial")
            }
            _ => None,
        }
    }
}

/// Works on a trial until it is complete, time is up or `stop` is raised. Everything worth knowing
/// is in the trial's folder afterwards.
#[must_use]
pub fn run(
    request: &Request,
    clock: &Arc<dyn Clock>,
    stop: &StopFlag,
    build_learner: &BuildLearner<'_>,
) -> Outcome {
    let began = clock.monotonic();
    if TrialResult::read(&request.folder).is_some_and(|old| old.outcome == Outcome::Finished) {
        tracing::info!("the trial is finished already");
        return Outcome::Finished;
    }
    let (mut attempt, _heart) = match Attempt::begin(request, clock, stop, began) {
        Ok(begun) => begun,
        Err(AttemptError::Claim(ClaimError::Folder { path, source })) => {
            tracing::error!("failed to claim the trial in {}: {source}", path.display());
            return Outcome::Failed;
        }
        Err(AttemptError::Claim(left)) => {
            tracing::info!("nothing to do: {left}");
            return Outcome::Superseded;
        }
        Err(error) => {
            tracing::error!("{error}");
            return Outcome::Failed;
        }
    };
    let worked = catch_unwind(AssertUnwindSafe(|| attempt.work(build_learner)))
        .unwrap_or_else(|panic| Err(AttemptError::Panic(words_of(&*panic))));
    attempt.end(worked)
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// An attempt that owns its trial.
struct Attempt<'a> {
    request: &'a Request,
    clock: &'a Arc<dyn Clock>,
    stop: &'a StopFlag,
    number: u32,
    began: Duration,
    recorder: Shared,
    /// What was reached, for the last record.
    state: LoopState,
    elapsed: f64,
}

/// The recorder is one of the callbacks, and also writes what comes before and after training.
#[derive(Clone)]
struct Shared(std::rc::Rc<std::cell::RefCell<Recorder>>);

impl Callback for Shared {
    fn on(&mut self, event: &Event) -> Wish {
        self.0.borrow_mut().on(event)
    }
}

impl<'a> Attempt<'a> {
    /// Claims the trial and opens the journal.
    fn begin(
        request: &'a Request,
        clock: &'a Arc<dyn Clock>,
        stop: &'a StopFlag,
        began: Duration,
    ) -> Result<(Self, Heart), AttemptError> {
        let Request { folder, assignment, .. } = request;
        let failed =
            |what| move |source| AttemptError::Folder { what, folder: folder.clone(), source };
        let claim = claim_of(request, clock.as_ref());
        let number = claim::claim(folder, &claim, request.patience, clock, stop)?;
        let heart = Heart::start(folder.claim(number), request.patience.beat)
            .map_err(failed("start the heartbeat"))?;
        request.log.open(&folder.log(number));
        write_assignment(folder, assignment).map_err(failed("write trial.json"))?;
        let mut recorder = Recorder::open(folder, number, Arc::clone(clock))
            .map_err(failed("open the journal"))?;
        recorder.write(&Event::Header {
            format: journal::FORMAT,
            trial: assignment.trial.id.clone(),
            attempt: number,
            uuid: claim.uuid,
            token: claim.token,
            origin: claim.origin,
            host: claim.host,
            pid: claim.process.pid,
            worker_version: env!("CARGO_PKG_VERSION").to_owned(),
            scratch: None,
        });
        let recorder = Shared(std::rc::Rc::new(std::cell::RefCell::new(recorder)));
        let state = LoopState::start();
        let attempt = Self { request, clock, stop, number, began, recorder, state, elapsed: 0.0 };
        Ok((attempt, heart))
    }

    /// Builds the learner, restores it and trains.
    fn work(&mut self, build_learner: &BuildLearner<'_>) -> Result<Ending, AttemptError> {
        let trial = &self.request.assignment.trial;
        let settings = Settings::from_resolved(&trial.settings)?;
        let (mut callbacks, mut warnings) = self.callbacks(&settings);
        // Building may take minutes: who is asked to stop already does not begin.
        if let Wish::Stop(reason) = callbacks.poll() {
            return Ok(Ending::Stopped(reason));
        }
        let mut learner = build_learner(&settings, trial.seed, self.clock)?;
        let description = learner.describe();
        warnings.extend(learner.warnings());
        let folder = self.request.folder.clone();
        let mut checkpoints = Checkpoints::new(folder, trial.id.clone(), trial.seed, self.number);
        let saved = checkpoints.newest(description.data.clone(), &mut warnings)?;
        if let Some(saved) = &saved {
            learner.restore(&saved.arrays)?;
            self.state = saved.manifest.state.clone();
            self.elapsed = saved.manifest.worked.elapsed;
        }
        for text in warnings {
            callbacks.on(&Event::Warning { text });
        }
        let first = callbacks.on(&self.started(&settings, &description, saved.as_ref()));
        let worked = saved.as_ref().map_or_else(Worked::default, |saved| saved.manifest.worked);
        let tools = Tools {
            learner: learner.as_mut(),
            description: &description,
            settings: &settings,
            objective: &self.request.assignment.objective,
            callbacks: &mut callbacks,
            checkpoints: &mut checkpoints,
            clock: self.clock.as_ref(),
        };
        let mut training = Training::new(tools, self.state.clone(), worked, saved.is_some());
        let ending = training.run(first);
        self.elapsed = training.elapsed();
        self.state = training.state().clone();
        Ok(ending?)
    }

    /// All callbacks; the recorder comes first, so that what others warn of is in the journal.
    fn callbacks(&self, settings: &Settings) -> (Callbacks, Vec<String>) {
        let Request { assignment, folder, time_left, .. } = self.request;
        let clock = || Arc::clone(self.clock);
        let (budget, note) = Budget::new(&assignment.budget, *time_left, clock(), self.began);
        let every = Duration::try_from_secs_f64(assignment.budget.checkpoint_every)
            .unwrap_or(Duration::from_mins(10));
        let mut callbacks = Callbacks::default();
        callbacks.add(self.recorder.clone());
        callbacks.add(Progress::new(&assignment.objective.metric));
        callbacks.add(Guard::new(settings.guards.max_loss));
        callbacks.add(Watch::new(self.stop.clone(), folder.clone(), self.number, clock()));
        callbacks.add(budget);
        callbacks.add(Saving::new(every, clock()));
        (callbacks, note.into_iter().collect())
    }

    fn started(
        &self,
        settings: &Settings,
        description: &Description,
        saved: Option<&Saved>,
    ) -> Event {
        let description = description.clone();
        Event::Started {
            cursor: self.state.cursor,
            resumed_from: saved.map(|saved| format!("{}.json", saved.name)),
            parameters: description.parameters,
            device: description.device,
            threads: description.threads,
            library: description.library,
            data: description.data,
            steps_per_epoch: description.steps_per_epoch,
            epochs: settings.epochs,
            time_left: self.time_left(),
            seconds_to_start: self.used(),
            elapsed_before: self.elapsed,
            differs: Vec::new(),
        }
    }

    /// Writes the last record and the result.
    fn end(&mut self, worked: Result<Ending, AttemptError>) -> Outcome {
        let (outcome, reason, error) = match worked {
            Ok(Ending::Finished) => (Outcome::Finished, None, None),
            Ok(Ending::Stopped(reason)) => (outcome_of(reason), Some(reason), None),
            Err(error) => {
                let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
                (Outcome::Failed, None, Some(format!("{error}{hint}")))
            }
        };
        let error = error.or_else(|| (outcome == Outcome::Diverged).then(|| self.divergence()));
        if let Some(error) = &error {
            tracing::error!("{error}");
        }
        let cursor = self.state.cursor;
        let (elapsed, time_left) = (self.elapsed, self.time_left());
        let ended = Event::Ended {
            outcome,
            reason,
            cursor,
            elapsed,
            time_left,
            seconds_to_leave: None,
            error: error.clone(),
        };
        self.recorder.0.borrow_mut().write_last(&ended);
        if outcome != Outcome::Superseded
            && let Err(error) = self.result(outcome, reason, error).write(&self.request.folder)
        {
            tracing::warn!("failed to write result.json: {error}");
        }
        match outcome {
            Outcome::Finished => tracing::info!("finished"),
            _ => tracing::info!("ended ({outcome:?}) at {cursor}"),
        }
        outcome
    }

    fn divergence(&self) -> String {
        format!(
            "the training loss is not a number or beyond guards.max_loss at {}",
            self.state.cursor
        )
    }

    fn result(
        &self,
        outcome: Outcome,
        reason: Option<StopReason>,
        error: Option<String>,
    ) -> TrialResult {
        let last = self.state.last.clone();
        TrialResult {
            trial: self.request.assignment.trial.id.clone(),
            attempt: self.number,
            outcome,
            reason,
            error,
            epochs: last.as_ref().map_or(0, |last| last.epoch),
            metrics: last.as_ref().map(|last| last.metrics.clone()).unwrap_or_default(),
            weights_sha256: last.map(|last| last.weights_sha256),
            objective: self.request.assignment.objective.clone(),
            best_value: self.state.best.map(|best| best.value),
            best_epoch: self.state.best.map(|best| best.epoch),
            elapsed: self.elapsed,
        }
    }

    fn used(&self) -> f64 {
        self.clock.monotonic().saturating_sub(self.began).as_secs_f64()
    }

    fn time_left(&self) -> Option<f64> {
        self.request.time_left.map(|left| left.as_secs_f64() - self.used())
    }
}

fn outcome_of(reason: StopReason) -> Outcome {
    match reason {
        StopReason::Diverged => Outcome::Diverged,
        StopReason::Superseded => Outcome::Superseded,
        StopReason::TrainTime => Outcome::Spent,
        _ => Outcome::Stopped,
    }
}

fn claim_of(request: &Request, clock: &dyn Clock) -> Claim {
    let host = nix::unistd::gethostname().unwrap_or_default();
    Claim {
        token: request.assignment.token,
        origin: request.origin.clone(),
        uuid: AttemptUuid::at(clock.now()),
        host: host.to_string_lossy().into_owned(),
        process: Process::this(),
        at: clock.now(),
    }
}

/// Writes `trial.json` unless it stands there already.
fn write_assignment(folder: &TrialFolder, assignment: &Assignment) -> std::io::Result<()> {
    let read = std::fs::read(folder.assignment()).ok();
    let old = read.and_then(|bytes| serde_json::from_slice::<Assignment>(&bytes).ok());
    if old.as_ref() == Some(assignment) {
        return Ok(());
    }
    layout::write_atomic(&folder.assignment(), &serde_json::to_vec_pretty(assignment)?)
}
