//! Proves on a user's own trial that a cut and resumed one ends bit for bit as an uncut one.
//!
//! A short form of the trial (fewer steps an epoch, fewer epochs) is trained in a temporary folder,
//! once uncut, then cut and resumed. Network, optimizer, schedule, data and evaluation are the
//! trial's own, and it is the worker's own loop that saves and restores: [`attempt::run`].

mod cutting;
mod difference;
mod outline;
mod remains;
mod report;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::clock::Clock;
use crate::event::{Outcome, StopReason};
use crate::id::AttemptUuid;
use crate::layout::{self, TemporaryFolder, TrialFolder};
use crate::setting::Settings;
use crate::sweep::{Assignment, Budget};

use super::attempt::{self, BuildLearner};
use super::learner::{Description, Learner};
use super::record::TrialResult;
use super::stop::StopFlag;

use cutting::{CHECKPOINT_EVERY, Cutting, MARGIN, Script, SkippingClock, TIME_LEFT, Witness};
use outline::Outline;
use remains::Remains;

pub use difference::{ArrayDifference, Difference};
pub use outline::{Cut, Way};
pub use report::{CutTrial, Report};

/// What is to be proved.
#[derive(Clone, Debug)]
pub struct Request {
    /// The trial, of which a short form is trained.
    pub assignment: Assignment,
    /// Its folder, where it has one: nothing may be written there.
    pub folder: Option<TrialFolder>,
    /// Most optimizer updates in an epoch.
    pub steps: u64,
    /// Most epochs.
    pub epochs: u64,
    /// Places at which it is cut.
    pub cuts: u64,
    /// Where the temporary folder is made.
    pub dir: PathBuf,
}

/// Hears how it goes, a line at a time.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file or folder cannot be used.
    #[error("failed to {what} in {}: {source}", path.display())]
    Folder {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The temporary folder would lie within the trial's own.
    #[error(
        "{} lies in the trial's folder, where nothing may be written: name another with --dir",
        path.display()
    )]
    Inside {
        /// The folder.
        path: PathBuf,
    },
    /// The settings are those of another version.
    #[error("the settings cannot be read: {0}")]
    Settings(#[from] serde_json::Error),
    /// The trial fails, however short.
    #[error("the short trial failed: {what}")]
    Failed {
        /// In its own words.
        what: String,
    },
    /// The user asked to stop.
    #[error("stopped before there was a verdict")]
    Interrupted,
}

/// Trains the short trial uncut and cut, and compares. Returns when all is done, or `stop` is
/// raised; the temporary folder is gone then.
///
/// # Errors
/// When the trial cannot be trained at all, the folder cannot be used, or `stop` was raised.
pub fn verify(
    request: &Request,
    clock: &Arc<dyn Clock>,
    stop: &StopFlag,
    build_learner: &BuildLearner<'_>,
    tell: &Tell,
) -> Result<Report, VerifyError> {
    let began = clock.monotonic();
    let name = format!("regatta-verify-{}", AttemptUuid::at(clock.now()));
    let place = outside(&request.dir, request.folder.as_ref())?;
    let folder = TemporaryFolder::create(&place, &name).map_err(failed("make a folder", &place))?;
    let assignment = shortened(request)?;
    let work = Work { request, assignment, clock, stop, build_learner, tell, home: folder.path() };

    // 1. The uncut trial.
    let (uncut, uncut_seconds) = work.trial("uncut", &[], None)?;
    let description = uncut
        .witness
        .description
        .clone()
        .ok_or_else(|| VerifyError::Failed { what: "it did nothing".to_owned() })?;
    let outline = work.outline(&description);
    // 2. The cut ones.
    let plans = outline.trials(request.cuts);
    let (count, mut spent) = (plans.len(), uncut_seconds);
    let mut trials = Vec::new();
    for (number, cuts) in (1_u32..).zip(plans) {
        let mean = spent / f64::from(number);
        let left = mean * (count - trials.len()) as f64;
        tell(&format!("cut trial {number} of {count}; about {} left", duration(left)));
        let (cut, seconds) = work.trial("cut", &cuts, Some(outline))?;
        spent += seconds;
        let compared = uncut.differences(&cut);
        let differences = compared.map_err(failed("compare checkpoints", folder.path()))?;
        let done = cut.witness.steps.len() as u64;
        trials.push(CutTrial {
            cuts,
            steps_redone: done.saturating_sub(outline.epochs * outline.steps),
            seconds,
            tensors_sha256: cut.tensors_sha256,
            equal: differences.is_empty(),
            differences,
        });
    }
    // 3. Where they differ: is it the resume, or the training itself?
    let equal = trials.iter().all(|trial| trial.equal);
    let repeatable = if equal { None } else { Some(work.is_repeatable(&uncut)?) };
    let witness = &uncut.witness;
    Ok(Report {
        schema_version: Report::SCHEMA_VERSION,
        equal,
        repeatable,
        epochs: outline.epochs,
        steps_per_epoch: outline.steps,
        checkpoint_every_steps: outline.save_every(),
        parameters: description.parameters,
        device: description.device,
        threads: description.threads,
        library: description.library,
        step_seconds: witness.step_seconds / (outline.epochs * outline.steps).max(1) as f64,
        evaluation_seconds: witness.evaluation_seconds / outline.epochs.max(1) as f64,
        seconds: clock.monotonic().saturating_sub(began).as_secs_f64(),
        tensors_sha256: uncut.tensors_sha256.clone(),
        trials,
    })
}

