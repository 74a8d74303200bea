//! Fates, and what the cluster answers after them.

use std::time::Duration;

use jiff::Timestamp;

use super::*;

fn cluster(tasks: u32) -> (SimulatedScheduler, Submission) {
    let clock = VirtualClock::starting(Timestamp::UNIX_EPOCH);
    let job = Submission {
        token: Token::at(clock.now()),
        folder: SweepFolder::new("/runs/lr"),
        tasks,
        throttle: None,
        time_limit: None,
        warn_before: Duration::ZERO,
        restart_limit: 1,
    };
    (SimulatedScheduler::new(clock), job)
}

async fn words(cluster: &SimulatedScheduler, job: &JobRef) -> Vec<String> {
    let reports = cluster.states(std::slice::from_ref(job)).await.expect("states");
    reports.into_values().map(|report| report.word).collect()
}

#[tokio::test]
async fn fates_strike_in_order_and_once() {
    let (cluster, job) = cluster(3);
    let job = cluster.submit(&job).await.expect("submit");
    cluster.expect(Fate::Preempt(5));
    cluster.expect(Fate::TimeOut(7));
    let mut seen = Vec::new();
    let ran = cluster.advance(|launch| {
        seen.push((launch.origin.clone(), launch.signal_at));
        if launch.signal_at.is_some() { 75 } else { 0 }
    });
    assert_eq!(ran, 3);
    assert_eq!(seen[0], ("slurm:1_0:0".to_owned(), Some(5)));
    assert_eq!(words(&cluster, &job).await, ["PENDING", "TIMEOUT", "COMPLETED"]);
    cluster.advance(|launch| {
        assert_eq!((launch.origin.as_str(), launch.signal_at), ("slurm:1_0:1", None));
        0
    });
    assert_eq!(words(&cluster, &job).await, ["COMPLETED", "TIMEOUT", "COMPLETED"]);
}

#[tokio::test]
async fn an_unheard_submission_is_found_or_is_not() {
    for (fate, there) in [(Fate::AcceptSilently, true), (Fate::DropSubmission, false)] {
        let (cluster, job) = cluster(1);
        cluster.expect(fate);
        assert!(!cluster.submit(&job).await.expect_err("unheard").is_certain());
        let found =
            cluster.find(job.token, &job.folder, Timestamp::UNIX_EPOCH).await.expect("find");
        assert_eq!(found.is_some(), there, "{fate:?}");
    }
}

#[tokio::test]
async fn a_lost_task_is_absent() {
    let (cluster, job) = cluster(2);
    let job = cluster.submit(&job).await.expect("submit");
    cluster.expect(Fate::Lose(1));
    cluster.advance(|launch| if launch.killed_at.is_some() { 137 } else { 0 });
    assert_eq!(words(&cluster, &job).await, ["COMPLETED"]);
}
