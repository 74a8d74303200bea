//! A sweep's life from submission to its last result, with everything that may befall it.

use std::collections::BTreeSet;
use std::time::Duration;

use regatta::clock::Clock;
use regatta::control::{Checkpoints, ControlError, Desk, export, import};
use regatta::event::{Event, Outcome};
use regatta::scheduler::Fate;
use regatta::store::{Mode, Store, TrialState};

use crate::sweep_life::{Life, TOY};

const FINISHED: [TrialState; 2] = [TrialState::Finished, TrialState::Finished];

/// The results of a life in which nothing happens.
async fn undisturbed() -> Vec<String> {
    let life = Life::new(TOY);
    life.submit().await;
    assert_eq!(life.until_the_end().await, FINISHED);
    life.essence()
}

/// Everybody is where they belong, once: at the end there are the same results as in a life in which
/// nothing happens, and each trial was brought to its end once.
async fn check_the_end(life: &Life, what: &str) {
    assert_eq!(life.until_the_end().await, FINISHED, "{what}");
    assert_eq!(life.essence(), undisturbed().await, "{what}");
    for trial in &life.trials {
        let attempts = life.folder(trial).attempts().expect("attempts");
        let finished = |attempt: &u32| {
            let last = life.events(trial, *attempt).pop();
            matches!(last, Some(Event::Ended { outcome: Outcome::Finished, .. }))
        };
        assert_eq!(attempts.iter().filter(|attempt| finished(attempt)).count(), 1, "{what}");
    }
    let sent = life.submit().await;
    assert_eq!((sent.finished, sent.accepted.len()), (2, 0), "{what}");
}

/// Each trial is finished or has one task that waits or runs.
async fn check_one_each(life: &Life, what: &str) {
    let states = life.states().await;
    for ((trial, live), state) in life.live_tasks().await.into_iter().zip(sorted(life, states)) {
        let finished = usize::from(state == TrialState::Finished);
        assert_eq!(live + finished, 1, "{what}: {trial} is {state} and has {live} tasks");
    }
}

/// States in the order of the identities.
fn sorted(life: &Life, states: Vec<TrialState>) -> Vec<TrialState> {
    let mut pairs: Vec<_> = life.trials.iter().zip(states).collect();
    pairs.sort();
    pairs.into_iter().map(|(_, state)| state).collect()
}

#[tokio::test]
async fn all_goes_well() {
    let life = Life::new(TOY);
    assert_eq!(life.submit().await.accepted.len(), 1);
    check_one_each(&life, "submitted").await;
    assert_eq!(life.submit().await.in_flight, 2);
    check_the_end(&life, "all goes well").await;
    assert_eq!(life.cluster.submissions(), 1);
    for trial in &life.trials {
        assert_eq!(life.epochs(trial), [1, 2, 3, 4]);
    }
    assert_ne!(life.essence()[0], life.essence()[1], "two trials, two results");
    let mut store = Store::open(&life.root.database(), Mode::ReadWrite).await.expect("store");
    let collected = store.content_hash().await.expect("hash");
    store.rebuild(&life.root, life.clock.now()).await.expect("rebuild");
    assert_eq!(store.content_hash().await.expect("hash"), collected);
}

#[tokio::test]
async fn preempted_and_timed_out_trials_go_on_where_they_were() {
    let moments = [
        vec![Fate::Preempt(1)],
        vec![Fate::Preempt(10), Fate::Preempt(11), Fate::Preempt(1), Fate::Preempt(1)],
        vec![Fate::TimeOut(17)],
        vec![Fate::TimeOut(40), Fate::Preempt(39)],
        vec![Fate::Preempt(5), Fate::TimeOut(25), Fate::TimeOut(2), Fate::Preempt(3)],
    ];
    for fates in moments {
        let life = Life::new(TOY);
        fates.iter().for_each(|fate| life.cluster.expect(*fate));
        life.submit().await;
        check_the_end(&life, &format!("{fates:?}")).await;
        for trial in &life.trials {
            assert_eq!(life.epochs(trial), [1, 2, 3, 4], "{fates:?}: an epoch was done twice");
        }
    }
}

