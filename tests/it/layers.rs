//! The walls of the house, read from the source: who may know whom, and who may touch what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Source files by their wing: the first part of the path below `src/`.
fn sources() -> Vec<(String, PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open = vec![src.clone()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inner = path.strip_prefix(&src).expect("inside").to_owned();
                let first = inner.components().next().expect("a part").as_os_str();
                let wing =
                    Path::new(first).file_stem().expect("a name").to_string_lossy().into_owned();
                // Rooms of tests are visitors, not inhabitants.
                let name = inner.file_stem().expect("a name").to_string_lossy();
                if name == "tests" || name.ends_with("_tests") {
                    continue;
                }
                found.push((wing, inner.clone(), std::fs::read_to_string(&path).expect("text")));
            }
        }
    }
    found.sort();
    found
}

/// The code of a file without its tests, comments and texts.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Wings that a piece of code names as `crate::wing` or `regatta::wing`, also in braces.
fn names(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for root in ["crate::", "regatta::"] {
        for (at, _) in code.match_indices(root) {
            let rest = &code[at + root.len()..];
            let word = |text: &str| {
                text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
            };
            if let Some(inner) = rest.strip_prefix('{') {
                let inner = inner.split("};").next().unwrap_or_default();
                found.extend(inner.split(',').map(|part| word(part.trim())));
            } else {
                found.insert(word(rest));
            }
        }
    }
    found
}

fn graph() -> BTreeMap<String, BTreeSet<String>> {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (wing, _, text) in sources() {
        graph
            .entry(wing.clone())
            .or_default()
            .extend(names(&code(&text)).into_iter().filter(|name| *name != wing));
    }
    graph
}

/// Everything that a wing reaches through others.
fn reach(graph: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(wing) = open.pop() {
        for next in graph.get(&wing).into_iter().flatten() {
            if seen.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    seen
}

#[test]
fn the_reader_of_imports_sees_them() {
    let seen = names("use crate::{id::TrialId, layout};\nlet x = crate::store::open();");
    assert_eq!(seen, ["id", "layout", "store"].map(str::to_owned).into());
    assert!(reach(&graph(), "cli").contains("store"), "the graph is empty");
}

#[test]
fn the_controller_never_reaches_the_workshop() {
    let graph = graph();
    for wing in ["cli", "control", "store", "scheduler", "plan", "script", "query"] {
        for forbidden in ["worker", "train"] {
            assert!(!reach(&graph, wing).contains(forbidden), "{wing} reaches {forbidden}");
        }
    }
}

#[test]
fn the_workshop_never_reaches_the_controller() {
    let graph = graph();
    for wing in ["worker", "train"] {
        for forbidden in ["store", "scheduler", "plan", "script", "cli", "control"] {
            assert!(!reach(&graph, wing).contains(forbidden), "{wing} reaches {forbidden}");
        }
    }
    let door = sources().into_iter().filter(|(_, path, _)| path.starts_with("bin"));
    for (_, path, text) in door {
        for forbidden in ["store", "scheduler", "plan", "script", "cli", "control"] {
            assert!(!names(&code(&text)).contains(forbidden), "{path:?} knows {forbidden}");
        }
    }
}

#[test]
fn both_programs_share_exactly_the_hall_and_the_courtyard() {
    let graph = graph();
    let controller = reach(&graph, "cli");
    let worker: BTreeSet<String> =
        ["worker", "train"].iter().flat_map(|wing| reach(&graph, wing)).collect();
    let shared: Vec<&String> = controller.intersection(&worker).collect();
    assert_eq!(
        shared,
        ["clock", "event", "help", "id", "journal", "layout", "metric", "setting", "sweep"]
    );
}

#[test]
fn hall_and_study_touch_no_disk_clock_environment_or_process() {
    let forbidden = [
        "std::fs",
        "std::env",
        "std::process",
        "std::net",
        "tokio",
        "std::io::",
        "std::thread",
        "Instant",
        "SystemTime",
        "Timestamp::now",
        "crate::layout::write",
        "nix::",
        "sqlx",
    ];
    for (wing, path, text) in sources() {
        if ["help", "id", "metric", "event", "setting", "sweep", "plan", "analysis", "query"]
            .contains(&wing.as_str())
            || (wing == "script")
        {
            let code = code(&text);
            for word in forbidden {
                assert!(!code.contains(word), "{} names {word}", path.display());
            }
        }
    }
}

#[test]
fn only_owners_touch_what_they_own() {
    // What, and the wings or doors that may.
    let rules: [(&[&str], &[&str]); 6] = [
        (
            &["println!", "eprintln!", "print!(", "eprint!(", "stdout()", "io::stdout"],
            &["cli", "bin", "main"],
        ),
        (&["fs::write", "fs::rename", "File::create", "create_dir", "OpenOptions"], &["layout"]),
        (&["Command::new"], &["scheduler"]),
        (&["Instant::now", "SystemTime::now", "Timestamp::now"], &["clock", "layout"]),
        (&["env::var"], &["cli", "bin", "main"]),
        (&["sqlx::"], &["store"]),
    ];
    for (wing, path, text) in sources() {
        let code = code(&text);
        for (words, owners) in rules {
            for word in words {
                let allowed = owners.contains(&wing.as_str());
                assert!(
                    allowed || !code.contains(word),
                    "{} uses {word}; only {owners:?} may",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_feature_is_asked_for_in_two_places_and_unsafe_nowhere() {
    for (_, path, text) in sources() {
        let code = code(&text);
        let may = [Path::new("lib.rs"), Path::new("bin/worker.rs")].contains(&path.as_path());
        assert!(
            may || !code.contains("feature = \"train\""),
            "{} asks for the feature",
            path.display()
        );
        assert!(!code.contains("unsafe "), "{} is unsafe", path.display());
    }
}

#[test]
fn doors_are_thin_and_rooms_are_rooms() {
    for (_, path, text) in sources() {
        let lines = text.lines().count();
        let most = if path == Path::new("main.rs") { 40 } else { 400 };
        assert!(lines <= most, "{} has {lines} lines, more than {most}", path.display());
        assert!(text.starts_with("//!"), "{} does not say its duty", path.display());
    }
}
