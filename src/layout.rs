//! The shared folder: every path and file name, and the few safe ways to write.
//!
//! The folder is the only channel between controller and worker. Nothing outside this room names a
//! file in it. What must never be seen half-written goes through [`write_atomic`]; what only one may
//! make goes through [`create_exclusive`].
//!
//! ```text
//! runs/                         Root
//!   regatta.db
//!   lr-batch/                   SweepFolder
//!     sweep.yaml plan.json controller.journal controller.lock
//!     jobs/<token>.{sh,jsonl,diff}   logs/%A_%a.out
//!     <trial id>/               TrialFolder
//!       trial.json cancel claims/<n> <n>.journal <n>.log checkpoint/ result.json
//! SCRATCH/                      on a node, if it has one
//!   regatta-<trial id>-<n>-<uuid>/   checkpoints of one attempt that the shared folder refused
//! ```

mod bundle;
mod checkpoint;
mod fault;
mod limit;
mod lock;
mod mode;
mod probe;
mod read;
mod staged;
mod temporary;
mod trial;
mod write;

use std::path::{Path, PathBuf};

pub use bundle::{
    BUNDLE_FORMAT, Bundle, BundleError, BundleManifest, BundledFile, Part, Source, hash_lines,
    hash_plain, is_sweep_name, make_old, move_folder, pack, sync_all,
};
pub use checkpoint::{CheckpointFolder, CheckpointName};
pub use fault::{Faults, arm_faults, fault, is_dead, with_faults};
pub use limit::{Limit, TooLarge};
pub use lock::{LockError, Locked, lock};
pub use mode::{
    create_folder, create_private_file, create_private_folder, create_users_folder, refuse_link,
};
pub use probe::{free_bytes, write_probe};
pub use read::{
    Line, Lines, open_plain, open_read, read_if_any, read_limited, read_limited_text, read_named,
    read_named_text, read_piece,
};
pub use staged::StagedFolder;
pub use temporary::{TemporaryFolder, remove_folder};
pub use trial::TrialFolder;
pub use write::{
    age, create_exclusive, create_users_file, link_latest, list, open_append, remove,
    remove_empty_folder, touch, write_atomic, write_atomic_with, write_users_file,
};

use crate::id::{AttemptUuid, Token, TrialId};

/// How the names of folders begin in which sweeps are unpacked.
const IMPORT: &str = ".import-";

/// The SQLite file in the root. No sweep may be called so, nor like what lies beside it.
const DATABASE: &str = "regatta.db";

/// The folder of all sweeps (`--root`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// Names a root; nothing is made.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The SQLite file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.0.join(DATABASE)
    }

    /// The lock of the one process that collects.
    #[must_use]
    pub fn collect_lock(&self) -> PathBuf {
        self.0.join(DATABASE).with_extension("db.lock")
    }

    /// The lock of the one process that imports.
    #[must_use]
    pub fn import_lock(&self) -> PathBuf {
        self.0.join(".import.lock")
    }

    /// Name of the folder in which a sweep is unpacked. Like all names that begin so, it is no sweep's.
    #[must_use]
    pub fn import_folder_name(sweep: &str) -> String {
        format!("{IMPORT}{sweep}")
    }

    /// Folders that an import left behind when it was killed.
    ///
    /// # Errors
    /// When the folder cannot be read; a missing one holds nothing.
    pub fn import_litter(&self) -> std::io::Result<Vec<PathBuf>> {
        let names = list(&self.0)?;
        let left = names.iter().filter(|name| name.starts_with(IMPORT));
        Ok(left.map(|name| self.0.join(name)).collect())
    }

    /// The folder of the local scheduler's slots.
    #[must_use]
    pub fn local_slots(&self) -> PathBuf {
        self.0.join(".local")
    }

    /// Slots of the local scheduler: a task runs while it holds the lock of one.
    #[must_use]
    pub fn local_slot(&self, slot: u32) -> PathBuf {
        self.local_slots().join(format!("slot-{slot}"))
    }

    /// The folder of a sweep.
    #[must_use]
    pub fn sweep(&self, name: &str) -> SweepFolder {
        SweepFolder(self.0.join(name))
    }

    /// Names of the sweeps staged here, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read; a missing one holds no sweeps.
    pub fn sweeps(&self) -> std::io::Result<Vec<String>> {
        let names = list(&self.0)?;
        Ok(names
            .into_iter()
            .filter(|name| !name.starts_with('.'))
            .filter(|name| {
                let folder = self.sweep(name);
                may_be_there(&folder.controller_journal()) && folder.guard().is_ok()
            })
            .collect())
    }
}

