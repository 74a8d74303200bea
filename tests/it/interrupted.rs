//! Ctrl-C while `submit --wait` waits: the command leaves with a word of what comes next, the jobs go on, and
//! nothing is half written.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use nix::pty::openpty;
use nix::sys::signal::Signal;
use regatta::event::Act;
use regatta::journal;
use regatta::store::{Mode, Store};
use serde_json::json;

use crate::home::{Home, SUBMIT};
use crate::stage::skip;
use crate::worker_process::send;

/// The exit code where not all trials are finished.
const UNFINISHED: Option<i32> = Some(3);

/// Starts a command that waits; what it says goes into the file `said`.
fn waiting(home: &Home, words: &[&str]) -> Child {
    let said = File::create(home.at("said")).expect("a file");
    let mut command = home.command(words);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn().expect("start")
}

fn said(home: &Home) -> String {
    std::fs::read_to_string(home.at("said")).expect("what it said")
}

/// Waits until it has left, and returns its exit code.
fn left(home: &Home, mut child: Child) -> Option<i32> {
    let mut code = None;
    home.wait_until("the command to leave", |_| {
        code = child.try_wait().expect("state");
        code.is_some()
    });
    code.expect("an end").code()
}

/// The controller's journal is whole and tells of one submission that was heard.
fn assert_one_whole_submission(home: &Home) {
    let path = home.root().sweep("quick").controller_journal();
    let found = journal::replay::<Act>(&path).expect("journal");
    assert_eq!(found.bad, 0, "damaged lines");
    let count = |which: fn(&Act) -> bool| found.records.iter().filter(|r| which(&r.body)).count();
    assert_eq!(count(|act| matches!(act, Act::Intent { .. })), 1);
    assert_eq!(count(|act| matches!(act, Act::Accepted { .. })), 1);
}

/// Of no file a part lies about.
fn assert_no_part_of_a_file(home: &Home) {
    let over: Vec<_> = home.files().into_iter().filter(|name| name.ends_with(".tmp")).collect();
    assert!(over.is_empty(), "{over:?}");
}

#[tokio::test]
async fn a_look_that_slurm_does_not_answer_is_left() {
    let home = Home::on_fake_slurm();
    // Longer than an answer of SLURM is waited for.
    home.write("answers/squeue.sleep", "40");
    let child = waiting(&home, &["submit", "sweep.yaml", "--wait"]);
    home.wait_until("a question to squeue", |home| home.calls("squeue") > 0);
    send(&child, Signal::SIGINT);
    assert_eq!(left(&home, child), UNFINISHED, "{}", said(&home));
    let told = said(&home);
    let next =
        "the jobs go on: `regatta status quick` shows them, `regatta cancel quick` ends them";
    assert!(told.contains(next), "{told}");
    assert!(!told.contains("does not answer"), "it waited until the look was over: {told}");

    assert_one_whole_submission(&home);
    assert_no_part_of_a_file(&home);
    let mut store = Store::open(&home.root().database(), Mode::ReadOnly).await.expect("store");
    let collected = store.content_hash().await.expect("hash");
    drop(store);
    assert_eq!(home.json(&["rebuild"])["content_hash"], collected);

    // Nobody cancelled anything, and whoever comes next takes it up.
    std::fs::remove_file(home.at("answers/squeue.sleep")).expect("awake");
    home.queue(&["RUNNING"; 4]);
    let status = home.json(&["status", "quick"]);
    assert_eq!(status["sweeps"][0]["states"], json!({ "running": 4 }));
    let again = home.ok(&["submit", "sweep.yaml"]);
    assert!(again.err.contains("left alone: 4 in flight"), "{}", again.err);
    assert_eq!((home.calls("sbatch"), home.calls("scancel")), (1, 0));
}

#[test]
fn the_time_between_two_looks_is_cut_short() {
    let home = Home::on_fake_slurm();
    home.ok(&["submit", "sweep.yaml"]);
    home.queue(&["RUNNING"; 4]);
    // The usual folder by another name, which has to be typed again.
    let words = ["--root", "./runs", "submit", "sweep.yaml", "--wait", "--poll", "600"];
    let child = waiting(&home, &words);
    home.wait_until("the first look", |home| said(home).matches("  running").count() == 4);
    let asked = home.calls("squeue");
    send(&child, Signal::SIGINT);
    assert_eq!(left(&home, child), UNFINISHED, "{}", said(&home));
    let told = said(&home);
    assert!(told.contains("the jobs go on: `regatta --root ./runs status quick`"), "{told}");
    assert_eq!(home.calls("squeue"), asked, "it looked once more: {told}");
    assert_eq!((home.calls("sbatch"), home.calls("scancel")), (1, 0));
    assert_one_whole_submission(&home);
    assert_no_part_of_a_file(&home);
}

/// Starts a command in a terminal of its own, and returns the keyboard, too.
fn in_terminal(home: &Home, words: &[&str]) -> (Child, File) {
    let pair = openpty(None, None).expect("terminal");
    let inner = home.command(words);
    // The terminal belongs to a session; setsid makes one and becomes the command.
    let mut command = Command::new("setsid");
    command.arg("--ctty").arg(inner.get_program()).args(inner.get_args()).current_dir(home.path());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let said = File::create(home.at("said")).expect("a file");
    command.stdin(pair.slave).stdout(Stdio::null()).stderr(said);
    (command.spawn().expect("start"), pair.master.into())
}

#[test]
fn ctrl_c_in_a_terminal_that_is_then_closed_reaches_no_trial_of_this_machine() {
    let test = "ctrl_c_in_a_terminal_that_is_then_closed_reaches_no_trial_of_this_machine";
    if Command::new("setsid").arg("--version").stdout(Stdio::null()).status().is_err() {
        skip(test, "setsid is missing");
        return;
    }
    let mut home = Home::with_quick_toy();
    // Workers that do not begin to train before they are let.
    let worker = "#!/bin/sh\necho $$ >>'HOME/begun'\n\
                  while [ ! -e 'HOME/go' ]; do [ -d 'HOME' ] || exit 1; sleep 0.05; done\n\
                  exec 'WORKER' \"$@\"\n";
    let worker = worker.replace("HOME", &home.path().display().to_string());
    home.write("worker.sh", worker.replace("WORKER", env!("CARGO_BIN_EXE_regatta-worker")));
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(home.at("worker.sh"), mode).expect("mode");
    let program = home.at("worker.sh").display().to_string();
    home.set("REGATTA_WORKER", program);

    let (child, mut keyboard) = in_terminal(&home, &SUBMIT);
    let begun = |home: &Home| std::fs::read_to_string(home.at("begun")).unwrap_or_default();
    home.wait_until("all workers", |home| begun(home).lines().count() == 4);
    keyboard.write_all(b"\x03").expect("Ctrl-C");
    assert_eq!(left(&home, child), UNFINISHED, "{}", said(&home));
    drop(keyboard);
    let told = said(&home);
    assert!(told.contains("the jobs go on: `regatta status quick`"), "{told}");
    assert_one_whole_submission(&home);

    home.write("go", "");
    home.wait_until("the end of all trials", |home| {
        home.states("quick").iter().all(|state| state == "finished")
    });
    assert_eq!(begun(&home).lines().count(), 4, "none was begun anew");
}
