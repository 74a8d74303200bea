//! The controller's acts: stage, submit, look, cancel. It decides and does; `cli` asks and prints.
//!
//! A [`Desk`] is one sweep under lock. Its journal is written before anything is done: a controller
//! that is killed anywhere leaves an intent, and the next one looks for the job before it submits
//! again.

mod cancel;
mod choose;
mod decide;
mod desk;
mod history;
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
pub use history::{Decided, Ended, History, Limited};
pub use ledger::{Fate, Ledger, Refusal, Submitted};
pub use look::Sight;
pub use order::{Order, Outcome, Wish};
pub use preflight::Preflight;
pub use story::{Happening, Story, next};

use crate::layout::LockError;
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
