//! A real SLURM whose controller is killed, is away, and comes back; and our controller killed beside it.

use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use regatta::event::Act;
use regatta::journal;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::cluster_life::{attempts, home_on, logs, state_is, wait_until, wanted};
use crate::home::Home;

/// A toy sweep of so many trials that each train for about `seconds`.
fn toy(trials: usize, seconds: f64) -> String {
    format!(
        "name: toy\nfixed:\n  model: {{ name: toy, steps_per_epoch: 10, step_seconds: {} }}\n  optimizer: {{ lr: 1e-2 }}\n  guards: {{ collapse_epochs: 0 }}\n  epochs: 4\n\
         repeats: {trials}\npolicy: {{ lost: {{ retry: 3, backoff: 1s }} }}\n\
         resources: {{ partition: low, time: '00:05:00', cpus: 1, mem: 50M }}\n",
        seconds / 40.0
    )
}

fn waiting(home: &Home) -> Child {
    home.command(&["submit", "toy.yaml", "--wait", "--poll", "2"])
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(home.at("said")).expect("a file"))
        .spawn()
        .expect("start")
}

/// Waits for a controller to end, and tidies up SLURM meanwhile.
fn code_of(cluster: &Cluster, home: &Home, mut controller: Child) -> Option<i32> {
    for _ in 0..200 {
        if let Some(status) = controller.try_wait().expect("state") {
            return status.code();
        }
        cluster.tidy_up();
        std::thread::sleep(Duration::from_secs(2));
    }
    controller.kill().expect("kill -9");
    let queue = cluster.say("squeue", &["-r"]);
    panic!("it never ends\n{queue}\n{}", said(home));
}

/// What the newest controller said, and the jobs.
fn said(home: &Home) -> String {
    let said = std::fs::read_to_string(home.at("said")).unwrap_or_default();
    format!("{said}\n{}", logs(home, "toy"))
}

/// All trials are finished, each was trained to its end once, and the database tells what the
/// journals tell.
fn check_the_end(home: &Home, count: usize) {
    let trials = home.json(&["trials", "toy"])["trials"].as_array().cloned().expect("trials");
    assert_eq!(trials.len(), count);
    assert!(trials.iter().all(|trial| state_is(trial, "finished")), "{trials:#?}");
    for trial in &trials {
        let shown = home.json(&["show", trial["trial"].as_str().expect("id")]);
        let made = shown["attempts_made"].as_array().expect("attempts");
        let finished = made.iter().filter(|attempt| attempt["outcome"] == "finished").count();
        assert_eq!(finished, 1, "{shown:#}");
    }
    let before = home.json(&["rebuild"])["content_hash"].clone();
    assert_eq!(home.json(&["rebuild"])["content_hash"], before);
}

fn jobs_accepted(home: &Home) -> usize {
    let path = home.root().sweep("toy").controller_journal();
    let records = journal::replay::<Act>(&path).expect("journal").records;
    records.iter().filter(|record| matches!(record.body, Act::Accepted { .. })).count()
}

#[test]
fn slurm_killed_right_after_a_submission_costs_no_trial() {
    if !wanted("slurm_killed_right_after_a_submission_costs_no_trial") {
        return;
    }
    let cluster = Cluster::start(&["--nodes", "2", "--cpus", "2"]);
    let home = home_on(&cluster);
    home.write("toy.yaml", toy(4, 4.0));
    home.ok(&["submit", "toy.yaml"]);
    cluster.stop_controller(Signal::SIGKILL);
    std::thread::sleep(Duration::from_secs(3));
    let silent = home.json(&["status"]);
    assert!(silent["sweeps"][0]["scheduler"]["silent"].is_string(), "{silent:#}");
    cluster.start_controller();
    let code = code_of(&cluster, &home, waiting(&home));
    assert_eq!(code, Some(0), "{}", said(&home));
    check_the_end(&home, 4);
    println!("jobs accepted: {}", jobs_accepted(&home));
}

#[test]
fn slurm_away_for_a_minute_is_waited_for() {
    if !wanted("slurm_away_for_a_minute_is_waited_for") {
        return;
    }
    let cluster = Cluster::start(&["--nodes", "2", "--cpus", "2"]);
    let home = home_on(&cluster);
    // More trials than places: some still wait when it goes away.
    home.write("toy.yaml", toy(6, 8.0));
    let mut controller = waiting(&home);
    wait_until(&home, "toy", 90, "something trains", |t| t.iter().any(|t| attempts(t) > 0));
    cluster.stop_controller(Signal::SIGTERM);
    std::thread::sleep(Duration::from_secs(60));
    assert!(controller.try_wait().expect("state").is_none(), "it gave up");
    cluster.start_controller();
    assert_eq!(code_of(&cluster, &home, controller), Some(0), "{}", said(&home));
    check_the_end(&home, 6);
    assert_eq!(jobs_accepted(&home), 1);
}

#[test]
fn a_controller_killed_at_any_moment_submits_fifty_trials_once() {
    if !wanted("a_controller_killed_at_any_moment_submits_fifty_trials_once") {
        return;
    }
    let cluster = Cluster::start(&["--nodes", "2", "--cpus", "8"]);
    let home = home_on(&cluster);
    home.write("toy.yaml", toy(50, 1.0));
    let seed = std::process::id();
    println!("seed {seed}");
    for turn in 0..5_u32 {
        let mut controller = waiting(&home);
        // Spread over the second in which a submission is made, and over what follows.
        let random = seed.wrapping_mul(2_654_435_761).rotate_left(turn * 6) % 1000;
        std::thread::sleep(Duration::from_millis(u64::from(random) * (1 + u64::from(turn))));
        controller.kill().expect("kill -9");
        controller.wait().expect("gone");
    }
    let code = code_of(&cluster, &home, waiting(&home));
    assert_eq!(code, Some(0), "{}", said(&home));
    check_the_end(&home, 50);
    let trials = home.json(&["trials", "toy"])["trials"].as_array().cloned().expect("trials");
    assert!(trials.iter().all(|trial: &Value| attempts(trial) == 1), "{trials:#?}");
    assert_eq!(jobs_accepted(&home), 1);
    assert_eq!(cluster.say("squeue", &["-h", "-t", "PD,R,S"]).trim(), "");
}
