//! Random changes to training patches.

use super::{Section, field, from};
use crate::setting::field::{Default, Kind};

pub(super) const SECTION: Section = Section {
    name: "augmentation",
    doc: "random changes to training patches, functions of (seed, epoch, sample): scale, elastic, rotations and \
          flips, blur, contrast, brightness, gamma, noise, in this order",
    example: "{ flips: true, rotations: true, brightness: 0.1 }",
    fields: &[
        field("flips", Kind::Bool, Default::Bool(true), "mirror, each way with probability one half"),
        field("rotations", Kind::Bool, Default::Bool(true), "turn by a random multiple of 90 degrees"),
        field(
            "scale",
            from(0.0, 3.0),
            Default::Float(0.0),
            "cut and resize: magnification from 1 / (1 + scale) to 1 + scale, evenly in its logarithm",
        )
        .neutral(),
        field(
            "elastic",
            from(0.0, 100.0),
            Default::Float(0.0),
            "standard deviation of a smooth random displacement, in pixels",
        )
        .source("Simard et al. 2003")
        .neutral(),
        field(
            "elastic_sigma",
            from(1.0, 1000.0),
            Default::Float(16.0),
            "smoothness of that displacement: standard deviation of its Gaussian filter, in pixels",
        )
        .source("Simard et al. 2003")
        .neutral(),
        field(
            "brightness",
            from(0.0, 1.0),
            Default::Float(0.0),
            "largest value that is added or taken away, as a fraction of the full range",
        )
        .neutral(),
        field(
            "contrast",
            from(0.0, 1.0),
            Default::Float(0.0),
            "distance from the patch's mean times 1 - contrast to 1 + contrast",
        )
        .neutral(),
        field(
            "gamma",
            from(0.0, 3.0),
            Default::Float(0.0),
            "exponent from 1 / (1 + gamma) to 1 + gamma, evenly in its logarithm",
        )
        .neutral(),
        field(
            "noise",
            from(0.0, 1.0),
            Default::Float(0.0),
            "largest standard deviation of added Gaussian noise, as a fraction of the full range",
        )
        .neutral(),
        field(
            "blur",
            from(0.0, 20.0),
            Default::Float(0.0),
            "largest standard deviation of a Gaussian blur, in pixels",
        )
        .neutral(),
    ],
    variants: &[],
    default_variant: None,
    images_only: true,
};
