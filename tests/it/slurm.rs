//! The scheduler and the script on a real SLURM: a private cluster of two nodes.

#![expect(clippy::disallowed_methods, reason = "tests start processes and read the environment")]

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use regatta::clock::{Clock, SystemClock};
use regatta::scheduler::{
    JobRef, Scheduler, SchedulerError, Slurm, SlurmSettings, TaskRef, TaskReport, TaskState,
};

use crate::cluster::Cluster;
use crate::stage::{Stage, folder_of, over, read, skip, words};

/// The scheduler of this cluster.
fn slurm(cluster: &Cluster) -> Slurm {
    let mut environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    environment.retain(|(name, _)| name != "SLURM_CONF");
    environment.push(("SLURM_CONF".into(), cluster.conf().into()));
    Slurm::new(SlurmSettings::new(environment, Arc::new(SystemClock::new())))
}

const LOW: &str = "{ partition: low, time: '00:10:00', cpus: 1, mem: 50M }";

#[tokio::test]
async fn on_a_real_cluster() {
    if std::env::var("REGATTA_TEST_SLURM").as_deref() != Ok("1") {
        return skip("on_a_real_cluster", "slurm: REGATTA_TEST_SLURM is not 1");
    }
    let cluster = Cluster::start(&["--nodes", "2", "--cpus", "8"]);
    tokio::join!(
        an_array_is_submitted_found_and_seen_to_its_end(&cluster),
        a_refusal_is_told_with_a_hint(&cluster),
        a_stopped_task_comes_back_by_itself(&cluster),
        one_task_is_cancelled_and_stays_so(&cluster),
        a_plain_scancel_is_not_undone(&cluster),
        a_task_is_requeued_on_wish(&cluster),
    );
    preemption_of_one_task_leaves_the_others_alone(&cluster).await;
}

async fn an_array_is_submitted_found_and_seen_to_its_end(cluster: &Cluster) {
    let stage = Stage::with(
        3,
        "echo \"$origin $left $OMP_NUM_THREADS $PWD\" >\"$out/$index\"; exit $((index == 2 ? 1 : 0))",
        "{ partition: low, time: '00:10:00', cpus: 2, mem: 50M }",
        |_| {},
    );
    let slurm = slurm(cluster);
    let job = slurm.submit(&stage.job).await.expect("submit");
    let found = slurm
        .find(stage.job.token, folder_of(&stage), SystemClock::new().now())
        .await
        .expect("find");
    assert_eq!(found.as_ref(), Some(&job));
    let seen = stage.wait_for(&slurm, &job, 30, over).await;
    assert_eq!(words(&seen), ["COMPLETED", "COMPLETED", "FAILED"], "{}", stage.logs());
    let said = stage.said("1");
    let parts: Vec<&str> = said.splitn(4, ' ').collect();
    assert_eq!(parts[0], format!("slurm:{}_1:0", job.id));
    let left: u64 = parts[1].parse().expect("seconds");
    assert!((540..=600).contains(&left), "{left}");
    assert_eq!((parts[2], parts[3]), ("2", folder_of(&stage).path().to_str().expect("utf-8")));
    assert!(folder_of(&stage).slurm_log(&format!("{}_1", job.id)).exists());
    let gone = JobRef { id: "99999".to_owned(), ..job };
    assert!(slurm.states(&[gone]).await.expect("unknown is no error").is_empty());
}

async fn a_refusal_is_told_with_a_hint(cluster: &Cluster) {
    let stage = Stage::with(1, "exit 0", "{ partition: nope }", |_| {});
    let error = slurm(cluster).submit(&stage.job).await.expect_err("no such partition");
    assert!(error.is_certain() && error.hint().expect("hint").contains("sinfo"), "{error}");
    let stage = Stage::new(10_002, "exit 0");
    let error = slurm(cluster).submit(&stage.job).await.expect_err("too many");
    assert!(matches!(error, SchedulerError::Limit { .. }), "{error}");
}

async fn a_stopped_task_comes_back_by_itself(cluster: &Cluster) {
    let stage = Stage::with(
        2,
        "echo \"$origin\" >>\"$out/$index\"; [[ $origin == *:0 ]] && exit 75; exit 0",
        LOW,
        |_| {},
    );
    let slurm = slurm(cluster);
    let job = slurm.submit(&stage.job).await.expect("submit");
    let seen = stage.wait_for(&slurm, &job, 50, over).await;
    assert_eq!(
        (words(&seen), restarts(&seen)),
        (vec!["COMPLETED"; 2], vec![1, 1]),
        "{}",
        stage.logs()
    );
    // The log of the first start is still there.
    assert!(stage.logs().contains("asking for a restart"));
}

