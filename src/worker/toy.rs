//! The torch-free learner: logistic regression on a cubic polynomial that learns on which side of a
//! curve a point lies.
//!
//! It is small but real: learning rate, minibatch size and seed change its results, and it diverges
//! and fails on demand, so that a whole sweep's life can be tried anywhere.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::event::Cursor;
use crate::metric::{Confusion, Metrics};
use crate::setting::{Adam, Model, Optimizer, Settings, Toy};

use super::learner::{Array, Description, Learner, LearnerError, State};

/// Terms of a polynomial of degree 3 in two variables.
const TERMS: usize = 10;

/// Points of the training and of the validation data.
const TRAIN: u64 = 512;
const VAL: u64 = 256;

/// Constant term of a toy that takes everything for background.
const BACKGROUND: f64 = -50.0;

/// Pieces of an evaluation: between them it can be interrupted.
const PIECES: u32 = 10;

/// The toy learner.
pub struct ToyLearner {
    toy: Toy,
    settings: Settings,
    seed: u64,
    clock: Arc<dyn Clock>,
    weights: [f64; TERMS],
    /// First and second moments of the optimizer.
    moments: [[f64; TERMS]; 2],
}

impl ToyLearner {
    /// Makes one with weights drawn from the seed.
    ///
    /// # Errors
    /// When the settings name another model.
    pub fn new(
        settings: &Settings,
        seed: u64,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LearnerError> {
        let Model::Toy(toy) = &settings.model else {
            return Err(LearnerError::Setting {
                setting: "model.name".to_owned(),
                what: "this is not the toy".to_owned(),
            });
        };
        let weights = initial_weights(seed);
        let (toy, settings) = (toy.clone(), settings.clone());
        Ok(Self { toy, settings, seed, clock, weights, moments: [[0.0; TERMS]; 2] })
    }

    fn sleep(&self, seconds: f64) {
        if seconds > 0.0 {
            self.clock.sleep(Duration::from_secs_f64(seconds));
        }
    }

    fn predict(&self, terms: &[f64; TERMS]) -> f64 {
        let logit: f64 = self.weights.iter().zip(terms).map(|(w, t)| w * t).sum();
        1.0 / (1.0 + (-logit).exp())
    }

    /// Mean loss of the minibatch of a step, and its gradient.
    #[expect(clippy::cast_precision_loss, reason = "minibatches are small")]
    fn gradient(&self, cursor: Cursor) -> (f64, [f64; TERMS]) {
        let size = self.settings.batch_size * self.settings.gradient_accumulation;
        let (mut loss, mut gradient) = (0.0, [0.0; TERMS]);
        for place in 0..size {
            let drawn = mix(&[self.seed, 2, cursor.epoch, cursor.step, place]) % TRAIN;
            let (terms, inside) = point(3, drawn);
            let predicted = self.predict(&terms);
            loss += cross_entropy(predicted, inside);
            let error = predicted - f64::from(inside);
            for (slope, term) in gradient.iter_mut().zip(&terms) {
                *slope += error * term;
            }
        }
        (loss / size as f64, gradient.map(|slope| slope / size as f64))
    }

    /// One update by the optimizer of the settings; `moments` hold what it remembers.
    /// Gradients are clipped as those of networks are; there are no convolutions to penalise.
    #[expect(clippy::cast_precision_loss, reason = "steps stay far below 2^53")]
    fn update(&mut self, gradient: &[f64; TERMS], done: u64, lr: f64) {
        let (time, is_first) = ((done + 1) as f64, done == 0);
        let optimizer = &self.settings.optimizer;
        let norm = gradient.iter().map(|slope| slope * slope).sum::<f64>().sqrt();
        let clipped =
            optimizer.clip_norm().map_or(1.0, |largest| (largest / (norm + 1e-6)).min(1.0));
        let [first, second] = &mut self.moments;
        for (index, slope) in gradient.map(|slope| clipped * slope).into_iter().enumerate() {
            let (weight, m, v) = (self.weights[index], &mut first[index], &mut second[index]);
            self.weights[index] -= match optimizer {
                Optimizer::Adamw(adam) => {
                    lr * (adam_change(adam, slope, (m, v), time) + adam.weight_decay * weight)
                }
                Optimizer::Adam(adam) => {
                    lr * adam_change(adam, slope + adam.weight_decay * weight, (m, v), time)
                }
                Optimizer::Sgd(sgd) => {
                    let slope = slope + sgd.weight_decay * weight;
                    *m = if is_first { slope } else { sgd.momentum * *m + slope };
                    lr * if sgd.nesterov { slope + sgd.momentum * *m } else { *m }
                }
            };
        }
    }

    /// Spoils the weights as a learning rate that is too large may: all is taken for background.
    fn collapse(&mut self) {
        self.weights = [0.0; TERMS];
        self.weights[0] = BACKGROUND;
    }
}

/// What Adam (Kingma and Ba 2015) takes off a weight, for a learning rate of 1.
fn adam_change(adam: &Adam, slope: f64, (m, v): (&mut f64, &mut f64), time: f64) -> f64 {
    *m = adam.beta1 * *m + (1.0 - adam.beta1) * slope;
    *v = adam.beta2 * *v + (1.0 - adam.beta2) * slope * slope;
    let (m, v) = (*m / (1.0 - adam.beta1.powf(time)), *v / (1.0 - adam.beta2.powf(time)));
    m / (v.sqrt() + adam.eps)
}

impl Learner for ToyLearner {
    fn describe(&self) -> Description {
        Description {
            parameters: TERMS as u64,
            device: "cpu".to_owned(),
            threads: 1,
            library: format!("toy {}", env!("CARGO_PKG_VERSION")),
            data: None,
            train_density: None,
            steps_per_epoch: self.toy.steps_per_epoch,
            samples_per_epoch: self.toy.steps_per_epoch
                * self.settings.batch_size
                * self.settings.gradient_accumulation,
        }
    }

