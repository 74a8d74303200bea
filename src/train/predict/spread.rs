//! How a value spreads over images.

use serde::Serialize;

/// Numbers of a value over the images that have it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Images that have it.
    pub n: u64,
    /// Mean. It is not the pooled value: small objects weigh as much as large ones.
    pub mean: f64,
    /// Standard deviation, with n - 1; none for one image.
    pub sd: Option<f64>,
    /// Smallest.
    pub min: f64,
    /// The image that has it.
    pub min_name: String,
    /// The one in the middle, or the mean of the two there.
    pub median: f64,
    /// Largest.
    pub max: f64,
}

impl Spread {
    /// Takes values and the names of their images; none for no value.
    #[expect(clippy::cast_precision_loss, reason = "numbers of images")]
    pub(super) fn of<'a>(values: impl Iterator<Item = (&'a str, f64)>) -> Option<Self> {
        let mut values: Vec<(&str, f64)> = values.collect();
        values.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        let (min_name, min) = *values.first()?;
        let (count, n) = (values.len(), values.len() as f64);
        let mean = values.iter().map(|(_, value)| value).sum::<f64>() / n;
        let squares = values.iter().map(|(_, value)| (value - mean).powi(2)).sum::<f64>();
        Some(Self {
            n: count as u64,
            mean,
            sd: (count > 1).then(|| (squares / (n - 1.0)).sqrt()),
            min,
            min_name: min_name.to_owned(),
            median: f64::midpoint(values[(count - 1) / 2].1, values[count / 2].1),
            max: values[count - 1].1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_told_of_those_that_have_a_value() {
        let spread = Spread::of([("a", 0.5), ("b", 0.1), ("c", 0.9), ("d", 0.7)].into_iter());
        let spread = spread.expect("values");
        assert_eq!((spread.n, spread.min, spread.max), (4, 0.1, 0.9));
        assert_eq!(spread.min_name, "b");
        assert!((spread.median - 0.6).abs() < 1e-12 && (spread.mean - 0.55).abs() < 1e-12);
        assert!((spread.sd.expect("four") - 0.341_565).abs() < 1e-6);
        let one = Spread::of([("a", 0.5)].into_iter()).expect("one");
        assert_eq!((one.sd, one.median), (None, 0.5));
        assert_eq!(Spread::of(std::iter::empty()), None);
    }
}
