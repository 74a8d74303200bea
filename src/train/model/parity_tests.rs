//! Whole small networks against independent references: `scripts/parity.d/nets_conv.py`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use safetensors::SafeTensors;
use tch::{Device, Kind, Tensor};

use super::{Pass, build};
use crate::setting::Model;
use crate::train::state;
use crate::worker::learner::{Array, State};

/// Edge of the patches that the references are for.
pub(super) const EDGE: i64 = 64;

/// A file of tensors that a reference wrote, and the settings it was told.
pub(super) struct Reference {
    pub(super) settings: Model,
    pub(super) arrays: State,
}

impl Reference {
    pub(super) fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity");
        let bytes = std::fs::read(folder.join(format!("{name}.safetensors"))).expect("fixture");
        let (_, metadata) = SafeTensors::read_metadata(&bytes).expect("metadata");
        let texts = metadata.metadata().clone().expect("settings");
        let settings = serde_json::from_str(&texts["settings"]).expect("a model");
        let tensors = SafeTensors::deserialize(&bytes).expect("tensors");
        let arrays = tensors.tensors().into_iter().map(|(name, view)| {
            let (shape, bytes) = (view.shape().to_vec(), view.data().to_vec());
            (name, Array { dtype: view.dtype(), shape, bytes })
        });
        Self { settings, arrays: arrays.collect() }
    }

    pub(super) fn tensor(&self, name: &str) -> Tensor {
        let array = self.arrays.get(name).unwrap_or_else(|| panic!("`{name}` is missing"));
        let shape: Vec<i64> = array.shape.iter().map(|size| *size as i64).collect();
        Tensor::from_data_size(&array.bytes, &shape, Kind::Float)
    }

    /// Tensors whose names begin with `prefix`, by what follows.
    fn under<'a>(&'a self, prefix: &'a str) -> BTreeMap<&'a str, Tensor> {
        let names = self.arrays.keys().filter_map(move |name| name.strip_prefix(prefix));
        names.map(|name| (name, self.tensor(&format!("{prefix}{name}")))).collect()
    }
}

pub(super) fn most(tensor: &Tensor) -> f64 {
    tensor.abs().max().double_value(&[])
}

/// Says that no value differs by more than 1e-5 of `scale`, and by how much of it one does.
pub(super) fn assert_close(what: &str, ours: &Tensor, theirs: &Tensor, scale: f64) -> f64 {
    assert_eq!(ours.size(), theirs.size(), "{what}");
    let relative = most(&(ours - theirs)) / scale;
    assert!(relative <= 1e-5, "{what} differs by {relative:e} of {scale:e}");
    relative
}

pub(super) fn check(name: &str) {
    let reference = Reference::read(name);
    let (network, mut parameters) =
        build(&reference.settings, EDGE, 1, Device::Cpu).expect("network");
    // Every weight of ours is in the file, or `restore` fails, and every one of the file is ours.
    parameters.restore(&reference.arrays).expect("weights");
    let mut saved = State::new();
    parameters.save(&mut saved).expect("saved");
    let model = |state: &State| -> BTreeSet<String> {
        state.keys().filter(|name| name.starts_with("model.")).cloned().collect()
    };
    assert_eq!(model(&saved), model(&reference.arrays));

    let input = reference.tensor("input").set_requires_grad(true);
    let logits = tch::no_grad(|| network.forward(&input, Pass::Evaluate)).expect("forward");
    let mut worst = 0.0_f64;
    let mut close = |what: &str, ours: &Tensor, theirs: &Tensor, scale: f64| {
        worst = worst.max(assert_close(what, ours, theirs, scale));
    };
    let same = |name: &str| (reference.tensor(name), most(&reference.tensor(name)));
    let (theirs, scale) = same("eval");
    close("eval", &logits, &theirs, scale);
    let pass = Pass::Train { seed: 1, epoch: 1, step: 0 };
    let logits = network.forward(&input, pass).expect("forward");
    let (theirs, scale) = same("train");
    close("train", &logits, &theirs, scale);
    (logits * reference.tensor("probe")).sum(Kind::Float).backward();
    let (theirs, scale) = same("grad.input");
    close("grad.input", &input.grad(), &theirs, scale);
    let gradients = reference.under("grad.");
    assert_eq!(gradients.len(), parameters.trainable().count() + 1);
    for (name, tensor) in parameters.trainable() {
        // Weight and bias of a layer sum the same values. In some these cancel each other, as in a bias
        // that a normalisation takes away: what is left is the rounding of the layer's sums.
        let layer = name.rsplit_once('.').expect("a layer").0;
        let of_layer = gradients.iter().filter(|(name, _)| name.starts_with(layer));
        let scale = of_layer.map(|(_, theirs)| most(theirs)).fold(0.0, f64::max);
        close(name, &tensor.grad(), &gradients[name], scale);
    }
    parameters.save(&mut saved).expect("saved");
    for (name, theirs) in reference.under("after.") {
        let mut ours = theirs.zeros_like();
        state::fill(&mut ours, &saved[&format!("model.{name}")]).expect("filled");
        close(name, &ours, &theirs, most(&theirs));
    }
    println!("{name}: {} values, at most {worst:.1e} off", parameters.count_all());
}

#[test]
fn networks_of_the_papers_layout_agree() {
    for name in ["unet", "attention_unet", "attention_resunet", "convnext_unet"] {
        check(&format!("net_{name}_paper"));
    }
}

#[test]
fn networks_of_the_earlier_layout_agree() {
    for name in ["unet", "attention_unet", "attention_resunet", "convnext_unet"] {
        check(&format!("net_{name}_earlier"));
    }
}
