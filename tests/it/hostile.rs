//! Strings that want to be more than strings: in every place of a sweep file, into scripts that bash
//! then runs.

#![expect(clippy::disallowed_methods, reason = "tests start processes and write files")]

use std::process::{Command, Stdio};

use proptest::prelude::*;
use regatta::id::Token;
use regatta::layout::SweepFolder;
use regatta::script::{JobScript, Resources, TemplateSource, render};
use serde_json::{Value, json};

use crate::home::Home;

/// Each would make a file `pwned` if anything of it were run.
const HOSTILE: [&str; 20] = [
    "x\ntouch pwned",
    "x\r\ntouch pwned\n",
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    "\"; touch pwned; \"",
    "'\"'; touch pwned #",
    "\\\ntouch pwned",
    "x; touch pwned",
    "x && touch pwned &",
    "| touch pwned",
    "> pwned",
    "a[$(touch pwned)]",
    "${x:=$(touch pwned)}",
    "--output=pwned --wrap=touch",
    "-o/tmp/x",
    "{{ 1 }}{% raw %}$(touch pwned)",
    "x\u{0}touch pwned",
    "x\u{2028}touch pwned\u{85}touch pwned",
    "\u{202e}é漢\u{1f600} $(touch pwned)",
];

/// Places of a sweep file that hold a string, as JSON pointers. YAML reads JSON.
const PLACES: [&str; 21] = [
    "/name",
    "/resources/partition",
    "/resources/account",
    "/resources/qos",
    "/resources/constraint",
    "/resources/reservation",
    "/resources/time",
    "/resources/mem",
    "/resources/cpus",
    "/resources/gpus",
    "/resources/nodelist/0",
    "/resources/exclude/0",
    "/resources/extra/0",
    "/overrides/0/resources/partition",
    "/fixed/data/path",
    "/fixed/data/name",
    "/fixed/model/name",
    "/grid/data.name/0",
    "/objective/metric",
    "/notify/command",
    "/template",
];

fn sweep() -> Value {
    json!({
        "name": "quick",
        "objective": { "metric": "val/jaccard" },
        "fixed": {
            "model": { "name": "toy", "steps_per_epoch": 1 }, "epochs": 1,
            "data": { "name": "d", "path": "d" },
        },
        "grid": { "data.name": ["d"], "batch_size": [2] },
        "resources": {
            "partition": "p", "account": "a", "qos": "q", "constraint": "c", "reservation": "r",
            "time": "5", "mem": "1G", "cpus": 1, "gpus": "1", "nodelist": ["n"], "exclude": ["e"],
            "extra": ["--nice=1"],
        },
        "overrides": [{ "when": { "batch_size": 2 }, "resources": { "partition": "p" } }],
        "notify": { "command": "true" },
        "template": "own.sh.tera",
    })
}

