//! Trained networks in use: ensembles, any images, thresholds, what is written, what is told.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "helpers of tests fail like tests, and write files"
)]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use regatta::event::Cursor;
use regatta::setting::Settings;
use regatta::train::NetLearner;
use regatta::train::data::Part;
use regatta::train::predict::{
    Far, ImageReport, Images, Output, Patient, Report, Request, TileWish, Turns, Watch, predict,
};
use regatta::worker::learner::{Learner, LearnerError, State};
use regatta::worker::trained::Trained;
use serde_json::{Value, json};
use tempfile::TempDir;
use tiff::encoder::{TiffEncoder, colortype};

use crate::train::{drawn, request, settings, trained};

fn learn(settings: &Settings, seed: u64) -> State {
    let mut learner = NetLearner::build(settings, seed, 1).expect("built");
    let steps = learner.describe().steps_per_epoch;
    for epoch in 1..=settings.epochs {
        for step in 0..steps {
            learner.train_step(Cursor { epoch, step }, 1e-2).expect("step");
        }
    }
    learner.state().expect("state")
}

/// Two networks that differ in all that may differ, and their data.
pub(crate) struct Pair {
    pub(crate) folder: TempDir,
    pub(crate) members: Vec<Trained>,
}

pub(crate) fn pair() -> &'static Pair {
    static PAIR: OnceLock<Pair> = OnceLock::new();
    PAIR.get_or_init(|| {
        let folder = drawn();
        let given = |model: Value, patch: u32, gain: f64| {
            settings(folder.path(), |given| {
                given["model"] = model;
                given["data"]["patch"] = json!(patch);
                given["data"]["contrast_gain"] = json!(gain);
                given["data"]["val_fraction"] = json!(0.4);
                given["samples_per_epoch"] = json!(60);
                given["loss"] = json!({ "dice": 1 });
            })
        };
        let all = [
            (given(json!({ "name": "unet", "base": 8, "depth": 2, "channels": 3 }), 32, 1.0), "a"),
            (given(json!({ "name": "attention_unet", "base": 8, "depth": 1 }), 48, 0.8), "b"),
        ];
        let members = all.map(|(settings, digit)| {
            let mut one = trained(&settings, &learn(&settings, 1));
            one.assignment.trial.id = digit.repeat(16).parse().expect("id");
            one
        });
        Pair { folder, members: members.into() }
    })
}

pub(crate) fn out() -> (TempDir, PathBuf) {
    let home = TempDir::new().expect("folder");
    let path = home.path().join("out");
    (home, path)
}

pub(crate) fn bytes(path: &Path) -> Vec<u8> {
    image::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).into_luma8().into_raw()
}

pub(crate) fn val(
    members: &[Trained],
    change: impl FnOnce(&mut Request),
) -> (TempDir, PathBuf, Report) {
    let (home, folder) = out();
    let mut request = request(members, Part::Val, &folder);
    change(&mut request);
    let report = predict(&request, &mut Patient).expect("predicted");
    (home, folder, report)
}

#[test]
fn an_ensemble_is_the_mean_logit_of_networks_that_differ_in_everything() {
    let Pair { members, .. } = pair();
    let (_a, first, _) = val(&members[..1], |_| {});
    let (_b, second, _) = val(&members[1..], |_| {});
    let (_c, both, report) = val(members, |_| {});
    assert_eq!((report.members.len(), report.images.len()), (2, 2));
    let logit = |byte: u8| {
        let p = f64::from(byte).clamp(0.5, 254.5) / 255.0;
        (p / (1.0 - p)).ln()
    };
    let mut sure = 0;
    for image in &report.images {
        let map = |folder: &Path| bytes(&folder.join("probability").join(&image.file));
        let (one, two, mask) = (map(&first), map(&second), bytes(&both.join(&image.file)));
        for ((one, two), mask) in one.into_iter().zip(two).zip(mask) {
            let sum = logit(one) + logit(two);
            // Bytes tell a logit roughly.
            if sum.abs() > 0.5 {
                sure += 1;
                assert_eq!(mask == 255, sum > 0.0, "{one} and {two}");
            }
        }
    }
    assert!(sure > 10_000, "{sure}");
    // One network twice is that network, bit for bit.
    let twice = [members[0].clone(), members[0].clone()];
    let (_d, same, _) = val(&twice, |_| {});
    for image in &report.images {
        assert_eq!(bytes(&same.join(&image.file)), bytes(&first.join(&image.file)));
    }
}

