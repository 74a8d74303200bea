//! Images and masks.

use super::{Section, above, field, from, int};
use crate::setting::field::{Default, Kind};

pub(super) const SECTION: Section = Section {
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
        field("images", Kind::Text, Default::Text("images"), "folder of the images within `path`"),
        field(
            "masks",
            Kind::Text,
            Default::Text("masks"),
            "folder of the masks within `path`, same file names; foreground is 1 in masks of zeros and ones, otherwise \
             the upper half of the range (above 127 of 8 bits)",
        ),
        field(
            "mask_suffix",
            Kind::Text,
            Default::Absent,
            "what the name of a mask has behind that of its image, before the extension: `_seg` where `z1.png` has \
             the mask `z1_seg.png`; both may then lie in one folder",
        )
        .neutral(),
        field("patch", int(8, 8192), Default::Int(256), "edge of the square patches, in pixels"),
        field(
            "split",
            Kind::Split,
            Default::Text("file"),
            "what is validation data, pages of a stack being files: `file`, the last files in natural order; \
             `{ by: blocks, gap: N }`, the same with N unused files before them; `{ by: folds, folds: 5, fold: 0, gap: N }`, \
             one of as many blocks, with N unused files on either side; `stratified`, whole files, alike in the density \
             of their masks; `split.csv`, as that file says; `leaky_random_patches`, for comparison only. What a \
             `split.csv` marks `test` is never used",
        ),
        field(
            "val_fraction",
            above(0.0, 0.9),
            Default::Float(0.2),
            "fraction of the files for validation, where `split` does not say it (`split.csv`, `folds`)",
        ),
        field(
            "train_fraction",
            above(0.0, 1.0),
            Default::Float(1.0),
            "fraction of the training data that is learnt from, for a study of their amount: whole files (cells of \
             `leaky_random_patches`), at least one, spread evenly in natural order, those of a smaller fraction among \
             those of a larger one, whatever the seed; validation stays as it is",
        )
        .neutral(),
        field(
            "contrast_gain",
            above(0.0, 100.0),
            Default::Float(1.0),
            "contrast step: values in [0, 1] are multiplied by this, `contrast_offset` is added, and the \
             result is clipped to [0, 1]; for all images, those that are evaluated too",
        )
        .neutral(),
        field("contrast_offset", from(-100.0, 100.0), Default::Float(0.0), "see `contrast_gain`").neutral(),
        field(
            "foreground_crops",
            from(0.0, 1.0),
            Default::Float(0.0),
            "fraction of the random crops (`samples_per_epoch`) that hold a foreground pixel chosen at random",
        )
        .neutral(),
    ],
    variants: &[],
    default_variant: None,
    images_only: true,
};
