//! When to save: at intervals, and the best epoch so far.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::event::Event;

use super::callback::{Callback, Wish};

/// Longest wait before a failed checkpoint is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// Wishes for checkpoints.
pub struct Saving {
    clock: Arc<dyn Clock>,
    every: Duration,
    due: Duration,
}

impl Saving {
    /// Saves when `every` has passed since the last checkpoint, and each best epoch.
    #[must_use]
    pub fn new(every: Duration, clock: Arc<dyn Clock>) -> Self {
        let due = clock.monotonic() + every;
        Self { clock, every, due }
    }
}

impl Callback for Saving {
    fn on(&mut self, event: &Event) -> Wish {
        let now = self.clock.monotonic();
        match event {
            Event::Started { .. } | Event::CheckpointWritten { .. } => {
                self.due = now + self.every;
            }
            Event::CheckpointFailed { .. } => self.due = now + self.every.min(RETRY),
            Event::EpochEnded { is_best, .. } if *is_best || now >= self.due => {
                return Wish::Checkpoint;
            }
            Event::StepEnded { .. } if now >= self.due => return Wish::Checkpoint,
            _ => {}
        }
        Wish::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;
    use crate::event::Cursor;
    use jiff::Timestamp;

    #[test]
    fn an_interval_without_a_checkpoint_wishes_for_one_and_a_failure_sooner() {
        let clock = VirtualClock::starting(Timestamp::UNIX_EPOCH);
        let mut saving = Saving::new(Duration::from_mins(10), Arc::new(clock.clone()));
        let step = Event::StepEnded { cursor: Cursor::START, loss: 0.0, seconds: 1.0 };
        assert_eq!(saving.on(&step), Wish::Continue);
        clock.advance(Duration::from_mins(10));
        assert_eq!(saving.on(&step), Wish::Checkpoint);
        let failed =
            Event::CheckpointFailed { cursor: Cursor::START, error: String::new(), weights: None };
        assert_eq!(saving.on(&failed), Wish::Continue);
        assert_eq!(saving.on(&step), Wish::Continue);
        clock.advance(RETRY);
        assert_eq!(saving.on(&step), Wish::Checkpoint);
    }
}
