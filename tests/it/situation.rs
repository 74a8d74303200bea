//! A sweep on a real cluster to which something happens, and what its journals tell of it.

#![expect(
    clippy::disallowed_methods,
    reason = "tests start processes, read files and the environment"
)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use regatta::event::{Cursor, Event, Outcome, StopReason};
use regatta::journal;
use regatta::layout::{self, TrialFolder};
use regatta::worker::record::TrialResult;

use crate::cluster::Cluster;
use crate::home::Home;

/// Steps of an epoch, and epochs, of every trial here: 80 steps whatever befalls them.
const PER_EPOCH: u64 = 40;
const EPOCHS: u64 = 2;

/// Hashes of weights by learning rate.
pub(crate) type Weights = BTreeMap<String, String>;

/// Lets a job have no PATH but the folder `bin` of the home: see [`Situation::bare`].
pub(crate) const BARE: &str =
    "{% block environment %}\nexport PATH=HOME/bin\n{% endblock environment %}";

/// One sweep with a home of its own.
pub(crate) struct Situation<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) home: Home,
    pub(crate) name: &'static str,
    began: Instant,
}

/// What a sweep is made of, beside what all here have in common.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    /// Learning rates: one trial each.
    pub(crate) rates: &'a str,
    /// Seconds of a step.
    pub(crate) step: f64,
    /// Seconds of a checkpoint.
    pub(crate) save: f64,
    /// Seconds between checkpoints, beside those at the end of epochs.
    pub(crate) every: u64,
    /// Where it runs, with which limit: `partition: low, nodelist: [n1], time: '00:05:00'`.
    pub(crate) place: &'a str,
    /// Blocks of the job's template, and policy: further lines of the sweep file.
    pub(crate) template: &'a str,
    pub(crate) more: &'a str,
}

impl Plan<'_> {
    pub(crate) const USUAL: Plan<'static> = Plan {
        rates: "[1e-2]",
        step: 0.2,
        save: 0.0,
        every: 600,
        place: "partition: low",
        template: "",
        more: "",
    };

    fn text(&self, name: &str) -> String {
        let Plan { rates, step, save, every, place, more, .. } = self;
        format!(
            "name: {name}\nfixed:\n  model: {{ name: toy, steps_per_epoch: {PER_EPOCH}, step_seconds: \
             {step}, save_seconds: {save} }}\n  epochs: {EPOCHS}\n  batch_size: 4\n\
             grid:\n  optimizer.lr: {rates}\nbudget: {{ checkpoint_every: {every}s }}\n\
             resources: {{ cpus: 1, mem: 50M, {place} }}\ntemplate: job.tera\n{more}\n"
        )
    }
}

/// What the journals of one trial tell, one list of events an attempt.
pub(crate) struct Story {
    pub(crate) attempts: Vec<Vec<Event>>,
    pub(crate) folder: TrialFolder,
}

impl Story {
    fn read(folder: TrialFolder) -> Self {
        let numbers = folder.attempts().unwrap_or_default();
        let events = |number: &u32| {
            let replay = journal::replay::<Event>(&folder.journal(*number));
            replay.map_or_else(
                |_| Vec::new(),
                |replay| replay.records.into_iter().map(|record| record.body).collect(),
            )
        };
        Self { attempts: numbers.iter().map(events).collect(), folder }
    }

    fn events(&self, attempt: usize) -> &[Event] {
        self.attempts.get(attempt - 1).map_or(&[], Vec::as_slice)
    }

    /// Attempt `attempt` (from 1) trains.
    pub(crate) fn trains(&self, attempt: usize) -> bool {
        self.events(attempt).iter().any(|event| matches!(event, Event::Started { .. }))
            && self.end(attempt).is_none()
    }

    /// Checkpoints of an attempt.
    pub(crate) fn saved(&self, attempt: usize) -> usize {
        let written = |event: &&Event| matches!(event, Event::CheckpointWritten { .. });
        self.events(attempt).iter().filter(written).count()
    }

    /// The process of an attempt.
    pub(crate) fn process(&self, attempt: usize) -> nix::unistd::Pid {
        let pid = self.events(attempt).iter().find_map(|event| match event {
            Event::Header { pid, .. } => i32::try_from(*pid).ok(),
            _ => None,
        });
        nix::unistd::Pid::from_raw(pid.expect("a header"))
    }

    /// The last word of an attempt.
    pub(crate) fn end(&self, attempt: usize) -> Option<(Outcome, Option<StopReason>)> {
        self.events(attempt).iter().find_map(|event| match event {
            Event::Ended { outcome, reason, .. } => Some((*outcome, *reason)),
            _ => None,
        })
    }

