//! U-Net of Swin Transformer blocks.
//!
//! `paper`: encoder of Liu et al. 2021 (windows, shifted in every other block; relative position bias;
//! patch merging), decoder of Cao et al. 2021 (patch expanding, skip connections, the same blocks).
//! `earlier`: blocks that attend to the whole map and know no positions, strided convolutions between
//! the levels, transposed ones on the way up.

use tch::{TchError, Tensor};

use crate::setting;
use crate::setting::Layout;

use super::block::{
    Conv, ConvSpec, Expand, LayerNorm, Linear, Merge, RARE, Reach, Transformer, TransformerSpec,
    UpConv, UpSpec, crop, pad_to_multiple, rising,
};
use super::parameters::Init;
use super::{Network, Parameters, Pass};

/// Edge of the patches that become the tokens of the first level.
const PATCH: i64 = 4;

/// The network. Level `i` works on `embed · 2^i` channels at `1 / (4 · 2^i)` of the size.
#[derive(Debug)]
pub(super) struct SwinUnet {
    stem: Conv,
    stem_norm: LayerNorm,
    /// The finest first: `layers.<i>.blocks.<j>` and `layers.<i>.downsample`.
    down: Vec<(Vec<Transformer>, Option<Down>)>,
    /// After the deepest level, `norm`, and before the head, `norm_up`.
    norms: Option<(LayerNorm, LayerNorm)>,
    /// The finest first: `up.<i>`, `dec.<i>.reduce`, `dec.<i>.blocks.<j>`.
    up: Vec<(Up, Linear, Vec<Transformer>)>,
    head: (UpConv, Conv),
    largest_piece: Option<i64>,
    /// Side of the windows in tokens; 1 where there are none.
    window: i64,
    values: u64,
}

/// The way to the next level.
#[derive(Debug)]
enum Down {
    Merge(Merge),
    Conv(LayerNorm, Conv),
}

/// The way back.
#[derive(Debug)]
enum Up {
    Expand(Expand),
    Conv(UpConv),
}

impl SwinUnet {
    /// Builds the network for training on patches of `edge` pixels and adds its parameters to
    /// `parameters`.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub(super) fn build(
        settings: &setting::SwinUnet,
        edge: i64,
        parameters: &mut Parameters,
    ) -> Result<Self, TchError> {
        let is_paper = settings.variant == Layout::Paper;
        let width = |level: usize| settings.embed << level;
        let truncated = Init::Truncated;
        let block = |level: usize, number: i64, drop_path: f64| {
            let reach = match settings.window.filter(|_| is_paper) {
                Some(side) => Reach::Window { side, is_shifted: number % 2 == 1 },
                None => Reach::All,
            };
            let (from, heads) = (width(level), settings.heads[level]);
            TransformerSpec { from, to: from, heads, reach, dropout: 0.0, drop_path }
        };
        let stem = ConvSpec::new(settings.channels, width(0), PATCH).stride(PATCH);
        let stem = stem.bias(0.0).init(truncated).build(parameters, "patch_embed.proj")?;
        let stem_norm = LayerNorm::build(parameters, "patch_embed.norm", width(0))?;
        let mut down = Vec::new();
        let mut paths = rising(settings.depths.iter().sum(), settings.drop_path);
        let deepest = settings.depths.len() - 1;
        for (level, depth) in settings.depths.iter().enumerate() {
            let name = format!("layers.{level}");
            let mut blocks = Vec::new();
            for number in 0..*depth {
                let spec = block(level, number, paths.next().unwrap_or_default());
                let name = format!("{name}.blocks.{number}");
                blocks.push(Transformer::build(spec, parameters, &name)?);
            }
            let name = format!("{name}.downsample");
            let mut next = || Down::build(is_paper, parameters, &name, width(level));
            let next = (level < deepest).then(&mut next).transpose()?;
            down.push((blocks, next));
        }
        let mut norms = None;
        if is_paper {
            let deep = LayerNorm::build(parameters, "norm", width(deepest))?;
            norms = Some((deep, LayerNorm::build(parameters, "norm_up", width(0))?));
        }
        let mut up = Vec::new();
        for level in 0..deepest {
            let (here, below) = (width(level), width(level + 1));
            let grow = Up::build(is_paper, parameters, &format!("up.{level}"), below)?;
            let name = format!("dec.{level}");
            let reduce =
                Linear::build(parameters, &format!("{name}.reduce"), below, here, truncated)?;
            let blocks = (0..settings.decoder_depth).map(|number| {
                let name = format!("{name}.blocks.{number}");
                Transformer::build(block(level, number, 0.0), parameters, &name)
            });
            up.push((grow, reduce, blocks.collect::<Result<_, _>>()?));
        }
        let half = settings.embed / 2;
        let grow =
            UpSpec::new(width(0), half, PATCH).init(truncated).build(parameters, "head.expand")?;
        let out = ConvSpec::new(half, 1, 1).bias(RARE).build(parameters, "head.out")?;
        let largest_piece = (!is_paper).then_some(edge);
        let window = settings.window.filter(|_| is_paper).unwrap_or(1);
        let (values, head) = (values_per_pixel(settings), (grow, out));
        Ok(Self { stem, stem_norm, down, norms, up, head, largest_piece, window, values })
    }
}

