//! The time an attempt may use: stops it while there is still time to save.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::event::{Cursor, Event, Pace, StopReason};
use crate::sweep;

use super::callback::{Callback, Outlook, Wish};
use super::estimate::Estimate;

/// Largest part of the time left that the margin may take.
const MARGIN_SHARE: f64 = 0.2;

/// A margin that is cut by less is not worth a word.
const TOLD: f64 = 0.9;

/// Stops before the next unit of work, a checkpoint and the margin would not fit any more.
///
/// Time is counted on the monotonic clock from the start of the attempt. How long a step, an
/// evaluation and a checkpoint take is estimated from those before ([`Estimate::upper`]).
pub struct Budget {
    clock: Arc<dyn Clock>,
    began: Duration,
    /// Seconds from the start to the end of this attempt's time.
    limit: Option<f64>,
    margin: f64,
    max_train_time: Option<f64>,
    /// Training seconds of earlier attempts, and when training began in this one.
    training: Option<(f64, Duration)>,
    steps_per_epoch: u64,
    cursor: Cursor,
    step: Estimate,
    evaluation: Estimate,
    checkpoint: Estimate,
    /// A checkpoint is being written: another one has to wait for it.
    under_way: bool,
    /// A best epoch waits to be written too.
    waiting: bool,
}

impl Budget {
    /// Counts from `began` (on the monotonic clock); `time_left` is what the scheduler gives. A
    /// margin that would take more than a fifth of the time is cut to that, which the returned
    /// sentence tells.
    #[must_use]
    pub fn new(
        limits: &sweep::Budget,
        time_left: Option<Duration>,
        clock: Arc<dyn Clock>,
        began: Duration,
    ) -> (Self, Option<String>) {
        let given = time_left.map(|left| left.as_secs_f64());
        let limit = match (given, limits.max_attempt_time) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let largest = limit.map_or(f64::INFINITY, |limit| limit * MARGIN_SHARE);
        let margin = limits.margin.min(largest);
        let note = (margin < TOLD * limits.margin).then(|| {
            format!(
                "the margin of {:.0} s is more than a fifth of the {:.0} s left: {margin:.1} s are \
                 kept free",
                limits.margin,
                limit.unwrap_or(0.0),
            )
        });
        let budget = Self {
            clock,
            began,
            limit,
            margin,
            max_train_time: limits.max_train_time,
            training: None,
            steps_per_epoch: u64::MAX,
            cursor: Cursor::START,
            step: Estimate::default(),
            evaluation: Estimate::default(),
            checkpoint: Estimate::default(),
            under_way: false,
            waiting: false,
        };
        (budget, note)
    }

    fn time_left(&self) -> Option<f64> {
        let used = (self.clock.monotonic().saturating_sub(self.began)).as_secs_f64();
        self.limit.map(|limit| limit - used)
    }

    fn train_time_left(&self) -> Option<f64> {
        let (before, since) = self.training?;
        let here = self.clock.monotonic().saturating_sub(since).as_secs_f64();
        self.max_train_time.map(|limit| limit - before - here)
    }

    /// Seconds of the next unit of work with a checkpoint after it.
    fn predicted(&self) -> f64 {
        let evaluates = self.cursor.step >= self.steps_per_epoch;
        let unit = if evaluates { self.evaluation } else { self.step };
        unit.upper() + self.predicted_save()
    }

    /// Seconds until the present state would be on disk.
    fn predicted_save(&self) -> f64 {
        let others = f64::from(u8::from(self.under_way) + u8::from(self.waiting));
        (others + 1.0) * self.checkpoint.upper()
    }

    fn pace(&self) -> Pace {
        Pace {
            step: self.step.spread(),
            evaluation: self.evaluation.spread(),
            checkpoint: self.checkpoint.spread(),
        }
    }

