//! The end of an epoch: evaluation, what it says, and who is told.

use crate::event::{Cursor, Event, StopReason};
use crate::metric::Metrics;
use crate::setting::Schedule;

use super::{Training, timed};
use crate::worker::callback::Wish;
use crate::worker::checkpoint::{Best, EpochValues, weights_sha256};
use crate::worker::learner::LearnerError;
use crate::worker::plateau::Plateau;

impl Training<'_> {
    /// The evaluation that ends an epoch. Interrupted, it will be done from its beginning.
    pub(super) fn evaluate(&mut self) -> Result<Wish, LearnerError> {
        let mut wish = Wish::Continue;
        let callbacks = &mut *self.tools.callbacks;
        let mut go_on = || {
            wish = wish.max(callbacks.poll());
            !matches!(wish, Wish::Stop(_))
        };
        let (metrics, seconds) =
            timed(self.tools.clock, || self.tools.learner.evaluate(&mut go_on));
        match metrics? {
            Some(metrics) => Ok(self.end_epoch(metrics, seconds)?.max(wish)),
            None => Ok(wish),
        }
    }

    fn end_epoch(&mut self, mut metrics: Metrics, seconds: f64) -> Result<Wish, LearnerError> {
        let epoch = self.state.cursor.epoch;
        let per_epoch = self.tools.description.steps_per_epoch;
        let step = epoch * per_epoch;
        metrics.set("train/loss", mean(self.state.loss_sum, per_epoch));
        metrics.set("train/learning_rate", self.learning_rate(step - 1));
        let wish = self.check_objective(&metrics);
        let value = metrics.get(&self.tools.objective.metric);
        let is_best = self.note_best(epoch, value);
        if let Schedule::Plateau(settings) = &self.tools.settings.schedule {
            let before = self.state.plateau.unwrap_or_else(Plateau::start);
            self.state.plateau = Some(before.after(settings, &metrics));
        }
        self.state.health = self.state.health.after(&self.tools.settings.guards, &metrics);
        let weights_sha256 = weights_sha256(&self.copied()?.arrays);
        self.state.last = Some(EpochValues {
            epoch,
            metrics: metrics.clone(),
            weights_sha256: weights_sha256.clone(),
        });
        self.state.cursor = Cursor { epoch: epoch + 1, step: 0 };
        self.state.loss_sum = 0.0;
        let train_seconds = std::mem::take(&mut self.worked.epoch_seconds);
        let event = Event::EpochEnded {
            epoch,
            step,
            metrics,
            weights_sha256,
            train_seconds,
            eval_seconds: seconds,
            images_per_second: rate(self.tools.description.samples_per_epoch, train_seconds),
            is_best,
        };
        let wish = self.tools.callbacks.on(&event).max(wish);
        if self.tools.callbacks.outlook().journal_fails {
            self.unrecorded.push(event);
        } else {
            self.unrecorded.clear();
        }
        Ok(wish.max(self.judge()))
    }

    /// Says what the health of the network asks for.
    fn judge(&mut self) -> Wish {
        let health = self.state.health;
        if let Some(text) = health.learns_nothing() {
            self.tools.callbacks.on(&Event::Warning { text });
        }
        if health.has_collapsed(&self.tools.settings.guards) {
            return Wish::Stop(StopReason::Collapsed);
        }
        Wish::Continue
    }

    /// A misspelt objective would make a sweep without a best trial: say so after one epoch.
    fn check_objective(&mut self, metrics: &Metrics) -> Wish {
        let wanted = &self.tools.objective.metric;
        if self.state.cursor.epoch > 1 || metrics.iter().any(|(name, _)| name == wanted) {
            return Wish::Continue;
        }
        let known: Vec<_> = metrics.iter().map(|(name, _)| name).collect();
        let text = format!("no metric is called {wanted}; there are {}", known.join(", "));
        self.tools.callbacks.on(&Event::Warning { text })
    }

    fn note_best(&mut self, epoch: u64, value: Option<f64>) -> bool {
        let before = self.state.best.map(|best| best.value);
        let is_best = self.tools.objective.direction.improves(value, before);
        if let (true, Some(value)) = (is_best, value) {
            self.state.best = Some(Best { epoch, value });
        }
        is_best
    }
}

#[expect(clippy::cast_precision_loss, reason = "steps stay far below 2^53")]
fn mean(sum: f64, count: u64) -> f64 {
    sum / count as f64
}

/// Samples a second; 0 where no time passed, since a journal holds no infinity.
#[expect(clippy::cast_precision_loss, reason = "samples stay far below 2^53")]
fn rate(samples: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { samples as f64 / seconds } else { 0.0 }
}
