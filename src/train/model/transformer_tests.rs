//! Tests of the two networks with attention, in both variants.

use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use super::{Network, Parameters, Pass, build, build_into};
use crate::setting::Model;

const TRAIN: Pass = Pass::Train { seed: 1, epoch: 1, step: 0 };
const NEXT: Pass = Pass::Train { seed: 1, epoch: 1, step: 1 };
/// Edge of the patches that the small networks are for.
const EDGE: i64 = 64;

/// Settings as a sweep gives them, with their defaults.
fn settings(model: &Value) -> Model {
    let given = json!({ "model": model, "data": { "path": "/d" } });
    let resolved = crate::setting::resolve(given.as_object().expect("object")).expect("settings");
    crate::setting::Settings::from_resolved(&resolved).expect("typed").model
}

fn small(name: &str, variant: &str, more: Value) -> Model {
    let mut model = json!({ "name": name, "variant": variant, "decoder_depth": 2 });
    let own = match name {
        "swin_unet" => json!({ "embed": 8, "depths": [2, 2, 2], "heads": [1, 2, 4] }),
        _ => json!({ "embed": 8, "depths": [1, 2, 2, 1], "head_width": 8 }),
    };
    if name == "swin_unet" && variant == "paper" {
        model["window"] = json!(4);
    }
    for part in [own, more] {
        for (key, value) in part.as_object().expect("object") {
            model[key] = value.clone();
        }
    }
    settings(&model)
}

/// Every network in every variant.
fn all(more: Value) -> Vec<(String, Model)> {
    let names = ["swin_unet", "coatnet_unet"];
    let pairs =
        names.into_iter().flat_map(|name| ["paper", "earlier"].map(|variant| (name, variant)));
    pairs
        .map(|(name, variant)| (format!("{name} {variant}"), small(name, variant, more.clone())))
        .collect()
}

fn built(model: &Model) -> (Box<dyn Network>, Parameters) {
    build(model, EDGE, 7, Device::Cpu).expect("network")
}

/// Numbers that repeat nowhere.
fn image(shape: [i64; 4]) -> Tensor {
    let numel: i64 = shape.iter().product();
    (Tensor::arange(numel, (Kind::Float, Device::Cpu)) * 0.7).sin().view(shape)
}

fn counted(model: &Value) -> Parameters {
    let mut parameters = Parameters::outline();
    build_into(&settings(model), 256, &mut parameters).expect("network");
    parameters
}

#[test]
fn the_earlier_layouts_have_the_numbers_of_parameters_that_were_reported() {
    let swin = counted(&json!({ "name": "swin_unet", "variant": "earlier", "channels": 3 }));
    assert_eq!(swin.count(), 34_164_673);
    let coatnet = counted(&json!({ "name": "coatnet_unet", "variant": "earlier", "channels": 3 }));
    assert_eq!(coatnet.count_all(), 15_165_249);
}

#[test]
fn any_size_goes_in_and_the_same_size_comes_out() {
    for (name, model) in all(json!({ "channels": 3 })) {
        let (network, _) = built(&model);
        for (height, width) in [(64, 64), (37, 70), (5, 9), (1, 1)] {
            let output = network.forward(&image([2, 3, height, width]), Pass::Evaluate);
            let output = output.expect("forward");
            assert_eq!(output.size(), [2, 1, height, width], "{name}");
            assert!(output.isfinite().all().int64_value(&[]) == 1, "{name} {height} {width}");
        }
    }
}

#[test]
fn a_gradient_reaches_every_parameter_and_is_the_same_each_time() {
    for (name, model) in all(json!({ "drop_path": 0.2 })) {
        let gradients = |pass| -> Vec<(String, Tensor)> {
            let (network, parameters) = built(&model);
            let output = network.forward(&image([3, 1, 64, 64]), pass).expect("forward");
            (output.sin() * image([3, 1, 64, 64])).mean(Kind::Float).backward();
            parameters.trainable().map(|(name, tensor)| (name.to_owned(), tensor.grad())).collect()
        };
        let first = gradients(TRAIN);
        for (parameter, gradient) in &first {
            assert!(gradient.defined(), "{name}: {parameter}");
            // A bias that a batch normalisation takes away again has no gradient but rounding; a key's
            // bias changes all scores of a query alike. Neither is a whole tensor here.
            assert!(gradient.abs().max().double_value(&[]) > 0.0, "{name}: {parameter}");
        }
        assert!(first == gradients(TRAIN), "{name} is not the same twice");
        assert!(first != gradients(NEXT), "{name} drops no paths");
    }
}

