//! The language of questions: conditions on trials, and the names of what can be asked of them.
//!
//! Pure: a text becomes an [`Expr`] or an error with its place; `store` makes SQL of it. docs/asking.md
//! has the grammar.

mod glob;
mod lexer;
mod name;
mod parser;

use std::ops::Range;

pub use glob::{is_pattern, matches};
pub use name::{Aggregate, Field, Kind, Name, Unknown, Vocabulary};
pub use parser::parse;

/// A condition on a trial. A comparison with something that a trial does not have is false.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// All of them hold; true for none.
    All(Vec<Expr>),
    /// One of them holds at least; false for none.
    Any(Vec<Expr>),
    /// It does not hold.
    Not(Box<Expr>),
    /// A comparison.
    Compare {
        /// What is compared.
        name: Name,
        /// How.
        operator: Operator,
        /// With what.
        literal: Literal,
    },
}

/// How two things are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `~`: a pattern with `*`, `?` and `[abc]` that the whole text fits
    Like,
    /// `!~`
    NotLike,
}

impl Operator {
    /// Returns how it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Like => "~",
            Self::NotLike => "!~",
        }
    }

    /// Says whether it asks for an order.
    #[must_use]
    pub fn is_order(self) -> bool {
        matches!(self, Self::Less | Self::AtMost | Self::Greater | Self::AtLeast)
    }
}

/// One key of an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// What it is ordered by.
    pub name: Name,
    /// Whether the largest comes first.
    pub is_descending: bool,
}

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A whole number, of whatever size.
    Whole(i128),
    /// Another number, finite.
    Number(f64),
    /// A text, with quotes or a single word.
    Text(String),
    /// `true` or `false`.
    Truth(bool),
    /// `null`: nothing is there.
    Null,
}

/// What is wrong with a question, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct QueryError {
    /// What is wrong.
    pub what: String,
    /// Bytes of the text that it is about; empty at its end.
    pub at: Range<usize>,
    /// What to do.
    pub hint: Option<String>,
}

impl QueryError {
    /// Returns the column, counted from 1 in characters.
    #[must_use]
    pub fn column(&self, text: &str) -> usize {
        text[..self.at.start].chars().count() + 1
    }

    /// Returns the line of the text with the place marked below it.
    #[must_use]
    pub fn marked(&self, text: &str) -> String {
        let start = text[..self.at.start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[self.at.start..].find('\n').map_or(text.len(), |at| self.at.start + at);
        let before = text[start..self.at.start].chars().map(|c| if c == '\t' { '\t' } else { ' ' });
        let length = text[self.at.start..self.at.end.min(end)].chars().count().max(1);
        format!("{}\n{}{}", &text[start..end], before.collect::<String>(), "^".repeat(length))
    }
}

#[cfg(test)]
mod tests;
