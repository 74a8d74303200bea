//! When to do something again: never sooner than is polite, and seldom where it takes long.

use std::time::Duration;

use crate::cli::gate::{Gate, Name};
use crate::scheduler::MAX_AGE;

/// Of all time at most so much, in parts, goes into reading.
const SHARE: u32 = 10;

/// Between two looks at what runs on this machine.
const LOCAL: Duration = Duration::from_secs(2);

/// Between two looks at a sweep that another regatta works on.
const BUSY: Duration = Duration::from_secs(5);

/// Something that is done again and again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    due: Duration,
}

impl Pace {
    /// Says whether it is time.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        now >= self.due
    }

    /// Since when, or from when on.
    pub(super) fn due(&self) -> Duration {
        self.due
    }

    /// The time until then.
    pub(super) fn wait(&self, now: Duration) -> Duration {
        self.due.saturating_sub(now)
    }

    /// It was done from `began` to `now`, and is done again after the pause, or later where it took long.
    pub(super) fn done(&mut self, began: Duration, now: Duration, pause: Duration) {
        self.due = now + pause.max(now.saturating_sub(began) * SHARE);
    }

    /// It is to be done at once.
    pub(super) fn hurry(&mut self) {
        self.due = Duration::ZERO;
    }
}

/// How long not to ask a sweep's scheduler again.
pub(super) fn between_looks(gate: &Gate, scheduler: Option<Name>) -> Duration {
    let named = gate.max_age.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match scheduler {
        Some(Name::Local) => LOCAL,
        Some(Name::Slurm) => named.unwrap_or(MAX_AGE).max(LOCAL),
        None => BUSY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_done_seldom() {
        let second = Duration::from_secs;
        let mut pace = Pace::default();
        assert!(pace.is_due(second(0)));
        pace.done(second(0), second(0), second(1));
        assert!(!pace.is_due(second(0)) && pace.is_due(second(1)));
        pace.done(second(10), second(12), second(1));
        assert_eq!(pace.wait(second(12)), second(20));
        pace.hurry();
        assert!(pace.is_due(second(12)));
    }
}
