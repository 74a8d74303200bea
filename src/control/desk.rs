//! One sweep under lock: its folder, plan and journal.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::ControlError;
use super::ledger::Ledger;
use crate::clock::Clock;
use crate::event::Act;
use crate::id::hex;
use crate::layout::{self, Limit, LockError, Locked, Root, SweepFolder};
use crate::plan::Plan;

/// A sweep that this process alone may change.
pub struct Desk<'a> {
    pub(super) root: &'a Root,
    pub(super) folder: SweepFolder,
    pub(super) plan: Plan,
    pub(super) ledger: Ledger,
    pub(super) clock: &'a dyn Clock,
    _lock: Locked,
}

impl std::fmt::Debug for Desk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl<'a> Desk<'a> {
    /// Stages a plan and the text it came from, and takes the sweep. An earlier plan is replaced;
    /// what was submitted of it stays known.
    ///
    /// # Errors
    /// When another controller has the sweep for longer than `patience`, or the folder refuses.
    pub fn stage(
        root: &'a Root,
        plan: Plan,
        text: &str,
        clock: &'a dyn Clock,
        patience: Duration,
    ) -> Result<Self, ControlError> {
        let folder = root.sweep(&plan.sweep);
        layout::create_private_folder(root.path()).map_err(ControlError::folder(root.path()))?;
        folder.guard().map_err(ControlError::folder(folder.path()))?;
        for path in [folder.path().to_owned(), folder.jobs(), folder.logs()] {
            layout::create_folder(&path).map_err(ControlError::folder(&path))?;
        }
        let lock = take(&folder, &plan.sweep, patience)?;
        let bytes = serde_json::to_vec(&plan).map_err(|error| ControlError::Damaged {
            path: folder.plan(),
            what: error.to_string(),
        })?;
        let changed = layout::read_piece(&folder.plan(), 0, Limit::PLAN)
            .map_err(ControlError::folder(folder.plan()))?
            != bytes;
        if changed {
            layout::write_atomic(&folder.document(), text.as_bytes())
                .map_err(ControlError::folder(folder.document()))?;
            layout::write_atomic(&folder.plan(), &bytes)
                .map_err(ControlError::folder(folder.plan()))?;
        }
        let mut desk = Self::with(root, folder, plan, clock, lock)?;
        let plan_sha256 = plan_sha256(&bytes);
        // The file may be there since a controller that was killed before it wrote this down.
        if desk.ledger.plan_sha256() != Some(plan_sha256.as_str()) {
            desk.write(&Act::Planned { plan_sha256, trials: desk.plan.trials.len() as u64 })?;
        }
        Ok(desk)
    }

    /// Takes a sweep that was staged before.
    ///
    /// # Errors
    /// As for [`Self::stage`]; and when there is no such sweep or its plan is damaged.
    pub fn open(
        root: &'a Root,
        sweep: &str,
        clock: &'a dyn Clock,
        patience: Duration,
    ) -> Result<Self, ControlError> {
        let folder = root.sweep(sweep);
        if !folder.plan().is_file() {
            return Err(ControlError::NoSweep {
                name: sweep.to_owned(),
                root: root.path().to_owned(),
            });
        }
        folder.guard().map_err(ControlError::folder(folder.path()))?;
        let lock = take(&folder, sweep, patience)?;
        let bytes = layout::read_limited(&folder.plan(), Limit::PLAN)
            .map_err(ControlError::folder(folder.plan()))?;
        let plan: Plan = serde_json::from_slice(&bytes).map_err(|error| ControlError::Damaged {
            path: folder.plan(),
            what: error.to_string(),
        })?;
        if !plan.is_whole() {
            let what = "trials and what they ask for do not fit together".to_owned();
            return Err(ControlError::Damaged { path: folder.plan(), what });
        }
        Self::with(root, folder, plan, clock, lock)
    }

    fn with(
        root: &'a Root,
        folder: SweepFolder,
        plan: Plan,
        clock: &'a dyn Clock,
        lock: Locked,
    ) -> Result<Self, ControlError> {
        let ledger = Ledger::open(&folder, &plan.sweep, clock.now())
            .map_err(ControlError::folder(folder.controller_journal()))?;
        Ok(Self { root, folder, plan, ledger, clock, _lock: lock })
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &SweepFolder {
        &self.folder
    }

    /// What was submitted so far.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) fn write(&mut self, act: &Act) -> Result<(), ControlError> {
        self.write_of(self.clock.now(), act)
    }

    /// Writes what was so at another moment than now.
    pub(super) fn write_of(&mut self, at: Timestamp, act: &Act) -> Result<(), ControlError> {
        self.ledger.append(at, act).map_err(ControlError::folder(self.folder.controller_journal()))
    }
}

pub(super) fn plan_sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(super) fn take(
    folder: &SweepFolder,
    sweep: &str,
    patience: Duration,
) -> Result<Locked, ControlError> {
    layout::lock(&folder.controller_lock(), patience).map_err(|error| match error {
        LockError::Held { .. } => ControlError::Busy { sweep: sweep.to_owned(), source: error },
        LockError::Io { path, source } => ControlError::Folder { path, source },
    })
}