/// Says whether something is at a path, or may be: a folder that nobody may enter hides what is in it.
#[must_use]
pub fn may_be_there(path: &Path) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    let missing = path.symlink_metadata().err().map(|error| error.kind());
    !matches!(missing, Some(NotFound | NotADirectory))
}

/// Removes the database with its log, for one that is made again.
///
/// # Errors
/// When a file cannot be removed.
pub fn remove_database(root: &Root) -> std::io::Result<()> {
    let database = root.database();
    for tail in ["", "-wal", "-shm", "-journal"] {
        let mut name = database.clone().into_os_string();
        name.push(tail);
        remove(Path::new(&name))?;
    }
    Ok(())
}

/// The folder of one sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepFolder(PathBuf);

impl SweepFolder {
    /// Names the folder; nothing is made.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Refuses a sweep's folder that leads out of the root through a link.
    ///
    /// # Errors
    /// When one of its folders is a link.
    pub fn guard(&self) -> std::io::Result<()> {
        [self.0.clone(), self.jobs(), self.logs()].iter().try_for_each(|path| refuse_link(path))
    }

    /// The sweep file as submitted.
    #[must_use]
    pub fn document(&self) -> PathBuf {
        self.0.join("sweep.yaml")
    }

    /// The expanded plan.
    #[must_use]
    pub fn plan(&self) -> PathBuf {
        self.0.join("plan.json")
    }

    /// The controller's journal.
    #[must_use]
    pub fn controller_journal(&self) -> PathBuf {
        self.0.join("controller.journal")
    }

    /// The lock of the one controller that changes this sweep.
    #[must_use]
    pub fn controller_lock(&self) -> PathBuf {
        self.0.join("controller.lock")
    }

    /// Scripts and job files.
    #[must_use]
    pub fn jobs(&self) -> PathBuf {
        self.0.join("jobs")
    }

    /// The script of a submission.
    #[must_use]
    pub fn script(&self, token: Token) -> PathBuf {
        self.jobs().join(format!("{token}.sh"))
    }

    /// The job file of a submission: one [`crate::sweep::Assignment`] a line, task N on line N
    /// (counted from 0).
    #[must_use]
    pub fn job_file(&self, token: Token) -> PathBuf {
        self.jobs().join(format!("{token}.jsonl"))
    }

    /// What differed from the commit in the user's workspace when a submission was made.
    #[must_use]
    pub fn workspace_diff(&self, token: Token) -> PathBuf {
        self.jobs().join(format!("{token}.diff"))
    }

    /// The state of a submission to the local scheduler.
    #[must_use]
    pub fn local_state(&self, token: Token) -> PathBuf {
        self.jobs().join(format!("{token}.local.json"))
    }

    /// The lock that the local scheduler's process of a submission holds while it lives.
    #[must_use]
    pub fn local_lock(&self, token: Token) -> PathBuf {
        self.jobs().join(format!("{token}.local.lock"))
    }

    /// What people want of a job of the local scheduler, for its process to read: a wish a line.
    #[must_use]
    pub fn local_wishes(&self, token: Token) -> PathBuf {
        self.jobs().join(format!("{token}.local.wishes"))
    }

    /// What the local scheduler's process of a submission has to say.
    #[must_use]
    pub fn local_messages(&self, token: Token) -> PathBuf {
        self.jobs().join(format!("{token}.local.log"))
    }

    /// Output of jobs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// The output of a local task.
    #[must_use]
    pub fn local_log(&self, token: Token, task: u32) -> PathBuf {
        self.logs().join(format!("{token}_{task}.out"))
    }

    /// The output file of a SLURM task, `123_4` or `123`.
    #[must_use]
    pub fn slurm_log(&self, job: &str) -> PathBuf {
        self.logs().join(format!("{job}.out"))
    }

    /// The folder of a trial.
    #[must_use]
    pub fn trial(&self, id: &TrialId) -> TrialFolder {
        TrialFolder::new(self.0.join(id.as_str()))
    }
}

/// What squeue last said to a user, in the user's cache folder; `cluster` tells clusters apart.
#[must_use]
pub fn queue_cache(folder: &Path, cluster: &str) -> PathBuf {
    folder.join("regatta").join(format!("queue-{cluster}.json"))
}

/// The lock beside a file.
#[must_use]
pub fn lock_of(file: &Path) -> PathBuf {
    file.with_extension("lock")
}

/// The folder of one attempt on a node's own disk, under the folder `scratch`.
#[must_use]
pub fn scratch_folder(
    scratch: &Path,
    trial: &TrialId,
    attempt: u32,
    uuid: AttemptUuid,
) -> CheckpointFolder {
    CheckpointFolder::on_node(scratch.join(format!("regatta-{trial}-{attempt}-{uuid}")))
}

/// A number as it is written here: no sign, no zero in front, so that no two names mean the same.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number: &u32| number.to_string() == text)
}
