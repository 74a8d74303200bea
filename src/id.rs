//! Names of things: trials, submissions and attempts.
//!
//! Identifiers are values with a checked spelling; how a trial's identity is computed from its
//! settings is `sweep::identity`'s business.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Identity of a trial: the first 16 hex digits of a SHA-256 over its settings and seed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrialId(String);

impl TrialId {
    /// Number of hex digits in an id.
    pub const LEN: usize = 16;

    /// Takes the first 16 hex digits of a digest given in hex.
    ///
    /// # Errors
    /// When the text is shorter or is not lower-case hex.
    pub fn from_digest(hex: &str) -> Result<Self, IdError> {
        hex.get(..Self::LEN).unwrap_or(hex).parse()
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrialId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if text.len() == Self::LEN && text.chars().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::NotATrialId { text: text.to_owned() })
        }
    }
}

impl TryFrom<String> for TrialId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<TrialId> for String {
    fn from(id: TrialId) -> Self {
        id.0
    }
}

impl fmt::Display for TrialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Unique mark of one submission: it travels as job name and comment, so that a job can be found
/// again when its id was never heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(Uuid);

impl Token {
    /// Makes a fresh token (UUID version 7) for the given moment.
    #[must_use]
    pub fn at(moment: Timestamp) -> Self {
        Self(uuid_at(moment))
    }

    /// Returns the moment for which it was made, to the millisecond; `None` for foreign UUIDs.
    #[must_use]
    pub fn moment(self) -> Option<Timestamp> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?).ok()
    }

    /// Returns the token that stands in shown plans, where nothing is submitted.
    #[must_use]
    pub fn placeholder() -> Self {
        Self(Uuid::nil())
    }
}

impl FromStr for Token {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Uuid::try_parse(text).map(Self).map_err(|_| IdError::NotAToken { text: text.to_owned() })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// Unique name of one process that worked on a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptUuid(Uuid);

impl AttemptUuid {
    /// Makes a fresh one (UUID version 7) for the given moment.
    #[must_use]
    pub fn at(moment: Timestamp) -> Self {
        Self(uuid_at(moment))
    }
}

impl fmt::Display for AttemptUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

fn uuid_at(moment: Timestamp) -> Uuid {
    let seconds = u64::try_from(moment.as_second()).unwrap_or(0);
    let nanos = u32::try_from(moment.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
}

/// Returns bytes as lower-case hex, as ids and digests are spelt.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What can be wrong with a written identifier.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdError {
    /// Not 16 lower-case hex digits.
    #[error("`{text}` is no trial id (16 hex digits)")]
    NotATrialId {
        /// What stood there.
        text: String,
    },
    /// Not a UUID.
    #[error("`{text}` is no submission token (a UUID)")]
    NotAToken {
        /// What stood there.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trial_ids_are_sixteen_lower_case_hex_digits() {
        assert!("0123456789abcdef".parse::<TrialId>().is_ok());
        for bad in
            ["", "0123456789abcde", "0123456789ABCDEF", "0123456789abcdeg", "../../../../../e"]
        {
            assert!(bad.parse::<TrialId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn hex_has_two_lower_case_digits_a_byte() {
        assert_eq!(hex(&[0, 10, 0x7f, 255]), "000a7fff");
        assert_eq!(hex(&[]), "");
    }

    #[test]
    fn tokens_made_later_sort_later() {
        let early = Token::at(Timestamp::from_second(1_000).expect("valid"));
        let late = Token::at(Timestamp::from_second(2_000).expect("valid"));
        assert!(early < late);
        assert_eq!(late.moment(), Timestamp::from_second(2_000).ok());
        assert_eq!(Token::placeholder().moment(), None);
        assert_eq!(early.to_string().parse::<Token>().expect("round trip"), early);
    }
}
