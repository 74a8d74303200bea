//! What is written down for later: the workspace of a submission, and what attempts tell of
//! themselves; in old databases too.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use regatta::clock::Clock;
use regatta::event::{Act, Cursor, Event, Outcome, StopReason};
use regatta::journal;
use regatta::scheduler::Fate;
use regatta::store::{Mode, Store, TrialState};
use sha2::{Digest, Sha256};
use sqlx::SqlSafeStr;

use crate::home::{Home, QUICK_TOY, SUBMIT};
use crate::runs::{Attempt, Runs, at, life};
use crate::stage::skip;
use crate::sweep_life::{Life, TOY};

fn git(home: &Home, words: &[&str]) {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"];
    let said = Command::new("git")
        .args(identity)
        .args(words)
        .current_dir(home.path())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git");
    assert!(said.status.success(), "{words:?}: {said:?}");
}

/// A repository with one sweep file, and the folder of all sweeps in it.
fn repository() -> Option<Home> {
    if Command::new("git").arg("--version").output().is_err() {
        skip("the workspace of a submission", "git: there is none");
        return None;
    }
    let home = Home::with_quick_toy();
    home.write("model.py", "one\ntwo\n").write("picture.bin", [0, 1, 2, 255]);
    git(&home, &["init", "-q"]);
    git(&home, &["add", "."]);
    git(&home, &["commit", "-q", "-m", "first"]);
    Some(home)
}

fn acts(home: &Home) -> Vec<Act> {
    let path = home.root().sweep("quick").controller_journal();
    let found = journal::replay::<Act>(&path).expect("journal");
    found.records.into_iter().map(|record| record.body).collect()
}

fn workspaces(home: &Home) -> Vec<Act> {
    acts(home).into_iter().filter(|act| matches!(act, Act::Workspace { .. })).collect()
}

fn first_attempt(home: &Home) -> serde_json::Value {
    let (trial, _) = home.trials("quick").into_iter().next().expect("a trial");
    home.json(&["show", trial.as_str()])["attempts_made"][0].clone()
}

#[test]
fn a_submission_notes_the_commit_it_was_made_from() {
    let Some(home) = repository() else { return };
    home.ok(&SUBMIT);
    let [Act::Workspace { commit, dirty: false, diff_sha256: None, folder, .. }] =
        &workspaces(&home)[..]
    else {
        panic!("{:#?}", workspaces(&home));
    };
    assert_eq!(*folder, home.path().canonicalize().expect("folder"));
    assert_eq!(commit.len(), 40, "{commit}");
    let shown = first_attempt(&home);
    assert_eq!(shown["workspace"]["commit"], commit.as_str(), "{shown:#}");
    let (trial, _) = home.trials("quick").into_iter().next().expect("a trial");
    let text = home.ok(&["show", trial.as_str()]).out;
    assert!(text.contains(&format!("  commit   {}\n", &commit[..7])), "{text}");
}

#[test]
fn a_changed_workspace_leaves_its_diff_and_nothing_of_new_or_binary_files() {
    let Some(home) = repository() else { return };
    home.write("model.py", "one\nTWO\n").write("picture.bin", [0, 9, 9, 254]);
    home.write("staged.txt", "staged text").write("notes/new.txt", "secret of a new file");
    git(&home, &["add", "staged.txt"]);
    home.ok(&SUBMIT);
    let [Act::Workspace { token, dirty: true, diff_sha256: Some(hash), .. }] =
        &workspaces(&home)[..]
    else {
        panic!("{:#?}", workspaces(&home));
    };
    let path = home.root().sweep("quick").workspace_diff(*token);
    let diff = std::fs::read_to_string(&path).expect("diff");
    for there in
        ["-two\n+TWO\n", "+staged text", "# new, content not kept: notes/\n", "Binary files"]
    {
        assert!(diff.contains(there), "{there}\n{diff}");
    }
    assert!(!diff.contains("secret") && !diff.contains("runs"), "{diff}");
    let expected: String = Sha256::digest(&diff).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(*hash, expected);
    let shown = first_attempt(&home);
    assert_eq!(shown["workspace"]["diff_sha256"], hash.as_str(), "{shown:#}");
    let rebuilt = home.json(&["rebuild"]);
    assert_eq!(first_attempt(&home)["workspace"], shown["workspace"], "{rebuilt:#}");
    // Git takes it back as it stands, but for the picture that it does not hold.
    let text = path.to_str().expect("path");
    git(&home, &["apply", "--reverse", "--exclude=picture.bin", text]);
    assert_eq!(std::fs::read_to_string(home.at("model.py")).expect("file"), "one\ntwo\n");
}