/// The folder for the temporary one, if it does not lie within the trial's.
fn outside(dir: &Path, trial: Option<&TrialFolder>) -> Result<PathBuf, VerifyError> {
    let place = std::fs::canonicalize(dir).map_err(failed("make a folder", dir))?;
    let trial = trial.and_then(|trial| std::fs::canonicalize(trial.path()).ok());
    if trial.is_some_and(|trial| place.starts_with(trial)) {
        return Err(VerifyError::Inside { path: place });
    }
    Ok(place)
}

/// The trial with fewer epochs and without the limits of its budget.
fn shortened(request: &Request) -> Result<Assignment, VerifyError> {
    let mut assignment = request.assignment.clone();
    let mut settings: Map<String, Value> = (*assignment.trial.settings).clone();
    let epochs = Settings::from_resolved(&settings)?.epochs.min(request.epochs);
    settings.insert("epochs".to_owned(), epochs.into());
    assignment.trial.settings = Arc::new(settings);
    assignment.budget = Budget {
        margin: MARGIN.as_secs_f64(),
        max_attempt_time: None,
        max_train_time: None,
        checkpoint_every: CHECKPOINT_EVERY.as_secs_f64(),
        // Nobody kills it: there is time enough to save.
        grace: MARGIN.as_secs_f64(),
    };
    assignment.token = None;
    Ok(assignment)
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl Fn(io::Error) -> VerifyError + 'a {
    move |source| VerifyError::Folder { what, path: path.to_owned(), source }
}

/// What all trials have in common.
struct Work<'a> {
    request: &'a Request,
    assignment: Assignment,
    clock: &'a Arc<dyn Clock>,
    stop: &'a StopFlag,
    build_learner: &'a BuildLearner<'a>,
    tell: &'a Tell,
    home: &'a Path,
}

