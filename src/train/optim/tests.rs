use super::*;
use tch::nn::OptimizerConfig;
use tch::{Device, Kind, nn};

use crate::setting::{Adam, Sgd};

const ADAM: Adam = Adam {
    lr: 0.05,
    weight_decay: 0.1,
    beta1: 0.9,
    beta2: 0.99,
    eps: 1e-8,
    clip_norm: None,
    l2_conv: 0.0,
};
const SGD: Sgd = Sgd {
    lr: 0.05,
    momentum: 0.9,
    nesterov: false,
    weight_decay: 0.0,
    clip_norm: None,
    l2_conv: 0.0,
};

fn kinds() -> [setting::Optimizer; 5] {
    [
        setting::Optimizer::Adamw(ADAM),
        setting::Optimizer::Adam(ADAM),
        setting::Optimizer::Sgd(SGD),
        setting::Optimizer::Sgd(Sgd { nesterov: true, weight_decay: 0.1, ..SGD }),
        setting::Optimizer::Sgd(Sgd { momentum: 0.0, ..SGD }),
    ]
}

fn start() -> Tensor {
    Tensor::from_slice(&[1.0_f32, -2.0, 0.5, 3.0, 0.0])
}

fn objective(x: &Tensor) -> Tensor {
    let target = Tensor::from_slice(&[0.3_f32, 0.1, -0.7, 2.0, 0.2]);
    ((x - target).pow_tensor_scalar(2) * Tensor::from_slice(&[1.0_f32, 5.0, 0.1, 2.0, 1e-4]))
        .sum(Kind::Float)
}

fn of(settings: &setting::Optimizer, x: Tensor) -> (Parameters, Optimizer) {
    let parameters = Parameters::of([("x", x)]).expect("parameters");
    let optimizer = Optimizer::new(settings, &parameters).expect("optimizer");
    (parameters, optimizer)
}

fn x(parameters: &Parameters) -> Tensor {
    parameters.trainable().next().expect("x").1.shallow_clone()
}

fn advance(parameters: &mut Parameters, optimizer: &mut Optimizer, steps: u32) {
    for _ in 0..steps {
        objective(&x(parameters)).backward();
        assert!(optimizer.step(parameters, 0.05).expect("step").is_done);
    }
}

fn saved(parameters: &Parameters, optimizer: &Optimizer) -> State {
    let mut state = State::new();
    parameters.save(&mut state).expect("saved");
    optimizer.save(parameters, &mut state).expect("saved");
    state
}

/// One step with this gradient.
fn push(parameters: &mut Parameters, optimizer: &mut Optimizer, gradient: &[f32]) -> Update {
    let gradient = Tensor::from_slice(gradient).view_as(&x(parameters));
    (x(parameters) * gradient).sum(Kind::Float).backward();
    optimizer.step(parameters, 0.05).expect("step")
}

#[test]
fn ten_updates_equal_those_of_the_library() {
    let (mut parameters, mut optimizer) = of(&setting::Optimizer::Adamw(ADAM), start());
    advance(&mut parameters, &mut optimizer, 10);

    let store = nn::VarStore::new(Device::Cpu);
    let mut theirs = store.root().zeros("x", &[5]);
    tch::no_grad(|| theirs.copy_(&start()));
    let config = nn::AdamW { beta1: 0.9, beta2: 0.99, wd: 0.1, eps: 1e-8, amsgrad: false };
    let mut library = config.build(&store, 0.05).expect("optimizer");
    for _ in 0..10 {
        library.backward_step(&objective(&theirs));
    }
    let mine = x(&parameters);
    assert!((&mine - &start()).abs().max().double_value(&[]) > 0.1, "nothing moved");
    assert!((&mine - &theirs).abs().max().double_value(&[]) <= 1e-6);
}

#[test]
fn an_optimizer_saved_and_restored_goes_on_bit_for_bit() {
    for settings in kinds() {
        let (mut parameters, mut optimizer) = of(&settings, start());
        advance(&mut parameters, &mut optimizer, 4);
        let middle = saved(&parameters, &optimizer);
        let moments: u64 = middle
            .iter()
            .filter(|(name, _)| name.starts_with("optimizer."))
            .fold(0, |sum, (_, a)| sum + a.bytes.len() as u64);
        assert_eq!(optimizer.bytes(), moments, "{settings:?}");
        advance(&mut parameters, &mut optimizer, 5);
        let uncut = saved(&parameters, &optimizer);

        let (mut parameters, mut optimizer) =
            of(&settings, Tensor::zeros([5], tch::kind::FLOAT_CPU));
        parameters.restore(&middle).expect("restored");
        optimizer.restore(&parameters, &middle).expect("restored");
        advance(&mut parameters, &mut optimizer, 5);
        assert_eq!(saved(&parameters, &optimizer), uncut, "{settings:?}");
    }
}

