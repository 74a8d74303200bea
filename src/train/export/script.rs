//! The text of a TorchScript module around a traced network.
//!
//! Classes are nested as the names of the parameters are (`enc.0.conv1.weight`), so that
//! `state_dict()` in Python has the names of `model.safetensors`. `forward` takes raw values: it does
//! the contrast step and the normalisation, extends the image to whole strides as [`Network`] does, and
//! refuses with a sentence what the network cannot take.
//!
//! [`Network`]: crate::train::model::Network

use std::fmt::Write as _;

use crate::train::model::Parameters;
use crate::train::state;
use crate::worker::learner::{Array, LearnerError};

use super::archive::{Object, Value};
use super::trace::Traced;
use super::{Input, Preparation};

/// Class of the whole.
const ROOT: &str = "Network";

/// A level of names: what a class holds.
#[derive(Debug, Default)]
struct Node {
    tensors: Vec<(String, Array, bool)>,
    inner: Vec<(String, Node)>,
}

impl Node {
    fn insert(&mut self, path: &str, array: Array, is_trainable: bool) {
        let Some((first, rest)) = path.split_once('.') else {
            return self.tensors.push((path.to_owned(), array, is_trainable));
        };
        let found = self.inner.iter().position(|(name, _)| name == first);
        let at = found.unwrap_or_else(|| {
            self.inner.push((first.to_owned(), Self::default()));
            self.inner.len() - 1
        });
        self.inner[at].1.insert(rest, array, is_trainable);
    }

    /// Adds the classes of what is within and then its own, without methods.
    fn write(&self, class: &str, text: &mut String) {
        for (name, inner) in &self.inner {
            inner.write(&format!("{class}_{name}"), text);
        }
        let names = |trainable: bool| {
            let those = self.tensors.iter().filter(|(_, _, is)| *is == trainable);
            those.map(|(name, _, _)| format!("{name:?}, ")).collect::<String>()
        };
        let _ = writeln!(text, "class {class}(Module):");
        let _ = writeln!(text, "  __parameters__ = [{}]", names(true));
        let _ = writeln!(text, "  __buffers__ = [{}]", names(false));
        for (name, _, _) in &self.tensors {
            let _ = writeln!(text, "  {name} : Tensor");
        }
        let _ = writeln!(text, "  training : bool\n  _is_full_backward_hook : NoneType");
        for (name, _) in &self.inner {
            // The only way to write names such as `0`.
            let _ = writeln!(text, "  __annotations__[{name:?}] = __torch__.{class}_{name}");
        }
    }

    fn object(self, class: &str) -> Object {
        let mut fields = Vec::new();
        for (name, array, is_trainable) in self.tensors {
            fields.push((name, Value::Tensor { array, is_trainable }));
        }
        fields.push(("training".to_owned(), Value::True));
        fields.push(("_is_full_backward_hook".to_owned(), Value::None));
        for (name, inner) in self.inner {
            let object = inner.object(&format!("{class}_{name}"));
            fields.push((name, Value::Object(object)));
        }
        Object { class: class.to_owned(), fields }
    }
}

/// Returns the module and the text of its classes.
pub(super) fn module(
    parameters: &Parameters,
    traced: &Traced,
    preparation: &Preparation,
    input: &Input,
) -> Result<(Object, String), LearnerError> {
    let mut root = Node::default();
    for (name, array) in preparation.tensors() {
        root.insert(name, array, false);
    }
    let trainable = parameters.trainable().count();
    for (index, (name, tensor)) in parameters.everything().enumerate() {
        root.insert(name, state::array_of(tensor)?, index < trainable);
    }
    let mut text = String::new();
    root.write(ROOT, &mut text);
    text.push_str(&forward(preparation, input));
    text.push_str(&network(parameters, traced));
    Ok((root.object(ROOT), text))
}

