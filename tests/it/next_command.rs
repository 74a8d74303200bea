//! What a newcomer is told when something is not as it should be: each answer names what to do next, for the
//! folder that was asked about.

use crate::home::Home;

/// A root with a finished sweep, not where it is looked for without a word.
fn other() -> Home {
    let home = Home::with_quick_toy();
    home.ok(&["--root", "other", "submit", "sweep.yaml", "--scheduler", "local", "--wait"]);
    home
}

/// Commands and what they were told.
fn told(home: &Home, commands: &[&str]) -> String {
    let mut text = String::new();
    for command in commands {
        let words = shlex::split(command).expect("words");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let answer = home.type_in(&words);
        text.push_str(&format!("$ regatta {command}\n{}[{}]\n", answer.err, answer.code));
    }
    text
}

#[test]
fn without_a_folder_of_sweeps() {
    let home = Home::new();
    home.write("file", "x");
    let told = told(
        &home,
        &[
            "best",
            "resume toy",
            "cancel toy",
            "rebuild",
            "tick",
            "--root elsewhere show 3fa9",
            "--root file status",
            "--root file retry toy",
            "import b.tar",
            "check nothing.yaml",
        ],
    );
    insta::assert_snapshot!(told);
    assert!(!home.at("runs").exists(), "asking makes no folder");
}

#[test]
fn in_an_empty_folder_of_sweeps() {
    let home = Home::new();
    std::fs::create_dir(home.at("empty")).expect("folder");
    let commands = ["best", "status", "trials", "tick", "show 3fa9", "retry toy", "status toy"];
    let commands = commands.map(|command| format!("--root empty {command}"));
    insta::assert_snapshot!(told(&home, &commands.each_ref().map(String::as_str)));
}

#[test]
fn of_names_that_nothing_has() {
    let home = other();
    home.write("new.yaml", "name: new\nfixed: { model: { name: toy } }\n");
    let trials = home.json(&["--root", "other", "trials"]);
    let id = trials["trials"][0]["trial"].as_str().expect("id").to_owned();
    let commands = [
        "status quik",
        "best 0123abcd",
        "best new.yaml",
        "show zzzz",
        "show quick",
        "logs quick/zz",
        "resume nothing",
        "resume quick",
        "retry quick",
        "cancel quick",
        "best quick --metric val/jacard",
        "best quick --tpo 3",
        "predict TRIAL -o masks",
        "export quick --bundle nowhere/b.tar",
        "import new.yaml",
        "plan quick",
    ];
    let commands: Vec<String> = commands
        .iter()
        .map(|command| format!("--root other {}", command.replace("TRIAL", &id)))
        .collect();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    insta::assert_snapshot!(told(&home, &commands).replace(&id, "TRIAL"));
}

#[test]
fn without_a_worker_or_a_cluster() {
    let mut home = Home::with_quick_toy();
    home.set("REGATTA_WORKER", "/nowhere/regatta-worker");
    let without_worker = told(&home, &["submit sweep.yaml --scheduler local"]);
    let mut home = Home::with_quick_toy();
    home.set("PATH", home.at("no-programs").display().to_string());
    let without_slurm = told(&home, &["submit sweep.yaml"]);
    insta::assert_snapshot!(format!("{without_worker}{without_slurm}"));
}
