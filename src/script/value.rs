//! Values of resources in SLURM's spellings: memory, counts, names.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::directive::Directive;
use super::time::TimeLimit;

/// What is wrong with a resource. [`fmt::Display`] says what stood there and what would do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// No time that SLURM knows.
    #[error(
        "`{text}` is no time limit: write \"HH:MM:SS\" (\"04:00:00\"), \"D-HH:MM:SS\" (\"1-12:00:00\"), \
         minutes (30) or UNLIMITED"
    )]
    Time {
        /// What stood there.
        text: String,
    },
    /// No amount of memory.
    #[error(
        "`{text}` is no amount of memory: write a number with K, M, G or T (16G); without one it is megabytes"
    )]
    Memory {
        /// What stood there.
        text: String,
    },
    /// No number of CPUs.
    #[error("`{text}` is no number of CPUs: write a whole number of 1 or more")]
    Count {
        /// What stood there.
        text: String,
    },
    /// No number of GPUs.
    #[error("`{text}` is no number of GPUs: write a whole number (1), or kind and number (a100:1)")]
    Gpus {
        /// What stood there.
        text: String,
    },
    /// No name.
    #[error("`{text}` cannot stand here: {why}")]
    Word {
        /// What stood there.
        text: String,
        /// Why.
        why: String,
    },
}

/// Memory in mebibytes, as SLURM counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Memory {
    mebibytes: u64,
}

impl Memory {
    /// Returns the amount in mebibytes.
    #[must_use]
    pub fn mebibytes(self) -> u64 {
        self.mebibytes
    }

    /// Returns this amount times a factor, rounded up.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "mebibytes stay far below 2^53, factors are from 1 to 100"
    )]
    pub fn scaled(self, factor: f64) -> Self {
        Self { mebibytes: (self.mebibytes as f64 * factor).ceil() as u64 }
    }
}

impl FromStr for Memory {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, ResourceError> {
        let wrong = || ResourceError::Memory { text: text.to_owned() };
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = text[digits.len()..].to_ascii_uppercase();
        let number: u64 = if digits.bytes().all(|b| b.is_ascii_digit()) {
            digits.parse().map_err(|_| wrong())?
        } else {
            return Err(wrong());
        };
        let mebibytes = match unit.as_str() {
            "K" | "KB" => Some(number.div_ceil(1024)),
            "" | "M" | "MB" => Some(number),
            "G" | "GB" => number.checked_mul(1024),
            "T" | "TB" => number.checked_mul(1024 * 1024),
            _ => None,
        };
        // `--mem=0` asks SLURM for all of a node; nobody should get that by a slip.
        mebibytes.filter(|m| *m > 0).map(|mebibytes| Self { mebibytes }).ok_or_else(wrong)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mebibytes {
            whole if whole % 1024 == 0 => write!(f, "{}G", whole / 1024),
            part => write!(f, "{part}M"),
        }
    }
}

/// A number of 1 or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count(u32);

impl Count {
    /// Returns the number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl FromStr for Count {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, ResourceError> {
        let wrong = || ResourceError::Count { text: text.to_owned() };
        text.parse().ok().filter(|n| *n > 0).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// GPUs: how many, and of what kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gpus {
    /// The kind, in the cluster's words.
    pub kind: Option<Word>,
    /// How many; 0 for none.
    pub count: u32,
}

impl FromStr for Gpus {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, ResourceError> {
        let wrong = || ResourceError::Gpus { text: text.to_owned() };
        let (kind, count) = match text.rsplit_once(':') {
            Some((kind, count)) => (Some(kind), count),
            None => (None, text),
        };
        let plain =
            |kind: &str| kind.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        if kind.is_some_and(|kind| !plain(kind)) {
            return Err(wrong());
        }
        let kind = kind.map(str::parse).transpose().map_err(|_| wrong())?;
        Ok(Self { kind, count: count.parse().map_err(|_| wrong())? })
    }
}

impl fmt::Display for Gpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(kind) = &self.kind {
            write!(f, "{kind}:")?;
        }
        self.count.fmt(f)
    }
}

/// A name of the cluster's: a value that may stand in a header line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(String);

impl Word {
    /// Returns it as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Word {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, ResourceError> {
        let wrong = |why: &str| ResourceError::Word { text: text.to_owned(), why: why.to_owned() };
        if text.is_empty() {
            return Err(wrong("it is empty; leave the key out instead"));
        }
        if text.contains(' ') {
            return Err(wrong("a space does not belong into a name"));
        }
        match Directive::new("x", text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(wrong(&error.to_string())),
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a text, or a whole number as its text: `time: 30` and `time: "30"` are the same.
struct Scalar<T>(PhantomData<T>);

impl<T> Visitor<'_> for Scalar<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a whole number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.trim().parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<T, E> {
        self.visit_str(&value.to_string())
    }
}

macro_rules! as_text {
    ($($kind:ty),*) => {$(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Scalar(PhantomData))
            }
        }
    )*};
}

as_text!(TimeLimit, Memory, Count, Gpus, Word, Directive);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_scaled_and_written() {
        let doubled = |text: &str| text.parse::<Memory>().expect("good").scaled(2.0).to_string();
        assert_eq!(doubled("16G"), "32G");
        assert_eq!(doubled("1000M"), "2000M");
        assert_eq!(doubled("512"), "1G");
        for bad in ["", "G", "16 G", "0", "-1G", "1.5G", "16X", "sixteen", "99999999999999999999G"]
        {
            assert!(bad.parse::<Memory>().is_err(), "{bad}");
        }
    }
}