#[tokio::test]
async fn a_preempted_trial_keeps_its_job_and_a_timed_out_one_gets_another() {
    for (fate, jobs) in [(Fate::Preempt(15), 1), (Fate::TimeOut(15), 2)] {
        let life = Life::new(TOY);
        life.cluster.expect(fate);
        life.submit().await;
        life.run_tasks();
        check_the_end(&life, &format!("{fate:?}")).await;
        assert_eq!(life.cluster.submissions(), jobs, "{fate:?}");
    }
}

#[tokio::test]
async fn what_no_process_survives_costs_no_result() {
    for fates in [
        vec![Fate::NodeFails(0)],
        vec![Fate::NodeFails(15), Fate::NodeFails(33)],
        vec![Fate::NodeFails(30), Fate::Preempt(3), Fate::NodeFails(4), Fate::TimeOut(9)],
        vec![Fate::Lose(0)],
        vec![Fate::Lose(22), Fate::Lose(39), Fate::Lose(5)],
    ] {
        let life = Life::new(TOY);
        fates.iter().for_each(|fate| life.cluster.expect(*fate));
        life.submit().await;
        life.run_tasks();
        check_the_end(&life, &format!("{fates:?}")).await;
        let attempts = life.trials.iter().map(|trial| life.folder(trial).attempts().expect("list"));
        assert_eq!(attempts.map(|list| list.len()).sum::<usize>(), 2 + fates.len(), "{fates:?}");
    }
}

#[tokio::test]
async fn of_two_controllers_one_has_the_sweep() {
    let life = Life::new(TOY);
    life.submit().await;
    let first = life.desk();
    let second = Desk::open(&life.root, "life", &life.clock, Duration::ZERO);
    assert!(matches!(second, Err(ControlError::Busy { .. })), "{second:?}");
    drop(first);
    life.desk();
}

#[tokio::test]
async fn a_lost_trial_is_not_given_up_too_early() {
    let life = Life::new(TOY);
    life.cluster.expect(Fate::Lose(15));
    life.submit().await;
    life.run_tasks();
    let (sight, sent) = life.tick().await;
    assert_eq!(sight.trials[0].state, TrialState::Running, "{}", sight.trials[0].why);
    assert_eq!(sent.accepted.len(), 0);
    life.clock.advance(Duration::from_secs(700));
    let (sight, sent) = life.tick().await;
    assert_eq!(sight.trials[0].state, TrialState::Lost, "{}", sight.trials[0].why);
    assert_eq!(sent.accepted.len(), 1);
    check_one_each(&life, "lost and sent again").await;
    check_the_end(&life, "lost").await;
}

#[tokio::test]
async fn a_submission_that_goes_wrong_is_made_once_in_the_end() {
    for (fate, state) in [
        (Fate::Refuse, TrialState::Planned),
        (Fate::AcceptSilently, TrialState::Submitted),
        (Fate::DropSubmission, TrialState::Submitted),
    ] {
        let life = Life::new(TOY);
        life.cluster.expect(fate);
        let sent = life.submit().await;
        assert_eq!(sent.accepted.len(), 0, "{fate:?}");
        assert_eq!(life.states().await[0], state, "{fate:?}");
        for _ in 0..3 {
            life.submit().await;
            check_one_each(&life, &format!("{fate:?}")).await;
        }
        assert_eq!(life.cluster.submissions(), 1, "{fate:?}");
        check_the_end(&life, &format!("{fate:?}")).await;
        assert_eq!(life.cluster.submissions(), 1, "{fate:?}");
    }
}

