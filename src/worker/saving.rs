//! When to save: at intervals, and the best epoch so far.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::event::Event;
use crate::sweep;

use super::callback::{Callback, Wish};
use super::estimate::Estimate;

/// Longest wait before a failed checkpoint is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// Longest wait for the first checkpoint of an attempt: it shows whether the disk can be written, and
/// how long that takes.
const FIRST: Duration = Duration::from_secs(30);

/// Largest part of the time that saving more often may cost.
const COST: f64 = 0.05;

/// Wishes for checkpoints.
pub struct Saving {
    clock: Arc<dyn Clock>,
    /// As the sweep says.
    every: Duration,
    /// As it is done: more often, where a checkpoint takes longer than a signal gives time for.
    interval: Duration,
    /// Seconds between the signal to end and the kill.
    grace: f64,
    step: Estimate,
    checkpoint: Estimate,
    due: Duration,
    under_way: bool,
    /// When a copy was asked for, and when the one that is being written was.
    asked: Option<Duration>,
    copied: Option<Duration>,
    remark: Option<String>,
}

impl Saving {
    /// Saves when `checkpoint_every` has passed since the last checkpoint, and each best epoch.
    #[must_use]
    pub fn new(budget: &sweep::Budget, clock: Arc<dyn Clock>) -> Self {
        let every = Duration::try_from_secs_f64(budget.checkpoint_every);
        let every = every.unwrap_or(Duration::from_mins(10));
        let due = clock.monotonic() + every.min(FIRST);
        Self {
            clock,
            every,
            interval: every,
            grace: budget.grace,
            step: Estimate::default(),
            checkpoint: Estimate::default(),
            due,
            under_way: false,
            asked: None,
            copied: None,
            remark: None,
        }
    }

    /// What a signal leaves no time to save is done again: then at least not much of it.
    fn fit_into_grace(&mut self, seconds: f64, pause: f64) {
        let needed = self.step.upper() + self.checkpoint.upper();
        if needed <= self.grace {
            self.interval = self.every;
            return;
        }
        // More often than a step takes is not to be had.
        let bearable = (pause / COST).max(2.0 * seconds).max(self.step.upper()).max(1.0);
        let shorter = Duration::try_from_secs_f64(bearable).unwrap_or(self.every).min(self.every);
        if self.interval == self.every && shorter < self.every {
            self.remark = Some(format!(
                "a step and a checkpoint may take {needed:.1} s, more than the {:.1} s between a \
                 signal and the kill (budget.grace): a checkpoint is now made every {:.0} s, so that \
                 little is lost",
                self.grace,
                shorter.as_secs_f64(),
            ));
        }
        self.interval = shorter;
    }
}

impl Callback for Saving {
    fn on(&mut self, event: &Event) -> Wish {
        let now = self.clock.monotonic();
        match event {
            Event::Started { .. } => self.due = now + self.every.min(FIRST),
            Event::CheckpointBegun { .. } => {
                self.under_way = true;
                // A best epoch may have waited since it was copied.
                self.copied = Some(self.asked.take().unwrap_or(now));
            }
            Event::CheckpointWritten { seconds, pause, .. } => {
                self.under_way = false;
                self.checkpoint.add(*seconds);
                self.fit_into_grace(*seconds, *pause);
                // Counted from the copy: what came after it is not saved yet.
                self.due = self.copied.take().unwrap_or(now) + self.interval;
            }
            Event::CheckpointFailed { .. } => {
                self.under_way = false;
                self.due = now + self.every.min(RETRY);
            }
            Event::EpochEnded { is_best: true, .. } => {
                self.asked = Some(now);
                return Wish::Checkpoint;
            }
            Event::StepEnded { seconds, .. } => {
                self.step.add(*seconds);
                return self.if_due(now);
            }
            Event::EpochEnded { .. } => return self.if_due(now),
            _ => {}
        }
        Wish::Continue
    }

    fn remark(&mut self) -> Option<String> {
        self.remark.take()
    }
}

