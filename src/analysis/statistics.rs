//! Mean, spread, Student's t, Welch's test, Holm's correction.
//!
//! Sources: Student, Biometrika 6 (1908); B. L. Welch, Biometrika 34 (1947); F. E. Satterthwaite,
//! Biometrics Bulletin 2 (1946); S. Holm, Scandinavian Journal of Statistics 6 (1979). The t distribution
//! itself is statrs's.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Probability of an error of the first kind that is accepted.
pub const LEVEL: f64 = 0.05;

/// Values of independent repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// How many.
    pub n: usize,
    /// Their mean; none for none.
    pub mean: Option<f64>,
    /// Their standard deviation, with n − 1; none below two.
    pub deviation: Option<f64>,
}

impl Sample {
    /// Takes finite values; others are left out.
    #[must_use]
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let n = values.len();
        let count = number(n);
        if n == 0 {
            return Self::default();
        }
        // The mean of equal values may be rounded, and is then no spread.
        if n > 1 && values.iter().all(|value| *value == values[0]) {
            return Self { n, mean: Some(values[0]), deviation: Some(0.0) };
        }
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let deviation = (n > 1).then(|| (squares / (count - 1.0)).sqrt());
        Self { n, mean: Some(mean), deviation }
    }

    /// 95 % confidence interval of the mean, after Student; none below two values.
    #[must_use]
    pub fn interval(&self) -> Option<(f64, f64)> {
        let (mean, deviation) = (self.mean?, self.deviation?);
        let quantile = student(number(self.n) - 1.0)?.inverse_cdf(1.0 - LEVEL / 2.0);
        let half = quantile * deviation / number(self.n).sqrt();
        Some((mean - half, mean + half))
    }
}

/// What Welch's test says of two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Welch {
    /// The statistic.
    pub t: f64,
    /// Degrees of freedom, after Welch and Satterthwaite.
    pub freedom: f64,
    /// Two-sided probability of such a difference, or a larger one, between equal means.
    pub p: f64,
}

/// Welch's t-test for unequal variances; none where a sample has fewer than two values, or neither
/// has any spread.
#[must_use]
pub fn welch(a: &Sample, b: &Sample) -> Option<Welch> {
    let squared_error = |sample: &Sample| Some(sample.deviation?.powi(2) / number(sample.n));
    let (of_a, of_b) = (squared_error(a)?, squared_error(b)?);
    let both = of_a + of_b;
    if both <= 0.0 {
        return None;
    }
    let t = (a.mean? - b.mean?) / both.sqrt();
    let freedom =
        both.powi(2) / (of_a.powi(2) / (number(a.n) - 1.0) + of_b.powi(2) / (number(b.n) - 1.0));
    let p = (2.0 * student(freedom)?.sf(t.abs())).min(1.0);
    Some(Welch { t, freedom, p })
}

/// Holm's correction: probabilities in the given order, each adjusted for all.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut least: f64 = 0.0;
    for (rank, at) in order.into_iter().enumerate() {
        least = least.max((number(p.len() - rank) * p[at]).min(1.0));
        adjusted[at] = least;
    }
    adjusted
}

/// The middle one; the mean of the middle two where their number is even.
#[must_use]
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(values[middle - 1].midpoint(values[middle])),
    }
}

/// Student's distribution, none for degrees of freedom that are no number above zero.
fn student(freedom: f64) -> Option<StudentsT> {
    StudentsT::new(0.0, 1.0, freedom).ok()
}

