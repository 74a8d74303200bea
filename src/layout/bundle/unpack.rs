//! Unpacking with distrust: what is not as it should be is refused, and told with its place.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tar::{Archive, EntryType};

use super::super::{SweepFolder, create_private_folder, fault, open_plain};
use super::{
    BUNDLE_FORMAT, BundleError, BundleManifest, LONGEST_MANIFEST, MANIFEST, Part, is_sweep_name,
};
use crate::id::hex;

/// Bytes read at a time.
const PIECE: usize = 256 * 1024;

/// Bytes of a block of a tar archive.
const BLOCK: u64 = 512;

/// A bundle whose manifest was read and makes sense.
pub struct Bundle {
    path: PathBuf,
    /// What follows the first entry: an archive of its own.
    rest: BufReader<Box<dyn Read>>,
    manifest: BundleManifest,
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Bundle {
    /// Opens a bundle.
    ///
    /// # Errors
    /// When it cannot be read, is no bundle, or is of a newer form.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let failed = |source| BundleError::Io { doing: "read", path: path.to_owned(), source };
        let file = fs::canonicalize(path).and_then(|path| open_plain(&path)).map_err(failed)?;
        let (file, _) = file.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        Self::read(path, file)
    }

    /// Reads a bundle from anything; `path` is its name in errors.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn read(path: &Path, bytes: impl Read + 'static) -> Result<Self, BundleError> {
        let refused = |what: String| BundleError::Refused { path: path.to_owned(), what };
        let bytes: Box<dyn Read> = Box::new(bytes);
        let mut archive = Archive::new(BufReader::with_capacity(PIECE, bytes));
        let (manifest, size) = {
            let entries = archive.entries().map_err(|e| refused(e.to_string()))?;
            let first = entries.raw(true).next();
            let mut first = match first {
                Some(Ok(first)) => first,
                Some(Err(error)) => return Err(refused(format!("it is no bundle: {error}"))),
                None => return Err(refused("it is no bundle: it is empty".to_owned())),
            };
            if first.path_bytes().as_ref() != MANIFEST.as_bytes()
                || first.header().entry_type() != EntryType::Regular
            {
                return Err(refused(format!("it is no bundle: its first entry is not {MANIFEST}")));
            }
            let size = first.header().entry_size().map_err(|e| refused(e.to_string()))?;
            if size > LONGEST_MANIFEST {
                return Err(refused(format!("{MANIFEST} has {size} bytes, too many")));
            }
            let mut text = Vec::new();
            first.read_to_end(&mut text).map_err(|e| refused(format!("{MANIFEST}: {e}")))?;
            if text.len() as u64 != size {
                return Err(refused(format!("{MANIFEST} is cut off")));
            }
            #[derive(serde::Deserialize)]
            struct Form {
                format: u32,
            }
            let wrong = |error: serde_json::Error| refused(format!("{MANIFEST}: {error}"));
            let Form { format } = serde_json::from_slice(&text).map_err(wrong)?;
            if format > BUNDLE_FORMAT {
                return Err(BundleError::Newer { path: path.to_owned(), found: format });
            }
            let manifest: BundleManifest = serde_json::from_slice(&text).map_err(wrong)?;
            (manifest, size)
        };
        check(&manifest).map_err(refused)?;
        let mut rest = archive.into_inner();
        // Entries begin at multiples of a block.
        io::copy(&mut (&mut rest).take(size.next_multiple_of(BLOCK) - size), &mut io::sink())
            .map_err(|e| refused(e.to_string()))?;
        Ok(Self { path: path.to_owned(), rest, manifest })
    }

    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &BundleManifest {
        &self.manifest
    }

    /// Writes all files into the folder `into`, which is new and empty. `progress` hears of the bytes
    /// that were written.
    ///
    /// # Errors
    /// When anything is not as the manifest tells; what was written is then worth nothing.
    pub fn unpack(
        self,
        into: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<BundleManifest, BundleError> {
        let Self { path, rest, manifest } = self;
        let folder = SweepFolder::new(into);
        let refused = |what: String| BundleError::Refused { path: path.clone(), what };
        let mut rest = Archive::new(rest);
        let mut entries = rest.entries().map_err(|e| refused(e.to_string()))?.raw(true);
        let mut made = BTreeSet::new();
        for file in &manifest.files {
            let at = |what: &str| refused(format!("{}: {what}", file.path));
            let mut entry = match entries.next() {
                Some(Ok(entry)) => entry,
                Some(Err(error)) => return Err(at(&error.to_string())),
                None => return Err(at("it is missing: the bundle is cut off")),
            };
            let name = entry.path_bytes();
            if name.as_ref() != file.path.as_bytes() {
                let name = String::from_utf8_lossy(&name).into_owned();
                return Err(at(&format!("in its place stands {name:?}")));
            }
            drop(name);
            if entry.header().entry_type() != EntryType::Regular {
                return Err(at("it is no plain file"));
            }
            let size = entry.header().entry_size().map_err(|e| at(&e.to_string()))?;
            if size != file.size {
                return Err(at(&format!("it has {size} bytes, not {}", file.size)));
            }
            let Some(part) = Part::parse(&file.path) else {
                return Err(at("no file has this name"));
            };
            let place = part.place(&folder);
            let failed = |source| BundleError::Io { doing: "write", path: place.clone(), source };
            if let Some(parent) = place.parent()
                && made.insert(parent.to_owned())
            {
                create_private_folder(parent).map_err(failed)?;
            }
            let (written, sha256) =
                copy(&mut entry, &place, progress).map_err(|error| match error {
                    Copying::Reading(error) => at(&format!("it cannot be read: {error}")),
                    Copying::Writing(error) => failed(error),
                })?;
            if written != file.size {
                return Err(at("it is cut off"));
            }
            if sha256 != file.sha256 {
                return Err(at("its checksum does not hold"));
            }
        }
        match entries.next() {
            None => {}
            Some(Ok(entry)) => {
                let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                return Err(refused(format!(
                    "{name:?} stands in it, which the manifest does not tell"
                )));
            }
            Some(Err(error)) => return Err(refused(format!("after the last file: {error}"))),
        }
        let mut after = Vec::new();
        // An archive ends with zeros.
        rest.into_inner()
            .take(1024 * 1024)
            .read_to_end(&mut after)
            .map_err(|e| refused(e.to_string()))?;
        if after.iter().any(|byte| *byte != 0) {
            return Err(refused("something stands after its end".to_owned()));
        }
        Ok(manifest)
    }
}