/// `forward`: from raw values to logits.
fn forward(preparation: &Preparation, input: &Input) -> String {
    let Input { channels, stride, tile } = *input;
    let mut text = format!(
        "  def forward(self: __torch__.{ROOT},
    images: Tensor) -> Tensor:
    if torch.ne(torch.dim(images), 4):
      ops.prim.RaiseException(torch.format(\"images are [n, {channels}, height, width]; these have \
         {{}} dimensions\", torch.dim(images)), \"builtins.ValueError\")
    if torch.ne(torch.size(images, 1), {channels}):
      ops.prim.RaiseException(torch.format(\"this network takes {channels} channel(s); these images \
         have {{}}\", torch.size(images, 1)), \"builtins.ValueError\")
    if torch.__not__(torch.is_floating_point(images)):
      ops.prim.RaiseException(\"images hold numbers from 0 to 1, such as the values of 8 bits divided by \
         255; these hold integers\", \"builtins.ValueError\")
    height = torch.size(images, 2)
    width = torch.size(images, 3)
"
    );
    if let Some(tile) = tile {
        let _ = write!(
            text,
            "    if torch.__or__(torch.ne(height, {tile}), torch.ne(width, {tile})):
      ops.prim.RaiseException(torch.format(\"this network takes images of {tile} x {tile} pixels; these \
             have {{}} x {{}}: cut them into tiles\", height, width), \"builtins.ValueError\")
"
        );
    }
    text.push_str("    x = images\n");
    let Preparation { gain, offset, .. } = *preparation;
    if (gain, offset) != (1.0, 0.0) {
        let _ = writeln!(
            text,
            "    x = torch.clamp(torch.add(torch.mul(x, {gain:?}), {offset:?}), 0., 1.)"
        );
    }
    let _ = write!(
        text,
        "    x = torch.div(torch.sub(x, self.input_mean), self.input_std)
    below = torch.remainder(torch.neg(height), {stride})
    right = torch.remainder(torch.neg(width), {stride})
    if torch.__or__(torch.gt(below, 0), torch.gt(right, 0)):
      if torch.__and__(torch.lt(below, height), torch.lt(right, width)):
        x = torch.reflection_pad2d(x, [0, right, 0, below])
      else:
        x = torch.replication_pad2d(x, [0, right, 0, below])
"
    );
    text.push_str(if tile.is_none() {
        "    logits = self.network(x)\n"
    } else {
        // Attention was traced with the sizes of one image.
        "    every = annotate(List[Tensor], [])
    for i in range(torch.size(x, 0)):
      _0 = torch.append(every, self.network(torch.narrow(x, 0, i, 1)))
    logits = torch.cat(every)
"
    });
    text.push_str("    return torch.narrow(torch.narrow(logits, 2, 0, height), 3, 0, width)\n");
    text
}

/// `network`: what was traced, its weights taken from the module.
fn network(parameters: &Parameters, traced: &Traced) -> String {
    let (image, weights) = traced
        .inputs
        .split_first()
        .map_or(("x", &[][..]), |(image, weights)| (image.as_str(), weights));
    let mut text =
        format!("  def network(self: __torch__.{ROOT},\n    {image}: Tensor) -> Tensor:\n");
    for ((name, _), input) in parameters.everything().zip(weights) {
        let place = name
            .split('.')
            .fold("self".to_owned(), |inner, part| format!("getattr({inner}, {part:?})"));
        let _ = writeln!(text, "    {input} = {place}");
    }
    // Constants and what is made on the way go where the image is.
    let device = format!("ops.prim.device({image})");
    for line in &traced.body {
        let line = line.replace("torch.device(\"cpu\")", &device);
        let _ = writeln!(text, "{}", with_moved_constants(&line, &device));
    }
    text
}

/// Puts `CONSTANTS.c0` where the image is.
fn with_moved_constants(line: &str, device: &str) -> String {
    let mut parts = line.split("CONSTANTS.");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        let _ = write!(text, "torch.to(CONSTANTS.{name}, {device}){rest}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_moved_and_nothing_else_is_touched() {
        let line = "    _3 = torch.add(CONSTANTS.c0, torch.neg(CONSTANTS.c12), alpha=1)";
        let moved = "    _3 = torch.add(torch.to(CONSTANTS.c0, d), torch.neg(torch.to(CONSTANTS.c12, \
                     d)), alpha=1)";
        assert_eq!(with_moved_constants(line, "d"), moved);
        assert_eq!(with_moved_constants("    x = y", "d"), "    x = y");
    }
}
