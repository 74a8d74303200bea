//! The table of all settings, a file a section.

mod augmentation;
mod data;
mod guards;
mod loss;
mod model;
mod optimizer;
mod schedule;

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
    /// What it is, with its paper.
    pub doc: &'static str,
    /// Its settings.
    pub fields: &'static [Field],
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
        Default::Int(1),
        "minibatches whose gradients are averaged for one optimizer update",
    )
    .neutral(),
];

/// All sections.
pub const SECTIONS: &[Section] = &[
    model::SECTION,
    data::SECTION,
    loss::SECTION,
    optimizer::SECTION,
    schedule::SECTION,
    augmentation::SECTION,
    guards::SECTION,
];

const fn field(name: &'static str, kind: Kind, default: Default, doc: &'static str) -> Field {
    Field { name, kind, default, doc, source: None, is_neutral: false }
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