/// A place where every staged script is run, with a worker that does nothing but say its words.
fn range() -> Home {
    let mut home = Home::new();
    home.write("worker", "#!/bin/bash\nprintf '%s\\0' \"$@\" >>\"$REGATTA_SEEN\"\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(home.at("worker"), mode).expect("mode");
    home.write("own.sh.tera", "{% extends \"job.sh.tera\" %}");
    let (worker, seen) = (home.at("worker"), home.at("seen"));
    home.set("REGATTA_WORKER", worker.display().to_string());
    home.set("REGATTA_SEEN", seen.display().to_string());
    home
}

/// Whether bash can read a script, whatever it would do.
fn bash_reads(text: &str) -> bool {
    let mut bash = Command::new("bash");
    bash.arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = bash.spawn().expect("bash");
    std::io::Write::write_all(&mut child.stdin.take().expect("pipe"), text.as_bytes())
        .expect("told");
    let output = child.wait_with_output().expect("bash");
    output.status.success() && output.stderr.is_empty()
}

/// Stages a sweep, runs its scripts, and returns whether it was accepted.
fn try_out(home: &Home, what: &str, document: &Value) -> bool {
    home.write("sweep.yaml", document.to_string());
    let plan = home.type_in(&["plan", "sweep.yaml", "--scripts"]);
    let staged = home.type_in(&["submit", "sweep.yaml", "--stage-only"]);
    assert_eq!(plan.code == 0, staged.code == 0, "{what}: {} {}", plan.err, staged.err);
    assert!(matches!(plan.code, 0..=2), "{what}: {}", plan.err);
    if plan.code != 0 {
        return false;
    }
    let jobs = home.root().sweep("quick").jobs();
    let names = regatta::layout::list(&jobs).expect("jobs");
    let scripts: Vec<_> = names.iter().filter(|name| name.ends_with(".sh")).collect();
    assert!(!scripts.is_empty(), "{what}: nothing was staged");
    for name in scripts {
        let path = jobs.join(name);
        let text = std::fs::read_to_string(&path).expect("script");
        assert!(bash_reads(&text), "{what}: bash cannot read\n{text}");
        let mut bash = Command::new("bash");
        bash.arg(&path).env("REGATTA_TASK", "0").env("REGATTA_SEEN", home.at("seen"));
        let output = bash.current_dir(home.path()).output().expect("bash");
        assert!(output.status.success(), "{what}: {output:?}");
        let seen = std::fs::read_to_string(home.at("seen")).expect("the worker was called");
        let job = path.with_extension("jsonl").display().to_string();
        let words: Vec<&str> = seen.split_terminator('\0').collect();
        assert_eq!(words[..5], ["run", "--job", &job, "--index", "0"], "{what}");
        std::fs::remove_file(home.at("seen")).expect("removed");
    }
    std::fs::remove_dir_all(home.at("runs")).expect("removed");
    true
}

#[test]
fn no_string_of_a_sweep_is_run_by_a_shell() {
    let home = range();
    assert!(try_out(&home, "as it is", &sweep()));
    let mut accepted = 0;
    for place in PLACES {
        for text in HOSTILE {
            let mut document = sweep();
            *document.pointer_mut(place).expect(place) = text.into();
            accepted += u32::from(try_out(&home, &format!("{place} {text:?}"), &document));
            let found = home.files().into_iter().find(|name| name.contains("pwned"));
            assert_eq!(found, None, "{place} {text:?} was run");
        }
    }
    // Paths, names of data and the notify command may be anything; most names of a cluster may not.
    assert!(
        (60..200).contains(&accepted),
        "{accepted} of {} were accepted",
        PLACES.len() * HOSTILE.len()
    );
}

#[test]
fn includes_and_templates_have_names_like_any_other() {
    let home = range();
    for (number, name) in
        ["it's $(touch pwned).yaml", "-rf.yaml", "a;touch pwned.yaml", "é\u{1f600}.yaml"]
            .iter()
            .enumerate()
    {
        home.write(name, sweep().to_string())
            .write(&format!("{name}.tera"), "{% extends \"job.sh.tera\" %}");
        let document =
            json!({ "include": [name], "template": format!("{name}.tera"), "name": "quick" });
        assert!(try_out(&home, name, &document), "{number}");
        assert!(!home.files().iter().any(|file| file.ends_with("pwned")), "{name}");
    }
    // A template reaches no file but those two that it may extend.
    home.write("secret", "the secret");
    for text in
        ["{% include \"secret\" %}", "{% import \"secret\" as x %}", "{% extends \"../secret\" %}"]
    {
        home.write("own.sh.tera", text);
        assert!(!try_out(&home, text, &sweep()), "{text}");
        assert!(!home.type_in(&["plan", "sweep.yaml", "--scripts"]).err.contains("the secret"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Paths are quoted: whatever they are, bash gets them back as they were.
    #[test]
    fn any_path_comes_out_of_its_quotes_as_it_was(name in "[^\u{0}\n\r%]{1,40}", worker in "[^\u{0}\n\r]{1,40}") {
        let job = JobScript {
            token: Token::placeholder(),
            folder: SweepFolder::new(format!("/r/{name}")),
            worker: format!("/w/{worker}").into(),
            tasks: 1,
            throttle: None,
            warn_before: std::time::Duration::ZERO,
            restart_limit: 0,
            resources: Resources::default(),
        };
        // A header line cannot hold every path.
        if let Ok(text) = render(&TemplateSource::default(), &job) {
            prop_assert!(bash_reads(&text));
            let lines = text.lines().filter(|line| line.starts_with("worker=") || line.starts_with("folder="));
            let program = lines.collect::<Vec<_>>().join("\n") + "\nprintf '%s\\0' \"$worker\" \"$folder\"";
            let output = Command::new("bash").args(["-c", &program]).output().expect("bash");
            let wanted = format!("{}\0{}\0", job.worker.display(), job.folder.path().display());
            prop_assert_eq!(String::from_utf8_lossy(&output.stdout), wanted);
        }
    }

    /// What a sweep asks for changes header lines and numbers of its script, and nothing else.
    #[test]
    fn any_resource_stays_in_its_header_line(text in "\\PC{0,30}|[\u{0}-\u{7f}]{0,30}", place in 1..14usize) {
        let mut document = sweep();
        document.as_object_mut().expect("object").remove("template");
        *document.pointer_mut(PLACES[place]).expect("place") = text.into();
        regatta::fuzzing::sweep(document.to_string().as_bytes());
    }
}
