//! Going back to the best epoch: after divergence or collapse, and at an early end.

use crate::event::{Cursor, Event, StopReason};

use super::Training;
use crate::worker::callback::Wish;
use crate::worker::checkpoint::Saved;
use crate::worker::learner::LearnerError;

impl Training<'_> {
    /// Puts weights and moments of the best epoch back and goes on with a smaller learning rate: with
    /// the epoch that diverged, or after the one that showed the collapse. Where no epoch has ended yet,
    /// the learner begins anew. Wishes for a checkpoint, or for what was wished where the best
    /// epoch cannot be read.
    pub(super) fn roll_back(&mut self, wish: Wish) -> Result<Wish, LearnerError> {
        let Wish::Stop(reason) = wish else { return Ok(wish) };
        let best = self.state.best;
        if let Some(best) = best {
            let Some(saved) = self.best_saved() else {
                let epoch = best.epoch;
                let text = format!("no rollback: the checkpoint of epoch {epoch} cannot be read");
                self.tools.callbacks.on(&Event::Warning { text });
                return Ok(wish);
            };
            self.tools.learner.restore(&saved.arrays)?;
            self.state.last = saved.manifest.state.last;
        } else {
            self.tools.learner.reset()?;
            self.state.last = None;
        }
        let from = self.state.cursor;
        self.copy = None;
        self.state.health = self.state.health.rolled_back(&self.tools.settings.guards);
        self.state.cursor = Cursor { step: 0, ..from };
        self.state.loss_sum = 0.0;
        self.worked.epoch_seconds = 0.0;
        let event = Event::RolledBack {
            reason,
            from,
            to_epoch: best.map_or(0, |best| best.epoch),
            rollbacks: self.state.health.rollbacks,
            learning_rate_factor: self.state.health.factor,
        };
        let wish = self.tools.callbacks.on(&event);
        Ok(wish.max(Wish::Checkpoint))
    }

    /// Where patience ended training: puts the weights of the best epoch back, if that is wanted, and
    /// tells.
    pub(super) fn end_early(&mut self) -> Result<(), LearnerError> {
        let guards = &self.tools.settings.guards;
        if !self.state.health.is_over(guards) || self.state.health.restored {
            return Ok(());
        }
        let epoch = self.state.cursor.epoch - 1;
        let best_epoch = self.state.best.map(|best| best.epoch);
        let mut restored = guards.restore_best && best_epoch == Some(epoch);
        if guards.restore_best && !restored && best_epoch.is_some() {
            match self.best_saved() {
                Some(saved) => {
                    self.tools.learner.restore(&saved.arrays)?;
                    self.copy = None;
                    self.state.last = saved.manifest.state.last;
                    self.state.health.restored = true;
                    restored = true;
                }
                None => {
                    let text =
                        "the checkpoint of the best epoch cannot be read: the weights of the \
                                last one stay"
                            .to_owned();
                    self.tools.callbacks.on(&Event::Warning { text });
                }
            }
        }
        let (metric, since) = (guards.metric.clone(), epoch - self.state.health.bad.min(epoch));
        let event = Event::EndedEarly { epoch, metric, since, best_epoch, restored };
        self.tools.callbacks.on(&event);
        Ok(())
    }

    /// Reads the checkpoint of the best epoch, which may still be on its way to the disk.
    fn best_saved(&mut self) -> Option<Saved> {
        let events = self.tools.keeper.finish();
        self.tell(&events);
        let found = self.tools.shelf.of_epoch(self.state.best?, self.tools.clock);
        found.map_err(|why| tracing::warn!("{why}")).ok().flatten()
    }
}

/// In words, for the end of a trial.
pub(in crate::worker) fn words_of(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Collapsed => {
            "the network has collapsed: it had learnt, and now finds nearly nothing, or takes nearly \
             everything for foreground; lower `optimizer.lr`, or let `guards.action: rollback` do it"
        }
        _ => {
            "the training loss, or a gradient, is not a number or beyond guards.max_loss; lower \
             `optimizer.lr`, or let `guards.action: rollback` do it"
        }
    }
}
