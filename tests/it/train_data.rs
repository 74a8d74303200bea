//! The annex on real files: pairing, faults of data folders, stacks, colours.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "helpers of tests fail like tests, and damage files on purpose"
)]

use std::collections::BTreeSet;
use std::io::Cursor as Buffer;
use std::path::Path;

use image::{GrayImage, ImageFormat, Luma, RgbImage};
use regatta::train::NetLearner;
use regatta::train::data::{self, DataSet, Part};
use serde_json::{Value, json};
use tempfile::TempDir;
use tiff::encoder::{TiffEncoder, colortype};

use regatta::worker::learner::{Learner, LearnerError};

use crate::train::{drawn, predicted, settings};

/// What is said about a data set after `change`.
fn complaint(change: impl FnOnce(&Path)) -> String {
    let folder = drawn();
    change(folder.path());
    let settings = settings(folder.path(), |_| {});
    let error = NetLearner::build(&settings, 1, 1).map(drop).expect_err("a complaint");
    let LearnerError::Data { path, what, hint } = error else { panic!("{error}") };
    let path = path.strip_prefix(folder.path()).expect("inside").display().to_string();
    let hint = hint.unwrap_or_default().replace(&folder.path().display().to_string(), "DIR");
    format!("{path}: {what} | {hint}")
}

fn remove(path: &Path) {
    std::fs::remove_file(path).expect("removed");
}

