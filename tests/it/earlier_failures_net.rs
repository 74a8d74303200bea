//! Failures of an earlier study that only real images show.

use std::path::Path;

use regatta::event::Cursor;
use regatta::setting::{Settings, resolve};
use regatta::train::NetLearner;
use regatta::train::synth::{self, Spec};
use regatta::worker::learner::{Learner, State};
use serde_json::json;

fn learner(folder: &Path, batch_size: u64) -> NetLearner {
    let given = json!({
        "model": { "name": "unet", "base": 4, "depth": 2 }, "optimizer": { "lr": 3e-3 },
        "data": { "path": folder, "patch": 32, "name": "drawn" }, "batch_size": batch_size,
    });
    let settings = resolve(given.as_object().expect("object")).expect("resolved");
    let settings = Settings::from_resolved(&settings).expect("settings");
    NetLearner::build(&settings, 1, 1).expect("built")
}

fn trained(learner: &mut NetLearner) -> State {
    for step in 0..4 {
        learner.train_step(Cursor { epoch: 1, step }, 3e-3).expect("step");
    }
    learner.state().expect("state")
}

/// Copies the images in one order and the masks in another, as unpacking an archive may.
fn unpacked(from: &Path, backwards: [bool; 2]) -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("folder");
    for (part, backwards) in ["images", "masks"].into_iter().zip(backwards) {
        std::fs::create_dir(to.path().join(part)).expect("folder");
        let mut names = regatta::layout::list(&from.join(part)).expect("list");
        if backwards {
            names.reverse();
        }
        for name in names {
            let place = Path::new(part).join(name);
            std::fs::copy(from.join(&place), to.path().join(&place)).expect("copied");
        }
    }
    to
}

/// Then images and masks were listed each for itself, unsorted, and paired by luck. Now they are
/// paired by name, so that the order in which files came to be changes no bit.
#[test]
fn the_order_of_files_in_their_folders_changes_nothing() {
    let drawn = tempfile::tempdir().expect("folder");
    synth::write(&Spec { slices: 5, size: 64, seed: 1 }, drawn.path()).expect("written");
    let all = [[false, false], [false, true], [true, false]].map(|backwards| {
        let folder = unpacked(drawn.path(), backwards);
        let mut learner = learner(folder.path(), 4);
        let data = learner.describe().data.expect("data");
        (data, trained(&mut learner))
    });
    assert!(all.iter().all(|one| *one == all[0]));
    // Masks under each other's names make another result.
    let folder = unpacked(drawn.path(), [false, false]);
    let mask = |number: u32| folder.path().join(format!("masks/slice_00{number}.png"));
    let aside = folder.path().join("aside.png");
    for (from, to) in [(mask(0), &aside), (mask(1), &mask(0)), (aside.clone(), &mask(1))] {
        std::fs::copy(&from, to).expect("copied");
    }
    assert!(trained(&mut learner(folder.path(), 4)) != all[0].1);
}

/// Then the Jaccard index was a mean over minibatches. Now the same weights have the same one for
/// every minibatch size.
#[test]
fn the_same_network_has_the_same_jaccard_for_every_minibatch_size() {
    let drawn = tempfile::tempdir().expect("folder");
    synth::write(&Spec { slices: 5, size: 80, seed: 1 }, drawn.path()).expect("written");
    let state = trained(&mut learner(drawn.path(), 4));
    let values = [1, 3, 4, 16].map(|size| {
        let mut learner = learner(drawn.path(), size);
        learner.restore(&state).expect("restored");
        let metrics = learner.evaluate(&mut || true).expect("evaluated").expect("to the end");
        (metrics.get("val/jaccard"), metrics.get("val/precision"))
    });
    assert!(values[0].0.is_some() && values.iter().all(|value| *value == values[0]), "{values:?}");
}
