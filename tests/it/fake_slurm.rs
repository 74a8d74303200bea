//! Faults that a real SLURM cannot be made to show: programs that lie, hang or say nothing.

#![expect(clippy::disallowed_methods, reason = "tests write files and read the environment")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use regatta::clock::{Clock, SystemClock, VirtualClock};
use regatta::scheduler::{
    JobRef, Scheduler, SchedulerError, Slurm, SlurmSettings, TaskEnd, TaskRef, TaskState,
};
use regatta::script::job_name;

use crate::stage::{Stage, folder_of, read};

/// SLURM as files in a folder answer for it (see `tests/fake-slurm/answer`).
struct Fake {
    stage: Stage,
    answers: PathBuf,
    slurm: Slurm,
    clock: VirtualClock,
}

impl Fake {
    fn new() -> Self {
        Self::with(|environment| environment)
    }

    fn with(change: impl FnOnce(Vec<(OsString, OsString)>) -> Vec<(OsString, OsString)>) -> Self {
        let stage = Stage::new(3, "exit 0");
        let answers = stage.out("answers");
        std::fs::create_dir_all(&answers).expect("answers");
        let fakes = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-slurm");
        let path = format!("{}:{}", fakes.display(), std::env::var("PATH").expect("PATH"));
        let environment = vec![
            ("PATH".into(), path.into()),
            ("FAKE_SLURM".into(), answers.clone().into_os_string()),
        ];
        let clock = VirtualClock::starting(SystemClock::new().now());
        let mut settings = SlurmSettings::new(change(environment), Arc::new(clock.clone()));
        settings.patience = Duration::from_millis(700);
        let fake = Self { stage, answers, slurm: Slurm::new(settings), clock };
        fake.answer("sacct.err", "Slurm accounting storage is disabled\n");
        fake.answer("sacct.rc", "1");
        fake.answer("scontrol-config.out", &captured("scontrol-22.05.txt"));
        fake
    }

    fn answer(&self, name: &str, text: &str) {
        std::fs::write(self.answers.join(name), text).expect("answer");
    }

    fn calls(&self) -> Vec<String> {
        read(&self.answers.join("calls")).lines().map(str::to_owned).collect()
    }

    fn job(&self) -> JobRef {
        let folder = folder_of(&self.stage).path().to_owned();
        JobRef { id: "7".into(), token: self.stage.job.token, folder, tasks: 3 }
    }

    fn task(&self, index: u32) -> TaskRef {
        TaskRef { job: self.job(), index }
    }

    /// Lines as squeue prints them for our job.
    fn queue(&self, lines: &[&str]) {
        let name = job_name(self.stage.job.token);
        let text: String = lines.iter().map(|line| format!("{line}|{name}|\n")).collect();
        self.answer("squeue.out", &text);
    }

    async fn words(&self) -> Vec<String> {
        let reports = self.slurm.states(&[self.job()]).await.expect("states");
        (0..3)
            .map(|n| reports.get(&self.task(n)).map_or(String::new(), |r| r.word.clone()))
            .collect()
    }
}

fn captured(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captured").join(name);
    std::fs::read_to_string(path).expect("captured")
}

#[tokio::test]
async fn an_accepted_job_has_the_id_that_sbatch_says() {
    let fake = Fake::new();
    fake.answer("sbatch.out", "This cluster is down on Monday.\n7;main\n");
    let job = fake.slurm.submit(&fake.stage.job).await.expect("submit");
    assert_eq!(job, fake.job());
    assert!(folder_of(&fake.stage).logs().is_dir(), "without it the job would fail without a word");
    assert!(fake.calls()[0].starts_with("sbatch --parsable /"), "{:?}", fake.calls());
}

#[tokio::test]
async fn variables_of_a_job_around_us_do_not_get_into_the_new_one() {
    let fake = Fake::with(|mut environment| {
        for name in [
            "SBATCH_PARTITION",
            "SLURM_CPU_BIND",
            "CUDA_VISIBLE_DEVICES",
            "REGATTA_TASK",
            "MY_DATA",
            "SLURM_CONF",
        ] {
            environment.push((name.into(), "x".into()));
        }
        environment
    });
    fake.answer("sbatch.env", "");
    fake.answer("sbatch.out", "7\n");
    fake.slurm.submit(&fake.stage.job).await.expect("submit");
    let seen = read(&fake.answers.join("sbatch.env"));
    let has = |name: &str| seen.lines().any(|line| line.starts_with(&format!("{name}=")));
    assert!(has("MY_DATA") && has("SLURM_CONF") && has("PATH"), "{seen}");
    for gone in ["SBATCH_PARTITION", "SLURM_CPU_BIND", "CUDA_VISIBLE_DEVICES", "REGATTA_TASK"] {
        assert!(!has(gone), "{gone}");
    }
}