#[test]
fn masks_may_have_a_suffix_and_lie_beside_their_images() {
    let folder = drawn();
    let given = |masks: &str, suffix: &str| {
        let (masks, suffix) = (masks.to_owned(), suffix.to_owned());
        settings(folder.path(), |given| {
            given["data"]["masks"] = json!(masks);
            given["data"]["mask_suffix"] = json!(suffix);
        })
    };
    let find = |masks: &str, suffix: &str| {
        data::find(given(masks, suffix).data.as_ref().expect("data"))
            .map_err(|error| error.to_string())
    };
    let pairs = |masks: &str, suffix: &str| -> Vec<(String, String)> {
        let name =
            |path: &Path| path.strip_prefix(folder.path()).expect("inside").display().to_string();
        let entries = find(masks, suffix).expect("pairs");
        entries
            .iter()
            .map(|one| (one.name.clone(), name(&one.mask.as_ref().expect("mask").path)))
            .collect()
    };
    let plain = pairs("masks", "");
    assert_eq!(plain[2], ("slice_002".to_owned(), "masks/slice_002.png".to_owned()));
    for (name, _) in &plain {
        let path = |end: &str| folder.path().join(format!("masks/{name}{end}.png"));
        std::fs::rename(path(""), path("_seg")).expect("renamed");
    }
    assert_eq!(pairs("masks", "_seg")[2].1, "masks/slice_002_seg.png");
    assert_eq!(pairs("masks", "_seg").len(), plain.len());
    let wrong = find("masks", "_mask").expect_err("another suffix");
    assert!(wrong.contains("its name does not end in `_mask`"), "{wrong}");
    let wrong = find("masks", "").expect_err("no suffix");
    assert!(wrong.contains("no image has this name"), "{wrong}");
    for (name, _) in &plain {
        let end = format!("{name}_seg.png");
        std::fs::rename(
            folder.path().join("masks").join(&end),
            folder.path().join("images").join(&end),
        )
        .expect("moved");
    }
    // Where images are to be segmented, masks are none.
    let names = |suffix: &str| -> Vec<String> {
        let loose = data::loose(&[folder.path().join("images")], suffix).expect("images");
        loose.into_iter().map(|one| one.name).collect()
    };
    assert_eq!(names("_seg"), plain.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
    assert_eq!(names("").len(), 2 * plain.len());
    let together = pairs("images", "_seg");
    assert_eq!(together[2], ("slice_002".to_owned(), "images/slice_002_seg.png".to_owned()));
    assert_eq!(together.len(), plain.len());
    let wrong = find("images", "").expect_err("images as their own masks");
    assert!(wrong.contains("images and masks lie in one folder"), "{wrong}");
}

#[test]
fn every_fault_of_a_data_folder_is_named_with_what_to_do() {
    let grey = |value: u8, size: u32, path: &Path| {
        GrayImage::from_pixel(size, size, Luma([value])).save(path).expect("saved");
    };
    let all = [
        complaint(|at| remove(&at.join("masks/slice_002.png"))),
        complaint(|at| std::fs::remove_dir_all(at.join("masks")).expect("removed")),
        complaint(|at| remove(&at.join("images/slice_002.png"))),
        complaint(|at| std::fs::remove_dir_all(at.join("images")).expect("removed")),
        complaint(|at| {
            for file in std::fs::read_dir(at.join("images")).expect("folder") {
                remove(&file.expect("file").path());
            }
        }),
        complaint(|at| std::fs::remove_dir_all(at).expect("removed")),
        complaint(|at| grey(255, 40, &at.join("masks/slice_001.png"))),
        complaint(|at| grey(7, 80, &at.join("masks/slice_001.png"))),
        complaint(|at| std::fs::write(at.join("images/slice_000.png"), "no").expect("written")),
        complaint(|at| {
            std::fs::copy(at.join("images/slice_000.png"), at.join("images/slice_000.tif"))
                .map(drop)
                .expect("copied");
        }),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn pairs_are_made_by_name_whatever_lies_beside_them() {
    let folder = drawn();
    for (from, to) in [("slice_000", "slice_10"), ("slice_001", "slice_9")] {
        for part in ["images", "masks"] {
            let at = folder.path().join(part);
            std::fs::rename(at.join(format!("{from}.png")), at.join(format!("{to}.png")))
                .expect("renamed");
        }
    }
    std::fs::write(folder.path().join("images/.DS_Store"), "x").expect("written");
    std::fs::write(folder.path().join("images/notes.txt"), "x").expect("written");
    let settings = settings(folder.path(), |_| {});
    let entries = data::paired(settings.data.as_ref().expect("data")).expect("pairs");
    let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["slice_002", "slice_003", "slice_004", "slice_9", "slice_10"]);
    for entry in &entries {
        let mask = entry.mask.as_ref().expect("mask");
        assert_eq!(mask.path.file_name(), entry.image.path.file_name());
    }
}

#[test]
fn test_files_are_never_read_by_training() {
    let folder = drawn();
    std::fs::write(folder.path().join("split.csv"), "name,split\nslice_004,test\n").expect("csv");
    std::fs::write(folder.path().join("images/slice_004.png"), "not even an image").expect("png");
    for split in [json!("file"), json!({ "by": "blocks" }), json!("leaky_random_patches")] {
        let settings = settings(folder.path(), |given| given["data"]["split"] = split);
        let data = DataSet::open(settings.data.as_ref().expect("data"), 1).expect("data");
        let names: BTreeSet<_> = data.slices.iter().map(|slice| slice.name.as_str()).collect();
        assert!(names.len() == 4 && !names.contains("slice_004"));
    }
}

#[test]
fn the_fingerprint_follows_contents_and_split() {
    let folder = drawn();
    let fingerprint = |change: fn(&mut Value)| {
        let settings = settings(folder.path(), change);
        NetLearner::build(&settings, 1, 1).expect("built").describe().data.expect("data").sha256
    };
    let before = fingerprint(|_| {});
    assert_eq!(fingerprint(|given| given["batch_size"] = json!(2)), before);
    assert_ne!(fingerprint(|given| given["data"]["val_fraction"] = json!(0.4)), before);
    let (from, to) = ("masks/slice_000.png", "masks/slice_001.png");
    std::fs::copy(folder.path().join(from), folder.path().join(to)).expect("copied");
    assert_ne!(fingerprint(|_| {}), before);
}

/// Writes a stack of pages, all pixels of page p equal to `value(p)`.
fn stack<C>(path: &Path, pages: u16, value: impl Fn(u16) -> C::Inner)
where
    C: colortype::ColorType,
    [C::Inner]: tiff::encoder::TiffValue,
    C::Inner: Clone,
{
    let mut bytes = Buffer::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).expect("encoder");
    for page in 0..pages {
        encoder.write_image::<C>(6, 4, &vec![value(page); 24]).expect("page");
    }
    std::fs::write(path, bytes.get_ref()).expect("written");
}

#[test]
fn the_pages_of_a_stack_are_slices() {
    let folder = TempDir::new().expect("folder");
    for part in ["images", "masks"] {
        std::fs::create_dir(folder.path().join(part)).expect("folder");
    }
    let images = folder.path().join("images/stack.tif");
    stack::<colortype::Gray16>(&images, 12, |page| 1000 * page);
    let masks = folder.path().join("masks/stack.tiff");
    stack::<colortype::Gray8>(&masks, 12, |page| u8::from(page % 2 == 1));
    let settings = settings(folder.path(), |_| {});
    let data = DataSet::open(settings.data.as_ref().expect("data"), 1).expect("data");
    assert_eq!((data.train.len(), data.val.len(), data.slices.len()), (10, 2, 12));
    for (page, slice) in data.slices.iter().enumerate() {
        assert_eq!(slice.name, format!("stack#{page}"));
        assert_eq!((slice.picture.width, slice.picture.height), (6, 4));
        let value = slice.picture.value(3, 5, 0, 1) * 65_535.0;
        assert!((value - 1000.0 * f32::from(u16::try_from(page).expect("small"))).abs() < 0.01);
        let foreground = slice.mask.as_ref().expect("mask").foreground();
        assert_eq!(foreground, if page % 2 == 1 { 24 } else { 0 });
    }
    let state = NetLearner::build(&settings, 1, 1).expect("built").state().expect("state");
    let (out, _) = predicted(&settings, &state, Part::Val);
    assert!(out.path().join("stack_0011.png").is_file());
    stack::<colortype::Gray8>(&masks, 11, |_| 255);
    let error = NetLearner::build(&settings, 1, 1).map(drop).expect_err("a complaint");
    assert!(error.to_string().contains("it has 11 pages, its image has 12"), "{error}");
}

#[test]
fn colours_become_grey_or_stay() {
    let folder = drawn();
    let path = folder.path().join("images/slice_000.png");
    RgbImage::from_pixel(80, 80, image::Rgb([255, 0, 51]))
        .save_with_format(&path, ImageFormat::Png)
        .expect("saved");
    let source = data::Source { path, page: 0 };
    let picture = source.read_picture().expect("picture");
    assert!((picture.value(0, 0, 0, 1) - (0.2126 + 0.2 * 0.0722)).abs() < 1e-5);
    let colours = [0, 1, 2].map(|channel| picture.value(0, 0, channel, 3));
    assert_eq!(colours, [1.0, 0.0, 0.2]);
}
