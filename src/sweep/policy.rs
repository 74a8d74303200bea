//! What to do after each kind of end: data, not code.

mod action;
mod breaker;

use serde::{Deserialize, Serialize};

pub use action::Action;
pub use breaker::Breaker;

/// The longest time that doubling makes of a back-off.
const LONGEST_BACKOFF: f64 = 3600.0;

/// A kind of end after which a trial may be submitted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndKind {
    /// Made room for a more important job.
    Preempted,
    /// Reached the time limit, or stopped before it.
    TimedOut,
    /// Needed more memory than it had.
    OutOfMemory,
    /// Its node failed.
    NodeFailed,
    /// An error.
    Failed,
    /// Training diverged.
    Diverged,
    /// Vanished.
    Lost,
}

impl EndKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Preempted,
        Self::TimedOut,
        Self::OutOfMemory,
        Self::NodeFailed,
        Self::Failed,
        Self::Diverged,
        Self::Lost,
    ];

    /// Returns its word, as in the sweep file and for the state of a trial.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Preempted => "preempted",
            Self::TimedOut => "timed_out",
            Self::OutOfMemory => "out_of_memory",
            Self::NodeFailed => "node_failed",
            Self::Failed => "failed",
            Self::Diverged => "diverged",
            Self::Lost => "lost",
        }
    }

    /// Returns the kind of end that a word names.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Seconds to wait where the sweep file does not say: what a node or a file server has done to
    /// one attempt it does to the next one at once.
    fn usual_backoff(self) -> f64 {
        match self {
            Self::NodeFailed | Self::Failed | Self::Lost => 60.0,
            Self::Preempted | Self::TimedOut | Self::OutOfMemory | Self::Diverged => 0.0,
        }
    }
}

/// Actions by kind of end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Made room for a more important job.
    pub preempted: Action,
    /// Reached the time limit, or stopped before it.
    pub timed_out: Action,
    /// Needed more memory than it had.
    pub out_of_memory: Action,
    /// Its node failed.
    pub node_failed: Action,
    /// An error.
    pub failed: Action,
    /// Training diverged.
    pub diverged: Action,
    /// Vanished.
    pub lost: Action,
    /// When a node is left out of all further submissions of the sweep.
    pub breaker: Breaker,
}

impl Policy {
    /// Returns what to do after a kind of end.
    #[must_use]
    pub fn of(&self, kind: EndKind) -> &Action {
        match kind {
            EndKind::Preempted => &self.preempted,
            EndKind::TimedOut => &self.timed_out,
            EndKind::OutOfMemory => &self.out_of_memory,
            EndKind::NodeFailed => &self.node_failed,
            EndKind::Failed => &self.failed,
            EndKind::Diverged => &self.diverged,
            EndKind::Lost => &self.lost,
        }
    }

    /// Returns the factors on memory and time for a trial that was submitted again `times` after each
    /// kind of end.
    #[must_use]
    pub fn growth(&self, times: impl Fn(EndKind) -> usize) -> (f64, f64) {
        let of = |factor: Option<f64>, kind| {
            let times = i32::try_from(times(kind)).unwrap_or(i32::MAX);
            factor.map_or(1.0, |factor| factor.powi(times))
        };
        EndKind::ALL.into_iter().fold((1.0, 1.0), |(memory, time), kind| {
            let action = self.of(kind);
            (memory * of(action.mem, kind), time * of(action.time, kind))
        })
    }

    /// Returns the seconds to wait before the retry of this number, from 1, after this kind of end:
    /// twice as long each time, at most an hour unless the sweep file says more.
    #[must_use]
    pub fn backoff(&self, kind: EndKind, number: u32, usual: bool) -> f64 {
        let usual = if usual { kind.usual_backoff() } else { 0.0 };
        let first = self.of(kind).backoff.unwrap_or(usual);
        let doublings = i32::try_from(number.saturating_sub(1).min(30)).unwrap_or(30);
        (first * 2.0_f64.powi(doublings)).min(LONGEST_BACKOFF.max(first))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            preempted: Action::retry(1000),
            timed_out: Action::retry(10),
            out_of_memory: Action { mem: Some(2.0), ..Action::retry(2) },
            node_failed: Action { exclude_node: true, ..Action::retry(3) },
            failed: Action::retry(0),
            diverged: Action::retry(0),
            lost: Action::retry(3),
            breaker: Breaker::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Policy, serde_yaml::Error> {
        serde_yaml::from_str::<Policy>(text)
    }

    #[test]
    fn what_was_staged_reads_back_the_same() {
        let own = "{ lost: { retry: 2, backoff: 5min }, breaker: { failures: 2, for: 1h } }";
        for policy in
            [Policy::default(), read(own).expect("own"), read("breaker: off").expect("off")]
        {
            let json = serde_json::to_string(&policy).expect("json");
            assert_eq!(serde_json::from_str::<Policy>(&json).expect("back"), policy, "{json}");
        }
        // As versions without back-off and breaker staged it.
        let old = r#"{"preempted":{"retry":1000,"exclude_node":false},"lost":{"retry":3,"exclude_node":false}}"#;
        assert_eq!(serde_json::from_str::<Policy>(old).expect("old"), Policy::default());
    }

    #[test]
    fn a_back_off_doubles_up_to_an_hour() {
        let policy = read("lost: { retry: 9, backoff: 5min }").expect("policy");
        let waits = [1, 2, 3, 4, 5, 99].map(|number| policy.backoff(EndKind::Lost, number, true));
        assert_eq!(waits, [300.0, 600.0, 1200.0, 2400.0, 3600.0, 3600.0]);
        let long = read("lost: { retry: 9, backoff: 2h }").expect("policy");
        assert_eq!(long.backoff(EndKind::Lost, 3, true), 7200.0);
        let none = read("lost: { retry: 9, backoff: 0 }").expect("policy");
        assert_eq!(none.backoff(EndKind::Lost, 3, true), 0.0);
        let usual = Policy::default();
        let of = |kind| (usual.backoff(kind, 1, true), usual.backoff(kind, 1, false));
        assert_eq!(of(EndKind::NodeFailed), (60.0, 0.0));
        assert_eq!(of(EndKind::TimedOut), (0.0, 0.0));
    }

    #[test]
    fn every_kind_of_end_has_its_word() {
        let policy = serde_json::to_value(Policy::default()).expect("json");
        for kind in EndKind::ALL {
            assert_eq!(EndKind::of_word(kind.word()), Some(kind));
            assert!(policy.get(kind.word()).is_some(), "{kind:?}");
        }
    }
}
