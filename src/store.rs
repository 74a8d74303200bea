//! The cellar: one SQLite file, built from the journals and asked by every command.
//!
//! Journals are the truth, the database is derived: [`Store::collect`] reads what is new,
//! [`Store::rebuild`] makes it all again. The controller alone opens it, with one connection. What
//! a trial's state follows from is decided by [`derive()`], without a database. Nothing here asks a
//! scheduler; its answers are handed in through [`Store::record_reports`].

mod acts;
mod attempts;
mod batch;
mod collect;
mod content;
mod evidence;
mod fact;
mod news;
mod open;
mod plan_file;
mod plan_read;
mod query;
mod records;
mod reports;
mod rows;
mod rule;
mod skew;
mod state;
mod summary;
mod verdict;
mod witness;

use std::path::PathBuf;

use sqlx::SqliteConnection;

use crate::layout::LockError;
pub use crate::query::Aggregate;

#[doc(hidden)]
pub use attempts::CANDIDATES;
pub use collect::Collected;
pub use fact::{
    AttemptFact, CancelFact, EndFact, Evidence, Fate, RefusalFact, Sight, Sighting, SubmissionFact,
    TaskEndFact,
};
pub use open::Mode;
#[doc(hidden)]
pub use query::ranking_sql;
pub use query::{
    AttemptRow, BestRow, Candidate, Course, Curve, Doubt, EpochRow, Gpu, Progress, Ranking, Rivals,
    SampleRow, Selector, Spent, SweepStatus, Table, TrialDetail, TrialKey, TrialRow, WarningRow,
    WorkspaceRow,
};
pub use rule::Rule;
pub use state::TrialState;
pub use verdict::{Verdict, derive};

/// The database. It has one connection and, between processes, one writer at a time.
#[derive(Debug)]
pub struct Store {
    connection: SqliteConnection,
    mode: Mode,
    in_memory: bool,
}

/// What can go wrong in the cellar.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be opened.
    #[error("failed to open {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
    /// A newer version of this program wrote it.
    #[error("{} has version {found}, this program knows {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// It must be brought to this version, but was opened for reading only.
    #[error("{} has version {found}, {known} is needed", path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// Its version; 0 for an empty file.
        found: i64,
        /// The version that is needed.
        known: i64,
    },
    /// Bringing it to this version failed.
    #[error("failed to prepare {}: {source}", path.display())]
    Migrate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: sqlx::migrate::MigrateError,
    },
    /// A query failed.
    #[error("the database failed: {0}")]
    Sqlite(#[from] sqlx::Error),
    /// A file of the shared folder cannot be read.
    #[error("failed to read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The plan of a sweep makes no sense.
    #[error("{} is damaged: {source}", path.display())]
    Plan {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The lock of collecting cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// No such sweep.
    #[error("there is no sweep `{name}`")]
    NoSweep {
        /// What was asked for.
        name: String,
        /// A name that is near.
        nearest: Option<String>,
    },
    /// No such trial.
    #[error("there is no trial `{prefix}`")]
    NoTrial {
        /// What was asked for.
        prefix: String,
    },
    /// It is the name of a sweep.
    #[error("`{name}` is a sweep, a trial is needed")]
    SweepForTrial {
        /// What was asked for.
        name: String,
    },
    /// Several trials begin like this.
    #[error("`{prefix}` may be any of {}", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// Some that fit, as `sweep/trial`.
        candidates: Vec<String>,
    },
    /// Nobody recorded that metric.
    #[error("no trial has recorded `{metric}`")]
    NoMetric {
        /// What was asked for.
        metric: String,
        /// A name that is near.
        nearest: Option<String>,
        /// What was recorded.
        known: Vec<String>,
    },
    /// A question in SQL that cannot be answered.
    #[error("{what}")]
    NoQuestion {
        /// What is wrong with it.
        what: String,
    },
    /// The sweeps are about different metrics, and none was named.
    #[error("the sweeps have different objectives: {}", objectives.join(", "))]
    MixedObjectives {
        /// Which.
        objectives: Vec<String>,
    },
}

