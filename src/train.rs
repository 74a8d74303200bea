//! The annex: everything that touches libtorch, and the images it learns from.
//!
//! [`NetLearner`] is what the worker trains: a network ([`model`]), its data ([`data`]), a loss
//! ([`loss`]) and an optimizer ([`optim`]). [`predict`] writes masks with a trained state,
//! [`export`] gives the network away, and [`check`] looks before a sweep is submitted; [`synth`] draws data for newcomers and tests.
//!
//! Everything random is drawn from a [`draw::Draw`], a function of (seed, purpose, epoch, index);
//! libtorch's own generator is never asked. So a learner restored at a cursor goes on bit for bit.

pub mod check;
pub mod data;
pub mod draw;
mod evaluate;
pub mod export;
pub mod learner;
pub mod loss;
pub mod model;
pub mod optim;
pub mod predict;
mod prefetch;
mod state;
pub mod synth;

pub use learner::NetLearner;

use crate::worker::learner::LearnerError;

impl From<tch::TchError> for LearnerError {
    fn from(error: tch::TchError) -> Self {
        let text = match error {
            tch::TchError::Torch(text) => text,
            other => other.to_string(),
        };
        let lower = text.to_lowercase();
        // What follows the first line is a C++ backtrace, which helps nobody at a terminal.
        let what = text.lines().next().unwrap_or_default().trim().to_owned();
        if lower.contains("out of memory") || lower.contains("can't allocate memory") {
            Self::OutOfMemory { what }
        } else {
            Self::Library { what }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_does_not_suffice_is_told_apart_from_other_failures() {
        let error = |text: &str| LearnerError::from(tch::TchError::Torch(text.to_owned()));
        let cpu = error("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9\nframe #0");
        assert!(matches!(cpu, LearnerError::OutOfMemory { ref what } if !what.contains("frame")));
        assert!(matches!(error("CUDA out of memory."), LearnerError::OutOfMemory { .. }));
        assert!(matches!(error("shape mismatch"), LearnerError::Library { .. }));
    }
}
