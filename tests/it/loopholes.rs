//! Loopholes that a reader of the controller found, each with the events that led through it.

use std::time::Duration;

use regatta::clock::Clock;
use regatta::event::{Act, Event, Outcome};
use regatta::id::AttemptUuid;
use regatta::journal::{self, Writer};
use regatta::layout;
use regatta::scheduler::Fate;
use regatta::store::{Mode, Store, TrialState};

use crate::sweep_life::{Life, TOY};

fn all(life: &Life) -> std::collections::BTreeSet<regatta::id::TrialId> {
    life.trials.iter().cloned().collect()
}

async fn assert_one_job_each(life: &Life) {
    let live = life.live_tasks().await;
    assert!(live.values().all(|count| *count == 1), "{live:?}");
}

#[tokio::test]
async fn what_was_cancelled_while_the_scheduler_was_away_is_not_resumed_beside_itself() {
    let life = Life::new(TOY);
    life.submit().await;
    life.cluster.expect(Fate::CancelSilence(false));
    let cancelled = life.desk().cancel(&life.cluster, &all(&life), "ada").await;
    assert!(cancelled.is_err(), "nobody heard it");
    life.resume().await;
    assert_one_job_each(&life).await;
    let states = life.until_the_end().await;
    assert_eq!(states, [TrialState::Finished, TrialState::Finished]);
}

#[tokio::test]
async fn where_the_scheduler_cannot_end_what_was_cancelled_nothing_is_resumed() {
    let life = Life::new(TOY);
    life.submit().await;
    life.cluster.expect(Fate::CancelSilence(false));
    assert!(life.desk().cancel(&life.cluster, &all(&life), "ada").await.is_err());
    life.cluster.expect(Fate::CancelSilence(false));
    let (mut desk, mut store) = (life.desk(), life.store().await);
    let sight = desk.look(&life.cluster, &mut store).await.expect("look");
    let order = regatta::control::Order {
        worker: "/bin/regatta-worker".into(),
        limits: regatta::plan::Limits::default(),
        wish: regatta::control::Wish::These(all(&life)),
        stage_only: false,
        workspace: None,
    };
    assert!(desk.submit(&life.cluster, &sight, &order).await.is_err());
    drop(desk);
    assert_one_job_each(&life).await;
    assert!(life.folder(&life.trials[0]).cancel_mark().exists(), "the mark stands");
}

#[tokio::test]
async fn a_submission_of_which_a_worker_wrote_was_made_even_if_the_scheduler_forgot_it() {
    let life = Life::new(TOY);
    life.cluster.expect(Fate::DropSubmission);
    assert_eq!(life.submit().await.unheard.len(), 1);
    // It was heard after all, ran, failed for good, and was forgotten.
    let token = life.desk().ledger().submissions()[0].token;
    let trial = life.trials[0].clone();
    let folder = life.folder(&trial);
    layout::create_folder(&folder.claims()).expect("folder");
    layout::create_exclusive(&folder.claim(1), b"{}").expect("claim");
    let mut writer = Writer::open(&folder.journal(1)).expect("journal");
    let events = [
        Event::Header {
            format: journal::FORMAT,
            trial: trial.clone(),
            attempt: 1,
            uuid: AttemptUuid::at(life.clock.now()),
            token: Some(token),
            origin: "slurm:77_0:0".to_owned(),
            host: "n1".to_owned(),
            pid: 1,
            worker_version: "0.1.0".to_owned(),
            scratch: None,
        },
        Event::Ended {
            outcome: Outcome::Failed,
            reason: None,
            cursor: regatta::event::Cursor::START,
            elapsed: 1.0,
            time_left: None,
            seconds_to_leave: None,
            error: Some("no such data".to_owned()),
        },
    ];
    for event in events {
        writer.append(life.clock.now(), &event, true).expect("append");
    }
    life.clock.advance(Duration::from_secs(600));
    let (sight, outcome) = life.tick().await;
    let row = sight.trials.iter().find(|row| row.trial == trial).expect("row");
    assert_eq!(row.state, TrialState::Failed, "{}", row.why);
    let acts = journal::replay::<Act>(&life.root.sweep("life").controller_journal()).expect("acts");
    let told = acts.records.iter().any(|record| {
        matches!(&record.body, Act::Accepted { token: of, job } if *of == token && job == "77")
    });
    assert!(told, "the worker's word for its job is believed");
    let sent: usize = outcome.accepted.iter().map(|(_, tasks)| tasks).sum();
    assert!(sent <= 1, "what failed is for `retry`: {outcome:?}");
}

