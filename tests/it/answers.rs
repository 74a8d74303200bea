//! What `best`, `trials`, `show` and `status` print, from the real program over a small folder.

use std::process::Output;

use regatta::event::Event;
use regatta::layout;
use regatta::metric::{Direction, Objective};

use crate::runs::{Runs, life, trial};

#[expect(clippy::disallowed_methods, reason = "the test is the user")]
pub(crate) fn regatta(runs: &Runs, words: &[&str]) -> Output {
    std::process::Command::new(crate::home::controller())
        .arg("--root")
        .arg(runs.root().path())
        .args(words)
        .env_remove("REGATTA_ROOT")
        .env("NO_COLOR", "1")
        .output()
        .expect("regatta runs")
}

/// Exit code, stdout and stderr as one text, without what differs from day to day.
pub(crate) fn said(runs: &Runs, words: &[&str]) -> String {
    let output = regatta(runs, words);
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.replace(&runs.root().path().display().to_string(), "ROOT")
    };
    format!(
        "{}\n{}--\n{}",
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr)
    )
}

fn small() -> Runs {
    let runs = Runs::new(3);
    life(&runs);
    runs
}

#[test]
fn best_ranks_and_tells_what_is_not_finished() {
    insta::assert_snapshot!(said(&small(), &["best", "lr-batch"]), @r"
    0
    TRIAL     VAL/JACCARD  EPOCH  BATCH_SIZE  LR     SEED  STATE
    00000000  0.6000       2      0           0.001  0     finished
    01234567  0.4000       1      1           0.001  1     running
    02468acf  -            -      2           0.001  2     planned
    --
    note: 2 of 3 trials are not finished
    note: values come from several versions of the worker: 0.1, 0.2
    ");
}

#[test]
fn best_as_json_is_the_promised_shape() {
    let output = regatta(&small(), &["best", "lr-batch", "--json", "--top", "1"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one value");
    let expected = serde_json::json!({
        "schema_version": 1, "metric": "val/jaccard", "direction": "maximize",
        "trials": [{
            "trial": "0000000000000000", "value": 0.6, "epoch": 2, "seed": 0, "state": "finished",
            "parameters": { "batch_size": 0, "optimizer.lr": 0.001 },
        }],
    });
    assert_eq!(value, expected);
}

#[test]
fn best_as_csv() {
    insta::assert_snapshot!(said(&small(), &["best", "lr-batch", "--csv", "--quiet"]), @"
    0
    trial,value,epoch,seed,state,batch_size,optimizer.lr,flags
    0000000000000000,0.6,2,0,finished,0,0.001,
    0123456789abcdef,0.4,1,1,running,1,0.001,
    02468acf13579bde,,,2,planned,2,0.001,
    --
    ");
}

#[test]
fn unfinished_trials_make_exit_code_3_where_asked() {
    let runs = small();
    let code = |words: &[&str]| regatta(&runs, words).status.code();
    assert_eq!(code(&["best", "lr-batch"]), Some(0));
    assert_eq!(code(&["best", "lr-batch", "--fail-if-unfinished"]), Some(3));
    let none = Runs::new(0);
    assert_eq!(regatta(&none, &["best", "--fail-if-unfinished"]).status.code(), Some(0));
}

#[test]
fn a_wrong_word_gets_the_right_one() {
    let runs = small();
    insta::assert_snapshot!(said(&runs, &["best", "lr-bach"]), @r"
    1
    --
    error: there is no sweep `lr-bach`
     hint: did you mean `lr-batch`? `regatta --root ROOT status` lists the sweeps
    ");
    insta::assert_snapshot!(said(&runs, &["best", "--metric", "val/jacard"]), @r"
    1
    --
    error: no trial has recorded `val/jacard`
     hint: did you mean `val/jaccard`?
    ");
    insta::assert_snapshot!(said(&runs, &["show", "0"]), @r"
    1
    --
    error: `0` may be any of lr-batch/0000000000000000, lr-batch/0123456789abcdef, lr-batch/02468acf13579bde
     hint: give more digits, or where several sweeps have it `sweep/trial`
    ");
    insta::assert_snapshot!(said(&runs, &["trials", "--state", "done"]), @"
    2
    --
    error: invalid value 'done' for '--state <STATE>': known: planned, submitted, running, waiting, finished, failed, diverged, out_of_memory, node_failed, timed_out, preempted, cancelled, lost

    For more information, try '--help'.

    Example: regatta trials lr-batch --state failed --state lost --why
    More: regatta help trials
    ");
}

#[test]
fn trials_are_listed_in_the_order_of_the_plan() {
    insta::assert_snapshot!(said(&small(), &["trials", "lr-batch"]), @r"
    0
    TRIAL     STATE     EPOCH  BEST    BATCH_SIZE  LR     SEED  ATTEMPTS
    00000000  finished  2/3    0.6000  0           0.001  0     1
    01234567  running   1/3    0.4000  1           0.001  1     2
    02468acf  planned   0/3    -       2           0.001  2     0
    --
    note: 3 trials
    ");
}

#[test]
fn explain_tells_state_rule_and_story() {
    let told = said(&small(), &["explain", "0000"]);
    for words in [
        "state    finished",
        "why      attempt 1 reached the end",
        "rule     worker_finished: the worker's last word decides",
        "do       `regatta --root ROOT show lr-batch/0000000000000000`",
        "controller  about to submit with slurm, task 0 of 2",
        "slurm       accepted it as job 123_0",
        "attempt 1   began on n1 (slurm:123_0:0, process 1)",
        "attempt 1   last word: finished after epoch 3",
    ] {
        assert!(told.contains(words), "{words}\n{told}");
    }
    insta::assert_snapshot!(said(&small(), &["explain", "0246"]), @r"
    0
    trial    02468acf13579bde
    sweep    lr-batch
    state    planned
    why      nothing was submitted
    rule     nothing_submitted: no submission is written down: the trial is planned
    do       `regatta --root ROOT resume lr-batch/02468acf13579bde`

    STORY
    --
    ");
    let output = regatta(&small(), &["explain", "0123", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one value");
    assert_eq!((&value["state"], &value["rule"]["name"]), (&"running".into(), &"working".into()));
    assert!(value["story"].as_array().expect("story").len() > 5, "{value}");
    insta::assert_snapshot!(said(&small(), &["explain", "ffff"]), @r"
    1
    --
    error: there is no trial `ffff`
     hint: `regatta --root ROOT trials` lists them; the first digits of an id are enough
    ");
}

#[test]
fn show_tells_everything_about_a_trial() {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"is \d+ s old", "is [N] s old");
    settings.bind(|| {
        insta::assert_snapshot!(said(&small(), &["show", "0123"]), @r"
    0
    trial   0123456789abcdef
    sweep   lr-batch
    state   running
            attempt 2's last record is [N] s old; the scheduler was not asked since
    best    val/jaccard 0.4000 (epoch 1)
    epochs  1/3
    seed    1

    SETTINGS (* swept)
    batch_size*             1
    epochs                  3
    gradient_accumulation   1
    model.collapse_at       null
    model.name              toy
    optimizer.clip_norm     null
    optimizer.l2_conv       0.0
    optimizer.lr*           0.001
    optimizer.name          adamw

    ATTEMPT 1  2027-01-15T08:01:50Z to 2027-01-15T08:02:20Z
      host     n1, slurm:123_0:0
      worker   0.1
      end      stopped (warned)

    ATTEMPT 2  2027-01-15T08:01:50Z
      host     n1, slurm:123_0:0
      worker   0.2
      end      no last word; seen 2027-01-15T08:02:00Z

    ANALYSIS
    verdict                    unfinished
    last val/jaccard           0.4000
    last val/loss              -
    last train/loss            -
    gap                        -
    gap at the best epoch      -
    stability                  -
    95 % of the best at epoch  -
    training time              12s
    time per epoch             4.0s
    images per second          9.0
    network parameters         -

    EPOCH  VAL/JACCARD  TIME
    1      0.4000       4s

    WARNINGS
    2027-01-15T08:02:10Z 1: slow disk
    --
    ")
    });
}

#[test]
fn show_tells_where_with_what_and_how_an_attempt_went() {
    let shown = said(&crate::records::told(), &["show", "0246"]);
    let attempt = shown.split("\n\n").find(|part| part.starts_with("ATTEMPT")).expect("attempt");
    insta::assert_snapshot!(attempt, @r"
    ATTEMPT 1  2027-01-15T08:01:50Z to 2027-01-15T08:03:10Z
      host     n1, slurm:123_0:0
      device   Some GPU, driver 550.1, 4 threads
      worker   0.1 (binary 0123456789ab), libtorch 2
      commit   abc1234 (dirty)
      from     checkpoint 1-2.json; not as it was: threads: 4, were 1
      end      stopped (terminated)
      leaving  took 3.5 s, 2.5 s predicted for the checkpoint, 27s of 1h 00m left unused
      saved    3 checkpoints, the newest of 12 MB, training stood still 0.75 % of the time
    ");
}

#[test]
fn status_counts_and_estimates() {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"(\d+\w )+ago +", "[T] ago ");
    settings.add_filter("SEEN +", "SEEN ");
    settings.bind(|| {
        insta::assert_snapshot!(said(&small(), &["status", "--offline"]), @r"
    0
    lr-batch  3 trials: 1 planned, 1 running, 1 finished
      best val/jaccard so far: 0.6000
      TRIAL     STATE    EPOCH  PER EPOCH  LEFT  SEEN BATCH_SIZE  LR
      01234567  running  1/3    4s         8s    [T] ago 1           0.001
    --
    ")
    });
}

#[test]
fn damaged_lines_and_a_busy_collector_are_told() {
    let runs = small();
    let path = runs.root().sweep("lr-batch").controller_journal();
    let mut attempt = runs.attempt(2, 1);
    attempt.header(None).write(&Event::Heartbeat {
        cursor: regatta::event::Cursor::START,
        loss: None,
        remaining: Some(60.0),
    });
    use std::io::Write;
    layout::open_append(&path).expect("open").write_all(b"not a record\n").expect("write");
    let notes = |output: Output| String::from_utf8(output.stderr).expect("text");
    let first = notes(regatta(&runs, &["best"]));
    assert!(first.contains("1 damaged line in journals skipped"), "{first}");
    let lock = runs.root().collect_lock();
    let _held = layout::lock(&lock, std::time::Duration::ZERO).expect("lock");
    let second = notes(regatta(&runs, &["best"]));
    assert!(second.contains("journals are not read now"), "{second}");
}

#[test]
fn sweeps_with_different_objectives_are_not_mixed_silently() {
    let runs = small();
    let other = runs.another("by-loss", 1);
    let metric = "val/loss".to_owned();
    let objective = Objective { metric, direction: Direction::Minimize };
    other.plan(objective, &[trial(0)]);
    let mixed = regatta(&runs, &["best"]);
    assert_eq!(mixed.status.code(), Some(1));
    let json = regatta(&runs, &["best", "--metric", "val/jaccard", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).expect("one value");
    assert_eq!(value["trials"][0]["sweep"], "lr-batch");
}
