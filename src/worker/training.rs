//! The one honest loop: what happened is told as events, what to do comes back as wishes.

mod epoch;
mod rewind;
mod saving;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::event::{Event, StopReason};
use crate::metric::Objective;
use crate::setting::Settings;

use super::callback::{Callbacks, Wish};
use super::checkpoint::{LoopState, Shelf, Worked};
use super::keeper::Keeper;
use super::learner::{Description, Learner, LearnerError, State};

pub(super) use rewind::words_of;

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
    /// Where they are found again.
    pub shelf: &'a Shelf,
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
            //    ours to finish, and a network that has just collapsed is not finished.
            if self.is_complete() && !is_no_end(wish) {
                return self.finish();
            }
            wish = match wish {
                // 2. Go back, or leave.
                Wish::Stop(StopReason::Diverged | StopReason::Collapsed)
                    if self.state.health.may_roll_back(&self.tools.settings.guards) =>
                {
                    match self.roll_back(wish)? {
                        Wish::Stop(reason) => return self.leave(reason),
                        wish => wish,
                    }
                }
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
        let Settings { epochs, guards, .. } = self.tools.settings;
        self.state.cursor.epoch > *epochs || self.state.health.is_over(guards)
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

    /// The learning rate of the update after `done` updates.
    fn learning_rate(&self, done: u64) -> f64 {
        let per_epoch = self.tools.description.steps_per_epoch;
        let Settings { schedule, optimizer, epochs, .. } = self.tools.settings;
        let plateau = self.state.plateau.map_or(1.0, |plateau| plateau.factor);
        optimizer.lr()
            * schedule.factor(done, epochs * per_epoch, per_epoch)
            * plateau
            * self.state.health.factor
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
}

/// Whether a wish keeps complete training from being finished.
fn is_no_end(wish: Wish) -> bool {
    matches!(wish, Wish::Stop(StopReason::Superseded | StopReason::Collapsed))
}

fn timed<T>(clock: &dyn Clock, work: impl FnOnce() -> T) -> (T, f64) {
    let began = clock.monotonic();
    let result = work();
    (result, clock.monotonic().saturating_sub(began).as_secs_f64())
}
