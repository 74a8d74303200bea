//! Where words go: answers to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde::Serialize;

use super::Failure;

/// The terminal, or whatever stands for it.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    json: bool,
    quiet: bool,
    color: bool,
    mute: bool,
}

impl Screen {
    pub(super) fn new(json: bool, quiet: bool, color: bool) -> Self {
        Self { json, quiet, color, mute: false }
    }

    /// The same terminal, to which nothing is told: for questions that are asked over and over.
    pub(super) fn muted(self) -> Self {
        Self { mute: true, quiet: true, ..self }
    }

    /// Says whether the answer is to be one JSON value.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Says whether notes are left out.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Says whether somebody watches stderr, so that progress bars make sense.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Prints a part of the answer.
    pub fn answer(&self, text: impl AsRef<str>) {
        emit(&mut io::stdout().lock(), text.as_ref());
    }

    /// Prints the answer as it stands, text or not.
    ///
    /// # Errors
    /// When it cannot be written, such as into a file on a full disk. A reader that went away is no error.
    pub fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Prints the answer as one JSON value.
    pub fn json(&self, value: &impl Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.answer(text),
            Err(error) => self.warn(format!("failed to write JSON: {error}")),
        }
    }

    /// Tells something beside the answer (stderr); nothing with `--quiet`.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            emit(&mut io::stderr().lock(), text.as_ref());
        }
    }

    /// Tells something that needs attention (stderr).
    pub fn warn(&self, text: impl AsRef<str>) {
        if self.mute {
            return;
        }
        let label = self.paint("33;1", "warning");
        emit(&mut io::stderr().lock(), &format!("{label}: {}", text.as_ref()));
    }

    /// Tells of a failure with its hints, and returns its exit code.
    #[must_use]
    pub fn fail(&self, failure: &Failure) -> ExitCode {
        if self.json {
            let error = serde_json::json!({
                "schema_version": 1,
                "error": { "message": failure.message, "hints": failure.hints },
            });
            self.json(&error);
        }
        let mut text = format!("{}: {}", self.paint("31;1", "error"), failure.message);
        for hint in &failure.hints {
            text.push_str(&format!("\n{}: {hint}", self.paint("36;1", " hint")));
        }
        emit(&mut io::stderr().lock(), &text);
        ExitCode::from(failure.exit_code())
    }

    /// Colours a text, where colours are wanted.
    #[must_use]
    pub fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Writes a line. A reader that went away (`| head`) is no error.
fn emit(to: &mut impl Write, text: &str) {
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    let _ = write!(to, "{text}{newline}").and_then(|()| to.flush());
}
