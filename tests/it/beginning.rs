//! `regatta init`, and the first commands that it names; the first page of help; pages of manual.

use std::process::Command;

use serde_json::json;

use crate::home::Home;
use crate::stage::skip;

#[test]
fn a_new_workspace_works_as_its_readme_says() {
    let home = Home::new();
    let told = home.ok(&["init", "my study"]);
    insta::assert_snapshot!(told.err);
    let study = |words: &[&str]| {
        let output =
            home.command(words).current_dir(home.at("my study")).output().expect("regatta");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{words:?}\n{}", text(&output.stderr));
        text(&output.stdout)
    };
    // Every command of its first section, as it is typed.
    let readme = std::fs::read_to_string(home.at("my study/README.md")).expect("README.md");
    let first =
        readme.split("```sh\n").nth(1).expect("commands").split("```").next().expect("an end");
    let mut count = 0;
    for line in first.lines() {
        let line = line.split(" #").next().expect("a command").trim();
        let words = shlex::split(line.strip_prefix("regatta ").expect(line)).expect("words");
        study(&words.iter().map(String::as_str).collect::<Vec<_>>());
        count += 1;
    }
    assert_eq!(count, 3);
    assert!(study(&["best", "toy"]).contains("finished"));
    // The sweep for images is whole but for the images.
    let output = home
        .command(&["check", "sweeps/own-data.yaml", "--no-worker"])
        .current_dir(home.at("my study"))
        .output();
    let said = String::from_utf8_lossy(&output.expect("regatta").stdout).into_owned();
    assert!(said.contains("own-data: 12 trials") && said.contains("data/my-volume"), "{said}");
    for name in ["a", "b", "c", "d", "e"] {
        home.write(&format!("my study/data/my-volume/images/{name}.png"), b"");
        home.write(&format!("my study/data/my-volume/masks/{name}.png"), b"");
    }
    study(&["check", "sweeps/own-data.yaml", "--no-worker"]);
    study(&["plan", "sweeps/own-data.yaml"]);
}

#[test]
fn nothing_is_overwritten_and_editors_find_the_schema() {
    let home = Home::new();
    home.write("README.md", "mine").write("sweeps/toy.yaml", "mine");
    let told = home.ok(&["init"]);
    assert!(told.err.contains("kept  ./README.md"), "{}", told.err);
    for mine in ["README.md", "sweeps/toy.yaml"] {
        assert_eq!(std::fs::read_to_string(home.at(mine)).expect("file"), "mine");
    }
    let sweep = std::fs::read_to_string(home.at("sweeps/own-data.yaml")).expect("file");
    let named = sweep.lines().next().expect("a line").split("$schema=").nth(1).expect("a schema");
    let schema = std::fs::read_to_string(home.at("sweeps").join(named)).expect("the schema");
    assert_eq!(schema, home.ok(&["schema"]).out);
    let before = home.files();
    home.ok(&["init"]);
    assert_eq!(home.files(), before);
}

#[test]
fn a_workspace_is_told_as_json() {
    let home = Home::new();
    home.ok(&["init", "plain"]);
    home.write("told/README.md", "mine");
    let told = home.json(&["init", "told"]);
    let files = |state: &str, readme: &str| {
        json!({
            "schema_version": 1,
            "folder": "told",
            "files": {
                ".gitignore": state,
                "README.md": readme,
                "sweep.schema.json": state,
                "sweeps/own-data.yaml": state,
                "sweeps/toy.yaml": state,
                "templates/site.sh.tera": state,
            },
        })
    };
    assert_eq!(told, files("written", "kept"));
    // What it tells of is what is there, and the same as without `--json`.
    let in_folder = |folder: &str| {
        let names = home.files().into_iter().filter(|name| home.at(name).is_file());
        let own = |name: String| name.strip_prefix(&format!("{folder}/")).map(str::to_owned);
        names.filter_map(own).collect::<Vec<_>>()
    };
    let names: Vec<String> = told["files"].as_object().expect("files").keys().cloned().collect();
    assert_eq!((in_folder("told"), in_folder("plain")), (names.clone(), names.clone()));
    for name in names.iter().filter(|name| *name != "README.md") {
        let read = |folder: &str| std::fs::read(home.at(folder).join(name)).expect("file");
        assert_eq!(read("told"), read("plain"), "{name}");
    }
    assert_eq!(std::fs::read(home.at("told/README.md")).expect("file"), b"mine");
    assert_eq!(home.json(&["init", "told"]), files("kept", "kept"));
    // A failure is one value, too.
    home.write("file", "x");
    let failed = home.json(&["init", "file"]);
    assert!(failed["error"]["message"].is_string() && failed["files"].is_null(), "{failed}");
}

#[test]
fn the_first_page_of_help_groups_the_verbs() {
    let home = Home::new();
    insta::assert_snapshot!(home.ok(&["--help"]).out);
    let short = home.ok(&["best", "-h"]).out;
    let long = home.ok(&["best", "--help"]).out;
    assert!(short.len() < long.len(), "-h is the short one");
    for help in [short, long] {
        assert!(help.contains("Examples:\n  # the ten best"), "{help}");
    }
}

#[test]
fn pages_of_manual_are_whole() {
    let home = Home::new();
    home.ok(&["man", "-o", "man/man1"]);
    let names: Vec<String> = home.files().into_iter().filter(|name| name.ends_with(".1")).collect();
    for name in ["regatta.1", "regatta-best.1", "regatta-worker.1", "regatta-worker-run.1"] {
        assert!(names.iter().any(|file| file.ends_with(&format!("/{name}"))), "{name}: {names:?}");
    }
    let page = std::fs::read_to_string(home.at("man/man1/regatta-best.1")).expect("page");
    for section in [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "EXAMPLES",
        "EXIT STATUS",
        "ENVIRONMENT",
        "FILES",
        "SEE ALSO",
    ] {
        assert!(
            page.contains(&format!(".SH {section}\n"))
                || page.contains(&format!(".SH \"{section}\"\n")),
            "{section}"
        );
    }
    assert_eq!(home.ok(&["man", "best"]).out, page);
    assert_eq!(home.type_in(&["man", "bets"]).code, 2);
    let checkers: [(&str, &[&str]); 2] = [
        ("mandoc", &["-T", "lint", "-W", "warning"]),
        ("man", &["--warnings", "-E", "UTF-8", "-l", "-Z"]),
    ];
    for (program, words) in checkers {
        for name in &names {
            let checked = Command::new(program).args(words).arg(home.at(name)).output();
            let Ok(output) = checked else {
                skip("pages_of_manual_are_whole", &format!("manual: {program} is missing"));
                break;
            };
            let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
            if program == "mandoc" {
                said.push_str(&String::from_utf8_lossy(&output.stdout));
            }
            assert!(said.trim().is_empty(), "{program} {name}\n{said}");
        }
    }
}
