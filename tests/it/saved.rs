//! What a trial saved last: the whole state, or where the disk took no more the weights alone.

#![expect(clippy::expect_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;

use regatta::layout::{self, CheckpointName, TrialFolder};
use safetensors::SafeTensors;

/// The newest file of a state.
pub(crate) struct Saved {
    /// It holds more than the weights.
    pub(crate) is_whole: bool,
    /// Bytes by name.
    pub(crate) arrays: BTreeMap<String, Vec<u8>>,
}

/// What was saved last.
pub(crate) fn saved(folder: &TrialFolder) -> Saved {
    let checkpoints = folder.checkpoints();
    let names = layout::list(checkpoints.path()).expect("names");
    let alone = names.iter().filter_map(|name| {
        let stem = name.strip_suffix(".weights.safetensors")?;
        Some((CheckpointName::parse(stem)?, checkpoints.path().join(name)))
    });
    let last = checkpoints.names().expect("names").last().copied();
    let whole = last.map(|name| (name, checkpoints.tensors(name)));
    let (name, path) = whole.into_iter().chain(alone).max().expect("something saved");
    let bytes = std::fs::read(path).expect("tensors");
    let (_, about) = SafeTensors::read_metadata(&bytes).expect("safetensors");
    let arrays = SafeTensors::deserialize(&bytes).expect("safetensors");
    let arrays = arrays.iter().map(|(name, array)| (name.to_owned(), array.data().to_vec()));
    let mut arrays: BTreeMap<_, _> = arrays.collect();
    let is_whole = Some(name) == last;
    if is_whole {
        // The loop's state.
        arrays.insert("metadata".to_owned(), format!("{:?}", about.metadata()).into_bytes());
    }
    Saved { is_whole, arrays }
}
