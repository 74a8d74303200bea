//! Text to tokens.

use std::ops::Range;

use super::{Operator, QueryError};

/// A piece of a condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A name, a keyword, a number or a text without quotes.
    Word(String),
    /// A text in quotes, without them.
    Quoted(String),
    Operator(Operator),
    Open,
    Close,
    Comma,
}

/// Operators, the longer first, and what people write for one by mistake.
const OPERATORS: [(&str, Result<Operator, &str>); 17] = [
    ("&&", Err("write `and`")),
    ("||", Err("write `or`")),
    ("=>", Err("write `>=`")),
    ("=<", Err("write `<=`")),
    ("=~", Err("write `~`")),
    ("==", Ok(Operator::Equal)),
    ("!=", Ok(Operator::NotEqual)),
    ("!~", Ok(Operator::NotLike)),
    ("<>", Ok(Operator::NotEqual)),
    ("<=", Ok(Operator::AtMost)),
    (">=", Ok(Operator::AtLeast)),
    ("=", Ok(Operator::Equal)),
    ("<", Ok(Operator::Less)),
    (">", Ok(Operator::Greater)),
    ("~", Ok(Operator::Like)),
    ("!", Err("write `not`")),
    ("&", Err("write `and`")),
];

/// Signs that a word may have: those of names, numbers and patterns.
fn is_of_a_word(sign: char) -> bool {
    sign.is_alphanumeric() || "_./@+-*?[]^:%".contains(sign)
}

/// Divides a text into tokens.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, QueryError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(sign) = text[at..].chars().next() {
        let rest = &text[at..];
        if sign.is_whitespace() {
            at += sign.len_utf8();
            continue;
        }
        let (kind, length) = match sign {
            '(' => (Kind::Open, 1),
            ')' => (Kind::Close, 1),
            ',' => (Kind::Comma, 1),
            '"' | '\'' => quoted(rest, sign, at)?,
            sign if is_of_a_word(sign) => {
                let length = rest.find(|c| !is_of_a_word(c)).unwrap_or(rest.len());
                (Kind::Word(rest[..length].to_owned()), length)
            }
            _ => operator(rest, at)?,
        };
        found.push(Token { kind, at: at..at + length });
        at += length;
    }
    Ok(found)
}

/// A text in quotes; a backslash keeps the sign behind it.
fn quoted(rest: &str, quote: char, at: usize) -> Result<(Kind, usize), QueryError> {
    let mut inner = String::new();
    let mut signs = rest.char_indices().skip(1);
    while let Some((offset, sign)) = signs.next() {
        match sign {
            '\\' => inner.extend(signs.next().map(|(_, kept)| kept)),
            sign if sign == quote => return Ok((Kind::Quoted(inner), offset + 1)),
            other => inner.push(other),
        }
    }
    Err(QueryError {
        what: "a quote is not closed".to_owned(),
        at: at..at + 1,
        hint: Some(format!("end the text with {quote}")),
    })
}

fn operator(rest: &str, at: usize) -> Result<(Kind, usize), QueryError> {
    let found = OPERATORS.iter().find(|(sign, _)| rest.starts_with(sign));
    let known = "known: = != < <= > >= ~ !~ and or not in ( )".to_owned();
    match found {
        Some((sign, Ok(operator))) => Ok((Kind::Operator(*operator), sign.len())),
        Some((sign, Err(hint))) => Err(QueryError {
            what: format!("`{sign}` is no operator"),
            at: at..at + sign.len(),
            hint: Some((*hint).to_owned()),
        }),
        None => {
            let sign = rest.chars().next().unwrap_or_default();
            let (what, at) = (format!("`{sign}` means nothing here"), at..at + sign.len_utf8());
            Err(QueryError { what, at, hint: Some(known) })
        }
    }
}
