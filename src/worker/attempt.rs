//! One attempt, from the claim to the exit code.

mod begin;
mod finish;
mod request;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::event::{Cursor, Event, Outcome};
use crate::layout::{CheckpointFolder, TrialFolder};
use crate::setting::Settings;

use super::budget::Budget;
use super::callback::{Callback, Callbacks, Outlook, Wish};
use super::checkpoint::{
    EpochValues, Finding, Found, LoopState, Made, Owner, Places, Saver, Shelf, Writing,
};
use super::claim::ClaimError;
use super::guard::Guard;
use super::keeper::Keeper;
use super::learner::Description;
use super::past::{self, Past};
use super::progress::Progress;
use super::record::{Recorder, TrialResult};
use super::saving::Saving;
use super::stop::{StopFlag, Watch};
use super::surroundings;
use super::training::{Ending, Tools, Training};

pub use request::{AttemptError, BuildLearner, Request};

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
    if finished(&request.folder).is_some() && past::tells_the_end(&request.folder) {
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

/// The result of a trial that is finished.
fn finished(folder: &TrialFolder) -> Option<TrialResult> {
    TrialResult::read(folder).filter(|old| old.outcome == Outcome::Finished)
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
    scratch: Option<CheckpointFolder>,
    /// What was reached, for the last record.
    state: LoopState,
    elapsed: f64,
    seconds_to_leave: Option<f64>,
}

/// The recorder is one of the callbacks, and also writes what comes before and after training.
#[derive(Clone)]
struct Shared(std::rc::Rc<std::cell::RefCell<Recorder>>);

impl Callback for Shared {
    fn on(&mut self, event: &Event) -> Wish {
        self.0.borrow_mut().on(event)
    }

    fn outlook(&self) -> Outlook {
        self.0.borrow().outlook()
    }
}

impl Attempt<'_> {
    /// Builds the learner, restores it and trains.
    fn work(&mut self, build_learner: &BuildLearner<'_>) -> Result<Ending, AttemptError> {
        let trial = &self.request.assignment.trial;
        let settings = Settings::from_resolved(&trial.settings)?;
        let (mut callbacks, mut warnings) = self.callbacks(&settings);
        // Building may take minutes: who is asked to stop already does not begin.
        if let Wish::Stop(reason) = callbacks.poll() {
            return Ok(Ending::Stopped(reason));
        }
        if let Some(old) = finished(&self.request.folder) {
            return Ok(self.tell_again(&old));
        }
        let past = self.past()?;
        if let Some(why) = past.no_progress() {
            return Err(AttemptError::NoProgress(why));
        }
        let mut learner = build_learner(&settings, trial.seed, self.clock)?;
        let description = learner.describe();
        warnings.extend(learner.warnings());
        let folder = self.request.folder.path();
        warnings.extend(surroundings::scarce_room(folder, description.parameters));
        let finding = self.newest(&past, &description)?;
        warnings.extend(finding.warnings.iter().cloned());
        let made = self.made(&description);
        let (mut worked, mut differs) = Default::default();
        let mut unrecorded = Vec::new();
        if let Some(Found { saved, .. }) = &finding.found {
            learner.restore(&saved.arrays)?;
            self.state = saved.manifest.state.clone();
            worked = saved.manifest.worked;
            unrecorded.clone_from(&saved.manifest.unrecorded);
            differs =
                saved.manifest.made.as_ref().map_or_else(Vec::new, |was| was.differences(&made));
        }
        worked.elapsed = worked.elapsed.max(past.worked);
        self.elapsed = worked.elapsed;
        if !differs.is_empty() {
            let differs = differs.join("; ");
            warnings.push(format!(
                "not as when the checkpoint was written: {differs}. Training goes on exactly where it \
                 was, but results will not be bit-equal to those of an uninterrupted trial"
            ));
        }
        let alike = finding.found.is_some() && differs.is_empty() && !past.is_in_vain();
        let expected = Some(worked.pace).filter(|_| alike);
        let started = self.started(&settings, &description, &finding, (differs, expected));
        for text in warnings {
            callbacks.on(&Event::Warning { text });
        }
        callbacks.on(&self.surroundings());
        let first = callbacks.on(&started);
        self.record_again(&unrecorded, &past, description.steps_per_epoch);
        let mut shelf = self.shelf(&past);
        self.scratch.iter().cloned().for_each(|folder| shelf.add(folder));
        let tools = Tools {
            learner: learner.as_mut(),
            description: &description,
            settings: &settings,
            objective: &self.request.assignment.objective,
            callbacks: &mut callbacks,
            keeper: self.keeper(finding, &description, made),
            shelf: &shelf,
            clock: self.clock.as_ref(),
        };
        let mut training = Training::new(tools, self.state.clone(), worked);
        let ending = training.run(first);
        self.elapsed = training.elapsed();
        self.state = training.state().clone();
        self.seconds_to_leave = training.seconds_to_leave();
        Ok(ending?)
    }

    /// No journal tells any more that the trial was finished, as its result does: this attempt's does.
    fn tell_again(&mut self, old: &TrialResult) -> Ending {
        let text =
            format!("attempt {} finished the trial, and its journal has lost that", old.attempt);
        self.recorder.0.borrow_mut().on(&Event::Warning { text });
        self.state.cursor = Cursor { epoch: old.epochs + 1, step: 0 };
        self.elapsed = old.elapsed;
        Ending::Finished
    }

    /// What earlier attempts tell. A journal that cannot be read is no reason not to train.
    fn past(&self) -> Result<Past, AttemptError> {
        let trial = &self.request.assignment.trial.id;
        Ok(Past::read(&self.request.folder, trial, self.number, self.time_left()).unwrap_or_else(
            |error| {
                tracing::warn!("failed to read the journals of earlier attempts: {error}");
                Past::default()
            },
        ))
    }

    /// All folders that may hold checkpoints of this trial.
    fn shelf(&self, past: &Past) -> Shelf {
        let Request { folder, assignment, .. } = self.request;
        let mut shelf = Shelf::new(assignment.trial.id.clone(), folder.checkpoints());
        past.scratch.iter().cloned().for_each(|folder| shelf.add(folder));
        shelf
    }

    /// Finds the checkpoint to go on from, in the trial's folder or on this node.
    fn newest(&self, past: &Past, description: &Description) -> Result<Finding, AttemptError> {
        let shelf = self.shelf(past);
        let mut finding = shelf.newest(description.data.as_ref(), self.clock.as_ref())?;
        let found = finding.found.as_ref().map(|found| found.saved.name);
        if let Some((name, host, path)) = &past.spilled
            && found < Some(*name)
        {
            finding.warnings.push(format!(
                "the newest checkpoint {name} lies in {} on {host}, out of reach from here; an older \
                 one is used",
                path.display()
            ));
        }
        Ok(finding)
    }

    fn made(&self, description: &Description) -> Made {
        Made {
            worker_version: env!("CARGO_PKG_VERSION").to_owned(),
            binary_sha256: self.request.program.binary_sha256.clone(),
            library: description.library.clone(),
            device: description.device.clone(),
            cpu: surroundings::cpu_model(),
            threads: description.threads,
        }
    }

    fn surroundings(&self) -> Event {
        let gpu = self.recorder.0.borrow().gpu();
        self.request.program.surroundings(gpu, &self.request.assignment.trial.settings)
    }

    fn keeper(&self, finding: Finding, description: &Description, made: Made) -> Keeper {
        let trial = &self.request.assignment.trial;
        let owner = Owner {
            trial: trial.id.clone(),
            seed: trial.seed,
            data: description.data.clone(),
            made,
            attempt: self.number,
        };
        let own = self.request.folder.checkpoints();
        let best = finding.found.as_ref().and_then(|found| found.best);
        // What was found on the node is not yet where all can see it.
        let saved = finding.found.filter(|found| found.folder == own);
        let places = Places { own, scratch: self.scratch.clone() };
        let saver = Saver::new(owner, places, best, finding.damaged);
        saver.clean();
        let writing = if self.request.write_behind {
            Writing::behind(saver, self.clock)
        } else {
            Writing::on_the_spot(saver)
        };
        let saved = saved.map(|found| found.saved.manifest.state.place());
        Keeper::new(writing, Arc::clone(self.clock), saved)
    }

    /// All callbacks; the recorder comes first, so that what others warn of is in the journal.
    fn callbacks(&self, settings: &Settings) -> (Callbacks, Vec<String>) {
        let Request { assignment, folder, time_left, report_every, .. } = self.request;
        let clock = || Arc::clone(self.clock);
        let (budget, note) = Budget::new(&assignment.budget, *time_left, clock(), self.began);
        let mut callbacks = Callbacks::default();
        callbacks.add(self.recorder.clone());
        callbacks.add(Progress::new(&assignment.objective.metric, *report_every));
        callbacks.add(Guard::new(settings.guards.max_loss));
        callbacks.add(Watch::new(self.stop.clone(), folder.clone(), self.number, clock()));
        callbacks.add(budget);
        callbacks.add(Saving::new(&assignment.budget, clock()));
        (callbacks, note.into_iter().collect())
    }

    fn started(
        &self,
        settings: &Settings,
        description: &Description,
        finding: &Finding,
        (differs, expected): (Vec<String>, Option<crate::event::Pace>),
    ) -> Event {
        let description = description.clone();
        Event::Started {
            cursor: self.state.cursor,
            resumed_from: finding.found.as_ref().map(|found| format!("{}.json", found.saved.name)),
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
            differs,
            expected,
            train_density: description.train_density,
        }
    }

    /// A kill may have taken the records of epochs that a checkpoint knows of.
    fn record_again(&self, unrecorded: &[Event], past: &Past, steps_per_epoch: u64) {
        let mut seen = past.epochs.clone();
        let last = self.state.last.as_ref().map(|last| self.epoch_again(last, steps_per_epoch));
        for again in unrecorded.iter().chain(&last) {
            if let Event::EpochEnded { epoch, .. } = again
                && seen.insert(*epoch)
            {
                self.recorder.0.borrow_mut().write(again);
            }
        }
    }

    /// The record of an epoch that no journal has. Its times are not known any more.
    fn epoch_again(&self, last: &EpochValues, steps_per_epoch: u64) -> Event {
        Event::EpochEnded {
            epoch: last.epoch,
            step: last.epoch * steps_per_epoch,
            metrics: last.metrics.clone(),
            weights_sha256: last.weights_sha256.clone(),
            train_seconds: 0.0,
            eval_seconds: 0.0,
            images_per_second: 0.0,
            is_best: self.state.best.is_some_and(|best| best.epoch == last.epoch),
        }
    }

    fn used(&self) -> f64 {
        self.clock.monotonic().saturating_sub(self.began).as_secs_f64()
    }

    fn time_left(&self) -> Option<f64> {
        self.request.time_left.map(|left| left.as_secs_f64() - self.used())
    }
}
