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
