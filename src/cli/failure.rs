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
        use std::io::ErrorKind as Io;
        let failure = Self::site(format!("failed to {doing} {}: {error}", path.display()));
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        match (doing, error.kind(), folder) {
            ("write" | "make", Io::NotFound, Some(folder)) => failure
                .hint(format!("there is no folder {}: `mkdir -p` makes it", folder.display())),
            (_, Io::NotFound, _) => {
                failure.hint("is the path right? It is read from where you are")
            }
            (_, Io::PermissionDenied, _) => {
                failure.hint("`ls -ld` tells whose it is; name another place")
            }
            (_, Io::StorageFull | Io::QuotaExceeded, _) => failure
                .hint("the disk or the quota is full: make room, then give the same command again"),
            _ => failure,
        }
    }

    /// Adds advice.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// Makes commands in its advice mean the folder that this one was about; `root` is what must be typed for
    /// that.
    #[must_use]
    pub(super) fn at(mut self, root: &str) -> Self {
        if !root.is_empty() {
            self.hints.iter_mut().for_each(|hint| *hint = typed_at(hint, root));
        }
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

/// Verbs that are about no folder of sweeps.
const ELSEWHERE: [&str; 8] =
    ["--root", "init", "help", "plan", "schema", "completions", "man", "export SWEEP"];

/// Advice with the folder named in each command that does not name one.
fn typed_at(hint: &str, root: &str) -> String {
    let mut parts = hint.split("`regatta ");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_elsewhere = ELSEWHERE.iter().any(|word| part.starts_with(word));
        text.push_str("`regatta ");
        text.push_str(if is_elsewhere { "" } else { root });
        text.push_str(part);
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_about_the_same_folder() {
        let at = |hint: &str| Failure::user("x").hint(hint).at("--root /r ").hints.remove(0);
        assert_eq!(
            at("`regatta status` lists, `regatta show 3fa9` tells"),
            "`regatta --root /r status` lists, `regatta --root /r show 3fa9` tells"
        );
        for same in ["`regatta --root /r status` lists", "`regatta init` makes one", "wait for it"]
        {
            assert_eq!(at(same), same);
        }
        assert_eq!(Failure::user("x").hint("`regatta tick`").at("").hints, ["`regatta tick`"]);
    }
}
