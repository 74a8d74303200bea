//! The end of an attempt: its last record and the trial's result.

use std::time::Duration;

use super::{Attempt, AttemptError};
use crate::event::{Event, Outcome, StopReason};
use crate::worker::record::TrialResult;
use crate::worker::training::{Ending, words_of};

/// What is wrong when training is complete and cannot be saved.
const UNSAVED: &str = "trained to the end, but the disk refused the last checkpoint and even the weights; \
                       make room, then `regatta retry`: it goes on from the checkpoint before";

/// Tries to write the result, and the pause between them.
const RESULT_TRIES: u32 = 15;
const PAUSE: Duration = Duration::from_secs(2);

impl Attempt<'_> {
    /// Writes the last record and the result.
    pub(super) fn end(&mut self, worked: Result<Ending, AttemptError>) -> Outcome {
        let (outcome, reason, error) = match worked {
            Ok(Ending::Finished) => (Outcome::Finished, None, None),
            Ok(Ending::Stopped(reason)) => (outcome_of(reason), Some(reason), None),
            Ok(Ending::Unsaved) => (Outcome::Failed, None, Some(UNSAVED.to_owned())),
            Err(error) => {
                let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
                (Outcome::Failed, None, Some(format!("{error}{hint}")))
            }
        };
        let error =
            error.or_else(|| (outcome == Outcome::Diverged).then(|| self.divergence(reason)));
        if let Some(error) = &error {
            tracing::error!("{error}");
        }
        let cursor = self.state.cursor;
        self.recorder.0.borrow_mut().write_last(&Event::Ended {
            outcome,
            reason,
            cursor,
            elapsed: self.elapsed,
            time_left: self.time_left(),
            seconds_to_leave: self.seconds_to_leave,
            error: error.clone(),
        });
        if outcome != Outcome::Superseded {
            self.write_result(&self.result(outcome, reason, error));
        }
        match outcome {
            Outcome::Finished => tracing::info!("finished"),
            _ => tracing::info!("ended ({outcome:?}) at {cursor}"),
        }
        outcome
    }

    /// The journal has told already how it ended: a disk that keeps refusing costs no more than this.
    fn write_result(&self, result: &TrialResult) {
        for attempt in 1..=RESULT_TRIES {
            match result.write(&self.request.folder) {
                Ok(()) => return,
                Err(error) if attempt == RESULT_TRIES => {
                    tracing::warn!("failed to write result.json: {error}");
                }
                Err(_) => self.clock.sleep(PAUSE),
            }
        }
    }

    fn divergence(&self, reason: Option<StopReason>) -> String {
        let words = words_of(reason.unwrap_or(StopReason::Diverged));
        let rollbacks = match self.state.health.rollbacks {
            0 => String::new(),
            1 => "; it was rolled back once".to_owned(),
            times => format!("; it was rolled back {times} times"),
        };
        format!("{words}, at {}{rollbacks}", self.state.cursor)
    }

    fn result(
        &self,
        outcome: Outcome,
        reason: Option<StopReason>,
        error: Option<String>,
    ) -> TrialResult {
        let last = self.state.last.clone();
        TrialResult {
            trial: self.request.assignment.trial.id.clone(),
            attempt: self.number,
            outcome,
            reason,
            error,
            epochs: self.state.cursor.epoch - 1,
            metrics: last.as_ref().map(|last| last.metrics.clone()).unwrap_or_default(),
            weights_sha256: last.map(|last| last.weights_sha256),
            objective: self.request.assignment.objective.clone(),
            best_value: self.state.best.map(|best| best.value),
            best_epoch: self.state.best.map(|best| best.epoch),
            elapsed: self.elapsed,
        }
    }
}

fn outcome_of(reason: StopReason) -> Outcome {
    match reason {
        StopReason::Diverged | StopReason::Collapsed => Outcome::Diverged,
        StopReason::Superseded => Outcome::Superseded,
        StopReason::TrainTime => Outcome::Spent,
        _ => Outcome::Stopped,
    }
}
