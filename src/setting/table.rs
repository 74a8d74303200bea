//! The table of all settings.

use super::field::{Bound, Default, Field, Kind};

/// A mapping of the sweep's `fixed:`, such as `model`.
#[derive(Debug)]
pub struct Section {
    /// Its key.
    pub name: &'static str,
    /// What it is about.
    pub doc: &'static str,
    /// What it may look like.
    pub example: &'static str,
    /// Settings that it has in every variant.
    pub fields: &'static [Field],
    /// Kinds, told apart by `name`; none: the section has no `name`.
    pub variants: &'static [Variant],
    /// The kind where no `name` is given; none: it must be given.
    pub default_variant: Option<&'static str>,
    /// Whether it only matters to learners that see images.
    pub images_only: bool,
}

/// One kind of a section.
#[derive(Debug)]
pub struct Variant {
    /// Its `name`.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// Its settings.
    pub fields: &'static [Field],
}

const fn field(name: &'static str, kind: Kind, default: Default, doc: &'static str) -> Field {
    Field { name, kind, default, doc }
}

const fn int(min: i64, max: i64) -> Kind {
    Kind::Int { min, max }
}

const fn from(min: f64, max: f64) -> Kind {
    Kind::Float { min, zero: Bound::Inclusive, max }
}

const fn above(min: f64, max: f64) -> Kind {
    Kind::Float { min, zero: Bound::Exclusive, max }
}

/// Settings outside any section.
pub const TOP: &[Field] = &[
    field("epochs", int(1, 1_000_000), Default::Int(30), "passes over the training data"),
    field("batch_size", int(1, 65_536), Default::Int(8), "patches in a minibatch"),
    field(
        "samples_per_epoch",
        int(1, 100_000_000),
        Default::Absent,
        "random crops in an epoch; without it an epoch is one pass over the grid of patches",
    ),
    field(
        "gradient_accumulation",
        int(1, 65_536),
        Default::Neutral(1),
        "minibatches whose gradients are averaged for one optimizer update",
    ),
];

