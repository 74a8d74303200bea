//! The built programs: what they link, and what their views look like from outside.

use std::path::Path;

use crate::home::{Home, QUICK_TOY, controller};

/// As it is built for users: by itself.
#[test]
fn the_controller_carries_no_libtorch() {
    let program = controller();
    if cfg!(feature = "train") && program == Path::new(env!("CARGO_BIN_EXE_regatta")) {
        return;
    }
    let output = std::process::Command::new("ldd").arg(program).output().expect("ldd");
    let links = String::from_utf8_lossy(&output.stdout);
    assert!(links.contains("libc.so"), "{links}");
    assert!(!links.contains("torch") && !links.contains("c10"), "{links}");
}

#[test]
fn a_sweep_ends_with_a_word_to_whoever_asked_for_it() {
    let home = Home::new();
    home.write("quick.yaml", format!("{QUICK_TOY}notify: {{ command: \"cat > told.txt\" }}\n"));
    home.ok(&["submit", "quick.yaml", "--scheduler", "local", "--wait"]);
    let told = std::fs::read_to_string(home.at("told.txt")).expect("somebody was told");
    assert!(told.starts_with("sweep quick has ended\n"), "{told}");
    assert_eq!(told.matches(" finished best ").count(), 4, "{told}");
}

#[test]
fn doctor_and_check_say_what_they_found() {
    let home = Home::new();
    home.write("quick.yaml", QUICK_TOY);
    let found = home.json(&["doctor"]);
    let of = |name: &str| {
        found["findings"].as_array().expect("list").iter().find(|f| f["check"] == name).cloned()
    };
    for promise in ["folder rename", "folder exclusive", "folder append+sync", "folder lock"] {
        assert_eq!(of(promise).expect("a finding")["ok"], true, "{promise}");
    }
    assert!(!home.at("runs").exists(), "doctor left something behind");
    let checks = home.json(&["check", "quick.yaml"]);
    let results: Vec<_> =
        checks["checks"].as_array().expect("list").iter().map(|c| c["result"].clone()).collect();
    assert!(!results.iter().any(|result| result == "failed"), "{checks:#}");
    assert!(!home.at("runs").exists(), "check left something behind");
}

#[test]
fn a_damaged_database_is_made_again_from_the_journals() {
    let home = Home::with_quick_toy();
    home.ok(&["submit", "sweep.yaml", "--scheduler", "local", "--wait"]);
    let before = home.json(&["rebuild"])["content_hash"].clone();
    home.write("runs/regatta.db", "garbage").write("runs/regatta.db-wal", "more of it");
    // Until then the journals answer by themselves.
    let answer = home.ok(&["best", "quick"]);
    assert!(answer.err.contains("`regatta rebuild`"), "{}", answer.err);
    assert_eq!(home.json(&["rebuild"])["content_hash"], before);
    home.ok(&["best", "quick"]);
}

#[test]
fn a_job_that_died_before_its_worker_can_be_read() {
    let mut home = Home::with_quick_toy();
    home.write("worker.sh", "#!/bin/sh\necho 'no such library' >&2\nexit 127\n");
    let program = home.at("worker.sh");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("mode");
    home.set("REGATTA_WORKER", program.display().to_string());
    assert_eq!(home.type_in(&["submit", "sweep.yaml", "--scheduler", "local", "--wait"]).code, 3);
    let trials = home.json(&["trials", "quick"]);
    let trial = trials["trials"][0]["trial"].as_str().expect("id");
    assert!(home.ok(&["logs", trial]).out.contains("no such library"));
}
