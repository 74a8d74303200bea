//! A submission that a scheduler refused whole, and the sweep file that was mended after it: what the newest plan
//! no longer has is forgotten, unless a scheduler took it.

use std::collections::BTreeSet;

use regatta::event::Act;
use regatta::journal;
use regatta::store::{Mode, Store};

use crate::home::{Home, QUICK_TOY};

const REFUSAL: &str = "sbatch: error: invalid partition specified: nope\n";

/// The sweep with other learning rates: all of its trials are others.
fn with_rates(rates: &str) -> String {
    let all = "optimizer.lr: [1e-2, 1e-1]";
    assert!(QUICK_TOY.contains(all));
    QUICK_TOY.replace(all, &format!("optimizer.lr: {rates}"))
}

/// A home whose sweep of four trials was refused.
fn refused() -> Home {
    let home = Home::on_fake_slurm();
    home.write("answers/sbatch.err", REFUSAL).write("answers/sbatch.rc", "1");
    // One that prints a number may have submitted after all.
    home.write("answers/sbatch.out", "");
    submit_in_vain(&home);
    home
}

fn submit_in_vain(home: &Home) {
    let answer = home.type_in(&["submit", "sweep.yaml"]);
    assert_eq!(answer.code, 1, "{}", answer.err);
    assert!(answer.err.contains("invalid partition"), "{}", answer.err);
}

/// From now on sbatch takes what comes, under this number.
fn let_in(home: &Home, job: &str) {
    home.write("answers/sbatch.err", "").write("answers/sbatch.rc", "0");
    home.write("answers/sbatch.out", format!("{job}\n"));
}

/// The trials of which `trials` tells; `status` counts as many.
fn known(home: &Home) -> BTreeSet<String> {
    let told = home.json(&["trials", "quick"]);
    let rows = told["trials"].as_array().expect("trials").iter();
    let known: BTreeSet<String> =
        rows.map(|row| row["trial"].as_str().expect("an id").to_owned()).collect();
    let status = home.json(&["status", "quick", "--offline"]);
    assert_eq!(status["sweeps"][0]["trials"], known.len(), "{status:#}");
    known
}

/// The trials of each submission, in order, as the journal tells them.
fn intents(home: &Home) -> Vec<BTreeSet<String>> {
    let path = home.root().sweep("quick").controller_journal();
    let found = journal::replay::<Act>(&path).expect("journal");
    assert_eq!(found.bad, 0);
    let intent = |act| match act {
        Act::Intent { trials, .. } => Some(trials.iter().map(ToString::to_string).collect()),
        _ => None,
    };
    found.records.into_iter().filter_map(|record| intent(record.body)).collect()
}

/// What the database holds is what a rebuild makes of the journals.
async fn rebuilt_is_the_same(home: &Home) {
    let path = home.root().database();
    let mut store = Store::open(&path, Mode::ReadOnly).await.expect("store");
    let collected = store.content_hash().await.expect("hash");
    drop(store);
    assert_eq!(home.json(&["rebuild"])["content_hash"], collected);
}

#[tokio::test]
async fn a_newer_plan_takes_the_place_of_what_was_refused() {
    let home = refused();
    let old = known(&home);
    assert_eq!((old.len(), home.states("quick")), (4, vec!["planned".to_owned(); 4]));
    home.write("sweep.yaml", with_rates("[1e-3]"));
    submit_in_vain(&home);
    let new = known(&home);
    assert_eq!(new.len(), 2);
    assert!(new.is_disjoint(&old), "the old ones are forgotten: {new:?}");

    rebuilt_is_the_same(&home).await;
    assert_eq!(known(&home), new, "after a rebuild, too");

    // The site is mended: all that never came in goes on.
    let_in(&home, "77");
    home.ok(&["resume", "quick"]);
    assert_eq!(intents(&home), [old.clone(), new.clone(), new.clone()]);
    assert_eq!((known(&home), home.states("quick")), (new, vec!["submitted".to_owned(); 2]));
    let gone = old.first().expect("one").as_str();
    let answer = home.type_in(&["resume", gone]);
    assert_eq!(answer.code, 1, "{}", answer.err);
    assert!(answer.err.contains("is neither a sweep nor a trial here"), "{}", answer.err);
    rebuilt_is_the_same(&home).await;
}

#[tokio::test]
async fn what_is_planned_again_after_it_was_forgotten_has_its_story_again() {
    let home = refused();
    let old = known(&home);
    let first = home.ok(&["explain", old.first().expect("one").as_str()]).out;
    home.write("sweep.yaml", with_rates("[1e-3]"));
    submit_in_vain(&home);
    assert!(known(&home).is_disjoint(&old));
    home.write("sweep.yaml", QUICK_TOY);
    submit_in_vain(&home);
    assert_eq!(known(&home), old);
    rebuilt_is_the_same(&home).await;
    let told = home.ok(&["explain", old.first().expect("one").as_str()]).out;
    let refusals = |text: &str| text.matches("refused").count();
    assert!(refusals(&first) > 0 && refusals(&told) > refusals(&first), "{first}\n{told}");
}

#[tokio::test]
async fn what_a_scheduler_took_stays_known_whatever_the_plan_says() {
    let home = refused();
    let_in(&home, "77");
    home.ok(&["resume", "quick"]);
    let taken = known(&home);
    assert_eq!(intents(&home), [taken.clone(), taken.clone()]);
    home.write("sweep.yaml", with_rates("[1e-3]"));
    home.queue(&["RUNNING"; 4]);
    let_in(&home, "78");
    home.ok(&["submit", "sweep.yaml"]);
    let all = known(&home);
    assert_eq!(all.len(), 6);
    assert!(taken.is_subset(&all), "they are with the scheduler");
    rebuilt_is_the_same(&home).await;
    assert_eq!(known(&home), all);
}
