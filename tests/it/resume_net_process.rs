//! The real program with libtorch, ended by signals, by `kill -9` and by its time.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the program under test is started here; a failure shows what was tried"
)]

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regatta::clock::{Clock, SystemClock};
use regatta::event::Event;
use regatta::layout::{self, TrialFolder};
use serde_json::{Value, json};

use crate::resume_net::{assignment, below, drawn, essence, events, gave_up, some_seed};

/// Writes the trial that all are, into a folder of its own.
fn trial(home: &Path, name: &str) -> TrialFolder {
    let data = home.join("data");
    if !data.exists() {
        drawn(&data);
    }
    let mut assignment = assignment(
        &data,
        &vec![
            ("model", json!({ "name": "unet", "base": 4, "depth": 2, "dropout": 0.3 })),
            ("schedule", json!({ "name": "warmup_cosine", "warmup_epochs": 1 })),
            ("gradient_accumulation", json!(2)),
            ("samples_per_epoch", json!(30)),
            ("epochs", json!(8)),
        ],
    );
    assignment.budget.margin = 0.05;
    assignment.budget.checkpoint_every = 0.1;
    let folder = TrialFolder::new(home.join(name));
    layout::create_folder(folder.path()).expect("folder");
    let json = serde_json::to_vec(&assignment).expect("json");
    layout::write_atomic(&folder.assignment(), &json).expect("trial.json");
    folder
}

fn worker(folder: &TrialFolder, threads: u32) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regatta-worker"));
    command.args(["run", "--trial"]).arg(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.env_remove("REGATTA_FAULTS").env("OMP_NUM_THREADS", threads.to_string());
    command
}

fn finish(folder: &TrialFolder, threads: u32) {
    let code = worker(folder, threads).status().expect("worker").code();
    if code == Some(0) || !gave_up(folder) {
        assert_eq!(code, Some(0));
        return;
    }
    assert_eq!(worker(folder, threads).status().expect("worker").code(), Some(0));
}

/// Starts an attempt and waits until it trains.
fn start(folder: &TrialFolder) -> Child {
    let mut child = worker(folder, 1).spawn().expect("worker");
    let clock = SystemClock::new();
    let begun = |pid: u32| {
        let attempts = folder.attempts().ok()?;
        let claim = std::fs::read_to_string(folder.claim(*attempts.last()?)).ok()?;
        let claim: Value = serde_json::from_str(&claim).ok()?;
        let journal = std::fs::read_to_string(folder.journal(*attempts.last()?)).ok()?;
        Some(claim["pid"] == pid && journal.contains(r#""started""#))
    };
    let pid = child.id();
    while begun(pid) != Some(true) && child.try_wait().expect("child").is_none() {
        assert!(clock.monotonic() < Duration::from_secs(60), "it does not begin");
        clock.sleep(Duration::from_millis(2));
    }
    child
}

/// Cuts an attempt at a random moment. Says whether it came before the end.
fn cut(folder: &TrialFolder, seed: &mut u64) -> bool {
    if below(seed, 3) == 0 {
        let seconds = 0.3 + 0.001 * f64::from(u32::try_from(below(seed, 700)).expect("small"));
        let status = worker(folder, 1).args(["--time-left", &seconds.to_string()]).status();
        let code = status.expect("worker").code();
        assert!(matches!(code, Some(0 | 75)) || gave_up(folder), "{code:?}");
        return code == Some(75);
    }
    let signal = if below(seed, 2) == 0 { Signal::SIGTERM } else { Signal::SIGKILL };
    let mut child = start(folder);
    SystemClock::new().sleep(Duration::from_millis(below(seed, 500)));
    if child.try_wait().expect("child").is_none() {
        // A child that nobody has waited for keeps its number.
        kill(Pid::from_raw(i32::try_from(child.id()).expect("pid")), signal).expect("signal");
    }
    let status = child.wait().expect("wait");
    let was_cut = status.code() == Some(75) || status.signal() == Some(9);
    assert!(was_cut || status.code() == Some(0) || gave_up(folder), "{signal}: {status:?}");
    was_cut
}

fn check_cases(cases: u32) {
    let home = tempfile::tempdir().expect("folder");
    let uncut = trial(home.path(), "uncut");
    finish(&uncut, 1);
    let expected = essence(&uncut);
    let (mut seed, mut cuts, mut resumed) = (some_seed(), 0, 0);
    for case in 0..cases {
        let folder = trial(home.path(), &format!("case-{case}"));
        for _ in 0..=below(&mut seed, 2) {
            cuts += u32::from(cut(&folder, &mut seed));
        }
        finish(&folder, 1);
        assert_eq!(essence(&folder), expected, "case {case}");
        let attempts = folder.attempts().expect("attempts");
        let is_resume =
            |event: &Event| matches!(event, Event::Started { resumed_from: Some(_), .. });
        let resumes = attempts.iter().flat_map(|attempt| events(&folder, *attempt));
        resumed += resumes.filter(is_resume).count();
    }
    println!("{cases} cases: {cuts} cuts, {resumed} resumed from a checkpoint");
    assert!(cuts >= cases / 2 && resumed >= 1, "{cuts} cuts, {resumed} resumed");
}

#[test]
fn programs_that_were_ended_at_random_moments_end_as_an_uncut_one() {
    check_cases(10);
}

#[test]
#[ignore = "a hundred programs are killed: minutes"]
fn a_hundred_programs_that_were_ended_at_random_moments_end_as_an_uncut_one() {
    check_cases(100);
}

fn verified(home: &Path, threads: &str, args: &[&str]) -> Output {
    let folder = trial(home, "own");
    let mut command = Command::new(env!("CARGO_BIN_EXE_regatta-worker"));
    command.args(["verify-resume", "--json", "--trial"]).arg(folder.path()).args(args);
    command.arg("--dir").arg(home).env("OMP_NUM_THREADS", threads).env_remove("RUST_LOG");
    command.stdin(Stdio::null()).output().expect("worker")
}

/// Verifies the trial with so many threads; nothing may be left behind.
fn check_verified(threads: u32) {
    let home = tempfile::tempdir().expect("folder");
    let args = ["--steps", "4", "--cuts", "3"];
    let output = verified(home.path(), &threads.to_string(), &args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("json");
    assert_eq!(report["equal"], true);
    assert_eq!((&report["steps_per_epoch"], &report["epochs"]), (&json!(4), &json!(2)));
    assert_eq!(report["threads"], threads);
    assert_eq!(layout::list(&home.path().join("own")).expect("list"), ["trial.json"]);
    assert_eq!(std::fs::read_dir(home.path()).expect("list").count(), 2, "something was left");
}

#[test]
fn a_network_is_verified() {
    check_verified(1);
}

#[test]
#[ignore = "slow where the processors are shared: threads wait for each other"]
fn a_network_is_verified_with_two_threads() {
    check_verified(2);
}

/// No assertion on the outcome: whether another number of threads gives the same bits is a property
/// of the library and the machine. Whether the same number does is not.
#[test]
#[ignore = "a measurement for the documentation"]
fn what_another_number_of_threads_does() {
    let home = tempfile::tempdir().expect("folder");
    let of = |name: &str, threads| {
        let folder = trial(home.path(), name);
        finish(&folder, threads);
        essence(&folder)
    };
    let one = of("one", 1);
    assert_eq!(of("one-again", 1), one);
    let two = of("two", 2);
    assert_eq!(of("two-again", 2), two);
    println!("1 and 2 threads give the same bits: {}\n{one}\n{two}", one == two);
}
