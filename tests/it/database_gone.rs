//! The database goes, is locked, or cannot be written: nothing is lost, nothing is done twice.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regatta::layout;
use regatta::store::{Mode, Store};

use crate::home::{Home, QUICK_TOY, SUBMIT};
use crate::stage::skip;

#[test]
fn the_database_goes_while_workers_work_and_nothing_is_submitted_twice() {
    let home = Home::new();
    let slow = QUICK_TOY.replace("steps_per_epoch: 5", "steps_per_epoch: 20, step_seconds: 0.03");
    home.write("sweep.yaml", slow);
    let submit = ["submit", "sweep.yaml", "--scheduler", "local", "--slots", "4"];
    home.ok(&submit);
    for moment in 0..4 {
        home.wait_until("some progress", |home| {
            let epochs =
                |t: &layout::TrialFolder| std::fs::metadata(t.journal(1)).map_or(0, |m| m.len());
            home.trials("quick").values().map(epochs).sum::<u64>() > 2_000 * moment
        });
        if moment % 2 == 0 {
            layout::remove_database(&home.root()).expect("removed");
        } else {
            home.ok(&["rebuild"]);
        }
        let again = home.json(&submit);
        assert_eq!(again["accepted"], serde_json::json!([]), "{again}");
    }
    home.wait_until("the end", |home| home.states("quick").iter().all(|s| s == "finished"));
    for (id, folder) in home.trials("quick") {
        assert_eq!(folder.attempts().expect("claims"), [1], "{id}");
    }
}

#[tokio::test]
async fn a_database_that_another_program_holds_is_waited_for_then_answered_from() {
    let home = Home::with_quick_toy();
    home.ok(&SUBMIT);
    home.ok(&["status"]);
    let mut holder = Store::open(&home.root().database(), Mode::ReadWrite).await.expect("store");
    let before = holder.content_hash().await.expect("hash");
    sqlx::query("begin immediate").execute(holder.connection()).await.expect("held");
    let best = home.type_in(&["best", "quick"]);
    assert_eq!(best.code, 0, "{}", best.err);
    assert!(
        best.err.contains("locked") && best.err.contains("the answer is of 20"),
        "{}",
        best.err
    );
    assert!(best.out.contains("finished"), "{}", best.out);
    let rebuild = home.type_in(&["rebuild"]);
    assert_eq!(rebuild.code, 1, "{}", rebuild.out);
    assert!(rebuild.err.contains("another program holds the database"), "{}", rebuild.err);
    sqlx::query("rollback").execute(holder.connection()).await.expect("free");
    assert_eq!(holder.content_hash().await.expect("hash"), before);
    drop(holder);
    assert_eq!(home.json(&["rebuild"])["content_hash"], before);
}

/// A small disk in memory, until dropped; none where mounting is not allowed.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf, test: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).expect("folder");
        let mounted = run("mount", &["-t", "tmpfs", "-o", "size=3m", "none"], &at);
        if !mounted {
            skip(test, "mount is not allowed here");
        }
        mounted.then_some(Self(at))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["--lazy"], &self.0);
    }
}

fn run(program: &str, words: &[&str], at: &Path) -> bool {
    let mut command = Command::new(program);
    command.args(words).arg(at).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_while_collecting_costs_nothing_but_time() {
    let home = Home::with_quick_toy();
    let Some(disk) = Disk::mount(home.at("runs"), "a full disk while collecting") else { return };
    home.ok(&SUBMIT);
    let whole = home.json(&["rebuild"])["content_hash"].clone();
    home.ok(&["status"]);
    // There is news, and no room for it.
    layout::remove_database(&home.root()).expect("removed");
    let filler = disk.0.join("filler");
    let mut file = std::fs::File::create(&filler).expect("filler");
    while std::io::Write::write_all(&mut file, &[1; 512]).is_ok() {}
    for words in [&["best", "quick"][..], &["status"], &["trials", "quick"]] {
        let answer = home.type_in(words);
        assert_eq!(answer.code, 0, "{words:?}: {}", answer.err);
        assert!(answer.out.contains("finished"), "{words:?}: {}", answer.out);
        assert!(answer.err.contains("journals alone"), "{words:?}: {}", answer.err);
    }
    let rebuild = home.type_in(&["rebuild"]);
    assert_eq!(rebuild.code, 1, "{}", rebuild.out);
    drop(file);
    std::fs::remove_file(&filler).expect("room again");
    assert_eq!(home.json(&["rebuild"])["content_hash"], whole);
}

#[test]
fn of_a_root_that_cannot_be_written_all_that_only_asks_is_answered() {
    let home = Home::with_quick_toy();
    let Some(disk) = Disk::mount(home.at("runs"), "a read-only root") else { return };
    home.ok(&SUBMIT);
    let best = home.ok(&["best", "quick"]).out;
    let id = home.trials("quick").into_keys().next().expect("trial").to_string();
    // What supervised the jobs may still be on its way out, with files open.
    let remount = |mode: &str| {
        home.wait_until("a remount", |_| run("mount", &["-o", mode], &disk.0));
    };
    for with_database in [true, false] {
        if !with_database {
            remount("remount,rw");
            layout::remove_database(&home.root()).expect("removed");
        }
        remount("remount,ro");
        assert_eq!(home.ok(&["best", "quick"]).out, best, "{with_database}");
        assert!(home.ok(&["status"]).out.contains("4 finished"), "{with_database}");
        assert!(home.ok(&["trials"]).out.contains("finished"), "{with_database}");
        assert!(home.ok(&["show", &id]).out.contains("ATTEMPT 1"), "{with_database}");
        assert!(home.ok(&["logs", &id]).code == 0, "{with_database}");
        let rebuild = home.type_in(&["rebuild"]);
        assert_eq!(rebuild.code, 1, "{}", rebuild.out);
        assert!(rebuild.err.contains("error: failed"), "{}", rebuild.err);
    }
    remount("remount,rw");
}
