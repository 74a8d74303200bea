//! What to do next with a trial: a pure decision over its state, its history and policy.

use jiff::{SignedDuration, Timestamp};

use super::ledger::{Fate, Ledger, Refusal};
use crate::id::TrialId;
use crate::store::{TrialRow, TrialState};
use crate::sweep::{EndKind, Policy};

/// How a worker begins to tell that attempts bring nothing any more.
pub(super) const NO_PROGRESS: &str = "failed: no progress: ";

/// What to do next with a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Submit it now.
    Submit(Again),
    /// Not before this moment.
    Wait {
        /// When.
        until: Timestamp,
        /// What for, in words.
        why: String,
    },
    /// Nothing, and nobody will by himself.
    Leave {
        /// Why, in words.
        why: String,
    },
}

/// The submission that a decision leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Again {
    /// The state that the trial is in.
    pub after: String,
    /// Which submission after this kind of end it is, from 1; 0: none of policy's.
    pub number: u32,
    /// How many policy allows; none: not policy's.
    pub of: Option<u32>,
}

/// What a decision rests on, beside the trial itself.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// What was submitted, and what came of it.
    pub ledger: &'a Ledger,
    /// What the sweep file says.
    pub policy: &'a Policy,
    /// Whether the usual back-off is kept where the sweep file names none. On one machine it would
    /// only cost time.
    pub usual_backoff: bool,
    /// Seconds of training that a trial may have in all.
    pub max_train_time: Option<f64>,
    /// Now.
    pub now: Timestamp,
}

impl Ground<'_> {
    /// Decides what policy does next with a trial.
    #[must_use]
    pub fn decide(&self, row: &TrialRow) -> Next {
        let leave = |why: &str| Next::Leave { why: why.to_owned() };
        if row.state.is_in_flight() {
            return leave("it is under way");
        }
        if row.state == TrialState::Finished {
            return leave("it is finished");
        }
        let cancelled = self.ledger.history(&row.trial).is_some_and(super::History::is_cancelled);
        if cancelled || row.state == TrialState::Cancelled {
            return leave("what was cancelled stays so until somebody resumes it");
        }
        if self.is_spent(row) {
            return leave("its max_train_time is used up");
        }
        match self.unsent(&row.trial) {
            Some(again) => self.when_there_is_room(again),
            None => self.by_policy(row),
        }
    }

    /// A submission that somebody or policy wanted, and that is still to be made.
    fn unsent(&self, trial: &TrialId) -> Option<Again> {
        let newest = self.ledger.submissions_of(trial).next()?;
        let Fate::Refused(Refusal::Limit | Refusal::Absent) = newest.fate else { return None };
        Some(match self.ledger.decision(trial, newest.token) {
            Some(decided) => {
                Again { after: decided.after.clone(), number: decided.number, of: decided.of }
            }
            None => Again { after: TrialState::Planned.word(), number: 0, of: None },
        })
    }

    fn when_there_is_room(&self, again: Again) -> Next {
        match self.ledger.limited().map(super::Limited::until) {
            Some(until) if until > self.now => {
                let why = "a limit of the site lets no more in".to_owned();
                Next::Wait { until, why }
            }
            _ => Next::Submit(again),
        }
    }

    fn by_policy(&self, row: &TrialRow) -> Next {
        let Some(kind) = EndKind::of_word(&row.state.word()) else {
            let why = "nothing was submitted that could be submitted again".to_owned();
            return Next::Leave { why };
        };
        if row.why.contains(NO_PROGRESS) {
            let why = "attempts without progress are not repeated blindly: see its log, then \
                       `regatta retry`";
            return Next::Leave { why: why.to_owned() };
        }
        let allowed = self.policy.of(kind).retry;
        let used = self.used(&row.trial, kind);
        if used >= allowed {
            let word = kind.word();
            let why = match allowed {
                0 => format!("policy submits nothing again after {word}"),
                _ => format!("policy's {allowed} submissions after {word} are used up"),
            };
            return Next::Leave { why };
        }
        let again = Again { after: kind.word().to_owned(), number: used + 1, of: Some(allowed) };
        let backoff = self.policy.backoff(kind, again.number, self.usual_backoff);
        match self.ended_at(row).and_then(|ended| later(ended, backoff)) {
            Some(until) if until > self.now => {
                let Again { number, .. } = again;
                let why = format!("back-off of {number} of {allowed} after {}", kind.word());
                Next::Wait { until, why }
            }
            _ => self.when_there_is_room(again),
        }
    }

    /// Submissions after this kind of end, since somebody last asked for one.
    #[must_use]
    pub fn used(&self, trial: &TrialId, kind: EndKind) -> u32 {
        let by_policy = self.ledger.decisions(trial).take_while(|decided| decided.of.is_some());
        let used = by_policy.filter(|decided| decided.after == kind.word()).count();
        u32::try_from(used).unwrap_or(u32::MAX)
    }

    /// When it ended, by the controller's clock: when something was last heard of it.
    fn ended_at(&self, row: &TrialRow) -> Option<Timestamp> {
        let holder = self.ledger.holder(&row.trial)?;
        let heard = row.heard_at.filter(|heard| *heard >= holder.at);
        heard.or_else(|| {
            let ends = self.ledger.history(&row.trial)?.ends();
            ends.iter().rev().find(|end| end.token == holder.token).map(|end| end.at)
        })
    }

    /// Says whether a trial's `max_train_time` is used up: another attempt would leave at once. A
    /// second of it, or a hundredth, is as good as nothing.
    pub(super) fn is_spent(&self, row: &TrialRow) -> bool {
        let spent = |(used, limit): (f64, f64)| used + (0.01 * limit).min(1.0) >= limit;
        row.elapsed.zip(self.max_train_time).is_some_and(spent)
    }
}

fn later(moment: Timestamp, seconds: f64) -> Option<Timestamp> {
    let wait = SignedDuration::try_from_secs_f64(seconds).ok()?;
    moment.checked_add(wait).ok()
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
