//! The token: who has it may look. It is made anew at each start, and lives in memory alone.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::cli::Failure;

/// A secret of 256 bits. It is told where it is printed for its owner, and nowhere else.
pub(super) struct Token(String);

impl Token {
    /// Draws one from the system's source of chance.
    ///
    /// # Errors
    /// When the system gives none.
    pub(super) fn draw() -> Result<Self, Failure> {
        Ok(Self(chance::<32>()?))
    }

    /// For its owner's eyes.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// Compares in a time that does not tell how much of it is right.
    pub(super) fn is(&self, told: &str) -> bool {
        self.0.as_bytes().ct_eq(told.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// `BYTES` bytes of chance, in letters that an address may have.
pub(super) fn chance<const BYTES: usize>() -> Result<String, Failure> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::site(format!("the system gives no random numbers: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_itself_alone_and_is_not_shown_by_chance() {
        let (one, other) = (Token::draw().expect("chance"), Token::draw().expect("chance"));
        assert_eq!(one.reveal().len(), 43);
        assert!(one.is(one.reveal()) && !one.is(other.reveal()));
        assert!(!one.is("") && !one.is(&one.reveal()[1..]));
        assert_eq!(format!("{one:?}"), "Token");
    }
}