#[expect(clippy::cast_precision_loss, reason = "numbers of trials stay far below 2^53")]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: f64, right: f64, within: f64) {
        assert!((left - right).abs() <= within * right.abs(), "{left} is not {right}");
    }

    const A: [f64; 3] = [0.9238, 0.8990, 0.9105];
    const B: [f64; 4] = [0.8551, 0.8312, 0.8420, 0.8499];
    const C: [f64; 3] = [0.9301, 0.8855, 0.9042];

    fn sample(values: &[f64]) -> Sample {
        Sample::of(values.iter().copied())
    }

    /// numpy 2 `mean`, `std(ddof=1)`; scipy 1.17 `stats.t.interval(.95, n - 1, mean, sd / sqrt(n))`.
    #[test]
    fn mean_deviation_and_interval_are_those_of_numpy_and_scipy() {
        let of_a = sample(&A);
        near(of_a.mean.expect("mean"), 0.9111, 1e-12);
        near(of_a.deviation.expect("deviation"), 0.012_410_882_321_575_657, 1e-12);
        let (low, high) = of_a.interval().expect("interval");
        near(low, 0.880_269_659_188_878_3, 1e-8);
        near(high, 0.941_930_340_811_121_5, 1e-8);
        let (low, high) = sample(&B).interval().expect("interval");
        near(low, 0.827_996_944_717_101_4, 1e-8);
        near(high, 0.861_103_055_282_898_7, 1e-8);
        let one = sample(&[0.5, f64::NAN]);
        assert_eq!((one.n, one.mean, one.deviation, one.interval()), (1, Some(0.5), None, None));
        assert_eq!(sample(&[]), Sample::default());
    }

    /// scipy 1.17 `stats.ttest_ind(a, b, equal_var=False)`.
    #[test]
    fn the_test_of_welch_is_that_of_scipy() {
        let found = welch(&sample(&A), &sample(&B)).expect("test");
        near(found.t, 7.516_176_205_241_484, 1e-10);
        near(found.freedom, 3.934_693_516_019_268, 1e-10);
        near(found.p, 0.001_790_117_556_829_081_7, 1e-8);
        let found = welch(&sample(&C), &sample(&A)).expect("test");
        near(found.t, -0.304_397_036_739_581_5, 1e-10);
        near(found.p, 0.779_992_105_491_550_2, 1e-8);
    }

    #[test]
    fn equal_values_have_no_spread_however_their_mean_is_rounded() {
        for value in [0.1, 0.0563, 0.7, 1.0 / 3.0, 1e-12] {
            for n in 2..12 {
                let same = sample(&vec![value; n]);
                assert_eq!((same.mean, same.deviation), (Some(value), Some(0.0)), "{value} {n}");
                assert_eq!(welch(&same, &sample(&[0.0, 0.0, 0.0])), None, "{value} {n}");
            }
        }
    }

    /// scipy 1.17 `stats.t.ppf(.975, df)` and `2 * stats.t.sf(t, df)`.
    #[test]
    fn students_distribution_is_that_of_scipy() {
        for (freedom, quantile) in [
            (1.0, 12.706_204_736_174_694),
            (2.0, 4.302_652_729_749_462),
            (3.0, 3.182_446_305_283_707_8),
            (9.0, 2.262_157_162_798_205),
            (30.0, 2.042_272_456_301_237_8),
        ] {
            near(student(freedom).expect("t").inverse_cdf(0.975), quantile, 1e-7);
        }
        // statrs loses digits where the distribution is as good as normal.
        near(student(1e6).expect("t").inverse_cdf(0.975), 1.959_966_356_814_107, 1e-4);
        for (t, freedom, p) in [
            (12.0, 2.3, 0.004_007_913_838_225_807),
            (40.0, 1.5, 0.002_979_624_390_931_245),
            (0.1, 7.7, 0.922_898_723_207_579),
            (8.0, 60.0, 4.900_265_147_950_212e-11),
        ] {
            near(2.0 * student(freedom).expect("t").sf(t), p, 1e-7);
        }
    }

    /// R 4 `p.adjust(c(.01, .04, .03, .005), "holm")`: .03 .06 .06 .02.
    #[test]
    fn the_correction_of_holm_is_that_of_r() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, wanted) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            near(*found, wanted, 1e-12);
        }
        assert_eq!(holm(&[0.4, 0.9]), [0.8, 0.9]);
        assert_eq!(holm(&[0.7, 0.9]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn what_cannot_be_tested_is_not() {
        assert_eq!(welch(&sample(&A), &sample(&[0.5])), None);
        assert_eq!(welch(&sample(&[0.5, 0.5]), &sample(&[0.6, 0.6])), None, "no spread");
        assert!(welch(&sample(&[0.5, 0.5]), &sample(&[0.6, 0.7])).is_some());
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([3.0, 1.0, f64::NAN, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }
}
