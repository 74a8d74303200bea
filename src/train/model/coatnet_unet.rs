//! U-Net of convolution below and attention above.
//!
//! `paper`: encoder of Dai et al. 2021 (convolutional stem, two levels of `MBConv`, two of transformer
//! blocks with relative attention, each level at half the size of the one before); decoder of
//! transposed convolutions, skip connections and convolutions. `earlier`: residual convolution blocks,
//! attention without positions from the second level on, also on the way up.

use tch::{TchError, Tensor};

use crate::setting;
use crate::setting::Layout;

use super::block::{
    BatchNorm, Conv, ConvNormGelu, ConvSpec, LayerNorm, Mbconv, PreActivation, RARE, Reach,
    Transformer, TransformerSpec, UpConv, UpSpec, crop, nearest_up, pad_to_multiple, rising,
};
use super::{Network, Parameters, Pass};

/// The network. Level `i` works on `embed · 2^i` channels: `paper` at `1 / (4 · 2^i)` of the size,
/// `earlier` at `1 / (2 · 2^i)`.
#[derive(Debug)]
pub(super) struct CoatnetUnet {
    /// `stem` and, in `paper`, `stem.conv2`: at half the size.
    stem: (ConvNormGelu, Option<Conv>),
    /// The finest first: `down.<i>`, `enc.<i>.<j>`.
    levels: Vec<Level>,
    /// After the deepest level of `paper`: `norm`.
    norm: Option<LayerNorm>,
    /// The finest first: `up.<i>`, `dec.<i>.reduce`, `dec.<i>.<j>`, `dec.<i>.norm`.
    up: Vec<Rise>,
    /// `head.expand`, `head.norm`, `head.out`.
    head: (UpConv, BatchNorm, Conv),
    stride: i64,
    largest_piece: i64,
    values: u64,
}

/// A level of the encoder.
#[derive(Debug)]
struct Level {
    /// Whether it begins by halving the map; what comes in is then kept for the way up.
    is_halving: bool,
    down: Option<ConvNormGelu>,
    blocks: Vec<Block>,
}

/// A level of the decoder.
#[derive(Debug)]
struct Rise {
    grow: Grow,
    /// From the channels of both inputs to those of the level.
    reduce: Option<Conv>,
    blocks: Vec<Block>,
    norm: Option<LayerNorm>,
}

/// What doubles height and width: one transposed convolution, or pixels repeated and a convolution.
#[derive(Debug)]
enum Grow {
    Transposed(UpConv),
    Repeated(Conv),
}

#[derive(Debug)]
enum Block {
    Mbconv(Mbconv),
    Residual(PreActivation),
    Plain(ConvNormGelu),
    Attention(Transformer),
}

impl Block {
    fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor, TchError> {
        match self {
            Self::Mbconv(block) => block.forward(x, pass),
            Self::Residual(block) => block.forward(x, pass),
            Self::Plain(block) => block.forward(x, pass),
            Self::Attention(block) => {
                let tokens = x.f_permute([0, 2, 3, 1])?.f_contiguous()?;
                block.forward(&tokens, pass)?.f_permute([0, 3, 1, 2])
            }
        }
    }
}

impl Grow {
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Transposed(conv) => conv.forward(x),
            Self::Repeated(conv) => conv.forward(&nearest_up(x)?),
        }
    }
}

/// What the two variants are built with.
struct Builder<'a> {
    settings: &'a setting::CoatnetUnet,
    parameters: &'a mut Parameters,
    is_paper: bool,
    /// Edge of the patches, in pixels, extended to whole strides.
    edge: i64,
}

impl CoatnetUnet {
    /// Builds the network for training on patches of `edge` pixels and adds its parameters to
    /// `parameters`.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub(super) fn build(
        settings: &setting::CoatnetUnet,
        edge: i64,
        parameters: &mut Parameters,
    ) -> Result<Self, TchError> {
        let is_paper = settings.variant == Layout::Paper;
        let stride = if is_paper { 32 } else { 16 };
        let whole = (edge + stride - 1) / stride * stride;
        let mut builder = Builder { settings, parameters, is_paper, edge: whole };
        let stem = builder.stem()?;
        let levels = builder.levels()?;
        let deepest = 8 * settings.embed;
        let mut norm = None;
        if is_paper {
            norm = Some(LayerNorm::build(builder.parameters, "norm", deepest)?);
        }
        let up = if is_paper { builder.rises_of_paper()? } else { builder.rises_of_earlier()? };
        let half = settings.embed / 2;
        let parameters = builder.parameters;
        let head = (
            UpSpec::new(settings.embed, half, 2).build(parameters, "head.expand")?,
            BatchNorm::build(parameters, "head.norm", half)?,
            ConvSpec::new(half, 1, 1).bias(RARE).build(parameters, "head.out")?,
        );
        let values = values_per_pixel(settings, is_paper, whole);
        Ok(Self { stem, levels, norm, up, head, stride, largest_piece: edge, values })
    }
}

