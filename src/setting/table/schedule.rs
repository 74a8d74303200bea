//! The learning rate over time.

use super::{Section, Variant, above, field, from, int};
use crate::setting::field::{Default, Field, Kind};

const SGDR: &str = "Loshchilov and Hutter 2017";
const ONE_CYCLE: &str = "Smith and Topin 2018";
const PLATEAU: &str = "PyTorch manual, `ReduceLROnPlateau`";

const fn final_factor(default: f64) -> Field {
    field(
        "final_factor",
        from(0.0, 1.0),
        Default::Float(default),
        "last learning rate, as a fraction of `lr`",
    )
}

const WARMUP: Field =
    field("warmup_epochs", from(0.0, 100_000.0), Default::Float(0.0), "epochs of the rise");

pub(super) const SECTION: Section = Section {
    name: "schedule",
    doc: "learning rate as a function of the step; a trial has one, since two would overwrite each other",
    example: "{ name: warmup_cosine, warmup_epochs: 3 }",
    fields: &[],
    variants: &[
        Variant { name: "constant", doc: "the learning rate stays", fields: &[] },
        Variant {
            name: "warmup_cosine",
            doc: "linear rise from 0, then a cosine down (Loshchilov and Hutter 2017)",
            fields: &[WARMUP.source("Goyal et al. 2017"), final_factor(0.0).source(SGDR)],
        },
        Variant {
            name: "one_cycle",
            doc: "a rise to `lr` and a fall far below where it began, both along a cosine (Smith and Topin 2018)",
            fields: &[
                field(
                    "rise",
                    above(0.0, 0.999_999),
                    Default::Float(0.3),
                    "part of all steps that the rise takes",
                )
                .source(ONE_CYCLE),
                field(
                    "initial_factor",
                    above(0.0, 1.0),
                    Default::Float(0.04),
                    "first learning rate, as a fraction of `lr`",
                )
                .source("PyTorch manual, `OneCycleLR`: 1 / div_factor"),
                final_factor(4e-6)
                    .source("PyTorch manual, `OneCycleLR`: 1 / (div_factor × final_div_factor)"),
            ],
        },
        Variant {
            name: "polynomial",
            doc: "linear rise from 0, then a power of what is left down (Chen et al. 2018)",
            fields: &[
                field("power", above(0.0, 10.0), Default::Float(0.9), "the power; 1: a line")
                    .source("Chen et al. 2018"),
                WARMUP.source("Goyal et al. 2017"),
                final_factor(0.0),
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
                )
                .source(PLATEAU),
                field(
                    "factor",
                    above(0.0, 0.999_999),
                    Default::Float(0.1),
                    "what the learning rate is multiplied by",
                )
                .source(PLATEAU),
                field(
                    "patience",
                    int(0, 1_000_000),
                    Default::Int(10),
                    "epochs without improvement that are let pass",
                )
                .source(PLATEAU),
                field(
                    "threshold",
                    from(0.0, 1.0),
                    Default::Float(1e-4),
                    "least improvement that counts, as a fraction of the best value",
                )
                .source(PLATEAU),
                field(
                    "cooldown",
                    int(0, 1_000_000),
                    Default::Int(0),
                    "epochs after a fall in which nothing is counted",
                )
                .source(PLATEAU),
                field(
                    "min_factor",
                    from(0.0, 1.0),
                    Default::Float(0.0),
                    "smallest learning rate, as a fraction of `lr`",
                )
                .source(PLATEAU),
            ],
        },
    ],
    default_variant: Some("constant"),
    images_only: false,
};
