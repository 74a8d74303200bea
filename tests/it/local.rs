//! The local scheduler with real processes.

#![expect(clippy::disallowed_methods, reason = "tests start processes and look at clocks")]

use std::path::PathBuf;
use std::time::Duration;

use regatta::clock::{Clock, SystemClock};
use regatta::layout::SweepFolder;
use regatta::scheduler::{JobRef, LocalScheduler, Scheduler, TaskRef, supervise};

use crate::stage::{Stage, folder_of, over, read, trial, words};

/// The program with the verb `local-supervisor`.
fn supervisor() -> PathBuf {
    crate::home::controller()
}

fn scheduler(stage: &Stage, slots: u32) -> LocalScheduler {
    LocalScheduler::new(supervisor(), stage.root.clone(), slots)
        .with_kill_wait(Duration::from_secs(1))
}

fn task(job: &JobRef, index: u32) -> TaskRef {
    TaskRef { job: job.clone(), index }
}

#[tokio::test]
async fn tasks_run_a_few_at_a_time_and_get_what_they_need() {
    // Each leaves a mark while it runs and counts the marks.
    let stage = Stage::new(
        5,
        "touch \"$out/on-$index\"; sleep 0.3; ls \"$out\" | grep -c on- >>\"$out/counts\"\n\
         rm \"$out/on-$index\"; echo \"$index $origin ${left:-none} $OMP_NUM_THREADS\" >>\"$out/seen\"; echo hello",
    );
    let scheduler = scheduler(&stage, 2);
    let job = scheduler.submit(&stage.job).await.expect("submit");
    let seen = stage.wait_for(&scheduler, &job, 20, over).await;
    assert_eq!(words(&seen), ["COMPLETED"; 5], "{}", stage.logs());
    let counts = stage.said("counts");
    assert!(counts.lines().all(|count| count == "1" || count == "2"), "{counts}");
    assert!(counts.contains('2'), "two at a time: {counts}");
    let token = stage.job.token;
    let mut lines: Vec<String> = stage.said("seen").lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines[4], format!("4 local:{token}_4:0 none 1"));
    assert_eq!(read(&folder_of(&stage).local_log(token, 0)), "hello");
    let found =
        scheduler.find(token, folder_of(&stage), SystemClock::new().now()).await.expect("find");
    assert_eq!(found, Some(job));
}

#[tokio::test]
async fn slots_are_shared_by_submissions_and_the_throttle_is_kept() {
    let stage = Stage::with(
        3,
        "date +%s%N >>\"$out/begin\"; sleep 0.2; date +%s%N >>\"$out/end\"",
        "{}",
        |job| {
            job.throttle = Some(1);
        },
    );
    let scheduler = scheduler(&stage, 4);
    let job = scheduler.submit(&stage.job).await.expect("submit");
    stage.wait_for(&scheduler, &job, 20, over).await;
    let (begin, end) = (stage.said("begin"), stage.said("end"));
    let pairs = begin.lines().skip(1).zip(end.lines());
    assert!(
        pairs.clone().count() == 2 && pairs.clone().all(|(next, end)| next > end),
        "one at a time"
    );
}

#[tokio::test]
async fn a_stopped_task_starts_again_until_the_limit() {
    let stage = Stage::with(
        2,
        "echo \"$origin\" >>\"$out/$index\"; ((index == 0 && $(wc -l <\"$out/0\") == 3)) && exit 0; exit 75",
        "{}",
        |job| job.restart_limit = 3,
    );
    let scheduler = scheduler(&stage, 2);
    let job = scheduler.submit(&stage.job).await.expect("submit");
    let seen = stage.wait_for(&scheduler, &job, 20, over).await;
    assert_eq!(words(&seen), ["COMPLETED", "FAILED"], "{}", stage.logs());
    let restarts: Vec<u32> = seen.iter().flatten().map(|report| report.restarts).collect();
    assert_eq!(restarts, [2, 3]);
    assert!(stage.said("0").ends_with("_0:2"), "{}", stage.said("0"));
}

#[tokio::test]
async fn a_cancel_mark_keeps_a_stopped_task_from_starting_again() {
    let stage = Stage::new(1, "echo x >>\"$out/starts\"; exit 75");
    let mark = folder_of(&stage).trial(&trial(0)).cancel_mark();
    std::fs::write(mark, "").expect("mark");
    let scheduler = scheduler(&stage, 1);
    let job = scheduler.submit(&stage.job).await.expect("submit");
    let seen = stage.wait_for(&scheduler, &job, 20, over).await;
    assert_eq!((words(&seen), stage.said("starts").as_str()), (vec!["FAILED"], "x"));
}