impl Down {
    fn build(
        is_paper: bool,
        parameters: &mut Parameters,
        name: &str,
        from: i64,
    ) -> Result<Self, TchError> {
        if is_paper {
            return Ok(Self::Merge(Merge::build(parameters, name, from)?));
        }
        let conv = ConvSpec::new(from, 2 * from, 2).stride(2).bias(0.0).init(Init::Truncated);
        let conv = conv.build(parameters, &format!("{name}.reduction"))?;
        let norm = LayerNorm::build(parameters, &format!("{name}.norm"), from)?;
        Ok(Self::Conv(norm, conv))
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Merge(merge) => merge.forward(x),
            Self::Conv(norm, conv) => to_tokens(&conv.forward(&to_map(&norm.forward(x)?)?)?),
        }
    }
}

impl Up {
    fn build(
        is_paper: bool,
        parameters: &mut Parameters,
        name: &str,
        from: i64,
    ) -> Result<Self, TchError> {
        Ok(if is_paper {
            Self::Expand(Expand::build(parameters, name, from)?)
        } else {
            Self::Conv(
                UpSpec::new(from, from / 2, 2).init(Init::Truncated).build(parameters, name)?,
            )
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Expand(expand) => expand.forward(x),
            Self::Conv(conv) => to_tokens(&conv.forward(&to_map(x)?)?),
        }
    }
}

/// From `[n, channels, height, width]` to `[n, height, width, channels]`, without a copy where memory lies
/// channels last.
fn to_tokens(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_permute([0, 2, 3, 1])?.f_contiguous()
}

fn to_map(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_permute([0, 3, 1, 2])
}

impl Network for SwinUnet {
    fn forward(&self, images: &Tensor, pass: Pass) -> Result<Tensor, TchError> {
        let x = pad_to_multiple(images, self.stride())?;
        let mut x = self.stem_norm.forward(&to_tokens(&self.stem.forward(&x)?)?)?;
        let mut skips = Vec::new();
        for (blocks, next) in &self.down {
            for block in blocks {
                x = block.forward(&x, pass)?;
            }
            if let Some(next) = next {
                let deeper = next.forward(&x)?;
                skips.push(x);
                x = deeper;
            }
        }
        if let Some((deep, _)) = &self.norms {
            x = deep.forward(&x)?;
        }
        for (grow, reduce, blocks) in self.up.iter().rev() {
            let Some(skip) = skips.pop() else { break };
            x = reduce.forward(&Tensor::f_cat(&[skip, grow.forward(&x)?], 3)?)?;
            for block in blocks {
                x = block.forward(&x, pass)?;
            }
        }
        if let Some((_, last)) = &self.norms {
            x = last.forward(&x)?;
        }
        let (grow, out) = &self.head;
        crop(&out.forward(&grow.forward(&to_map(&x)?)?)?, images)
    }

    fn stride(&self) -> i64 {
        PATCH << (self.down.len() - 1)
    }

    /// Every place is normalised by itself.
    fn least_patch(&self) -> i64 {
        self.stride()
    }

    fn values_per_pixel(&self) -> u64 {
        self.values
    }

    fn largest_piece(&self) -> Option<i64> {
        self.largest_piece
    }

    /// Windows of the deepest level lie on windows.
    fn grid(&self) -> i64 {
        self.stride() * self.window
    }
}

/// A block keeps about 24 values a channel for its backward pass, and the scores of each head where they
/// carry a bias, once more while they are made. The head works at the full size.
fn values_per_pixel(settings: &setting::SwinUnet) -> u64 {
    let deepest = settings.depths.len() - 1;
    let mut values = 3 * settings.embed / 2;
    for (level, depth) in settings.depths.iter().enumerate() {
        let blocks = depth + if level < deepest { settings.decoder_depth } else { 0 };
        let scores = settings.window.map_or(0, |side| 2 * side * side * settings.heads[level]);
        let channels = settings.embed << level;
        values +=
            (blocks * (24 * channels + scores) + 6 * channels) / ((PATCH * PATCH) << (2 * level));
    }
    values.unsigned_abs()
}
