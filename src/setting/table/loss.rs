//! The training loss.

use super::{Section, above, field, from};
use crate::setting::field::{Default, Field};

const LIN: &str = "Lin et al. 2017";
const TVERSKY: &str = "Salehi et al. 2017";
const FOCAL_TVERSKY: &str = "Abraham and Khan 2019";

const fn weight(name: &'static str, default: f64, doc: &'static str) -> Field {
    field(name, from(0.0, 1000.0), Default::Float(default), doc)
}

pub(super) const SECTION: Section = Section {
    name: "loss",
    doc: "weights of the parts of the training loss, computed on logits; where one is given, those \
          that are not are 0",
    example: "{ bce: 0.5, dice: 0.5 }",
    fields: &[
        weight("bce", 0.5, "weight of binary cross-entropy"),
        weight("dice", 0.5, "weight of the soft Dice loss").source("Milletari et al. 2016"),
        weight("focal", 0.0, "weight of the focal loss").source(LIN).neutral(),
        weight("tversky", 0.0, "weight of the Tversky loss").source(TVERSKY).neutral(),
        weight("focal_tversky", 0.0, "weight of the focal Tversky loss").source(FOCAL_TVERSKY).neutral(),
        field(
            "focal_gamma",
            from(0.0, 10.0),
            Default::Float(2.0),
            "exponent of the focal loss; 0: cross-entropy",
        )
        .source(LIN)
        .neutral(),
        field(
            "focal_alpha",
            above(0.0, 0.999_999),
            Default::Absent,
            "weight of foreground pixels in the focal loss, background has 1 less that; none: both have 1",
        )
        .source(LIN)
        .neutral(),
        field(
            "tversky_alpha",
            from(0.0, 10.0),
            Default::Float(0.3),
            "weight of false positives in the Tversky index",
        )
        .source(TVERSKY)
        .neutral(),
        field(
            "tversky_beta",
            from(0.0, 10.0),
            Default::Float(0.7),
            "weight of false negatives in the Tversky index",
        )
        .source(TVERSKY)
        .neutral(),
        field(
            "focal_tversky_gamma",
            above(0.0, 10.0),
            Default::Float(4.0 / 3.0),
            "gamma of the focal Tversky loss (1 - index)^(1 / gamma)",
        )
        .source(FOCAL_TVERSKY)
        .neutral(),
    ],
    variants: &[],
    default_variant: None,
    images_only: true,
};
