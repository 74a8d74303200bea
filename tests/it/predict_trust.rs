//! What a prediction must not hide: other data under the same name, doubtful networks, images left out.

use regatta::event::Outcome;
use regatta::train::data::{self, Part};
use regatta::train::predict::{Images, Patient, predict};

use crate::predict::{Pair, pair, refused, val};
use crate::train::request;

#[test]
fn other_data_are_never_called_the_trials_validation() {
    let Pair { folder, members } = pair();
    let mut known = members[0].clone();
    let own = known.settings.data.clone().expect("data");
    let fingerprint = data::fingerprint_of(&own).expect("files");
    assert_eq!(data::val_sha256_of(&own).ok(), fingerprint.val_sha256);
    known.manifest.as_mut().expect("manifest").data = Some(fingerprint.clone());
    let known = [known];
    val(&known, |_| {});
    // As many files of the same names.
    let other = tempfile::tempdir().expect("folder");
    for part in ["images", "masks"] {
        std::fs::create_dir(other.path().join(part)).expect("folder");
        for at in 0..5 {
            let from = folder.path().join(format!("{part}/slice_00{}.png", (at + 1) % 5));
            let to = other.path().join(format!("{part}/slice_00{at}.png"));
            std::fs::copy(from, to).expect("copied");
        }
    }
    for part in [Part::Val, Part::Train] {
        let said = refused(&known, |request| {
            request.images = Images::Part(part);
            request.data = Some(other.path().to_owned());
        });
        let start = format!("the {} files there are not those of trial aaaa", part.as_str());
        assert!(said.contains(&start), "{said}");
    }
    let all = val(&known, |request| {
        request.images = Images::Part(Part::All);
        request.data = Some(other.path().to_owned());
    });
    let told = all.2.warnings.iter().any(|words| words.contains("is it the same data set?"));
    assert!(told, "{:?}", all.2.warnings);
    // One training image is another, and validation is as it was.
    for at in 0..5 {
        for part in ["images", "masks"] {
            let name = format!("{part}/slice_00{at}.png");
            std::fs::copy(folder.path().join(&name), other.path().join(&name)).expect("copied");
        }
    }
    let (one, two) = ("images/slice_001.png", "images/slice_000.png");
    std::fs::copy(folder.path().join(one), other.path().join(two)).expect("copied");
    val(&known, |request| request.data = Some(other.path().to_owned()));
    // A checkpoint of an earlier worker knows of all files only.
    let mut older = known[0].clone();
    let data = older.manifest.as_mut().and_then(|manifest| manifest.data.as_mut());
    data.expect("data").val_sha256 = None;
    let said = refused(&[older], |request| request.data = Some(other.path().to_owned()));
    assert!(said.contains("the val files there are not those"), "{said}");
}

#[test]
fn a_doubtful_network_is_told_with_every_prediction() {
    let Pair { members, .. } = pair();
    let mut doubtful = members[0].clone();
    doubtful.outcome = Some(Outcome::Diverged);
    let health = &mut doubtful.manifest.as_mut().expect("manifest").state.health;
    (health.blind, health.has_learnt) = (1, false);
    let report = val(&[doubtful, members[1].clone()], |_| {}).2;
    let told = |words: &str| {
        let start = "trial aaaaaaaaaaaaaaaa: ";
        report.warnings.iter().any(|told| told.starts_with(start) && told.contains(words))
    };
    for words in ["training diverged", "told no foreground", "with a val/jaccard of 0.1"] {
        assert!(told(words), "{words}: {:?}", report.warnings);
    }
}

#[test]
fn a_broken_image_costs_no_other_one() {
    let Pair { folder, members } = pair();
    let home = tempfile::tempdir().expect("folder");
    let place = |name: &str| home.path().join(name);
    let image = folder.path().join("images/slice_000.png");
    std::fs::copy(&image, place("a.png")).expect("copied");
    let whole = std::fs::read(&image).expect("image");
    std::fs::write(place("b.png"), &whole[..whole.len() / 2]).expect("written");
    std::fs::copy(&image, place("c.png")).expect("copied");
    std::fs::write(place("d.JPG"), "a picture").expect("written");
    let files = |paths: Vec<std::path::PathBuf>| {
        val(&members[..1], |request| request.images = Images::Files(paths))
    };
    let (_home, at, report) = files(vec![home.path().to_owned()]);
    let names: Vec<&str> = report.images.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(report.failed.len(), 1);
    assert!(report.failed[0].name == "b" && report.failed[0].error.contains("b.png"));
    assert!(at.join("c.png").is_file() && !at.join("b.png").exists());
    let told =
        report.warnings.iter().any(|words| words.contains("1 images") && words.contains("d.JPG"));
    assert!(told, "{:?}", report.warnings);
    // Alone it is the error.
    let mut alone = request(&members[..1], Part::Val, &place("out"));
    alone.images = Images::Files(vec![place("b.png")]);
    let error = predict(&alone, &mut Patient).map(drop).expect_err("broken").to_string();
    assert!(error.contains("b.png"), "{error}");
}