#[test]
fn a_reset_optimizer_is_a_new_one() {
    for settings in kinds() {
        let (parameters, optimizer) = of(&settings, start());
        let new = saved(&parameters, &optimizer);
        let (mut parameters, mut optimizer) = of(&settings, start());
        advance(&mut parameters, &mut optimizer, 3);
        optimizer.reset(&parameters).expect("reset");
        parameters.restore(&new).expect("restored");
        assert_eq!(saved(&parameters, &optimizer), new, "{settings:?}");
    }
}

#[test]
fn a_missing_moment_is_named_and_nothing_changes() {
    for (settings, lost) in [
        (setting::Optimizer::Adamw(ADAM), "optimizer.v.x"),
        (setting::Optimizer::Adam(ADAM), "optimizer.m.x"),
        (setting::Optimizer::Sgd(SGD), "optimizer.velocity.x"),
        (setting::Optimizer::Sgd(SGD), "optimizer.step"),
    ] {
        let (mut parameters, mut optimizer) = of(&settings, start());
        let mut state = saved(&parameters, &optimizer);
        state.remove(lost);
        advance(&mut parameters, &mut optimizer, 2);
        let before = saved(&parameters, &optimizer);
        let error = optimizer.restore(&parameters, &state).expect_err("a misfit").to_string();
        assert!(error.contains(lost), "{error}");
        assert_eq!(saved(&parameters, &optimizer), before);
    }
}

#[test]
fn values_that_are_no_numbers_change_nothing() {
    for settings in kinds() {
        let (mut parameters, mut optimizer) = of(&settings, start());
        advance(&mut parameters, &mut optimizer, 3);
        let before = saved(&parameters, &optimizer);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38] {
            let update = push(&mut parameters, &mut optimizer, &[1.0, bad, 0.0, 0.0, 0.0]);
            assert!(!update.is_done && !update.norm.is_finite(), "{bad} {settings:?}");
            assert_eq!(saved(&parameters, &optimizer), before, "{bad} {settings:?}");
            assert_eq!(x(&parameters).grad().abs().sum(Kind::Float).double_value(&[]), 0.0);
        }
        // The next good gradient is all that counts.
        advance(&mut parameters, &mut optimizer, 1);
        let (mut unharmed, mut other) = of(&settings, start());
        advance(&mut unharmed, &mut other, 4);
        assert_eq!(saved(&parameters, &optimizer), saved(&unharmed, &other));
    }
}

#[test]
fn gradients_are_scaled_to_the_norm_and_never_up() {
    let plain = Sgd { momentum: 0.0, ..SGD };
    let clipped = setting::Optimizer::Sgd(Sgd { clip_norm: Some(1.0), ..plain.clone() });
    for (gradient, moved) in [
        ([3.0, 0.0, 0.0, 4.0, 0.0], [0.6, 0.0, 0.0, 0.8, 0.0]),
        ([0.0, 0.3, 0.4, 0.0, 0.0], [0.0, 0.3, 0.4, 0.0, 0.0]),
    ] {
        let (mut parameters, mut optimizer) = of(&clipped, start());
        let update = push(&mut parameters, &mut optimizer, &gradient);
        let norm = gradient.iter().map(|value| f64::from(value * value)).sum::<f64>().sqrt();
        assert!((update.norm - norm).abs() < 1e-6);
        let change = (start() - x(&parameters)) / 0.05;
        let apart = (change - Tensor::from_slice(&moved)).abs().max().double_value(&[]);
        assert!(apart < 1e-5, "{apart}");
    }
}

#[test]
fn the_penalty_pulls_at_kernels_of_convolutions_alone() {
    let settings = setting::Optimizer::Sgd(Sgd { momentum: 0.0, l2_conv: 0.5, ..SGD });
    for (shape, share) in [(vec![1, 5, 1, 1], 1.0), (vec![5], 0.0), (vec![5, 1], 0.0)] {
        let (mut parameters, mut optimizer) = of(&settings, start().view(shape.as_slice()));
        push(&mut parameters, &mut optimizer, &[0.0; 5]);
        // The slope of l2 w² is 2 l2 w: with l2 = 1/2, the weight itself.
        let expected = start() * (1.0 - 0.05 * share);
        let apart = (x(&parameters).view(5) - expected).abs().max().double_value(&[]);
        assert!(apart < 1e-6, "{shape:?} {apart}");
    }
}

#[test]
fn a_parameter_without_a_gradient_is_left_alone() {
    for settings in kinds() {
        let mut parameters = Parameters::of([("x", start()), ("y", start())]).expect("parameters");
        let mut optimizer = Optimizer::new(&settings, &parameters).expect("optimizer");
        advance(&mut parameters, &mut optimizer, 2);
        let y = parameters.trainable().nth(1).expect("y").1;
        assert!(y.equal(&start()) && !x(&parameters).equal(&start()), "{settings:?}");
    }
}
