//! The one honest loop: what happened is told as events, what to do comes back as wishes.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::event::{Cursor, Event, StopReason};
use crate::metric::{Metrics, Objective};
use crate::setting::{Schedule, Settings};

use super::callback::{Callbacks, Wish};
use super::checkpoint::{Best, EpochValues, LoopState, Worked, weights_sha256};
use super::keeper::{Content, Keeper};
use super::learner::{Description, Learner, LearnerError, State};
use super::plateau::Plateau;

/// Tries to save before the attempt leaves: what is not saved then must be done again.
const LAST_TRIES: u32 = 3;

/// Pause between those tries.
const PAUSE: Duration = Duration::from_secs(2);

/// More tries when training is complete, and the pause between them.
const END_TRIES: u32 = 60;
const END_PAUSE: Duration = Duration::from_secs(10);

/// How training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All epochs are done.
    Finished,
    /// All epochs are done, but the disk took neither the last state nor its weights.
    Unsaved,
    /// A callback asked for it.
    Stopped(StopReason),
}

/// What the loop works with.
pub struct Tools<'a> {
    /// What is trained.
    pub learner: &'a mut dyn Learner,
    /// What that is.
    pub description: &'a Description,
    /// With which settings.
    pub settings: &'a Settings,
    /// What is good.
    pub objective: &'a Objective,
    /// Who judges.
    pub callbacks: &'a mut Callbacks,
    /// Who saves states.
    pub keeper: Keeper,
    /// The time.
    pub clock: &'a dyn Clock,
}

/// The loop over steps, evaluations and checkpoints.
pub struct Training<'a> {
    tools: Tools<'a>,
    state: LoopState,
    worked: Worked,
    /// When `worked.elapsed` was last brought up to date.
    counted: Duration,
    /// The learner's arrays at this cursor, where somebody asked already.
    copy: Option<Copied>,
    /// When a callback asked to stop.
    asked: Option<Duration>,
    /// Ends of epochs since the journal began to fail.
    unrecorded: Vec<Event>,
}

#[derive(Clone)]
struct Copied {
    arrays: Arc<State>,
    pause: f64,
}

impl<'a> Training<'a> {
    /// Begins at `state`; `worked` is what earlier attempts did.
    #[must_use]
    pub fn new(tools: Tools<'a>, state: LoopState, worked: Worked) -> Self {
        let counted = tools.clock.monotonic();
        Self { tools, state, worked, counted, copy: None, asked: None, unrecorded: Vec::new() }
    }

    /// Trains to the end, or until a callback wishes to stop. `first` is the wish from the start: a
    /// resumed attempt may be out of time already.
    ///
    /// # Errors
    /// When the learner cannot go on.
    pub fn run(&mut self, first: Wish) -> Result<Ending, LearnerError> {
        let ending = self.work(first);
        if ending.is_err() {
            // What was copied before is still worth having.
            let events = self.tools.keeper.finish();
            self.tell(&events);
        }
        ending
    }

    fn work(&mut self, first: Wish) -> Result<Ending, LearnerError> {
        let mut wish = first;
        loop {
            // 1. Reaching the end beats a late signal; but a trial that is not ours any more is not
            //    ours to finish.
            if self.is_complete() && wish != Wish::Stop(StopReason::Superseded) {
                return self.finish();
            }
            wish = match wish {
                // 2. Leave.
                Wish::Stop(reason) => return self.leave(reason),
                // 3. Save.
                Wish::Checkpoint => match self.save()? {
                    Wish::Stop(reason) => Wish::Stop(reason),
                    _ => Wish::Continue,
                },
                // 4. Evaluate, or 5. do a step.
                Wish::Continue if self.evaluation_is_due() => self.evaluate()?,
                Wish::Continue => self.step()?,
            };
            // 6. Hear what has come of checkpoints meanwhile.
            wish = wish.max(self.hear());
        }
    }

    /// Where training stands.
    #[must_use]
    pub fn state(&self) -> &LoopState {
        &self.state
    }

    /// Seconds of training over all attempts.
    pub fn elapsed(&mut self) -> f64 {
        let now = self.tools.clock.monotonic();
        self.worked.elapsed += now.saturating_sub(self.counted).as_secs_f64();
        self.counted = now;
        self.worked.elapsed
    }

    /// Seconds since a callback asked to stop.
    #[must_use]
    pub fn seconds_to_leave(&self) -> Option<f64> {
        let asked = self.asked?;
        Some(self.tools.clock.monotonic().saturating_sub(asked).as_secs_f64())
    }

