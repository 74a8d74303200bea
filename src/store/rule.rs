//! The rules by which a trial's state follows from evidence, each with a name and one line.

use serde::Serialize;

/// Which rule decided how a trial stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// No submission.
    NothingSubmitted,
    /// The newest submission was refused.
    SubmissionRefused,
    /// The newest submission was refused for a limit.
    SubmissionLimited,
    /// The newest submission never arrived.
    SubmissionNeverArrived,
    /// Cancelled before anything ran.
    CancelledBeforeBegin,
    /// An intent without an answer.
    AnswerUnheard,
    /// In the queue.
    InQueue,
    /// Accepted, not asked since.
    NotAskedYet,
    /// Accepted, and the scheduler does not show it yet.
    NotKnownYet,
    /// Accepted, and never seen.
    VanishedBeforeBegin,
    /// The scheduler runs it, the worker has not written.
    Starting,
    /// Ended before the worker wrote.
    EndedBeforeBegin,
    /// Completed, and the worker never wrote.
    CompletedWithoutWorker,
    /// An earlier attempt reached the end.
    FinishedEarlier,
    /// The worker's last word: finished.
    WorkerFinished,
    /// The worker's last word: diverged.
    WorkerDiverged,
    /// The worker's last word: failed.
    WorkerFailed,
    /// The worker's last word: `max_train_time` is used up.
    WorkerSpent,
    /// The worker's last word is of another version.
    WorkerWordUnknown,
    /// Left for another attempt that is not there.
    LeftForNobody,
    /// Stopped, and a cancel of ours stands.
    CancelledByRegatta,
    /// Stopped at a cancel mark.
    CancelledByMark,
    /// Stopped by Ctrl-C.
    CancelledByHand,
    /// Ended by the scheduler's cancel that is not ours.
    CancelledByScancel,
    /// Stopped, and the scheduler starts it again.
    StoppedComesBack,
    /// Stopped, and the scheduler was not asked since.
    StoppedNotAsked,
    /// Stopped, the worker's reason decides.
    StoppedByReason,
    /// Stopped, the scheduler's word decides.
    StoppedBySchedulersWord,
    /// At work.
    Working,
    /// Silent or killed, and the scheduler starts it again.
    QueuedAgain,
    /// The scheduler tells of an end, the worker's last word may come.
    LastWordOnTheWay,
    /// The scheduler says completed, the worker's last word never came.
    LastWordMissing,
    /// No last word, the scheduler's word decides.
    KilledBySchedulersWord,
    /// No last word, and the scheduler's exit code tells of memory.
    OutOfMemoryByExitCode,
    /// Nobody knows of it and it is silent.
    Vanished,
    /// No scheduler knows of it and it is silent.
    SilentByHand,
    /// A word that this version does not know.
    SchedulersWordUnknown,
}

impl Rule {
    /// All rules, in the order of the documentation.
    pub const ALL: [Self; 37] = [
        Self::NothingSubmitted,
        Self::SubmissionRefused,
        Self::SubmissionLimited,
        Self::SubmissionNeverArrived,
        Self::CancelledBeforeBegin,
        Self::AnswerUnheard,
        Self::InQueue,
        Self::NotAskedYet,
        Self::NotKnownYet,
        Self::VanishedBeforeBegin,
        Self::Starting,
        Self::EndedBeforeBegin,
        Self::CompletedWithoutWorker,
        Self::FinishedEarlier,
        Self::WorkerFinished,
        Self::WorkerDiverged,
        Self::WorkerFailed,
        Self::WorkerSpent,
        Self::WorkerWordUnknown,
        Self::LeftForNobody,
        Self::CancelledByRegatta,
        Self::CancelledByMark,
        Self::CancelledByHand,
        Self::CancelledByScancel,
        Self::StoppedComesBack,
        Self::StoppedNotAsked,
        Self::StoppedByReason,
        Self::StoppedBySchedulersWord,
        Self::Working,
        Self::QueuedAgain,
        Self::LastWordOnTheWay,
        Self::LastWordMissing,
        Self::KilledBySchedulersWord,
        Self::OutOfMemoryByExitCode,
        Self::Vanished,
        Self::SilentByHand,
        Self::SchedulersWordUnknown,
    ];

    /// Returns its name, as in JSON and in the documentation.
    #[must_use]
    pub fn name(self) -> String {
        super::word(self)
    }

