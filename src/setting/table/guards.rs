//! When to give up, and when to try again.

use super::{Section, above, field, from, int};
use crate::setting::field::{Default, Kind};

pub(super) const SECTION: Section = Section {
    name: "guards",
    doc: "when training ends early, and what is done when it goes wrong",
    example: "{ patience: 15, action: rollback }",
    fields: &[
        field(
            "max_loss",
            above(0.0, 1e300),
            Default::Float(1e6),
            "a training loss above this, or not a number, is divergence",
        ),
        field(
            "patience",
            int(1, 1_000_000),
            Default::Absent,
            "epochs without improvement after which training is complete; none: all epochs are done",
        )
        .source("Prechelt 1998")
        .neutral(),
        field(
            "metric",
            Kind::Metric,
            Default::Text("val/jaccard"),
            "what must improve: a loss falls, all others rise",
        )
        .neutral(),
        field("min_delta", from(0.0, 1e9), Default::Float(0.0), "least improvement that counts").neutral(),
        field(
            "restore_best",
            Kind::Bool,
            Default::Bool(true),
            "whether training that `patience` ended leaves the weights of the best epoch",
        )
        .neutral(),
        field(
            "collapse_epochs",
            int(0, 1_000_000),
            Default::Int(2),
            "epochs in a row of a collapsed network (nearly nothing found, or nearly all taken for \
             foreground, after it had learnt) that are divergence; 0: never",
        )
        .neutral(),
        field(
            "action",
            Kind::Word(&["stop", "rollback"]),
            Default::Text("stop"),
            "what is done at divergence and collapse; `rollback`: go on from the best checkpoint with a \
             smaller learning rate",
        )
        .neutral(),
        field("rollbacks", int(1, 1000), Default::Int(3), "times that a trial is rolled back at most").neutral(),
        field(
            "rollback_factor",
            above(0.0, 1.0),
            Default::Float(0.5),
            "what the learning rate is multiplied by at each rollback",
        )
        .neutral(),
    ],
    variants: &[],
    default_variant: None,
    images_only: false,
};
