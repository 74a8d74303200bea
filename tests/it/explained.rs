//! `regatta explain` on a real SLURM: ends that somebody made, and what is told of them.

#![expect(clippy::disallowed_methods, reason = "tests read the environment")]

use nix::sys::signal::{Signal, kill};

use crate::cluster::Cluster;
use crate::situation::{Plan, Situation, side_by_side};
use crate::stage::skip;

#[test]
fn ends_on_a_real_cluster_are_explained() {
    if std::env::var("REGATTA_TEST_SLURM").as_deref() != Ok("1") {
        return skip("ends_on_a_real_cluster_are_explained", "slurm: REGATTA_TEST_SLURM is not 1");
    }
    let cluster = Cluster::start(&["--nodes", "3", "--cpus", "1", "--gpus", "0"]);
    let cluster = &cluster;
    let told = side_by_side(vec![
        Box::new(|| a_scancel_by_hand(cluster)),
        Box::new(|| time_used_up(cluster)),
        Box::new(|| killed_outright(cluster)),
    ]);
    told.iter().for_each(|line| println!("{line}"));
}

/// State, rule and the whole answer as one text.
fn explained(situation: &Situation<'_>) -> (String, String, String) {
    let home = &situation.home;
    let trial = home.trials(situation.name).into_keys().next().expect("one").to_string();
    // Scans of the queue are a minute old at most; what is told must be newer here.
    let state = || {
        home.ok(&["tick", situation.name]);
        home.json(&["explain", &trial])
    };
    let mut value = state();
    for _ in 0..60 {
        let word = value["state"].as_str().expect("state").to_owned();
        if !["submitted", "running", "waiting"].contains(&word.as_str()) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
        value = state();
    }
    let word = |value: &serde_json::Value| value.as_str().expect("word").to_owned();
    let text = home.ok(&["explain", &trial]).out;
    (word(&value["state"]), word(&value["rule"]["name"]), text)
}

fn a_scancel_by_hand(cluster: &Cluster) -> String {
    let plan = Plan { place: "partition: low, time: '00:05:00'", ..Plan::USUAL };
    let situation = Situation::new(cluster, "scancelled", plan).submitted();
    let story = situation.wait("trains", |story| story.trains(1));
    let (task, _) = situation.place(&story);
    cluster.say("scancel", &[&task]);
    let (state, rule, text) = explained(&situation);
    assert_eq!((state.as_str(), rule.as_str()), ("cancelled", "cancelled_by_scancel"), "{text}");
    for words in
        ["asked to stop at", "told to terminate", "the task ended: CANCELLED", "regatta resume"]
    {
        assert!(text.contains(words), "{words}\n{text}");
    }
    format!("explain: {state} by {rule}")
}

fn time_used_up(cluster: &Cluster) -> String {
    let plan = Plan {
        place: "partition: low, time: '00:05:00'",
        more: "policy: { timed_out: stop, preempted: stop }",
        ..Plan::USUAL
    };
    let situation = Situation::new(cluster, "timedout", plan);
    let file = std::fs::read_to_string(situation.home.at("sweep.yaml")).expect("sweep");
    let file = file.replace("budget: {", "budget: { margin: 1s, max_attempt_time: 8s,");
    situation.home.write("sweep.yaml", file);
    let situation = situation.submitted();
    situation.wait("ends", |story| story.end(1).is_some());
    let (state, rule, text) = explained(&situation);
    assert_eq!((state.as_str(), rule.as_str()), ("timed_out", "stopped_by_reason"), "{text}");
    for words in
        ["exit code 75:0, on n", "its time is nearly used up", "policy submits nothing again"]
    {
        assert!(text.contains(words), "{words}\n{text}");
    }
    format!("explain: {state} by {rule}")
}

fn killed_outright(cluster: &Cluster) -> String {
    let plan = Plan { place: "partition: low, time: '00:05:00'", ..Plan::USUAL };
    let situation = Situation::new(cluster, "killed", plan).submitted();
    let story = situation.wait("trains", |story| story.trains(1));
    kill(story.process(1), Signal::SIGKILL).expect("kill -9");
    let (state, rule, text) = explained(&situation);
    assert_eq!((state.as_str(), rule.as_str()), ("failed", "killed_by_schedulers_word"), "{text}");
    for words in ["no proof", "the task ended: FAILED, exit code 137:0", "on n", "regatta retry"] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    format!("explain: {state} by {rule}")
}