#[test]
fn dropout_depends_on_the_step_and_is_off_in_use() {
    for variant in ["paper", "earlier"] {
        let (network, _) = built(&small("coatnet_unet", variant, json!({ "dropout": 0.3 })));
        let go = |pass| network.forward(&image([1, 1, 64, 64]), pass).expect("forward");
        assert_eq!(go(TRAIN), go(TRAIN));
        assert_ne!(go(TRAIN), go(NEXT));
        assert_eq!(go(Pass::Evaluate), go(Pass::Evaluate));
    }
}

/// Returns where the output changes when one pixel of the input does, as (row, column).
fn reached(network: &dyn Network, size: i64, at: i64) -> Vec<(i64, i64)> {
    let before = image([1, 1, size, size]);
    let after = before.copy();
    let _ = after.select(2, at).select(2, at).fill_(5.0);
    let _guard = tch::no_grad_guard();
    let go = |x: &Tensor| network.forward(x, Pass::Evaluate).expect("forward");
    let changed = (go(&before) - go(&after)).abs().gt(0.0).squeeze().nonzero();
    Vec::<Vec<i64>>::try_from(changed).expect("places").iter().map(|at| (at[0], at[1])).collect()
}

#[test]
fn shifted_windows_look_over_borders_but_not_around_the_edge() {
    let model = |depth: i64| {
        let more =
            json!({ "depths": [depth, 1], "heads": [1, 1], "window": 4, "decoder_depth": 1 });
        small("swin_unet", "paper", more)
    };
    // Windows of 4 tokens are 16 pixels at the first level, 32 at the second; the decoder's last block
    // is not shifted. Without shifted blocks a change stays in the 32 pixels of its window.
    let (network, _) = built(&model(1));
    let here = reached(network.as_ref(), 128, 4);
    assert!(!here.is_empty() && here.iter().all(|at| at.0 < 32 && at.1 < 32));
    // With one it comes 16 pixels further in, and never out on the other side.
    let (network, _) = built(&model(2));
    let here = reached(network.as_ref(), 128, 24);
    assert!(here.iter().any(|at| at.0 >= 32) && here.iter().all(|at| at.0 < 64 && at.1 < 64));
    let corner = reached(network.as_ref(), 128, 1);
    assert!(!corner.is_empty() && corner.iter().all(|at| at.0 < 64 && at.1 < 64));
}

#[test]
fn only_networks_with_windows_take_images_of_any_size_at_once() {
    for (name, model) in all(json!({})) {
        let expected = (name != "swin_unet paper").then_some(EDGE);
        assert_eq!(built(&model).0.largest_piece(), expected, "{name}");
    }
}

#[test]
fn a_pattern_that_moves_by_whole_windows_moves_in_the_output() {
    let (network, _) = built(&small("swin_unet", "paper", json!({})));
    // 16 pixels a token at the deepest level, 4 tokens a window. What the edges do ends before 128.
    let period = 64;
    let tile = image([1, 1, period, period]).repeat([1, 1, 6, 6]);
    let output = network.forward(&tile, Pass::Evaluate).expect("forward");
    let part = |from: i64| output.narrow(2, from, period).narrow(3, from, period);
    let difference = (part(128) - part(192)).abs().max().double_value(&[]);
    assert!(difference < 1e-5, "{difference}");
}

#[test]
fn every_network_learns_one_minibatch_by_heart() {
    // Discs of three sizes in noise.
    let at = |axis: i64| {
        let line = Tensor::arange(64, (Kind::Float, Device::Cpu)) - 31.5;
        if axis == 0 { line.view([1, 1, 64, 1]) } else { line.view([1, 1, 1, 64]) }
    };
    let radius = Tensor::from_slice(&[8.0_f32, 14.0, 20.0]).view([3, 1, 1, 1]);
    let truth = (at(0).square() + at(1).square()).sqrt().lt_tensor(&radius).to_kind(Kind::Float);
    let images = &truth + image([3, 1, 64, 64]);
    for (name, model) in all(json!({})) {
        let (network, mut parameters) = built(&model);
        let mut losses = Vec::new();
        for step in 0..120 {
            let pass = Pass::Train { seed: 1, epoch: 1, step };
            let logits = network.forward(&images, pass).expect("forward");
            let none = None::<&Tensor>;
            let mean = tch::Reduction::Mean;
            let loss = logits.binary_cross_entropy_with_logits(&truth, none, none, mean);
            loss.backward();
            losses.push(loss.double_value(&[]));
            // Each weight moves by the same step, which shrinks.
            let _guard = tch::no_grad_guard();
            let length = 4e-3 * (1.0 - step as f64 / 120.0);
            for (_, tensor) in parameters.trainable_mut() {
                let mut gradient = tensor.grad();
                let _ = tensor.f_sub_(&(gradient.sign() * length)).expect("a step");
                let _ = gradient.f_zero_().expect("zero");
            }
        }
        println!("{name}: {} to {}", losses[0], losses[119]);
        assert!(losses[119] < 0.25 * losses[0], "{name}: {} to {}", losses[0], losses[119]);
    }
}
