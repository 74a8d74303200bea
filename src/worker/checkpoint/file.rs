//! The two files of a checkpoint, and checksums.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;

use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::{TrialId, hex};
use crate::layout::{self, CheckpointFolder, CheckpointName, Limit};
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
    state: LoopState,
}

impl Metadata {
    fn of(manifest: &Manifest) -> Self {
        Self {
            format: manifest.format,
            trial: manifest.trial.clone(),
            seed: manifest.seed,
            settings_version: manifest.settings_version,
            state: manifest.state.clone(),
        }
    }
}

/// What is wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    /// A file cannot be read. That it is not there is damage; anything else may pass.
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

impl Damage {
    /// Returns what the disk said, where the files themselves may be whole.
    pub(super) fn may_pass(self) -> Result<io::Error, Self> {
        match self {
            Self::Io(error) if error.kind() != io::ErrorKind::NotFound => Ok(error),
            other => Err(other),
        }
    }
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

/// Writes tensors, then the manifest, into a folder that exists. Returns the bytes of both.
pub(super) fn write(
    folder: &CheckpointFolder,
    name: CheckpointName,
    mut manifest: Manifest,
    arrays: &State,
) -> io::Result<u64> {
    let tensors = serialize(&manifest, arrays.iter())?;
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

/// Writes the arrays `model.…` alone.
pub(super) fn write_weights(
    folder: &CheckpointFolder,
    name: CheckpointName,
    manifest: &Manifest,
    arrays: &State,
) -> io::Result<()> {
    let weights = arrays.iter().filter(|(name, _)| is_weight(name));
    let bytes = serialize(manifest, weights)?;
    layout::write_atomic(&folder.weights(name), &bytes)
}

fn serialize<'a>(
    manifest: &Manifest,
    arrays: impl Iterator<Item = (&'a String, &'a Array)>,
) -> io::Result<Vec<u8>> {
    let metadata = serde_json::to_string(&Metadata::of(manifest))?;
    let metadata = HashMap::from([(KEY.to_owned(), metadata)]);
    let views: Vec<_> = arrays.map(|(name, array)| (name.as_str(), Stored(array))).collect();
    safetensors::serialize(views, Some(metadata)).map_err(io::Error::other)
}

pub(super) fn read_manifest(
    folder: &CheckpointFolder,
    name: CheckpointName,
) -> Result<Manifest, Damage> {
    layout::fault("checkpoint.read")?;
    Ok(parse_manifest(&layout::read_limited(&folder.manifest(name), Limit::MANIFEST)?)?)
}

/// Reads a manifest's text.
pub(crate) fn parse_manifest(bytes: &[u8]) -> serde_json::Result<Manifest> {
    serde_json::from_slice(bytes)
}

pub(super) fn read(folder: &CheckpointFolder, name: CheckpointName) -> Result<Saved, Damage> {
    let manifest = read_manifest(folder, name)?;
    // The manifest tells the size: no more is taken into memory to find that the sum is another.
    let size = Limit::TENSORS.at_most(manifest.bytes);
    let bytes = match layout::read_limited(&folder.tensors(name), size) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Err(Damage::Checksum),
        other => other?,
    };
    if sha256_hex(&bytes) != manifest.tensors_sha256 {
        return Err(Damage::Checksum);
    }
    let (metadata, arrays) = parse(&bytes)?;
    if metadata.trial != manifest.trial || metadata.state != manifest.state {
        return Err(Damage::Pair);
    }
    Ok(Saved { name, manifest, arrays })
}

/// Reads weights that were saved alone, of this trial. They have no checksum: it is the format that
/// is checked.
pub(super) fn read_weights(
    folder: &CheckpointFolder,
    name: CheckpointName,
    trial: &TrialId,
) -> Result<State, Damage> {
    let bytes = layout::read_limited(&folder.weights(name), Limit::TENSORS)?;
    let (metadata, arrays) = parse(&bytes)?;
    if metadata.trial == *trial { Ok(arrays) } else { Err(Damage::Pair) }
}

fn parse(bytes: &[u8]) -> Result<(Metadata, State), Damage> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(Damage::Tensors)?;
    let metadata = header.metadata().as_ref().and_then(|all| all.get(KEY)).ok_or(Damage::Pair)?;
    let metadata: Metadata = serde_json::from_str(metadata)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(Damage::Tensors)?;
    let arrays = tensors.iter().map(|(name, view)| {
        let (shape, bytes) = (view.shape().to_vec(), view.data().to_vec());
        (name.to_owned(), Array { dtype: view.dtype(), shape, bytes })
    });
    Ok((metadata, arrays.collect()))
}

/// Reads tensors; returns how many bytes they are. For bytes that nobody wrote.
pub(crate) fn parse_tensors(bytes: &[u8]) -> Option<usize> {
    let (_, arrays) = parse(bytes).ok()?;
    Some(arrays.values().map(|array| array.bytes.len()).sum())
}

fn is_weight(name: &str) -> bool {
    name.starts_with("model.")
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
    for (name, array) in state.iter().filter(|(name, _)| is_weight(name)) {
        // Lengths go before what varies, so that no two states have the same stream.
        sum.update((name.len() as u64).to_le_bytes());
        sum.update(name);
        sum.update(format!("{:?} {:?} ", array.dtype, array.shape));
        sum.update((array.bytes.len() as u64).to_le_bytes());
        sum.update(&array.bytes);
    }
    hex(&sum.finalize())
}