impl Work<'_> {
    fn epochs(&self) -> u64 {
        let epochs = self.assignment.trial.settings.get("epochs").and_then(Value::as_u64);
        epochs.unwrap_or(self.request.epochs)
    }

    fn outline(&self, description: &Description) -> Outline {
        Outline { epochs: self.epochs(), steps: description.steps_per_epoch }
    }

    /// Trains a trial with these cuts to its end, in a folder of its own that only the uncut one's
    /// outlives. Returns what it left and its seconds.
    fn trial(
        &self,
        name: &str,
        cuts: &[Cut],
        outline: Option<Outline>,
    ) -> Result<(Remains, f64), VerifyError> {
        let began = self.clock.monotonic();
        let path = self.home.join(name);
        layout::remove_folder(&path).map_err(failed("tidy up", self.home))?;
        let folder = TrialFolder::new(&path);
        let witness = Arc::new(Mutex::new(Witness::default()));
        for (number, cut) in (1_u32..).zip(cuts.iter().copied().map(Some).chain([None])) {
            self.attempt(&folder, number, cut, outline, &witness)?;
        }
        let witness = std::mem::take(&mut *witness.lock().unwrap_or_else(PoisonError::into_inner));
        let remains = Remains::read(folder, witness).map_err(failed("read", &path))?;
        let seconds = self.clock.monotonic().saturating_sub(began).as_secs_f64();
        Ok((remains, seconds))
    }

    fn attempt(
        &self,
        folder: &TrialFolder,
        number: u32,
        cut: Option<Cut>,
        outline: Option<Outline>,
        witness: &Arc<Mutex<Witness>>,
    ) -> Result<(), VerifyError> {
        let skipping = Arc::new(SkippingClock::new(Arc::clone(self.clock)));
        let clock: Arc<dyn Clock> = Arc::clone(&skipping) as Arc<dyn Clock>;
        let flag = StopFlag::default();
        let request = attempt::Request {
            time_left: cut.is_some_and(|cut| cut.way == Way::Time).then_some(TIME_LEFT),
            origin: format!("verify-resume:{number}"),
            ..attempt::Request::new(self.assignment.clone(), folder.clone())
        };
        let script = Script {
            cut,
            save_every: outline.map(Outline::save_every),
            steps: self.request.steps,
            flag: flag.clone(),
            stop: self.stop.clone(),
            began: clock.monotonic(),
            clock: skipping,
            witness: Arc::clone(witness),
            evaluated: self.foretell(outline.is_none()),
        };
        let outcome = attempt::run(&request, &clock, &flag, &|settings, seed, clock| {
            let inner = (self.build_learner)(settings, seed, clock)?;
            Ok(Box::new(Cutting::new(inner, script.clone())) as Box<dyn Learner>)
        });
        if self.stop.reason().is_some() {
            return Err(VerifyError::Interrupted);
        }
        let mut witness = witness.lock().unwrap_or_else(PoisonError::into_inner);
        let was_cut = std::mem::take(&mut witness.was_cut);
        let result = TrialResult::read(folder);
        let reason = result.as_ref().and_then(|result| result.reason);
        let expected = match cut.map(|cut| cut.way) {
            None => outcome == Outcome::Finished,
            Some(Way::Kill) => was_cut && outcome == Outcome::Failed,
            Some(Way::Signal) => was_cut && reason == Some(StopReason::Terminated),
            Some(Way::Time) => was_cut && reason == Some(StopReason::TimeBudget),
        };
        if expected {
            return Ok(());
        }
        let words = result.and_then(|result| result.error);
        let what = words.unwrap_or_else(|| match cut {
            Some(cut) => {
                format!("it was to be cut ({}) at {cut} and ended as {outcome:?}", cut.way)
            }
            None => format!("it ended as {outcome:?}"),
        });
        Err(VerifyError::Failed { what })
    }

    /// Tells after the first evaluation of the uncut trial what is to be expected.
    fn foretell(&self, is_uncut: bool) -> Arc<dyn Fn(&Witness) + Send + Sync> {
        let (tell, epochs) = (Arc::clone(self.tell), self.epochs());
        let trials = self.request.cuts + 1 + u64::from(self.request.cuts > 1);
        let told = Mutex::new(!is_uncut);
        Arc::new(move |witness| {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            if std::mem::replace(&mut *told, true) {
                return;
            }
            let (steps, evaluation) = (witness.steps.len(), witness.evaluation_seconds);
            let trial = (witness.step_seconds + evaluation) * epochs as f64;
            tell(&format!(
                "{epochs} epochs of {steps} steps a trial; a step takes {}, an evaluation {}; all of \
                 it takes about {}",
                duration(witness.step_seconds / steps.max(1) as f64),
                duration(evaluation),
                duration(trial * trials as f64),
            ));
        })
    }

    /// Says whether a second uncut trial is as the first.
    fn is_repeatable(&self, uncut: &Remains) -> Result<bool, VerifyError> {
        (self.tell)(
            "they differ; a second uncut trial shows whether training is repeatable at all",
        );
        let (again, _) = self.trial("again", &[], None)?;
        let differences = uncut.differences(&again);
        Ok(differences.map_err(failed("compare checkpoints", self.home))?.is_empty())
    }
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", 1000.0 * s),
        s if s < 100.0 => format!("{s:.1} s"),
        s => format!("{:.0} min", s / 60.0),
    }
}
