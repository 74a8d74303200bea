//! Being asked to stop: signals, the cancel mark and a newer claim become one value.
//!
//! Nothing is done where a signal arrives; the loop reads the value between steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::event::{Event, StopReason};
use crate::layout::TrialFolder;

use super::callback::{Callback, Wish};

/// Pause between two looks into the trial's folder.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Reasons that can be asked for from outside, from the weakest to the strongest.
const REASONS: [StopReason; 5] = [
    StopReason::Warned,
    StopReason::Terminated,
    StopReason::Interrupted,
    StopReason::Cancelled,
    StopReason::Superseded,
];

/// A flag that keeps the strongest reason raised so far. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicU8>);

impl StopFlag {
    /// Asks to stop. A weaker or equal reason changes nothing.
    pub fn raise(&self, reason: StopReason) {
        let place = REASONS.iter().position(|known| *known == reason).unwrap_or(0);
        let rank = u8::try_from(place + 1).unwrap_or(u8::MAX);
        self.0.fetch_max(rank, Ordering::Relaxed);
    }

    /// Returns the strongest reason raised.
    #[must_use]
    pub fn reason(&self) -> Option<StopReason> {
        let rank = usize::from(self.0.load(Ordering::Relaxed));
        REASONS.get(rank.checked_sub(1)?).copied()
    }
}

/// Looks at the flag after every unit of work, and now and then into the trial's folder.
pub struct Watch {
    flag: StopFlag,
    folder: TrialFolder,
    attempt: u32,
    clock: Arc<dyn Clock>,
    next_look: Duration,
}

impl Watch {
    /// Watches for attempt `attempt`.
    #[must_use]
    pub fn new(flag: StopFlag, folder: TrialFolder, attempt: u32, clock: Arc<dyn Clock>) -> Self {
        Self { flag, folder, attempt, clock, next_look: Duration::ZERO }
    }

    fn look(&mut self) {
        let now = self.clock.monotonic();
        // `scancel` follows the mark within moments: a signal is a reason to look at once.
        let signalled = self.flag.reason().is_some_and(|reason| reason < StopReason::Cancelled);
        if now < self.next_look && !signalled {
            return;
        }
        self.next_look = now + LOOK_EVERY;
        if self.folder.cancel_mark().exists() {
            self.flag.raise(StopReason::Cancelled);
        }
        if is_superseded(&self.folder, self.attempt) {
            self.flag.raise(StopReason::Superseded);
        }
    }
}

/// Says whether a newer attempt claimed the trial. A folder that cannot be read says nothing.
#[must_use]
pub fn is_superseded(folder: &TrialFolder, attempt: u32) -> bool {
    folder.attempts().is_ok_and(|attempts| attempts.last().is_some_and(|last| *last > attempt))
}

impl Callback for Watch {
    fn on(&mut self, _: &Event) -> Wish {
        self.poll()
    }

    fn poll(&mut self) -> Wish {
        self.look();
        self.flag.reason().map_or(Wish::Continue, Wish::Stop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;
    use crate::layout;
    use jiff::Timestamp;

    #[test]
    fn further_signals_change_nothing_but_a_stronger_reason_does() {
        let flag = StopFlag::default();
        assert_eq!(flag.reason(), None);
        flag.raise(StopReason::Terminated);
        flag.raise(StopReason::Warned);
        flag.raise(StopReason::Terminated);
        assert_eq!(flag.reason(), Some(StopReason::Terminated));
        flag.clone().raise(StopReason::Cancelled);
        assert_eq!(flag.reason(), Some(StopReason::Cancelled));
    }

    #[test]
    fn the_cancel_mark_is_seen_within_two_seconds_and_at_once_with_a_signal() {
        let home = tempfile::tempdir().expect("folder");
        let folder = TrialFolder::new(home.path());
        let clock = VirtualClock::starting(Timestamp::UNIX_EPOCH);
        let flag = StopFlag::default();
        let mut watch = Watch::new(flag.clone(), folder.clone(), 1, Arc::new(clock.clone()));
        assert_eq!(watch.poll(), Wish::Continue);
        layout::write_atomic(&folder.cancel_mark(), b"").expect("mark");
        assert_eq!(watch.poll(), Wish::Continue, "not looked again yet");
        flag.raise(StopReason::Terminated);
        assert_eq!(watch.poll(), Wish::Stop(StopReason::Cancelled));

        let mut later = Watch::new(StopFlag::default(), folder, 1, Arc::new(clock.clone()));
        later.next_look = clock.monotonic() + LOOK_EVERY;
        clock.advance(LOOK_EVERY);
        assert_eq!(later.poll(), Wish::Stop(StopReason::Cancelled));
    }

    #[test]
    fn a_newer_claim_supersedes() {
        let home = tempfile::tempdir().expect("folder");
        let folder = TrialFolder::new(home.path());
        layout::create_folder(&folder.claims()).expect("folder");
        layout::create_exclusive(&folder.claim(2), b"{}").expect("claim");
        assert!(is_superseded(&folder, 1));
        assert!(!is_superseded(&folder, 2));
    }
}
