//! Questions to a SLURM that lies, hangs or says nothing: states, ends, names, cancelling.

use std::time::Duration;

use regatta::scheduler::{JobRef, Scheduler, TaskEnd, TaskState};
use regatta::script::job_name;

use crate::fake_slurm::{Fake, captured};

#[tokio::test]
async fn a_failed_question_never_means_that_jobs_are_gone() {
    let fake = Fake::new();
    fake.answer(
        "squeue.err",
        "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n",
    );
    fake.answer("squeue.rc", "1");
    assert!(fake.slurm.states(&[fake.job()]).await.is_err());
    assert!(fake.find(fake.stage.job.token).await.is_err());
    // Nor does an answer that nobody understands.
    fake.answer("squeue.rc", "0");
    fake.answer("squeue.out", "<html>502 Bad Gateway</html>\n");
    assert!(fake.slurm.states(&[fake.job()]).await.is_err());
    assert!(fake.find(fake.stage.job.token).await.is_err());
    // Also where it is killed or hangs.
    fake.answer("squeue.sleep", "5");
    assert!(fake.slurm.states(&[fake.job()]).await.is_err());
}

#[tokio::test]
async fn forgotten_jobs_are_absent_and_accounts_are_asked_once_where_there_are_none() {
    let fake = Fake::new();
    fake.answer("squeue.err", "slurm_load_jobs error: Invalid job id specified\n");
    fake.answer("squeue.rc", "1");
    assert_eq!(fake.words().await, ["", "", ""]);
    assert_eq!(fake.words().await, ["", "", ""]);
    let asked = fake.calls().iter().filter(|call| call.starts_with("sacct")).count();
    assert_eq!(asked, 1, "{:?}", fake.calls());
}

#[tokio::test]
async fn accounts_explain_what_is_forgotten() {
    let fake = Fake::new();
    fake.queue(&["7|2|RUNNING|None|0|n1"]);
    let name = job_name(fake.stage.job.token);
    fake.answer(
        "sacct.out",
        &format!(
            "7_0|{name}|CANCELLED by 1000|n1\n7_1|{name}|TIMEOUT|n2\n7_2|{name}|COMPLETED|n1\n"
        ),
    );
    fake.answer("sacct.rc", "0");
    assert_eq!(fake.words().await, ["CANCELLED by 1000", "TIMEOUT", "RUNNING"]);
    assert_eq!(fake.words().await, ["CANCELLED by 1000", "TIMEOUT", "RUNNING"]);
    let asked = fake.calls().iter().filter(|call| call.starts_with("sacct")).count();
    assert_eq!(asked, 1, "an end does not change");
}

#[tokio::test]
async fn a_pending_task_that_somebody_cancelled_is_no_lost_one() {
    // Such a task of an array leaves no record.
    let fake = Fake::new();
    fake.queue(&["7|0|RUNNING|None|0|n1", "7|2|PENDING|Priority|0|"]);
    assert_eq!(fake.words().await, ["RUNNING", "CANCELLED", "PENDING"]);
    // Later it could also have run, ended and been forgotten.
    fake.clock.advance(Duration::from_secs(301));
    assert_eq!(fake.words().await, ["RUNNING", "", "PENDING"]);
    // An array that was cancelled as a whole keeps one line.
    fake.queue(&["7|0|RUNNING|None|0|n1", "7|N/A|CANCELLED|x|0|"]);
    assert_eq!(fake.words().await, ["RUNNING", "CANCELLED", "CANCELLED"]);
}

#[tokio::test]
async fn a_job_of_the_same_number_is_not_ours_without_our_name() {
    let fake = Fake::new();
    fake.answer("squeue.out", "7|0|RUNNING|None|0|n1|somebody else's|\n");
    assert_eq!(fake.words().await, ["", "", ""]);
    fake.slurm.cancel(&[fake.task(0)]).await.expect("cancel");
    assert!(fake.slurm.requeue(&fake.task(0)).await.is_err());
    let calls = fake.calls();
    assert!(!calls.iter().any(|c| c.starts_with("scancel") || c.contains("requeue")), "{calls:?}");
}

#[tokio::test]
async fn living_tasks_are_cancelled_in_one_call_and_the_others_left() {
    let fake = Fake::new();
    fake.queue(&["7|0|RUNNING|None|0|n1", "7|1|COMPLETED|None|0|n1", "7|2|PENDING|Priority|0|"]);
    fake.slurm.cancel(&[fake.task(0), fake.task(1), fake.task(2)]).await.expect("cancel");
    assert_eq!(fake.calls().last().map(String::as_str), Some("scancel 7_0 7_2"));
    // One ends in between.
    fake.answer(
        "scancel.err",
        "scancel: error: Kill job error on job id 7_0: Invalid job id specified\n",
    );
    fake.answer("scancel.rc", "1");
    fake.slurm.cancel(&[fake.task(0)]).await.expect("no error");
    fake.answer(
        "scancel.err",
        "scancel: error: Kill job error on job id 7_0: Access/permission denied\n",
    );
    fake.answer("scancel.rc", "210");
    assert!(fake.slurm.cancel(&[fake.task(0)]).await.is_err());
}

