//! The controller dies at any moment, and the same command again ends the same: nothing is submitted
//! twice, nothing is trained twice, nothing is missing.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::OnceLock;

use regatta::event::{Act, Event};
use regatta::journal;
use regatta::layout::TrialFolder;
use regatta::store::{Mode, Store};

use crate::home::{Home, SUBMIT};

/// The results of a controller that lives.
fn undisturbed() -> &'static [String] {
    static ESSENCE: OnceLock<Vec<String>> = OnceLock::new();
    ESSENCE.get_or_init(|| {
        let home = Home::with_quick_toy();
        home.ok(&SUBMIT);
        check(&home, "undisturbed");
        home.essence("quick")
    })
}

/// All trials are finished by their first attempt, and the database tells what the journals tell.
fn check(home: &Home, what: &str) {
    assert_eq!(home.states("quick"), ["finished"; 4], "{what}");
    for (id, folder) in home.trials("quick") {
        assert_eq!(folder.attempts().expect("attempts"), [1], "{what}: {id}");
    }
    let collected = content_hash(home);
    let rebuilt = home.json(&["rebuild"]);
    assert_eq!(rebuilt["content_hash"], collected, "{what}");
}

fn content_hash(home: &Home) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("runtime").block_on(async {
        // With the log: a command that just ended may have left what it wrote there.
        let store = Store::open(&home.root().database(), Mode::ReadWrite).await;
        store.expect("store").content_hash().await.expect("hash")
    })
}

/// Submits with a fault and says whether the controller was killed.
fn is_killed(home: &Home, faults: &str) -> bool {
    let output = home.command(&SUBMIT).env("REGATTA_FAULTS", faults).output().expect("controller");
    let killed = output.status.signal() == Some(9);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(killed || output.status.success(), "{faults}: {}\n{said}", output.status);
    killed
}

fn check_killed_at(moments: &[&str]) {
    for faults in moments {
        let home = Home::with_quick_toy();
        assert!(is_killed(&home, faults), "{faults} came too late");
        home.ok(&SUBMIT);
        assert_eq!(home.essence("quick"), undisturbed(), "{faults}");
        check(&home, faults);
    }
}

#[test]
fn killed_around_a_submission() {
    check_killed_at(&[
        "submit.before_intent=kill",
        "submit.after_intent=kill",
        "submit.before_accepted=kill",
        "submit.after_accepted=kill",
    ]);
}

#[test]
fn killed_before_a_file_is_in_place() {
    // The sweep file, the plan, the job file, the script, the local scheduler's record.
    check_killed_at(&[
        "write.rename=kill",
        "write.rename:1=kill",
        "write.rename:2=kill",
        "write.rename:3=kill",
        "write.rename:4=kill",
        "write.done:4=kill",
    ]);
}

#[test]
fn killed_before_a_record_is_written_or_durable() {
    // Header, plan, intent, acceptance.
    check_killed_at(&[
        "journal.append=kill",
        "journal.append:1=kill",
        "journal.append:2=kill",
        "journal.append:3=kill",
        "journal.sync=kill",
        "journal.sync:1=kill",
        "journal.sync:2=kill",
        "journal.sync:3=kill",
    ]);
}

#[test]
fn killed_again_and_again() {
    let home = Home::with_quick_toy();
    for faults in [
        "write.rename=kill",
        "journal.append=kill",
        "journal.sync=kill",
        "journal.append:1=kill",
        "write.rename:1=kill",
        "submit.after_intent=kill",
        "submit.after_intent=kill",
        "write.rename:2=kill",
        "submit.before_accepted=kill",
        "journal.append=kill",
    ] {
        assert!(is_killed(&home, faults), "{faults} came too late");
    }
    home.ok(&SUBMIT);
    assert_eq!(home.essence("quick"), undisturbed());
    check(&home, "again and again");
    let path = home.root().sweep("quick").controller_journal();
    let acts = journal::replay::<Act>(&path).expect("journal").records;
    let count = |is: fn(&Act) -> bool| acts.iter().filter(|record| is(&record.body)).count();
    assert_eq!(count(|act| matches!(act, Act::Planned { .. })), 1);
    assert_eq!(count(|act| matches!(act, Act::Accepted { .. })), 1);
}

