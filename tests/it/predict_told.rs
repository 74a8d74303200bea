//! What predictions tell: thresholds, distance from training, evaluations, counted again in Python.

use std::path::{Path, PathBuf};

use regatta::metric::{Confusion, Threshold};
use regatta::train::data::Part;
use regatta::train::predict::{Far, Images, Output, Patient, Request, Showing, predict};
use regatta::worker::trained::Trained;
use serde_json::Value;
use tempfile::TempDir;
use tiff::encoder::{TiffEncoder, colortype};

use crate::predict::{Pair, bytes, out, pair, refused, val};
use crate::train::{drawn, request};

#[test]
fn a_threshold_is_chosen_on_validation_data_and_both_values_are_told() {
    let Pair { folder, members } = pair();
    for members in [&members[..1], &members[..]] {
        let chosen = val(members, |request| request.threshold = Threshold::Val).2;
        let on_val = chosen.threshold.val.clone().expect("counts");
        assert_eq!(chosen.pooled, Some(on_val.pooled), "the same pixels are counted");
        let usual = val(members, |_| {}).2;
        assert_eq!(usual.pooled, Some(on_val.pooled_at_half));
        assert!(on_val.jaccard >= on_val.jaccard_at_half, "{on_val:?}");
        let half = chosen.metrics_at_half.as_ref().and_then(|half| half.get("val/jaccard"));
        assert!(chosen.threshold.logit == 0.0 || half == usual.metrics.get("val/jaccard"));
        assert!(chosen.threshold.words.starts_with("chosen on the 2 validation images"));
        // Whatever is segmented, it is chosen on the same pixels.
        let elsewhere = val(members, |request| {
            request.threshold = Threshold::Val;
            request.images = Images::Files(vec![folder.path().join("images/slice_000.png")]);
        });
        assert_eq!(elsewhere.2.threshold, chosen.threshold);
    }
    // No threshold near the chosen one is better.
    let chosen = val(&members[..1], |request| request.threshold = Threshold::Val).2;
    let best = chosen.metrics.get("val/jaccard").expect("a value");
    for p in [0.1, 0.3, 0.45, 0.55, 0.7, 0.9] {
        let given = val(&members[..1], |request| request.threshold = Threshold::At(p)).2;
        let value = given.metrics.get("val/jaccard").expect("a value");
        assert!(value <= best + 1e-9, "{value} at {p}, {best} at {}", chosen.threshold.probability);
        assert_eq!(given.threshold.words, "given, not chosen");
    }
}

#[test]
fn a_threshold_is_not_chosen_on_other_data_or_on_splits_that_differ() {
    let Pair { members, .. } = pair();
    let mut other = members[1].clone();
    other.settings.data.as_mut().expect("data").val_fraction = 0.2;
    let data = other.settings.data.clone().expect("data");
    other.manifest.as_mut().expect("manifest").data =
        regatta::train::data::fingerprint_of(&data).ok();
    let mixed = [members[0].clone(), other];
    let ask = |members: &[Trained], images: Images| {
        refused(members, |request| {
            request.threshold = Threshold::Val;
            request.images = images;
        })
    };
    let files = || Images::Files(vec![PathBuf::from(&data.path).join("images/slice_000.png")]);
    let said = ask(&mixed, files());
    assert!(said.starts_with("the val files of trial bbbbbbbbbbbbbbbb are not those"), "{said}");
    let said = refused(&mixed, |_| {});
    assert!(said.contains("may have learnt from"), "--split val, too: {said}");
    // Another set of images in the place of the trial's own.
    let elsewhere = drawn();
    std::fs::write(elsewhere.path().join("split.csv"), "name,split\nslice_004,test\n")
        .expect("csv");
    let said = refused(&members[..1], |request| {
        request.threshold = Threshold::Val;
        request.images = Images::Part(Part::Test);
        request.data = Some(elsewhere.path().to_owned());
    });
    assert!(said.contains("are not those that trial aaaaaaaaaaaaaaaa was validated on"), "{said}");
    let mut unknown = members[0].clone();
    unknown.manifest.as_mut().expect("manifest").data = None;
    assert!(ask(&[unknown], files()).contains("no record of its data"));
}

