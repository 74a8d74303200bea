//! A place of a test's own with the real controller in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use regatta::clock::{Clock, SystemClock};
use regatta::id::TrialId;
use regatta::layout::{self, Root, TrialFolder};
use regatta::worker::record::TrialResult;

/// The controller as it is built for users, by itself, where `scripts/test` made one: a build together
/// with the trainer is linked to libtorch, which takes a third of a second at every start.
pub(crate) fn controller() -> PathBuf {
    let alone = std::env::var_os("REGATTA_TEST_CONTROLLER");
    alone.map_or_else(|| env!("CARGO_BIN_EXE_regatta").into(), PathBuf::from)
}

/// A temporary folder in which commands are typed.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

/// What a command did.
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), environment: Vec::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
        std::fs::write(path, content).expect("write");
        self
    }

    /// The controller, ready to start here.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(controller());
        command.args(words).current_dir(self.path());
        for name in
            ["REGATTA_ROOT", "REGATTA_SCHEDULER", "REGATTA_TEMPLATE", "REGATTA_FAULTS", "RUST_LOG"]
        {
            command.env_remove(name);
        }
        command.env("NO_COLOR", "1").env("XDG_CONFIG_HOME", self.at("config"));
        // Tests look more often than people.
        command.env("XDG_CACHE_HOME", self.at("cache")).env("REGATTA_MAX_AGE", "0");
        command.env("REGATTA_WORKER", env!("CARGO_BIN_EXE_regatta-worker"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn type_in(&self, words: &[&str]) -> Answer {
        let Output { status, stdout, stderr } =
            self.command(words).output().expect("the controller starts");
        let text = |bytes: Vec<u8>| {
            String::from_utf8_lossy(&bytes).replace(&self.path().display().to_string(), "HOME")
        };
        Answer { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
    }

    /// Types a command that must succeed.
    pub(crate) fn ok(&self, words: &[&str]) -> Answer {
        let answer = self.type_in(words);
        assert_eq!(answer.code, 0, "{words:?}\n{}\n{}", answer.out, answer.err);
        answer
    }

    /// The answer of a command with `--json`.
    pub(crate) fn json(&self, words: &[&str]) -> serde_json::Value {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        let answer = self.type_in(&words);
        serde_json::from_str(&answer.out)
            .unwrap_or_else(|error| panic!("{words:?}: {error}\n{}\n{}", answer.out, answer.err))
    }

    /// [`QUICK_TOY`] on a cluster of which answers stand in files of the folder `answers` (`tests/fake-slurm/answer`):
    /// it accepts job 77, has an empty queue and keeps no accounts.
    pub(crate) fn on_fake_slurm() -> Self {
        let mut home = Self::with_quick_toy();
        let fake = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake-slurm");
        home.set("PATH", format!("{fake}:/usr/bin:/bin"));
        home.set("FAKE_SLURM", home.at("answers").display().to_string());
        home.write("answers/sbatch.out", "77\n").write("answers/sacct.rc", "1");
        home.write("answers/sacct.err", "Slurm accounting storage is disabled\n");
        home.write("answers/squeue.out", "");
        home
    }

    /// Has squeue tell of the tasks of job 77, the newest of the sweep `quick`.
    pub(crate) fn queue(&self, states: &[&str]) -> &Self {
        let names = layout::list(&self.root().sweep("quick").jobs()).expect("jobs");
        let token = names.iter().filter_map(|name| name.strip_suffix(".sh")).max();
        let token = token.expect("a script");
        let line = |(task, state)| format!("77|{task}|{state}|None|0|n1|regatta-{token}|\n");
        let lines: String = (0..).zip(states).map(line).collect();
        self.write("answers/squeue.out", lines)
    }

    /// How often a program of the fake SLURM was called.
    pub(crate) fn calls(&self, program: &str) -> usize {
        let text = std::fs::read_to_string(self.at("answers/calls")).unwrap_or_default();
        text.lines().filter(|line| line.split(' ').next() == Some(program)).count()
    }

    /// Writes [`QUICK_TOY`] as `sweep.yaml`.
    pub(crate) fn with_quick_toy() -> Self {
        let home = Self::new();
        home.write("sweep.yaml", QUICK_TOY);
        home
    }

    /// The folder of all sweeps where nobody names another one.
    pub(crate) fn root(&self) -> Root {
        Root::new(self.at("runs"))
    }

    /// The folders of all trials of a sweep that were begun, by identity.
    pub(crate) fn trials(&self, sweep: &str) -> BTreeMap<TrialId, TrialFolder> {
        let sweep = self.root().sweep(sweep);
        let names = layout::list(sweep.path()).expect("list");
        let ids = names.iter().filter_map(|name| name.parse::<TrialId>().ok());
        ids.map(|id| (id.clone(), sweep.trial(&id))).collect()
    }

    /// What all trials of a sweep came to: what must not depend on what befell them.
    pub(crate) fn essence(&self, sweep: &str) -> Vec<String> {
        let tell = |(id, folder): (TrialId, TrialFolder)| {
            let read = TrialResult::read(&folder).unwrap_or_else(|| panic!("{id} has no result"));
            let TrialResult { outcome, metrics, weights_sha256, best_value, best_epoch, .. } = read;
            format!("{id} {outcome:?} {metrics:?} {weights_sha256:?} {best_value:?} {best_epoch:?}")
        };
        self.trials(sweep).into_iter().map(tell).collect()
    }

    /// States of all trials as `trials` tells them.
    pub(crate) fn states(&self, sweep: &str) -> Vec<String> {
        let answer = self.json(&["trials", sweep]);
        let rows = answer["trials"].as_array().expect("trials");
        rows.iter().map(|row| row["state"].as_str().expect("state").to_owned()).collect()
    }

    /// Waits for something that other processes do.
    pub(crate) fn wait_until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let clock = SystemClock::new();
        while !holds(self) {
            assert!(clock.monotonic() < Duration::from_secs(60), "waited for {what}");
            clock.sleep(Duration::from_millis(10));
        }
    }

    /// Everything under the home, sorted, for "nothing was written".
    pub(crate) fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.path().to_owned()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    open.push(path.clone());
                }
                found.push(path.strip_prefix(self.path()).expect("inside").display().to_string());
            }
        }
        found.sort();
        found
    }
}

/// A sweep of the toy learner that takes no time.
pub(crate) const QUICK_TOY: &str = "\
name: quick
fixed:
  model: { name: toy, steps_per_epoch: 5 }
  epochs: 3
grid:
  optimizer.lr: [1e-2, 1e-1]
  batch_size: [4, 8]
";

/// Words that submit `sweep.yaml` to this machine and stay until the end.
pub(crate) const SUBMIT: [&str; 9] =
    ["submit", "sweep.yaml", "--scheduler", "local", "--slots", "4", "--wait", "--poll", "0.05"];
