//! Faults that a real SLURM cannot be made to show: programs that lie, hang or say nothing.

#![expect(clippy::disallowed_methods, reason = "tests write files and read the environment")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use regatta::clock::{Clock, SystemClock, VirtualClock};
use regatta::id::Token;
use regatta::scheduler::{JobRef, Scheduler, SchedulerError, Slurm, SlurmSettings, TaskRef};
use regatta::script::job_name;

use crate::stage::{Stage, folder_of, read};

/// SLURM as files in a folder answer for it (see `tests/fake-slurm/answer`).
pub(crate) struct Fake {
    pub(crate) stage: Stage,
    pub(crate) answers: PathBuf,
    pub(crate) slurm: Slurm,
    pub(crate) clock: VirtualClock,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self::with(|environment| environment)
    }

    pub(crate) fn with(
        change: impl FnOnce(Vec<(OsString, OsString)>) -> Vec<(OsString, OsString)>,
    ) -> Self {
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

    pub(crate) fn answer(&self, name: &str, text: &str) {
        std::fs::write(self.answers.join(name), text).expect("answer");
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        read(&self.answers.join("calls")).lines().map(str::to_owned).collect()
    }

    pub(crate) fn job(&self) -> JobRef {
        let folder = folder_of(&self.stage).path().to_owned();
        JobRef { id: "7".into(), token: self.stage.job.token, folder, tasks: 3 }
    }

    pub(crate) fn task(&self, index: u32) -> TaskRef {
        TaskRef { job: self.job(), index }
    }

    /// Lines as squeue prints them for our job.
    pub(crate) fn queue(&self, lines: &[&str]) {
        let name = job_name(self.stage.job.token);
        let text: String = lines.iter().map(|line| format!("{line}|{name}|\n")).collect();
        self.answer("squeue.out", &text);
    }

    /// Looks for a submission that was made when its token was.
    pub(crate) async fn find(&self, token: Token) -> Result<Option<JobRef>, SchedulerError> {
        let since = token.moment().expect("a moment");
        self.slurm.find(token, folder_of(&self.stage), since).await
    }

    pub(crate) async fn words(&self) -> Vec<String> {
        let reports = self.slurm.states(&[self.job()]).await.expect("states");
        (0..3)
            .map(|n| reports.get(&self.task(n)).map_or(String::new(), |r| r.word.clone()))
            .collect()
    }
}

pub(crate) fn captured(name: &str) -> String {
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
    let found = fake.find(token).await.expect("find");
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
