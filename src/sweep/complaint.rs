//! What is wrong with a sweep file: where, what, and what to do.

use std::fmt;

use super::place::Place;

/// One thing wrong with a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// File, line and column, where known.
    pub place: Option<Place>,
    /// The path in the document; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)
    }
}

/// Everything found wrong with a sweep at once.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct SweepError {
    /// At least one.
    pub complaints: Vec<Complaint>,
}

impl SweepError {
    pub(super) fn one(
        place: Option<Place>,
        path: impl Into<String>,
        what: impl Into<String>,
        hint: Option<String>,
    ) -> Self {
        Self { complaints: vec![Complaint { place, path: path.into(), what: what.into(), hint }] }
    }

    fn text(&self) -> String {
        let lines: Vec<_> = self.complaints.iter().map(Complaint::to_string).collect();
        lines.join("\n")
    }
}