/// What must hold before anything is written.
fn check(manifest: &BundleManifest) -> Result<(), String> {
    if !is_sweep_name(&manifest.sweep) {
        return Err(format!("{:?} is no name of a sweep", manifest.sweep));
    }
    let mut seen = BTreeSet::new();
    for file in &manifest.files {
        let Some(part) = Part::parse(&file.path) else {
            return Err(format!("{MANIFEST}: {:?} is no file of a sweep", file.path));
        };
        if file.size > part.most() {
            return Err(format!("{MANIFEST}: {} has {} bytes, too many", file.path, file.size));
        }
        if !seen.insert(&file.path) {
            return Err(format!("{MANIFEST}: {} stands in it twice", file.path));
        }
    }
    for needed in [Part::Document, Part::Plan, Part::ControllerJournal] {
        if !seen.contains(&needed.path()) {
            return Err(format!("{MANIFEST}: {} is missing", needed.path()));
        }
    }
    Ok(())
}

enum Copying {
    Reading(io::Error),
    Writing(io::Error),
}

/// Writes a new file; returns its size and checksum.
fn copy(
    from: &mut impl Read,
    to: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<(u64, String), Copying> {
    fault("bundle.create").map_err(Copying::Writing)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(Copying::Writing)?;
    let (mut digest, mut size, mut piece) = (Sha256::new(), 0, vec![0; PIECE]);
    loop {
        let length = match from.read(&mut piece) {
            Ok(0) => return Ok((size, hex(&digest.finalize()))),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Copying::Reading(error)),
        };
        digest.update(&piece[..length]);
        fault("bundle.content").map_err(Copying::Writing)?;
        file.write_all(&piece[..length]).map_err(Copying::Writing)?;
        size += length as u64;
        progress(length as u64);
    }
}

/// Dates a file long ago.
///
/// # Errors
/// When the disk refuses.
pub fn make_old(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().append(true).open(path)?;
    file.set_modified(std::time::UNIX_EPOCH)
}

/// Makes everything durable that was written to the file system of a folder.
///
/// # Errors
/// When the disk refuses.
pub fn sync_all(folder: &Path) -> io::Result<()> {
    fault("bundle.sync")?;
    Ok(nix::unistd::syncfs(File::open(folder)?)?)
}

/// Moves a folder to its name, durably. Nothing may stand there.
///
/// # Errors
/// When something does, or the folder cannot be moved.
#[expect(clippy::disallowed_methods, reason = "this room moves what it unpacked")]
pub fn move_folder(from: &Path, to: &Path) -> io::Result<()> {
    fault("bundle.rename")?;
    // rename(2) would take the place of an empty folder.
    if to.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)?;
    fault("bundle.done")?;
    match to.parent().map(File::open) {
        Some(parent) => parent?.sync_all(),
        None => Ok(()),
    }
}
