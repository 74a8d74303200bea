//! The shape of the U-Net (Ronneberger, Fischer and Brox 2015): down through levels that halve the
//! image, up again, and a connection at each level from one side to the other.
//!
//! The layout `paper` goes up by transposed 2×2 convolutions. The layout `earlier` repeats the earlier
//! system: pixels are repeated on the way up, so that the blocks there take three halves of the
//! channels, convolutions have biases although a normalisation follows, and so does one after the
//! last convolution.

use tch::{TchError, Tensor};

use super::gate::Gate;
use super::{
    BatchNorm, Conv, ConvSpec, DoubleConv, RARE, Residual, UpConv, UpSpec, crop, drop_channels,
    nearest_up, pad_to_multiple,
};
use crate::setting::{self, Layout};
use crate::train::model::{Network, Parameters, Pass};

/// What distinguishes the networks of this shape.
#[derive(Clone, Copy, Debug)]
pub(in crate::train::model) struct Plan {
    /// Blocks are residual.
    pub(in crate::train::model) residual: bool,
    /// Skip connections pass attention gates. In the layout `paper` the finest does not: its features
    /// do not yet say what is where (Oktay et al. 2018).
    pub(in crate::train::model) gated: bool,
}

/// The network. Level `i` works on `base · 2^i` channels at `1 / 2^i` of the size.
#[derive(Debug)]
pub(in crate::train::model) struct UShape {
    /// Levels on the way down, the finest first: `enc.<i>`.
    down: Vec<Block>,
    bottom: Block,
    /// Levels on the way up, the finest first.
    up: Vec<Rise>,
    head: Conv,
    head_norm: Option<BatchNorm>,
    dropout: f64,
    values_per_pixel: u64,
}

#[derive(Debug)]
enum Block {
    Plain(DoubleConv),
    Residual(Residual),
}

/// A level on the way up: `up.<i>`, `gate.<i>`, `dec.<i>`.
#[derive(Debug)]
struct Rise {
    /// None repeats pixels.
    grow: Option<UpConv>,
    gate: Option<Gate>,
    merge: Block,
}

impl UShape {
    /// Builds the network and adds its parameters to `parameters`.
    pub(in crate::train::model) fn build(
        settings: &setting::UShape,
        plan: Plan,
        parameters: &mut Parameters,
    ) -> Result<Self, TchError> {
        let paper = settings.variant == Layout::Paper;
        let width = |level: i64| settings.base << level;
        let block = |parameters: &mut Parameters, name: &str, from, to| {
            Ok::<_, TchError>(if plan.residual {
                Block::Residual(Residual::build(parameters, name, from, to, settings.variant)?)
            } else {
                Block::Plain(DoubleConv::build(parameters, name, from, to, !paper)?)
            })
        };
        let mut down = Vec::new();
        let mut from = settings.channels;
        for level in 0..settings.depth {
            down.push(block(parameters, &format!("enc.{level}"), from, width(level))?);
            from = width(level);
        }
        let bottom = block(parameters, "bottom", from, width(settings.depth))?;
        let mut up = Vec::new();
        for level in 0..settings.depth {
            let (here, below) = (width(level), width(level + 1));
            let name = |part: &str| format!("{part}.{level}");
            let grow = paper.then(|| UpSpec::new(below, here, 2).build(parameters, &name("up")));
            let grow = grow.transpose()?;
            let gated = plan.gated && (!paper || level > 0 || settings.depth == 1);
            let variant = settings.variant;
            let gate = gated.then(|| Gate::build(parameters, &name("gate"), here, below, variant));
            let gate = gate.transpose()?;
            let risen = if paper { here } else { below };
            let merge = block(parameters, &name("dec"), here + risen, here)?;
            up.push(Rise { grow, gate, merge });
        }
        let head = ConvSpec::new(width(0), 1, 1);
        let (head, head_norm) = if paper {
            (head.bias(RARE).build(parameters, "head")?, None)
        } else {
            let head = head.bias(0.0).build(parameters, "head")?;
            (head, Some(BatchNorm::around(parameters, "head_bn", 1, RARE)?))
        };
        let values_per_pixel = values_per_pixel(settings, plan);
        let dropout = settings.dropout;
        Ok(Self { down, bottom, up, head, head_norm, dropout, values_per_pixel })
    }
}

impl Network for UShape {
    fn forward(&self, images: &Tensor, pass: Pass) -> Result<Tensor, TchError> {
        let mut x = pad_to_multiple(images, self.stride())?;
        let mut skips = Vec::new();
        for level in &self.down {
            let features = level.forward(&x, pass)?;
            x = features.f_max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)?;
            skips.push(features);
        }
        x = self.bottom.forward(&x, pass)?;
        x = drop_channels(&x, self.dropout, "bottom", pass)?;
        for Rise { grow, gate, merge } in self.up.iter().rev() {
            let Some(mut skip) = skips.pop() else { break };
            if let Some(gate) = gate {
                skip = gate.forward(&skip, &x, pass)?;
            }
            let risen = match grow {
                Some(grow) => grow.forward(&x)?,
                None => nearest_up(&x)?,
            };
            x = merge.forward(&Tensor::f_cat(&[skip, risen], 1)?, pass)?;
        }
        x = self.head.forward(&x)?;
        if let Some(norm) = &self.head_norm {
            x = norm.forward(&x, pass)?;
        }
        crop(&x, images)
    }

    fn stride(&self) -> i64 {
        1 << self.down.len()
    }

    fn values_per_pixel(&self) -> u64 {
        self.values_per_pixel
    }

    /// Two 3×3 convolutions at each level on each side and at the bottom reach two places of that level.
    /// A gate looks one place of the level below further, by interpolation or by its 3×3 convolution.
    /// Where a pixel lies within a place of the bottom adds up to one less than the stride.
    fn receptive_radius(&self) -> Option<i64> {
        let deepest = self.stride();
        let blocks: i64 = (0..self.down.len()).map(|level| 4 << level).sum();
        let gates = self.up.iter().enumerate().filter(|(_, rise)| rise.gate.is_some());
        let gates: i64 = gates.map(|(level, _)| 2 << level).sum();
        Some(blocks + 2 * deepest + gates + deepest - 1)
    }
}

impl Block {
    fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor, TchError> {
        match self {
            Self::Plain(block) => block.forward(x, pass),
            Self::Residual(block) => block.forward(x, pass),
        }
    }
}

/// Level `i` keeps, on a quarter^i of the pixels, four tensors on the way down and seven on the way up
/// of base · 2^i channels: 22 · base, and some more for other layouts; a quarter on top for gradients.
/// On the CPU peaks are a fifth to a third lower (4 images of 512 × 512 at base 16).
fn values_per_pixel(settings: &setting::UShape, plan: Plan) -> u64 {
    let earlier = settings.variant == Layout::Earlier;
    let repeated = if earlier { 2 } else { 0 };
    let residual = if plan.residual { 4 } else { 0 };
    let gates = match (plan.gated, earlier) {
        (false, _) => 0,
        (true, false) => 2,
        (true, true) => 6,
    };
    5 * settings.base.unsigned_abs() * (22 + repeated + residual + gates) / 4
}
