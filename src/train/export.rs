//! The way out: a trained network as files that need no Regatta.
//!
//! A folder gets the weights (`model.safetensors`), the network itself as TorchScript (`model.pt`) and
//! what there is to know of both, for people (`README.md`) and for programs (`model.json`). [`trace`]
//! writes down what the network computes, [`script`] puts it into a module that takes raw values,
//! [`archive`] is the file format, [`facts`] and [`card`] tell about it.
//! Before anything is written `model.pt` is read back and must give what the network gives.

mod archive;
mod card;
mod facts;
#[cfg(test)]
mod parity_tests;
mod script;
#[cfg(test)]
mod tests;
mod trace;
mod weights;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use tch::{CModule, Device, Kind, TchError, Tensor};

pub use facts::Facts;

use crate::layout::{self, StagedFolder};
use crate::setting::{Data, Model};
use crate::worker::learner::{Array, LearnerError};
use crate::worker::trained::Trained;

use super::data::Normalisation;
use super::draw::Draw;
use super::learner::{channels, image_settings, saved_normalisation};
use super::model::{self, Network, Parameters, Pass};

/// Largest difference of a logit, as a part of the largest logit, between the network and what was
/// written.
pub const TOLERANCE: f64 = 1e-5;

/// Files of an export.
const FILES: [&str; 4] = ["README.md", "model.json", "model.pt", "model.safetensors"];

/// What is to be written, and where.
#[derive(Debug)]
pub struct Request<'a> {
    /// The trial and its checkpoint.
    pub trained: &'a Trained,
    /// The folder; it is made.
    pub folder: &'a Path,
    /// Whether an earlier export in this folder may be replaced.
    pub replace: bool,
}

/// What the network takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Input {
    channels: i64,
    /// Sides are extended to multiples of it.
    stride: i64,
    /// The only side it takes; none: any.
    tile: Option<i64>,
}

/// What is done to raw values in `[0, 1]`: times `gain` plus `offset`, clipped to `[0, 1]`; then less
/// `mean`, divided by `deviation`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Preparation {
    gain: f64,
    offset: f64,
    normalisation: Normalisation,
}

impl Preparation {
    fn of(data: &Data, normalisation: Normalisation) -> Self {
        Self { gain: data.contrast_gain, offset: data.contrast_offset, normalisation }
    }

    /// The normalisation as tensors of one 32-bit number, by name.
    fn tensors(&self) -> [(&'static str, Array); 2] {
        let Normalisation { mean, deviation } = self.normalisation;
        #[expect(clippy::cast_possible_truncation, reason = "networks see 32-bit values")]
        let array = |value: f64| Array {
            dtype: safetensors::Dtype::F32,
            shape: vec![1],
            bytes: (value as f32).to_le_bytes().to_vec(),
        };
        [("input_mean", array(mean)), ("input_std", array(deviation))]
    }

    /// Does it as training and prediction do.
    fn apply(&self, images: &Tensor) -> Result<Tensor, TchError> {
        let Normalisation { mean, deviation } = self.normalisation;
        let mut x = images.shallow_clone();
        if (self.gain, self.offset) != (1.0, 0.0) {
            x = x.f_mul_scalar(self.gain)?.f_add_scalar(self.offset)?.f_clamp(0.0, 1.0)?;
        }
        let centred = x.f_to_kind(Kind::Double)?.f_sub_scalar(mean)?;
        centred.f_div_scalar(deviation)?.f_to_kind(Kind::Float)
    }
}

/// A trained network on the CPU, ready to be written down.
struct Built {
    network: Box<dyn Network>,
    parameters: Parameters,
    input: Input,
    preparation: Preparation,
    /// Edge of the patches it was trained on.
    edge: i64,
}

impl Built {
    fn of(trained: &Trained) -> Result<Self, LearnerError> {
        let Trained { settings, state, .. } = trained;
        let seed = trained.seed();
        let (data, _, _) = image_settings(settings)?;
        let edge = i64::from(data.patch);
        let (network, mut parameters) = model::build(&settings.model, edge, seed, Device::Cpu)?;
        parameters.restore(state)?;
        let preparation = Preparation::of(data, saved_normalisation(state)?);
        let channels = i64::try_from(channels(&settings.model)?).unwrap_or(1);
        let tile = has_fixed_size(&settings.model).then_some(edge);
        let input = Input { channels, stride: network.stride(), tile };
        Ok(Self { network, parameters, input, preparation, edge })
    }

    /// Writes the TorchScript module; the library needs a `folder` for what it finds.
    fn module(&self, folder: &Path) -> Result<Vec<u8>, LearnerError> {
        let Self { network, parameters, input, preparation, edge } = self;
        let whole = (edge + input.stride - 1) / input.stride * input.stride;
        let example = images([1, input.channels, whole, whole])?;
        let traced = trace::trace(network.as_ref(), parameters, &example, folder)?;
        let (root, code) = script::module(parameters, &traced, preparation, input)?;
        archive::write(&root, &code, &traced.constants)
    }

