//! Databases as every released version left them, with the journals that they were made from.

use std::path::{Path, PathBuf};
use std::process::Command;

use regatta::layout::Root;
use regatta::store::{Mode, Store, TrialRow};
use sqlx::{ConnectOptions, Connection};

use crate::runs::at;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/old_databases")
}

/// A root with its journals and the database that a dump tells of.
async fn root_of(dump: &str) -> (tempfile::TempDir, Root) {
    let folder = tempfile::tempdir().expect("folder");
    let copied =
        Command::new("cp").arg("-r").arg(fixtures().join("lr-batch")).arg(folder.path()).status();
    assert!(copied.expect("cp").success());
    let root = Root::new(folder.path());
    let sql = std::fs::read_to_string(fixtures().join(dump)).expect("dump");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .foreign_keys(false)
        .filename(root.database())
        .create_if_missing(true);
    let mut connection = options.connect().await.expect("database");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.expect("dump");
    connection.close().await.expect("close");
    (folder, root)
}

/// All rows, but for when news was last heard: a rebuild hears all of it now.
async fn told(store: &mut Store) -> Vec<TrialRow> {
    let rows = store.trials(&[]).await.expect("trials");
    rows.into_iter().map(|row| TrialRow { heard_at: None, why: String::new(), ..row }).collect()
}

#[tokio::test]
async fn a_database_of_each_older_version_comes_to_what_the_journals_tell() {
    for dump in ["version-1.sql", "version-2.sql"] {
        let (_folder, root) = root_of(dump).await;
        assert!(Store::open(&root.database(), Mode::ReadOnly).await.is_err(), "{dump} is not old");
        let mut store = Store::open(&root.database(), Mode::ReadWrite).await.expect("migrated");
        store.collect_all(&root, at(500)).await.expect("collect");
        let migrated = store.content_hash().await.expect("hash");
        let trials = told(&mut store).await;
        store.rebuild(&root, at(500)).await.expect("rebuild");
        assert_eq!(store.content_hash().await.expect("hash"), migrated, "{dump}");
        assert_eq!(told(&mut store).await, trials, "{dump}");
        assert_eq!(trials.iter().filter(|row| row.value.is_some()).count(), 2, "{dump}");
    }
}

#[tokio::test]
async fn a_newer_database_is_refused_by_every_command_with_what_to_do() {
    let home = crate::home::Home::with_quick_toy();
    home.ok(&crate::home::SUBMIT);
    let mut store = Store::open(&home.root().database(), Mode::ReadWrite).await.expect("store");
    sqlx::query("update _sqlx_migrations set version = 7000 where version = (select max(version) from _sqlx_migrations)")
        .execute(store.connection())
        .await
        .expect("newer");
    drop(store);
    let id = home.trials("quick").into_keys().next().expect("trial").to_string();
    for words in [
        &["status"][..],
        &["status", "--json"],
        &["best", "quick"],
        &["trials"],
        &["show", &id],
        &["logs", &id],
        &["resume", "quick", "--scheduler", "local"],
        &["retry", "quick", "--scheduler", "local"],
        &["cancel", "quick"],
        &["tick", "--scheduler", "local"],
        &["submit", "sweep.yaml", "--scheduler", "local"],
        &["export", "quick", "--bundle", "x.tar"],
        &["rebuild"],
    ] {
        let answer = home.type_in(words);
        assert_eq!(answer.code, 1, "{words:?}: {}", answer.out);
        let all = format!("{}{}", answer.out, answer.err);
        assert!(
            all.contains("has version 7000") && all.contains("use the newer regatta"),
            "{words:?}: {all}"
        );
    }
}
