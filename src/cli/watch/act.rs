//! What keys can have done: the verbs `cancel`, `resume` and `retry`, on a sweep or a trial.

use crate::cli::gate::Gate;
use crate::cli::{Context, Failure, cancel, resume};
use crate::id::TrialId;

/// Digits of a trial's identity that are shown.
pub(super) const DIGITS: usize = 8;

/// A verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Cancel,
    Resume,
    Retry,
}

impl Verb {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Resume => "resume",
            Self::Retry => "retry",
        }
    }
}

/// A verb with what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) verb: Verb,
    pub(super) sweep: String,
    /// None: the whole sweep.
    pub(super) trial: Option<TrialId>,
}

impl Act {
    /// The words of the command line that does the same.
    pub(super) fn words(&self) -> String {
        format!("{} {}", self.verb.word(), self.object())
    }

    /// The same for a line of the view.
    pub(super) fn in_short(&self) -> String {
        let Self { verb, sweep, trial } = self;
        let trial = trial.as_ref().map(|trial| format!("/{}", &trial.as_str()[..DIGITS]));
        format!("{} of {sweep}{}", verb.word(), trial.unwrap_or_default())
    }

    fn object(&self) -> String {
        let Self { sweep, trial, .. } = self;
        trial.as_ref().map_or(sweep.clone(), |trial| format!("{sweep}/{trial}"))
    }

    /// What it does, in a sentence.
    pub(super) fn meaning(&self) -> &'static str {
        match (self.verb, self.trial.is_some()) {
            (Verb::Cancel, _) => {
                "What runs saves a checkpoint first if it has the time. Nothing starts it again but resume."
            }
            (Verb::Resume, true) => {
                "It goes on from its last checkpoint, also if it was cancelled."
            }
            (Verb::Resume, false) => {
                "What was preempted, timed out, lost or never submitted goes on; cancelled and failed \
                 trials stay as they are."
            }
            (Verb::Retry, true) => "It is submitted again, from its checkpoint if it has one.",
            (Verb::Retry, false) => {
                "What failed, diverged or ran out of memory is submitted again, from its checkpoint if \
                 there is one."
            }
        }
    }

    /// Does it, as the command line would.
    pub(super) async fn perform(&self, ctx: &Context, gate: &Gate) -> Result<(), Failure> {
        use resume::Ends;
        let (word, gate) = (self.object(), gate.clone());
        match self.verb {
            Verb::Cancel => cancel::run(ctx, &cancel::Args::of(word, gate)).await,
            Verb::Resume => resume::run(ctx, &resume::Args::of(word, gate), Ends::Stopped).await,
            Verb::Retry => resume::run(ctx, &resume::Args::of(word, gate), Ends::Failed).await,
        }
        .map(|_| ())
    }
}