    /// Computes logits of raw images as [`super::predict`] does of one piece.
    fn logits(&self, images: &Tensor) -> Result<Tensor, TchError> {
        let _guard = tch::no_grad_guard();
        self.network.forward(&self.preparation.apply(images)?, Pass::Evaluate)
    }

    /// Reads a module back and returns the largest difference to the network, as a part of the largest
    /// logit, on images of several sizes.
    fn difference(&self, module: &[u8]) -> Result<f64, LearnerError> {
        let _guard = tch::no_grad_guard();
        let module = CModule::load_data(&mut Cursor::new(module))?;
        let Input { channels, stride, tile } = self.input;
        let sizes = match tile {
            Some(side) => vec![[1, channels, side, side], [3, channels, side, side]],
            None => vec![
                [1, channels, self.edge, self.edge],
                [2, channels, 3 * stride, 2 * stride],
                [1, channels, 2 * stride + 1, 3 * stride - 1],
            ],
        };
        let mut worst = 0.0_f64;
        for size in sizes {
            let images = images(size)?;
            let (ours, theirs) = (self.logits(&images)?, module.forward_ts(&[&images])?);
            let largest = |x: &Tensor| x.f_abs()?.f_max()?.f_double_value(&[]);
            worst = worst.max(largest(&ours.f_sub(&theirs)?)? / largest(&ours)?.max(1e-30));
        }
        Ok(worst)
    }
}

/// Attention looks at a number of tokens that the tracer writes down.
fn has_fixed_size(model: &Model) -> bool {
    matches!(model, Model::SwinUnet(_) | Model::CoatnetUnet(_))
}

/// Raw values in `[0, 1)` that are the same each time.
fn images(size: [i64; 4]) -> Result<Tensor, TchError> {
    let mut draw = Draw::new(0, "export", 0, 0);
    let numel = size.iter().product::<i64>();
    #[expect(clippy::cast_possible_truncation, reason = "networks see 32-bit values")]
    let values: Vec<f32> = (0..numel).map(|_| draw.unit() as f32).collect();
    Tensor::f_from_slice(&values)?.f_view(size)
}

/// Writes the four files, as a whole or not at all, and returns what stands in `model.json`.
///
/// # Errors
/// When the folder holds other files, or an earlier export that may not be replaced; when the state does
/// not fit the settings; when what was written does not give what the network gives; when the disk
/// refuses.
pub fn export(request: &Request) -> Result<Facts, LearnerError> {
    let Request { trained, folder, replace } = *request;
    refuse_the_toy(trained)?;
    refuse_to_overwrite(folder, replace)?;
    let built = Built::of(trained)?;
    let staged = StagedFolder::beside(folder).map_err(|error| unwritable(folder, &error))?;
    let module = built.module(staged.path())?;
    let difference = built.difference(&module)?;
    if difference.is_nan() || difference > TOLERANCE {
        return Err(LearnerError::Library {
            what: format!(
                "the TorchScript module differs from the network by {difference:e} of the largest logit, \
                 more than {TOLERANCE:e}: nothing was written"
            ),
        });
    }
    let facts = Facts::of(trained, &built, difference);
    let json = facts.json().map_err(|error| unwritable(folder, &error))?;
    let weights = weights::write(&built.parameters, &built.preparation, &facts)?;
    let card = card::card(&facts);
    let contents = [card.as_bytes(), json.as_bytes(), &module, &weights];
    for (name, content) in FILES.into_iter().zip(contents) {
        let path = staged.path().join(name);
        layout::write_users_file(&path, content).map_err(|error| unwritable(folder, &error))?;
    }
    staged.publish(replace).map_err(|error| unwritable(folder, &error))?;
    Ok(facts)
}

fn refuse_the_toy(trained: &Trained) -> Result<(), LearnerError> {
    if !matches!(trained.settings.model, Model::Toy(_)) {
        return Ok(());
    }
    let trial = trained.trial();
    Err(LearnerError::Setting {
        setting: "model.name".to_owned(),
        what: format!(
            "trial {trial} is of the toy learner, which has no network: there is nothing to export"
        ),
    })
}

/// A folder is taken if it is new or empty, or holds an earlier export that may go.
fn refuse_to_overwrite(folder: &Path, replace: bool) -> Result<(), LearnerError> {
    let refused = |what: &str, hint: &str| LearnerError::Data {
        path: folder.to_owned(),
        what: what.to_owned(),
        hint: Some(hint.to_owned()),
    };
    if folder.exists() && !folder.is_dir() {
        return Err(refused("this is a file", "name a folder that is new or empty"));
    }
    let names = layout::list(folder).map_err(|error| unwritable(folder, &error))?;
    if names.iter().any(|name| !FILES.contains(&name.as_str())) {
        let what = "this folder holds files that no export wrote";
        return Err(refused(what, "name a folder that is new or empty"));
    }
    if !names.is_empty() && !replace {
        let what = "this folder holds a model already";
        return Err(refused(what, "give another name, or --force to replace it"));
    }
    Ok(())
}

fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> LearnerError {
    LearnerError::Data {
        path: PathBuf::from(path),
        what: format!("it cannot be written: {error}"),
        hint: None,
    }
}
