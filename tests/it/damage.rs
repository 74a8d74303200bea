//! Damaged, foreign and missing files: they cost themselves, and it is told with their names.

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use regatta::event::{Act, Outcome};
use regatta::journal;
use regatta::layout;
use regatta::metric::Objective;
use regatta::store::Store;

use crate::home::{Home, SUBMIT};
use crate::runs::{Runs, at, id, life, trial};

fn append(path: &Path, bytes: &[u8]) {
    layout::open_append(path).expect("open").write_all(bytes).expect("append");
}

/// The content as collected, after checking that a rebuild gives the same.
async fn collected(runs: &Runs, store: &mut Store, second: i64) -> String {
    store.collect_all(&runs.root(), at(second)).await.expect("collect");
    let hash = store.content_hash().await.expect("hash");
    let mut fresh = Store::in_memory().await.expect("memory");
    fresh.collect_all(&runs.root(), at(second)).await.expect("collect");
    assert_eq!(fresh.content_hash().await.expect("hash"), hash);
    hash
}

#[tokio::test]
async fn whatever_stands_in_a_journals_place_costs_itself_and_is_told() {
    let runs = Runs::new(8);
    life(&runs);
    let sweep = runs.root().sweep("lr-batch");
    // Trials 3 to 7: a folder, a link, nothing, bytes, another trial's journal.
    let journals: Vec<_> = (3..8).map(|number| runs.attempt(number, 1).path).collect();
    std::fs::create_dir(&journals[0]).expect("folder");
    symlink(sweep.trial(&id(0)).journal(1), &journals[1]).expect("link");
    layout::write_atomic(&journals[2], b"").expect("empty");
    let noise: Vec<u8> =
        (0..40_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    layout::write_atomic(&journals[3], &noise).expect("noise");
    std::fs::copy(sweep.trial(&id(0)).journal(1), &journals[4]).expect("copy");
    let mut store = runs.store().await;
    let found = store.collect(&runs.root(), "lr-batch", at(300)).await.expect("collect");
    let told = found.problems.join("\n");
    assert_eq!(found.problems.len(), 2, "{told}");
    assert!(told.contains("is a directory") && told.contains("is a link"), "{told}");
    let noisy =
        noise.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() as u64 - 1;
    let damaged: Vec<_> =
        found.damaged.iter().map(|(path, lines)| (path.clone(), *lines)).collect();
    assert_eq!(damaged, [(journals[3].clone(), noisy), (journals[4].clone(), 4)]);
    assert_eq!(found.bad_lines, noisy + 4);
    let rows = store.trials(&[]).await.expect("trials");
    let finished = rows.iter().filter(|row| row.value.is_some()).count();
    assert_eq!(finished, 2, "only the trials that trained have values");
    collected(&runs, &mut store, 310).await;
}

#[tokio::test]
async fn a_controllers_journal_of_another_sweep_submits_nothing_here() {
    let runs = Runs::new(2);
    let other = runs.another("other", 2);
    other.submit(10, &[0, 1]);
    let (ours, theirs) = (runs.root().sweep("lr-batch"), runs.root().sweep("other"));
    append(&ours.controller_journal(), &std::fs::read(theirs.controller_journal()).expect("read"));
    let mut store = runs.store().await;
    let found = store.collect(&runs.root(), "lr-batch", at(20)).await.expect("collect");
    assert_eq!((found.records, found.bad_lines), (1, 3));
    let states = |rows: Vec<regatta::store::TrialRow>| -> Vec<String> {
        rows.into_iter().map(|row| row.state.word()).collect()
    };
    let rows = store.trials(&["lr-batch".to_owned()]).await.expect("trials");
    assert_eq!(states(rows), ["planned", "planned"]);
    // The ledger reads the same, and what it writes then is known as its own.
    let mut ledger = regatta::control::Ledger::open(&ours, "lr-batch", at(30)).expect("ledger");
    assert_eq!(ledger.submissions(), []);
    ledger
        .append(at(31), &Act::Cancelled { trials: vec![id(1)], by: "ada".to_owned() })
        .expect("append");
    store.collect(&runs.root(), "lr-batch", at(32)).await.expect("collect");
    let rows = store.trials(&["lr-batch".to_owned()]).await.expect("trials");
    assert_eq!(states(rows), ["planned", "cancelled"]);
    collected(&runs, &mut store, 33).await;
}

#[tokio::test]
async fn a_journal_that_was_cut_or_replaced_is_read_again_from_its_start() {
    let runs = Runs::new(2);
    let token = runs.submit(10, &[0, 1]);
    runs.attempt(0, 1)
        .header(Some(token))
        .epoch(1, &[("val/jaccard", 0.5)])
        .epoch(2, &[("val/jaccard", 0.9)]);
    let mut second = runs.attempt(0, 2);
    second.header(Some(token)).epoch(2, &[("val/jaccard", 0.6)]).epoch(3, &[("val/jaccard", 0.7)]);
    let mut store = runs.store().await;
    collected(&runs, &mut store, 200).await;
    // Cut: the first attempt's epoch 2 counts again, epoch 3 is gone.
    let bytes = std::fs::read(&second.path).expect("read");
    let end = bytes.iter().position(|byte| *byte == b'\n').expect("line") + 1;
    layout::write_atomic(&second.path, &bytes[..end]).expect("cut");
    let found = store.collect(&runs.root(), "lr-batch", at(210)).await.expect("collect");
    assert!(found.problems[0].contains("cut or replaced"), "{:?}", found.problems);
    let key = store.resolve_trial("lr-batch/0000").await.expect("trial");
    let history = store.show(&key).await.expect("show").history;
    let told: Vec<_> = history.iter().map(|e| (e.epoch, e.metrics.get("val/jaccard"))).collect();
    assert_eq!(told, [(1, Some(0.5)), (2, Some(0.9))]);
    collected(&runs, &mut store, 220).await;
    // Replaced by a longer one of another process.
    layout::remove(&second.path).expect("remove");
    second.header(None).epoch(2, &[("val/jaccard", 0.1)]).epoch(3, &[("val/jaccard", 0.2)]);
    second.epoch(4, &[("val/jaccard", 0.3)]).end(Outcome::Finished, None);
    collected(&runs, &mut store, 230).await;
    let history = store.show(&key).await.expect("show").history;
    assert_eq!(history.last().map(|e| e.epoch), Some(4));
    // The controller's own.
    let path = runs.root().sweep("lr-batch").controller_journal();
    layout::remove(&path).expect("remove");
    runs.act(
        300,
        &Act::Header {
            format: journal::FORMAT,
            sweep: "lr-batch".to_owned(),
            version: "2".to_owned(),
        },
    );
    runs.submit(301, &[1]);
    let found = store.collect(&runs.root(), "lr-batch", at(310)).await.expect("collect");
    assert!(found.problems[0].contains("controller.journal"), "{:?}", found.problems);
    collected(&runs, &mut store, 320).await;
}

#[tokio::test]
async fn a_damaged_plan_stops_nobody_and_the_last_good_one_stays() {
    let runs = Runs::new(3);
    life(&runs);
    let other = runs.another("other", 2);
    let mut store = runs.store().await;
    let before = collected(&runs, &mut store, 300).await;
    let plan = runs.root().sweep("lr-batch").plan();
    let whole = std::fs::read(&plan).expect("plan");
    let text = String::from_utf8(whole.clone()).expect("text");
    let torn = whole[..whole.len() - 20].to_vec();
    for (bytes, wanted) in [
        (torn, "EOF"),
        (b"{}".to_vec(), "missing field"),
        (vec![0; 100], "expected value"),
        (
            text.replace("\"sweep\":\"lr-batch\"", "\"sweep\":\"elsewhere\"").into_bytes(),
            "`elsewhere`",
        ),
        (text.replace("0123456789abcdef", "not an id").into_bytes(), "no trial id"),
        ([whole.clone(), b"more".to_vec()].concat(), "trailing"),
    ] {
        layout::write_atomic(&plan, &bytes).expect("damage");
        let all = store.collect_all(&runs.root(), at(310)).await.expect("collect");
        let told: Vec<_> = all.iter().flat_map(|found| &found.problems).collect();
        assert!(
            told.len() == 1 && told[0].contains(wanted) && told[0].contains("plan.json"),
            "{told:?}"
        );
        assert_eq!(store.content_hash().await.expect("hash"), before, "{wanted}");
        let all = store.rebuild(&runs.root(), at(320)).await.expect("rebuild");
        assert_eq!(all.len(), 2);
        // What was submitted is known from the journals.
        let rows = store.trials(&["lr-batch".to_owned()]).await.expect("trials");
        assert_eq!(rows.iter().filter(|row| row.value.is_some()).count(), 2, "{wanted}");
        layout::write_atomic(&plan, &whole).expect("mend");
        store.rebuild(&runs.root(), at(330)).await.expect("rebuild");
        assert_eq!(store.content_hash().await.expect("hash"), before, "{wanted}");
    }
    other.plan(Objective::default(), &[trial(5)]);
    collected(&runs, &mut store, 340).await;
}

#[test]
fn damage_is_told_by_every_command_that_reads_and_stops_none() {
    let home = Home::with_quick_toy();
    home.ok(&SUBMIT);
    home.write("second.yaml", crate::home::QUICK_TOY.replace("quick", "second"));
    home.ok(&[
        "submit",
        "second.yaml",
        "--scheduler",
        "local",
        "--slots",
        "4",
        "--wait",
        "--poll",
        "0.05",
    ]);
    home.write("runs/quick/plan.json", "{ torn");
    let journal = home.trials("second").values().next().expect("trial").journal(1);
    append(&journal, b"torn line\n");
    for words in [&["status"][..], &["best", "second"], &["trials"], &["rebuild"]] {
        let answer = home.ok(words);
        let all = format!("{}{}", answer.out, answer.err);
        assert_eq!(all.contains("runs/quick/plan.json is damaged"), words[0] != "best", "{all}");
        assert!(words[0] != "rebuild" || all.contains("1.journal (1)"), "{all}");
    }
    let rebuilt = home.json(&["rebuild"]);
    assert_eq!(rebuilt["sweeps"][1]["damaged"][0]["lines"], 1, "{rebuilt}");
    assert!(rebuilt["sweeps"][0]["problems"][0].as_str().expect("text").contains("plan.json"));
    assert!(home.ok(&["status", "second"]).err.contains("1.journal (1)"));
    // A folder that is gone is told, and forgotten when it is asked for.
    std::fs::remove_dir_all(home.at("runs/quick")).expect("removed");
    let status = home.ok(&["status"]);
    assert!(status.err.contains("quick: its folder is gone"), "{}", status.err);
    assert!(status.out.contains("quick  4 trials"), "{}", status.out);
    home.ok(&["rebuild"]);
    let status = home.ok(&["status"]);
    assert!(!status.out.contains("quick") && !status.err.contains("gone"), "{}", status.out);
}