#[tokio::test]
async fn a_task_is_warned_then_asked_then_killed() {
    let worker = "trap 'echo warned >>\"$out/signals\"' USR2; trap 'echo asked >>\"$out/signals\"' TERM\n\
                  echo \"left $left\" >>\"$out/signals\"; while :; do sleep 0.1; done";
    let stage = Stage::with(1, worker, "{}", |job| {
        job.time_limit = Some(Duration::from_secs(2));
        job.warn_before = Duration::from_secs(1);
    });
    let scheduler = scheduler(&stage, 1);
    let job = scheduler.submit(&stage.job).await.expect("submit");
    let seen = stage.wait_for(&scheduler, &job, 20, over).await;
    assert_eq!(words(&seen), ["TIMEOUT"], "{}", stage.logs());
    assert_eq!(stage.said("signals"), "left 2\nwarned\nasked");
}

#[tokio::test]
async fn cancelled_tasks_end_and_the_others_do_not_notice() {
    let stage = Stage::new(
        3,
        "trap 'exit 75' TERM; ((index == 1)) && sleep 1.5 || for n in {1..200}; do sleep 0.1; done",
    );
    let scheduler = scheduler(&stage, 2);
    let job = scheduler.submit(&stage.job).await.expect("submit");
    stage
        .wait_for(&scheduler, &job, 10, |seen| words(seen) == ["RUNNING", "RUNNING", "PENDING"])
        .await;
    scheduler.cancel(&[task(&job, 0), task(&job, 2)]).await.expect("cancel");
    let seen = stage.wait_for(&scheduler, &job, 20, over).await;
    assert_eq!(words(&seen), ["CANCELLED", "COMPLETED", "CANCELLED"], "{}", stage.logs());
    // What is over may be cancelled again.
    scheduler.cancel(&[task(&job, 0)]).await.expect("cancel");
}

#[tokio::test]
async fn a_task_is_requeued_on_wish() {
    let stage = Stage::new(
        1,
        "trap 'exit 75' TERM; echo x >>\"$out/starts\"; [[ $origin == *:1 ]] && exit 0; for n in {1..200}; do sleep 0.1; done",
    );
    let scheduler = scheduler(&stage, 1);
    let job = scheduler.submit(&stage.job).await.expect("submit");
    stage.wait_for(&scheduler, &job, 10, |_| !stage.said("starts").is_empty()).await;
    scheduler.requeue(&task(&job, 0)).await.expect("requeue");
    let seen = stage.wait_for(&scheduler, &job, 20, over).await;
    assert_eq!((words(&seen), seen[0].as_ref().expect("seen").restarts), (vec!["COMPLETED"], 1));
    assert!(scheduler.requeue(&task(&job, 0)).await.is_err(), "its supervisor is gone");
}

#[tokio::test]
async fn what_a_killed_supervisor_leaves_is_told_as_it_is() {
    let stage =
        Stage::new(3, "echo $PPID >\"$out/script-$index\"; ((index == 0)) && exit 0; sleep 60");
    let scheduler = scheduler(&stage, 2);
    let job = scheduler.submit(&stage.job).await.expect("submit");
    let begun = |n| !stage.said(n).is_empty();
    let seen = stage
        .wait_for(&scheduler, &job, 10, |seen| {
            words(seen)[0] == "COMPLETED" && begun("script-1") && begun("script-2")
        })
        .await;
    assert_eq!(words(&seen), ["COMPLETED", "RUNNING", "RUNNING"]);
    kill(supervisor_pid(&stage), "KILL");
    // Its tasks live on, are seen, and can be cancelled.
    stage
        .wait_for(&scheduler, &job, 5, |seen| words(seen) == ["COMPLETED", "RUNNING", "RUNNING"])
        .await;
    scheduler.cancel(&[task(&job, 1)]).await.expect("cancel");
    stage.wait_for(&scheduler, &job, 5, |seen| words(seen) == ["COMPLETED", "", "RUNNING"]).await;
    scheduler.cancel(&[task(&job, 2)]).await.expect("cancel");
    stage.wait_for(&scheduler, &job, 5, |seen| words(seen) == ["COMPLETED", "", ""]).await;
}

#[tokio::test]
async fn tasks_stop_with_a_supervisor_that_is_asked_to_end() {
    let stage = Stage::new(
        2,
        "trap 'exit 75' TERM; touch \"$out/on\"; for n in {1..200}; do sleep 0.1; done",
    );
    let scheduler = scheduler(&stage, 1);
    let job = scheduler.submit(&stage.job).await.expect("submit");
    stage.wait_for(&scheduler, &job, 10, |_| stage.out("on").exists()).await;
    kill(supervisor_pid(&stage), "TERM");
    // The second never began: nobody will start it any more.
    stage.wait_for(&scheduler, &job, 10, |seen| words(seen) == ["PREEMPTED", ""]).await;
}

