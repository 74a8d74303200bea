//! What a user is told when something went wrong: what, why, and what to do.

use std::error::Error;
use std::fmt;

/// Whose turn it is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command line is wrong: exit code 2.
    Usage,
    /// The user's files or wishes are wrong: exit code 1.
    User,
    /// The machine, the folder or the scheduler is in the way: exit code 1.
    Site,
    /// Regatta is wrong: exit code 1.
    Internal,
}

/// A failure at the door: message, chain of causes, hints.
#[derive(Debug)]
pub struct Failure {
    /// Whose turn it is.
    pub kind: Kind,
    /// What went wrong, with its causes.
    pub message: String,
    /// What to do, a line each.
    pub hints: Vec<String>,
}

impl Failure {
    /// The command line is wrong.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// The user's files or wishes are wrong.
    pub fn user(message: impl fmt::Display) -> Self {
        Self::new(Kind::User, message)
    }

    /// The machine, the folder or the scheduler is in the way.
    pub fn site(message: impl fmt::Display) -> Self {
        Self::new(Kind::Site, message)
    }

    /// Regatta is wrong.
    pub fn internal(error: impl Error) -> Self {
        Self::new(Kind::Internal, chain(&error))
            .hint("this is a defect of regatta: please report it with `-vv`")
    }

    /// A file cannot be read or written.
    pub fn file(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::site(format!("failed to {doing} {}: {error}", path.display()))
    }

    /// Adds advice.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// Returns the exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.kind == Kind::Usage { 2 } else { 1 }
    }

    fn new(kind: Kind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string(), hints: Vec::new() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Writes an error and its causes in one line, without saying the same thing twice.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}
