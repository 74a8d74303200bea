//! What two trials do not have in common.

use std::fmt;

use safetensors::Dtype;
use serde::Serialize;

use crate::event::Cursor;
use crate::worker::learner::{Array, State};

/// An array that is not the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArrayDifference {
    /// Its name: `model.…` or `optimizer.…`.
    pub array: String,
    /// How many of its elements differ, and by how much at most; or that one is missing.
    pub what: String,
}

/// One thing that is not the same, from the first in time to the last.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// After a resume the learner did not hold what the checkpoint holds.
    Restored(ArrayDifference),
    /// A step had another loss.
    Loss {
        /// The step.
        at: Cursor,
        /// Of the uncut trial.
        uncut: f64,
        /// Of the cut one.
        cut: f64,
        /// Steps between the resume and this one; `None`: the attempt began at the beginning.
        since_resume: Option<u64>,
    },
    /// An epoch had another value.
    Metric {
        /// The epoch, from 1.
        epoch: u64,
        /// The metric.
        metric: String,
        /// Of the uncut trial.
        uncut: Option<f64>,
        /// Of the cut one.
        cut: Option<f64>,
    },
    /// An epoch ended with other weights.
    Weights {
        /// The epoch, from 1.
        epoch: u64,
        /// SHA-256 in hex, of the uncut trial.
        uncut: String,
        /// Of the cut one.
        cut: String,
    },
    /// An array of the last checkpoint is another.
    Final(ArrayDifference),
    /// The loop's own state in the last checkpoint is another.
    Loop {
        /// Which value of it.
        key: String,
        /// Of the uncut trial, as JSON.
        uncut: String,
        /// Of the cut one.
        cut: String,
    },
}

impl Difference {
    /// What it points to, where it is the first of a trial.
    pub(super) fn meaning(&self) -> Option<&'static str> {
        let Self::Loss { since_resume, .. } = self else { return None };
        Some(match since_resume {
            Some(0) => {
                "it is the first step after a resume, and the arrays were those of the checkpoint: a \
                 step depends on something that is not in the state, such as a counter or a \
                 generator of random numbers"
            }
            Some(1) => {
                "it is the second step after a resume, and the first was equal: an update depends \
                 on something that is not in the state, such as a moment of the optimizer"
            }
            Some(_) => "it came some steps after a resume that was right so far",
            None => "no checkpoint had been restored before it",
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restored(ArrayDifference { array, what }) => {
                write!(f, "after a resume `{array}` was not what the checkpoint holds: {what}")
            }
            Self::Loss { at, uncut, cut, .. } => {
                let by = (cut - uncut).abs();
                write!(f, "the loss of {at} was {cut:?} instead of {uncut:?} (by {by:.1e})")
            }
            Self::Metric { epoch, metric, uncut, cut } => {
                let show =
                    |value: &Option<f64>| value.map_or("nothing".to_owned(), |v| format!("{v:?}"));
                write!(
                    f,
                    "{metric} of epoch {epoch} was {} instead of {}",
                    show(cut),
                    show(uncut)
                )?;
                if let (Some(uncut), Some(cut)) = (uncut, cut) {
                    write!(f, " (by {:.1e})", (cut - uncut).abs())?;
                }
                Ok(())
            }
            Self::Weights { epoch, .. } => write!(f, "epoch {epoch} ended with other weights"),
            Self::Final(ArrayDifference { array, what }) => {
                write!(f, "`{array}` of the last checkpoint differs: {what}")
            }
            Self::Loop { key, uncut, cut } => {
                write!(f, "`{key}` in the last checkpoint is {cut} instead of {uncut}")
            }
        }
    }
}

/// Compares two states array by array, in the order of names.
pub(super) fn array_differences(one: &State, other: &State) -> Vec<ArrayDifference> {
    let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
    names.sort();
    names.dedup();
    let differing = names.into_iter().filter_map(|name| {
        let what = match (one.get(name), other.get(name)) {
            (Some(one), Some(other)) if one == other => return None,
            (Some(one), Some(other)) => describe(one, other),
            (Some(_), None) => "it is missing".to_owned(),
            (None, _) => "it should not be there".to_owned(),
        };
        Some(ArrayDifference { array: name.clone(), what })
    });
    differing.collect()
}

fn describe(one: &Array, other: &Array) -> String {
    if (one.dtype, &one.shape) != (other.dtype, &other.shape) {
        let Array { dtype, shape, .. } = other;
        return format!("{dtype:?} {shape:?} instead of {:?} {:?}", one.dtype, one.shape);
    }
    let (Some(before), Some(after)) = (values(one), values(other)) else {
        let bytes = one.bytes.iter().zip(&other.bytes).filter(|(a, b)| a != b).count();
        return format!("{bytes} of {} bytes", one.bytes.len());
    };
    let differs = |(a, b): &(&f64, &f64)| a.to_bits() != b.to_bits();
    let changed: Vec<_> = before.iter().zip(&after).filter(differs).collect();
    let most = changed.iter().map(|(a, b)| (*a - *b).abs()).fold(0.0, f64::max);
    format!("{} of {} elements, by up to {most:.1e}", changed.len(), before.len())
}

/// The elements as 64-bit floats; `None` for kinds that networks rarely have.
#[expect(clippy::cast_precision_loss, reason = "for a message to a person")]
fn values(array: &Array) -> Option<Vec<f64>> {
    let bytes = &array.bytes;
    Some(match array.dtype {
        Dtype::F64 => array.as_f64()?,
        Dtype::F32 => {
            bytes.as_chunks::<4>().0.iter().map(|c| f64::from(f32::from_le_bytes(*c))).collect()
        }
        Dtype::I64 => {
            bytes.as_chunks::<8>().0.iter().map(|c| i64::from_le_bytes(*c) as f64).collect()
        }
        // The upper half of a 32-bit float.
        Dtype::BF16 => {
            let wide = |c: &[u8; 2]| f32::from_le_bytes([0, 0, c[0], c[1]]);
            bytes.as_chunks::<2>().0.iter().map(|c| f64::from(wide(c))).collect()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_compared_by_their_bits() {
        let state = |values: &[f64]| State::from([("model.w".to_owned(), Array::of_f64(values))]);
        let whats = |one: &State, other: &State| {
            array_differences(one, other).into_iter().map(|d| d.what).collect::<Vec<_>>()
        };
        let one = state(&[1.0, 2.0, 0.0]);
        assert!(whats(&one, &one).is_empty());
        assert_eq!(whats(&one, &state(&[1.0, 2.5, -0.0])), ["2 of 3 elements, by up to 5.0e-1"]);
        assert_eq!(whats(&one, &state(&[1.0])), ["F64 [1] instead of F64 [3]"]);
        assert_eq!(whats(&one, &State::new()), ["it is missing"]);
        assert_eq!(whats(&State::new(), &one), ["it should not be there"]);
    }

    #[test]
    fn narrow_floats_are_read() {
        let array = |dtype, bytes: Vec<u8>| Array { dtype, shape: vec![1], bytes };
        let half = array(Dtype::BF16, vec![0x80, 0x3f]);
        assert_eq!(values(&half), Some(vec![1.0]));
        assert_eq!(values(&array(Dtype::F32, 1.5_f32.to_le_bytes().to_vec())), Some(vec![1.5]));
        assert_eq!(values(&array(Dtype::I64, 7_i64.to_le_bytes().to_vec())), Some(vec![7.0]));
        assert_eq!(values(&array(Dtype::BOOL, vec![1])), None);
    }
}
