//! Above which probability a pixel is foreground.

use std::str::FromStr;

use serde::Serialize;

/// A wish: a probability, or the one that is best on the validation split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Threshold {
    /// This probability, between 0 and 1.
    At(f64),
    /// The one with the largest Jaccard index of the validation split, pooled. No other split can be
    /// asked for: what is chosen on the test split says nothing about new images.
    Val,
}

impl Default for Threshold {
    fn default() -> Self {
        Self::At(0.5)
    }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "val" {
            return Ok(Self::Val);
        }
        let number = text.parse::<f64>().ok().filter(|number| *number > 0.0 && *number < 1.0);
        number.map(Self::At).ok_or_else(|| {
            "a probability between 0 and 1, or `val` for the best one on the validation split; it \
             cannot be chosen on another split"
                .to_owned()
        })
    }
}

/// Returns `ln(p / (1 - p))`: the logit of a probability.
#[must_use]
pub fn logit(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln()
}

/// Returns the probability of a logit.
#[must_use]
pub fn probability(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_a_probability_or_val_and_no_other_split() {
        assert_eq!("val".parse(), Ok(Threshold::Val));
        assert_eq!("0.35".parse(), Ok(Threshold::At(0.35)));
        for bad in ["test", "train", "0", "1", "1.5", "-0.1", "nan", "", "Val"] {
            let said = bad.parse::<Threshold>().expect_err(bad);
            assert!(said.contains("validation split"), "{said}");
        }
        assert_eq!(logit(0.5), 0.0);
        assert!((probability(logit(0.3)) - 0.3).abs() < 1e-12);
    }
}
