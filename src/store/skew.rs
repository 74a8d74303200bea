//! Clocks that differ: a worker's moments, brought to the controller's clock.

use jiff::{SignedDuration, Timestamp};

use super::{AttemptFact, Evidence};

/// Seconds by which a clock may differ without being called wrong. File servers show files late.
pub(super) const TOLERANCE: f64 = 300.0;

/// Seconds by which the clock that wrote new records is ahead of ours (behind: negative), where they
/// prove it. They were written after we last looked, and before now.
pub(super) fn measured(
    first: Timestamp,
    last: Timestamp,
    looked: Option<Timestamp>,
    now: Timestamp,
) -> Option<f64> {
    let ahead = last.duration_since(now).as_secs_f64();
    let behind = looked.map_or(0.0, |looked| looked.duration_since(first).as_secs_f64());
    match (ahead > TOLERANCE, behind > TOLERANCE) {
        (true, _) => Some(ahead),
        (_, true) => Some(-behind),
        _ => None,
    }
}

impl AttemptFact {
    /// Returns the seconds by which its clock is ahead of the controller's; behind: negative. An
    /// attempt cannot begin before it is submitted.
    #[must_use]
    pub fn clock_ahead(&self, evidence: &Evidence) -> Option<f64> {
        let known = self.skew.filter(|skew| skew.abs() > TOLERANCE);
        known.or_else(|| {
            let submission = evidence.submission.as_ref()?;
            let started = self.started_at.filter(|_| self.token == Some(submission.token))?;
            let behind = submission.intended_at.duration_since(started).as_secs_f64();
            (behind > TOLERANCE).then_some(-behind)
        })
    }

    /// Brings a moment of its clock to the controller's.
    pub(super) fn ours(&self, at: Timestamp, evidence: &Evidence) -> Timestamp {
        let ahead = self.clock_ahead(evidence).unwrap_or(0.0);
        #[expect(clippy::cast_possible_truncation, reason = "saturates")]
        let corrected = at.checked_sub(SignedDuration::from_millis((ahead * 1000.0) as i64));
        let latest = self.heard_at.map_or(evidence.now, |heard| heard.min(evidence.now));
        corrected.unwrap_or(at).min(latest)
    }

    /// Seconds since something was heard of it, by the controller's clock.
    pub(super) fn silent(&self, evidence: &Evidence) -> Option<i64> {
        let heard = match (self.heard_at, self.seen_at) {
            (Some(heard), Some(_)) => heard,
            (_, seen) => self.ours(seen?, evidence),
        };
        Some((evidence.now.as_second() - heard.as_second()).max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_cannot_have_been_written_then_tell_of_a_wrong_clock() {
        let at = |second| Timestamp::from_second(second).expect("moment");
        let looked = Some(at(100_000));
        // What was written between two looks is plausible.
        assert_eq!(measured(at(100_010), at(100_050), looked, at(100_060)), None);
        assert_eq!(measured(at(99_900), at(100_100), looked, at(100_060)), None);
        assert_eq!(measured(at(107_200), at(107_260), looked, at(100_060)), Some(7200.0));
        assert_eq!(measured(at(92_800), at(92_860), looked, at(100_060)), Some(-7200.0));
        // Nobody looked before: old records may just be old.
        assert_eq!(measured(at(10), at(20), None, at(100_060)), None);
    }
}