    /// What an attempt was asked to stop for.
    pub(crate) fn asked(&self, attempt: usize) -> Option<StopReason> {
        self.events(attempt).iter().find_map(|event| match event {
            Event::StopRequested { reason, .. } => Some(*reason),
            _ => None,
        })
    }

    fn result(&self) -> Option<TrialResult> {
        TrialResult::read(&self.folder)
    }

    pub(crate) fn finished(&self) -> bool {
        self.result().is_some_and(|result| result.outcome == Outcome::Finished)
    }

    /// The step (over all epochs) where an attempt began, and the last one that it told of.
    fn span(&self, attempt: usize) -> Option<(u64, u64)> {
        let step = |cursor: &Cursor| (cursor.epoch - 1) * PER_EPOCH + cursor.step;
        let told = self.events(attempt).iter().filter_map(|event| match event {
            Event::Started { cursor, .. }
            | Event::CheckpointWritten { cursor, .. }
            | Event::Heartbeat { cursor, .. }
            | Event::StopRequested { cursor, .. }
            | Event::Ended { cursor, .. } => Some(step(cursor)),
            Event::EpochEnded { epoch, .. } => Some(epoch * PER_EPOCH),
            _ => None,
        });
        let told: Vec<u64> = told.collect();
        Some((*told.first()?, *told.iter().max()?))
    }

    /// Steps that were done twice, after each attempt but the last.
    pub(crate) fn redone(&self) -> Vec<u64> {
        let spans: Vec<_> = (1..=self.attempts.len()).filter_map(|n| self.span(n)).collect();
        spans.windows(2).map(|pair| pair[0].1.saturating_sub(pair[1].0)).collect()
    }
}

impl<'a> Situation<'a> {
    /// Writes the sweep; nothing is submitted.
    pub(crate) fn new(cluster: &'a Cluster, name: &'static str, plan: Plan<'_>) -> Self {
        let mut home = Home::new();
        home.set("SLURM_CONF", cluster.conf().display().to_string());
        let template = format!("{{% extends \"job.sh.tera\" %}}\n{}\n", plan.template);
        let template = template.replace("HOME", &home.path().display().to_string());
        home.write("sweep.yaml", plan.text(name)).write("job.tera", template);
        Self { cluster, home, name, began: Instant::now() }
    }

    pub(crate) fn submitted(self) -> Self {
        self.home.ok(&["submit", "sweep.yaml"]);
        self
    }

    /// Submits it and stays until the end, so that policy is followed.
    pub(crate) fn waiting(&self) -> Child {
        let words = ["submit", "sweep.yaml", "--wait", "--poll", "2"];
        let mut command = self.home.command(&words);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start")
    }

    /// The stories of all trials, by identity.
    pub(crate) fn stories(&self) -> Vec<Story> {
        let folder = self.home.root().sweep(self.name);
        let names = layout::list(folder.path()).unwrap_or_default();
        let ids = names.iter().filter_map(|name| name.parse().ok());
        ids.map(|id| Story::read(folder.trial(&id))).collect()
    }

    /// Waits until something is true of the only trial.
    pub(crate) fn wait(&self, what: &str, good: impl Fn(&Story) -> bool) -> Story {
        let all = self.wait_all(what, |stories| stories.len() == 1 && good(&stories[0]));
        all.into_iter().next().expect("one")
    }