#[test]
fn later_submissions_look_at_the_folder_that_was_noted() {
    let Some(home) = repository() else { return };
    let failing = QUICK_TOY.replace("name: toy,", "name: toy, fail_at: 3,");
    home.write("sweep.yaml", failing);
    assert_eq!(home.type_in(&SUBMIT).code, 3);
    home.write("model.py", "three\n");
    git(&home, &["commit", "-q", "-a", "-m", "second"]);
    // From another place: the folder is the one that was noted.
    home.write("elsewhere/x", "x");
    let root = home.root().path().display().to_string();
    let mut retry = home.command(&["--root", &root, "retry", "quick", "--wait", "--poll", "0.05"]);
    assert_eq!(
        retry.current_dir(home.at("elsewhere")).output().expect("retry").status.code(),
        Some(3)
    );
    let commits: Vec<String> = workspaces(&home)
        .into_iter()
        .filter_map(|act| match act {
            Act::Workspace { commit, .. } => Some(commit),
            _ => None,
        })
        .collect();
    assert_eq!(commits.len(), 2);
    assert_ne!(commits[0], commits[1]);
}

#[test]
fn without_git_or_with_one_that_hangs_a_submission_is_as_ever() {
    let plain = Home::with_quick_toy();
    plain.ok(&SUBMIT);
    assert_eq!(workspaces(&plain), []);
    for text in ["exec sleep 1000", "exit 1", "echo /; exit 0", "echo; echo; echo nonsense"] {
        let mut home = Home::with_quick_toy();
        home.write("bin/git", format!("#!/bin/sh\n{text}\n"));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(home.at("bin/git"), mode).expect("mode");
        let path = std::env::var("PATH").expect("PATH");
        let bin = home.at("bin").display().to_string();
        home.set("PATH", format!("{bin}:{path}"));
        home.ok(&SUBMIT);
        assert_eq!(workspaces(&home), [], "{text}");
        assert_eq!(home.states("quick"), ["finished"; 4], "{text}");
    }
}

fn surroundings() -> Event {
    Event::Surroundings {
        binary_sha256: Some("0123456789abcdef".repeat(4)),
        cpu: "Some CPU".to_owned(),
        cores: 16,
        gpu: Some("Some GPU".to_owned()),
        driver: Some("550.1".to_owned()),
        system: "Linux 6.1".to_owned(),
        command: vec!["regatta-worker".to_owned(), "run".to_owned()],
        folder: "/w".into(),
        environment: BTreeMap::from([("OMP_NUM_THREADS".to_owned(), "4".to_owned())]),
        settings: serde_json::Map::from_iter([("epochs".to_owned(), 3.into())]),
    }
}

/// An attempt that tells all that an attempt can tell.
fn talkative(attempt: &mut Attempt) {
    let cursor = Cursor { epoch: 2, step: 3 };
    attempt.write(&surroundings()).write(&Event::Started {
        cursor: Cursor::START,
        resumed_from: Some("1-2.json".to_owned()),
        parameters: 10,
        device: "Some GPU".to_owned(),
        threads: 4,
        library: "libtorch 2".to_owned(),
        data: None,
        steps_per_epoch: 10,
        epochs: 3,
        time_left: Some(3600.0),
        seconds_to_start: 1.0,
        elapsed_before: 10.0,
        differs: vec!["threads: 4, were 1".to_owned()],
        expected: None,
        train_density: None,
    });
    for generation in 1..=3 {
        attempt.write(&Event::CheckpointWritten {
            name: format!("2-{generation}.json"),
            cursor,
            seconds: 2.0,
            pause: 0.25,
            bytes: 12_300_000,
            folder: None,
        });
    }
    attempt.epoch(1, &[("val/jaccard", 0.5)]);
    attempt.write(&Event::StopRequested {
        reason: StopReason::Terminated,
        cursor,
        predicted: Some(7.5),
        predicted_save: Some(2.5),
        time_left: Some(30.0),
    });
    attempt.write(&Event::Ended {
        outcome: Outcome::Stopped,
        reason: Some(StopReason::Terminated),
        cursor,
        elapsed: 110.0,
        time_left: Some(26.5),
        seconds_to_leave: Some(3.5),
        error: None,
    });
}