impl Saving {
    fn if_due(&mut self, now: Duration) -> Wish {
        if now < self.due || self.under_way {
            return Wish::Continue;
        }
        self.asked = Some(now);
        Wish::Checkpoint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;
    use crate::event::Cursor;
    use jiff::Timestamp;

    const STEP: Event = Event::StepEnded { cursor: Cursor::START, loss: 0.0, seconds: 1.0 };

    fn saving(grace: f64) -> (VirtualClock, Saving) {
        let clock = VirtualClock::starting(Timestamp::UNIX_EPOCH);
        let budget = sweep::Budget { grace, ..sweep::Budget::default() };
        let saving = Saving::new(&budget, Arc::new(clock.clone()));
        (clock, saving)
    }

    fn written(seconds: f64) -> Event {
        let (name, cursor) = (String::new(), Cursor::START);
        Event::CheckpointWritten { name, cursor, seconds, pause: 0.1, bytes: 0, folder: None }
    }

    #[test]
    fn the_first_comes_soon_then_at_intervals_and_a_failure_is_tried_again_sooner() {
        let (clock, mut saving) = saving(30.0);
        assert_eq!(saving.on(&STEP), Wish::Continue);
        clock.advance(FIRST);
        assert_eq!(saving.on(&STEP), Wish::Checkpoint);
        saving.on(&Event::CheckpointBegun { cursor: Cursor::START });
        assert_eq!(saving.on(&STEP), Wish::Continue, "it is being written");
        clock.advance(Duration::from_secs(3));
        assert_eq!(saving.on(&written(3.0)), Wish::Continue);
        clock.advance(Duration::from_mins(10) - Duration::from_secs(4));
        assert_eq!(saving.on(&STEP), Wish::Continue);
        clock.advance(Duration::from_secs(1));
        assert_eq!(saving.on(&STEP), Wish::Checkpoint, "ten minutes after the copy");
        let error = String::new();
        let failed = Event::CheckpointFailed { cursor: Cursor::START, error, weights: None };
        assert_eq!(saving.on(&failed), Wish::Continue);
        assert_eq!(saving.on(&STEP), Wish::Continue);
        clock.advance(RETRY);
        assert_eq!(saving.on(&STEP), Wish::Checkpoint);
    }

    #[test]
    fn what_does_not_fit_into_the_grace_is_saved_more_often_and_told_once() {
        let (clock, mut saving) = saving(2.0);
        saving.on(&STEP);
        saving.on(&Event::CheckpointBegun { cursor: Cursor::START });
        clock.advance(Duration::from_secs(4));
        saving.on(&written(4.0));
        assert!(saving.remark().is_some_and(|text| text.contains("every 8 s")));
        clock.advance(Duration::from_secs(4));
        assert_eq!(saving.on(&STEP), Wish::Checkpoint, "8 s after the copy");
        saving.on(&written(4.0));
        assert_eq!(saving.remark(), None);
    }

    #[test]
    fn the_interval_begins_with_the_copy_however_late_its_end_is_heard_of() {
        let (clock, mut saving) = saving(30.0);
        let begun = Event::CheckpointBegun { cursor: Cursor::START };
        clock.advance(FIRST);
        assert_eq!(saving.on(&STEP), Wish::Checkpoint);
        saving.on(&begun);
        // A best epoch is copied, and waits until the first one is written.
        clock.advance(Duration::from_secs(10));
        let best = Event::EpochEnded {
            epoch: 1,
            step: 1,
            metrics: crate::metric::Metrics::default(),
            weights_sha256: String::new(),
            train_seconds: 0.0,
            eval_seconds: 0.0,
            images_per_second: 0.0,
            is_best: true,
        };
        assert_eq!(saving.on(&best), Wish::Checkpoint);
        clock.advance(Duration::from_secs(10));
        saving.on(&written(5.0));
        saving.on(&begun);
        clock.advance(Duration::from_secs(20));
        saving.on(&written(5.0));
        clock.advance(Duration::from_mins(10) - Duration::from_secs(31));
        assert_eq!(saving.on(&STEP), Wish::Continue);
        clock.advance(Duration::from_secs(1));
        assert_eq!(saving.on(&STEP), Wish::Checkpoint, "ten minutes after the best epoch's copy");
    }
}
