//! U-Net of ConvNeXt blocks (Liu et al. 2022).
//!
//! On the way down the network is a ConvNeXt: a 4×4 convolution of stride 4, levels of blocks, between
//! them layer normalisation and a 2×2 convolution of stride 2. On the way up each level has a
//! transposed 2×2 convolution, a 1×1 convolution that merges what comes over from the other side, and
//! blocks. A transposed 4×4 convolution leads back to the size of the image.
//!
//! The layout `earlier` ends there, with a 1×1 convolution. The layout `paper` normalises what comes over
//! and what goes back to the size of the image, as networks for dense prediction over a ConvNeXt do,
//! and refines it by a 3×3 convolution that sees the image itself: a stem of stride 4 alone leaves
//! borders to guesses. There, convolutions between the blocks start from He's distribution: with the
//! cut normal one of the blocks, a network of `embed: 24` still called everything background after 200
//! steps at a learning rate of 3e-3.

use tch::{TchError, Tensor};

use crate::setting::{self, Layout};

use super::block::{
    Conv, ConvSpec, ConvnextBlock, LayerNorm, RARE, UpConv, UpSpec, crop, pad_to_multiple, rising,
};
use super::parameters::Init;
use super::{Network, Parameters, Pass};

/// Edge of the stem's convolution and its stride.
const STEM: i64 = 4;

/// The network. Level `i` works on `embed · 2^i` channels at `1 / (4 · 2^i)` of the size.
#[derive(Debug)]
pub(super) struct ConvnextUnet {
    /// `stem.conv`, `stem.norm`.
    stem: (Conv, LayerNorm),
    /// Levels on the way down, the finest first.
    down: Vec<Level>,
    /// Levels on the way up, the finest first.
    up: Vec<Rise>,
    /// `expand`.
    expand: UpConv,
    refine: Option<Refine>,
    head: Conv,
    radius: i64,
    values_per_pixel: u64,
}

/// `down.<i>.norm` and `down.<i>.conv`, which lead here; `enc.<i>.<block>`; `skip.<i>`.
#[derive(Debug)]
struct Level {
    shrink: Option<(LayerNorm, Conv)>,
    blocks: Vec<ConvnextBlock>,
    skip: Option<LayerNorm>,
}

/// `up.<i>`, `fuse.<i>`, `dec.<i>.<block>`.
#[derive(Debug)]
struct Rise {
    grow: UpConv,
    fuse: Conv,
    blocks: Vec<ConvnextBlock>,
}

/// `expand_norm` before, `refine.conv` and `refine.norm` after the way back to the size of the image.
#[derive(Debug)]
struct Refine {
    before: LayerNorm,
    conv: Conv,
    norm: LayerNorm,
}

impl ConvnextUnet {
    /// Builds the network and adds its parameters to `parameters`.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub(super) fn build(
        settings: &setting::ConvnextUnet,
        parameters: &mut Parameters,
    ) -> Result<Self, TchError> {
        let paper = settings.variant == Layout::Paper;
        let (embed, scale) = (settings.embed, settings.layer_scale);
        // Between the blocks: see the room's head.
        let init = if paper { Init::He } else { Init::Truncated };
        let conv = |from, to, kernel| ConvSpec::new(from, to, kernel).init(init).bias(0.0);
        let stem = conv(settings.channels, embed, STEM).stride(STEM);
        let stem = stem.build(parameters, "stem.conv")?;
        let stem = (stem, LayerNorm::build(parameters, "stem.norm", embed)?);
        let mut skipped = rising(settings.depths.iter().sum(), settings.drop_path);
        let (mut down, mut up) = (Vec::new(), Vec::new());
        for (level, number) in settings.depths.iter().enumerate() {
            let channels = embed << level;
            let shrink = (level > 0).then(|| {
                let norm = format!("down.{level}.norm");
                let norm = LayerNorm::build(parameters, &norm, channels / 2)?;
                let shrink = conv(channels / 2, channels, 2).stride(2);
                Ok::<_, TchError>((norm, shrink.build(parameters, &format!("down.{level}.conv"))?))
            });
            let shrink = shrink.transpose()?;
            let mut blocks = Vec::new();
            for (number, skipped) in (0..*number).zip(&mut skipped) {
                let name = format!("enc.{level}.{number}");
                blocks.push(ConvnextBlock::build(parameters, &name, channels, scale, skipped)?);
            }
            let skip =
                paper.then(|| LayerNorm::build(parameters, &format!("skip.{level}"), channels));
            down.push(Level { shrink, blocks, skip: skip.transpose()? });
        }
        for level in 0..settings.depths.len() - 1 {
            let channels = embed << level;
            let grow = UpSpec::new(2 * channels, channels, 2).init(init);
            let grow = grow.build(parameters, &format!("up.{level}"))?;
            let fuse =
                conv(2 * channels, channels, 1).build(parameters, &format!("fuse.{level}"))?;
            let mut blocks = Vec::new();
            for number in 0..settings.decoder_depth {
                let name = format!("dec.{level}.{number}");
                blocks.push(ConvnextBlock::build(parameters, &name, channels, scale, 0.0)?);
            }
            up.push(Rise { grow, fuse, blocks });
        }
        // A layer normalisation over two or three channels would tell little but their order.
        let thin = if paper { (embed / 2).max(8) } else { embed / 2 };
        let expand = UpSpec::new(embed, thin, STEM).init(init);
        let expand = expand.build(parameters, "expand")?;
        let refine = paper.then(|| {
            let refined = ConvSpec::new(thin + settings.channels, thin, 3);
            Ok::<_, TchError>(Refine {
                before: LayerNorm::build(parameters, "expand_norm", embed)?,
                conv: refined.build(parameters, "refine.conv")?,
                norm: LayerNorm::build(parameters, "refine.norm", thin)?,
            })
        });
        let refine = refine.transpose()?;
        let head = conv(thin, 1, 1).bias(RARE).build(parameters, "head")?;
        let values_per_pixel = values_per_pixel(settings);
        let radius = receptive_radius(settings);
        Ok(Self { stem, down, up, expand, refine, head, radius, values_per_pixel })
    }
}

