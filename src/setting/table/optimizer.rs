//! How weights are updated.

use super::{Section, Variant, above, field, from};
use crate::setting::field::{Default, Field, Kind};

const KINGMA: &str = "Kingma and Ba 2015";
const LOSHCHILOV: &str = "Loshchilov and Hutter 2019";

const fn rate(default: f64) -> Field {
    field("lr", above(0.0, 100.0), Default::Float(default), "learning rate")
}

const BETA1: Field =
    field("beta1", from(0.0, 0.999_999), Default::Float(0.9), "decay of the first moment")
        .source(KINGMA);
const BETA2: Field =
    field("beta2", from(0.0, 0.999_999_9), Default::Float(0.999), "decay of the second moment")
        .source(KINGMA);
const EPS: Field =
    field("eps", above(0.0, 1.0), Default::Float(1e-8), "added to the denominator").source(KINGMA);

/// Decay as a part of the gradient, as PyTorch has it for these optimizers.
const COUPLED: Field = field(
    "weight_decay",
    from(0.0, 10.0),
    Default::Float(0.0),
    "added to the gradient, times the parameter",
)
.source("PyTorch manual");

pub(super) const SECTION: Section = Section {
    name: "optimizer",
    doc: "how weights are updated",
    example: "{ name: adamw, lr: 1e-3 }",
    fields: &[
        field(
            "clip_norm",
            above(0.0, 1e9),
            Default::Absent,
            "largest Euclidean norm of all gradients together; above it they are scaled down",
        )
        .source("Pascanu et al. 2013")
        .neutral(),
        field(
            "l2_conv",
            from(0.0, 10.0),
            Default::Float(0.0),
            "penalty on the kernels of convolutions: this times the sum of their squares, in the gradient \
             and not in the reported loss",
        )
        .source("Keras manual, `L2`")
        .neutral(),
    ],
    variants: &[
        Variant {
            name: "adamw",
            doc: "AdamW (Loshchilov and Hutter 2019)",
            fields: &[
                rate(1e-3),
                field("weight_decay", from(0.0, 10.0), Default::Float(0.01), "decoupled weight decay")
                    .source(LOSHCHILOV),
                BETA1,
                BETA2,
                EPS,
            ],
        },
        Variant {
            name: "adam",
            doc: "Adam (Kingma and Ba 2015)",
            fields: &[rate(1e-3), COUPLED, BETA1, BETA2, EPS],
        },
        Variant {
            name: "sgd",
            doc: "stochastic gradient descent with momentum (Sutskever et al. 2013, as in PyTorch)",
            fields: &[
                rate(1e-2),
                field("momentum", from(0.0, 0.999_999), Default::Float(0.9), "decay of the velocity")
                    .source("Sutskever et al. 2013"),
                field("nesterov", Kind::Bool, Default::Bool(false), "look ahead along the velocity")
                    .source("Sutskever et al. 2013"),
                COUPLED,
            ],
        },
    ],
    default_variant: Some("adamw"),
    images_only: false,
};
