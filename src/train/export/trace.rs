//! What a network computes, written down by libtorch's tracer.
//!
//! The tracer keeps every tensor that it was not told of as a constant, and every size as a number. So
//! the weights go in as inputs, beside the image, and keep their names; and networks of convolutions
//! ask for no size where the image's sides divide by their stride. What a network makes from numbers of
//! its own while it is traced would come out as zeros, as the tracer does not see it being filled: masks
//! of windows are made by a first call.

use std::path::Path;

use tch::{CModule, Tensor};

use crate::layout::{self, Limit};
use crate::train::model::{Network, Parameters, Pass};
use crate::worker::learner::LearnerError;

use super::archive::{self, File};

/// A network as statements of TorchScript.
#[derive(Debug)]
pub(super) struct Traced {
    /// Names of what goes in: the image, then parameters and buffers in their order.
    pub(super) inputs: Vec<String>,
    /// The statements, a line each; the last one returns the logits.
    pub(super) body: Vec<String>,
    /// The files of constants that the statements name.
    pub(super) constants: Vec<File>,
}

/// Traces the network on `image`; libtorch writes what it finds into `folder`.
pub(super) fn trace(
    network: &dyn Network,
    parameters: &Parameters,
    image: &Tensor,
    folder: &Path,
) -> Result<Traced, LearnerError> {
    let _guard = tch::no_grad_guard();
    let weights = parameters.everything().map(|(_, tensor)| tensor.shallow_clone());
    let inputs: Vec<Tensor> = std::iter::once(image.shallow_clone()).chain(weights).collect();
    let _ = network.forward(image, Pass::Evaluate)?;
    let mut failure = None;
    let mut run = |inputs: &[Tensor]| {
        let output = network.forward(&inputs[0], Pass::Evaluate);
        // Tracing must come to its end, whatever happens.
        vec![output.unwrap_or_else(|error| {
            failure = Some(error);
            inputs[0].shallow_clone()
        })]
    };
    let module = CModule::create_by_tracing("__torch__.Traced", "network", &inputs, &mut run)?;
    if let Some(error) = failure {
        return Err(error.into());
    }
    let path = folder.join("traced.pt");
    module.save(&path)?;
    let bytes = layout::read_limited(&path, Limit::TENSORS);
    let bytes = bytes.and_then(|bytes| layout::remove(&path).map(|()| bytes));
    let bytes = bytes.map_err(|error| unknown(&format!("{}: {error}", path.display())))?;
    parse(archive::read(&bytes)?, inputs.len())
}

fn parse(files: Vec<File>, inputs: usize) -> Result<Traced, LearnerError> {
    let code = files.iter().find(|(name, _)| name == "code/__torch__.py");
    let code = code.ok_or_else(|| unknown("no text"))?;
    let code = String::from_utf8_lossy(&code.1).into_owned();
    let (_, method) = code.split_once("def network(self: __torch__.Traced,").unwrap_or_default();
    let (head, body) = method.split_once(") -> Tensor:").unwrap_or_default();
    let names = head.split(',').filter_map(|input| input.trim().strip_suffix(": Tensor"));
    let names: Vec<String> = names.map(str::to_owned).collect();
    if names.len() != inputs {
        return Err(unknown(&format!("{} inputs instead of {inputs}", names.len())));
    }
    let body = body.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    let is_constant = |(name, _): &File| name.starts_with("constants");
    let constants = files.into_iter().filter(is_constant).collect();
    Ok(Traced { inputs: names, body, constants })
}

fn unknown(what: &str) -> LearnerError {
    LearnerError::Library { what: format!("the tracer's archive is not as expected: {what}") }
}
