//! When the loop saves, and how it leaves.

use std::time::Duration;

use crate::event::{Event, StopReason};

use super::{Copied, Ending, Training};
use crate::worker::callback::Wish;
use crate::worker::keeper::Content;
use crate::worker::learner::LearnerError;

/// Tries to save before the attempt leaves: what is not saved then must be done again.
const LAST_TRIES: u32 = 3;

/// Pause between those tries.
const PAUSE: Duration = Duration::from_secs(2);

/// More tries when training is complete, and the pause between them.
const END_TRIES: u32 = 60;
const END_PAUSE: Duration = Duration::from_secs(10);

impl Training<'_> {
    /// Has the state saved. While another one is being written, only a best epoch waits its turn.
    pub(super) fn save(&mut self) -> Result<Wish, LearnerError> {
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

    pub(super) fn hear(&mut self) -> Wish {
        let events = self.tools.keeper.poll();
        self.tell(&events)
    }

    pub(super) fn tell(&mut self, events: &[Event]) -> Wish {
        events.iter().map(|event| self.tools.callbacks.on(event)).max().unwrap_or_default()
    }

    /// Has the newest state on disk before anything else, then a best epoch that waits.
    pub(super) fn save_before_leaving(&mut self) -> Result<(), LearnerError> {
        for attempt in 0..LAST_TRIES {
            // What is under way may be the state itself.
            let events = self.tools.keeper.settle();
            self.tell(&events);
            if self.tools.keeper.has(self.state.place()) {
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
    pub(super) fn finish(&mut self) -> Result<Ending, LearnerError> {
        self.end_early()?;
        self.save_before_leaving()?;
        for _ in 0..END_TRIES {
            if self.tools.keeper.has(self.state.place()) {
                return Ok(Ending::Finished);
            }
            if matches!(self.tools.callbacks.poll(), Wish::Stop(_)) {
                break;
            }
            self.tools.clock.sleep(END_PAUSE);
            self.save_before_leaving()?;
        }
        let is_kept = self.tools.keeper.has_weights(self.state.place());
        Ok(if is_kept { Ending::Finished } else { Ending::Unsaved })
    }

    pub(super) fn leave(&mut self, reason: StopReason) -> Result<Ending, LearnerError> {
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
        if is_lost(reason) {
            let events = self.tools.keeper.finish();
            self.tell(&events);
        } else {
            self.save_before_leaving()?;
        }
        Ok(Ending::Stopped(reason))
    }
}

/// Whether the state at such an end is not worth keeping.
fn is_lost(reason: StopReason) -> bool {
    matches!(reason, StopReason::Diverged | StopReason::Collapsed | StopReason::Superseded)
}
