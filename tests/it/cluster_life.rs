//! The main job on a real SLURM: submit, preempt, kill the controller, cancel, ask for the best.

#![expect(clippy::disallowed_methods, reason = "tests start processes and read the environment")]

use std::collections::BTreeMap;
#[cfg(feature = "train")]
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::Cluster;
use crate::home::Home;
use crate::stage::skip;

/// Two nodes with room for two tasks each.
const NODES: [&str; 4] = ["--nodes", "2", "--cpus", "2"];

pub(crate) fn wanted(name: &str) -> bool {
    let wanted = std::env::var("REGATTA_TEST_SLURM").as_deref() == Ok("1");
    if !wanted {
        skip(name, "slurm: REGATTA_TEST_SLURM is not 1");
    }
    wanted
}

pub(crate) fn home_on(cluster: &Cluster) -> Home {
    let mut home = Home::new();
    home.set("SLURM_CONF", cluster.conf().display().to_string());
    home
}

/// A toy sweep of four trials that each train for about `seconds`.
fn toy(name: &str, seconds: f64) -> String {
    format!(
        "name: {name}\nfixed:\n  model: {{ name: toy, steps_per_epoch: 20, step_seconds: {} }}\n  epochs: 5\n\
         grid:\n  optimizer.lr: [1e-2, 1e-1]\n  batch_size: [4, 8]\n\
         resources: {{ partition: low, time: '00:05:00', cpus: 1, mem: 50M }}\n",
        seconds / 100.0
    )
}

/// Waits until something is true of the trials of a sweep.
pub(crate) fn wait_until(
    home: &Home,
    sweep: &str,
    patience: u64,
    what: &str,
    good: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let start = Instant::now();
    loop {
        let trials =
            home.json(&["trials", sweep])["trials"].as_array().cloned().unwrap_or_default();
        if good(&trials) {
            return trials;
        }
        let waited = start.elapsed().as_secs();
        assert!(
            waited < patience,
            "not within {patience} s: {what}\n{trials:#?}\n{}",
            logs(home, sweep)
        );
        std::thread::sleep(Duration::from_millis(300));
    }
}

pub(crate) fn logs(home: &Home, sweep: &str) -> String {
    let folder = home.at("runs").join(sweep).join("logs");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .map(|file| {
            format!(
                "--- {:?}\n{}",
                file.file_name(),
                std::fs::read_to_string(file.path()).unwrap_or_default()
            )
        })
        .collect()
}

fn weights(home: &Home, sweep: &str) -> BTreeMap<String, String> {
    let folder = home.at("runs").join(sweep);
    let trials = home.json(&["trials", sweep]);
    let ids = trials["trials"]
        .as_array()
        .expect("trials")
        .iter()
        .map(|t| t["trial"].as_str().expect("id").to_owned());
    ids.map(|id| {
        let result =
            std::fs::read_to_string(folder.join(&id).join("result.json")).expect("a result");
        let result: Value = serde_json::from_str(&result).expect("json");
        (id, result["weights_sha256"].as_str().expect("hash").to_owned())
    })
    .collect()
}

pub(crate) fn state_is(trial: &Value, state: &str) -> bool {
    trial["state"] == state
}

pub(crate) fn attempts(trial: &Value) -> u64 {
    trial["attempts"].as_u64().unwrap_or(0)
}

/// Starts `submit --wait` and leaves it running.
fn waiting(home: &Home, sweep: &str) -> Child {
    home.command(&["submit", sweep, "--wait", "--poll", "2"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start")
}

#[test]
fn a_preempted_trial_comes_back_and_the_others_are_not_disturbed() {
    if !wanted("a_preempted_trial_comes_back_and_the_others_are_not_disturbed") {
        return;
    }
    let cluster = Cluster::start(&NODES);
    let home = home_on(&cluster);
    home.write("toy.yaml", toy("toy", 20.0));
    home.ok(&["submit", "toy.yaml"]);
    wait_until(&home, "toy", 90, "all four train", |trials| {
        trials.len() == 4 && trials.iter().all(|t| t["epochs_done"].as_u64() > Some(0))
    });
    // One task's room on the first node is wanted for something more important.
    cluster.say(
        "sbatch",
        &[
            "-p",
            "high",
            "-w",
            "n1",
            "-c",
            "1",
            "--mem=50M",
            "--output=/dev/null",
            "--wrap",
            "sleep 3",
        ],
    );
    // No regatta command runs from here on but questions: it comes back by itself.
    let trials = wait_until(&home, "toy", 240, "all finish", |trials| {
        trials.iter().all(|t| state_is(t, "finished"))
    });
    let mut counts: Vec<u64> = trials.iter().map(attempts).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 1, 1, 2], "{}", logs(&home, "toy"));
    let cut = trials.iter().find(|t| attempts(t) == 2).expect("the preempted one");
    let shown = home.json(&["show", cut["trial"].as_str().expect("id")]);
    assert_eq!(shown["attempts_made"][0]["outcome"], "stopped", "{shown:#}");
    assert!(shown["attempts_made"][1]["resumed_from"].is_string(), "{shown:#}");
    // The same sweep on this machine, undisturbed, ends with the same weights.
    let quiet = Home::new();
    quiet.write("toy.yaml", toy("toy", 0.0));
    let same = |weights: BTreeMap<String, String>| {
        weights.into_values().collect::<std::collections::BTreeSet<_>>()
    };
    quiet.ok(&["submit", "toy.yaml", "--scheduler", "local", "--wait"]);
    assert_eq!(same(weights(&home, "toy")), same(weights(&quiet, "toy")));
}

