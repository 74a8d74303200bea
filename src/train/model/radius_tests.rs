//! What networks say of how far they see, tried by changing one pixel.

use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use super::{Network, Parameters, Pass, build};

fn network(model: &Value) -> (Box<dyn Network>, Parameters) {
    let given = json!({ "model": model, "data": { "path": "/d" } });
    let resolved = crate::setting::resolve(given.as_object().expect("object")).expect("settings");
    let settings = crate::setting::Settings::from_resolved(&resolved).expect("typed");
    build(&settings.model, 64, 5, Device::Cpu).expect("network")
}

fn image(side: i64) -> Tensor {
    let mut draw = crate::train::draw::Draw::new(3, "radius", 0, 0);
    let values: Vec<f32> = (0..side * side).map(|_| draw.normal() as f32).collect();
    Tensor::from_slice(&values).view([1, 1, side, side])
}

/// Rows and columns between a changed pixel and the farthest logit that follows it.
fn farthest(network: &dyn Network, side: i64, place: i64) -> i64 {
    let before = image(side);
    let after = before.copy();
    let _ = after.narrow(2, place, 1).narrow(3, place, 1).fill_(30.0);
    let logits = |image: &Tensor| network.forward(image, Pass::Evaluate).expect("logits");
    // Far below what a pixel does, above what sums in another order do.
    let changed = (logits(&after) - logits(&before)).abs().gt(1e-5).view([side, side]);
    let mut most = 0;
    for axis in [0, 1] {
        let lines = changed.any_dim(axis, false).to_kind(Kind::Int64);
        let lines: Vec<i64> = Vec::try_from(lines).expect("numbers");
        let there = (0..side).filter(|at| lines[usize::try_from(*at).expect("small")] == 1);
        most = there.map(|at| (at - place).abs()).fold(most, i64::max);
    }
    most
}

#[test]
fn a_pixel_beyond_the_radius_changes_nothing_and_one_well_within_it_does() {
    let mut models = vec![
        json!({ "name": "unet", "depth": 1 }),
        json!({ "name": "unet", "depth": 2 }),
        json!({ "name": "attention_unet", "depth": 1 }),
        json!({ "name": "attention_unet", "depth": 2 }),
        json!({ "name": "attention_resunet", "depth": 2 }),
    ];
    for model in &mut models {
        model["base"] = json!(8);
    }
    models.push(json!({ "name": "convnext_unet", "embed": 4, "depths": [1, 1],
                        "decoder_depth": 1, "layer_scale": 1.0 }));
    for model in models {
        for variant in ["paper", "earlier"] {
            let mut model = model.clone();
            model["variant"] = json!(variant);
            let (network, parameters) = network(&model);
            if model["name"] == "convnext_unet" && variant == "earlier" {
                // Its small initial weights would hide a pixel behind the last digit of the logits.
                for (_, weight) in parameters.trainable().filter(|(_, t)| t.dim() > 1) {
                    let _ = tch::no_grad(|| weight.shallow_clone().g_mul_scalar_(10.0));
                }
            }
            let radius = network.receptive_radius().expect("a radius");
            let side = 160;
            // Pixels at every place of a cell of the deepest level, about the middle.
            let seen = (76..84).map(|place| farthest(network.as_ref(), side, place));
            let seen = seen.max().expect("places");
            assert!(radius < 76, "{model}: the image is too small for {radius}");
            assert!(seen <= radius, "{model}: changed {seen} away, said {radius}");
            assert!(seen > radius / 2, "{model}: changed {seen} away only, said {radius}");
        }
    }
}

#[test]
fn a_u_net_of_the_usual_depth_sees_as_far_as_is_counted_by_hand() {
    let (network, _parameters) = network(&json!({ "name": "unet", "base": 2, "depth": 4 }));
    // Two convolutions at strides 1, 2, 4, 8 on each side, two at 16, and 15 within a place of those.
    assert_eq!(network.receptive_radius(), Some(2 * 2 * 15 + 2 * 16 + 15));
    let swin = json!({ "name": "swin_unet", "embed": 8, "depths": [1, 1], "heads": [1, 1],
                       "window": 4 });
    let (network, _parameters) = self::network(&swin);
    assert_eq!((network.receptive_radius(), network.grid()), (None, 32));
}
