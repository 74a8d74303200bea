//! A sweep in one file, to be carried to another cluster: a tar archive whose first entry tells what
//! must follow.
//!
//! What comes in a bundle is not trusted. Only names that this room itself would give are written,
//! only plain files, only as many bytes as the manifest told, and only into a folder of their own
//! that becomes the sweep's when all of it was right.

mod pack;
mod part;
mod unpack;

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use pack::{Source, hash_lines, hash_plain, pack};
pub use part::{Part, is_sweep_name};
pub use unpack::{Bundle, make_old, move_folder, sync_all};

/// Version of the form of bundles.
pub const BUNDLE_FORMAT: u32 = 1;

/// Name of the first entry.
const MANIFEST: &str = "regatta-bundle.json";

/// The first entry is no longer: that is the files of some 300,000 trials.
const LONGEST_MANIFEST: u64 = 512 * 1024 * 1024;

/// The first entry of a bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BundleManifest {
    /// [`BUNDLE_FORMAT`]
    pub format: u32,
    /// Name of the sweep.
    pub sweep: String,
    /// Version of the controller that packed it.
    pub version: String,
    /// When it was packed (UTC).
    pub exported_at: Timestamp,
    /// Folder of the sweep where it was packed.
    pub from: PathBuf,
    /// Version of the plan's form.
    pub plan_format: u32,
    /// Version of the settings' meaning.
    pub settings_version: u32,
    /// What follows, in this order.
    pub files: Vec<BundledFile>,
}

impl BundleManifest {
    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }
}

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundledFile {
    /// Its path within the folder of the sweep.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 in hex of its content.
    pub sha256: String,
}

/// What is wrong with a bundle, or in its way.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Reading or writing failed.
    #[error("failed to {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no bundle, or it was changed.
    #[error("{}: {what}", path.display())]
    Refused {
        /// The bundle.
        path: PathBuf,
        /// What is wrong, and where in it.
        what: String,
    },
    /// A newer version made it.
    #[error("{} has the form {found}, this program knows {BUNDLE_FORMAT}", path.display())]
    Newer {
        /// The bundle.
        path: PathBuf,
        /// Its form.
        found: u32,
    },
}
