//! What the loop asks of a learner: the seam between the workshop and the annex.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::event::{Cursor, Fingerprint};
use crate::metric::Metrics;

/// Something that can be trained step by step, saved and restored exactly.
///
/// Everything random inside is a function of (seed, epoch, step or sample), never of what was
/// computed before: a learner restored at a cursor goes on bit for bit.
pub trait Learner {
    /// Returns what it is.
    fn describe(&self) -> Description;

    /// Returns what a user should know before training, such as leakage between splits.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Does one optimizer update, the one after `cursor`, with this learning rate; returns the mean
    /// loss of its minibatches. Where the gradients are not finite, weights and optimizer stay as they
    /// are and NaN is returned.
    ///
    /// # Errors
    /// When data cannot be read, memory does not suffice, or the library fails. A loss that is not
    /// finite is no error: the loop's guard judges it.
    fn train_step(&mut self, cursor: Cursor, learning_rate: f64) -> Result<f64, LearnerError>;

    /// Returns to the state before the first step: weights drawn from the seed, moments of zero.
    ///
    /// # Errors
    /// When the library fails.
    fn reset(&mut self) -> Result<(), LearnerError>;

    /// Evaluates on the validation data. Asks `go_on` between pieces of work and returns `None` when
    /// told to stop; nothing is then changed.
    ///
    /// # Errors
    /// As for [`Self::train_step`].
    fn evaluate(
        &mut self,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Metrics>, LearnerError>;

    /// Returns everything that training depends on: weights and buffers as `model.…`, moments of the
    /// optimizer as `optimizer.…`.
    ///
    /// # Errors
    /// When the library fails.
    fn state(&self) -> Result<State, LearnerError>;

    /// Takes back what [`Self::state`] gave.
    ///
    /// # Errors
    /// When an array is missing, or of another shape or kind.
    fn restore(&mut self, state: &State) -> Result<(), LearnerError>;
}

/// What a learner is.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Number of trainable parameters.
    pub parameters: u64,
    /// `cpu` or the name of the device.
    pub device: String,
    /// Threads used for computing.
    pub threads: u32,
    /// Name and version of the library.
    pub library: String,
    /// The files it trains on.
    pub data: Option<Fingerprint>,
    /// Fraction of the training pixels that is foreground; none where there are no pixels.
    pub train_density: Option<f64>,
    /// Optimizer updates in an epoch.
    pub steps_per_epoch: u64,
    /// Training samples in an epoch.
    pub samples_per_epoch: u64,
}

/// Named arrays.
pub type State = BTreeMap<String, Array>;

/// Returns the bytes of all arrays: about the size of a checkpoint.
#[must_use]
pub fn state_bytes(state: &State) -> u64 {
    state.values().map(|array| array.bytes.len() as u64).sum()
}

/// An array in the row-major, little-endian form of safetensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Kind of the elements.
    pub dtype: safetensors::Dtype,
    /// Sizes.
    pub shape: Vec<usize>,
    /// The elements' bytes.
    pub bytes: Vec<u8>,
}

impl Array {
    /// Makes an array of 64-bit floats.
    #[must_use]
    pub fn of_f64(values: &[f64]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dtype: safetensors::Dtype::F64, shape: vec![values.len()], bytes }
    }

    /// Returns the values of an array of 64-bit floats; `None` for other kinds.
    #[must_use]
    pub fn as_f64(&self) -> Option<Vec<f64>> {
        (self.dtype == safetensors::Dtype::F64).then(|| {
            let (chunks, _) = self.bytes.as_chunks::<8>();
            chunks.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect()
        })
    }
}

/// Why a learner cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LearnerError {
    /// Something is wrong with the data.
    #[error("{}: {what}", path.display())]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The settings ask for something that cannot be.
    #[error("{setting}: {what}")]
    Setting {
        /// Dotted path of the setting.
        setting: String,
        /// What is wrong.
        what: String,
    },
    /// Memory does not suffice.
    #[error("out of memory: {what}")]
    OutOfMemory {
        /// In the library's words.
        what: String,
    },
    /// A saved state does not fit this learner.
    #[error("the saved state does not fit: {what}")]
    Misfit {
        /// What is missing or different.
        what: String,
    },
    /// The library failed.
    #[error("{what}")]
    Library {
        /// In the library's words.
        what: String,
    },
}