    fn judge(&self, seconds: f64) -> Wish {
        if self.train_time_left().is_some_and(|left| left <= 0.0) {
            return Wish::Stop(StopReason::TrainTime);
        }
        match self.time_left() {
            Some(left) if left < seconds + self.margin => Wish::Stop(StopReason::TimeBudget),
            _ => Wish::Continue,
        }
    }
}

impl Callback for Budget {
    fn on(&mut self, event: &Event) -> Wish {
        match event {
            Event::Started { cursor, steps_per_epoch, elapsed_before, expected, .. } => {
                let expected = expected.unwrap_or_default();
                self.step = Estimate::inherited(expected.step);
                self.evaluation = Estimate::inherited(expected.evaluation);
                self.checkpoint = Estimate::inherited(expected.checkpoint);
                self.cursor = *cursor;
                self.steps_per_epoch = *steps_per_epoch;
                self.training = Some((*elapsed_before, self.clock.monotonic()));
            }
            Event::StepEnded { cursor, seconds, .. } => {
                self.cursor = *cursor;
                self.step.add(*seconds);
            }
            Event::EpochEnded { epoch, eval_seconds, is_best, .. } => {
                self.cursor = Cursor { epoch: epoch + 1, step: 0 };
                self.waiting |= *is_best && self.under_way;
                self.evaluation.add(*eval_seconds);
            }
            Event::CheckpointBegun { .. } => (self.under_way, self.waiting) = (true, false),
            Event::CheckpointWritten { seconds, .. } => {
                self.under_way = false;
                self.checkpoint.add(*seconds);
            }
            Event::CheckpointFailed { .. } => self.under_way = false,
            _ => return Wish::Continue,
        }
        self.judge(self.predicted())
    }

    fn poll(&mut self) -> Wish {
        // The unit is under way: what counts is that a checkpoint still fits.
        self.judge(self.predicted_save())
    }

