//! How long work takes.

use serde::{Deserialize, Serialize};

/// Durations of one kind of work, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How many were measured.
    pub count: f64,
    /// Their mean.
    pub mean: f64,
    /// Their variance (seconds squared).
    pub variance: f64,
}

/// Durations of the kinds of work that an attempt does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// An optimizer update.
    pub step: Spread,
    /// An evaluation.
    pub evaluation: Spread,
    /// A checkpoint, until it is on disk.
    pub checkpoint: Spread,
}