/// The data may have moved since training; the threshold is chosen on them where they lie now, whatever is
/// segmented with it.
#[test]
fn a_threshold_is_chosen_on_data_that_have_moved() {
    let Pair { folder, members } = pair();
    let home = TempDir::new().expect("folder");
    let now = home.path().join("moved");
    copy_folder(folder.path(), &now);
    let file = now.join("images/slice_000.png");
    let ask = |members: &[Trained], place: Option<&Path>| {
        val(members, |request| {
            request.threshold = Threshold::Val;
            request.images = Images::Files(vec![file.clone()]);
            request.data = place.map(Path::to_owned);
        })
        .2
    };
    let expected = ask(&members[..1], None);
    let mut lost = members[0].clone();
    lost.settings.data.as_mut().expect("data").path =
        home.path().join("gone").display().to_string();
    let found = ask(&[lost], Some(&now));
    assert_eq!(found.threshold, expected.threshold);
    assert!(found.threshold.val.is_some());
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("folder");
    for entry in std::fs::read_dir(from).expect("folder") {
        let entry = entry.expect("entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}

#[test]
fn what_is_far_from_training_is_told_with_numbers() {
    let Pair { members, .. } = pair();
    let all = val(members, |request| request.threshold = Threshold::At(1e-12)).2;
    assert!(all.coverage.is_far && all.coverage.predicted == Some(1.0));
    let trained = all.coverage.trained.expect("counted from the masks");
    assert!((0.04..0.16).contains(&trained), "{trained}");
    let said =
        format!("100.00 % of all pixels were found to be foreground, {:.2} %", 100.0 * trained);
    assert!(all.warnings.iter().any(|warning| warning.starts_with(&said)), "{:?}", all.warnings);
    assert!(all.images.iter().all(|image| image.far == [Far::Coverage]));
    let none = val(members, |request| request.threshold = Threshold::At(1.0 - 1e-12)).2;
    let said = "nothing at all was found in 2 images; the training masks hold";
    assert!(none.warnings.iter().any(|warning| warning.starts_with(said)), "{:?}", none.warnings);
    // The record of a trial says it where there is one, and nobody where there is none.
    let mut recorded = members[0].clone();
    recorded.train_density = Some(0.9);
    let told = val(&[recorded], |_| {}).2;
    assert!(told.coverage.is_far && told.coverage.trained == Some(0.9));
    let Pair { folder, .. } = pair();
    let mut gone = members[0].clone();
    gone.settings.data.as_mut().expect("data").path = "/nowhere".to_owned();
    let image = folder.path().join("images/slice_000.png");
    let unknown = val(&[gone], |request| request.images = Images::Files(vec![image])).2;
    assert!(!unknown.coverage.is_far && unknown.coverage.trained.is_none());
    assert!(unknown.warnings.iter().any(|warning| warning.contains("is not known")));
}

#[test]
fn an_evaluation_tells_of_each_member_and_of_single_images() {
    let Pair { folder, members } = pair();
    let evaluated = |part: Part, output: Option<Output>| {
        let request = Request {
            members,
            images: Images::Folder { path: folder.path().to_owned(), part },
            data: None,
            showing: Showing::default(),
            threshold: Threshold::default(),
            each: true,
            output,
            threads: 1,
        };
        predict(&request, &mut Patient)
    };
    let report = evaluated(Part::All, None).expect("evaluated");
    let mut pooled = Confusion::default();
    report.images.iter().for_each(|image| pooled += image.confusion.expect("counts"));
    assert_eq!((report.images.len(), report.pooled), (5, Some(pooled)));
    assert_eq!(report.metrics.get("all/jaccard"), Some(pooled.jaccard()));
    assert!(report.metrics.get("all/loss").is_some());
    for (number, member) in report.members.iter().enumerate() {
        let alone = val(&members[number..=number], |request| {
            request.images = Images::Part(Part::All);
        });
        assert_eq!(member.metrics.as_ref(), Some(&alone.2.metrics));
    }
    let spread = &report.spread["jaccard"];
    let least =
        report.images.iter().min_by(|a, b| a.jaccard.partial_cmp(&b.jaccard).expect("order"));
    assert_eq!(spread.min_name, least.expect("one").name);
    assert!(spread.n == 5 && spread.min <= spread.median && spread.median <= spread.max);
    let words = report.evaluated();
    for word in ["drawn/aaaaaaaaaaaaaaaa", "ensemble of 2", "JACCARD", "PER IMAGE", "MEDIAN"] {
        assert!(words.contains(word), "{words}");
    }
    let error = evaluated(Part::Test, None).map(drop).expect_err("no table");
    assert!(error.to_string().contains("split.csv"), "{error}");
    // Those that each was trained on are told, and that validation is no such thing.
    let told = report.warnings.iter().filter(|words| words.contains("was trained on")).count();
    assert_eq!(told, 2, "{:?}", report.warnings);
    let fresh = val(members, |_| {}).2.warnings;
    assert!(!fresh.iter().any(|words| words.contains("was trained on")), "{fresh:?}");
    // What is written is what was counted.
    let (_home, at) = out();
    let output = Output { folder: at.clone(), probability: false, overlay: false };
    evaluated(Part::All, Some(output)).expect("written");
    assert!(at.join("slice_004.png").is_file() && !at.join("probability").exists());
    let again = recount(&at, &folder.path().join("masks"));
    assert!((again - pooled.jaccard()).abs() < 1e-6);
    // Masks of more images would stay beside those of fewer, and be counted with them.
    let mut fewer = request(members, Part::Val, &at);
    fewer.output = Some(Output { folder: at.clone(), probability: false, overlay: false });
    let error = predict(&fewer, &mut Patient).map(drop).expect_err("refused").to_string();
    assert!(error.contains("another prediction"), "{error}");
    // A mask that was drawn over by hand since is not written over, though it looks as old as the others.
    let again = || {
        let output = Output { folder: at.clone(), probability: false, overlay: false };
        evaluated(Part::All, Some(output)).map(drop)
    };
    let predicted = std::fs::read(at.join("slice_003.png")).expect("mask");
    std::fs::copy(at.join("slice_004.png"), at.join("slice_003.png")).expect("drawn over");
    let error = again().expect_err("refused").to_string();
    assert!(error.contains("slice_003.png was changed since"), "{error}");
    std::fs::write(at.join("slice_003.png"), predicted).expect("as it was");
    again().expect("as it was predicted");
    // Overlays of other networks would stay beside the new masks.
    let with = |overlay| {
        let output = Output { folder: at.clone(), probability: false, overlay };
        evaluated(Part::All, Some(output)).map(drop)
    };
    with(true).expect("with overlays");
    let error = with(false).expect_err("refused").to_string();
    assert!(error.contains("overlay/slice_000.png of another prediction"), "{error}");
}

/// The Jaccard index as plain Python counts it.
fn recount(masks: &Path, truth: &Path) -> f64 {
    let output = std::process::Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/recount"))
        .args([masks, truth])
        .output()
        .expect("python3");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let value: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    value["jaccard"].as_f64().expect("a value")
}

#[test]
fn the_pages_of_stacks_are_counted_again_too() {
    let Pair { folder, members } = pair();
    let home = TempDir::new().expect("folder");
    for part in ["images", "masks"] {
        std::fs::create_dir(home.path().join(part)).expect("folder");
        let mut stacked = std::io::Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut stacked).expect("encoder");
        for page in 0..3 {
            let slice = folder.path().join(format!("{part}/slice_00{page}.png"));
            encoder.write_image::<colortype::Gray8>(80, 80, &bytes(&slice)).expect("page");
        }
        let path = home.path().join(part).join("stack.tif");
        std::fs::write(path, stacked.get_ref()).expect("written");
    }
    let (_out, at, report) = val(&members[..1], |request| {
        request.images = Images::Folder { path: home.path().to_owned(), part: Part::All };
    });
    let counted = report.pooled.expect("counts").jaccard();
    assert!((recount(&at, &home.path().join("masks")) - counted).abs() < 1e-6 && counted > 0.0);
}
