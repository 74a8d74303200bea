//! What a finished trial left on disk, and how it differs from another's.

use std::io;

use safetensors::SafeTensors;
use serde_json::Value;

use crate::event::Event;
use crate::journal;
use crate::layout::{self, Limit, TrialFolder};
use crate::metric::Metrics;
use crate::worker::checkpoint::sha256_hex;
use crate::worker::learner::{Array, State};

use super::cutting::Witness;
use super::difference::{ArrayDifference, Difference, array_differences};

/// Most arrays of the last checkpoint that are named.
const NAMED: usize = 10;

/// A finished trial.
pub(super) struct Remains {
    folder: TrialFolder,
    pub(super) witness: Witness,
    /// Every epoch that an attempt recorded: one that was done twice stands here twice.
    epochs: Vec<(u64, Metrics, String)>,
    /// SHA-256 in hex of the tensors of the last checkpoint, with the loop's state.
    pub(super) tensors_sha256: String,
}

impl Remains {
    /// Reads them.
    ///
    /// # Errors
    /// When the trial's files cannot be read.
    pub(super) fn read(folder: TrialFolder, witness: Witness) -> io::Result<Self> {
        let mut epochs = Vec::new();
        for attempt in folder.attempts()? {
            let records = journal::replay::<Event>(&folder.journal(attempt))?.records;
            epochs.extend(records.into_iter().filter_map(|record| match record.body {
                Event::EpochEnded { epoch, metrics, weights_sha256, .. } => {
                    Some((epoch, metrics, weights_sha256))
                }
                _ => None,
            }));
        }
        let tensors_sha256 = sha256_hex(&tensors(&folder)?);
        Ok(Self { folder, witness, epochs, tensors_sha256 })
    }

    /// All that `cut` does not have in common with this uncut trial, the first in time first.
    ///
    /// # Errors
    /// When the last checkpoint of either cannot be read.
    pub(super) fn differences(&self, cut: &Self) -> io::Result<Vec<Difference>> {
        let mut found: Vec<_> =
            cut.witness.misrestored.iter().cloned().map(Difference::Restored).collect();
        found.extend(self.other_loss(cut));
        for (epoch, metrics, weights) in &cut.epochs {
            let Some((_, own_metrics, own_weights)) =
                self.epochs.iter().find(|(own, ..)| own == epoch)
            else {
                continue;
            };
            found.extend(other_metrics(*epoch, own_metrics, metrics));
            if weights != own_weights {
                let (uncut, cut) = (own_weights.clone(), weights.clone());
                found.push(Difference::Weights { epoch: *epoch, uncut, cut });
            }
        }
        if self.tensors_sha256 != cut.tensors_sha256 {
            found.extend(other_ends(&tensors(&self.folder)?, &tensors(&cut.folder)?)?);
        }
        Ok(found)
    }

    /// The first step with another loss. Steps that were done again count as well.
    fn other_loss(&self, cut: &Self) -> Option<Difference> {
        cut.witness.steps.iter().find_map(|step| {
            let own = self.witness.steps.iter().find(|own| own.at == step.at)?;
            (own.loss.to_bits() != step.loss.to_bits()).then_some(Difference::Loss {
                at: step.at,
                uncut: own.loss,
                cut: step.loss,
                since_resume: step.since_resume,
            })
        })
    }
}

fn tensors(folder: &TrialFolder) -> io::Result<Vec<u8>> {
    let checkpoints = folder.checkpoints();
    let names = checkpoints.names()?;
    let newest = names.last().ok_or_else(|| io::Error::other("the trial left no checkpoint"))?;
    layout::read_limited(&checkpoints.tensors(*newest), Limit::TENSORS)
}

fn other_metrics(epoch: u64, own: &Metrics, cut: &Metrics) -> Vec<Difference> {
    let mut names: Vec<&str> = own.iter().chain(cut.iter()).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    let bits = |value: Option<f64>| value.map(f64::to_bits);
    let differ = names.into_iter().filter(|name| bits(own.get(name)) != bits(cut.get(name)));
    differ
        .map(|name| Difference::Metric {
            epoch,
            metric: name.to_owned(),
            uncut: own.get(name),
            cut: cut.get(name),
        })
        .collect()
}

fn other_ends(own: &[u8], cut: &[u8]) -> io::Result<Vec<Difference>> {
    let arrays = array_differences(&arrays(own)?, &arrays(cut)?);
    let left = arrays.len().saturating_sub(NAMED);
    let mut found: Vec<_> = arrays.into_iter().take(NAMED).map(Difference::Final).collect();
    if left > 0 {
        let (array, what) = ("…".to_owned(), format!("{left} more arrays"));
        found.push(Difference::Final(ArrayDifference { array, what }));
    }
    other_values("", &loop_state(own)?, &loop_state(cut)?, &mut found);
    if found.is_empty() {
        // The bytes differ and nothing in them does: only the file's order can be another.
        let (uncut, cut) = (sha256_hex(own), sha256_hex(cut));
        found.push(Difference::Loop { key: "layout of the file".to_owned(), uncut, cut });
    }
    Ok(found)
}

fn arrays(bytes: &[u8]) -> io::Result<State> {
    let tensors = SafeTensors::deserialize(bytes).map_err(io::Error::other)?;
    let array = |view: safetensors::tensor::TensorView<'_>| {
        let (shape, bytes) = (view.shape().to_vec(), view.data().to_vec());
        Array { dtype: view.dtype(), shape, bytes }
    };
    Ok(tensors.iter().map(|(name, view)| (name.to_owned(), array(view))).collect())
}

/// What stands in the file beside the arrays.
fn loop_state(bytes: &[u8]) -> io::Result<Value> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(io::Error::other)?;
    let texts = header.metadata().clone().unwrap_or_default();
    let parsed = texts.into_iter().map(|(key, text)| {
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (key, value)
    });
    Ok(Value::Object(parsed.collect()))
}

fn other_values(path: &str, own: &Value, cut: &Value, found: &mut Vec<Difference>) {
    if let (Value::Object(own), Value::Object(cut)) = (own, cut) {
        let mut keys: Vec<&String> = own.keys().chain(cut.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let get = |map: &serde_json::Map<String, Value>| map.get(key).cloned();
            let (own, cut) = (get(own).unwrap_or_default(), get(cut).unwrap_or_default());
            other_values(&at, &own, &cut, found);
        }
    } else if own != cut {
        let key = path.to_owned();
        found.push(Difference::Loop { key, uncut: own.to_string(), cut: cut.to_string() });
    }
}