    /// Waits until something is true of all trials that have begun.
    pub(crate) fn wait_all(&self, what: &str, good: impl Fn(&[Story]) -> bool) -> Vec<Story> {
        let start = Instant::now();
        loop {
            let stories = self.stories();
            if good(&stories) {
                return stories;
            }
            let told: Vec<_> = stories.iter().map(|story| &story.attempts).collect();
            assert!(
                start.elapsed() < Duration::from_secs(300),
                "{}: never {what}\n{told:#?}\n{}",
                self.name,
                self.logs()
            );
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    pub(crate) fn logs(&self) -> String {
        let folder = self.home.root().sweep(self.name).logs();
        let text = |name: String| {
            let text = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
            format!("--- {name}\n{text}")
        };
        layout::list(&folder).unwrap_or_default().into_iter().map(text).collect()
    }

    /// The folder `bin` of the home as the whole PATH of a job: with what a job needs, but for the
    /// programs in `without`.
    pub(crate) fn bare(self, without: &[&str]) -> Self {
        let bin = self.home.at("bin");
        std::fs::create_dir_all(&bin).expect("bin");
        let needed =
            ["bash", "sed", "date", "sleep", "squeue", "scontrol", "srun", "bwrap", "unshare"];
        for name in needed.iter().filter(|name| !without.contains(name)) {
            if let Some(program) = program(name) {
                std::os::unix::fs::symlink(program, bin.join(name)).expect("link");
            }
        }
        self
    }

    /// Makes a program in the home.
    pub(crate) fn program(&self, name: &str, text: &str) {
        self.home.write(name, text);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.home.at(name), mode).expect("mode");
    }

    /// Where the newest attempt of a trial runs: task (`12_0`) and node.
    pub(crate) fn place(&self, story: &Story) -> (String, String) {
        let header = story.attempts.iter().flatten().rev().find_map(|event| match event {
            Event::Header { origin, .. } => Some(origin.clone()),
            _ => None,
        });
        let origin = header.expect("a header");
        let task = origin.split(':').nth(1).expect("a task").to_owned();
        let node = self.cluster.say("squeue", &["-h", "-j", &task, "-o", "%N"]);
        (task, node.trim().to_owned())
    }

    /// Lets something more important have a node for a moment.
    pub(crate) fn preempt(&self, node: &str) {
        let words = ["-p", "high", "-w", node, "-c", "1", "--mem=50M", "-o", "/dev/null"];
        let words: Vec<&str> = words.into_iter().chain(["--wrap", "sleep 1"]).collect();
        self.cluster.say("sbatch", &words);
    }

    /// The line of this situation for a document: what happened, and what it cost.
    pub(crate) fn told(&self, what: &str) -> String {
        let stories = self.stories();
        let attempts: Vec<usize> = stories.iter().map(|story| story.attempts.len()).collect();
        let redone: u64 = stories.iter().flat_map(Story::redone).sum();
        format!(
            "safe: {}: {what}; attempts {attempts:?}, {redone} of 80 steps done again, {:.0} s",
            self.name,
            self.began.elapsed().as_secs_f64()
        )
    }

    /// All trials are finished, with the same weights as undisturbed.
    pub(crate) fn same(&self, calm: &Weights) {
        for (rate, weights) in weights(&self.home, self.name) {
            assert_eq!(calm.get(&rate), Some(&weights), "{}: {rate}", self.name);
        }
    }

    /// Two attempts; the first saved all that it had done when asked for this reason.
    pub(crate) fn lost_nothing(&self, story: &Story, reason: StopReason) {
        let logs = || format!("{}\n{}", self.name, self.logs());
        assert_eq!(story.attempts.len(), 2, "{}", logs());
        assert_eq!(story.end(1), Some((Outcome::Stopped, Some(reason))), "{}", logs());
        assert_eq!(story.redone(), [0], "{}", logs());
    }
}

fn weights(home: &Home, sweep: &str) -> Weights {
    let of = |(id, folder): (regatta::id::TrialId, TrialFolder)| {
        let result = TrialResult::read(&folder).unwrap_or_else(|| panic!("{id}: no result"));
        assert_eq!(result.outcome, Outcome::Finished, "{sweep} {id}");
        let text = std::fs::read_to_string(folder.assignment()).expect("trial.json");
        let json: serde_json::Value = serde_json::from_str(&text).expect("json");
        let rate = json["settings"]["optimizer"]["lr"].to_string();
        (rate, result.weights_sha256.expect("a hash"))
    };
    home.trials(sweep).into_iter().map(of).collect()
}

/// The weights of the same trials undisturbed on this machine, by learning rate.
pub(crate) fn undisturbed() -> Weights {
    let home = Home::new();
    let plan = Plan { rates: "[1e-2, 3e-2, 1e-1]", step: 0.0, ..Plan::USUAL };
    home.write("sweep.yaml", plan.text("calm"));
    home.write("job.tera", "{% extends \"job.sh.tera\" %}\n");
    home.ok(&["submit", "sweep.yaml", "--scheduler", "local", "--wait", "--poll", "0.1"]);
    let weights = weights(&home, "calm");
    assert_eq!(weights.len(), 3);
    weights
}

/// Where a program of this machine is.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Does all situations at the same time and returns what they tell.
pub(crate) fn side_by_side<'a>(all: Vec<Box<dyn FnOnce() -> String + Send + 'a>>) -> Vec<String> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = all.into_iter().map(|one| scope.spawn(one)).collect();
        let ended: Vec<_> = threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        let failed = ended.iter().filter(|end| end.is_err()).count();
        let told: Vec<String> = ended.into_iter().flatten().collect();
        assert_eq!(failed, 0, "situations failed; the others: {told:#?}");
        told
    })
}
