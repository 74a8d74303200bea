//! What every network must do, whatever it is made of.

use tch::{Device, Kind, Tensor};

use super::{Parameters, Pass, build, build_into};
use crate::setting::{Adam, ConvnextUnet, Layout, Model, Optimizer, UShape};
use crate::train::optim;
use crate::worker::learner::State;

/// Edge of the patches: these networks do not care.
const EDGE: i64 = 64;
const TRAIN: Pass = Pass::Train { seed: 1, epoch: 1, step: 0 };

fn ushape(base: i64, depth: i64, channels: i64, dropout: f64, variant: Layout) -> UShape {
    UShape { base, depth, channels, dropout, variant }
}

fn convnext(embed: i64, depths: &[i64], channels: i64, drop_path: f64, variant: Layout) -> Model {
    let (depths, decoder_depth, layer_scale) = (depths.to_vec(), 3, 1e-6);
    let net =
        ConvnextUnet { embed, depths, decoder_depth, channels, layer_scale, drop_path, variant };
    Model::ConvnextUnet(net)
}

/// Every network in small, in both layouts, also of unusual depth; `random` drops values while training.
fn small(channels: i64, random: bool) -> Vec<Model> {
    let mut all = usual(channels, random);
    let dropped = if random { 0.5 } else { 0.0 };
    for variant in [Layout::Paper, Layout::Earlier] {
        all.push(Model::AttentionUnet(ushape(4, 1, channels, dropped, variant)));
        all.push(convnext(4, &[1, 1, 1, 1, 2], channels, dropped, variant));
    }
    all
}

/// Every network in small, in both layouts.
fn usual(channels: i64, random: bool) -> Vec<Model> {
    let mut all = Vec::new();
    let dropped = if random { 0.5 } else { 0.0 };
    for variant in [Layout::Paper, Layout::Earlier] {
        let shape = || ushape(4, 2, channels, dropped, variant);
        all.push(Model::Unet(shape()));
        all.push(Model::AttentionUnet(shape()));
        all.push(Model::AttentionResunet(shape()));
        all.push(convnext(4, &[1, 2], channels, dropped, variant));
    }
    all
}

fn random(shape: &[i64]) -> Tensor {
    let mut draw = crate::train::draw::Draw::new(3, "images", 0, 0);
    let values: Vec<f32> =
        (0..shape.iter().product::<i64>()).map(|_| draw.normal() as f32).collect();
    Tensor::from_slice(&values).view(shape)
}

fn saved(parameters: &Parameters) -> State {
    let mut state = State::new();
    parameters.save(&mut state).expect("saved");
    state
}

#[test]
fn networks_of_the_earlier_layout_have_its_sizes() {
    let shape = |channels| ushape(64, 4, channels, 0.0, Layout::Earlier);
    for (settings, expected) in [
        (Model::Unet(shape(3)), 31_402_501),
        (Model::Unet(shape(1)), 31_401_349),
        (Model::AttentionUnet(shape(3)), 37_334_665),
        (Model::AttentionResunet(shape(3)), 39_090_377),
        (convnext(96, &[3, 3, 9, 3], 3, 0.0, Layout::Earlier), 34_590_913),
    ] {
        let mut outline = Parameters::outline();
        build_into(&settings, EDGE, &mut outline).expect("network");
        assert_eq!(outline.count_all(), expected, "{settings:?}");
    }
}

#[test]
fn an_outline_counts_what_a_network_has() {
    for settings in small(1, false) {
        let mut outline = Parameters::outline();
        build_into(&settings, EDGE, &mut outline).expect("network");
        let (_, parameters) = build(&settings, EDGE, 1, Device::Cpu).expect("network");
        let sizes = |parameters: &Parameters| {
            (parameters.count(), parameters.count_all(), parameters.bytes())
        };
        assert_eq!(sizes(&outline), sizes(&parameters), "{settings:?}");
    }
}

#[test]
fn any_size_goes_in_and_the_same_size_comes_out() {
    for channels in [1, 3] {
        for settings in small(channels, false) {
            let (network, _) = build(&settings, EDGE, 1, Device::Cpu).expect("network");
            for (height, width) in [(5, 9), (37, 50), (64, 64)] {
                let input = random(&[2, channels, height, width]);
                for pass in [Pass::Evaluate, TRAIN] {
                    let output = network.forward(&input, pass).expect("forward");
                    assert_eq!(output.size(), [2, 1, height, width], "{settings:?}");
                    assert!(output.isfinite().all() == Tensor::from(true), "{settings:?}");
                }
            }
        }
    }
}