    fn outlook(&self) -> Outlook {
        Outlook {
            predicted: Some(self.predicted()),
            predicted_save: Some(self.predicted_save()),
            time_left: self.time_left(),
            pace: Some(self.pace()),
            ..Outlook::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;
    use crate::event::Spread;
    use jiff::Timestamp;

    fn started(elapsed_before: f64) -> Event {
        Event::Started {
            cursor: Cursor::START,
            resumed_from: None,
            parameters: 1,
            device: String::new(),
            threads: 1,
            library: String::new(),
            data: None,
            steps_per_epoch: 10,
            epochs: 100,
            time_left: None,
            seconds_to_start: 0.0,
            elapsed_before,
            differs: Vec::new(),
            expected: None,
            train_density: None,
        }
    }

    fn budget(limits: &sweep::Budget, left: u64) -> (VirtualClock, Budget, Option<String>) {
        let clock = VirtualClock::starting(Timestamp::UNIX_EPOCH);
        let left = Some(Duration::from_secs(left));
        let (budget, note) = Budget::new(limits, left, Arc::new(clock.clone()), Duration::ZERO);
        (clock, budget, note)
    }

    fn limits() -> sweep::Budget {
        sweep::Budget { margin: 10.0, ..sweep::Budget::default() }
    }

    #[test]
    fn it_stops_while_a_step_a_checkpoint_and_the_margin_still_fit() {
        let (clock, mut budget, note) = budget(&limits(), 100);
        assert_eq!(note, None);
        assert_eq!(budget.on(&started(0.0)), Wish::Continue);
        let mut steps = 0;
        let stopped_at = loop {
            clock.advance(Duration::from_secs(4));
            steps += 1;
            let cursor = Cursor { epoch: 1, step: steps % 10 };
            if steps == 2 {
                let wish = budget.on(&Event::CheckpointWritten {
                    name: String::new(),
                    cursor,
                    seconds: 3.0,
                    pause: 0.0,
                    bytes: 0,
                    folder: None,
                });
                assert_eq!(wish, Wish::Continue);
            }
            let wish = budget.on(&Event::StepEnded { cursor, loss: 0.0, seconds: 4.0 });
            if wish != Wish::Continue {
                assert_eq!(wish, Wish::Stop(StopReason::TimeBudget));
                break clock.monotonic().as_secs();
            }
        };
        // 4 s step + 2 × 3 s for a checkpoint seen once + 10 s margin: not later than 80.
        assert_eq!(stopped_at, 84, "at 80 s exactly 20 s are left and needed");
        assert_eq!(budget.outlook().time_left, Some(16.0));
    }

    #[test]
    fn what_earlier_attempts_measured_keeps_one_from_beginning_in_vain() {
        let (_, mut budget, _) = budget(&limits(), 100);
        let spread = |mean| Spread { count: 50.0, mean, variance: 0.0 };
        let pace = Pace { step: spread(80.0), checkpoint: spread(15.0), ..Pace::default() };
        let mut event = started(0.0);
        if let Event::Started { expected, .. } = &mut event {
            *expected = Some(pace);
        }
        assert_eq!(budget.on(&event), Wish::Stop(StopReason::TimeBudget));
        assert_eq!(budget.outlook().predicted, Some(95.0));
    }

    #[test]
    fn a_checkpoint_under_way_counts_before_the_next_one() {
        let (clock, mut budget, _) = budget(&limits(), 100);
        budget.on(&started(0.0));
        let cursor = Cursor { epoch: 1, step: 1 };
        budget.on(&Event::CheckpointWritten {
            name: String::new(),
            cursor,
            seconds: 10.0,
            pause: 0.1,
            bytes: 0,
            folder: None,
        });
        clock.advance(Duration::from_secs(65));
        assert_eq!(budget.poll(), Wish::Continue, "35 s left, 20 s and the margin needed");
        assert_eq!(
            budget.on(&Event::CheckpointBegun { cursor }),
            Wish::Stop(StopReason::TimeBudget),
            "now 40 s and the margin"
        );
        assert_eq!(budget.outlook().predicted_save, Some(40.0));
        budget.on(&Event::EpochEnded {
            epoch: 1,
            step: 10,
            metrics: crate::metric::Metrics::default(),
            weights_sha256: String::new(),
            train_seconds: 0.0,
            eval_seconds: 0.0,
            images_per_second: 0.0,
            is_best: true,
        });
        assert_eq!(budget.outlook().predicted_save, Some(60.0), "a best epoch waits between them");
    }

    #[test]
    fn an_attempt_without_time_does_not_begin() {
        let (clock, mut budget, _) = budget(&limits(), 100);
        clock.advance(Duration::from_secs(95));
        assert_eq!(budget.on(&started(0.0)), Wish::Stop(StopReason::TimeBudget));
    }

    #[test]
    fn a_margin_larger_than_a_fifth_is_cut_and_told() {
        let (clock, mut budget, note) = budget(&sweep::Budget::default(), 60);
        assert!(note.expect("note").contains("12.0 s are kept free"));
        assert_eq!(budget.on(&started(0.0)), Wish::Continue);
        clock.advance(Duration::from_secs(49));
        assert_eq!(budget.poll(), Wish::Stop(StopReason::TimeBudget));
    }

    #[test]
    fn train_time_counts_earlier_attempts() {
        let limits = sweep::Budget { max_train_time: Some(1000.0), ..limits() };
        let (clock, mut budget, _) = budget(&limits, 500);
        assert_eq!(budget.on(&started(990.0)), Wish::Continue);
        clock.advance(Duration::from_secs(10));
        assert_eq!(budget.poll(), Wish::Stop(StopReason::TrainTime));
    }

    #[test]
    fn without_limits_it_never_stops() {
        let clock = VirtualClock::starting(Timestamp::UNIX_EPOCH);
        let (mut budget, _) =
            Budget::new(&sweep::Budget::default(), None, Arc::new(clock.clone()), Duration::ZERO);
        clock.advance(Duration::from_hours(10_000));
        assert_eq!(budget.on(&started(1e9)), Wish::Continue);
        assert_eq!(budget.outlook().time_left, None);
    }
}