#[tokio::test]
async fn what_failed_and_was_started_again_by_hand_is_in_every_database() {
    let life = Life::new(&TOY.replace("name: toy,", "name: toy, fail_at: 15,"));
    life.submit().await;
    let states = life.until_the_end().await;
    assert_eq!(states, [TrialState::Failed, TrialState::Failed]);
    let folder = life.folder(&life.trials[0]);
    layout::create_exclusive(&folder.claim(2), b"{}").expect("claim");
    let mut writer = Writer::open(&folder.journal(2)).expect("journal");
    for record in journal::replay::<Event>(&folder.journal(1)).expect("journal").records {
        let event = match record.body {
            Event::Header { format, trial, host, pid, worker_version, .. } => {
                let uuid = AttemptUuid::at(life.clock.now());
                let (attempt, origin, scratch) = (2, "by hand".to_owned(), None);
                let token = None;
                Event::Header {
                    format,
                    trial,
                    attempt,
                    uuid,
                    token,
                    origin,
                    host,
                    pid,
                    worker_version,
                    scratch,
                }
            }
            other => other,
        };
        writer.append(life.clock.now(), &event, true).expect("append");
    }
    life.tick().await;
    let mut store = life.store().await;
    let collected = store.content_hash().await.expect("hash");
    let mut fresh = Store::in_memory().await.expect("store");
    fresh.rebuild(&life.root, life.clock.now()).await.expect("rebuild");
    assert_eq!(fresh.content_hash().await.expect("hash"), collected);
}

#[tokio::test]
async fn while_the_controllers_journal_cannot_be_read_nothing_is_forgotten_or_submitted() {
    let life = Life::new(TOY);
    life.submit().await;
    life.until_the_end().await;
    let mut store = life.store().await;
    let whole = store.content_hash().await.expect("hash");
    let path = life.root.sweep("life").controller_journal();
    let away = path.with_extension("away");
    std::fs::rename(&path, &away).expect("moved");
    std::fs::create_dir(&path).expect("something else");
    let found = store.rebuild(&life.root, life.clock.now()).await.expect("rebuild");
    assert_eq!(found.len(), 1);
    assert!(found[0].from_cache && found[0].problems[0].contains("cannot be read"), "{found:?}");
    let found = store.collect(&life.root, "life", life.clock.now()).await.expect("collect");
    assert!(found.from_cache, "what was done last is not known");
    assert_eq!(store.content_hash().await.expect("hash"), whole);
    std::fs::remove_dir(&path).expect("removed");
    std::fs::rename(&away, &path).expect("back");
}

#[tokio::test]
async fn two_that_open_an_old_database_at_once_both_find_it_new() {
    let folder = tempfile::tempdir().expect("folder");
    for round in 0..8 {
        let path = folder.path().join(format!("{round}.db"));
        let open = || {
            let path = path.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let opened =
                    runtime.expect("runtime").block_on(Store::open(&path, Mode::ReadWrite));
                opened.map(drop).map_err(|error| format!("{error:?}"))
            })
        };
        let both = [open(), open(), open()].map(|thread| thread.join().expect("thread"));
        assert!(both.iter().all(Result::is_ok), "{both:?}");
    }
}
