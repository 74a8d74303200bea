//! `regatta watch` in a real terminal, driven by its keys; and its plain mode.

use crate::home::{Home, SUBMIT};
use crate::tmux::Tmux;

/// Trials that take far longer than a test looks at them.
const LONG: &str = "\
name: long
fixed:
  model: { name: toy, steps_per_epoch: 10, step_seconds: 0.02 }
  epochs: 400
grid:
  optimizer.lr: [1e-2, 1e-1]
  batch_size: [4, 8]
resources: { time: \"01:00:00\" }
";

/// A home in which [`LONG`] runs, two trials at a time.
fn with_long_trials() -> Home {
    let mut home = Home::new();
    home.set("REGATTA_SLOTS", "2");
    home.write("sweep.yaml", LONG);
    home.ok(&["submit", "sweep.yaml", "--scheduler", "local"]);
    home
}

fn count(home: &Home, state: &str) -> usize {
    home.states("long").iter().filter(|found| *found == state).count()
}

/// The line of the screen that is chosen in the table of trials.
fn chosen(screen: &str) -> &str {
    screen.lines().skip(3).find(|line| line.starts_with('▌')).unwrap_or_default()
}

#[test]
fn keys_do_what_they_say_and_the_terminal_comes_back() {
    let home = with_long_trials();
    let Some(terminal) = Tmux::open("watch in 80 columns", &home, (80, 24)) else { return };
    terminal.line("regatta watch long; echo left with $?");
    let screen = terminal.wait("trials", |screen| {
        screen.matches(" running ").count() >= 2 && screen.contains("LOG of")
    });
    for words in ["SWEEPS", "TRIALS of long", "LOG of", "2 running", "? help"] {
        assert!(screen.contains(words), "{words}\n{screen}");
    }
    assert_eq!(terminal.tell("#{alternate_on} #{cursor_flag}"), "1 0");
    terminal.wait("its log", |screen| screen.contains("/400: val/jaccard"));

    // The list, and its filter.
    let first = chosen(&screen).to_owned();
    terminal.keys(&["j"]).wait("another trial", |screen| {
        !chosen(screen).is_empty() && chosen(screen)[..12] != first[..12]
    });
    terminal.keys(&["/"]).keys(&["-l", "batch_size = 8"]).keys(&["Enter"]);
    terminal.wait_for("2 of 4 with /batch_size = 8");
    terminal.keys(&["/"]).keys(&["-l", "x and batchsize = 8"]).keys(&["Enter"]);
    terminal.wait_for("! filter: column");
    terminal.keys(&["Escape"]).wait("all trials", |screen| !screen.contains("filter:"));
    terminal.keys(&["?"]).wait_for("jobs go on");
    terminal.keys(&["x"]).wait("the panes", |screen| !screen.contains("jobs go on"));

    // A trial is cancelled, but only after a yes; and it is taken up again.
    terminal.keys(&["Home", "c"]).wait_for("Cancel?");
    terminal.keys(&["n"]).wait("no question", |screen| !screen.contains("Cancel?"));
    assert_eq!(count(&home, "cancelled"), 0);
    terminal.keys(&["c"]).wait_for("As `regatta cancel long/");
    terminal.keys(&["y"]);
    terminal.wait("the cancelled trial", |screen| {
        chosen(screen).contains("cancelled") && screen.contains("cancelled 1 trial of long")
    });
    assert_eq!(count(&home, "cancelled"), 1);
    terminal.keys(&["r"]).wait_for("Resume?");
    terminal.keys(&["y"]).wait("the resumed trial", |screen| {
        ["running", "submitted"].iter().any(|state| chosen(screen).contains(state))
    });
    assert_eq!(count(&home, "cancelled"), 0);
    terminal.wait_for("submitted 1 trial of long as local job");
    let messages = terminal.keys(&["m"]).wait_for("Messages");
    assert!(messages.contains("cancelled 1 trial of long;"), "{messages}");
    terminal.keys(&["x"]).wait("the panes", |screen| !screen.contains("Messages"));

    // The whole sweep, by name; one trial is tried again by the other verb.
    terminal.keys(&["h", "c"]).wait_for("The whole sweep long (4 trials).");
    terminal.keys(&["y"]).wait("the cancelled sweep", |screen| {
        screen.contains("4 cancelled") && screen.contains("cancelled 4 trials of long")
    });
    assert_eq!(count(&home, "cancelled"), 4);
    terminal.keys(&["l", "t"]).wait_for("Retry?");
    terminal.keys(&["y"]).wait_for("3 cancelled");
    assert_eq!(count(&home, "cancelled"), 3);

    // All keys can be read where there is no room for all at once.
    terminal.resize(80, 14).wait("a low view", |screen| screen.trim_end().lines().count() == 14);
    terminal.keys(&["?"]).wait_for("Keys: 1 to 10 of 17");
    terminal.keys(&["End"]).wait_for("jobs go on");
    terminal.keys(&["x"]).wait("the panes", |screen| !screen.contains("jobs go on"));

    terminal.resize(30, 8).wait_for("30 x 8 is too small");
    terminal.resize(200, 50).wait_for("CURVE");
    terminal.keys(&["q"]).wait_for("left with 0");
    assert_eq!(terminal.tell("#{alternate_on} #{cursor_flag}"), "0 1");
    terminal.line("stty -a").wait_for(" icanon");
    home.ok(&["cancel", "long"]);
}

#[test]
fn a_wide_terminal_is_used_and_colours_are_a_wish() {
    let home = with_long_trials();
    let Some(terminal) = Tmux::open("watch in 200 columns", &home, (200, 50)) else { return };
    // In C's locale nothing but ASCII is shown.
    terminal.line("LC_ALL=C regatta watch --color never");
    let screen = terminal.wait("a curve", |screen| {
        screen.contains("no GPU")
            && screen.contains("epoch 1 to 400")
            && screen.contains("/400: val/jaccard")
    });
    for words in ["SWEEPS", "TRIALS of long", "CURVE", "LOG of", "PROGRESS", "memory", "on "] {
        assert!(screen.contains(words), "{words}\n{screen}");
    }
    assert!(screen.is_ascii(), "{screen}");
    // A foreground or background of the palette; 39 and 49 are those of the terminal itself.
    let is_colored = |text: &str| {
        ["38;5;", "48;5;"].iter().any(|color| text.contains(&format!("\u{1b}[{color}")))
    };
    assert!(!is_colored(&terminal.painted()), "{:?}", terminal.painted());
    // Side by side: the log's title begins in the right half.
    let log = screen.lines().find_map(|line| line.find("LOG of")).expect("the log");
    assert!(log > 100, "{screen}");
    // A signal ends it, and the terminal is as before.
    terminal.keys(&["C-z"]).prompt();
    assert_eq!(terminal.tell("#{alternate_on} #{cursor_flag}"), "0 1");
    terminal.line("clear; fg; echo back with $?").wait_for("TRIALS of long");
    terminal.keys(&["C-c"]).wait_for("back with 0");
    terminal.line("clear; env -u NO_COLOR regatta watch").wait_for("TRIALS of long");
    assert!(is_colored(&terminal.painted()), "{:?}", terminal.painted());
    terminal.keys(&["q"]).prompt();
    terminal.line("clear; sh -c 'echo $$ > pid; exec regatta watch'; echo ended with $?");
    terminal.wait_for("TRIALS of long");
    let pid = std::fs::read_to_string(home.at("pid")).expect("pid");
    let pid = nix::unistd::Pid::from_raw(pid.trim().parse().expect("a number"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("kill");
    terminal.wait_for("ended with 143");
    assert_eq!(terminal.tell("#{alternate_on} #{cursor_flag}"), "0 1");
    home.ok(&["cancel", "long"]);
}

#[test]
fn bars_of_a_waiting_command_fit_80_columns() {
    let home = Home::with_quick_toy();
    let Some(terminal) = Tmux::open("bars of submit --wait", &home, (80, 24)) else { return };
    let slow =
        "fixed:\n  model: { name: toy, steps_per_epoch: 5, step_seconds: 0.1 }\n  epochs: 3\n";
    let text = format!("name: quick\n{slow}grid:\n  optimizer.lr: [1e-2, 1e-1]\n");
    home.write("sweep.yaml", text);
    terminal.line("regatta submit sweep.yaml --scheduler local --slots 2 --wait; echo code $?");
    let bars = terminal.wait("two bars", |screen| screen.matches("█").count() > 4);
    assert!(bars.contains("/6"), "{bars}");
    let after = terminal.wait_for("code 0");
    // Nothing of the bars is left.
    assert!(!after.contains('█') && !after.contains('░'), "{after}");
    assert!(after.contains("quick: 2 of 2 trials finished"), "{after}");
    terminal
        .line("clear; regatta submit sweep.yaml --scheduler local --wait 2>notes; echo over $?");
    terminal.wait_for("over 0");
    let notes = std::fs::read_to_string(home.at("notes")).expect("notes");
    assert!(!notes.contains('\u{1b}') && notes.contains("2 of 2 trials finished"), "{notes}");
}

#[test]
fn plain_lines_tell_each_change_and_end_with_the_sweep() {
    let home = Home::with_quick_toy();
    home.write(
        "sweep.yaml",
        crate::home::QUICK_TOY
            .replace("steps_per_epoch: 5", "steps_per_epoch: 5, step_seconds: 0.05"),
    );
    let submit: Vec<&str> = SUBMIT.into_iter().filter(|word| *word != "--wait").collect();
    home.ok(&submit[..6]);
    let answer = home.ok(&["watch", "--every", "0.1"]);
    assert!(!answer.out.contains(['\u{1b}', '\r']), "{:?}", answer.out);
    let lines: Vec<&str> = answer.out.lines().collect();
    for line in &lines {
        assert!(line[..20].parse::<jiff::Timestamp>().is_ok(), "{line}");
    }
    assert!(lines[0].contains("quick  4 trials: "), "{}", answer.out);
    assert_eq!(
        lines.iter().filter(|line| line.contains("  finished  epoch 3/3  best ")).count(),
        4
    );
    let last = lines.last().expect("a line");
    assert!(last.ends_with("quick  4 trials: 4 finished"), "{last}");
    // Nothing is left to watch: one line, at once.
    let again = home.ok(&["watch", "quick", "--plain", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&again.out).expect("one line");
    assert_eq!(value["states"]["finished"], 4);
    let schema = crate::asked_formats::schema();
    let faults = crate::asked_formats::faults(&schema, &schema, &value, "");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let unknown = home.type_in(&["watch", "quack", "--plain"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("there is no sweep `quack`"), "{}", unknown.err);
    // A failure, too, is one object in one line.
    let failed = home.type_in(&["watch", "quack", "--json"]);
    assert_eq!((failed.code, failed.out.lines().count()), (1, 1), "{}", failed.out);
    let value: serde_json::Value = serde_json::from_str(&failed.out).expect("one line");
    let faults = crate::asked_formats::faults(&schema, &schema["$defs"]["error"], &value, "");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn plain_lines_tell_of_damaged_files_beside() {
    let home = Home::with_quick_toy();
    home.ok(&SUBMIT);
    let journal = home.root().sweep("quick").controller_journal();
    let mut text = std::fs::read(&journal).expect("journal");
    text.extend(b"not a record\n");
    std::fs::write(&journal, text).expect("write");
    let status = home.ok(&["status", "--offline"]);
    let damage = |err: &str| -> Vec<String> {
        err.lines().filter(|line| line.contains("damaged")).map(str::to_owned).collect()
    };
    let wanted = damage(&status.err);
    assert_eq!(wanted.len(), 1, "{}", status.err);
    for words in [&["watch", "--plain"][..], &["watch", "quick", "--json"]] {
        let answer = home.ok(words);
        assert_eq!(damage(&answer.err), wanted, "{words:?}");
        assert!(!answer.out.contains("damaged"), "{}", answer.out);
    }
}

#[test]
fn trials_that_differ_by_their_seeds_are_told_apart() {
    let mut home = Home::new();
    home.set("REGATTA_SLOTS", "2");
    let axes = LONG.find("grid:").expect("axes")..LONG.find("resources:").expect("resources");
    home.write("sweep.yaml", LONG.replace(&LONG[axes], "repeats: 2\n"));
    home.ok(&["submit", "sweep.yaml", "--scheduler", "local"]);
    home.wait_until("both trials", |home| count(home, "running") == 2);
    let status = home.ok(&["status", "long"]).out;
    let seeds: Vec<&str> = status.lines().filter(|line| line.contains("running")).collect();
    assert!(status.contains("SEED"), "{status}");
    for seed in ["0", "1"] {
        assert!(seeds.iter().any(|line| line.split_whitespace().last() == Some(seed)), "{status}");
    }
    home.ok(&["cancel", "long"]);
    let quick = crate::home::QUICK_TOY;
    let axes = quick.find("grid:").expect("axes");
    home.write("sweep.yaml", format!("{}repeats: 2\n", &quick[..axes]));
    let told = home.ok(&SUBMIT).err;
    for seed in ["seed=0", "seed=1"] {
        assert!(told.contains(seed), "{told}");
    }
}

#[test]
fn the_command_of_a_question_can_be_typed_as_it_stands() {
    let mut home = Home::new();
    home.set("REGATTA_SLOTS", "2");
    home.write("sweep.yaml", LONG);
    home.ok(&["submit", "sweep.yaml", "--scheduler", "local", "--root", "my runs"]);
    let Some(terminal) = Tmux::open("watch of a folder by name", &home, (90, 24)) else {
        home.ok(&["cancel", "long", "--root", "my runs"]);
        return;
    };
    terminal
        .line("regatta watch --root 'my runs'")
        .wait("trials", |screen| screen.contains("TRIALS of long") && screen.contains("LOG of"));
    let question = terminal.keys(&["h", "c"]).wait_for("As `regatta ");
    let command = question.split('`').nth(1).expect("a command").to_owned();
    assert_eq!(command, "regatta --root 'my runs' cancel long");
    terminal.keys(&["n"]).wait("no question", |screen| !screen.contains("Cancel?"));
    terminal.keys(&["q"]).prompt();
    terminal.line(&command).wait_for("cancelled 4 trials of long");
}

#[test]
fn plain_lines_end_with_3_where_something_is_not_finished() {
    let home = with_long_trials();
    home.wait_until("a running trial", |home| count(home, "running") > 0);
    home.ok(&["cancel", "long"]);
    let answer = home.type_in(&["watch", "long", "--every", "0.1"]);
    assert_eq!(answer.code, 3, "{}\n{}", answer.out, answer.err);
    assert!(answer.out.trim_end().ends_with("long  4 trials: 4 cancelled"), "{}", answer.out);
}
