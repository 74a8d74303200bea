//! A learner that does fewer steps an epoch and is cut where a script says so.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;
use crate::event::{Cursor, StopReason};
use crate::metric::Metrics;
use crate::worker::learner::{Description, Learner, LearnerError, State};
use crate::worker::stop::StopFlag;

use super::difference::{ArrayDifference, array_differences};
use super::outline::{Cut, Way};

/// Time between checkpoints, as far as a clock can tell: longer than anybody waits. Where one is
/// due the clock is moved on, so that checkpoints fall on the same steps on every machine.
pub(super) const CHECKPOINT_EVERY: Duration = Duration::from_secs(1_000_000);
/// Time of an attempt that will run out of it, and what it keeps free at its end.
pub(super) const TIME_LEFT: Duration = Duration::from_secs(1_000_000_000);
pub(super) const MARGIN: Duration = Duration::from_secs(100_000_000);

/// A clock that can be moved on, for the thread that trains only: what is measured on others, such
/// as the writing of a checkpoint, stays what it is.
pub(super) struct SkippingClock {
    real: Arc<dyn Clock>,
    trainer: ThreadId,
    skipped: Mutex<Skipped>,
}

#[derive(Default)]
struct Skipped {
    done: Duration,
    /// What comes after the next look: so the step that moves the clock on is not taken to have
    /// lasted as long, which would spoil the estimates of the attempts after it.
    next: Duration,
}

impl SkippingClock {
    /// Makes it for training on this thread.
    pub(super) fn new(real: Arc<dyn Clock>) -> Self {
        Self { real, trainer: std::thread::current().id(), skipped: Mutex::default() }
    }

    fn skip(&self, duration: Duration) {
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).next += duration;
    }
}

impl Clock for SkippingClock {
    fn now(&self) -> Timestamp {
        self.real.now()
    }

    fn monotonic(&self) -> Duration {
        let real = self.real.monotonic();
        if std::thread::current().id() != self.trainer {
            return real;
        }
        let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        let now = real + skipped.done;
        let next = std::mem::take(&mut skipped.next);
        skipped.done += next;
        now
    }

    fn sleep(&self, duration: Duration) {
        self.real.sleep(duration);
    }
}

/// A step that was done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) at: Cursor,
    pub(super) loss: f64,
    /// Steps since the attempt was restored from a checkpoint; `None` where it was not.
    pub(super) since_resume: Option<u64>,
}

/// What is seen of a trial from within, over all its attempts.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// In the order in which they were done.
    pub(super) steps: Vec<Step>,
    /// The first array that was not restored as it was saved.
    pub(super) misrestored: Option<ArrayDifference>,
    /// Whether the cut of the current attempt has happened.
    pub(super) was_cut: bool,
    /// What is trained, shortened.
    pub(super) description: Option<Description>,
    pub(super) step_seconds: f64,
    pub(super) evaluation_seconds: f64,
}

/// What happens to an attempt.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) cut: Option<Cut>,
    /// Updates between checkpoints, within an epoch; `None`: only what the loop itself wants.
    pub(super) save_every: Option<u64>,
    /// Most steps in an epoch.
    pub(super) steps: u64,
    /// The attempt's own flag.
    pub(super) flag: StopFlag,
    /// The user's.
    pub(super) stop: StopFlag,
    pub(super) clock: Arc<SkippingClock>,
    /// When the attempt began, on that clock.
    pub(super) began: Duration,
    pub(super) witness: Arc<Mutex<Witness>>,
    /// Called after an evaluation.
    pub(super) evaluated: Arc<dyn Fn(&Witness) + Send + Sync>,
}

impl Script {
    fn witness(&self) -> MutexGuard<'_, Witness> {
        self.witness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way in which the unit at `at` is cut, if it is.
    fn way(&self, at: Cursor) -> Option<Way> {
        self.cut.filter(|cut| cut.at == at).map(|cut| cut.way)
    }

    fn do_cut(&self, way: Way) -> Result<(), LearnerError> {
        self.witness().was_cut = true;
        match way {
            Way::Signal => self.flag.raise(StopReason::Terminated),
            Way::Kill => {
                return Err(LearnerError::Library { what: "killed on purpose".to_owned() });
            }
            Way::Time => {
                let nearly_over = self.began + TIME_LEFT - MARGIN / 2;
                self.clock.skip(nearly_over.saturating_sub(self.clock.monotonic()));
            }
        }
        Ok(())
    }

