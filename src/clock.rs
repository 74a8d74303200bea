//! Time as a seam: everything that asks for the time or sleeps does it through a [`Clock`].
//!
//! Programs use [`SystemClock`]; tests run weeks of a sweep's life on a [`VirtualClock`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A source of time.
pub trait Clock: Send + Sync {
    /// Returns the wall-clock time (UTC). It may jump.
    fn now(&self) -> Timestamp;

    /// Returns the time since an arbitrary origin. It never goes back.
    fn monotonic(&self) -> Duration;

    /// Blocks the calling thread.
    fn sleep(&self, duration: Duration);
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// Starts counting now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this room owns the clock")]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this room owns the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// A clock that moves only when somebody sleeps on it or pushes it. Clones share the time.
#[derive(Clone, Debug)]
pub struct VirtualClock {
    elapsed: Arc<Mutex<Duration>>,
    start: Timestamp,
}

impl VirtualClock {
    /// Starts at the given moment.
    #[must_use]
    pub fn starting(start: Timestamp) -> Self {
        Self { elapsed: Arc::default(), start }
    }

    /// Lets time pass.
    pub fn advance(&self, duration: Duration) {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner) += duration;
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.start + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_day_passes_at_once() {
        let clock = VirtualClock::starting(Timestamp::UNIX_EPOCH);
        let other = clock.clone();
        clock.sleep(Duration::from_hours(24));
        assert_eq!(other.now().to_string(), "1970-01-02T00:00:00Z");
        assert_eq!(other.monotonic(), Duration::from_hours(24));
    }
}
