//! What README.md shows is what happens: its blocks marked `<!-- checked -->` are typed here, one
//! after the other in one folder, and their output compared. `REGATTA_BLESS=1` writes it anew.
//!
//! `<!-- checked: sqlite3 -->` is left out where there is no such program.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::home::{Home, controller};
use crate::stage::skip;

const MARK: &str = "<!-- checked";
/// Where the reader is thought to be.
const SHOWN_HOME: &str = "/home/you/regatta";
/// Stands for the lines of single trials while a command waits, which differ each time.
const CUT: &str = "…";

#[test]
fn the_readme_shows_what_happens() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(&path).expect("README.md");
    let home = workspace();
    let mut made = String::new();
    let mut blocks = 0;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        made.push_str(line);
        made.push('\n');
        if !line.starts_with(MARK) {
            continue;
        }
        assert_eq!(lines.next(), Some("```console"), "a mark stands before a console block");
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        made.push_str("```console\n");
        made.push_str(&retyped(&home, line, &block));
        made.push_str("```\n");
        blocks += 1;
    }
    assert!(blocks >= 3, "README.md has {blocks} checked blocks");
    if std::env::var_os("REGATTA_BLESS").is_some() {
        std::fs::write(&path, &made).expect("write");
        return;
    }
    let (said, seen) = (steady(&text), steady(&made));
    for (number, (said, seen)) in said.lines().zip(seen.lines()).enumerate() {
        assert_eq!(said, seen, "README.md, line {}, without what differs each time", number + 1);
    }
    assert_eq!(said, seen, "README.md shows something else; REGATTA_BLESS=1 writes it anew");
}

/// A folder with the sweeps of the repository, as after a clone.
fn workspace() -> Home {
    let mut home = Home::new();
    let sweeps = Path::new(env!("CARGO_MANIFEST_DIR")).join("sweeps");
    for name in ["toy.yaml", "lr-batch.yaml"] {
        home.write(&format!("sweeps/{name}"), std::fs::read(sweeps.join(name)).expect("a sweep"));
    }
    // All trials of the toy side by side: they sleep more than they compute.
    home.set("REGATTA_SLOTS", "6");
    home
}

/// Types the commands of a block; returns it with what they said.
fn retyped(home: &Home, mark: &str, block: &[&str]) -> String {
    let needed = mark.strip_prefix(MARK).and_then(|rest| rest.strip_prefix(": "));
    let needed = needed.map(|rest| rest.trim_end_matches("-->").trim());
    if let Some(program) = needed.filter(|program| !is_there(program)) {
        skip("the_readme_shows_what_happens", &format!("data: {program} is missing"));
        return block.iter().map(|line| format!("{line}\n")).collect();
    }
    let commands = block.iter().filter_map(|line| line.strip_prefix("$ "));
    commands.map(|command| format!("$ {command}\n{}", type_in(home, command))).collect()
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// What a terminal would show of a command, its lines about single trials cut.
fn type_in(home: &Home, command: &str) -> String {
    let programs = [controller(), PathBuf::from(env!("CARGO_BIN_EXE_regatta-worker"))];
    let folders = programs.map(|program| program.parent().expect("a folder").display().to_string());
    let path = std::env::var("PATH").unwrap_or_default();
    let shell = home
        .command(&[])
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect::<Vec<_>>();
    let said = Command::new("bash")
        .args(["-c", &format!("{{ {command}\n}} 2>&1")])
        .current_dir(home.path())
        .env_remove("REGATTA_ROOT")
        .env_remove("REGATTA_SCHEDULER")
        .env_remove("REGATTA_TEMPLATE")
        .env_remove("RUST_LOG")
        .envs(shell)
        .env("PATH", format!("{}:{path}", folders.join(":")))
        .output()
        .expect("bash");
    let text = String::from_utf8_lossy(&said.stdout);
    let whole = home.path().canonicalize().expect("a folder").display().to_string();
    let text =
        text.replace(&whole, SHOWN_HOME).replace(&home.path().display().to_string(), SHOWN_HOME);
    let text = folders
        .iter()
        .fold(text, |text, folder| text.replace(folder, &format!("{SHOWN_HOME}/bin")));
    let mut shown: Vec<&str> = Vec::new();
    for line in text.lines() {
        let line = if is_of_a_trial(line) { CUT } else { line.trim_end() };
        if line != CUT || shown.last() != Some(&CUT) {
            shown.push(line);
        }
    }
    shown.iter().map(|line| format!("{line}\n")).collect()
}

/// `7c0b… (16 digits)  batch_size=4 lr=0.1  running 2/5 epochs`
fn is_of_a_trial(line: &str) -> bool {
    line.len() > 18
        && line.is_char_boundary(16)
        && line[..16].bytes().all(|byte| byte.is_ascii_hexdigit())
        && line[16..].starts_with("  ")
        && line.contains('=')
}

/// A text without what differs each time: tokens, times, durations, sizes of padding.
fn steady(text: &str) -> String {
    let words = |line: &str| {
        let words = line.split_whitespace().map(|word| if is_volatile(word) { "#" } else { word });
        let mut kept: Vec<&str> = Vec::new();
        for word in words {
            // `1m 05s` and `5s` are one duration.
            if word != "#" || kept.last() != Some(&"#") {
                kept.push(word);
            }
        }
        kept.join(" ")
    };
    let mut inside = false;
    let mut checked = false;
    let lines = text.lines().map(|line| {
        if line.starts_with(MARK) {
            checked = true;
        } else if line.starts_with("```") {
            inside = checked && !inside;
            checked = checked && inside;
        }
        if inside { words(line) } else { line.to_owned() }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn is_volatile(word: &str) -> bool {
    let core = word.trim_matches(['"', '\'', ',', ';', ':', '(', ')', '`', '.']);
    let is_token = core.len() == 36 && core.matches('-').count() == 4;
    let is_time = core.len() >= 19 && core.as_bytes()[10] == b'T' && core.starts_with("20");
    let is_span = core.len() > 1
        && core.ends_with(['s', 'm', 'h'])
        && core[..core.len() - 1].chars().all(|c| c.is_ascii_digit() || c == '.');
    is_token || is_time || is_span
}

#[test]
fn what_differs_each_time_is_told_from_what_does_not() {
    for word in ["01a20947-2a2d-74b1-ad97-e7e638b97283", "2026-01-02T03:04:05Z", "1m", "05s"] {
        assert!(is_volatile(word), "{word}");
    }
    for word in ["0.9993", "finished", "toy", "s", "6", "trials", "0.01"] {
        assert!(!is_volatile(word), "{word}");
    }
    assert!(is_of_a_trial("0123456789abcdef  lr=0.1  running 1/5 epochs"));
    assert!(!is_of_a_trial("0123456789abcdef"));
    assert!(!is_of_a_trial("0123456789abcdef  4           0.1    0"));
    let block = |text: &str| format!("5s\n<!-- checked -->\n```console\n$ x\n{text}\n```\n5s");
    assert_eq!(steady(&block("a  1m 05s")), steady(&block("a 7s")));
    assert_ne!(steady(&block("a 7s")), steady(&block("b 7s")));
    assert!(steady(&block("a 7s")).starts_with("5s\n") && steady(&block("a")).ends_with("\n5s"));
}