    fn train_step(&mut self, cursor: Cursor, lr: f64) -> Result<f64, LearnerError> {
        self.sleep(self.toy.step_seconds);
        let done = (cursor.epoch - 1) * self.toy.steps_per_epoch + cursor.step;
        if self.toy.fail_at == Some(done + 1) {
            return Err(LearnerError::Library {
                what: format!("told to fail at step {}", done + 1),
            });
        }
        if self.toy.diverge_at == Some(done + 1) {
            return Ok(f64::NAN);
        }
        let (loss, gradient) = self.gradient(cursor);
        if !gradient.iter().all(|slope| slope.is_finite()) {
            return Ok(f64::NAN);
        }
        self.update(&gradient, done, lr);
        let is_spoilt = self.toy.collapse_at.is_some_and(|at| done + 1 >= at);
        if is_spoilt && lr >= self.settings.optimizer.lr() {
            self.collapse();
        }
        Ok(loss)
    }

    fn reset(&mut self) -> Result<(), LearnerError> {
        (self.weights, self.moments) = (initial_weights(self.seed), [[0.0; TERMS]; 2]);
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "a small constant")]
    fn evaluate(
        &mut self,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Metrics>, LearnerError> {
        for _ in 0..PIECES {
            if !go_on() {
                return Ok(None);
            }
            self.sleep(self.toy.eval_seconds / f64::from(PIECES));
        }
        let (mut loss, mut counts) = (0.0, Confusion::default());
        for index in 0..VAL {
            let (terms, inside) = point(4, index);
            let predicted = self.predict(&terms);
            loss += cross_entropy(predicted, inside);
            counts.count(predicted >= 0.5, inside);
        }
        let mut metrics = Metrics::default();
        metrics.set("val/loss", loss / VAL as f64);
        counts.record("val", &mut metrics);
        Ok(Some(metrics))
    }

    fn state(&self) -> Result<State, LearnerError> {
        self.sleep(self.toy.save_seconds);
        let [first, second] = &self.moments;
        Ok(State::from([
            ("model.w".to_owned(), Array::of_f64(&self.weights)),
            ("optimizer.m".to_owned(), Array::of_f64(first)),
            ("optimizer.v".to_owned(), Array::of_f64(second)),
        ]))
    }

    fn restore(&mut self, state: &State) -> Result<(), LearnerError> {
        let get = |name: &str| -> Result<[f64; TERMS], LearnerError> {
            let values = state.get(name).and_then(Array::as_f64);
            values
                .and_then(|values| values.try_into().ok())
                .ok_or_else(|| LearnerError::Misfit { what: format!("{name}: {TERMS} numbers") })
        };
        let restored = (get("model.w")?, [get("optimizer.m")?, get("optimizer.v")?]);
        (self.weights, self.moments) = restored;
        Ok(())
    }
}

fn initial_weights(seed: u64) -> [f64; TERMS] {
    let mut weights = [0.0; TERMS];
    for (index, weight) in (0..).zip(&mut weights) {
        *weight = 0.5 * (2.0 * uniform(&[seed, 1, index]) - 1.0);
    }
    weights
}

/// Binary cross-entropy, kept finite for predictions of exactly 0 or 1.
fn cross_entropy(predicted: f64, inside: bool) -> f64 {
    let right = if inside { predicted } else { 1.0 - predicted };
    -right.max(1e-12).ln()
}

/// Point `index` of a data set: its terms, and whether it lies inside.
fn point(set: u64, index: u64) -> ([f64; TERMS], bool) {
    let x = 2.0 * uniform(&[set, index, 0]) - 1.0;
    let y = 2.0 * uniform(&[set, index, 1]) - 1.0;
    // Above a wave on a parabola: a plane tells much of it, no cubic all.
    let inside = y + 0.3 > 0.7 * x * x + 0.3 * (4.0 * x).sin();
    ([1.0, x, y, x * x, x * y, y * y, x * x * x, x * x * y, x * y * y, y * y * y], inside)
}

/// A number in [0, 1) that depends on the key only.
#[expect(clippy::cast_precision_loss, reason = "53 bits are kept")]
fn uniform(key: &[u64]) -> f64 {
    (mix(key) >> 11) as f64 / (1u64 << 53) as f64
}

/// Mixes a key into 64 bits: the output function of SplitMix64 (Steele, Lea and Flood, "Fast
/// splittable pseudorandom number generators", 2014) over each part.
fn mix(key: &[u64]) -> u64 {
    key.iter().fold(0x9e37_79b9_7f4a_7c15, |state: u64, part| {
        let mut z = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;
    use crate::setting;
    use jiff::Timestamp;
    use serde_json::json;

    fn learner(lr: f64, batch_size: u64, seed: u64) -> ToyLearner {
        let given = json!({
            "model": { "name": "toy" }, "optimizer": { "lr": lr }, "batch_size": batch_size
        });
        let resolved = setting::resolve(given.as_object().expect("object")).expect("resolved");
        let settings = Settings::from_resolved(&resolved).expect("settings");
        let clock = Arc::new(VirtualClock::starting(Timestamp::UNIX_EPOCH));
        ToyLearner::new(&settings, seed, clock).expect("learner")
    }

    fn train(learner: &mut ToyLearner, epochs: u64) -> Metrics {
        for epoch in 1..=epochs {
            for step in 0..10 {
                let lr = learner.settings.optimizer.lr();
                learner.train_step(Cursor { epoch, step }, lr).expect("step");
            }
        }
        learner.evaluate(&mut || true).expect("evaluate").expect("metrics")
    }

    #[test]
    fn it_learns() {
        let mut trained = learner(0.05, 16, 0);
        let before = train(&mut trained, 0);
        let after = train(&mut trained, 40);
        let jaccard = |metrics: &Metrics| metrics.get("val/jaccard").unwrap_or(0.0);
        assert!(after.get("val/loss") < before.get("val/loss"));
        assert!(jaccard(&after) > 0.7, "{} after {}", jaccard(&after), jaccard(&before));
    }

    #[test]
    fn learning_rate_minibatch_and_seed_change_the_result() {
        let base = train(&mut learner(0.01, 8, 0), 5);
        for (lr, size, seed) in [(0.05, 8, 0), (0.01, 4, 0), (0.01, 8, 1)] {
            assert_ne!(train(&mut learner(lr, size, seed), 5), base, "{lr} {size} {seed}");
        }
        assert_eq!(train(&mut learner(0.01, 8, 0), 5), base);
    }

    #[test]
    fn an_interrupted_evaluation_changes_nothing() {
        let mut asked = 0;
        let mut trained = learner(0.01, 8, 0);
        let before = trained.state().expect("state");
        let result = trained.evaluate(&mut || {
            asked += 1;
            asked < 4
        });
        assert_eq!(result.expect("evaluate"), None);
        assert_eq!(trained.state().expect("state"), before);
    }

    #[test]
    fn a_reset_toy_is_a_new_one() {
        let mut trained = learner(0.05, 8, 3);
        train(&mut trained, 2);
        assert_ne!(trained.state().expect("state"), learner(0.05, 8, 3).state().expect("state"));
        trained.reset().expect("reset");
        assert_eq!(trained.state().expect("state"), learner(0.05, 8, 3).state().expect("state"));
        assert_eq!(train(&mut trained, 2), train(&mut learner(0.05, 8, 3), 2));
    }

    #[test]
    fn a_state_of_another_shape_does_not_fit() {
        let mut trained = learner(0.01, 8, 0);
        let mut state = trained.state().expect("state");
        state.insert("optimizer.v".to_owned(), Array::of_f64(&[1.0]));
        assert!(matches!(trained.restore(&state), Err(LearnerError::Misfit { .. })));
    }
}
