//! Exported modules against what PyTorch computed with them: `scripts/parity-export --write`.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::SafeTensors;
use serde_json::{Value, json};
use tch::{CModule, Kind, Tensor};

use super::tests::{exported, trained};
use super::*;

/// What `model.safetensors` held, and an image with the logits that Python's `torch.jit.load` gave.
#[test]
fn pytorch_gave_the_same_logits_with_an_exported_module() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export");
    for name in ["unet", "swin_unet"] {
        let bytes = std::fs::read(folder.join(format!("{name}.safetensors"))).expect("fixture");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("header");
        let facts: Value =
            serde_json::from_str(&header.metadata().clone().expect("metadata")["regatta"])
                .expect("facts");
        let tensors = SafeTensors::deserialize(&bytes).expect("tensors");
        let arrays: BTreeMap<String, Array> = tensors
            .tensors()
            .into_iter()
            .map(|(name, view)| {
                let (shape, bytes) = (view.shape().to_vec(), view.data().to_vec());
                (name, Array { dtype: view.dtype(), shape, bytes })
            })
            .collect();
        let tensor = |name: &str| {
            let Array { shape, bytes, .. } = &arrays[name];
            let shape: Vec<i64> = shape.iter().map(|side| *side as i64).collect();
            Tensor::from_data_size(bytes, &shape, Kind::Float)
        };
        let input = &facts["input"];
        let data = json!({
            "patch": input["patch"],
            "contrast_gain": input["contrast_gain"],
            "contrast_offset": input["contrast_offset"],
        });
        let mut trained = trained(&facts["network"]["model"], data);
        for (name, array) in &arrays {
            trained.state.insert(format!("model.{name}"), array.clone());
        }
        for (name, key) in [("input_mean", "mean"), ("input_std", "deviation")] {
            let value = input[key].as_f64().expect("a number");
            trained.state.insert(format!("model.{name}"), Array::of_f64(&[value]));
        }
        let (images, theirs) = (tensor("fixture.input"), tensor("fixture.output"));
        let largest = theirs.abs().max().double_value(&[]);
        let (home, _) = exported(&trained);
        let module = CModule::load(home.path().join("model/model.pt")).expect("module");
        let built = Built::of(&trained).expect("trained");
        let again = tch::no_grad(|| module.forward_ts(&[&images])).expect("logits");
        for (what, ours) in [("module", again), ("network", built.logits(&images).expect("logits"))]
        {
            assert_eq!(ours.size(), theirs.size());
            let difference = (ours - &theirs).abs().max().double_value(&[]) / largest;
            assert!(difference <= TOLERANCE, "{name}, {what}: {difference:e}");
        }
    }
}