impl Network for ConvnextUnet {
    fn forward(&self, images: &Tensor, pass: Pass) -> Result<Tensor, TchError> {
        let image = pad_to_multiple(images, self.stride())?;
        let mut x = self.stem.1.over_channels(&self.stem.0.forward(&image)?)?;
        let mut skips = Vec::new();
        for Level { shrink, blocks, skip } in &self.down {
            if let Some((norm, conv)) = shrink {
                x = conv.forward(&norm.over_channels(&x)?)?;
            }
            x = through(blocks, x, pass)?;
            skips.push(match skip {
                Some(norm) => norm.over_channels(&x)?,
                None => x.shallow_clone(),
            });
        }
        x = skips.pop().unwrap_or(x);
        for Rise { grow, fuse, blocks } in self.up.iter().rev() {
            let Some(skip) = skips.pop() else { break };
            x = fuse.forward(&Tensor::f_cat(&[skip, grow.forward(&x)?], 1)?)?;
            x = through(blocks, x, pass)?;
        }
        x = match &self.refine {
            None => self.expand.forward(&x)?,
            Some(Refine { before, conv, norm }) => {
                x = self.expand.forward(&before.over_channels(&x)?)?;
                x = conv.forward(&Tensor::f_cat(&[x, image], 1)?)?;
                norm.over_channels(&x)?.f_gelu("none")?
            }
        };
        crop(&self.head.forward(&x)?, images)
    }

    fn stride(&self) -> i64 {
        STEM << (self.down.len() - 1)
    }

    fn values_per_pixel(&self) -> u64 {
        self.values_per_pixel
    }

    fn receptive_radius(&self) -> Option<i64> {
        Some(self.radius)
    }
}

/// A block's 7×7 convolution reaches three places of its level, the refinement one pixel; all else stays
/// within a place. Where a pixel lies within a place of the deepest level adds one less than the stride.
fn receptive_radius(settings: &setting::ConvnextUnet) -> i64 {
    let last = settings.depths.len() - 1;
    let blocks = settings.depths.iter().enumerate().map(|(level, down)| {
        let up = if level < last { settings.decoder_depth } else { 0 };
        3 * (down + up) * (STEM << level)
    });
    let refined = i64::from(settings.variant == Layout::Paper);
    blocks.sum::<i64>() + refined + (STEM << last) - 1
}

fn through(blocks: &[ConvnextBlock], x: Tensor, pass: Pass) -> Result<Tensor, TchError> {
    blocks.iter().try_fold(x, |x, block| block.forward(&x, pass))
}

/// A block keeps 14 tensors of its level's channels: the hidden ones are four times as wide. Level `i`
/// has `embed · 2^i` channels on one of `16 · 4^i` pixels. A quarter more for gradients;
/// on the CPU peaks are a quarter lower (4 images of 512 × 512 at embed 48).
fn values_per_pixel(settings: &setting::ConvnextUnet) -> u64 {
    let levels = settings.depths.len();
    let blocks = settings.depths.iter().enumerate().map(|(level, down)| {
        let up = if level + 1 < levels { settings.decoder_depth } else { 0 };
        (14 * (down + up) + 5).unsigned_abs() * settings.embed.unsigned_abs() / (16 << level)
    });
    // At the size of the image: five tensors of half the channels, or one.
    let fine = if settings.variant == Layout::Paper { 5 } else { 1 };
    5 * (blocks.sum::<u64>() + fine * settings.embed.unsigned_abs() / 2) / 4
}