impl StoreError {
    /// Says whether the disk refused to take what was to be written: it is full, read-only or fails.
    #[must_use]
    pub fn is_refused_by_disk(&self) -> bool {
        // READONLY, IOERR, FULL, and CANTOPEN: SQLite's own log could not be made.
        self.is_one_of(&[8, 10, 13, 14])
    }

    /// Says whether another program holds the database.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        // BUSY and LOCKED.
        self.is_one_of(&[5, 6])
    }

    /// Says whether the same may go well later, with the same database.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        self.is_locked() || self.is_refused_by_disk()
    }

    /// Compares SQLite's primary result code (sqlite.org/rescode.html).
    fn is_one_of(&self, codes: &[i32]) -> bool {
        let (Self::Sqlite(sqlx::Error::Database(error))
        | Self::Open { source: sqlx::Error::Database(error), .. }) = self
        else {
            return false;
        };
        let code = error.code().and_then(|code| code.parse::<i32>().ok());
        code.is_some_and(|code| codes.contains(&(code & 0xff)))
    }

    /// Returns what to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        if self.is_locked() {
            let words = "another program holds the database: wait for it, or find it with \
                         `fuser regatta.db`. Nothing is lost: the journals are read when it is free";
            return Some(words.to_owned());
        }
        if self.is_refused_by_disk() {
            let words = "is the disk full? What the journals tell is not lost: it is read when the \
                         disk can be written again";
            return Some(words.to_owned());
        }
        let is_id = |name: &str| name.len() >= 4 && name.bytes().all(|b| b.is_ascii_hexdigit());
        match self {
            Self::NoSweep { nearest: Some(word), .. } => {
                Some(format!("did you mean `{word}`? `regatta status` lists the sweeps"))
            }
            Self::NoSweep { name, .. } if is_id(name) => {
                Some(format!("of a trial `regatta show {name}` tells; `regatta status` lists the sweeps"))
            }
            Self::NoSweep { .. } => Some(
                "`regatta status` lists the sweeps; `regatta submit SWEEP.yaml` begins one".to_owned(),
            ),
            Self::NoTrial { .. } => Some(
                "`regatta trials` lists them; the first digits of an id are enough".to_owned(),
            ),
            Self::SweepForTrial { name } => {
                Some(format!("`regatta trials {name}` lists its trials"))
            }
            Self::NoMetric { nearest: Some(word), .. } => Some(format!("did you mean `{word}`?")),
            Self::NoMetric { known, .. } if !known.is_empty() => {
                Some(format!("recorded: {}", known.join(", ")))
            }
            Self::NoMetric { .. } => Some("no epoch has ended yet".to_owned()),
            Self::Ambiguous { .. } => Some("give more digits, or where several sweeps have it `sweep/trial`".to_owned()),
            Self::MixedObjectives { .. } => Some("name one with --metric, its good end with --direction, or one sweep".to_owned()),
            Self::NoQuestion { .. } => Some(
                "docs/sql.md lists the views; `regatta sql 'select name, sql from sqlite_schema'` all there is"
                    .to_owned(),
            ),
            Self::Newer { .. } => {
                Some("use the newer regatta; or move the file away: the journals have everything, and `regatta rebuild` makes it again".to_owned())
            }
            Self::Older { .. } => {
                Some("run any command once that may write to the folder".to_owned())
            }
            Self::Open { .. } => Some(
                "can the folder be written, is the disk full? A damaged database is made again by \
                 `regatta rebuild`: the journals have everything"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// An unsigned number as SQLite keeps it; what does not fit is the largest.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The other way; negative numbers, which this program never writes, are 0.
fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// The snake_case word that serde gives to a variant without fields.
fn word<T: serde::Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => other.map(|value| value.to_string()).unwrap_or_default(),
    }
}

/// The value of a word, where this version knows it.
fn from_word<T: serde::de::DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}