#[test]
fn fresh_networks_call_a_tenth_foreground_in_the_mean() {
    for settings in small(1, false) {
        let logit = |seed| {
            let (network, _) = build(&settings, EDGE, seed, Device::Cpu).expect("network");
            let logits = network.forward(&random(&[2, 1, 32, 32]), TRAIN).expect("forward");
            logits.mean(Kind::Float).double_value(&[])
        };
        let mean = (0..16).map(logit).sum::<f64>() / 16.0;
        assert!((mean - super::block::RARE).abs() < 0.7, "{settings:?}: {mean}");
    }
}

#[test]
fn the_loss_reaches_every_parameter() {
    for settings in small(3, false) {
        let (network, parameters) = build(&settings, EDGE, 1, Device::Cpu).expect("network");
        let logits = network.forward(&random(&[2, 3, 64, 64]), TRAIN).expect("forward");
        logits.square().sum(Kind::Float).backward();
        for (name, tensor) in parameters.trainable() {
            let gradient = tensor.grad();
            assert!(gradient.defined(), "{settings:?}: {name} is not used");
            // A normalisation takes away the bias before it: there the gradient may be zero.
            let most = gradient.abs().max().double_value(&[]);
            assert!(most > 0.0 || name.ends_with(".bias"), "{settings:?}: {name}");
        }
    }
}

#[test]
fn what_is_dropped_depends_on_the_step_alone_and_nothing_in_use() {
    for settings in small(1, true) {
        // The layer scale of 1e-6 would hide what is dropped.
        let settings = match settings {
            Model::ConvnextUnet(net) => {
                Model::ConvnextUnet(ConvnextUnet { layer_scale: 1.0, ..net })
            }
            other => other,
        };
        let (network, _) = build(&settings, EDGE, 1, Device::Cpu).expect("network");
        let input = random(&[4, 1, 64, 64]);
        let output = |pass| network.forward(&input, pass).expect("forward");
        let at = |step| output(Pass::Train { seed: 1, epoch: 1, step });
        assert_eq!(at(0), at(0), "{settings:?}");
        assert!((1..4).any(|step| at(step) != at(0)), "{settings:?}: nothing is dropped");
        assert_eq!(output(Pass::Evaluate), output(Pass::Evaluate), "{settings:?}");
    }
}

#[test]
fn every_network_overfits_one_minibatch() {
    let disc = |x: i64, y: i64, at: i64| f32::from((x - at).pow(2) + (y - 14).pow(2) < 40);
    let truth: Vec<f32> = [9, 20]
        .into_iter()
        .flat_map(|at| (0..32 * 32).map(move |i| disc(i % 32, i / 32, at)))
        .collect();
    let truth = Tensor::from_slice(&truth).view([2, 1, 32, 32]);
    let images = &truth + random(&[2, 1, 32, 32]) * 0.3;
    let adam = Adam {
        lr: 0.02,
        weight_decay: 0.0,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        clip_norm: None,
        l2_conv: 0.0,
    };
    for settings in usual(1, false) {
        let (network, mut parameters) = build(&settings, EDGE, 4, Device::Cpu).expect("network");
        let mut optimizer =
            optim::Optimizer::new(&Optimizer::Adamw(adam.clone()), &parameters).expect("optimizer");
        let mut losses = Vec::new();
        for step in 0..80 {
            let pass = Pass::Train { seed: 1, epoch: 1, step };
            let logits = network.forward(&images, pass).expect("forward");
            let loss = logits.binary_cross_entropy_with_logits::<Tensor>(
                &truth,
                None,
                None,
                tch::Reduction::Mean,
            );
            loss.backward();
            optimizer.step(&mut parameters, adam.lr).expect("step");
            losses.push(loss.double_value(&[]));
        }
        let (first, last) = (losses[0], losses[79]);
        assert!(last < 0.15 * first, "{settings:?}: {first} to {last}");
    }
}

#[test]
fn a_network_that_is_reset_has_the_bits_of_a_fresh_one() {
    for settings in small(1, false) {
        let (network, mut parameters) = build(&settings, EDGE, 9, Device::Cpu).expect("network");
        let fresh = saved(&parameters);
        let logits = network.forward(&random(&[2, 1, 64, 64]), TRAIN).expect("forward");
        logits.square().sum(Kind::Float).backward();
        tch::no_grad(|| {
            for (_, tensor) in parameters.trainable_mut() {
                let gradient = tensor.grad();
                let _ = tensor.f_sub_(&gradient).expect("a step");
            }
        });
        assert_ne!(saved(&parameters), fresh, "{settings:?}");
        parameters.reset().expect("reset");
        assert_eq!(saved(&parameters), fresh, "{settings:?}");
    }
}

#[test]
fn kernels_of_convolutions_are_known_in_every_network() {
    for settings in small(1, false) {
        let (_, parameters) = build(&settings, EDGE, 1, Device::Cpu).expect("network");
        for (name, tensor) in parameters.trainable() {
            assert_eq!(parameters.is_convolution(name), tensor.dim() == 4, "{settings:?}: {name}");
        }
    }
}
