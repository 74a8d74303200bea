//! How long the next one will take, judged by those before.

use crate::event::Spread;

/// Durations that are remembered: of more, older ones fade, so that a machine that becomes slower is
/// noticed.
const MEMORY: f64 = 100.0;

/// Durations of an earlier attempt count for so many at most.
const INHERITED: f64 = 10.0;

/// Running mean and variance of durations. The first hundred count alike (Welford, "Note on a method
/// for calculating corrected sums of squares and products", Technometrics 4, 1962); after that the
/// newest has the weight 1/100 (exponentially weighted moments).
#[derive(Clone, Copy, Debug, Default)]
pub struct Estimate(Spread);

impl Estimate {
    /// Begins with what an earlier attempt measured.
    #[must_use]
    pub fn inherited(spread: Spread) -> Self {
        let usable = [spread.count, spread.mean, spread.variance].iter().all(|v| v.is_finite());
        let usable = usable && spread.count >= 1.0 && spread.mean >= 0.0 && spread.variance >= 0.0;
        if !usable {
            return Self::default();
        }
        // One hiccup of a file server must not keep all later attempts from beginning.
        let variance = spread.variance.min(spread.mean * spread.mean);
        Self(Spread { count: spread.count.min(INHERITED), variance, ..spread })
    }

    /// Takes note of a duration in seconds.
    pub fn add(&mut self, seconds: f64) {
        let Spread { count, mean, variance } = &mut self.0;
        *count = (*count + 1.0).min(MEMORY);
        let before = seconds - *mean;
        *mean += before / *count;
        // The variance of all so far, as if they were everything there is (divided by n).
        *variance = (*variance + before * before / *count) * (1.0 - 1.0 / *count);
    }

    /// Returns what was measured.
    #[must_use]
    pub fn spread(self) -> Spread {
        self.0
    }

    /// Returns the mean in seconds; `None` before the first.
    #[must_use]
    pub fn mean(self) -> Option<f64> {
        (self.0.count > 0.0).then_some(self.0.mean)
    }

    /// Returns seconds that the next one will hardly exceed: mean + 3 standard deviations. By
    /// Cantelli's inequality at most one in ten does, whatever the distribution; for durations that
    /// are near to normal it is one in 700. After a single one: twice that. Before the first: 0, the
    /// margin must do.
    #[must_use]
    pub fn upper(self) -> f64 {
        let Spread { count, mean, variance } = self.0;
        if count < 2.0 {
            return 2.0 * mean;
        }
        // Divided by n - 1: few say little of the spread.
        mean + 3.0 * (variance * count / (count - 1.0)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_spread_are_those_of_the_textbook() {
        let mut estimate = Estimate::default();
        assert_eq!((estimate.mean(), estimate.upper()), (None, 0.0));
        estimate.add(2.0);
        assert!((estimate.upper() - 4.0).abs() < 1e-12);
        for seconds in [4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0] {
            estimate.add(seconds);
        }
        // Sum of squares around the mean 5 is 32; n - 1 = 7.
        assert!((estimate.mean().expect("some") - 5.0).abs() < 1e-12);
        assert!((estimate.upper() - (5.0 + 3.0 * (32.0_f64 / 7.0).sqrt())).abs() < 1e-12);
    }

    #[test]
    fn a_machine_that_becomes_slower_is_noticed() {
        let mut estimate = Estimate::default();
        (0..10_000).for_each(|_| estimate.add(1.0));
        (0..300).for_each(|_| estimate.add(2.0));
        assert!(estimate.mean().is_some_and(|mean| mean > 1.9), "{estimate:?}");
    }

    #[test]
    fn what_an_earlier_attempt_measured_is_a_beginning() {
        let spread = Spread { count: 5000.0, mean: 1.0, variance: 0.04 };
        let mut estimate = Estimate::inherited(spread);
        assert!((estimate.upper() - 1.63).abs() < 0.01, "{}", estimate.upper());
        (0..50).for_each(|_| estimate.add(3.0));
        assert!(estimate.mean().is_some_and(|mean| mean > 2.6), "{estimate:?}");
        let hiccup = Spread { count: 3.0, mean: 19.0, variance: 360.0 };
        assert!(Estimate::inherited(hiccup).upper() < 19.0 + 3.7 * 19.0);
        let damaged = Spread { mean: f64::NAN, ..spread };
        assert_eq!(Estimate::inherited(damaged).mean(), None);
    }
}
