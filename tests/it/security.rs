//! What SECURITY.md promises of files: their modes, links, sizes, names, and what is not in them.

#![expect(clippy::disallowed_methods, reason = "tests start processes and write files")]

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::home::{Home, QUICK_TOY, SUBMIT};

/// Everything below a folder, itself included, without following links.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    let mut next = 0;
    while next < found.len() {
        if found[next].symlink_metadata().expect("there").is_dir() {
            let entries = std::fs::read_dir(&found[next]).expect("a folder");
            found.extend(entries.map(|entry| entry.expect("entry").path()));
        }
        next += 1;
    }
    found
}

fn run(mut command: Command) -> (i32, String) {
    let output = command.output().expect("it starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

/// The controller with the given umask.
fn with_umask(home: &Home, umask: &str, words: &[&str]) -> (i32, String) {
    let plain = home.command(words);
    let mut command = Command::new("bash");
    command.args(["-c", &format!("umask {umask}; exec \"$@\""), "umask"]);
    command.arg(plain.get_program()).args(plain.get_args()).current_dir(home.path());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    run(command)
}

#[test]
fn a_whole_sweep_is_its_owners_alone_whatever_the_umask() {
    let home = Home::with_quick_toy();
    let (code, said) = with_umask(&home, "000", &SUBMIT);
    assert_eq!(code, 0, "{said}");
    for words in [
        &["status"][..],
        &["best", "quick"],
        &["rebuild"],
        &["tick"],
        &["submit", "sweep.yaml", "--stage-only"],
    ] {
        with_umask(&home, "000", words);
    }
    let all = below(&home.at("runs"));
    let mut seen = std::collections::BTreeSet::new();
    for path in &all {
        let found = path.symlink_metadata().expect("there");
        if found.is_symlink() {
            continue;
        }
        let most = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(found.mode() & 0o777, most, "{} {:o}", path.display(), found.mode());
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        seen.insert(name.rsplit('.').next().unwrap_or_default().to_owned());
    }
    for kind in
        ["db", "journal", "json", "jsonl", "sh", "log", "out", "lock", "safetensors", "yaml", "1"]
    {
        assert!(seen.contains(kind), "no file of the kind {kind} was looked at: {seen:?}");
    }
}

#[test]
fn a_root_that_is_there_keeps_its_mode_and_a_users_file_the_umask() {
    let home = Home::with_quick_toy();
    std::fs::create_dir(home.at("runs")).expect("root");
    std::fs::set_permissions(home.at("runs"), PermissionsExt::from_mode(0o755)).expect("mode");
    let (code, said) = with_umask(&home, "022", &SUBMIT);
    assert_eq!(code, 0, "{said}");
    let mode = |name: &str| home.at(name).metadata().expect("there").mode() & 0o777;
    assert_eq!((mode("runs"), mode("runs/quick")), (0o755, 0o700));
    let (code, said) = with_umask(&home, "022", &["init", "start"]);
    assert_eq!(code, 0, "{said}");
    for path in below(&home.at("start")) {
        let mode = path.metadata().expect("there").mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o755 } else { 0o644 }, "{}", path.display());
    }
}

#[test]
fn a_link_leads_nobody_out_of_the_root() {
    let home = Home::with_quick_toy();
    home.ok(&SUBMIT);
    let sweep = home.root().sweep("quick");
    let (_, trial) = home.trials("quick").into_iter().next().expect("a trial");
    let attempt = |home: &Home| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_regatta-worker"));
        command.args(["run", "--trial"]).arg(trial.path()).current_dir(home.path());
        run(command)
    };
    // A folder of a trial, then the sweep's own.
    for folder in [trial.claims(), trial.checkpoints().path().to_owned(), sweep.path().to_owned()] {
        let away = home.at("away");
        std::fs::rename(&folder, &away).expect("moved");
        symlink(&away, &folder).expect("link");
        let before = below(&away);
        if folder == sweep.path() {
            let answer = home.type_in(&["submit", "sweep.yaml", "--scheduler", "local"]);
            assert!(answer.code != 0 && answer.err.contains("is a link"), "{}", answer.err);
            assert_ne!(home.type_in(&["resume", "quick"]).code, 0);
        } else {
            let (code, said) = attempt(&home);
            assert!(code != 0 && said.contains("is a link"), "{}: {said}", folder.display());
        }
        assert_eq!(below(&away), before, "something was written through {}", folder.display());
        std::fs::remove_file(&folder).expect("removed");
        std::fs::rename(&away, &folder).expect("moved back");
    }
    home.ok(&["status", "quick"]);
    // A file of ours that leads to one of the user's.
    let target = home.at("bashrc");
    std::fs::write(&target, "mine\n").expect("target");
    for file in [sweep.controller_journal(), trial.journal(1), sweep.plan(), trial.claim(9)] {
        let _ = std::fs::remove_file(&file);
        symlink(&target, &file).expect("link");
        for words in
            [&["status", "quick"][..], &["resume", "quick"], &["rebuild"], &["logs", "quick"]]
        {
            let answer = home.type_in(words);
            assert!(!answer.out.contains("mine") && !answer.err.contains("mine"), "{words:?}");
        }
        assert_eq!(
            std::fs::read_to_string(&target).expect("target"),
            "mine\n",
            "{}",
            file.display()
        );
        std::fs::remove_file(&file).expect("removed");
    }
}

