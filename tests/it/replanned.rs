//! A sweep whose plan was changed after some of it was trained: its trials stay apart by name.

use regatta::metric::Objective;
use regatta::store::Selector;
use regatta::sweep::Trial;
use serde_json::{Map, Value, json};

use crate::runs::{Runs, at, id, trial};

/// A trial of the same swept values as another one, of a plan that fixes another number of epochs.
fn longer(number: u64, like: u64) -> Trial {
    let mut value = json!(trial(like));
    value["trial"] = json!(id(number));
    value["settings"]["epochs"] = json!(4);
    serde_json::from_value(value).expect("trial")
}

fn told(parameters: &Map<String, Value>) -> String {
    Value::from(parameters.clone()).to_string()
}

#[tokio::test]
async fn what_differs_between_two_plans_is_told_of_each_trial() {
    let runs = Runs::new(2);
    let (root, sweeps) = (runs.root(), vec!["lr-batch".to_owned()]);
    let mut store = runs.store().await;
    let token = runs.submit(10, &[1]);
    runs.attempt(1, 1).header(Some(token)).epoch(1, &[("val/jaccard", 0.5)]);
    store.collect(&root, "lr-batch", at(200)).await.expect("the first plan");
    let before = store.trials(&sweeps).await.expect("trials");
    assert_eq!(told(&before[1].parameters), r#"{"batch_size":1,"optimizer.lr":0.001}"#);
    // Another grid alone is no change: what is fixed is the same.
    runs.plan(Objective::default(), &[trial(0), trial(7)]);
    store.collect(&root, "lr-batch", at(300)).await.expect("another grid");
    for row in store.trials(&sweeps).await.expect("trials") {
        assert_eq!(row.parameters.len(), 2, "{row:?}");
    }
    runs.plan(Objective::default(), &[longer(8, 1)]);
    store.collect(&root, "lr-batch", at(400)).await.expect("the second plan");
    let rows = store.trials(&sweeps).await.expect("trials");
    let names: Vec<(&str, String)> =
        rows.iter().map(|row| (row.trial.as_str(), told(&row.parameters))).collect();
    let (old, new) = (id(1), id(8));
    assert_eq!(
        names,
        [
            (old.as_str(), r#"{"batch_size":1,"epochs":3,"optimizer.lr":0.001}"#.to_owned()),
            (new.as_str(), r#"{"batch_size":1,"epochs":4,"optimizer.lr":0.001}"#.to_owned()),
        ]
    );
    let best = store.best(&Selector { sweeps: sweeps.clone(), ..Selector::default() }).await;
    let best = best.expect("best").rows;
    assert_eq!((&best[0].trial, &best[0].parameters["epochs"]), (&old, &json!(3)));
    let status = store.status(&sweeps).await.expect("status");
    assert_eq!(status[0].progress[0].parameters["epochs"], 3);
    // What is told is no part of what is kept.
    let hash = store.content_hash().await.expect("hash");
    store.collect(&root, "lr-batch", at(500)).await.expect("again");
    assert_eq!(store.content_hash().await.expect("hash"), hash);
}

/// A trial with this split.
fn divided(number: u64, split: &Value) -> Trial {
    let mut value = json!(trial(1));
    value["trial"] = json!(id(number));
    value["settings"]["data"] =
        json!({ "name": "em", "path": "/d", "split": split, "val_fraction": 0.2 });
    serde_json::from_value(value).expect("trial")
}

#[tokio::test]
async fn a_split_that_was_changed_is_told_in_words() {
    let runs = Runs::new(0);
    let (root, sweeps) = (runs.root(), vec!["lr-batch".to_owned()]);
    runs.plan(Objective::default(), &[divided(1, &json!({ "by": "blocks", "gap": 5 }))]);
    let mut store = runs.store().await;
    let token = runs.submit(10, &[1]);
    runs.attempt(1, 1).header(Some(token)).epoch(1, &[("val/jaccard", 0.5)]);
    store.collect(&root, "lr-batch", at(200)).await.expect("the first plan");
    let folds = json!({ "by": "folds", "folds": 4, "fold": 1, "gap": 3 });
    runs.plan(Objective::default(), &[divided(2, &folds)]);
    store.collect(&root, "lr-batch", at(300)).await.expect("the second plan");
    let mut splits: Vec<Value> = Vec::new();
    for row in store.trials(&sweeps).await.expect("trials") {
        assert_eq!(row.parameters.len(), 3, "{row:?}");
        splits.push(row.parameters["data.split"].clone());
    }
    splits.sort_by_key(ToString::to_string);
    assert_eq!(splits, ["blocks, gap 5; 20 %", "fold 1 of 4, gap 3"]);
}