impl Builder<'_> {
    fn width(&self, level: usize) -> i64 {
        self.settings.embed << level
    }

    /// Side of a level's map, for a patch.
    fn side(&self, level: usize) -> i64 {
        self.edge >> (level + if self.is_paper { 2 } else { 1 })
    }

    fn stem(&mut self) -> Result<(ConvNormGelu, Option<Conv>), TchError> {
        let (channels, embed) = (self.settings.channels, self.settings.embed);
        if self.is_paper {
            let first = ConvSpec::new(channels, embed, 3).stride(2);
            let first = ConvNormGelu::build(first, self.parameters, "stem", embed)?;
            let second = ConvSpec::new(embed, embed, 3).bias(0.0);
            return Ok((first, Some(second.build(self.parameters, "stem.conv2")?)));
        }
        let only = ConvSpec::new(channels, embed, 7).stride(2).bias(0.0);
        Ok((ConvNormGelu::build(only, self.parameters, "stem", embed)?, None))
    }

    fn levels(&mut self) -> Result<Vec<Level>, TchError> {
        let depths = &self.settings.depths;
        let mut paths = rising(depths.iter().sum(), self.settings.drop_path);
        let mut levels = Vec::new();
        for (level, depth) in depths.iter().enumerate() {
            let here = self.width(level);
            let before = if level == 0 { here } else { self.width(level - 1) };
            let mut down = None;
            if !self.is_paper && level > 0 {
                let spec = ConvSpec::new(before, here, 3).stride(2).bias(0.0);
                let name = format!("down.{level}");
                down = Some(ConvNormGelu::build(spec, self.parameters, &name, here)?);
            }
            let mut blocks = Vec::new();
            for number in 0..*depth {
                let path = paths.next().unwrap_or_default();
                let name = format!("enc.{level}.{number}");
                let from = if self.is_paper && number == 0 { before } else { here };
                blocks.push(match (self.is_paper, level) {
                    (true, 0 | 1) => {
                        let halves = number == 0;
                        let parameters = &mut *self.parameters;
                        Block::Mbconv(Mbconv::build(parameters, &name, (from, here), halves, path)?)
                    }
                    (false, 0) => self.residual(&name, here, path)?,
                    (false, 1) if number == 0 => self.residual(&name, here, path)?,
                    _ => self.attention(&name, (from, here), level, path)?,
                });
            }
            levels.push(Level { is_halving: self.is_paper || level > 0, down, blocks });
        }
        Ok(levels)
    }

    fn residual(&mut self, name: &str, channels: i64, path: f64) -> Result<Block, TchError> {
        Ok(Block::Residual(PreActivation::build(self.parameters, name, channels, path)?))
    }

    fn attention(
        &mut self,
        name: &str,
        (from, to): (i64, i64),
        level: usize,
        drop_path: f64,
    ) -> Result<Block, TchError> {
        let side = self.side(level);
        let reach = if self.is_paper { Reach::Map { side } } else { Reach::All };
        let heads = to / self.settings.head_width;
        let dropout = self.settings.dropout;
        let spec = TransformerSpec { from, to, heads, reach, dropout, drop_path };
        Ok(Block::Attention(Transformer::build(spec, self.parameters, name)?))
    }

    /// Each with the channels of its skip connection, the first of which comes from the stem.
    fn rises_of_paper(&mut self) -> Result<Vec<Rise>, TchError> {
        let mut rises = Vec::new();
        for level in 0..self.settings.depths.len() {
            let below = self.width(level);
            let here = if level == 0 { below } else { self.width(level - 1) };
            let grow =
                UpSpec::new(below, here, 2).build(self.parameters, &format!("up.{level}"))?;
            let mut blocks = Vec::new();
            for number in 0..self.settings.decoder_depth {
                let from = if number == 0 { 2 * here } else { here };
                let (spec, name) = (ConvSpec::new(from, here, 3), format!("dec.{level}.{number}"));
                blocks.push(Block::Plain(ConvNormGelu::build(spec, self.parameters, &name, here)?));
            }
            rises.push(Rise { grow: Grow::Transposed(grow), reduce: None, blocks, norm: None });
        }
        Ok(rises)
    }

    /// Attention at the deepest level, convolution at the finest, both between them.
    ///
    /// The layout of the earlier system is known but for its details. Transposed convolution at the
    /// deepest step, repeated pixels with 3×3 convolutions at the others and a normalisation after the
    /// first attention give its number of parameters; some other choices do so too.
    fn rises_of_earlier(&mut self) -> Result<Vec<Rise>, TchError> {
        let mut rises = Vec::new();
        let (last, depth) = (self.settings.depths.len() - 2, self.settings.decoder_depth);
        for level in 0..=last {
            let (here, below) = (self.width(level), self.width(level + 1));
            let name = format!("up.{level}");
            let grow = if level == last {
                Grow::Transposed(UpSpec::new(below, here, 2).build(self.parameters, &name)?)
            } else {
                let conv = ConvSpec::new(below, here, 3).bias(0.0);
                Grow::Repeated(conv.build(self.parameters, &name)?)
            };
            let name = format!("dec.{level}");
            let reduce = ConvSpec::new(2 * here, here, 1).bias(0.0);
            let reduce = Some(reduce.build(self.parameters, &format!("{name}.reduce"))?);
            let mut blocks = Vec::new();
            for number in 0..depth {
                let name = format!("{name}.{number}");
                let is_attention = level == last || (level > 0 && number + 1 < depth);
                blocks.push(if is_attention {
                    self.attention(&name, (here, here), level, 0.0)?
                } else {
                    self.residual(&name, here, 0.0)?
                });
            }
            let mut norm = None;
            if level == last {
                norm = Some(LayerNorm::build(self.parameters, &format!("{name}.norm"), here)?);
            }
            rises.push(Rise { grow, reduce, blocks, norm });
        }
        Ok(rises)
    }
}

