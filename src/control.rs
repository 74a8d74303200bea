//! The controller's acts: stage, submit, look, cancel. It decides and does; `cli` asks and prints.
//!
//! A [`Desk`] is one sweep under lock. Its journal is written before anything is done: a controller
//! that is killed anywhere leaves an intent, and the next one looks for the job before it submits
//! again.

mod cancel;
mod choose;
mod decide;
mod desk;
mod export;
mod history;
mod import;
mod ledger;
mod look;
mod nodes;
mod order;
mod parcel;
mod preflight;
mod story;
mod submit;
mod workspace;

use std::io;
use std::path::PathBuf;

pub use decide::{Again, Ground, Next};
pub use desk::Desk;
pub use export::{Checkpoints, Packed, Step, export};
pub use history::{Decided, Ended, History, Limited};
pub use import::{Imported, NewPath, import};
pub use ledger::{Fate, Ledger, Refusal, Submitted};
pub use look::Sight;
pub use order::{Order, Outcome, Wish};
pub use preflight::Preflight;
pub use story::{Happening, Story, next};

use crate::layout::{BundleError, LockError};
use crate::scheduler::SchedulerError;
use crate::script::ScriptError;
use crate::store::StoreError;

/// Why the controller could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Another controller works on this sweep.
    #[error("another regatta works on the sweep `{sweep}` at this moment")]
    Busy {
        /// The sweep.
        sweep: String,
        /// The lock.
        source: LockError,
    },
    /// The shared folder refuses.
    #[error("failed to write {}: {source}", path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A staged file makes no sense.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// There is no such sweep.
    #[error("there is no sweep `{name}` under {}", root.display())]
    NoSweep {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        root: PathBuf,
    },
    /// A sweep of this name is there already.
    #[error("there is a sweep `{name}` already: {}", path.display())]
    Exists {
        /// Its name.
        name: String,
        /// Its folder.
        path: PathBuf,
    },
    /// A bundle cannot be written or read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The script cannot be made.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The scheduler failed.
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
}

impl ControlError {
    fn folder(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Folder { path, source }
    }
}
