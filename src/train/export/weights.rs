//! `model.safetensors`: parameters and buffers under the names of a PyTorch state dict.

use std::collections::HashMap;

use safetensors::tensor::TensorView;

use crate::train::model::Parameters;
use crate::train::state;
use crate::worker::learner::{Array, LearnerError};

use super::{Facts, Preparation};

/// The one key of the metadata: several would be written in random order, and the same network must
/// give the same file.
const KEY: &str = "regatta";

/// Writes the file: `enc.0.conv1.weight` and so on, and `input_mean` and `input_std`, which raw values in
/// `[0, 1]` are normalised by. The metadata's key `regatta` holds what `model.json` holds.
pub(super) fn write(
    parameters: &Parameters,
    preparation: &Preparation,
    facts: &Facts,
) -> Result<Vec<u8>, LearnerError> {
    let failed = |error: &dyn std::fmt::Display| LearnerError::Library {
        what: format!("the weights cannot be written: {error}"),
    };
    let mut arrays: Vec<(String, Array)> = Vec::new();
    for (name, tensor) in parameters.everything() {
        arrays.push((name.to_owned(), state::array_of(tensor)?));
    }
    arrays.extend(preparation.tensors().map(|(name, array)| (name.to_owned(), array)));
    let mut views = Vec::new();
    for (name, array) in &arrays {
        let view = TensorView::new(array.dtype, array.shape.clone(), &array.bytes);
        views.push((name.as_str(), view.map_err(|error| failed(&error))?));
    }
    let metadata = facts.json().map_err(|error| failed(&error))?;
    let metadata = HashMap::from([(KEY.to_owned(), metadata)]);
    safetensors::serialize(views, Some(metadata)).map_err(|error| failed(&error))
}