/// All sections.
pub const SECTIONS: &[Section] = &[
    Section {
        name: "model",
        doc: "the network",
        example: "{ name: unet, base: 16 }",
        fields: &[],
        variants: &[
            Variant {
                name: "toy",
                doc: "a torch-free learner that fits a small polynomial; for trying a cluster",
                fields: &[
                    field(
                        "steps_per_epoch",
                        int(1, 1_000_000),
                        Default::Int(10),
                        "optimizer updates in an epoch",
                    ),
                    field(
                        "step_seconds",
                        from(0.0, 3600.0),
                        Default::Float(0.0),
                        "time that a step takes, in seconds",
                    ),
                    field(
                        "eval_seconds",
                        from(0.0, 3600.0),
                        Default::Float(0.0),
                        "time that an evaluation takes, in seconds",
                    ),
                    field(
                        "save_seconds",
                        from(0.0, 3600.0),
                        Default::Float(0.0),
                        "time that a checkpoint takes, in seconds",
                    ),
                    field(
                        "diverge_at",
                        int(1, 1_000_000_000),
                        Default::Absent,
                        "step at which the loss becomes NaN",
                    ),
                    field(
                        "fail_at",
                        int(1, 1_000_000_000),
                        Default::Absent,
                        "step at which the learner fails",
                    ),
                    field(
                        "note",
                        Kind::Text,
                        Default::Text(""),
                        "any text; part of the trial's identity",
                    ),
                ],
            },
            Variant {
                name: "unet",
                doc: "U-Net (Ronneberger et al. 2015) with batch normalisation",
                fields: &[
                    field(
                        "base",
                        int(1, 512),
                        Default::Int(32),
                        "channels of the first level; each level doubles them",
                    ),
                    field("depth", int(1, 6), Default::Int(4), "times the image is halved"),
                    field(
                        "channels",
                        int(1, 3),
                        Default::Int(1),
                        "channels of the input: 1, or 3 copies or colours",
                    ),
                    field(
                        "dropout",
                        from(0.0, 0.9),
                        Default::Float(0.0),
                        "fraction of channels dropped at the bottom",
                    ),
                ],
            },
        ],
        default_variant: None,
        images_only: false,
    },
    Section {
        name: "data",
        doc: "image and mask files, and how they are divided",
        example: "{ path: ../data/epfl-lucchi, patch: 256 }",
        fields: &[
            field(
                "name",
                Kind::Text,
                Default::FolderName,
                "identity of the data set; default: the folder's name",
            ),
            field(
                "path",
                Kind::Text,
                Default::Required,
                "folder that holds images and masks, relative to the sweep file",
            ),
            field(
                "images",
                Kind::Text,
                Default::Text("images"),
                "folder of the images within `path`",
            ),
            field(
                "masks",
                Kind::Text,
                Default::Text("masks"),
                "folder of the masks within `path`, same file names",
            ),
            field(
                "patch",
                int(8, 8192),
                Default::Int(256),
                "edge of the square patches, in pixels",
            ),
            field("split", Kind::Split, Default::Text("file"), "what is validation data"),
            field(
                "val_fraction",
                above(0.0, 0.9),
                Default::Float(0.2),
                "fraction of the files for validation, where `split` does not name them",
            ),
        ],
        variants: &[],
        default_variant: None,
        images_only: true,
    },
    Section {
        name: "loss",
        doc: "weights of the parts of the training loss, computed on logits",
        example: "{ bce: 0.5, dice: 0.5 }",
        fields: &[
            field("bce", from(0.0, 1000.0), Default::Float(0.5), "weight of binary cross-entropy"),
            field("dice", from(0.0, 1000.0), Default::Float(0.5), "weight of the soft Dice loss"),
        ],
        variants: &[],
        default_variant: None,
        images_only: true,
    },
    Section {
        name: "optimizer",
        doc: "how weights are updated",
        example: "{ name: adamw, lr: 1e-3 }",
        fields: &[],
        variants: &[Variant {
            name: "adamw",
            doc: "AdamW (Loshchilov and Hutter 2019)",
            fields: &[
                field("lr", above(0.0, 100.0), Default::Float(1e-3), "learning rate"),
                field(
                    "weight_decay",
                    from(0.0, 10.0),
                    Default::Float(0.01),
                    "decoupled weight decay",
                ),
                field(
                    "beta1",
                    from(0.0, 0.999_999),
                    Default::Float(0.9),
                    "decay of the first moment",
                ),
                field(
                    "beta2",
                    from(0.0, 0.999_999_9),
                    Default::Float(0.999),
                    "decay of the second moment",
                ),
                field("eps", above(0.0, 1.0), Default::Float(1e-8), "added to the denominator"),
            ],
        }],
        default_variant: Some("adamw"),
        images_only: false,
    },
    Section {
        name: "schedule",
        doc: "learning rate as a function of the step",
        example: "{ name: warmup_cosine, warmup_epochs: 3 }",
        fields: &[],
        variants: &[
            Variant { name: "constant", doc: "the learning rate stays", fields: &[] },
            Variant {
                name: "warmup_cosine",
                doc: "linear rise from 0, then a cosine down (Loshchilov and Hutter 2017)",
                fields: &[
                    field(
                        "warmup_epochs",
                        from(0.0, 100_000.0),
                        Default::Float(0.0),
                        "epochs of the rise",
                    ),
                    field(
                        "final_factor",
                        from(0.0, 1.0),
                        Default::Float(0.0),
                        "last learning rate, as a fraction of `lr`",
                    ),
                ],
            },
            Variant {
                name: "plateau",
                doc: "the learning rate falls when a metric stops improving (as PyTorch's ReduceLROnPlateau)",
                fields: &[
                    field(
                        "metric",
                        Kind::Metric,
                        Default::Text("val/loss"),
                        "what must improve: a loss falls, all others rise",
                    ),
                    field(
                        "factor",
                        above(0.0, 0.999_999),
                        Default::Float(0.1),
                        "what the learning rate is multiplied by",
                    ),
                    field(
                        "patience",
                        int(0, 1_000_000),
                        Default::Int(10),
                        "epochs without improvement that are let pass",
                    ),
                    field(
                        "threshold",
                        from(0.0, 1.0),
                        Default::Float(1e-4),
                        "least improvement that counts, as a fraction of the best value",
                    ),
                    field(
                        "cooldown",
                        int(0, 1_000_000),
                        Default::Int(0),
                        "epochs after a fall in which nothing is counted",
                    ),
                    field(
                        "min_factor",
                        from(0.0, 1.0),
                        Default::Float(0.0),
                        "smallest learning rate, as a fraction of `lr`",
                    ),
                ],
            },
        ],
        default_variant: Some("constant"),
        images_only: false,
    },
    Section {
        name: "augmentation",
        doc: "random changes to training patches",
        example: "{ flips: true, rotations: true }",
        fields: &[
            field(
                "flips",
                Kind::Bool,
                Default::Bool(true),
                "mirror, each way with probability one half",
            ),
            field(
                "rotations",
                Kind::Bool,
                Default::Bool(true),
                "turn by a random multiple of 90 degrees",
            ),
        ],
        variants: &[],
        default_variant: None,
        images_only: true,
    },
    Section {
        name: "guards",
        doc: "when to give up",
        example: "{ max_loss: 1000 }",
        fields: &[field(
            "max_loss",
            above(0.0, 1e300),
            Default::Float(1e6),
            "a training loss above this, or not a number, is divergence",
        )],
        variants: &[],
        default_variant: None,
        images_only: false,
    },
];
