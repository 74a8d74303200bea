//! What befell a trial, as the controller's journal tells.

use jiff::{SignedDuration, Timestamp};

use crate::id::Token;
use crate::scheduler::TaskEnd;
use crate::sweep::EndKind;

/// The first wait for room under a limit of the site; twice as long after each vain try.
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(60);
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(15);

/// What befell a trial.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Places of its submissions in the ledger, the oldest first.
    pub(super) submissions: Vec<usize>,
    /// Places of the decisions to submit it again, the oldest first.
    pub(super) decided: Vec<usize>,
    /// How its tasks ended, the oldest first.
    pub(super) ends: Vec<Ended>,
    /// Whether somebody cancelled it since it was last submitted.
    pub(super) cancelled: bool,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The submission.
    pub token: Token,
    /// When the controller heard it.
    pub at: Timestamp,
    /// The kind of end, where it is one after which policy asks.
    pub kind: Option<EndKind>,
    /// The node, in the scheduler's words.
    pub node: Option<String>,
}

/// Why a trial was submitted again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The submission.
    pub token: Token,
    /// The state that it had ended in.
    pub after: String,
    /// Which submission after this kind of end it was.
    pub number: u32,
    /// How many policy allowed; none: somebody asked for it.
    pub of: Option<u32>,
}

/// A limit of the site that nothing passes at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// When it was last met.
    pub at: Timestamp,
    /// Times in a row that not even one task was let in.
    pub tries: u32,
}

impl Limited {
    /// Returns when it is worth trying again.
    #[must_use]
    pub fn until(self) -> Timestamp {
        let doublings = self.tries.saturating_sub(1).min(10);
        let wait = match self.tries {
            0 => SignedDuration::ZERO,
            _ => (FIRST_WAIT * (1 << doublings)).min(LONGEST_WAIT),
        };
        self.at.checked_add(wait).unwrap_or(self.at)
    }
}

impl History {
    pub(super) fn ended(
        &mut self,
        token: Token,
        at: Timestamp,
        word: &str,
        node: Option<&str>,
        judged: Option<&str>,
    ) {
        let by_word = || match TaskEnd::of_word(word)? {
            TaskEnd::TimedOut => Some(EndKind::TimedOut),
            TaskEnd::OutOfMemory => Some(EndKind::OutOfMemory),
            TaskEnd::NodeFailed => Some(EndKind::NodeFailed),
            TaskEnd::Preempted => Some(EndKind::Preempted),
            // A worker that stops with a checkpoint fails in the scheduler's eyes.
            TaskEnd::Failed | TaskEnd::Completed | TaskEnd::Cancelled => None,
        };
        let kind = judged.and_then(EndKind::of_word).or_else(by_word);
        self.ends.push(Ended { token, at, kind, node: node.and_then(node_name) });
    }

    /// How its tasks ended, the oldest first.
    #[must_use]
    pub fn ends(&self) -> &[Ended] {
        &self.ends
    }

    /// Whether somebody cancelled it since it was last submitted.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }
}

/// A name that may stand behind `--exclude`: of one node, with nothing in it that means more.
fn node_name(text: &str) -> Option<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    (begins && text.len() <= 64 && text.chars().all(good)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_one_node_is_believed() {
        assert_eq!(node_name("gpu-n3.cluster").as_deref(), Some("gpu-n3.cluster"));
        for bad in ["", "n[1-3]", "n1,n2", "-x", "n1 --partition=high", "n1\n", "None assigned"] {
            assert_eq!(node_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn waiting_for_room_grows_and_has_an_end() {
        let at = Timestamp::from_second(1000).expect("moment");
        let waits = [0, 1, 2, 3, 5, 99]
            .map(|tries| Limited { at, tries }.until().duration_since(at).as_secs());
        assert_eq!(waits, [0, 60, 120, 240, 900, 900]);
    }
}
