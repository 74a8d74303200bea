//! `regatta cancel --checkpoint`: what runs may save and leave, what waits is cancelled at once.

use std::collections::BTreeSet;
use std::time::Duration;

use regatta::event::{Event, Outcome, StopReason};
use regatta::journal;
use regatta::layout::TrialFolder;
use regatta::scheduler::Fate;
use regatta::store::{Mode, Store, TrialState};

use crate::home::Home;
use crate::sweep_life::{Life, TOY};

/// Two trials, one slot. Saving takes as long as 20 steps.
const SLOW: &str = "\
name: slow
fixed:
  model: { name: toy, steps_per_epoch: 20, step_seconds: 0.05, save_seconds: 1 }
  epochs: 4
grid: { optimizer.lr: [1e-2, 1e-1] }
budget: { margin: 1s, checkpoint_every: 1h }
";

fn events(folder: &TrialFolder, attempt: u32) -> Vec<Event> {
    let found = journal::replay::<Event>(&folder.journal(attempt)).expect("journal");
    found.records.into_iter().map(|record| record.body).collect()
}

fn submit(sweep: &str, then: &[&str]) -> Home {
    let home = Home::new();
    home.write("sweep.yaml", sweep);
    let words = ["submit", "sweep.yaml", "--scheduler", "local", "--slots", "1"];
    home.ok(&[&words[..], then].concat());
    home
}

/// The folder of the trial that was begun, once it trains.
fn begun(home: &Home) -> TrialFolder {
    let is_training = |event: &Event| matches!(event, Event::Started { .. });
    let folder = |home: &Home| {
        let begun = home.trials("slow").into_values().find(|folder| folder.journal(1).exists());
        begun.filter(|folder| events(folder, 1).iter().any(is_training))
    };
    home.wait_until("the first trial", |home| folder(home).is_some());
    folder(home).expect("begun")
}

#[test]
fn a_running_trial_saves_leaves_and_goes_on_exactly_there() {
    let uncut = submit(SLOW, &["--wait", "--poll", "0.1"]);
    let home = submit(SLOW, &[]);
    let folder = begun(&home);
    let answer = home.ok(&["cancel", "slow", "--checkpoint"]);
    assert!(answer.err.contains("1 running trial may save and leave"), "{}", answer.err);
    assert!(answer.err.contains("cancelled 2 trials of slow"), "{}", answer.err);
    // When the command ends, the checkpoint is there; no signal had a part in it.
    let told = events(&folder, 1);
    let Some(Event::Ended { outcome, reason, cursor, .. }) = told.last() else {
        panic!("{told:#?}");
    };
    assert_eq!((*outcome, *reason), (Outcome::Stopped, Some(StopReason::Cancelled)));
    assert!(told.iter().any(
        |event| matches!(event, Event::CheckpointWritten { cursor: saved, .. } if saved == cursor)
    ));
    let asked = told.iter().filter(|event| matches!(event, Event::StopRequested { .. }));
    assert!(
        asked.into_iter().all(|event| matches!(
            event,
            Event::StopRequested { reason: StopReason::Cancelled, .. }
        ))
    );
    assert_eq!(home.states("slow"), ["cancelled"; 2]);
    assert_eq!(home.trials("slow").values().filter(|f| f.journal(1).exists()).count(), 1);
    let left = home.ok(&["resume", "slow"]).err;
    assert!(left.contains("left alone: 2 cancelled"), "{left}");
    let way = "cancelled ones go on with `regatta resume slow --state cancelled`";
    assert!(left.contains(way) && !left.contains("stopped ones"), "{left}");
    home.ok(&["resume", "slow", "--state", "cancelled", "--slots", "2", "--wait", "--poll", "0.1"]);
    assert_eq!(home.essence("slow"), uncut.essence("slow"));
}

#[test]
fn when_patience_runs_out_what_still_runs_is_told_and_cancelled_as_usual() {
    // It looks at the mark between steps; a step takes longer than the patience.
    let home = submit(&SLOW.replace("step_seconds: 0.05", "step_seconds: 4"), &[]);
    let folder = begun(&home);
    let answer = home.ok(&["cancel", "slow", "--checkpoint", "--patience", "0.2s"]);
    let trial = folder.path().file_name().expect("name").to_string_lossy().into_owned();
    assert!(
        answer.err.contains(&format!("{trial} has not saved and left within 0s")),
        "{}",
        answer.err
    );
    home.wait_until("the usual cancel", |_| {
        matches!(events(&folder, 1).last(), Some(Event::Ended { outcome: Outcome::Stopped, .. }))
    });
    let bad = home.type_in(&["cancel", "slow", "--checkpoint", "--patience", "soon"]);
    assert_eq!(bad.code, 2);
    assert!(bad.err.contains("a time such as 90s"), "{}", bad.err);
}

#[tokio::test]
async fn what_waits_is_cancelled_at_once_and_what_seems_to_run_is_waited_for() {
    let life = Life::new(TOY);
    // The first one vanishes; for a while it seems to run. The second one waits for its next start.
    life.cluster.expect(Fate::Lose(15));
    life.cluster.expect(Fate::Preempt(5));
    life.submit().await;
    let marked: BTreeSet<_> = life.trials.iter().cloned().collect();
    let mut store = Store::open(&life.root.database(), Mode::ReadWrite).await.expect("store");
    let trial = life.trials[0].clone();
    life.run_tasks();
    let mut desk = life.desk();
    desk.mark(&marked, "ada").expect("marks");
    let sight = desk.look(&life.cluster, &mut store).await.expect("look");
    let running = desk.end_idle(&life.cluster, &sight, &marked).await.expect("end");
    assert_eq!(running, BTreeSet::from([trial.clone()]));
    let sight = desk.look(&life.cluster, &mut store).await.expect("look");
    assert_eq!(sight.states()[&life.trials[1]], &TrialState::Cancelled);
    assert_eq!(sight.states()[&trial], &TrialState::Running);
    life.clock.advance(Duration::from_secs(1000));
    let sight = desk.look(&life.cluster, &mut store).await.expect("look");
    let running = desk.end_idle(&life.cluster, &sight, &marked).await.expect("end");
    assert_eq!(running, BTreeSet::new());
    drop(desk);
    assert_eq!(life.until_the_end().await, [TrialState::Cancelled, TrialState::Cancelled]);
    assert_eq!(
        life.events(&trial, 1).iter().filter(|e| matches!(e, Event::Ended { .. })).count(),
        0
    );
    let attempts = life.folder(&life.trials[1]).attempts().expect("attempts");
    assert_eq!(attempts, [1], "it was started again");
    assert_eq!(life.resume().await.accepted.len(), 1);
    assert_eq!(life.until_the_end().await, [TrialState::Finished, TrialState::Finished]);
}