#[tokio::test]
async fn a_resubmission_that_goes_wrong_is_made_once_in_the_end() {
    for fate in [Fate::Refuse, Fate::AcceptSilently, Fate::DropSubmission] {
        let life = Life::new(TOY);
        life.cluster.expect(Fate::TimeOut(15));
        life.submit().await;
        life.run_tasks();
        life.cluster.expect(fate);
        let (sight, sent) = life.tick().await;
        assert_eq!(sight.trials[0].state, TrialState::TimedOut, "{}", sight.trials[0].why);
        assert_eq!(sent.accepted.len(), 0, "{fate:?}");
        for _ in 0..3 {
            life.tick().await;
            check_one_each(&life, &format!("{fate:?}")).await;
        }
        assert_eq!(life.cluster.submissions(), 2, "{fate:?}");
        check_the_end(&life, &format!("{fate:?}")).await;
    }
}

#[tokio::test]
async fn a_silent_scheduler_changes_nothing() {
    let life = Life::new(TOY);
    life.cluster.expect(Fate::TimeOut(15));
    life.submit().await;
    life.run_tasks();
    life.cluster.expect(Fate::Silence);
    let (sight, sent) = life.tick().await;
    assert!(sight.scheduler_silent.is_some());
    assert!(sent.accepted.is_empty(), "nobody knows whether the job comes back");
    check_the_end(&life, "silence").await;
}

/// A life that goes on until nothing more is sent: its states and the number of its jobs.
async fn ends(life: &Life) -> (Vec<TrialState>, usize) {
    life.submit().await;
    let states = life.until_the_end().await;
    (states, life.cluster.submissions())
}

#[tokio::test]
async fn policy_sends_what_stopped_as_often_as_it_says() {
    let life = Life::new(&format!("{TOY}policy: {{ timed_out: {{ retry: 2 }} }}\n"));
    for _ in 0..20 {
        life.cluster.expect(Fate::TimeOut(3));
    }
    assert_eq!(ends(&life).await, (vec![TrialState::TimedOut; 2], 3));
    // Who asks gets more.
    assert_eq!(life.resume().await.accepted.len(), 1);

    let life = Life::new(&format!("{TOY}policy: {{ lost: {{ retry: 1 }} }}\n"));
    (0..4).for_each(|_| life.cluster.expect(Fate::Lose(3)));
    assert_eq!(ends(&life).await, (vec![TrialState::Lost; 2], 2));

    // Without restarts under the same job, policy alone tells the two kinds of end apart.
    let life = Life::new(&format!("{TOY}policy: {{ timed_out: stop }}\n"));
    life.cluster.expect(Fate::Preempt(3));
    life.cluster.expect(Fate::TimeOut(3));
    assert_eq!(ends(&life).await, (vec![TrialState::Finished, TrialState::TimedOut], 2));
}

#[tokio::test]
async fn policy_leaves_failed_diverged_and_cancelled_trials_alone() {
    for (mishap, state) in [("fail_at", TrialState::Failed), ("diverge_at", TrialState::Diverged)] {
        let toy = TOY.replace("name: toy,", &format!("name: toy, {mishap}: 12,"));
        let life = Life::new(&toy);
        assert_eq!(ends(&life).await, (vec![state; 2], 1), "{mishap}");
    }
    let life = Life::new(TOY);
    life.submit().await;
    let unwanted = BTreeSet::from([life.trials[0].clone()]);
    life.desk().cancel(&life.cluster, &unwanted, "ada").await.expect("cancel");
    let states = life.until_the_end().await;
    assert_eq!(states, [TrialState::Cancelled, TrialState::Finished]);
    assert_eq!(life.cluster.submissions(), 1);
    assert!(!life.folder(&life.trials[0]).journal(1).exists(), "it never began");
    // Who asks gets it after all.
    assert_eq!(life.resume().await.accepted.len(), 1);
    check_the_end(&life, "cancelled and resumed").await;
}