#[tokio::test]
async fn of_a_folder_that_was_moved_nothing_is_started_and_what_runs_is_left_to_its_end() {
    let stage = Stage::new(
        2,
        "touch \"$out/on-$index\"; while [[ ! -e $out/go ]]; do sleep 0.1; done; touch \"$out/done-$index\"",
    );
    let scheduler = scheduler(&stage, 1);
    let job = scheduler.submit(&stage.job).await.expect("submit");
    stage.wait_for(&scheduler, &job, 10, |_| stage.out("on-0").exists()).await;
    let moved = stage.base.path().join("moved");
    std::fs::rename(stage.root.path(), &moved).expect("moved");
    let there = JobRef { folder: moved.join("lr"), ..job };
    // Longer than a folder may be away: what runs goes on, and is seen.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let seen = stage.wait_for(&scheduler, &there, 1, |_| true).await;
    assert_eq!(words(&seen), ["RUNNING", "PENDING"]);
    std::fs::write(stage.out("go"), "").expect("go");
    // Nobody will start the other one: it is not said to wait.
    stage.wait_for(&scheduler, &there, 10, |seen| words(seen) == ["", ""]).await;
    assert!(stage.out("done-0").exists() && !stage.out("on-1").exists());
}

#[tokio::test]
async fn a_job_outlives_the_process_that_submitted_it() {
    let stage = Stage::new(1, "sleep 0.5; touch \"$out/done\"");
    let program = supervisor();
    let me = std::env::current_exe().expect("me");
    let mut submitter = tokio::process::Command::new(me)
        .args(["--exact", "local::submitter_door", "--ignored"])
        .env("TEST_PROGRAM", program)
        .env("TEST_ROOT", stage.root.path())
        .env("TEST_FOLDER", folder_of(&stage).path())
        .env("TEST_TOKEN", stage.job.token.to_string())
        .process_group(0)
        .spawn()
        .expect("submitter");
    let scheduler = scheduler(&stage, 1);
    // Not before it has begun: `find` would make sure that it never does.
    while supervisor_pid(&stage).parse::<u32>().is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let job = scheduler
        .find(stage.job.token, folder_of(&stage), SystemClock::new().now())
        .await
        .expect("find")
        .expect("begun");
    // As Ctrl-C and the end of a terminal do: to the whole process group.
    let group = i32::try_from(submitter.id().expect("pid")).expect("pid");
    nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), nix::sys::signal::Signal::SIGKILL)
        .expect("kill");
    submitter.wait().await.expect("killed");
    stage.wait_for(&scheduler, &job, 10, |seen| words(seen) == ["COMPLETED"]).await;
    assert!(stage.out("done").exists());
}

/// Not a test: a controller that submits and then waits.
#[tokio::test]
#[ignore = "started by the other tests"]
async fn submitter_door() {
    use regatta::layout::Root;
    use regatta::scheduler::Submission;
    let var = |name| std::env::var(name).expect("set by the test");
    if std::env::var_os("TEST_TOKEN").is_none() {
        return; // nobody's submitter
    }
    let job = Submission {
        token: var("TEST_TOKEN").parse().expect("token"),
        folder: SweepFolder::new(var("TEST_FOLDER")),
        tasks: 1,
        throttle: None,
        time_limit: None,
        warn_before: Duration::ZERO,
        restart_limit: 0,
    };
    let scheduler = LocalScheduler::new(var("TEST_PROGRAM").into(), Root::new(var("TEST_ROOT")), 1);
    scheduler.submit(&job).await.expect("submit");
    tokio::time::sleep(Duration::from_secs(60)).await;
}

#[tokio::test]
async fn what_was_never_begun_is_found_to_be_nothing_and_stays_so() {
    let stage = Stage::new(1, "touch \"$out/ran\"");
    let token = stage.job.token;
    // Killed between writing the record and starting the supervisor.
    let nobody = LocalScheduler::new("/nowhere/regatta".into(), stage.root.clone(), 1);
    let error = nobody.submit(&stage.job).await.expect_err("no program");
    assert!(error.is_certain(), "{error}");
    let scheduler = scheduler(&stage, 1);
    assert_eq!(
        scheduler.find(token, folder_of(&stage), SystemClock::new().now()).await.expect("find"),
        None
    );
    // A supervisor that comes late leaves it alone.
    supervise(folder_of(&stage), token, &SystemClock::new()).await.expect("leaves");
    assert!(!stage.out("ran").exists());
}

fn supervisor_pid(stage: &Stage) -> String {
    let record = read(&folder_of(stage).local_state(stage.job.token));
    let record: serde_json::Value = serde_json::from_str(&record).unwrap_or_default();
    record["supervisor"]["pid"].to_string()
}

fn kill(pid: String, signal: &str) {
    let done = std::process::Command::new("kill").args([format!("-{signal}"), pid]).status();
    assert!(done.expect("kill").success());
}
