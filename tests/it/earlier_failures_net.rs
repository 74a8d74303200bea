//! Failures of an earlier study that only real images show.

use std::path::Path;
use std::sync::Arc;

use regatta::clock::Clock;
use regatta::event::{Cursor, Event, Outcome, StopReason};
use regatta::journal;
use regatta::layout::TrialFolder;
use regatta::metric::Objective;
use regatta::setting::{SETTINGS_VERSION, Settings, resolve};
use regatta::sweep::{Assignment, Budget, Trial, identify};
use regatta::train::NetLearner;
use regatta::train::synth::{self, Spec};
use regatta::worker::attempt::{self, Request};
use regatta::worker::learner::{Learner, State};
use regatta::worker::stop::StopFlag;
use serde_json::{Value, json};

use crate::toy_trial::virtual_clock;

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

/// An attempt at a trial with these settings, on a clock that stands still.
fn attempted(folder: &Path, given: &Value) -> Vec<Event> {
    let resolved = resolve(given.as_object().expect("object")).expect("resolved");
    let trial = Trial {
        id: identify(&resolved, 1),
        seed: 1,
        repeat: 0,
        parameters: Arc::default(),
        settings: resolved.into(),
    };
    let assignment = Assignment {
        trial,
        sweep: "net".to_owned(),
        settings_version: SETTINGS_VERSION,
        objective: Objective::default(),
        budget: Budget::default(),
        token: None,
        only_check: false,
    };
    let place = TrialFolder::new(folder.join("trial"));
    let request = Request { write_behind: false, ..Request::new(assignment, place.clone()) };
    let clock: Arc<dyn Clock> = Arc::new(virtual_clock());
    let _ = attempt::run(&request, &clock, &StopFlag::default(), &|settings, seed, _| {
        Ok(Box::new(NetLearner::build(settings, seed, 1)?))
    });
    let replay = journal::replay::<Event>(&place.journal(1)).expect("journal");
    replay.records.into_iter().map(|record| record.body).collect()
}

/// Then a network collapsed to background only and stayed so for fourteen epochs. Here one is driven into
/// it: the learning rate rises until its decay wipes the weights out. It is seen within two epochs, goes
/// back to the best epoch, and recovers.
#[test]
fn a_network_that_collapses_goes_back_and_recovers() {
    let drawn = tempfile::tempdir().expect("folder");
    synth::write(&Spec { slices: 6, size: 64, seed: 1 }, drawn.path()).expect("written");
    let events = attempted(
        drawn.path(),
        &json!({
            "model": { "name": "unet", "base": 4, "depth": 2 },
            "data": { "path": drawn.path(), "patch": 32, "name": "drawn" },
            "batch_size": 4, "samples_per_epoch": 160, "epochs": 20,
            "optimizer": { "name": "adamw", "lr": 3, "weight_decay": 0.3 },
            "schedule": { "name": "one_cycle", "rise": 0.7, "initial_factor": 5e-4 },
            "guards": { "action": "rollback", "rollback_factor": 1e-3 },
        }),
    );
    let (mut learnt, mut blind, mut collapses, mut after) = (false, 0, 0, Vec::new());
    for event in &events {
        match event {
            Event::EpochEnded { metrics, .. } => {
                let jaccard = metrics.get("val/jaccard").unwrap_or(0.0);
                learnt |= jaccard >= 0.1;
                blind = if metrics.get("val/recall").unwrap_or(0.0) < 0.01 { blind + 1 } else { 0 };
                assert!(!learnt || blind <= 2, "a collapse went on: {events:#?}");
                after.push(jaccard);
            }
            Event::RolledBack { reason: StopReason::Collapsed, to_epoch, .. } => {
                assert!(learnt && blind == 2 && *to_epoch > 0);
                (blind, collapses) = (0, collapses + 1);
                after.clear();
            }
            _ => {}
        }
    }
    assert!(collapses > 0, "it never collapsed: {events:#?}");
    let ended = matches!(events.last(), Some(Event::Ended { outcome: Outcome::Finished, .. }));
    let best = after.iter().copied().fold(0.0, f64::max);
    assert!(ended && best > 0.4, "{best} after {collapses} collapses: {:?}", events.last());
}

/// Then float16 overflowed, and one bad update spoilt the weights for good. Now logits far beyond what
/// float16 can hold give a finite loss; and where values overflow all the same, the step changes not a
/// bit of the state and says so.
#[test]
fn an_overflow_never_reaches_the_weights() {
    let drawn = tempfile::tempdir().expect("folder");
    synth::write(&Spec { slices: 5, size: 64, seed: 1 }, drawn.path()).expect("written");
    let mut net = learner(drawn.path(), 4);
    let healthy = trained(&mut net);
    let with_head = |value: f32| {
        let mut state = healthy.clone();
        let weight = state.get_mut("model.head.weight").expect("the last layer");
        weight.bytes = weight.bytes.chunks(4).flat_map(|_| value.to_le_bytes()).collect();
        state
    };
    // The largest float16 is 65504.
    net.restore(&with_head(1e6)).expect("restored");
    let cursor = Cursor { epoch: 2, step: 0 };
    assert!(net.train_step(cursor, 3e-3).expect("step").is_finite());
    // The largest float32 is 3.4e38: sums of several such are infinite.
    let spoilt = with_head(3e38);
    net.restore(&spoilt).expect("restored");
    let before = net.state().expect("state");
    assert!(!net.train_step(cursor, 3e-3).expect("a step").is_finite());
    let after = net.state().expect("state");
    let weights = |state: &State| {
        let kept = state.iter().filter(|(name, _)| !name.contains(".running_"));
        kept.map(|(name, array)| (name.clone(), array.clone())).collect::<State>()
    };
    assert!(weights(&before) == weights(&after), "weights, moments and counts are as before");
    // And the trial goes on from healthy ones as if nothing had been.
    net.restore(&healthy).expect("restored");
    let again = net.train_step(cursor, 3e-3).expect("step");
    let mut fresh = learner(drawn.path(), 4);
    fresh.restore(&healthy).expect("restored");
    assert_eq!(again.to_bits(), fresh.train_step(cursor, 3e-3).expect("step").to_bits());
}
