//! Where words go: answers to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::Failure;

/// Whether logs stay away from a terminal that a view has to itself.
static HUSHED: AtomicBool = AtomicBool::new(false);

/// Whether the reader of stdout went away.
static UNREAD: AtomicBool = AtomicBool::new(false);

/// The terminal, or whatever stands for it.
#[derive(Clone, Debug)]
pub struct Screen {
    json: bool,
    quiet: bool,
    color: bool,
    /// Where words go instead.
    aside: Option<Aside>,
}

/// Words that a verb said and nobody printed, for whoever shows them in another way.
#[derive(Clone, Debug, Default)]
pub(super) struct Aside(Arc<Mutex<Vec<String>>>);

impl Aside {
    /// Takes what was said since the last time.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, text: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text.trim_end().to_owned());
    }
}

impl Screen {
    pub(super) fn new(json: bool, quiet: bool, color: bool) -> Self {
        Self { json, quiet, color, aside: None }
    }

    /// The same for a verb that another one calls: words, not JSON, kept in `aside`.
    pub(super) fn aside(&self, aside: Aside) -> Self {
        Self { json: false, aside: Some(aside), ..self.clone() }
    }

    /// The same without colours.
    pub(super) fn uncolored(&self) -> Self {
        Self { color: false, ..self.clone() }
    }

    /// Says whether colours are wanted.
    pub(super) fn is_colored(&self) -> bool {
        self.color
    }

    /// Says whether a program can draw on stdout: somebody watches, and the terminal can move its cursor.
    pub(super) fn can_be_drawn_on(&self) -> bool {
        io::stdout().is_terminal() && !is_dumb()
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

    /// Says whether somebody watches stderr, so that progress bars make sense: not on a terminal that
    /// cannot move its cursor.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        !self.quiet && self.aside.is_none() && io::stderr().is_terminal() && !is_dumb()
    }

    /// Prints a part of the answer.
    pub fn answer(&self, text: impl AsRef<str>) {
        match &self.aside {
            Some(aside) => aside.put(text.as_ref()),
            None => {
                let written = emit(&mut io::stdout().lock(), text.as_ref());
                if written.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
                    UNREAD.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    /// Prints the answer as it stands, text or not.
    ///
    /// # Errors
    /// When it cannot be written, such as into a file on a full disk. A reader that went away is no error.
    pub fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        if let Some(aside) = &self.aside {
            aside.put(&String::from_utf8_lossy(bytes));
            return Ok(());
        }
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
            self.tell(text.as_ref());
        }
    }

    /// Tells something that needs attention (stderr).
    pub fn warn(&self, text: impl AsRef<str>) {
        let label = self.paint("33;1", "warning");
        self.tell(&format!("{label}: {}", text.as_ref()));
    }

    /// Tells of a failure with its hints, and returns its exit code.
    #[must_use]
    pub fn fail(&self, failure: &Failure) -> ExitCode {
        if self.json {
            let error = serde_json::json!({
                "schema_version": 1,
                "error": { "message": failure.message, "hints": failure.hints },
            });
            // In one line: where answers are an object a line, so is this.
            self.answer(error.to_string());
        }
        let mut text = format!("{}: {}", self.paint("31;1", "error"), failure.message);
        for hint in &failure.hints {
            text.push_str(&format!("\n{}: {hint}", self.paint("36;1", " hint")));
        }
        self.tell(&text);
        ExitCode::from(failure.exit_code())
    }

    /// Prints a line beside the answer as it stands (stderr).
    pub(super) fn tell(&self, text: &str) {
        match &self.aside {
            Some(aside) => aside.put(text),
            None => drop(emit(&mut io::stderr().lock(), text)),
        }
    }

    /// Colours a text, where colours are wanted.
    #[must_use]
    pub fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// A terminal that says of itself that it can do nothing.
#[expect(clippy::disallowed_methods, reason = "a front room reads the environment")]
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Keeps logs from a terminal that a view has to itself, or lets them through again.
pub(super) fn hush_logs(hush: bool) {
    HUSHED.store(hush && io::stderr().is_terminal(), Ordering::Relaxed);
}

/// Where logs go.
pub(super) fn logs() -> Box<dyn Write> {
    if HUSHED.load(Ordering::Relaxed) { Box::new(io::sink()) } else { Box::new(io::stderr()) }
}

/// Says whether somebody still reads the answer, as far as was tried: after `| head` nobody does.
pub(super) fn has_reader() -> bool {
    !UNREAD.load(Ordering::Relaxed)
}

/// Writes a line.
fn emit(to: &mut impl Write, text: &str) -> io::Result<()> {
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    write!(to, "{text}{newline}").and_then(|()| to.flush())
}
