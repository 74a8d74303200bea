//! How long the next one will take, judged by those before.

/// Running mean and spread of durations (Welford, "Note on a method for calculating corrected sums
/// of squares and products", Technometrics 4, 1962).
#[derive(Clone, Copy, Debug, Default)]
pub struct Estimate {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Estimate {
    /// Takes note of a duration in seconds.
    pub fn add(&mut self, seconds: f64) {
        self.count += 1.0;
        let before = seconds - self.mean;
        self.mean += before / self.count;
        self.squares += before * (seconds - self.mean);
    }

    /// Returns the mean in seconds; `None` before the first.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then_some(self.mean)
    }

    /// Returns seconds that the next one will hardly exceed: mean + 3 standard deviations. By
    /// Cantelli's inequality at most one in ten does, whatever the distribution; for durations that
    /// are near to normal it is one in 700. After a single one: twice that. Before the first: 0, the
    /// margin must do.
    #[must_use]
    pub fn upper(&self) -> f64 {
        if self.count < 2.0 {
            return 2.0 * self.mean;
        }
        self.mean + 3.0 * (self.squares / (self.count - 1.0)).sqrt()
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
}