/// A life in which everything is told.
pub(crate) fn told() -> Runs {
    let runs = Runs::new(3);
    life(&runs);
    let token = runs.submit(400, &[2]);
    let commit = "abc1234def".repeat(4);
    let diff_sha256 = Some("5".repeat(64));
    runs.act(401, &Act::Workspace { token, folder: "/w".into(), commit, dirty: true, diff_sha256 });
    talkative(runs.attempt(2, 1).header(Some(token)));
    runs
}

async fn collected(runs: &Runs) -> Store {
    let mut store = runs.store().await;
    store.collect(&runs.root(), "lr-batch", at(500)).await.expect("collect");
    store
}

#[tokio::test]
async fn what_an_attempt_tells_is_kept_and_counted_once() {
    let runs = told();
    let mut store = collected(&runs).await;
    store.collect(&runs.root(), "lr-batch", at(501)).await.expect("again");
    let hash = store.content_hash().await.expect("hash");
    let key = store.resolve_trial("0246").await.expect("trial");
    let shown = store.show(&key).await.expect("show").attempts_made.remove(0);
    assert_eq!((shown.checkpoints, shown.checkpoint_bytes), (3, Some(12_300_000)));
    assert_eq!((shown.checkpoint_seconds, shown.checkpoint_pause), (6.0, 0.75));
    assert_eq!((shown.restarts, shown.threads, shown.time_given), (Some(0), Some(4), Some(3600.0)));
    assert_eq!((shown.predicted_step, shown.predicted_save), (Some(7.5), Some(2.5)));
    assert_eq!((shown.stop_time_left, shown.seconds_to_leave), (Some(30.0), Some(3.5)));
    assert_eq!((shown.time_left_unused, shown.elapsed_before), (Some(26.5), Some(10.0)));
    assert_eq!(shown.differs, ["threads: 4, were 1"]);
    let surroundings = shown.surroundings.expect("surroundings");
    assert_eq!(surroundings["environment"]["OMP_NUM_THREADS"], "4");
    assert_eq!(surroundings["settings"]["epochs"], 3);
    store.rebuild(&runs.root(), at(501)).await.expect("rebuild");
    assert_eq!(store.content_hash().await.expect("hash"), hash);
}

/// A database as the version before made it, with all rows that it would have.
async fn made_by_the_first_migration(runs: &Runs) -> Vec<(String, String)> {
    let mut store = collected(runs).await;
    let states = states(&mut store).await;
    let old = runs.root().database().with_file_name("old.db");
    let sql = format!("attach '{}' as old", old.display());
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&old).create_if_missing(true);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("old");
    let first = include_str!("../../migrations/0001_first.sql").into_sql_str();
    let simple = sqlx::migrate::MigrationType::Simple;
    let first = sqlx::migrate::Migration::new(1, "first".into(), simple, first, false);
    let migrator = sqlx::migrate::Migrator::with_migrations(vec![first]);
    migrator.run(&mut connection).await.expect("migrate");
    sqlx::Connection::close(connection).await.expect("close");
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(store.connection()).await.expect("attach");
    for table in [
        "sweep",
        "trial",
        "submission",
        "submission_task",
        "attempt",
        "epoch",
        "summary",
        "sample",
        "warning",
    ] {
        let columns: Vec<String> =
            sqlx::query_scalar("select name from pragma_table_info(?, 'old')")
                .bind(table)
                .fetch_all(store.connection())
                .await
                .expect("columns");
        let columns = columns.join(", ");
        let sql = format!("insert into old.{table} ({columns}) select {columns} from main.{table}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(store.connection()).await.expect("copy");
    }
    drop(store);
    for tail in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{tail}", runs.root().database().display()));
    }
    std::fs::rename(old, runs.root().database()).expect("rename");
    states
}

async fn states(store: &mut Store) -> Vec<(String, String)> {
    let rows = store.trials(&[]).await.expect("trials");
    rows.into_iter().map(|row| (row.trial.to_string(), row.state.to_string())).collect()
}

