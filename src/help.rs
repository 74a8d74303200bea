//! What both programs show when they are asked for help: examples, verbs in groups, pages of manual.
//! Pure: texts come out, the doors print them.

mod man;
mod overview;

pub use man::{Page, Words, pages};
pub use overview::{Group, overview};

use std::fmt::Write as _;

use clap::builder::{StyledStr, Styles};

/// Heading of examples in help texts.
pub const HEADING: &str = "Examples:";

/// An example: what it does, in a few words, and the command as it is typed.
pub type Example = (&'static str, &'static str);

/// Writes examples as help texts end with them: a line that says what for, one to copy.
#[must_use]
pub fn examples(all: &[Example]) -> StyledStr {
    let styles = Styles::styled();
    let head = styles.get_header();
    let mut text = format!("{head}{HEADING}{head:#}");
    for (what_for, command) in all {
        // Writing into a text never fails.
        let _ = write!(text, "\n  # {what_for}\n  {command}");
    }
    text.into()
}

/// Returns the commands of the examples with which a help text ends.
pub fn shown(help: &str) -> impl Iterator<Item = &str> {
    let at = help.find(HEADING).map_or(help.len(), |at| at + HEADING.len());
    help[at..].lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_can_be_found_again() {
        let text = examples(&[("the best", "regatta best x"), ("a pipe", "regatta sql - < q.sql")]);
        assert_eq!(
            text.to_string(),
            "Examples:\n  # the best\n  regatta best x\n  # a pipe\n  regatta sql - < q.sql"
        );
        let found: Vec<_> = shown(&format!("before\n\n{text}\n")).map(str::to_owned).collect();
        assert_eq!(found, ["regatta best x", "regatta sql - < q.sql"]);
        assert_eq!(shown("nothing").count(), 0);
    }
}
