//! The learner that trains a network on images.

use std::sync::Arc;

use tch::Device;

use crate::event::Cursor;
use crate::metric::Metrics;
use crate::setting::{Augmentation, Data, Loss, Model, Settings};
use crate::worker::learner::{Array, Description, Learner, LearnerError, State};

use super::check;
use super::data::{DataSet, Minibatch, Normalisation, Recipe, Sampler, Summary};
use super::evaluate::{Segmenter, Tally};
use super::loss::loss;
use super::model::{self, Network, Parameters, Pass};
use super::optim::Optimizer;
use super::prefetch::{self, Order, Place, Prefetch};

/// The library and its binding; their versions are pinned together.
pub(super) const LIBRARY: &str = "libtorch 2.11.0 (tch 0.24.0)";
const MEAN: &str = "model.input_mean";
const DEVIATION: &str = "model.input_std";

/// Trains a network on images and masks.
#[derive(Debug)]
pub struct NetLearner {
    settings: Settings,
    loss: Loss,
    recipe: Recipe,
    pub(super) data: Arc<DataSet>,
    /// Fraction of the training pixels that is foreground.
    train_density: f64,
    pub(super) sampler: Sampler,
    /// Threads that cut minibatches.
    cutters: usize,
    /// Begins with the first step.
    prefetch: Option<Prefetch<Minibatch>>,
    pub(super) network: Box<dyn Network>,
    pub(super) parameters: Parameters,
    pub(super) optimizer: Optimizer,
    pub(super) device: Device,
    threads: u32,
}

impl NetLearner {
    /// Reads the data, builds the network and its optimizer. It computes on the first GPU if there
    /// is one, otherwise on `threads` CPU threads.
    ///
    /// # Errors
    /// When the data are not as they should be, the settings do not go together, or memory does not
    /// suffice.
    pub fn build(settings: &Settings, seed: u64, threads: u32) -> Result<Self, LearnerError> {
        let (data_settings, loss, augmentation) = image_settings(settings)?;
        tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
        let device = Device::cuda_if_available();
        let (network, parameters) =
            model::build(&settings.model, data_settings.patch.into(), seed, device)?;
        check_patch(data_settings, network.as_ref())?;
        let data = DataSet::open(data_settings, seed)?;
        let crops = settings.samples_per_epoch;
        let sampler = data.sampler(data_settings, crops, seed);
        let recipe = Recipe {
            seed,
            edge: data_settings.patch as usize,
            channels: channels(&settings.model)?,
            normalisation: Normalisation::of(&data.slices, &data.train),
            augmentation: augmentation.clone(),
        };
        let optimizer = Optimizer::new(&settings.optimizer, &parameters)?;
        let (settings, loss) = (settings.clone(), loss.clone());
        // A GPU leaves the processors alone, but for the thread that drives it.
        let busy = if device.is_cuda() { 1 } else { threads as usize };
        Ok(Self {
            settings,
            loss,
            recipe,
            train_density: Summary::train_density(&data),
            data: Arc::new(data),
            sampler,
            cutters: prefetch::threads_beside(busy),
            prefetch: None,
            network,
            parameters,
            optimizer,
            device,
            threads,
        })
    }

    /// Cuts minibatches on so many threads of its own, at most 4, while the network computes; with 0
    /// only when they are needed. The bits are the same.
    #[must_use]
    pub fn cutting_on(mut self, threads: usize) -> Self {
        self.cutters = threads;
        self.prefetch = None;
        self
    }

    /// Where minibatches lie.
    fn order(&self) -> Order {
        let Settings { batch_size, epochs, .. } = self.settings;
        Order { batch_size, samples: self.sampler.samples(), epochs }
    }

    /// Starts the threads that cut; each has a sampler of its own and shares the images.
    fn start_prefetch(&self) -> Prefetch<Minibatch> {
        Prefetch::start(self.order(), self.cutters, || {
            let (recipe, data) = (self.recipe.clone(), self.data.clone());
            let mut sampler = self.sampler.clone();
            Box::new(move |Place { epoch, first, last }| {
                Ok(Minibatch::cut(&recipe, &data.slices, &mut sampler, epoch, first..last)?)
            })
        })
    }

    /// Samples of one optimizer update.
    fn samples_per_step(&self) -> u64 {
        self.settings.batch_size.saturating_mul(self.settings.gradient_accumulation)
    }

    /// Adds the gradients of one minibatch, times `share`, to those that are there. Returns its loss.
    fn backward(&mut self, place: Place, share: f64) -> Result<f64, LearnerError> {
        // Counts the minibatches of the epoch: each has a dropout of its own.
        let step = place.first / self.settings.batch_size;
        let started = self.prefetch.take();
        let prefetch = self.prefetch.insert(started.unwrap_or_else(|| self.start_prefetch()));
        let minibatch = prefetch.take(place)?.to(self.device)?;
        let pass = Pass::Train { seed: self.recipe.seed, epoch: place.epoch, step };
        let logits = self.network.forward(&minibatch.images, pass)?;
        let loss = loss(&logits, &minibatch.truth, &self.loss)?;
        if share < 1.0 {
            loss.f_mul_scalar(share)?.f_backward()?;
        } else {
            loss.f_backward()?;
        }
        Ok(loss.f_double_value(&[])?)
    }

    /// Takes mean and deviation; what was cut with others is forgotten.
    fn normalise(&mut self, normalisation: Normalisation) {
        if normalisation != self.recipe.normalisation {
            self.recipe.normalisation = normalisation;
            self.prefetch = None;
        }
    }