#[tokio::test]
async fn what_is_not_certain_is_not_called_refused() {
    let cases = [
        (
            "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
            "unavailable",
        ),
        (
            "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
            "unavailable",
        ),
        ("sbatch: error: invalid partition specified: nope", "refused"),
        ("sbatch: error: QOSMaxSubmitJobPerUserLimit", "limit"),
    ];
    for (words, expected) in cases {
        let fake = Fake::new();
        fake.answer("sbatch.err", words);
        fake.answer("sbatch.rc", "1");
        let error = fake.slurm.submit(&fake.stage.job).await.expect_err("no");
        let kind = match &error {
            SchedulerError::Unavailable { .. } => "unavailable",
            SchedulerError::Refused { .. } => "refused",
            SchedulerError::Limit { .. } => "limit",
            _ => "other",
        };
        assert_eq!((kind, error.is_certain()), (expected, expected != "unavailable"), "{words}");
        assert!(error.hint().is_some(), "{words}");
    }
}

#[tokio::test]
async fn garbage_and_silence_leave_it_open_whether_there_is_a_job() {
    let fake = Fake::new();
    fake.answer("sbatch.out", "<html>502 Bad Gateway</html>\n");
    let error = fake.slurm.submit(&fake.stage.job).await.expect_err("garbage");
    assert!(matches!(error, SchedulerError::Garbled { .. }) && !error.is_certain(), "{error}");
    // It accepts, and then hangs.
    fake.answer("sbatch.sleep", "5");
    let error = fake.slurm.submit(&fake.stage.job).await.expect_err("silence");
    assert!(matches!(error, SchedulerError::Unavailable { .. }), "{error}");
    // Then the job is looked for by its token.
    fake.queue(&["7|0|PENDING|Priority|0|", "7|1|PENDING|Priority|0|"]);
    let token = fake.stage.job.token;
    let found = fake.slurm.find(token, folder_of(&fake.stage)).await.expect("find");
    assert_eq!(found, Some(fake.job()));
}

#[tokio::test]
async fn a_submission_that_nobody_waits_for_any_more_ends_in_time() {
    let fake = Fake::new();
    fake.answer("sbatch.sleep", "2");
    // As when the controller goes away: the future is dropped, sbatch is not.
    let submit = fake.slurm.submit(&fake.stage.job);
    assert!(tokio::time::timeout(Duration::from_millis(300), submit).await.is_err());
    tokio::time::sleep(Duration::from_millis(2200)).await;
    assert_eq!(fake.calls().len(), 1);
    assert!(!fake.answers.join("done").exists(), "sbatch is ended after its 0.7 s");
}

#[tokio::test]
async fn a_machine_without_slurm_is_told_apart() {
    let fake = Fake::with(|_| vec![("PATH".into(), "/nowhere".into())]);
    let error = fake.slurm.states(&[fake.job()]).await.expect_err("nothing");
    assert!(matches!(error, SchedulerError::Missing { program: "squeue" }), "{error}");
    assert!(error.hint().expect("hint").contains("--scheduler local"));
}

#[tokio::test]
async fn a_failed_question_never_means_that_jobs_are_gone() {
    let fake = Fake::new();
    fake.answer(
        "squeue.err",
        "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n",
    );
    fake.answer("squeue.rc", "1");
    assert!(fake.slurm.states(&[fake.job()]).await.is_err());
    assert!(fake.slurm.find(fake.stage.job.token, folder_of(&fake.stage)).await.is_err());
    // Nor does an answer that nobody understands.
    fake.answer("squeue.rc", "0");
    fake.answer("squeue.out", "<html>502 Bad Gateway</html>\n");
    assert!(fake.slurm.states(&[fake.job()]).await.is_err());
    assert!(fake.slurm.find(fake.stage.job.token, folder_of(&fake.stage)).await.is_err());
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
    assert_eq!(fake.slurm.find(token, folder_of(&fake.stage)).await.expect("find"), None);
    // One that is over and known to the accounts only.
    let other = Fake::new();
    other.clock.advance(Duration::from_secs(60));
    other.answer("squeue.out", "");
    other.answer("sacct.rc", "0");
    other.answer("sacct.out", &format!("7_0|{}|COMPLETED|n1\n", job_name(other.stage.job.token)));
    let found =
        other.slurm.find(other.stage.job.token, folder_of(&other.stage)).await.expect("find");
    assert_eq!(found, Some(other.job()));
}

#[tokio::test]
async fn what_a_cluster_allows_is_read() {
    let fake = Fake::new();
    let limits = fake.slurm.limits().await.expect("limits");
    assert_eq!(limits.version.as_deref(), Some("22.05.8"));
    assert_eq!((limits.max_array_size, limits.max_job_count), (Some(10_001), Some(20_000)));
    assert_eq!(limits.min_job_age, Some(Duration::from_secs(300)));
    assert_eq!(limits.kill_wait, Some(Duration::from_secs(2)));
    assert_eq!((limits.preempt_mode.as_deref(), limits.accounting), (Some("REQUEUE"), false));
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

#[tokio::test]
async fn an_sbatch_that_sleeps_and_retries_met_a_limit_or_got_in() {
    let fake = Fake::new();
    let words = "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying.\n";
    fake.answer("sbatch.err", words);
    fake.answer("sbatch.linger", "5");
    fake.answer("squeue.out", "");
    let error = fake.slurm.submit(&fake.stage.job).await.expect_err("full");
    assert!(matches!(error, SchedulerError::Limit { .. }) && error.is_certain(), "{error}");
    // Its last try went through all the same.
    fake.queue(&["7|0|PENDING|Priority|0|"]);
    assert_eq!(fake.slurm.submit(&fake.stage.job).await.expect("in"), fake.job());
}
