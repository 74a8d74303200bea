//! Layers that networks share.

mod attention;
mod conv;
mod convnext;
mod drop;
mod edge;
mod fold;
mod gate;
mod linear;
mod mbconv;
mod merge;
mod norm;
mod plain;
mod preact;
mod relative;
mod transformer;
mod ushape;
mod window;

pub(super) use attention::{Attention, Perceptron};
pub(super) use conv::{Conv, ConvSpec, UpConv, UpSpec, nearest_up};
pub(super) use convnext::ConvnextBlock;
pub(super) use drop::{drop_channels, drop_path, drop_values, rising};
pub(super) use edge::{crop, pad_to_multiple};
pub(super) use fold::normed;
pub(super) use linear::Linear;
pub(super) use mbconv::Mbconv;
pub(super) use merge::{Expand, Merge};
pub(super) use norm::{BatchNorm, LayerNorm};
pub(super) use plain::{DoubleConv, Residual};
pub(super) use preact::{ConvNormGelu, PreActivation};
pub(super) use relative::RelativeBias;
pub(super) use transformer::{Reach, Transformer, TransformerSpec};
pub(super) use ushape::{Plan, UShape};
pub(super) use window::Windows;

/// Logit of 0.1: where the last bias starts. Foreground is rare in most micrographs; a network that
/// starts at one half first spends its steps on learning that (Lin et al. 2017, section 3.3).
pub(super) const RARE: f64 = -2.197_224_577_336_219;
