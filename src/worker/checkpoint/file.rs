//! The two files of a checkpoint, and checksums.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;

use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::TrialId;
use crate::layout::{self, CheckpointName, TrialFolder};
use crate::worker::learner::{Array, State};

use super::{LoopState, Manifest, Saved};

/// The one key of the tensors' metadata: several would be written in random order, and the same
/// state must give the same file.
const KEY: &str = "regatta";

/// What stands with the tensors: everything that a resume needs, free of time and attempt.
#[derive(Serialize, Deserialize)]
struct Metadata {
    format: u32,
    trial: TrialId,
    seed: u64,
    settings_version: u32,
    worker_version: String,
    state: LoopState,
}

impl Metadata {
    fn of(manifest: &Manifest) -> Self {
        Self {
            format: manifest.format,
            trial: manifest.trial.clone(),
            seed: manifest.seed,
            settings_version: manifest.settings_version,
            worker_version: manifest.worker_version.clone(),
            state: manifest.state.clone(),
        }
    }
}

/// What is wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    /// A file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no JSON, or not this version's.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// The checksum is another.
    #[error("its checksum does not hold")]
    Checksum,
    /// The tensors cannot be read.
    #[error("{0}")]
    Tensors(safetensors::SafeTensorError),
    /// The two files do not belong together.
    #[error("tensors and manifest do not belong together")]
    Pair,
}

struct Stored<'a>(&'a Array);

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        self.0.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0.bytes)
    }

    fn data_len(&self) -> usize {
        self.0.bytes.len()
    }
}

/// Writes tensors, then the manifest. Returns the bytes of both.
pub(super) fn write(
    folder: &TrialFolder,
    name: CheckpointName,
    mut manifest: Manifest,
    arrays: &State,
) -> io::Result<u64> {
    let metadata = serde_json::to_string(&Metadata::of(&manifest))?;
    let metadata = HashMap::from([(KEY.to_owned(), metadata)]);
    let views = arrays.iter().map(|(name, array)| (name.as_str(), Stored(array)));
    let tensors = safetensors::serialize(views, Some(metadata)).map_err(io::Error::other)?;
    manifest.tensors_sha256 = sha256_hex(&tensors);
    manifest.bytes = tensors.len() as u64;
    let json = serde_json::to_vec_pretty(&manifest)?;
    layout::write_atomic(&folder.tensors(name), &tensors)?;
    let written = layout::fault("checkpoint.manifest")
        .and_then(|()| layout::write_atomic(&folder.manifest(name), &json));
    if let Err(error) = written {
        // Nobody reads tensors without a manifest; on a full disk their room is needed.
        let _ = layout::remove(&folder.manifest(name));
        let _ = layout::remove(&folder.tensors(name));
        return Err(error);
    }
    Ok(manifest.bytes + json.len() as u64)
}

pub(super) fn read_manifest(
    folder: &TrialFolder,
    name: CheckpointName,
) -> Result<Manifest, Damage> {
    Ok(serde_json::from_slice(&std::fs::read(folder.manifest(name))?)?)
}

pub(super) fn read(folder: &TrialFolder, name: CheckpointName) -> Result<Saved, Damage> {
    let manifest = read_manifest(folder, name)?;
    let bytes = std::fs::read(folder.tensors(name))?;
    if sha256_hex(&bytes) != manifest.tensors_sha256 {
        return Err(Damage::Checksum);
    }
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(Damage::Tensors)?;
    let metadata = header.metadata().as_ref().and_then(|all| all.get(KEY)).ok_or(Damage::Pair)?;
    let metadata: Metadata = serde_json::from_str(metadata)?;
    if metadata.trial != manifest.trial || metadata.state != manifest.state {
        return Err(Damage::Pair);
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(Damage::Tensors)?;
    let arrays = tensors.iter().map(|(name, view)| {
        let (shape, bytes) = (view.shape().to_vec(), view.data().to_vec());
        (name.to_owned(), Array { dtype: view.dtype(), shape, bytes })
    });
    let arrays = arrays.collect();
    Ok(Saved { name, manifest, arrays })
}

/// Returns the SHA-256 of bytes, in hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Returns the SHA-256 in hex over names, kinds, shapes and bytes of the arrays `model.…`.
#[must_use]
pub fn weights_sha256(state: &State) -> String {
    let mut sum = Sha256::new();
    for (name, array) in state.iter().filter(|(name, _)| name.starts_with("model.")) {
        // Lengths go before what varies, so that no two states have the same stream.
        sum.update((name.len() as u64).to_le_bytes());
        sum.update(name);
        sum.update(format!("{:?} {:?} ", array.dtype, array.shape));
        sum.update((array.bytes.len() as u64).to_le_bytes());
        sum.update(&array.bytes);
    }
    hex(&sum.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