    fn is_complete(&self) -> bool {
        self.state.cursor.epoch > self.tools.settings.epochs
    }

    fn evaluation_is_due(&self) -> bool {
        self.state.cursor.step >= self.tools.description.steps_per_epoch
    }

    /// One optimizer update.
    fn step(&mut self) -> Result<Wish, LearnerError> {
        self.copy = None;
        let cursor = self.state.cursor;
        let per_epoch = self.tools.description.steps_per_epoch;
        let lr = self.learning_rate((cursor.epoch - 1) * per_epoch + cursor.step);
        let (loss, seconds) = timed(self.tools.clock, || self.tools.learner.train_step(cursor, lr));
        let loss = loss?;
        self.worked.epoch_seconds += seconds;
        self.state.loss_sum += loss;
        self.state.cursor.step += 1;
        let cursor = self.state.cursor;
        Ok(self.tools.callbacks.on(&Event::StepEnded { cursor, loss, seconds }))
    }

    /// The evaluation that ends an epoch. Interrupted, it will be done from its beginning.
    fn evaluate(&mut self) -> Result<Wish, LearnerError> {
        let mut wish = Wish::Continue;
        let callbacks = &mut *self.tools.callbacks;
        let mut go_on = || {
            wish = wish.max(callbacks.poll());
            !matches!(wish, Wish::Stop(_))
        };
        let (metrics, seconds) =
            timed(self.tools.clock, || self.tools.learner.evaluate(&mut go_on));
        match metrics? {
            Some(metrics) => Ok(self.end_epoch(metrics, seconds)?.max(wish)),
            None => Ok(wish),
        }
    }

    fn end_epoch(&mut self, mut metrics: Metrics, seconds: f64) -> Result<Wish, LearnerError> {
        let epoch = self.state.cursor.epoch;
        let per_epoch = self.tools.description.steps_per_epoch;
        let step = epoch * per_epoch;
        metrics.set("train/loss", mean(self.state.loss_sum, per_epoch));
        metrics.set("train/learning_rate", self.learning_rate(step - 1));
        let wish = self.check_objective(&metrics);
        let value = metrics.get(&self.tools.objective.metric);
        let is_best = self.note_best(epoch, value);
        if let Schedule::Plateau(settings) = &self.tools.settings.schedule {
            let before = self.state.plateau.unwrap_or_else(Plateau::start);
            self.state.plateau = Some(before.after(settings, &metrics));
        }
        let weights_sha256 = weights_sha256(&self.copied()?.arrays);
        self.state.last = Some(EpochValues {
            epoch,
            metrics: metrics.clone(),
            weights_sha256: weights_sha256.clone(),
        });
        self.state.cursor = Cursor { epoch: epoch + 1, step: 0 };
        self.state.loss_sum = 0.0;
        let train_seconds = std::mem::take(&mut self.worked.epoch_seconds);
        let event = Event::EpochEnded {
            epoch,
            step,
            metrics,
            weights_sha256,
            train_seconds,
            eval_seconds: seconds,
            images_per_second: rate(self.tools.description.samples_per_epoch, train_seconds),
            is_best,
        };
        let wish = self.tools.callbacks.on(&event).max(wish);
        if self.tools.callbacks.outlook().journal_fails {
            self.unrecorded.push(event);
        } else {
            self.unrecorded.clear();
        }
        Ok(wish)
    }

    /// The learning rate of the update after `done` updates.
    fn learning_rate(&self, done: u64) -> f64 {
        let per_epoch = self.tools.description.steps_per_epoch;
        let Settings { schedule, optimizer, epochs, .. } = self.tools.settings;
        let plateau = self.state.plateau.map_or(1.0, |plateau| plateau.factor);
        optimizer.lr() * schedule.factor(done, epochs * per_epoch, per_epoch) * plateau
    }

    /// A misspelt objective would make a sweep without a best trial: say so after one epoch.
    fn check_objective(&mut self, metrics: &Metrics) -> Wish {
        let wanted = &self.tools.objective.metric;
        if self.state.cursor.epoch > 1 || metrics.iter().any(|(name, _)| name == wanted) {
            return Wish::Continue;
        }
        let known: Vec<_> = metrics.iter().map(|(name, _)| name).collect();
        let text = format!("no metric is called {wanted}; there are {}", known.join(", "));
        self.tools.callbacks.on(&Event::Warning { text })
    }

