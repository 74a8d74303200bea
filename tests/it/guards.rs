//! Training that goes wrong is seen, told and, where the policy says so, taken back; training that no
//! longer improves ends early with the best weights. However it is cut, it comes to the same.

use proptest::prelude::*;
use regatta::event::{Event, Outcome, StopReason};
use serde_json::{Value, json};

use crate::resume::{Cut, run, run_cut};
use crate::toy_trial::ToyTrial;

/// A toy that learns within an epoch; from step 25 on the full learning rate spoils its weights.
fn collapsing(guards: &Value) -> ToyTrial {
    let toy = json!({ "collapse_at": 25, "step_seconds": 1.0, "save_seconds": 0.5 });
    ToyTrial::with(&toy, &changes(guards))
}

fn changes(guards: &Value) -> Value {
    json!({
        "guards": guards, "epochs": 12, "optimizer": { "lr": 0.1 },
        "schedule": { "name": "constant" },
    })
}

fn jaccards(trial: &ToyTrial) -> Vec<f64> {
    let epochs = trial.events(1).into_iter().filter_map(|event| match event {
        Event::EpochEnded { metrics, .. } => Some(metrics.get("val/jaccard").unwrap_or(0.0)),
        _ => None,
    });
    epochs.collect()
}

fn rollbacks(trial: &ToyTrial) -> Vec<(StopReason, u64, u32)> {
    let back = trial.events(1).into_iter().filter_map(|event| match event {
        Event::RolledBack { reason, to_epoch, rollbacks, .. } => {
            Some((reason, to_epoch, rollbacks))
        }
        _ => None,
    });
    back.collect()
}

#[test]
fn a_collapse_is_seen_within_two_epochs_and_stops_by_default() {
    let trial = collapsing(&json!({}));
    assert_eq!(run(&trial, 0, None), (Outcome::Diverged, 40));
    let seen = jaccards(&trial);
    // Step 25 is in epoch 3: epochs 3 and 4 find nothing.
    assert!(seen.len() == 4 && seen[1] > 0.3 && seen[2] == 0.0 && seen[3] == 0.0, "{seen:?}");
    let result = trial.result();
    assert_eq!((result.outcome, result.reason), (Outcome::Diverged, Some(StopReason::Collapsed)));
    let error = result.error.expect("an error");
    assert!(error.starts_with("the network has collapsed"), "{error}");
    assert_eq!(result.best_epoch, Some(2));
    // The best weights are still there.
    assert!(trial.folder().checkpoints().link("best").exists());
}

#[test]
fn a_collapse_is_rolled_back_and_training_recovers() {
    let trial = collapsing(&json!({ "action": "rollback" }));
    assert_eq!(run(&trial, 0, None), (Outcome::Finished, 120));
    assert_eq!(rollbacks(&trial), [(StopReason::Collapsed, 2, 1)]);
    let seen = jaccards(&trial);
    assert_eq!(seen.len(), 12);
    assert!(seen[3] == 0.0 && seen[4] > 0.3 && seen[11] > seen[1], "{seen:?}");
    let rates: Vec<_> = trial
        .events(1)
        .into_iter()
        .filter_map(|event| match event {
            Event::EpochEnded { metrics, .. } => metrics.get("train/learning_rate"),
            _ => None,
        })
        .collect();
    assert!(rates[..4].iter().all(|rate| (rate - 0.1).abs() < 1e-12), "{rates:?}");
    assert!(rates[4..].iter().all(|rate| (rate - 0.05).abs() < 1e-12), "{rates:?}");
}

#[test]
fn rollbacks_end_when_their_number_is_used_up() {
    // The rate stays as large as it was.
    let trial = collapsing(&json!({
        "action": "rollback", "rollbacks": 2, "rollback_factor": 1.0, "collapse_epochs": 1,
    }));
    assert_eq!(run(&trial, 0, None).0, Outcome::Diverged);
    let two = [(StopReason::Collapsed, 2, 1), (StopReason::Collapsed, 2, 2)];
    assert_eq!(rollbacks(&trial), two);
    let error = trial.result().error.expect("an error");
    assert!(error.contains("rolled back 2 times"), "{error}");
}

