//! What the analysis knows of a trial: its epochs and how it stands.

use crate::metric::{Metrics, Objective};

/// What one epoch says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: u64,
    /// The objective; none where it was not recorded or is not finite.
    pub value: Option<f64>,
    /// `val/loss`, likewise.
    pub val_loss: Option<f64>,
    /// `train/loss`, likewise.
    pub train_loss: Option<f64>,
    /// Whether one of the losses was recorded and is not finite.
    pub is_not_finite: bool,
    /// Whether the network does not tell foreground from background; none where nothing says so.
    pub is_blind: Option<bool>,
    /// Whether the network has learnt; none where there is no Jaccard index. Never where it is blind.
    pub has_learnt: Option<bool>,
    /// Seconds of training and evaluation.
    pub seconds: Option<f64>,
    /// Training samples a second.
    pub images_per_second: Option<f64>,
}

impl Epoch {
    /// Reads an epoch's metrics.
    #[must_use]
    pub fn new(epoch: u64, metrics: &Metrics, objective: &Objective) -> Self {
        let is_lost = |name| metrics.has(name) && metrics.get(name).is_none();
        Self {
            epoch,
            value: metrics.get(&objective.metric),
            val_loss: metrics.get("val/loss"),
            train_loss: metrics.get("train/loss"),
            is_not_finite: is_lost("val/loss") || is_lost("train/loss"),
            is_blind: metrics.is_blind(),
            has_learnt: metrics.has_learnt(),
            seconds: None,
            images_per_second: None,
        }
    }

    /// Validation loss less training loss.
    #[must_use]
    pub fn gap(&self) -> Option<f64> {
        Some(self.val_loss? - self.train_loss?)
    }
}

/// How a trial stands, as far as the analysis asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Training is complete.
    Finished,
    /// The worker ended it because training diverged.
    Diverged,
    /// The worker ended it because its network had collapsed.
    Collapsed,
    /// It ended in another way before it was complete.
    Broken,
    /// It goes on, or has not begun.
    #[default]
    Open,
}

/// What is known of a trial beside its epochs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Life {
    /// How it stands.
    pub standing: Standing,
    /// Training seconds of those attempts that told of their end.
    pub elapsed: Option<f64>,
    /// Trainable parameters of its network.
    pub network_parameters: Option<u64>,
    /// Times that weights of an earlier epoch were put back after divergence or collapse.
    pub rollbacks: u64,
    /// Whether `guards.patience` ended it.
    pub ended_early: bool,
}
