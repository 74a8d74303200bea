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
fn of_settings_by_their_last_part() {
    // As tables have them at the head of a column.
    let home = Home::with_quick_toy();
    home.ok(&["submit", "sweep.yaml", "--scheduler", "local", "--stage-only"]);
    let commands = [
        "trials --where 'lr > 1'",
        "trials --where 'state = planned and steps_per_epoch > 1'",
        "best quick --sort lr",
        "best quick --columns trial,lr",
        "compare --by lr",
    ];
    insta::assert_snapshot!(told(&home, &commands), @r"
    $ regatta trials --where 'lr > 1'
    error: --where, column 1: `lr` is no field, no setting and no recorded metric
      lr > 1
      ^^
     hint: did you mean `optimizer.lr`?
    [2]
    $ regatta trials --where 'state = planned and steps_per_epoch > 1'
    error: --where, column 21: `steps_per_epoch` is no field, no setting and no recorded metric
      state = planned and steps_per_epoch > 1
                          ^^^^^^^^^^^^^^^
     hint: did you mean `model.steps_per_epoch`?
    [2]
    $ regatta best quick --sort lr
    error: --sort: `lr` is no field, no setting and no recorded metric
     hint: did you mean `optimizer.lr`?
    [1]
    $ regatta best quick --columns trial,lr
    error: --columns: `lr` is no field, no setting and no recorded metric
     hint: did you mean `optimizer.lr`?
    [1]
    $ regatta compare --by lr
    error: no trial has the setting `lr`
     hint: did you mean `optimizer.lr`?
    [1]
    ");
    // What it names is what works.
    let words = ["trials", "--where", "optimizer.lr > 0.05 and model.steps_per_epoch = 5"];
    assert_eq!(home.json(&words)["trials"].as_array().map(Vec::len), Some(2));
}

#[test]
fn of_results_in_a_folder_above() {
    let home = Home::with_quick_toy();
    let sweep = home.at("sweep.yaml").display().to_string();
    let staged = |folder: &str, root: &[&str]| {
        std::fs::create_dir_all(home.at(folder)).expect("folder");
        let words = ["submit", &sweep, "--scheduler", "local", "--stage-only"];
        let output = home.command(&[root, &words].concat()).current_dir(home.at(folder)).output();
        let output = output.expect("regatta");
        let told = String::from_utf8_lossy(&output.stderr)
            .replace(&home.path().display().to_string(), "HOME");
        assert!(output.status.success(), "{told}");
        told
    };
    let told = |from: &str, to: &str| {
        format!(
            "note: {from} has results already; these go into {to}, which is new (--root names another)\n"
        )
    };
    staged(".", &[]);
    let seen = staged("notes/may", &[]);
    assert!(seen.contains(&told("HOME/runs", "HOME/notes/may/runs")), "{seen}");
    let plan = home.at("notes/may/runs/quick/plan.json");
    assert!(plan.is_file(), "it is a note, and no refusal");
    // It is not new any more; and of several the nearest is named.
    let seen = staged("notes/may", &[]);
    assert!(!seen.contains("has results already"), "{seen}");
    let seen = staged("notes/may/again", &[]);
    assert!(seen.contains(&told("HOME/notes/may/runs", "HOME/notes/may/again/runs")), "{seen}");
    let seen = staged("notes/may/then", &["--root", "./runs"]);
    assert!(seen.contains(&told("HOME/notes/may/runs", "HOME/notes/may/then/runs")), "{seen}");
    // Another name is looked for under that name, and one that is whole is meant.
    let seen = staged("notes/june", &["--root", "others/runs"]);
    assert!(!seen.contains("has results already"), "{seen}");
    let whole = home.at("notes/july/runs").display().to_string();
    let seen = staged("notes/july", &["--root", &whole]);
    assert!(!seen.contains("has results already"), "{seen}");
    // A folder of that name without results is nobody's.
    let runs = home.at("notes/runs");
    std::fs::create_dir(&runs).expect("folder");
    let seen = staged("notes/august", &[]);
    assert!(seen.contains(&told("HOME/runs", "HOME/notes/august/runs")), "{seen}");
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