#[tokio::test]
async fn a_trial_that_used_up_its_train_time_is_not_sent_again_until_it_gets_more() {
    let budget = "budget: { margin: 3s, max_train_time: 20s,";
    let mut life = Life::new(&TOY.replace("budget: { margin: 3s,", budget));
    assert_eq!(ends(&life).await, (vec![TrialState::TimedOut; 2], 1));
    for trial in &life.trials {
        assert_eq!(life.folder(trial).attempts().expect("attempts"), [1], "started again in vain");
    }
    assert_eq!(life.resume().await.accepted.len(), 0, "it would stop at once");
    life.rewrite("max_train_time: 20s", "max_train_time: 10min");
    life.submit().await;
    check_the_end(&life, "more time").await;
    assert_eq!(life.cluster.submissions(), 2);
    for trial in &life.trials {
        assert_eq!(life.epochs(trial), [1, 2, 3, 4]);
    }
}

#[tokio::test]
async fn the_database_can_go_at_any_moment_and_nothing_is_submitted_twice() {
    let mut submissions = Vec::new();
    for goes in [false, true] {
        let life = Life::new(TOY);
        [Fate::Preempt(15), Fate::TimeOut(22), Fate::NodeFails(5), Fate::Lose(3)]
            .into_iter()
            .for_each(|fate| life.cluster.expect(fate));
        life.submit().await;
        for round in 0..12 {
            if goes {
                forget(&life, round).await;
            }
            life.tick().await;
            life.run_tasks();
            if goes {
                forget(&life, round + 1).await;
            }
            life.clock.advance(Duration::from_secs(200));
        }
        check_the_end(&life, &format!("the database goes: {goes}")).await;
        submissions.push(life.cluster.submissions());
    }
    assert_eq!(submissions[0], submissions[1]);
}

/// Removes the database, or makes it again and checks that it tells the same.
async fn forget(life: &Life, round: u32) {
    let path = life.root.database();
    if round.is_multiple_of(2) {
        regatta::layout::remove_database(&life.root).expect("removed");
        return;
    }
    let mut store = Store::open(&path, Mode::ReadWrite).await.expect("store");
    store.collect(&life.root, "life", life.clock.now()).await.expect("collect");
    let collected = store.content_hash().await.expect("hash");
    store.rebuild(&life.root, life.clock.now()).await.expect("rebuild");
    assert_eq!(store.content_hash().await.expect("hash"), collected, "round {round}");
}

#[tokio::test]
async fn a_sweep_that_was_carried_on_asks_nobody_about_jobs_of_the_old_cluster() {
    let there = Life::new(TOY);
    there.cluster.expect(Fate::TimeOut(22));
    there.cluster.expect(Fate::AcceptSilently);
    there.submit().await;
    there.run_tasks();
    there.tick().await;
    let bundle = there.root.path().join("life.tar");
    let patience = Duration::from_secs(5);
    let current = Checkpoints::Current;
    let now = there.clock.now();
    export(&there.root, "life", &bundle, current, now, patience, &mut |_| {}).expect("packed");
    // Another cluster, whose jobs have the same numbers.
    let here = Life::new(TOY);
    here.clock.advance(Duration::from_secs(5000));
    import(&here.root, &bundle, &[], &here.clock, patience, &mut |_| {}).expect("unpacked");
    let mut store = Store::open(&here.root.database(), Mode::ReadWrite).await.expect("store");
    store.collect(&here.root, "life", here.clock.now()).await.expect("collect");
    assert_eq!(store.open_jobs(&here.root, "life").await.expect("jobs"), Default::default());
    drop(store);
    assert!(here.states().await.iter().all(|state| !state.is_in_flight()));
    assert_eq!(here.desk().ledger().scheduler(), None);
    here.desk().end(&here.cluster, &here.trials.iter().cloned().collect()).await.expect("none");
    here.resume().await;
    check_one_each(&here, "carried on").await;
    check_the_end(&here, "carried on").await;
    forget(&here, 1).await;
}
