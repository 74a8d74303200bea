//! What reading journals brings, and what is told of those that give trouble.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::journal::{Mark, Opened, Reader, Record, Whose};

/// The number of records, and a sentence for each file that gave trouble.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) records: u64,
    pub(super) problems: Vec<String>,
    /// What the controller did last could not be read: the database may not know of it.
    pub(super) is_behind: bool,
}

impl News {
    /// Opens a journal at a mark. `None`: it cannot be read now, and stays as it was.
    pub(super) fn open<T: DeserializeOwned>(
        &mut self,
        path: &Path,
        mark: Mark,
    ) -> Option<Opened<T>> {
        let opened = Reader::open(path, mark);
        if let Ok(Opened::Changed) = &opened {
            let path = path.display();
            self.problems
                .push(format!("{path} was cut or replaced: it was read again from its start"));
        }
        opened.map_err(|error| self.unreadable(path, &error)).ok()
    }

    /// The next record, counted; `None` at the end, or where it cannot be read on.
    pub(super) fn next<T: DeserializeOwned>(
        &mut self,
        path: &Path,
        reader: &mut Reader<T>,
        whose: impl Fn(&T) -> Whose,
    ) -> Option<Record<T>> {
        let next = reader.next(whose).map_err(|error| self.unreadable(path, &error)).ok()?;
        self.records += u64::from(next.is_some());
        next
    }

    /// Tells of a file that cannot be read.
    pub(super) fn unreadable(&mut self, path: &Path, error: &std::io::Error) {
        self.problems.push(format!("{} cannot be read: {error}", path.display()));
    }
}
