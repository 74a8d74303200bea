//! Settings as programs use them. Ranges and defaults stand in the table, not here.

mod data;
mod model;
mod schedule;
mod training;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use data::{Augmentation, Blocks, Data, Folds, Split, SplitBy};
pub use model::{CoatnetUnet, ConvnextUnet, Layout, Model, SwinUnet, Toy, UShape};
pub use schedule::{Plateau, Schedule};
pub use training::{Action, Adam, Guards, Loss, Optimizer, Sgd};

/// All settings of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The network.
    pub model: Model,
    /// The data; none for the toy.
    pub data: Option<Data>,
    /// The loss; none for the toy.
    pub loss: Option<Loss>,
    /// How weights are updated.
    pub optimizer: Optimizer,
    /// Learning rate over time.
    pub schedule: Schedule,
    /// Random changes; none for the toy.
    pub augmentation: Option<Augmentation>,
    /// When to give up.
    pub guards: Guards,
    /// Passes over the data.
    pub epochs: u64,
    /// Patches in a minibatch.
    pub batch_size: u64,
    /// Random crops in an epoch, instead of the grid.
    pub samples_per_epoch: Option<u64>,
    /// Minibatches whose gradients are averaged for one optimizer update.
    pub gradient_accumulation: u64,
}

impl Settings {
    /// Reads resolved settings.
    ///
    /// # Errors
    /// When they were not resolved by this version's table.
    pub fn from_resolved(resolved: &Map<String, Value>) -> serde_json::Result<Self> {
        Self::deserialize(Value::Object(super::complete(resolved)))
    }
}