#[test]
fn small_tiles_and_several_at_once_say_what_the_whole_image_says() {
    let Pair { members, .. } = pair();
    let (_a, whole, report) = val(&members[..1], |_| {});
    let tiles = TileWish { tile: Some(64), overlap: None, at_once: Some(3) };
    let (_b, tiled, small) = val(&members[..1], |request| request.showing.tiles = tiles);
    assert!(small.members[0].tiles_are_exact && small.members[0].tile == 64);
    assert_eq!(small.pooled, report.pooled);
    for image in &report.images {
        assert_eq!(bytes(&tiled.join(&image.file)), bytes(&whole.join(&image.file)));
    }
    let tiles = TileWish { tile: Some(32), ..TileWish::default() };
    let (_c, _, seamed) = val(&members[..1], |request| request.showing.tiles = tiles);
    let told = seamed.warnings.iter().any(|warning| warning.contains("near seams"));
    assert!(told && !seamed.members[0].tiles_are_exact, "{:?}", seamed.warnings);
}

#[test]
fn turns_are_told_and_change_what_is_found_a_little() {
    let Pair { members, .. } = pair();
    let plain = val(members, |_| {}).2;
    let turned = val(members, |request| request.showing.turns = Turns::All).2;
    let (one, two) = (plain.metrics.get("val/jaccard"), turned.metrics.get("val/jaccard"));
    assert!(one != two && (one.expect("a") - two.expect("b")).abs() < 0.3, "{one:?} {two:?}");
}

fn stack(path: &Path, pages: u8) {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).expect("encoder");
    for page in 0..pages {
        encoder.write_image::<colortype::Gray8>(50, 37, &vec![20 * page; 50 * 37]).expect("page");
    }
    std::fs::write(path, bytes.get_ref()).expect("written");
}

#[test]
fn files_folders_and_every_page_of_a_stack_are_segmented_without_masks() {
    let Pair { folder, members } = pair();
    let home = TempDir::new().expect("folder");
    let more = home.path().join("more");
    std::fs::create_dir(&more).expect("folder");
    stack(&home.path().join("stack.tif"), 3);
    std::fs::copy(folder.path().join("images/slice_000.png"), more.join("z10.png")).expect("copy");
    std::fs::copy(folder.path().join("images/slice_001.png"), more.join("z9.png")).expect("copy");
    std::fs::write(more.join("notes.txt"), "x").expect("written");
    let files = vec![home.path().join("stack.tif"), more.clone()];
    let (_out, at, report) = val(members, |request| request.images = Images::Files(files.clone()));
    let names: Vec<_> = report.images.iter().map(|image| image.file.as_str()).collect();
    assert_eq!(names, ["stack_0000.png", "stack_0001.png", "stack_0002.png", "z9.png", "z10.png"]);
    assert!(report.complete && report.pooled.is_none() && report.metrics.is_empty());
    for name in names {
        for part in ["", "probability", "overlay"] {
            let size = image::image_dimensions(at.join(part).join(name)).expect("a PNG");
            assert_eq!(size, if name.starts_with('s') { (50, 37) } else { (80, 80) });
        }
    }
    // A mask says where the probability is above one half.
    let (mask, map) = (bytes(&at.join("z9.png")), bytes(&at.join("probability/z9.png")));
    assert!(mask.iter().zip(&map).all(|(mask, p)| if *mask == 255 {
        *p >= 127
    } else {
        *p <= 128
    }));
    // A flat black page is not like the training images, and the table says so.
    let table = std::fs::read_to_string(at.join("images.csv")).expect("table");
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("name,file,width,height,coverage,mean_probability,"));
    assert!(lines.len() == 6 && lines[1].starts_with("stack#0,stack_0000.png,50,37,"), "{table}");
    assert!(lines[1].contains("brightness") && lines[1].ends_with(",,,,,,,,"), "{table}");
    assert!(report.images[0].far.contains(&Far::Brightness));
    assert!(report.warnings.iter().any(|warning| warning.contains("first `stack#0`")));
}

