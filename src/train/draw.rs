//! Randomness as a function: (seed, purpose, epoch, index) in, a generator out.
//!
//! The few ways of drawing stand here and not in a library, because a library may change how it
//! turns bits into numbers, and a trial must come out the same with the next version.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// A generator of random numbers.
#[derive(Clone, Debug)]
pub struct Draw(ChaCha8Rng);

impl Draw {
    /// Makes the generator for one purpose: its stream depends on nothing but the arguments.
    #[must_use]
    pub fn new(seed: u64, purpose: &str, epoch: u64, index: u64) -> Self {
        let mut hash = Sha256::new();
        for number in [seed, epoch, index] {
            hash.update(number.to_le_bytes());
        }
        hash.update(purpose.as_bytes());
        Self(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    /// Draws a whole number in `0..limit`; 0 for a limit of 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(limit)) >> 64) as u64
    }

    /// Draws a number in `[0, 1)`.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a float exactly")]
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Draws a number in `[low, high)`.
    pub fn within(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Draws from the normal distribution of mean 0 and variance 1 (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Draws a permutation of `0..length` (Fisher and Yates).
    pub fn permutation(&mut self, length: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..length).collect();
        for last in (1..length).rev() {
            #[expect(clippy::cast_possible_truncation, reason = "below a length")]
            let other = self.below(last as u64 + 1) as usize;
            order.swap(last, other);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_place_draws_the_same_and_each_part_of_it_matters() {
        let at =
            |seed, purpose: &str, epoch, index| Draw::new(seed, purpose, epoch, index).0.next_u64();
        assert_eq!(at(1, "order", 2, 3), at(1, "order", 2, 3));
        for other in
            [at(2, "order", 2, 3), at(1, "flip", 2, 3), at(1, "order", 3, 3), at(1, "order", 2, 4)]
        {
            assert_ne!(at(1, "order", 2, 3), other);
        }
    }

    #[test]
    fn a_permutation_holds_everything_once() {
        let mut order = Draw::new(1, "order", 1, 0).permutation(100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let mut draw = Draw::new(1, "normal", 0, 0);
        let values: Vec<f64> = (0..20_000).map(|_| draw.normal()).collect();
        let mean = values.iter().sum::<f64>() / 20_000.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