    /// Returns what it says, in one line.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::NothingSubmitted => "no submission is written down: the trial is planned",
            Self::SubmissionRefused => "what the scheduler refused was never submitted",
            Self::SubmissionLimited => {
                "a limit of the site let no more in: policy submits it when there is room"
            }
            Self::SubmissionNeverArrived => {
                "an intent of which the scheduler knows nothing never arrived: policy submits it again"
            }
            Self::CancelledBeforeBegin => "somebody cancelled it before a worker wrote",
            Self::AnswerUnheard => {
                "nobody heard whether the scheduler took it: it counts as in flight until it is found"
            }
            Self::InQueue => "the scheduler has it in its queue",
            Self::NotAskedYet => "accepted, and the scheduler was not asked since",
            Self::NotKnownYet => "accepted only now: not to be shown yet does not mean gone",
            Self::VanishedBeforeBegin => {
                "accepted more than two minutes ago, unknown to the scheduler, and no worker wrote"
            }
            Self::Starting => "the scheduler runs it, and the worker has not written yet",
            Self::EndedBeforeBegin => {
                "no worker wrote, so the scheduler's word for the end decides"
            }
            Self::CompletedWithoutWorker => {
                "COMPLETED without a word of the worker proves no training: nothing is believed"
            }
            Self::FinishedEarlier => "an attempt before this submission had reached the end",
            Self::WorkerFinished => "the worker's last word decides, whatever the scheduler says",
            Self::WorkerDiverged => "the worker's last word decides: training diverged",
            Self::WorkerFailed => "the worker's last word decides: an error ended it",
            Self::WorkerSpent => "the worker's last word decides: max_train_time is used up",
            Self::WorkerWordUnknown => {
                "the worker's last word is of another version: shown as it is"
            }
            Self::LeftForNobody => "every attempt left for another one, and that one is not there",
            Self::CancelledByRegatta => {
                "it stopped after `regatta cancel`, of which the journal tells by whom"
            }
            Self::CancelledByMark => "the worker stopped because a cancel mark stood in its folder",
            Self::CancelledByHand => "the worker was interrupted with Ctrl-C",
            Self::CancelledByScancel => {
                "the scheduler says CANCELLED and no `regatta cancel` is written down: scancel"
            }
            Self::StoppedComesBack => {
                "stopped with a checkpoint, and the scheduler will start the same job again"
            }
            Self::StoppedNotAsked => {
                "stopped with a checkpoint; whether the job comes back was not asked since"
            }
            Self::StoppedByReason => {
                "stopped with a checkpoint; the scheduler tells nothing more, so the worker's reason decides"
            }
            Self::StoppedBySchedulersWord => {
                "stopped with a checkpoint; the scheduler's word says what for"
            }
            Self::Working => "nothing speaks against the attempt being at work",
            Self::QueuedAgain => "no last word, and the scheduler has the job in its queue again",
            Self::LastWordOnTheWay => {
                "the scheduler tells of an end, and the worker's last word may be on its way"
            }
            Self::LastWordMissing => {
                "COMPLETED, and the worker's last word has not come for ten minutes: not believed"
            }
            Self::KilledBySchedulersWord => {
                "no last word of the worker, so the scheduler's word for the end decides"
            }
            Self::OutOfMemoryByExitCode => {
                "exit code 0:125 is SLURM's own mark of a task over its memory"
            }
            Self::Vanished => {
                "unknown to the scheduler here, and nothing was heard from the worker for ten minutes, or since the sweep was moved"
            }
            Self::SilentByHand => {
                "no scheduler ran it, and nothing was heard from the worker for ten minutes"
            }
            Self::SchedulersWordUnknown => {
                "the scheduler's word is not known to this version: shown, never taken for an end"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_its_own_name_and_meaning() {
        let names: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        let meanings: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.meaning()).collect();
        assert_eq!((names.len(), meanings.len()), (Rule::ALL.len(), Rule::ALL.len()));
    }

    #[test]
    fn the_documentation_has_them_all() {
        let page = include_str!("../../docs/states.md");
        for rule in Rule::ALL {
            let line = format!("| `{}` | {} |", rule.name(), rule.meaning());
            assert!(page.contains(&line), "docs/states.md lacks {line}");
        }
    }
}
