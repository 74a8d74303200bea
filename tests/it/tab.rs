//! What Tab offers, in real shells: bash, zsh and fish are driven through what `regatta completions` prints.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use regatta::clock::{Clock, SystemClock};

use crate::home::{Home, controller};
use crate::stage::skip;

/// A home with a sweep `quick` of four finished trials in `runs`, and one `other` that was never submitted.
fn home() -> Home {
    let home = Home::with_quick_toy();
    home.ok(&["submit", "sweep.yaml", "--scheduler", "local", "--wait"]);
    home.write("sweeps/other.yaml", "name: other\n").write("notes.txt", "");
    home
}

/// Has a shell do something in a home, with `regatta` on its path; `None` where there is no such shell.
fn shell(home: &Home, test: &str, program: &str, words: &[&str], script: &str) -> Option<String> {
    let folder = controller().parent().expect("a folder").display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command.args(words).arg(script).current_dir(home.path());
    command.env_remove("REGATTA_ROOT").env("HOME", home.path()).env("TERM", "xterm");
    command.env("PATH", format!("{folder}:{path}"));
    let Ok(output) = command.output() else {
        skip(test, &format!("shell: {program} is missing"));
        return None;
    };
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(errors.trim(), "", "{program} {script}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What bash would offer for a line: its line editor makes `=` a word.
fn in_bash(home: &Home, line: &str) -> Option<Vec<String>> {
    let script = format!(
        "source <(regatta completions bash)
        line={}
        read -ra COMP_WORDS <<<\"${{line//=/ = }}\"
        [[ $line == *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) COMP_TYPE=9
        _regatta_complete regatta \"${{COMP_WORDS[COMP_CWORD]}}\" ''
        printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        shlex::try_quote(line).expect("a line")
    );
    let said = shell(home, "bash_offers_what_there_is", "bash", &["--norc", "-c"], &script)?;
    let words = said.lines().filter(|word| !word.is_empty() && is_asked_for(line, word));
    Some(words.map(str::to_owned).collect())
}

/// Options stand in any place; those that nobody began to type are left out here.
fn is_asked_for(line: &str, offered: &str) -> bool {
    line.rsplit(' ').next().is_some_and(|word| word.starts_with('-')) || !offered.starts_with('-')
}

#[test]
fn bash_offers_what_there_is() {
    let home = home();
    let trials = home.json(&["trials", "quick"]);
    let mut ids: Vec<String> = trials["trials"]
        .as_array()
        .expect("trials")
        .iter()
        .map(|row| row["trial"].as_str().expect("id").to_owned())
        .collect();
    ids.sort();
    let offered = |line: &str| in_bash(&home, line);
    let Some(verbs) = offered("regatta st") else { return };
    assert_eq!(verbs, ["status"]);
    assert_eq!(offered("regatta best qu"), Some(vec!["quick".to_owned()]));
    assert_eq!(offered("regatta show "), Some(ids.clone()));
    assert_eq!(offered(&format!("regatta show {}", &ids[0][..4])), Some(vec![ids[0].clone()]));
    assert_eq!(offered("regatta show quick/").map(|all| all.len()), Some(4));
    assert_eq!(offered("regatta resume qu"), Some(vec!["quick".to_owned()]));
    assert_eq!(offered("regatta trials --state fi"), Some(vec!["finished".to_owned()]));
    assert_eq!(offered("regatta best --metric val/j"), Some(vec!["val/jaccard".to_owned()]));
    assert_eq!(offered("regatta best --sort=-ela"), Some(vec!["-elapsed".to_owned()]));
    assert_eq!(offered("regatta submit --scheduler=l"), Some(vec!["local".to_owned()]));
    assert_eq!(
        offered("regatta best --columns seed,optimizer.wei"),
        Some(vec!["seed,optimizer.weight_decay".to_owned()])
    );
    assert_eq!(
        offered("regatta best --by optimizer.wei"),
        Some(vec!["optimizer.weight_decay".to_owned()])
    );
    assert_eq!(
        offered("regatta best --where optimizer.wei"),
        Some(vec!["optimizer.weight_decay".to_owned()])
    );
    assert_eq!(offered("regatta submit sweeps/"), Some(vec!["sweeps/other.yaml".to_owned()]));
    assert_eq!(offered("regatta submit no"), Some(vec![]), "notes.txt is no sweep");
    assert_eq!(offered("regatta submit --scheduler l"), Some(vec!["local".to_owned()]));
    let both = format!("regatta predict {},{}", ids[0], &ids[1][..6]);
    assert_eq!(offered(&both), Some(vec![format!("{},{}", ids[0], ids[1])]));
    assert_eq!(offered("regatta predict --top 2 not"), Some(vec!["notes.txt".to_owned()]));
    // Where another folder is named, that one is asked.
    std::fs::rename(home.at("runs"), home.at("elsewhere")).expect("rename");
    assert_eq!(offered("regatta best qu"), Some(vec![]));
    for line in [
        "regatta --root elsewhere best qu",
        "regatta best --root elsewhere qu",
        "regatta --root=elsewhere best qu",
        "regatta --root ~/elsewhere best qu",
    ] {
        assert_eq!(offered(line), Some(vec!["quick".to_owned()]), "{line}");
    }
    assert!(!home.at("runs").exists(), "asking makes no folder");
}

#[test]
fn fish_tells_what_a_trial_is() {
    let home = home();
    let ask = |line: &str| {
        let script = format!("source (regatta completions fish | psub); complete -C '{line}'");
        let said =
            shell(&home, "fish_tells_what_a_trial_is", "fish", &["--no-config", "-c"], &script)?;
        let lines = said.lines().filter(|offered| is_asked_for(line, offered));
        Some(lines.map(|line| format!("{line}\n")).collect::<String>())
    };
    let Some(trials) = ask("regatta show ") else { return };
    assert_eq!(trials.lines().count(), 4, "{trials}");
    for line in trials.lines() {
        let (id, what) = line.split_once('\t').expect(line);
        assert!(id.len() == 16 && what.starts_with("quick, finished, 0."), "{line}");
        assert!(what.contains("lr="), "{line}");
    }
    assert_eq!(ask("regatta best qu").as_deref(), Some("quick\tsweep\n"));
    let states = ask("regatta best --where \"state = fin").expect("fish");
    assert!(states.contains("finished"), "{states}");
}

#[test]
fn zsh_completes_in_a_terminal() {
    let home = home();
    // A zsh in a terminal of its own; a key shows what stands on its line.
    home.write(
        "drive.zsh",
        "zmodload zsh/zpty
zpty -b z zsh -f -i
say() { zpty -w z \"$1\" }
say 'PS1=; PROMPT_EOL_MARK=; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -d ./dump; source <(regatta completions zsh)'
say 'show() { print -r -- \"LINE[$BUFFER]\"; zle -I }; zle -N show; bindkey \"^X\" show; setopt no_list_beep; print READY'
wait_for() {
  local all= piece; integer n=0
  while (( n++ < 400 )); do
    if zpty -r -t z piece; then all+=$piece; [[ $all == *${~1}* ]] && break; else sleep 0.05; fi
  done
  print -r -- \"$all\" | tr -d '\\r'
}
wait_for 'READY' >/dev/null
sleep 0.3
for typed in 'regatta best qu' 'regatta trials --state fi' 'regatta exp'; do
  zpty -w -n z \"$typed\"$'\\t'; sleep 1; zpty -w -n z $'\\x18'
  wait_for 'LINE\\[*\\]'
  zpty -w -n z $'\\x15'
done
zpty -w -n z $'regatta show \\t\\t'
wait_for 'finished, 0.*finished, 0.*finished, 0.*finished, 0.'
zpty -d z
",
    );
    let test = "zsh_completes_in_a_terminal";
    let Some(said) = shell(&home, test, "zsh", &["-f"], "drive.zsh") else { return };
    for line in ["LINE[regatta best quick ]", "LINE[regatta trials --state finished ]"] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    assert!(said.contains("explain") && said.contains("export"), "{said}");
    assert!(said.matches("quick, finished, 0.").count() >= 4, "{said}");
}

#[test]
fn a_shell_is_answered_at_once_and_in_silence() {
    let home = home();
    let ask = |words: &[&str]| {
        let mut command = home.command(&[]);
        command.env("REGATTA_COMPLETE", "fish").arg("--").args(words);
        let output = command.output().expect("regatta");
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.lines().filter(|line| !line.starts_with('-')).collect::<Vec<_>>().join("\n")
    };
    let before = home.files();
    assert!(ask(&["regatta", "show", ""]).contains("finished"));
    // What is damaged, old, locked or not there is silence.
    for content in ["garbage", ""] {
        home.write("bad/regatta.db", content).write("bad/quick/controller.journal", "");
        assert_eq!(ask(&["regatta", "--root", "bad", "show", ""]), "");
        assert_eq!(std::fs::read_to_string(home.at("bad/regatta.db")).expect("file"), content);
    }
    std::fs::remove_dir_all(home.at("bad")).expect("remove");
    assert_eq!(ask(&["regatta", "--root", "nowhere", "show", ""]), "");
    for odd in [&["regatta", "nonsense", "--no", "x"][..], &["regatta", "--root"], &["regatta"]] {
        ask(odd);
    }
    assert_eq!(home.files(), before, "something was written");
}

/// A database with many trials.
fn crowded(folder: &Path, trials: usize) {
    let script = format!(
        "with recursive n (i) as (select 0 union all select i + 1 from n where i + 1 < {trials})
         insert into trial (sweep_id, identity, seed, parameters, settings, state)
         select 1, printf('%08x%08x', (i * 2654435761) % 4294967296, i), i,
                '{{\"optimizer.lr\":0.001,\"batch_size\":8}}', '{{}}', 'finished' from n;
         insert into summary (trial_id, metric, sweep_id, maximum, maximum_epoch, last_epoch)
         select trial_id, 'val/jaccard', 1, 0.5, 1, 1 from trial where true on conflict do nothing;"
    );
    let done = Command::new("sqlite3").arg(folder.join("regatta.db")).arg(script).output();
    let done = done.expect("sqlite3");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn among_many_trials_a_digit_is_wanted() {
    let test = "among_many_trials_a_digit_is_wanted";
    if Command::new("sqlite3").arg("--version").output().is_err() {
        skip(test, "data: sqlite3 is missing");
        return;
    }
    let home = home();
    crowded(&home.at("runs"), 100_000);
    let clock = SystemClock::new();
    let ask = |typed: &[&str]| {
        let mut best = Duration::MAX;
        let mut said = String::new();
        for _ in 0..5 {
            let start = clock.monotonic();
            let mut command = home.command(&[]);
            command.env("REGATTA_COMPLETE", "fish").args(["--", "regatta"]).args(typed);
            let output = command.output().expect("regatta");
            said = String::from_utf8_lossy(&output.stdout).into_owned();
            said =
                said.lines().filter(|line| !line.starts_with('-')).collect::<Vec<_>>().join("\n");
            best = best.min(clock.monotonic().saturating_sub(start));
        }
        println!("{typed:?}: {} candidates in {best:?}", said.lines().count());
        said
    };
    assert_eq!(ask(&["show", ""]), "");
    let some = ask(&["show", "3"]);
    let ids: Vec<&str> = some.lines().filter_map(|line| line.split('\t').next()).collect();
    assert!((100..=640).contains(&ids.len()), "{}", ids.len());
    let nexts: std::collections::BTreeSet<&str> = ids.iter().map(|id| &id[1..2]).collect();
    assert_eq!(nexts.len(), 16, "what they have in common is what was typed");
    ask(&["show", "quick/3"]);
    ask(&["best", "--columns", "opt"]);
    ask(&["best", "qu"]);
}
