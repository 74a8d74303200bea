//! Losses and their slopes against autograd of PyTorch in double precision.

use serde_json::Value;
use tch::Tensor;

use super::{LossSums, loss};
use crate::setting::Loss;

const REFERENCE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/training_losses.json"));

#[expect(clippy::cast_possible_truncation, reason = "the fixture holds 32-bit numbers")]
fn tensor(values: &Value, shape: &[i64]) -> Tensor {
    let values: Vec<f32> = values
        .as_array()
        .expect("numbers")
        .iter()
        .map(|value| value.as_f64().expect("a number") as f32)
        .collect();
    Tensor::from_slice(&values).view(shape)
}

#[test]
fn losses_and_their_slopes_are_those_of_the_reference() {
    let all: Value = serde_json::from_str(REFERENCE).expect("JSON");
    let shape: Vec<i64> = serde_json::from_value(all["shape"].clone()).expect("shape");
    let (start, truth) = (tensor(&all["logits"], &shape), tensor(&all["truth"], &shape));
    let cases = all["cases"].as_array().expect("cases");
    assert!(cases.len() >= 15);
    for case in cases {
        // Left out in the fixture: parts of weight 0, and the defaults of the settings.
        let mut weights = serde_json::json!({
            "bce": 0.0, "dice": 0.0, "focal": 0.0, "tversky": 0.0, "focal_tversky": 0.0,
            "focal_gamma": 2.0, "focal_alpha": null, "tversky_alpha": 0.3, "tversky_beta": 0.7,
            "focal_tversky_gamma": 4.0 / 3.0,
        });
        for (name, value) in case["weights"].as_object().expect("weights") {
            weights[name] = value.clone();
        }
        let weights: Loss = serde_json::from_value(weights).expect("weights");
        let logits = start.copy().set_requires_grad(true);
        let computed = loss(&logits, &truth, &weights).expect("loss");
        computed.backward();
        let expected = case["loss"].as_f64().expect("a loss");
        let near = |value: f64| (value - expected).abs() <= 1e-5 * expected;
        assert!(near(computed.double_value(&[])), "{weights:?}: {computed:?} {expected}");

        let mut sums = LossSums::new(&weights);
        for sample in 0..shape[0] {
            sums.add(&start.get(sample), &truth.get(sample)).expect("sums");
        }
        assert!(near(sums.loss()), "{weights:?}: {} {expected}", sums.loss());

        let slopes = tensor(&case["gradient"], &shape);
        let apart = (logits.grad() - &slopes).abs().max().double_value(&[]);
        assert!(apart <= 1e-5 * slopes.abs().max().double_value(&[]), "{weights:?}: {apart}");
    }
}