    fn note_best(&mut self, epoch: u64, value: Option<f64>) -> bool {
        let before = self.state.best.map(|best| best.value);
        let is_best = self.tools.objective.direction.improves(value, before);
        if let (true, Some(value)) = (is_best, value) {
            self.state.best = Some(Best { epoch, value });
        }
        is_best
    }

    /// The learner's arrays at the current cursor.
    fn copied(&mut self) -> Result<Copied, LearnerError> {
        if let Some(copy) = &self.copy {
            return Ok(copy.clone());
        }
        let began = self.tools.clock.monotonic();
        let arrays = Arc::new(self.tools.learner.state()?);
        let pause = self.tools.clock.monotonic().saturating_sub(began).as_secs_f64();
        let copy = Copied { arrays, pause };
        self.copy = Some(copy.clone());
        Ok(copy)
    }

    /// Has the state saved. While another one is being written, only a best epoch waits its turn.
    fn save(&mut self) -> Result<Wish, LearnerError> {
        if self.tools.keeper.is_busy() && !self.state.is_best() {
            return Ok(Wish::Continue);
        }
        let Copied { arrays, pause } = self.copied()?;
        self.elapsed();
        self.worked.pace = self.tools.callbacks.outlook().pace.unwrap_or_default();
        let (state, worked, unrecorded) =
            (self.state.clone(), self.worked, self.unrecorded.clone());
        let content = Content { arrays, state, worked, pause, unrecorded };
        let events = self.tools.keeper.keep(content);
        Ok(self.tell(&events))
    }

    fn hear(&mut self) -> Wish {
        let events = self.tools.keeper.poll();
        self.tell(&events)
    }

    fn tell(&mut self, events: &[Event]) -> Wish {
        events.iter().map(|event| self.tools.callbacks.on(event)).max().unwrap_or_default()
    }

    /// Has the newest state on disk before anything else, then a best epoch that waits.
    fn save_before_leaving(&mut self) -> Result<(), LearnerError> {
        for attempt in 0..LAST_TRIES {
            // What is under way may be the state itself.
            let events = self.tools.keeper.settle();
            self.tell(&events);
            if self.tools.keeper.has(self.state.cursor) {
                break;
            }
            if attempt > 0 {
                self.tools.clock.sleep(PAUSE);
            }
            self.save()?;
        }
        let events = self.tools.keeper.finish();
        self.tell(&events);
        Ok(())
    }

    /// Everything is done but to save it: there is no hurry, while time is left.
    fn finish(&mut self) -> Result<Ending, LearnerError> {
        self.save_before_leaving()?;
        for _ in 0..END_TRIES {
            if self.tools.keeper.has(self.state.cursor) {
                return Ok(Ending::Finished);
            }
            if matches!(self.tools.callbacks.poll(), Wish::Stop(_)) {
                break;
            }
            self.tools.clock.sleep(END_PAUSE);
            self.save_before_leaving()?;
        }
        let is_kept = self.tools.keeper.has_weights(self.state.cursor);
        Ok(if is_kept { Ending::Finished } else { Ending::Unsaved })
    }

    fn leave(&mut self, reason: StopReason) -> Result<Ending, LearnerError> {
        self.asked = Some(self.tools.clock.monotonic());
        let outlook = self.tools.callbacks.outlook();
        let is_time = reason == StopReason::TimeBudget;
        self.tools.callbacks.on(&Event::StopRequested {
            reason,
            cursor: self.state.cursor,
            predicted: outlook.predicted.filter(|_| is_time),
            predicted_save: outlook.predicted_save,
            time_left: outlook.time_left,
        });
        // The last healthy checkpoint is kept, and nobody reads what a superseded attempt writes.
        if matches!(reason, StopReason::Diverged | StopReason::Superseded) {
            let events = self.tools.keeper.finish();
            self.tell(&events);
        } else {
            self.save_before_leaving()?;
        }
        Ok(Ending::Stopped(reason))
    }
}

fn timed<T>(clock: &dyn Clock, work: impl FnOnce() -> T) -> (T, f64) {
    let began = clock.monotonic();
    let result = work();
    (result, clock.monotonic().saturating_sub(began).as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "steps stay far below 2^53")]
fn mean(sum: f64, count: u64) -> f64 {
    sum / count as f64
}

/// Samples a second; 0 where no time passed, since a journal holds no infinity.
#[expect(clippy::cast_precision_loss, reason = "samples stay far below 2^53")]
fn rate(samples: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { samples as f64 / seconds } else { 0.0 }
}
