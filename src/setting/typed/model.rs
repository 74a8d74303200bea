//! Networks.

use serde::{Deserialize, Serialize};

/// The network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Model {
    /// The torch-free learner.
    Toy(Toy),
    /// U-Net.
    Unet(UShape),
    /// U-Net with attention gates.
    AttentionUnet(UShape),
    /// U-Net of residual blocks with attention gates.
    AttentionResunet(UShape),
    /// U-Net of ConvNeXt blocks.
    ConvnextUnet(ConvnextUnet),
    /// U-Net of Swin Transformer blocks.
    SwinUnet(SwinUnet),
    /// U-Net of convolution and relative attention.
    CoatnetUnet(CoatnetUnet),
}

/// Whose layout a network has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// The blocks of the papers.
    Paper,
    /// That of the earlier system.
    Earlier,
}

/// Settings of the toy learner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toy {
    /// Optimizer updates in an epoch.
    pub steps_per_epoch: u64,
    /// Seconds of a step.
    pub step_seconds: f64,
    /// Seconds of an evaluation.
    pub eval_seconds: f64,
    /// Seconds of a checkpoint.
    pub save_seconds: f64,
    /// Step at which the loss becomes NaN.
    pub diverge_at: Option<u64>,
    /// Step from which on the full learning rate spoils the weights.
    pub collapse_at: Option<u64>,
    /// Step at which the learner fails.
    pub fail_at: Option<u64>,
    /// Any text.
    pub note: String,
}

/// Settings of the networks with the plain shape of the U-Net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UShape {
    /// Channels of the first level.
    pub base: i64,
    /// Times the image is halved.
    pub depth: i64,
    /// Channels of the input.
    pub channels: i64,
    /// Fraction of channels dropped at the bottom.
    pub dropout: f64,
    /// Whose layout.
    pub variant: Layout,
}

/// Settings of the U-Net of ConvNeXt blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvnextUnet {
    /// Channels of the first level.
    pub embed: i64,
    /// Blocks in each level.
    pub depths: Vec<i64>,
    /// Blocks in each level of the decoder.
    pub decoder_depth: i64,
    /// Channels of the input.
    pub channels: i64,
    /// Initial factor on each block's output; 0: none.
    pub layer_scale: f64,
    /// Probability with which a sample skips the last encoder block.
    pub drop_path: f64,
    /// Whose layout.
    pub variant: Layout,
}

/// Settings of the U-Net of Swin Transformer blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwinUnet {
    /// Channels of the first level.
    pub embed: i64,
    /// Blocks in each level.
    pub depths: Vec<i64>,
    /// Attention heads in each level.
    pub heads: Vec<i64>,
    /// Blocks in each level of the decoder.
    pub decoder_depth: i64,
    /// Edge of the attention windows, in tokens; none in the earlier system's layout.
    pub window: Option<i64>,
    /// Channels of the input.
    pub channels: i64,
    /// Probability with which a sample skips the last encoder block.
    pub drop_path: f64,
    /// Whose layout.
    pub variant: Layout,
}

/// Settings of the U-Net of convolution and relative attention.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoatnetUnet {
    /// Channels of the stem.
    pub embed: i64,
    /// Blocks in each level.
    pub depths: Vec<i64>,
    /// Channels of an attention head.
    pub head_width: i64,
    /// Blocks in each level of the decoder.
    pub decoder_depth: i64,
    /// Channels of the input.
    pub channels: i64,
    /// Fraction of values dropped after attention and in its perceptron.
    pub dropout: f64,
    /// Probability with which a sample skips the last encoder block.
    pub drop_path: f64,
    /// Whose layout.
    pub variant: Layout,
}

impl Model {
    /// Returns the channels of the input; none for the toy.
    #[must_use]
    pub fn channels(&self) -> Option<i64> {
        match self {
            Self::Toy(_) => None,
            Self::Unet(shape) | Self::AttentionUnet(shape) | Self::AttentionResunet(shape) => {
                Some(shape.channels)
            }
            Self::ConvnextUnet(net) => Some(net.channels),
            Self::SwinUnet(net) => Some(net.channels),
            Self::CoatnetUnet(net) => Some(net.channels),
        }
    }
}