#[tokio::test]
async fn an_old_database_learns_what_it_did_not_keep() {
    let runs = told();
    let before = made_by_the_first_migration(&runs).await;
    let error = Store::open(&runs.root().database(), Mode::ReadOnly).await.expect_err("old");
    assert!(error.to_string().contains("has version 1, "), "{error}");
    let mut store = runs.store().await;
    assert_eq!(states(&mut store).await, before, "before anything is read");
    store.collect(&runs.root(), "lr-batch", at(500)).await.expect("collect");
    assert_eq!(states(&mut store).await, before);
    let hash = store.content_hash().await.expect("hash");
    let found = store.collect(&runs.root(), "lr-batch", at(501)).await.expect("collect");
    assert_eq!(found.records, 0, "read once more, and not again and again");
    store.rebuild(&runs.root(), at(501)).await.expect("rebuild");
    assert_eq!(store.content_hash().await.expect("hash"), hash);
    let key = store.resolve_trial("0246").await.expect("trial");
    let shown = store.show(&key).await.expect("show").attempts_made.remove(0);
    assert_eq!((shown.checkpoints, shown.checkpoint_pause), (3, 0.75));
    assert!(shown.workspace.expect("workspace").dirty);
}

#[tokio::test]
async fn a_trial_without_progress_has_failed_and_only_people_start_it_again() {
    let life = Life::new(&format!("{TOY}policy: {{ lost: {{ retry: 5 }} }}\n"));
    life.cluster.expect(Fate::Lose(0));
    life.submit().await;
    life.run_tasks();
    // The worker's last word, in the journal that the killed one left.
    let trial = &life.trials[0];
    let error = "no progress: two attempts in a row left no new checkpoint".to_owned();
    let last = Event::Ended {
        outcome: Outcome::Failed,
        reason: None,
        cursor: Cursor::START,
        elapsed: 1.0,
        time_left: None,
        seconds_to_leave: None,
        error: Some(error.clone()),
    };
    let mut writer = journal::Writer::open(&life.folder(trial).journal(1)).expect("journal");
    writer.append(life.clock.now(), &last, true).expect("append");
    life.clock.advance(Duration::from_secs(1000));
    for _ in 0..3 {
        let (sight, sent) = life.tick().await;
        assert_eq!(sight.trials[0].state, TrialState::Failed, "{}", sight.trials[0].why);
        assert!(sight.trials[0].why.contains(&error), "{}", sight.trials[0].why);
        assert_eq!(sent.accepted.len(), 0, "policy sends nothing that failed");
    }
    assert_eq!(life.resume().await.accepted.len(), 1);
    assert_eq!(life.until_the_end().await, [TrialState::Finished, TrialState::Finished]);
}

#[tokio::test]
async fn status_tells_how_far_a_resumed_trial_is_and_how_long_its_job_lasts() {
    let runs = Runs::new(1);
    let token = runs.submit(10, &[0]);
    let mut first = runs.attempt(0, 1);
    first.header(Some(token)).epoch(1, &[("val/jaccard", 0.5)]);
    first.end(Outcome::Stopped, Some(StopReason::Warned));
    // Its header is of second 110, and training began 5 s later with 3600 s to go.
    runs.attempt(0, 2).header(Some(token)).write(&Event::Started {
        cursor: Cursor { epoch: 2, step: 0 },
        resumed_from: Some("1-1.json".to_owned()),
        parameters: 10,
        device: "cpu".to_owned(),
        threads: 1,
        library: "toy".to_owned(),
        data: None,
        steps_per_epoch: 10,
        epochs: 3,
        time_left: Some(3600.0),
        seconds_to_start: 5.0,
        elapsed_before: 3.0,
        differs: Vec::new(),
        expected: None,
        train_density: None,
    });
    let mut store = runs.store().await;
    store.collect(&runs.root(), "lr-batch", at(200)).await.expect("collect");
    let status = store.status(&[]).await.expect("status").remove(0);
    let [one] = &status.progress[..] else { panic!("{status:#?}") };
    assert_eq!((one.attempt, one.epochs_done, one.epochs), (Some(2), 1, Some(3)));
    // An epoch took 3 s of training and 1 s of evaluation.
    assert_eq!((one.seconds_per_epoch, one.remaining), (Some(4.0), Some(8.0)));
    assert_eq!(one.attempt_ends_at, Some(at(110 + 5 + 3600)));
}