    fn segmenter(&self) -> Segmenter<'_> {
        Segmenter {
            network: self.network.as_ref(),
            channels: self.recipe.channels,
            device: self.device,
            normalisation: self.recipe.normalisation,
        }
    }

    /// Segments the largest validation region, for a look at what that takes.
    pub(super) fn segment_largest(&self) -> Result<(), LearnerError> {
        let largest = self.data.val.iter().max_by_key(|region| region.height * region.width);
        if let Some(region) = largest {
            let picture = &self.data.slices[region.slice].picture;
            self.segmenter().segment(picture, *region, &mut || true)?;
        }
        Ok(())
    }

    fn steps_per_epoch(&self) -> u64 {
        self.sampler.samples().div_ceil(self.samples_per_step())
    }
}

impl Learner for NetLearner {
    fn describe(&self) -> Description {
        Description {
            parameters: self.parameters.count(),
            device: device_name(self.device),
            threads: self.threads,
            library: LIBRARY.to_owned(),
            data: Some(self.data.fingerprint.clone()),
            train_density: Some(self.train_density),
            steps_per_epoch: self.steps_per_epoch(),
            samples_per_epoch: self.sampler.samples(),
        }
    }

    fn warnings(&self) -> Vec<String> {
        check::warnings(&self.data, &Summary::of(&self.data), self.recipe.edge)
    }

    /// As the trait says. Running statistics of batch normalisations are no part of the update: a
    /// forward pass on values that are not finite spoils them, and only [`Learner::restore`] or
    /// [`Learner::reset`] brings them back. So a rollback does, and nothing less.
    fn train_step(&mut self, cursor: Cursor, learning_rate: f64) -> Result<f64, LearnerError> {
        let per_step = self.samples_per_step();
        let first = cursor.step * per_step;
        let last = (first + per_step).min(self.sampler.samples());
        let mut total = 0.0;
        let mut from = first;
        while from < last {
            let place = self.order().at(cursor.epoch, from);
            let share = ratio(place.last - from, last - first);
            total += share * self.backward(place, share)?;
            from = place.last;
        }
        let update = self.optimizer.step(&mut self.parameters, learning_rate)?;
        Ok(if update.is_done { total } else { f64::NAN })
    }

    fn evaluate(
        &mut self,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Metrics>, LearnerError> {
        let segmenter = self.segmenter();
        let mut tally = Tally::new(&self.loss);
        for region in &self.data.val {
            let slice = &self.data.slices[region.slice];
            let Some(mask) = &slice.mask else { continue };
            let Some(segmented) = segmenter.segment(&slice.picture, *region, go_on)? else {
                return Ok(None);
            };
            tally.add(&segmented, mask, *region)?;
        }
        Ok(Some(tally.metrics("val")))
    }

    fn state(&self) -> Result<State, LearnerError> {
        let mut state = State::new();
        self.parameters.save(&mut state)?;
        self.optimizer.save(&self.parameters, &mut state)?;
        let Normalisation { mean, deviation } = self.recipe.normalisation;
        state.insert(MEAN.to_owned(), Array::of_f64(&[mean]));
        state.insert(DEVIATION.to_owned(), Array::of_f64(&[deviation]));
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<(), LearnerError> {
        let normalisation = saved_normalisation(state)?;
        self.parameters.restore(state)?;
        self.optimizer.restore(&self.parameters, state)?;
        self.normalise(normalisation);
        Ok(())
    }

    fn reset(&mut self) -> Result<(), LearnerError> {
        self.parameters.reset()?;
        self.optimizer.reset(&self.parameters)?;
        self.normalise(Normalisation::of(&self.data.slices, &self.data.train));
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "samples stay far below 2^53")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// Reads mean and deviation of the input from a saved state.
pub(super) fn saved_normalisation(state: &State) -> Result<Normalisation, LearnerError> {
    let number = |name: &str| {
        let values = state.get(name).and_then(Array::as_f64);
        values
            .and_then(|values| values.first().copied())
            .ok_or_else(|| LearnerError::Misfit { what: format!("`{name}` is missing") })
    };
    Ok(Normalisation { mean: number(MEAN)?, deviation: number(DEVIATION)? })
}

/// Returns the settings that every learner of images has.
pub(super) fn image_settings(
    settings: &Settings,
) -> Result<(&Data, &Loss, &Augmentation), LearnerError> {
    let missing = |setting: &str| LearnerError::Setting {
        setting: setting.to_owned(),
        what: "a network for images needs it".to_owned(),
    };
    let data = settings.data.as_ref().ok_or_else(|| missing("data"))?;
    let loss = settings.loss.as_ref().ok_or_else(|| missing("loss"))?;
    let augmentation = settings.augmentation.as_ref().ok_or_else(|| missing("augmentation"))?;
    Ok((data, loss, augmentation))
}

/// Returns the channels that the network takes: 1 or 3.
pub(super) fn channels(model: &Model) -> Result<usize, LearnerError> {
    match model.channels() {
        Some(1) => Ok(1),
        Some(3) => Ok(3),
        _ => Err(LearnerError::Setting {
            setting: "model.channels".to_owned(),
            what: "images have 1 channel (grey) or 3 (colours, or copies of grey)".to_owned(),
        }),
    }
}

/// A patch must not be smaller than the network can train on.
fn check_patch(data: &Data, network: &dyn Network) -> Result<(), LearnerError> {
    let least = network.least_patch();
    if i64::from(data.patch) >= least {
        return Ok(());
    }
    Err(LearnerError::Setting {
        setting: "data.patch".to_owned(),
        what: format!("{} is too small for this depth; at least {least}", data.patch),
    })
}

pub(super) fn device_name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".to_owned(),
        Device::Cuda(index) => format!("cuda:{index}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

#[cfg(test)]
mod tests;
