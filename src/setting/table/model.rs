//! Networks.

use super::{Section, Variant, field, from, int};
use crate::setting::field::{Default, Field, Kind};

const UNET_PAPER: &str = "Ronneberger et al. 2015";
const CONVNEXT_PAPER: &str = "Liu et al. 2022";
const SWIN_PAPER: &str = "Liu et al. 2021";
const COATNET_PAPER: &str = "Dai et al. 2021";

/// `paper`: the blocks of the papers; `earlier`: layout and size of the earlier system.
const VARIANT: Field = field(
    "variant",
    Kind::Word(&["paper", "earlier"]),
    Default::Text("paper"),
    "`paper`: the published blocks; `earlier`: the layout of the earlier system, for comparison",
)
.neutral();

const CHANNELS: Field = field(
    "channels",
    int(1, 3),
    Default::Int(1),
    "channels of the input: 1, or 3 copies or colours",
);

const BASE: Field = field(
    "base",
    int(1, 512),
    Default::Int(32),
    "channels of the first level; each level doubles them",
)
.source(UNET_PAPER);

const DEPTH: Field =
    field("depth", int(1, 6), Default::Int(4), "times the image is halved").source(UNET_PAPER);

const DROPOUT: Field = field(
    "dropout",
    from(0.0, 0.9),
    Default::Float(0.0),
    "fraction of channels dropped at the bottom",
)
.source("Tompson et al. 2015");

const U_SHAPE: &[Field] = &[BASE, DEPTH, CHANNELS, DROPOUT, VARIANT];

const EMBED: Field = field(
    "embed",
    int(4, 1024),
    Default::Int(96),
    "channels of the first level; each level doubles them",
);

const DEPTHS: Kind = Kind::Ints { min: 1, max: 64, least: 2, most: 5 };

const DROP_PATH: Field = field(
    "drop_path",
    from(0.0, 0.9),
    Default::Float(0.0),
    "probability with which a sample skips the last encoder block; it rises linearly from 0 at the first",
)
.source("Huang et al. 2016");

const DECODER_DEPTH: &str = "blocks in each level of the decoder";

pub(super) const SECTION: Section = Section {
    name: "model",
    doc: "the network",
    example: "{ name: unet, base: 16 }",
    fields: &[],
    variants: &[
        TOY,
        Variant {
            name: "unet",
            doc: "U-Net (Ronneberger et al. 2015) with batch normalisation",
            fields: U_SHAPE,
        },
        Variant {
            name: "attention_unet",
            doc: "U-Net whose skip connections pass additive attention gates (Oktay et al. 2018)",
            fields: U_SHAPE,
        },
        Variant {
            name: "attention_resunet",
            doc: "U-Net of residual blocks (He et al. 2016) with attention gates (Oktay et al. 2018)",
            fields: U_SHAPE,
        },
        Variant {
            name: "convnext_unet",
            doc: "U-Net of ConvNeXt blocks (Liu et al. 2022)",
            fields: &[
                EMBED.source(CONVNEXT_PAPER),
                field("depths", DEPTHS, Default::Ints(&[3, 3, 9, 3]), "blocks in each level")
                    .source(CONVNEXT_PAPER),
                field("decoder_depth", int(1, 16), Default::Int(3), DECODER_DEPTH),
                CHANNELS,
                field(
                    "layer_scale",
                    from(0.0, 1.0),
                    Default::Float(1e-6),
                    "initial factor on each block's output; 0: blocks have no such factor",
                )
                .source(CONVNEXT_PAPER),
                DROP_PATH,
                VARIANT,
            ],
        },
        Variant {
            name: "swin_unet",
            doc: "U-Net of Swin Transformer blocks (Liu et al. 2021; Cao et al. 2021)",
            fields: &[
                EMBED.source(SWIN_PAPER),
                field("depths", DEPTHS, Default::Ints(&[2, 2, 6, 2]), "blocks in each level")
                    .source(SWIN_PAPER),
                field(
                    "heads",
                    Kind::Ints { min: 1, max: 256, least: 2, most: 5 },
                    Default::Ints(&[3, 6, 12, 24]),
                    "attention heads in each level",
                )
                .source(SWIN_PAPER),
                field("decoder_depth", int(1, 16), Default::Int(2), DECODER_DEPTH),
                field(
                    "window",
                    int(2, 64),
                    Default::Absent,
                    "edge of the attention windows, in tokens of 4 × 4 pixels; `paper` only, where it is 8 by default",
                )
                .source(SWIN_PAPER),
                CHANNELS,
                DROP_PATH,
                VARIANT,
            ],
        },
        Variant {
            name: "coatnet_unet",
            doc: "U-Net of convolution (MBConv) below, relative attention above (Dai et al. 2021)",
            fields: &[
                field(
                    "embed",
                    int(4, 1024),
                    Default::Int(64),
                    "channels of the stem; the levels have 1, 2, 4 and 8 times as many",
                )
                .source(COATNET_PAPER),
                field(
                    "depths",
                    Kind::Ints { min: 1, max: 64, least: 4, most: 4 },
                    Default::Ints(&[2, 3, 4, 2]),
                    "blocks in each level",
                )
                .source(COATNET_PAPER),
                field("head_width", int(4, 256), Default::Int(32), "channels of an attention head")
                    .source(COATNET_PAPER),
                field("decoder_depth", int(1, 16), Default::Int(2), DECODER_DEPTH),
                CHANNELS,
                field(
                    "dropout",
                    from(0.0, 0.9),
                    Default::Float(0.0),
                    "fraction of values dropped after attention and in its perceptron",
                )
                .source("Srivastava et al. 2014"),
                DROP_PATH,
                VARIANT,
            ],
        },
    ],
    default_variant: None,
    images_only: false,
};

const TOY: Variant = Variant {
    name: "toy",
    doc: "a torch-free learner that fits a small polynomial; for trying a cluster",
    fields: &[
        field("steps_per_epoch", int(1, 1_000_000), Default::Int(10), "optimizer updates in an epoch"),
        field("step_seconds", from(0.0, 3600.0), Default::Float(0.0), "time that a step takes, in seconds"),
        field("eval_seconds", from(0.0, 3600.0), Default::Float(0.0), "time that an evaluation takes, in seconds"),
        field("save_seconds", from(0.0, 3600.0), Default::Float(0.0), "time that a checkpoint takes, in seconds"),
        field("diverge_at", int(1, 1_000_000_000), Default::Absent, "step at which the loss becomes NaN"),
        field(
            "collapse_at",
            int(1, 1_000_000_000),
            Default::Absent,
            "step from which on a learning rate of `optimizer.lr` makes the learner predict background only",
        )
        .neutral(),
        field("fail_at", int(1, 1_000_000_000), Default::Absent, "step at which the learner fails"),
        field("note", Kind::Text, Default::Text(""), "any text; part of the trial's identity"),
    ],
};