/// A home whose trials take a second or two.
fn slow_home() -> Home {
    home_of_steps("0.06")
}

fn home_of_steps(seconds: &str) -> Home {
    let home = Home::with_quick_toy();
    let step = format!("name: toy, step_seconds: {seconds},");
    home.write("sweep.yaml", crate::home::QUICK_TOY.replace("name: toy,", &step));
    home
}

/// What trials came to, whatever they are called: how long a step takes is part of a name.
fn without_names(essence: &[String]) -> std::collections::BTreeSet<&str> {
    essence.iter().filter_map(|line| line.split_once(' ')).map(|(_, rest)| rest).collect()
}

fn epochs(folder: &TrialFolder) -> Vec<u64> {
    let attempts = folder.attempts().expect("attempts");
    let records = attempts.into_iter().flat_map(|attempt| {
        journal::replay::<Event>(&folder.journal(attempt)).expect("journal").records
    });
    let epoch = |event| match event {
        Event::EpochEnded { epoch, .. } => Some(epoch),
        _ => None,
    };
    records.filter_map(|record| epoch(record.body)).collect()
}

fn is_begun(home: &Home) -> bool {
    home.trials("quick").values().any(|folder| !epochs(folder).is_empty())
}

fn results_of_the_slow() -> &'static [String] {
    static ESSENCE: OnceLock<Vec<String>> = OnceLock::new();
    ESSENCE.get_or_init(|| {
        let home = slow_home();
        home.ok(&SUBMIT);
        home.essence("quick")
    })
}

#[test]
fn a_controller_killed_while_it_waits_takes_no_trial_with_it() {
    let home = home_of_steps("0.3");
    let mut first = home.command(&SUBMIT).stderr(Stdio::null()).spawn().expect("controller");
    home.wait_until("the first epoch", is_begun);
    first.kill().expect("kill");
    first.wait().expect("wait");
    assert!(home.states("quick").contains(&"running".to_owned()), "the test came too late");
    home.ok(&SUBMIT);
    check(&home, "killed while waiting");
    let essence = home.essence("quick");
    assert_eq!(without_names(&essence), without_names(results_of_the_slow()));
}

#[test]
fn two_controllers_at_once_submit_once() {
    let home = slow_home();
    let start = || home.command(&SUBMIT).stderr(Stdio::piped()).spawn().expect("controller");
    let both = [start(), start()];
    for controller in both {
        let output = controller.wait_with_output().expect("wait");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}\n{said}", output.status);
    }
    check(&home, "two controllers");
    assert_eq!(home.essence("quick"), results_of_the_slow());
}

#[test]
fn cancelled_trials_stop_and_go_on_when_they_are_wanted_again() {
    // So slow that none finishes before a busy machine has started `cancel`.
    let home = home_of_steps("0.6");
    home.ok(&["submit", "sweep.yaml", "--scheduler", "local", "--slots", "2"]);
    home.wait_until("the first epoch", is_begun);
    home.ok(&["cancel", "quick"]);
    home.wait_until("the end of all", |home| {
        home.ok(&["status", "quick"]);
        home.states("quick") == ["cancelled"; 4]
    });
    home.ok(&SUBMIT[..6]);
    assert_eq!(home.states("quick"), ["cancelled"; 4], "a submission does not undo a cancel");
    home.ok(&["resume", "quick", "--state", "cancelled", "--wait", "--poll", "0.05"]);
    assert_eq!(home.states("quick"), ["finished"; 4]);
    let essence = home.essence("quick");
    assert_eq!(without_names(&essence), without_names(results_of_the_slow()));
    for folder in home.trials("quick").values() {
        assert_eq!(epochs(folder), [1, 2, 3], "an epoch was done twice");
    }
}

#[test]
fn what_befalls_the_controller_does_not_befall_its_workers() {
    let home = Home::with_quick_toy();
    // Points that only workers pass.
    let faults = "checkpoint.save=kill,claim.create=kill,checkpoint.manifest=kill";
    assert!(!is_killed(&home, faults));
    check(&home, "no leak");
}