pub(crate) fn refused(members: &[Trained], change: impl FnOnce(&mut Request)) -> String {
    let (home, folder) = out();
    let mut request = request(members, Part::Val, &folder);
    change(&mut request);
    let error = predict(&request, &mut Patient).map(drop).expect_err("refused");
    assert!(!folder.exists(), "something was written");
    drop(home);
    match error {
        LearnerError::Data { what, .. } | LearnerError::Setting { what, .. } => what,
        other => other.to_string(),
    }
}

#[test]
fn two_images_of_one_name_and_paths_that_are_none_are_refused_before_anything_is_done() {
    let Pair { folder, members } = pair();
    let home = TempDir::new().expect("folder");
    let image = folder.path().join("images/slice_000.png");
    let copy = home.path().join("slice_000.png");
    std::fs::copy(&image, &copy).expect("copied");
    let of = |files: Vec<PathBuf>| refused(members, |r| r.images = Images::Files(files));
    let said = of(vec![image.clone(), copy.clone()]);
    assert!(said.starts_with("its mask would be `slice_000.png`, and so would"), "{said}");
    assert_eq!(of(vec![image.clone(), image.clone()]), "it is named twice");
    stack(&home.path().join("slice.tif"), 2);
    std::fs::copy(&image, home.path().join("slice_0001.png")).expect("copied");
    let said = of(vec![home.path().to_owned()]);
    assert!(said.contains("`slice_0001.png`"), "{said}");
    assert_eq!(of(vec![home.path().join("nowhere.png")]), "no such file or folder");
    std::fs::write(home.path().join("notes.txt"), "x").expect("written");
    assert_eq!(of(vec![home.path().join("notes.txt")]), "no PNG or TIFF by its name");
    assert_eq!(of(vec![folder.path().to_owned()]), "no images in it");
}

#[test]
fn nothing_is_written_where_images_or_other_files_are() {
    let Pair { folder, members } = pair();
    let into = |path: PathBuf| {
        let before = std::fs::read_dir(&path).expect("folder").count();
        let output = Output { folder: path.clone(), probability: true, overlay: true };
        let mut request = request(members, Part::Val, &path);
        request.output = Some(output);
        let error = predict(&request, &mut Patient).map(drop).expect_err("refused").to_string();
        assert_eq!(std::fs::read_dir(&path).expect("folder").count(), before);
        error
    };
    assert!(into(folder.path().join("masks")).contains("this is a folder of the data"));
    let other = TempDir::new().expect("folder");
    std::fs::write(other.path().join("slice_003.png"), "mine").expect("written");
    assert!(into(other.path().to_owned()).contains("files that no prediction wrote"));
    // Even with a report in it, a folder that is read from is not written to.
    let home = TempDir::new().expect("folder");
    std::fs::write(home.path().join("metrics.json"), "{}").expect("written");
    let image = home.path().join("a.png");
    std::fs::copy(folder.path().join("images/slice_000.png"), &image).expect("copied");
    let mut request = request(members, Part::Val, home.path());
    request.images = Images::Files(vec![image]);
    let error = predict(&request, &mut Patient).map(drop).expect_err("refused");
    assert!(error.to_string().contains("images are read from this folder"), "{error}");
}

/// Says stop after one image.
#[derive(Default)]
struct Impatient(Vec<String>);

impl Watch for Impatient {
    fn go_on(&self) -> bool {
        self.0.is_empty()
    }

    fn done(&mut self, image: &ImageReport, number: usize, of: usize) {
        self.0.push(format!("{number}/{of} {}", image.name));
    }
}

#[test]
fn one_that_is_stopped_leaves_whole_files_and_can_be_done_again() {
    let Pair { members, .. } = pair();
    let (_home, folder) = out();
    let request = request(members, Part::All, &folder);
    let mut watch = Impatient::default();
    let report = predict(&request, &mut watch).expect("a report");
    assert_eq!(watch.0, ["1/5 slice_000"]);
    assert!(!report.complete && report.images.len() == 1);
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .expect("folder")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("name"))
        .collect();
    names.sort();
    assert_eq!(names, ["images.csv", "metrics.json", "overlay", "probability", "slice_000.png"]);
    let said: Value =
        serde_json::from_slice(&std::fs::read(folder.join("metrics.json")).expect("report"))
            .expect("json");
    assert_eq!(said["complete"], false);
    assert!(predict(&request, &mut Patient).expect("again").complete);
}
