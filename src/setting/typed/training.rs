//! What is minimised, how weights are updated, how fast, and when that ends.

use serde::{Deserialize, Serialize};

/// Weights of the parts of the loss, and what shapes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Weight of binary cross-entropy.
    pub bce: f64,
    /// Weight of soft Dice.
    pub dice: f64,
    /// Weight of the focal loss.
    pub focal: f64,
    /// Weight of the Tversky loss.
    pub tversky: f64,
    /// Weight of the focal Tversky loss.
    pub focal_tversky: f64,
    /// Exponent of the focal loss.
    pub focal_gamma: f64,
    /// Weight of foreground in the focal loss.
    pub focal_alpha: Option<f64>,
    /// Weight of false positives in the Tversky index.
    pub tversky_alpha: f64,
    /// Weight of false negatives in the Tversky index.
    pub tversky_beta: f64,
    /// Gamma of the focal Tversky loss.
    pub focal_tversky_gamma: f64,
}

/// How weights are updated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Optimizer {
    /// AdamW.
    Adamw(Adam),
    /// Adam, whose decay is part of the gradient.
    Adam(Adam),
    /// Stochastic gradient descent with momentum.
    Sgd(Sgd),
}

/// Settings of Adam and AdamW.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Largest norm of all gradients together.
    pub clip_norm: Option<f64>,
    /// Penalty on the kernels of convolutions.
    pub l2_conv: f64,
}

/// Settings of stochastic gradient descent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the velocity.
    pub momentum: f64,
    /// Whether to look ahead along the velocity.
    pub nesterov: bool,
    /// Weight decay.
    pub weight_decay: f64,
    /// Largest norm of all gradients together.
    pub clip_norm: Option<f64>,
    /// Penalty on the kernels of convolutions.
    pub l2_conv: f64,
}

impl Optimizer {
    /// Returns the base learning rate.
    #[must_use]
    pub fn lr(&self) -> f64 {
        match self {
            Self::Adamw(adam) | Self::Adam(adam) => adam.lr,
            Self::Sgd(sgd) => sgd.lr,
        }
    }

    /// Returns the largest norm of all gradients together; none where they are not clipped.
    #[must_use]
    pub fn clip_norm(&self) -> Option<f64> {
        match self {
            Self::Adamw(adam) | Self::Adam(adam) => adam.clip_norm,
            Self::Sgd(sgd) => sgd.clip_norm,
        }
    }

    /// Returns the penalty on the kernels of convolutions.
    #[must_use]
    pub fn l2_conv(&self) -> f64 {
        match self {
            Self::Adamw(adam) | Self::Adam(adam) => adam.l2_conv,
            Self::Sgd(sgd) => sgd.l2_conv,
        }
    }
}

/// When to give up, and when to try again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guards {
    /// A loss above this, or not a number, is divergence.
    pub max_loss: f64,
    /// Epochs without improvement after which training is complete.
    pub patience: Option<u64>,
    /// What must improve.
    pub metric: String,
    /// Least improvement that counts.
    pub min_delta: f64,
    /// Whether the weights of the best epoch are left.
    pub restore_best: bool,
    /// Epochs in a row of a collapsed network that are divergence; 0: never.
    pub collapse_epochs: u64,
    /// What is done at divergence and collapse.
    pub action: Action,
    /// Times that a trial is rolled back at most.
    pub rollbacks: u32,
    /// What the learning rate is multiplied by at each rollback.
    pub rollback_factor: f64,
}

/// What is done at divergence and collapse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Training ends.
    Stop,
    /// Training goes on from the best checkpoint with a smaller learning rate.
    Rollback,
}
