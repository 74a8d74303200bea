//! Twenty updates against `torch.optim` and `torch.nn.utils.clip_grad_norm_`.

use serde_json::{Value, json};
use tch::{Kind, Tensor};

use super::Optimizer;
use crate::setting;
use crate::train::model::Parameters;

const REFERENCE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/training_optimizers.json"));

#[expect(clippy::cast_possible_truncation, reason = "the fixture holds 32-bit numbers")]
fn tensor(values: &Value, shape: &Value) -> Tensor {
    let shape: Vec<i64> = serde_json::from_value(shape.clone()).expect("shape");
    let values: Vec<f32> = values
        .as_array()
        .expect("numbers")
        .iter()
        .map(|value| value.as_f64().expect("a number") as f32)
        .collect();
    Tensor::from_slice(&values).view(shape.as_slice())
}

/// Of another size each step, as schedules make it.
fn rate(base: f64, step: usize) -> f64 {
    base * (1.0 - f64::from(u32::try_from(step).expect("few")) / 40.0)
}

#[test]
fn twenty_updates_are_those_of_the_reference() {
    let all: Value = serde_json::from_str(REFERENCE).expect("JSON");
    let shapes = all["shapes"].as_object().expect("shapes");
    let cases = all["cases"].as_array().expect("cases");
    let gradients = all["gradients"].as_array().expect("gradients");
    assert!(cases.len() >= 14 && gradients.len() == 20);
    let mut clipped = 0;
    for case in cases {
        let mut settings = case["settings"].clone();
        for (name, default) in [("clip_norm", Value::Null), ("l2_conv", json!(0.0))] {
            if settings.get(name).is_none() {
                settings[name] = default;
            }
        }
        let settings: setting::Optimizer = serde_json::from_value(settings).expect("settings");
        let start =
            shapes.iter().map(|(name, of)| (name.as_str(), tensor(&all["start"][name], of)));
        let mut parameters = Parameters::of(start).expect("parameters");
        let mut optimizer = Optimizer::new(&settings, &parameters).expect("optimizer");
        for (step, gradient) in gradients.iter().enumerate() {
            for (name, parameter) in parameters.trainable() {
                let gradient = tensor(&gradient[name], &shapes[name]);
                (parameter * gradient).sum(Kind::Float).backward();
            }
            let update = optimizer.step(&mut parameters, rate(settings.lr(), step)).expect("step");
            let norm = case["after"]["norms"][step].as_f64().expect("a norm");
            assert!((update.norm - norm).abs() <= 1e-5 * norm, "{settings:?} {step}");
            clipped += u32::from(settings.clip_norm().is_some_and(|largest| norm > largest));
            let expected = &case["after"]["parameters"][(step + 1).to_string()];
            for (name, parameter) in parameters.trainable().filter(|_| !expected.is_null()) {
                let expected = tensor(&expected[name], &shapes[name]);
                let apart = (parameter - &expected).abs().max().double_value(&[]);
                let largest = expected.abs().max().double_value(&[]);
                assert!(apart <= 1e-5 * largest, "{settings:?} {name} {step}: {apart}");
            }
        }
    }
    assert!(clipped > 10, "clipping was not tried");
}
