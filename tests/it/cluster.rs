//! A private, real SLURM cluster for tests.

#![expect(clippy::disallowed_methods, reason = "tests start processes")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A cluster that lives as long as this value, or at most as long as this process.
pub(crate) struct Cluster {
    base: tempfile::TempDir,
}

impl Cluster {
    /// Starts one; `options` are those of `slurm-sandbox start`.
    pub(crate) fn start(options: &[&str]) -> Self {
        let cluster = Self { base: tempfile::tempdir().expect("folder") };
        let owner = std::process::id().to_string();
        let start = sandbox()
            .arg("start")
            .arg(cluster.folder())
            .args(["--owner", &owner])
            .args(options)
            .output();
        let output = start.expect("scripts/slurm-sandbox");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        cluster
    }

    fn folder(&self) -> PathBuf {
        self.base.path().join("c")
    }

    /// Its slurm.conf.
    pub(crate) fn conf(&self) -> PathBuf {
        self.folder().join("etc/slurm.conf")
    }

    /// The process of a node's daemon.
    pub(crate) fn daemon(&self, node: &str) -> nix::unistd::Pid {
        let file = self.folder().join("run").join(format!("slurmd-{node}.pid"));
        let text = std::fs::read_to_string(file).expect("the daemon's pid");
        nix::unistd::Pid::from_raw(text.trim().parse().expect("a pid"))
    }

    /// Ends SLURM's controller: in order with TERM, or killed.
    pub(crate) fn stop_controller(&self, signal: nix::sys::signal::Signal) {
        let text = std::fs::read_to_string(self.folder().join("run/slurmctld.pid")).expect("pid");
        let pid = nix::unistd::Pid::from_raw(text.trim().parse().expect("a pid"));
        nix::sys::signal::kill(pid, signal).expect("kill");
    }

    /// Starts SLURM's controller again, and waits until it answers.
    pub(crate) fn start_controller(&self) {
        let conf = self.conf();
        let start =
            Command::new("slurmctld").arg("-f").arg(&conf).env("SLURM_CONF", &conf).status();
        assert!(start.expect("slurmctld").success());
        let answers = || Command::new("sinfo").env("SLURM_CONF", &conf).output().expect("sinfo");
        for _ in 0..100 {
            if answers().status.success() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        panic!("slurmctld does not answer");
    }

    /// Does what an administrator does after SLURM's controller was killed: it may have found its nodes'
    /// jobs strange, drained the nodes, and held the jobs.
    pub(crate) fn tidy_up(&self) {
        let scontrol = |words: &[&str]| {
            let output =
                Command::new("scontrol").args(words).env("SLURM_CONF", self.conf()).output();
            output.expect("scontrol");
        };
        if self.say("sinfo", &["-h", "-o", "%T"]).contains("drain") {
            scontrol(&["update", "nodename=ALL", "state=resume"]);
        }
        for line in self.say("squeue", &["-h", "-r", "-t", "PD", "-o", "%i %r"]).lines() {
            if line.contains("held") || line.contains("JobHeld") {
                scontrol(&["release", line.split(' ').next().unwrap_or_default()]);
            }
        }
    }

    /// Calls a program of SLURM as a user would, and returns what it printed.
    pub(crate) fn say(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program)
            .args(arguments)
            .env("SLURM_CONF", self.conf())
            .output()
            .expect(program);
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = sandbox().arg("stop").arg(self.folder()).status();
    }
}

fn sandbox() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/slurm-sandbox"))
}