#[test]
fn a_name_leads_nowhere_else() {
    let home = Home::with_quick_toy();
    home.ok(&SUBMIT);
    home.write("elsewhere/controller.journal", "x");
    for name in [
        "../elsewhere",
        "..",
        ".",
        "/etc",
        "quick/../../elsewhere",
        "quick/jobs",
        "-x/y",
        "a\nb",
        ".local",
    ] {
        for verb in ["status", "best", "resume", "trials", "cancel", "logs", "show"] {
            let answer = home.type_in(&[verb, "--", name]);
            assert_ne!(answer.code, 0, "{verb} {name}: {}", answer.out);
        }
        home.write("evil.yaml", QUICK_TOY.replace("quick", &format!("{name:?}")));
        assert_ne!(home.type_in(&["submit", "evil.yaml", "--stage-only"]).code, 0, "{name}");
    }
    assert_eq!(std::fs::read(home.at("elsewhere/controller.journal")).expect("kept"), b"x");
    // A job file that names a trial's folder elsewhere.
    let jobs = home.root().sweep("quick").jobs();
    let path = jobs.join("evil.jsonl");
    let (id, trial) = home.trials("quick").into_iter().next().expect("a trial");
    let good = std::fs::read_to_string(trial.assignment()).expect("trial.json").replace('\n', "");
    for trial in ["../../elsewhere", "/etc/passwd", "..", "0123456789abcde/"] {
        std::fs::write(&path, good.replace(id.as_str(), trial)).expect("job file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_regatta-worker"));
        command.args(["run", "--job"]).arg(&path).args(["--index", "0"]).current_dir(home.path());
        let (code, said) = run(command);
        assert!(code != 0 && said.contains("no trial id"), "{trial}: {said}");
    }
}

#[test]
fn a_file_that_is_too_large_or_none_is_named() {
    let home = Home::with_quick_toy();
    home.ok(&SUBMIT);
    home.write("large.yaml", "#".repeat(5 << 20));
    let answer = home.type_in(&["plan", "large.yaml"]);
    for word in ["large.yaml", "5 MiB", "4 MiB"] {
        assert!(answer.code != 0 && answer.err.contains(word), "{word}: {}", answer.err);
    }
    nix::unistd::mkfifo(&home.at("pipe.yaml"), nix::sys::stat::Mode::S_IRWXU).expect("pipe");
    let answer = home.type_in(&["plan", "pipe.yaml"]);
    assert!(answer.code != 0 && answer.err.contains("no regular file"), "{}", answer.err);
    let includes = |name: &str| format!("include: [{name}, {name}]\n");
    home.write("wide.yaml", includes("w1.yaml"));
    for depth in 1..30 {
        home.write(&format!("w{depth}.yaml"), includes(&format!("w{}.yaml", depth + 1)));
    }
    home.write("w30.yaml", QUICK_TOY);
    let answer = home.type_in(&["plan", "wide.yaml"]);
    assert!(answer.code != 0 && answer.err.contains("more than 100 files"), "{}", answer.err);
    // A trial whose manifest is replaced by something without end goes on from the one before, or anew.
    let (_, trial) = home.trials("quick").into_iter().next().expect("a trial");
    for name in trial.checkpoints().names().expect("names") {
        std::fs::write(trial.checkpoints().manifest(name), vec![b' '; 5 << 20]).expect("manifest");
    }
    std::fs::remove_file(trial.result()).expect("no result");
    let mut command = Command::new(env!("CARGO_BIN_EXE_regatta-worker"));
    command.args(["run", "--trial"]).arg(trial.path()).current_dir(home.path());
    let (_, said) = run(command);
    assert!(said.contains("4 MiB"), "{said}");
}
