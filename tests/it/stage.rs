//! A staged job for schedulers to run: folder, job file, script, and a shell script for a worker.

#![expect(clippy::disallowed_methods, reason = "tests read the environment and write files")]

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use regatta::clock::{Clock, SystemClock};
use regatta::id::{Token, TrialId};
use regatta::layout::{Root, SweepFolder};
use regatta::scheduler::{JobRef, Scheduler, Submission, TaskReport, TaskState};
use regatta::script::{JobScript, Resources, TemplateSource, render};

/// A root with one sweep and one job that is ready to be submitted.
pub(crate) struct Stage {
    pub(crate) base: tempfile::TempDir,
    pub(crate) root: Root,
    pub(crate) job: Submission,
}

impl Stage {
    /// Stages a job whose worker is the given shell text: `$job $index $left $origin $trial $out` are
    /// set; `$out` is a folder for what the test wants to see.
    pub(crate) fn new(tasks: u32, worker: &str) -> Self {
        Self::with(tasks, worker, "{}", |_| {})
    }

    pub(crate) fn with(
        tasks: u32,
        worker: &str,
        resources: &str,
        change: impl FnOnce(&mut Submission),
    ) -> Self {
        let base = tempfile::tempdir().expect("folder");
        let root = Root::new(base.path().join("a root's é"));
        let folder = root.sweep("lr");
        std::fs::create_dir_all(folder.jobs()).expect("jobs");
        std::fs::create_dir_all(base.path().join("out")).expect("out");
        let mut job = Submission {
            token: Token::at(SystemClock::new().now()),
            folder: folder.clone(),
            tasks,
            throttle: None,
            time_limit: None,
            warn_before: Duration::ZERO,
            restart_limit: 3,
        };
        change(&mut job);
        let stage = Self { base, root, job };
        let worker = stage.program("worker", &stage.worker_text(worker));
        let mut lines = String::new();
        for index in 0..tasks {
            lines += &format!("{{\"trial\":\"{}\",\"seed\":1}}\n", trial(index));
        }
        // Enough for those that look into them; thousands would take their time.
        for index in 0..tasks.min(10) {
            std::fs::create_dir_all(folder.trial(&trial(index)).path()).expect("trial");
        }
        std::fs::write(folder.job_file(stage.job.token), lines).expect("job file");
        let text =
            render(&TemplateSource::default(), &stage.script(worker, resources)).expect("script");
        std::fs::write(folder.script(stage.job.token), text).expect("script");
        stage
    }

    fn script(&self, worker: PathBuf, resources: &str) -> JobScript {
        let resources: Resources = serde_yaml::from_str(resources).expect("resources");
        JobScript {
            token: self.job.token,
            folder: self.job.folder.clone(),
            worker,
            tasks: self.job.tasks,
            throttle: self.job.throttle,
            warn_before: self.job.warn_before,
            restart_limit: self.job.restart_limit,
            resources,
        }
    }

    fn worker_text(&self, text: &str) -> String {
        let out = self.out("");
        format!(
            "#!/bin/bash\n[[ $1 == run && $2 == --job && $4 == --index ]] || exit 2\n\
             job=$3 index=$5 left= origin=\nshift 5\n\
             while (($#)); do case $1 in --time-left) left=$2 ;; --origin) origin=$2 ;; *) exit 2 ;; esac; shift 2; done\n\
             out='{}'\ntrial=$(sed -n \"$((index + 1))p\" \"$job\")\n{text}\n",
            out.display()
        )
    }

    /// Makes a program beside the root.
    pub(crate) fn program(&self, name: &str, text: &str) -> PathBuf {
        let path = self.base.path().join(name);
        let mut file = std::fs::File::create(&path).expect("program");
        file.write_all(text.as_bytes()).expect("program");
        file.set_permissions(std::fs::Permissions::from_mode(0o755)).expect("mode");
        path
    }

    /// A file that the worker may write.
    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.base.path().join("out").join(name)
    }

    /// What the worker wrote there, trimmed; empty where there is nothing.
    pub(crate) fn said(&self, name: &str) -> String {
        read(&self.out(name))
    }

    /// Asks until `good` holds for the reports of all tasks, in order; fails with what was seen last.
    pub(crate) async fn wait_for(
        &self,
        scheduler: &impl Scheduler,
        job: &JobRef,
        seconds: u64,
        good: impl Fn(&[Option<TaskReport>]) -> bool,
    ) -> Vec<Option<TaskReport>> {
        let start = Instant::now();
        loop {
            let reports = scheduler.states(std::slice::from_ref(job)).await.expect("states");
            let task = |index| regatta::scheduler::TaskRef { job: job.clone(), index };
            let seen: Vec<_> =
                (0..self.job.tasks).map(|index| reports.get(&task(index)).cloned()).collect();
            if good(&seen) {
                return seen;
            }
            assert!(
                start.elapsed() < Duration::from_secs(seconds),
                "after {seconds} s: {seen:#?}{}",
                self.logs()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// All that the tasks printed.
    pub(crate) fn logs(&self) -> String {
        let names = regatta::layout::list(&self.job.folder.logs()).expect("logs");
        let text = |name: &String| read(&self.job.folder.logs().join(name));
        names.iter().map(|name| format!("\n== {name}\n{}", text(name))).collect()
    }
}

pub(crate) fn folder_of(stage: &Stage) -> &SweepFolder {
    &stage.job.folder
}

pub(crate) fn trial(index: u32) -> TrialId {
    format!("{index:016x}").parse().expect("id")
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// All tasks are over.
pub(crate) fn over(seen: &[Option<TaskReport>]) -> bool {
    seen.iter().all(|report| {
        report.as_ref().is_some_and(|report| matches!(report.state, TaskState::Ended(_)))
    })
}

/// The scheduler's words for all tasks.
pub(crate) fn words(seen: &[Option<TaskReport>]) -> Vec<&str> {
    seen.iter().map(|report| report.as_ref().map_or("", |report| report.word.as_str())).collect()
}

/// Says that a test cannot be done here, and why (the first word names what is missing).
#[expect(clippy::print_stdout, reason = "for people who look")]
pub(crate) fn skip(name: &str, why: &str) {
    println!("skipped: {name}: {why}");
    if let Ok(path) = std::env::var("REGATTA_SKIPPED")
        && let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(path)
    {
        let _ = writeln!(file, "skipped: {name}: {why}");
    }
}