#[tokio::test]
async fn all_jobs_are_asked_about_in_one_call() {
    let fake = Fake::new();
    fake.answer("squeue.out", "");
    let jobs: Vec<JobRef> =
        (1..100).map(|id| JobRef { id: id.to_string(), ..fake.job() }).collect();
    fake.slurm.states(&jobs).await.expect("states");
    assert_eq!(fake.calls().iter().filter(|call| call.starts_with("squeue")).count(), 1);
}

#[tokio::test]
async fn nothing_is_found_only_when_nothing_can_come_any_more() {
    let fake = Fake::new();
    fake.answer("squeue.out", "");
    fake.clock.advance(Duration::from_secs(60));
    let token = fake.stage.job.token;
    assert_eq!(fake.find(token).await.expect("find"), None);
    // One that is over and known to the accounts only.
    let other = Fake::new();
    other.clock.advance(Duration::from_secs(60));
    other.answer("squeue.out", "");
    other.answer("sacct.rc", "0");
    other.answer("sacct.out", &format!("7_0|{}|COMPLETED|n1\n", job_name(other.stage.job.token)));
    let found = other.find(other.stage.job.token).await.expect("find");
    assert_eq!(found, Some(other.job()));
}

#[tokio::test]
async fn captured_answers_are_understood() {
    let fake = Fake::new();
    let text = captured("squeue-22.05.txt").replace("NAME", &job_name(fake.stage.job.token));
    fake.answer("squeue.out", &text);
    let job = JobRef { tasks: 5, ..fake.job() };
    let reports = fake.slurm.states(std::slice::from_ref(&job)).await.expect("states");
    let seen: Vec<&TaskState> = reports.values().map(|report| &report.state).collect();
    assert_eq!(
        seen,
        [
            &TaskState::Ended(TaskEnd::Completed),
            &TaskState::Running,
            &TaskState::Pending("BeginTime".into()),
            &TaskState::Pending("JobArrayTaskLimit".into()),
            &TaskState::Unknown("TELEPORTING".into()),
        ]
    );
    assert_eq!(reports.values().nth(2).map(|report| report.restarts), Some(1));
}

#[tokio::test]
async fn more_of_the_schedulers_words_is_kept() {
    let fake = Fake::new();
    let name = job_name(fake.stage.job.token);
    let line = |task: u32, state: &str, node: &str, status: &str| {
        format!("7|{task}|{state}|x|0|{node}|{name}|{status}|\n")
    };
    let text = [
        line(0, "FAILED", "n1", "512"),
        line(1, "FAILED", "n2", "9"),
        line(2, "RUNNING", "n3", "0"),
    ];
    fake.answer("squeue.out", &text.concat());
    let reports = fake.slurm.states(&[fake.job()]).await.expect("states");
    let told: Vec<_> = reports
        .values()
        .map(|report| (report.node.clone().expect("node"), report.exit.map(|e| e.to_string())))
        .collect();
    let expected = [("n1", Some("2:0")), ("n2", Some("0:9")), ("n3", None)];
    assert_eq!(told, expected.map(|(node, exit)| (node.to_owned(), exit.map(str::to_owned))));
}

#[tokio::test]
async fn who_cancelled_is_asked_once_where_there_are_accounts() {
    let fake = Fake::new();
    fake.queue(&["7|0|CANCELLED|None|0|n1", "7|1|RUNNING|None|0|n1", "7|2|CANCELLED|None|0|n1"]);
    let name = job_name(fake.stage.job.token);
    fake.answer("sacct.rc", "0");
    fake.answer("sacct.out", &format!("7_0|{name}|CANCELLED by 1000|n1|0:15\n"));
    for _ in 0..2 {
        assert_eq!(fake.words().await, ["CANCELLED by 1000", "RUNNING", "CANCELLED"]);
    }
    let asked = fake.calls().iter().filter(|call| call.starts_with("sacct")).count();
    assert_eq!(asked, 1, "{:?}", fake.calls());
}

#[tokio::test]
async fn a_job_under_our_number_that_is_not_ours_is_told_of() {
    let fake = Fake::new();
    fake.answer("squeue.out", "7|0|RUNNING|None|0|n1|somebody\u{7}else's|0|\n");
    assert_eq!(fake.words().await, ["", "", ""]);
    let foreign = fake.slurm.foreign();
    assert_eq!(foreign.len(), 1);
    assert!(foreign[0].1.contains("`somebody\\u{7}else"), "{}", foreign[0].1);
    fake.queue(&["7|0|RUNNING|None|0|n1"]);
    assert_eq!(fake.words().await[0], "RUNNING");
    assert!(fake.slurm.foreign().is_empty(), "it is ours again");
}