impl Network for CoatnetUnet {
    fn forward(&self, images: &Tensor, pass: Pass) -> Result<Tensor, TchError> {
        let mut x = self.stem.0.forward(&pad_to_multiple(images, self.stride)?, pass)?;
        if let Some(second) = &self.stem.1 {
            x = second.forward(&x)?;
        }
        let mut skips = Vec::new();
        for level in &self.levels {
            if level.is_halving {
                skips.push(x.shallow_clone());
            }
            if let Some(down) = &level.down {
                x = down.forward(&x, pass)?;
            }
            for block in &level.blocks {
                x = block.forward(&x, pass)?;
            }
        }
        if let Some(norm) = &self.norm {
            x = norm.over_channels(&x)?;
        }
        for rise in self.up.iter().rev() {
            let Some(skip) = skips.pop() else { break };
            x = Tensor::f_cat(&[skip, rise.grow.forward(&x)?], 1)?;
            if let Some(reduce) = &rise.reduce {
                x = reduce.forward(&x)?;
            }
            for block in &rise.blocks {
                x = block.forward(&x, pass)?;
            }
            if let Some(norm) = &rise.norm {
                x = norm.over_channels(&x)?;
            }
        }
        let (grow, norm, out) = &self.head;
        let x = norm.forward(&grow.forward(&x)?, pass)?.f_gelu("none")?;
        crop(&out.forward(&x)?, images)
    }

    fn stride(&self) -> i64 {
        self.stride
    }

    /// In `paper` the deepest places are normalised by themselves.
    fn least_patch(&self) -> i64 {
        32
    }

    fn values_per_pixel(&self) -> u64 {
        self.values
    }

    fn largest_piece(&self) -> Option<i64> {
        Some(self.largest_piece)
    }
}

/// Values a channel that are kept: a transformer block 24, an `MBConv` 32 (its expansion at four times as
/// many places where it halves the map, and as much again for gradients), a residual block 7, a plain
/// convolution 3. Where there is a bias, so are the scores of each head, and some more while one block is
/// at work.
fn values_per_pixel(settings: &setting::CoatnetUnet, is_paper: bool, edge: i64) -> u64 {
    let (embed, decoder) = (settings.embed, settings.decoder_depth);
    // Stem and head.
    let mut values = embed + 2 * embed;
    for (level, depth) in settings.depths.iter().enumerate() {
        let channels = embed << level;
        let shrink = level + if is_paper { 2 } else { 1 };
        let places = (edge >> shrink) * (edge >> shrink);
        let scores = channels / settings.head_width * places;
        let encoder = match (is_paper, level) {
            (true, 0 | 1) => (32 * depth + 80) * channels,
            (true, _) => 24 * depth * channels + (depth + 3) * scores,
            (false, 0) => 7 * depth * channels,
            (false, _) => 24 * depth * channels,
        };
        values += encoder / (1 << (2 * shrink));
        // The way up, joined with the skip connection: in `paper` at what comes into the level.
        values += if is_paper {
            let channels = embed << level.saturating_sub(1);
            (6 + 3 * decoder) * channels / (1 << (2 * (shrink - 1)))
        } else {
            (6 + 24 * decoder) * channels / (1 << (2 * shrink))
        };
    }
    values.unsigned_abs()
}
