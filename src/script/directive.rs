//! Header lines of a script: `#SBATCH --name=value` from a checked character set.
//!
//! To bash such a line is a comment, and only a line break ends a comment; to sbatch it is words,
//! with quotes, backslashes and `#` having a meaning. None of these can get into a [`Directive`].

use std::fmt;
use std::str::FromStr;

/// An option of sbatch that may stand in a header line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Directive {
    name: String,
    value: Option<String>,
}

/// Options that the script sets itself, or that would break its contract.
const RESERVED: [&str; 21] = [
    "array",
    "output",
    "error",
    "input",
    "open-mode",
    "job-name",
    "comment",
    "requeue",
    "no-requeue",
    "signal",
    "parsable",
    "wrap",
    "wait",
    "test-only",
    "export",
    "chdir",
    "ntasks",
    "nodes",
    "help",
    "version",
    "quiet",
];

/// Why something cannot be a header line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectiveError {
    /// A character that would end the line or be read as something else.
    #[error("{} cannot stand in a header line of a script", named(*character))]
    Character {
        /// The character.
        character: char,
    },
    /// Not of the form `--option` or `--option=value`.
    #[error("`{text}` is no option of sbatch: write --option=value or --option")]
    Form {
        /// What stood there.
        text: String,
    },
    /// An option that is not the user's to set.
    #[error("`--{name}` is set by the script itself and cannot be given as an extra option")]
    Reserved {
        /// Its name.
        name: String,
    },
    /// A path in which SLURM would replace something.
    #[error(
        "the path `{path}` holds a `%`, which SLURM replaces in names of output files; choose another folder"
    )]
    Percent {
        /// The path.
        path: String,
    },
}

fn named(character: char) -> String {
    match character {
        '\n' | '\r' => "a line break".to_owned(),
        c if c.is_control() => format!("the control character {}", c.escape_default()),
        c => format!("the character {c}"),
    }
}

impl Directive {
    /// Makes `--name=value`.
    ///
    /// # Errors
    /// When the value holds a character with a meaning to bash or sbatch, or the name is no name.
    pub fn new(name: &str, value: &str) -> Result<Self, DirectiveError> {
        let directive = Self::flag(name)?;
        // Double quotes keep spaces and single quotes together (tried with SLURM 22.05); what ends
        // or escapes double quotes is refused, and what other languages call a line break too.
        let bad = |c: &char| c.is_control() || "\"\\`#\u{85}\u{2028}\u{2029}".contains(*c);
        if let Some(character) = value.chars().find(bad) {
            return Err(DirectiveError::Character { character });
        }
        Ok(Self { value: Some(value.to_owned()), ..directive })
    }

    /// Makes `--name`.
    ///
    /// # Errors
    /// When it is no name.
    pub fn flag(name: &str) -> Result<Self, DirectiveError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.starts_with('-') || !name.chars().all(plain) {
            return Err(DirectiveError::Form { text: format!("--{name}") });
        }
        Ok(Self { name: name.to_owned(), value: None })
    }

    /// Makes `--output=` for a pattern in a folder.
    ///
    /// # Errors
    /// When the folder's path holds a `%` or a character that no header line can.
    pub(super) fn output(folder: &str, pattern: &str) -> Result<Self, DirectiveError> {
        if folder.contains('%') {
            return Err(DirectiveError::Percent { path: folder.to_owned() });
        }
        Self::new("output", &format!("{folder}/{pattern}"))
    }

    /// Refuses options that the script sets itself. sbatch takes any unambiguous beginning of an
    /// option for the whole (`--out`), and so does this.
    pub(super) fn refuse_reserved(&self) -> Result<(), DirectiveError> {
        match RESERVED.iter().any(|reserved| reserved.starts_with(&self.name)) {
            true => Err(DirectiveError::Reserved { name: self.name.clone() }),
            false => Ok(()),
        }
    }
}

impl FromStr for Directive {
    type Err = DirectiveError;

    /// Reads an extra option of a sweep file.
    fn from_str(text: &str) -> Result<Self, DirectiveError> {
        let form = || DirectiveError::Form { text: text.to_owned() };
        let option = text.strip_prefix("--").ok_or_else(form)?;
        let directive = match option.split_once('=') {
            Some((name, value)) => Self::new(name, value),
            None => Self::flag(option),
        }?;
        directive.refuse_reserved()?;
        Ok(directive)
    }
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value: Some(value) } = self else { return write!(f, "--{}", self.name) };
        let plain = |c: char| c.is_ascii_alphanumeric() || "_./:,=+@%*-[]()|&!~^{}".contains(c);
        match value.chars().all(plain) {
            true => write!(f, "--{name}={value}"),
            false => write!(f, "--{name}=\"{value}\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_comment() {
        for bad in ["a\nrm -rf /", "a\rb", "a\"b", "a\\", "a # b", "a\u{2028}b", "a\0", "a`b`"] {
            assert!(
                matches!(Directive::new("account", bad), Err(DirectiveError::Character { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn what_is_not_plain_is_quoted() {
        let line = |value: &str| Directive::new("output", value).expect("good").to_string();
        assert_eq!(line("/a/%A_%a.out"), "--output=/a/%A_%a.out");
        assert_eq!(line("/a b/c'd/é"), "--output=\"/a b/c'd/é\"");
    }

    #[test]
    fn what_the_script_needs_cannot_be_taken_away() {
        for bad in ["--no-requeue", "--out=x", "--array=0-3", "--sig=USR1", "--wrap=ls"] {
            assert!(
                matches!(bad.parse::<Directive>(), Err(DirectiveError::Reserved { .. })),
                "{bad}"
            );
        }
        for bad in ["-p gpu", "gpu", "--", "--a b", "--=3"] {
            assert!(matches!(bad.parse::<Directive>(), Err(DirectiveError::Form { .. })), "{bad}");
        }
        for good in ["--nice=10", "--exclusive", "--mail-type=END", "--nodefile=/a"] {
            assert_eq!(good.parse::<Directive>().expect("good").to_string(), good);
        }
    }
}