async fn one_task_is_cancelled_and_stays_so(cluster: &Cluster) {
    let stage = Stage::with(
        5,
        "for n in {1..100}; do [[ -e $out/end ]] && exit 0; sleep 0.2; done",
        LOW,
        |job| {
            job.throttle = Some(2);
        },
    );
    let slurm = slurm(cluster);
    let job = slurm.submit(&stage.job).await.expect("submit");
    stage
        .wait_for(&slurm, &job, 20, |seen| words(seen)[..3] == ["RUNNING", "RUNNING", "PENDING"])
        .await;
    // A running one and a pending one; the other pending ones must not notice.
    slurm.cancel(&[task(&job, 0), task(&job, 3)]).await.expect("cancel");
    let seen = stage
        .wait_for(&slurm, &job, 20, |seen| {
            words(seen) == ["CANCELLED", "RUNNING", "RUNNING", "CANCELLED", "PENDING"]
        })
        .await;
    assert_eq!(seen.len(), 5);
    std::fs::write(stage.out("end"), "").expect("end");
    let seen = stage.wait_for(&slurm, &job, 30, over).await;
    assert_eq!(words(&seen), ["CANCELLED", "COMPLETED", "COMPLETED", "CANCELLED", "COMPLETED"]);
}

async fn a_plain_scancel_is_not_undone(cluster: &Cluster) {
    let worker = "trap 'sleep 0.5; echo saved >>\"$out/saved\"; exit 75' TERM USR2; touch \"$out/on\"; for n in {1..300}; do sleep 0.1; done";
    let stage = Stage::with(1, worker, LOW, |_| {});
    let slurm = slurm(cluster);
    let job = slurm.submit(&stage.job).await.expect("submit");
    stage.wait_for(&slurm, &job, 20, |_| stage.out("on").exists()).await;
    cluster.say("scancel", &[&job.id]);
    stage.wait_for(&slurm, &job, 20, over).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let seen = stage.wait_for(&slurm, &job, 1, |_| true).await;
    assert_eq!((words(&seen), restarts(&seen)), (vec!["CANCELLED"], vec![0]), "{}", stage.logs());
    assert_eq!(stage.said("saved"), "saved");
}

async fn a_task_is_requeued_on_wish(cluster: &Cluster) {
    let worker = "echo \"$origin\" >>\"$out/$index\"; [[ $origin == *:1 ]] && exit 0; for n in {1..300}; do [[ -e $out/end ]] && exit 0; sleep 0.1; done";
    let stage = Stage::with(2, worker, LOW, |_| {});
    let slurm = slurm(cluster);
    let job = slurm.submit(&stage.job).await.expect("submit");
    stage.wait_for(&slurm, &job, 20, |_| stage.out("0").exists() && stage.out("1").exists()).await;
    // The last task of an array has the array's id, and is still requeued alone.
    slurm.requeue(&task(&job, 1)).await.expect("requeue");
    stage.wait_for(&slurm, &job, 40, |seen| words(seen) == ["RUNNING", "COMPLETED"]).await;
    std::fs::write(stage.out("end"), "").expect("end");
    let seen = stage.wait_for(&slurm, &job, 20, over).await;
    assert_eq!(
        (words(&seen), restarts(&seen)),
        (vec!["COMPLETED"; 2], vec![0, 1]),
        "{}",
        stage.logs()
    );
}

async fn preemption_of_one_task_leaves_the_others_alone(cluster: &Cluster) {
    // One task a node: a job that needs a node takes exactly one of them.
    let worker = "trap 'echo \"saved at $origin\" >>\"$out/$index\"; exit 75' TERM USR2\n\
                  touch \"$out/on-$index\"; [[ $origin == *:1 ]] && exit 0\n\
                  for n in {1..600}; do [[ -e $out/end ]] && exit 0; sleep 0.1; done";
    let resources = "{ partition: low, time: '00:10:00', cpus: 8, mem: 50M }";
    let stage = Stage::with(2, worker, resources, |job| job.warn_before = Duration::from_secs(60));
    let slurm = slurm(cluster);
    let job = slurm.submit(&stage.job).await.expect("submit");
    stage
        .wait_for(&slurm, &job, 30, |_| stage.out("on-0").exists() && stage.out("on-1").exists())
        .await;
    cluster.say("sbatch", &["-p", "high", "-c", "8", "-o", "/dev/null", "--wrap", "sleep 3"]);
    stage.wait_for(&slurm, &job, 60, |seen| words(seen).contains(&"COMPLETED")).await;
    std::fs::write(stage.out("end"), "").expect("end");
    let seen = stage.wait_for(&slurm, &job, 20, over).await;
    assert_eq!(words(&seen), ["COMPLETED"; 2], "{}", stage.logs());
    let mut restarts = restarts(&seen);
    restarts.sort_unstable();
    assert_eq!(restarts, [0, 1], "{}", stage.logs());
    let saved = format!("{}{}", read(&stage.out("0")), read(&stage.out("1")));
    assert_eq!(saved.matches("saved").count(), 1, "{saved}");
}

fn task(job: &JobRef, index: u32) -> TaskRef {
    TaskRef { job: job.clone(), index }
}

fn restarts(seen: &[Option<TaskReport>]) -> Vec<u32> {
    let restarts = |report: &TaskReport| {
        assert!(!matches!(report.state, TaskState::Unknown(_)), "{report:?}");
        report.restarts
    };
    seen.iter().flatten().map(restarts).collect()
}