#[test]
fn a_killed_controller_submits_nothing_twice_and_a_scancel_is_not_undone() {
    if !wanted("a_killed_controller_submits_nothing_twice_and_a_scancel_is_not_undone") {
        return;
    }
    let cluster = Cluster::start(&NODES);
    let home = home_on(&cluster);
    home.write("toy.yaml", toy("toy", 10.0)).write("slow.yaml", toy("slow", 60.0));
    let mut controller = waiting(&home, "toy.yaml");
    wait_until(&home, "toy", 90, "something trains", |trials| {
        trials.iter().any(|t| attempts(t) > 0)
    });
    controller.kill().expect("kill -9");
    controller.wait().expect("gone");
    let again = home.type_in(&["submit", "toy.yaml", "--wait", "--poll", "2"]);
    assert_eq!(again.code, 0, "{}{}", again.err, logs(&home, "toy"));
    assert!(again.err.contains("left alone: 4 in flight"), "{}", again.err);
    let trials = home.json(&["trials", "toy"]);
    assert!(
        trials["trials"].as_array().expect("trials").iter().all(|t| attempts(t) == 1),
        "{trials:#}"
    );
    let before = home.json(&["rebuild"])["content_hash"].clone();
    assert_eq!(home.json(&["rebuild"])["content_hash"], before);

    home.ok(&["submit", "slow.yaml"]);
    wait_until(&home, "slow", 90, "all four train", |trials| {
        trials.iter().all(|t| attempts(t) > 0)
    });
    let job = cluster.say("squeue", &["-h", "-t", "R", "-o", "%F"]);
    let job = job.lines().next().expect("a job").trim().to_owned();
    cluster.say("scancel", &[&format!("{job}_0")]);
    home.ok(&["cancel", "slow", "--state", "submitted", "--state", "running", "--quiet"]);
    // SLURM may keep a cancelled task as COMPLETING until it asks the node again, many minutes later.
    let completing = |t: &Value| t["why"].as_str().is_some_and(|why| why.contains("COMPLETING"));
    let gone = |t: &Value| state_is(t, "cancelled") || completing(t);
    wait_until(&home, "slow", 400, "all end", |trials| trials.iter().all(gone));
    // Nothing starts them again.
    std::thread::sleep(Duration::from_secs(12));
    assert_eq!(cluster.say("squeue", &["-h", "-t", "PD,R,S"]).trim(), "");
    let after = home.json(&["trials", "slow"]);
    assert!(
        after["trials"].as_array().expect("trials").iter().all(|t| attempts(t) == 1 && gone(t)),
        "{after:#}"
    );
}

/// Slices of the larva's nerve cord, where somebody put them.
#[cfg(feature = "train")]
fn slices() -> Option<PathBuf> {
    let named = std::env::var_os("REGATTA_TEST_DATA").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = named.unwrap_or_else(beside).join("drosophila-vnc");
    folder.join("split.csv").is_file().then(|| folder.canonicalize().expect("a path"))
}

#[cfg(feature = "train")]
#[test]
fn a_sweep_of_unets_on_real_slices_beats_a_threshold() {
    let name = "a_sweep_of_unets_on_real_slices_beats_a_threshold";
    let Some(data) = slices() else {
        return skip(
            name,
            "data: no folder drosophila-vnc under REGATTA_TEST_DATA or ../shared/data",
        );
    };
    if !wanted(name) {
        return;
    }
    // One task a node: two train at the same time, as this machine has cores.
    let cluster = Cluster::start(&["--nodes", "2", "--cpus", "1", "--mem", "8000"]);
    let home = home_on(&cluster);
    home.write("vnc.yaml", include_str!("vnc.yaml").replace("DATA", &data.display().to_string()));
    let start = Instant::now();
    let mut controller = waiting(&home, "vnc.yaml");
    wait_until(&home, "vnc", 180, "an epoch ends", |trials| {
        trials.iter().any(|t| t["epochs_done"].as_u64() > Some(0))
    });
    cluster.say(
        "sbatch",
        &[
            "-p",
            "high",
            "-w",
            "n1",
            "-c",
            "1",
            "--mem=50M",
            "--output=/dev/null",
            "--wrap",
            "sleep 1",
        ],
    );
    let code = controller.wait().expect("the end").code();
    assert_eq!(code, Some(0), "{}", logs(&home, "vnc"));
    let seconds = start.elapsed().as_secs();
    let trials = home.json(&["trials", "vnc"]);
    let counts: Vec<u64> =
        trials["trials"].as_array().expect("trials").iter().map(attempts).collect();
    assert_eq!(
        counts.iter().sum::<u64>(),
        5,
        "one of them was preempted once: {counts:?}\n{}",
        logs(&home, "vnc")
    );

    let best = &home.json(&["best", "vnc"])["trials"][0];
    let value = best["value"].as_f64().expect("a value");
    println!("best val/jaccard {value} after {seconds} s: {best}");
    assert!(value > 0.255, "blur, threshold and area filter reach 0.255; this is {value}");
    home.ok(&["predict", best["trial"].as_str().expect("id"), "--split", "val", "-o", "masks"]);
    let recount = std::process::Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/recount"))
        .args([home.at("masks"), data.join("masks")])
        .output()
        .expect("python3");
    let recount: Value = serde_json::from_slice(&recount.stdout).expect("json");
    assert_eq!(recount["files"], 3);
    let difference = (recount["jaccard"].as_f64().expect("a value") - value).abs();
    assert!(difference < 1e-6, "regatta says {value}, Python {recount}");
}