#[test]
fn divergence_is_rolled_back_and_the_epoch_done_again() {
    let toy = json!({ "diverge_at": 25 });
    let guards = json!({ "action": "rollback", "rollbacks": 3 });
    let trial = ToyTrial::with(&toy, &changes(&guards));
    // The toy diverges at that step whatever the learning rate is: each time it is gone back to epoch 2.
    assert_eq!(run(&trial, 0, None), (Outcome::Diverged, 25 + 3 * 5));
    let back: Vec<_> = (1..=3).map(|n| (StopReason::Diverged, 2, n)).collect();
    assert_eq!(rollbacks(&trial), back);
    // Where nothing was learnt yet, it begins anew.
    let trial = ToyTrial::with(&json!({ "diverge_at": 5 }), &changes(&guards));
    assert_eq!(run(&trial, 0, None), (Outcome::Diverged, 5 + 3 * 5));
    assert_eq!(rollbacks(&trial)[0], (StopReason::Diverged, 0, 1));
}

#[test]
fn patience_ends_training_with_the_best_weights() {
    for restore_best in [true, false] {
        let guards = json!({ "patience": 2, "collapse_epochs": 0, "restore_best": restore_best });
        let trial = collapsing(&guards);
        assert_eq!(run(&trial, 0, None).0, Outcome::Finished);
        let seen = jaccards(&trial);
        let ended = trial.events(1).into_iter().find_map(|event| match event {
            Event::EndedEarly { epoch, since, best_epoch, restored, .. } => {
                assert_eq!(since, 2);
                Some((epoch, best_epoch, restored))
            }

            _ => None,
        });
        let (epoch, best_epoch, restored) = ended.expect("ended early");
        let best = best_epoch.expect("a best epoch");
        assert!(seen.len() == 4 && (epoch, best) == (4, 2), "{seen:?} {ended:?}");
        assert_eq!(restored, restore_best);
        let result = trial.result();
        let own = if restore_best { best } else { epoch };
        let place = usize::try_from(own - 1).expect("small");
        assert_eq!(result.metrics.get("val/jaccard"), Some(seen[place]));
        assert_eq!((result.epochs, result.best_epoch), (epoch, Some(best)));
        let weights = trial.events(1).into_iter().find_map(|event| match event {
            Event::EpochEnded { epoch, weights_sha256, .. } if epoch == own => Some(weights_sha256),
            _ => None,
        });
        assert_eq!(result.weights_sha256, weights);
    }
}

fn cuts() -> impl Strategy<Value = Vec<Cut>> {
    let cut = prop_oneof![
        (5u64..60).prop_map(Cut::Time),
        (1u64..25).prop_map(Cut::Signal),
        (1u64..25).prop_map(Cut::Crash),
    ];
    proptest::collection::vec(cut, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) })]

    #[test]
    fn a_rollback_comes_to_the_same_however_the_trial_is_cut(cuts in cuts()) {
        let guards = json!({ "action": "rollback" });
        let (cut, uncut) = (collapsing(&guards), collapsing(&guards));
        run(&uncut, 0, None);
        run_cut(&cut, &cuts);
        prop_assert_eq!(cut.essence(), uncut.essence());
    }

    #[test]
    fn an_early_end_comes_to_the_same_however_the_trial_is_cut(cuts in cuts()) {
        let guards = json!({ "patience": 2, "collapse_epochs": 0 });
        let (cut, uncut) = (collapsing(&guards), collapsing(&guards));
        run(&uncut, 0, None);
        run_cut(&cut, &cuts);
        prop_assert_eq!(cut.essence(), uncut.essence());
    }
}
