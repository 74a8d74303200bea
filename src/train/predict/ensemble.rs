//! The networks that decide together: built from what trials left, asked about an image, each with its
//! own channels, contrast, mean and deviation, and tiles.

use std::path::Path;

use tch::{Device, Tensor};

use crate::setting::{Data, Loss};
use crate::train::data::{self, Normalisation, Picture, Region};
use crate::train::evaluate::{Segmenter, TileWish, Tiling, Turns};
use crate::train::learner::{channels, image_settings, saved_normalisation};
use crate::train::model::{self, Network, Parameters};
use crate::worker::learner::LearnerError;
use crate::worker::trained::Trained;

use super::images::moved;

/// How images are shown to networks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Showing {
    /// How they are cut.
    pub tiles: TileWish,
    /// How they are turned.
    pub turns: Turns,
}

/// A network of the ensemble.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) trained: &'a Trained,
    network: Box<dyn Network>,
    /// They own what the network computes with.
    _parameters: Parameters,
    channels: usize,
    pub(super) normalisation: Normalisation,
    pub(super) tiling: Tiling,
    /// Settings of its data, where they lie now.
    pub(super) data: Data,
    pub(super) loss: &'a Loss,
    /// Fraction of the training pixels that is foreground, where it is known.
    pub(super) density: Option<f64>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Ensemble<'a> {
    pub(super) members: Vec<Member<'a>>,
    turns: Turns,
    device: Device,
    /// What a user should know, a sentence each.
    pub(super) notes: Vec<String>,
}

impl<'a> Ensemble<'a> {
    /// Builds the networks, on the first GPU if there is one. Their data lie at `place`, or where they
    /// were trained.
    pub(super) fn build(
        trained: &'a [Trained],
        showing: Showing,
        place: Option<&Path>,
    ) -> Result<Self, LearnerError> {
        let device = Device::cuda_if_available();
        let (mut members, mut notes) = (Vec::new(), Vec::new());
        for trained in trained {
            members.push(Member::build(trained, place, showing.tiles, device, &mut notes)?);
        }
        notes.dedup();
        Ok(Self { members, turns: showing.turns, device, notes })
    }

    /// Computes each member's logits of a region, `[height, width]`; `None` when `go_on` said stop.
    pub(super) fn logits(
        &self,
        picture: &mut Picture,
        region: Region,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Vec<Tensor>>, LearnerError> {
        let mut all = Vec::new();
        for member in &self.members {
            picture.set_contrast(member.data.contrast_gain, member.data.contrast_offset);
            let segmenter = Segmenter {
                network: member.network.as_ref(),
                channels: member.channels,
                device: self.device,
                normalisation: member.normalisation,
            };
            let how = (member.tiling, self.turns);
            let Some(logits) = segmenter.logits(picture, region, how, go_on)? else {
                return Ok(None);
            };
            all.push(logits);
        }
        Ok(Some(all))
    }

    /// The loss of all members, if it is one.
    pub(super) fn loss(&self) -> Option<&'a Loss> {
        let first = self.members.first()?.loss;
        self.members.iter().all(|member| member.loss == first).then_some(first)
    }

    /// The mean of the training densities that are known.
    pub(super) fn density(&self) -> Option<f64> {
        let known: Vec<f64> = self.members.iter().filter_map(|member| member.density).collect();
        #[expect(clippy::cast_precision_loss, reason = "a handful of members")]
        let count = known.len() as f64;
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / count)
    }
}

impl<'a> Member<'a> {
    fn build(
        trained: &'a Trained,
        place: Option<&Path>,
        wish: TileWish,
        device: Device,
        notes: &mut Vec<String>,
    ) -> Result<Self, LearnerError> {
        let (data, loss, _) = image_settings(&trained.settings)?;
        let data = moved(data, place);
        let model = &trained.settings.model;
        let (network, mut parameters) =
            model::build(model, data.patch.into(), trained.seed(), device)?;
        parameters.restore(&trained.state)?;
        let tiling = Tiling::wished(network.as_ref(), device, wish)?;
        note_tiles(network.as_ref(), tiling, wish, notes);
        let density = trained.train_density.or_else(|| {
            let counted = data::train_density(&data);
            if let Err(error) = &counted {
                notes.push(format!(
                    "how much foreground trial {} was trained on is not known ({error}), so what is \
                     found is not compared with it",
                    trained.trial()
                ));
            }
            counted.ok()
        });
        Ok(Self {
            trained,
            channels: channels(model)?,
            normalisation: saved_normalisation(&trained.state)?,
            network,
            _parameters: parameters,
            tiling,
            data,
            loss,
            density,
        })
    }
}

fn note_tiles(network: &dyn Network, tiling: Tiling, wish: TileWish, notes: &mut Vec<String>) {
    let side = tiling.side;
    if wish.tile.is_some_and(|tile| tile as usize != side) {
        notes.push(match network.largest_piece() {
            Some(_) => format!(
                "--tile does not hold for a network that attends to whole patches: it gets {side} pixels"
            ),
            None => format!("tiles are {side} pixels: a multiple of the network's grid"),
        });
    }
    if let Some(radius) = network.receptive_radius().filter(|_| !tiling.is_exact) {
        notes.push(format!(
            "tiles of {side} pixels that share {} are small for a network that sees {radius} pixels \
             around a pixel: near seams it says something else than for the whole image (--overlap {}, \
             and a larger --tile)",
            tiling.overlap,
            2 * radius
        ));
    }
}