    fn heed_the_user(&self) {
        if let Some(reason) = self.stop.reason() {
            self.flag.raise(reason);
        }
    }

    /// Does some work and returns its seconds.
    fn timed<T>(&self, work: impl FnOnce() -> T) -> (T, f64) {
        let began = self.clock.real.monotonic();
        let result = work();
        (result, self.clock.real.monotonic().saturating_sub(began).as_secs_f64())
    }
}

/// The learner of one attempt.
pub(super) struct Cutting {
    inner: Box<dyn Learner>,
    script: Script,
    /// Steps of a whole epoch, and of a short one.
    whole: u64,
    short: u64,
    since_resume: Option<u64>,
}

impl Cutting {
    pub(super) fn new(inner: Box<dyn Learner>, script: Script) -> Self {
        let whole = inner.describe().steps_per_epoch;
        let short = whole.min(script.steps);
        let cutting = Self { inner, script, whole, short, since_resume: None };
        let description = cutting.describe();
        cutting.script.witness().description = Some(description);
        cutting
    }

    /// A short epoch ends with the step that ends a whole one: its last minibatch is often smaller.
    fn inner_cursor(&self, at: Cursor) -> Cursor {
        if at.step + 1 == self.short { Cursor { step: self.whole - 1, ..at } } else { at }
    }
}

impl Learner for Cutting {
    fn describe(&self) -> Description {
        let whole = self.inner.describe();
        let samples_per_epoch = whole.samples_per_epoch * self.short / self.whole.max(1);
        Description { steps_per_epoch: self.short, samples_per_epoch, ..whole }
    }

    fn warnings(&self) -> Vec<String> {
        self.inner.warnings()
    }

    fn train_step(&mut self, at: Cursor, learning_rate: f64) -> Result<f64, LearnerError> {
        self.script.heed_the_user();
        if let Some(way) = self.script.way(at) {
            self.script.do_cut(way)?;
        }
        let inner_at = self.inner_cursor(at);
        let (loss, seconds) = self.script.timed(|| self.inner.train_step(inner_at, learning_rate));
        let loss = loss?;
        let mut witness = self.script.witness();
        witness.steps.push(Step { at, loss, since_resume: self.since_resume });
        witness.step_seconds += seconds;
        drop(witness);
        self.since_resume = self.since_resume.map(|steps| steps + 1);
        if self.script.save_every.is_some_and(|every| (at.step + 1).is_multiple_of(every)) {
            self.script.clock.skip(CHECKPOINT_EVERY);
        }
        Ok(loss)
    }

    fn evaluate(
        &mut self,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Metrics>, LearnerError> {
        let script = &self.script;
        let epoch = script.witness().steps.last().map_or(1, |step| step.at.epoch);
        // What is still to be done to this evaluation, and what came of it.
        let mut way = script.way(Cursor { epoch, step: self.short });
        let mut killed = Ok(());
        let mut cut_and_go_on = || {
            script.heed_the_user();
            if let Some(way) = way.take() {
                killed = script.do_cut(way);
                // The clock moves on now, not at the end of a long evaluation.
                let _ = script.clock.monotonic();
            }
            killed.is_ok() && go_on()
        };
        let (metrics, seconds) = script.timed(|| self.inner.evaluate(&mut cut_and_go_on));
        killed?;
        let metrics = metrics?;
        if let Some(way) = way {
            script.do_cut(way)?;
        }
        let mut witness = script.witness();
        witness.evaluation_seconds += seconds;
        (script.evaluated)(&witness);
        Ok(metrics)
    }

    fn state(&self) -> Result<State, LearnerError> {
        self.inner.state()
    }

    fn reset(&mut self) -> Result<(), LearnerError> {
        self.inner.reset()
    }

    fn restore(&mut self, state: &State) -> Result<(), LearnerError> {
        self.inner.restore(state)?;
        self.since_resume = Some(0);
        let restored = self.inner.state()?;
        if let Some(difference) = array_differences(state, &restored).into_iter().next() {
            self.script.witness().misrestored.get_or_insert(difference);
        }
        Ok(())
    }
}
