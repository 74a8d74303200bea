//! Storms with real processes: the controller, its workers, and a SLURM of processes that lies
//! (`tests/fake-cluster`). Controllers are killed with -9 at random moments, jobs and nodes too.
//!
//! `REGATTA_STORM_SEED=N` repeats one; moments are never quite the same.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests start processes and read the environment; documents cite what this one prints"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use regatta::event::{Event, Outcome};
use regatta::journal;
use regatta::layout;
use regatta::script::job_name;

use crate::home::Home;

const TOY: &str = "\
name: storm
fixed:
  model: { name: toy, steps_per_epoch: 8, step_seconds: 0.2 }
  epochs: 3
grid: { optimizer.lr: [1e-2, 1e-1], batch_size: [4, 8] }
resources: { cpus: 1, mem: 1G, time: '01:00:00' }
overrides: [ { when: { batch_size: 8 }, resources: { mem: 2G } } ]
budget: { margin: 1s, checkpoint_every: 0.2s }
policy: { node_failed: { retry: 1000 }, lost: { retry: 1000 }, timed_out: { retry: 1000 } }
";

/// Storms at the same time: they mostly sleep.
const AT_ONCE: usize = 8;

/// What happened in all storms.
#[derive(Default)]
struct Tally(Mutex<BTreeMap<&'static str, u64>>);

impl Tally {
    fn count(&self, what: &'static str) {
        *self.0.lock().expect("tally").entry(what).or_default() += 1;
    }
}

/// One storm.
struct Storm<'a> {
    home: Home,
    cluster: PathBuf,
    rng: ChaCha8Rng,
    /// Jobs are forgotten while they run; workers are then not killed: nobody would know for minutes.
    forgets: bool,
    tally: &'a Tally,
    story: Vec<String>,
}

/// What a sweep comes to where nothing happens.
fn undisturbed() -> &'static [String] {
    static ESSENCE: OnceLock<Vec<String>> = OnceLock::new();
    ESSENCE.get_or_init(|| {
        let home = Home::new();
        home.write("sweep.yaml", TOY);
        home.ok(&["submit", "sweep.yaml", "--scheduler", "local", "--wait", "--poll", "0.1"]);
        home.essence("storm")
    })
}

impl<'a> Storm<'a> {
    fn new(seed: u64, tally: &'a Tally) -> Self {
        let mut home = Home::new();
        let cluster = home.at("cluster");
        std::fs::create_dir_all(cluster.join("lies")).expect("folder");
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-cluster");
        let path = std::env::var("PATH").expect("PATH");
        home.set("PATH", format!("{}:{path}", programs.display()));
        home.set("FAKE_CLUSTER", cluster.display().to_string());
        home.set("XDG_CACHE_HOME", home.at("cache").display().to_string());
        home.set("REGATTA_SLURM_PATIENCE", "3").set("REGATTA_MAX_AGE", "0");
        home.write("sweep.yaml", TOY);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        if rng.random_bool(0.5) {
            home.write("cluster/accounts", "");
        }
        let forgets = rng.random_bool(0.3);
        Self { home, cluster, rng, forgets, tally, story: Vec::new() }
    }

    /// Calls the cluster by its own name.
    fn cluster(&self, words: &[&str]) -> String {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-cluster/cluster");
        let output = Command::new(program).args(words).env("FAKE_CLUSTER", &self.cluster).output();
        String::from_utf8_lossy(&output.expect("cluster").stdout).into_owned()
    }

    /// Tasks that wait or run, with the name of their job.
    fn live(&self) -> Vec<(String, String)> {
        let text = self.cluster(&["live"]);
        let words = text.lines().map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        words.map(|words| (words[0].clone(), words[1].clone())).collect()
    }

    fn lie(&mut self) {
        let sbatch = [
            "refuse",
            "limit",
            "drop",
            "accept-die",
            "accept-garbage",
            "accept-hang 2.5",
            "late 1",
        ];
        let squeue = ["silence", "garbage", "leave-out"];
        for (program, lies) in [("sbatch", &sbatch[..]), ("squeue", &squeue[..])] {
            if self.rng.random_bool(0.3) {
                let lie = lies[self.rng.random_range(0..lies.len())];
                self.story.push(format!("{program} will lie: {lie}"));
                self.tally.count("lies prepared");
                self.home.write(&format!("cluster/lies/{program}"), format!("{lie}\n"));
            }
        }
    }

    fn start(&mut self, words: &[&str]) -> Child {
        self.story.push(format!("{words:?}"));
        self.tally.count("commands");
        let _ = std::fs::remove_dir_all(self.home.at("cache"));
        let mut command = self.home.command(words);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start")
    }

    /// Somebody types a command, or two do, and may be interrupted.
    fn command(&mut self, first: bool) {
        let all: [&[&str]; 12] = [
            &["submit", "sweep.yaml"],
            &["submit", "sweep.yaml", "--wait", "--poll", "0.2"],
            &["submit", "sweep.yaml"],
            &["tick"],
            &["tick"],
            &["resume", "storm"],
            &["resume", "storm"],
            &["retry", "storm"],
            &["resume", "storm", "--state", "cancelled"],
            &["status", "storm"],
            &["rebuild"],
            &["cancel", "storm"],
        ];
        let pick = if first { 0 } else { self.rng.random_range(0..all.len()) };
        let mut controllers = vec![self.start(all[pick])];
        if self.rng.random_bool(0.2) {
            let other = self.rng.random_range(0..all.len());
            controllers.push(self.start(all[other]));
        }
        for controller in &mut controllers {
            if self.rng.random_bool(0.5) || pick == 1 {
                let moment = self.rng.random_range(20..2000);
                std::thread::sleep(Duration::from_millis(moment));
                self.tally.count("controllers killed");
                self.story.push(format!("killed after {moment} ms"));
                let _ = controller.kill();
            }
            let ended = controller.wait().expect("wait");
            self.story.push(format!("it ended: {ended}"));
            assert_ne!(ended.code(), Some(101), "it panicked");
        }
    }

    fn accident(&mut self) {
        let live = self.live();
        self.story.push(format!("live: {live:?}"));
        let task = live.get(self.rng.random_range(0..live.len().max(1))).cloned();
        match (self.rng.random_range(0..6), task) {
            (0..=2, Some((task, _))) if self.forgets => {
                let job = task.split('_').next().expect("a job").to_owned();
                // Before they began they would be gone.
                std::thread::sleep(Duration::from_millis(500));
                self.story.push(format!("job {job} is forgotten"));
                self.tally.count("jobs forgotten");
                self.cluster(&["forget", &job]);
            }
            (0..=1, Some((task, _))) => {
                self.story.push(format!("the node of {task} fails"));
                self.tally.count("nodes failed");
                self.cluster(&["die", &task]);
            }
            (4, Some((task, _))) => {
                self.story.push(format!("{task} is preempted"));
                self.tally.count("tasks preempted");
                self.cluster(&["preempt", &task]);
            }
            (2 | 3, _) if !self.forgets => self.kill_a_worker(),
            (5, _) => {
                self.story.push("the database is gone".to_owned());
                let _ = layout::remove_database(&self.home.root());
            }
            _ => {}
        }
    }

    fn kill_a_worker(&mut self) {
        if !self.home.root().sweep("storm").path().is_dir() {
            return;
        }
        for folder in self.home.trials("storm").into_values() {
            let Some(last) = folder.attempts().expect("attempts").last().copied() else { continue };
            let claim = std::fs::read_to_string(folder.claim(last)).unwrap_or_default();
            let claim: serde_json::Value = serde_json::from_str(&claim).unwrap_or_default();
            let Some(pid) = claim["pid"].as_u64() else { continue };
            let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mine = words.contains("regatta-worker")
                && words.contains(&*self.home.path().to_string_lossy());
            if mine {
                self.story.push(format!("worker {pid} is killed"));
                self.tally.count("workers killed");
                let _ = kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), Signal::SIGKILL);
                return;
            }
        }
    }

    /// Each trial has one task at most that waits or runs.
    fn check_live(&self) {
        let jobs = self.home.root().sweep("storm").jobs();
        let mut trials: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in layout::list(&jobs).expect("jobs") {
            let token = name.strip_suffix(".jsonl").and_then(|token| token.parse().ok());
            let Some(token) = token else { continue };
            let text = std::fs::read_to_string(jobs.join(&name)).expect("job file");
            let trial = |line: &str| {
                let line: serde_json::Value = serde_json::from_str(line).expect("a line");
                line["trial"].as_str().map_or_else(|| line["trial"].to_string(), str::to_owned)
            };
            trials.insert(job_name(token), text.lines().map(trial).collect());
        }
        let mut live: BTreeMap<&str, u64> = BTreeMap::new();
        for (task, name) in self.live() {
            let (_, index) = task.split_once('_').expect("a task");
            let index: usize = index.parse().expect("a number");
            *live.entry(&trials[&name][index]).or_default() += 1;
        }
        assert!(live.values().all(|count| *count == 1), "live twice: {live:?}");
    }

    fn rage(&mut self) {
        for round in 0..self.rng.random_range(4..8) {
            self.lie();
            self.command(round == 0);
            self.check_live();
            std::thread::sleep(Duration::from_millis(self.rng.random_range(0..800)));
            self.accident();
        }
        self.settle();
        self.check_live();
        for (id, folder) in self.home.trials("storm") {
            let is_end = |attempt: &u32| {
                let found = journal::replay::<Event>(&folder.journal(*attempt));
                found.expect("journal").records.iter().any(|record| {
                    matches!(record.body, Event::Ended { outcome: Outcome::Finished, .. })
                })
            };
            let attempts = folder.attempts().expect("attempts");
            assert_eq!(attempts.iter().filter(|attempt| is_end(attempt)).count(), 1, "{id}");
        }
        assert_eq!(self.home.essence("storm"), undisturbed());
        let jobs = || std::fs::read_to_string(self.cluster.join("state.json")).expect("state");
        let before = jobs();
        for words in [&["submit", "sweep.yaml"][..], &["tick"], &["resume", "storm"]] {
            self.home.ok(words);
        }
        assert_eq!(jobs(), before, "something was submitted after the end");
        let rebuilt = |home: &Home| home.json(&["rebuild"])["content_hash"].clone();
        assert_eq!(rebuilt(&self.home), self.collected(), "a rebuild differs");
    }

    fn collected(&self) -> serde_json::Value {
        // The database is made anew by collecting alone.
        layout::remove_database(&self.home.root()).expect("remove");
        self.home.ok(&["status", "storm"]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let hash = runtime.expect("runtime").block_on(async {
            let path = self.home.root().database();
            let store = regatta::store::Store::open(&path, regatta::store::Mode::ReadWrite).await;
            store.expect("store").content_hash().await.expect("hash")
        });
        hash.into()
    }

    /// Calm weather: people give the commands that the tool names, until all is finished.
    fn settle(&mut self) {
        self.cluster(&["calm"]);
        let start = Instant::now();
        self.home.ok(&["submit", "sweep.yaml"]);
        loop {
            let _ = self.start(&["tick"]).wait();
            if self.live().is_empty() {
                for words in [
                    &["resume", "storm"][..],
                    &["retry", "storm"],
                    &["resume", "storm", "--state", "cancelled"],
                ] {
                    let _ = self.start(words).wait();
                }
            }
            let states = self.home.states("storm");
            if states == ["finished"; 4] && self.live().is_empty() {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(120), "it never ends: {states:?}");
            std::thread::sleep(Duration::from_millis(700));
        }
    }
}

impl Drop for Storm<'_> {
    fn drop(&mut self) {
        for (task, _) in self.live() {
            self.cluster(&["die", &task]);
        }
        if std::thread::panicking() {
            println!("{}", self.story.join("\n"));
        }
    }
}

#[test]
fn real_processes_in_a_storm_end_as_if_nothing_had_befallen_them() {
    let seeds: Vec<u64> = match std::env::var("REGATTA_STORM_SEED") {
        Ok(seed) => vec![seed.parse().expect("a number")],
        Err(_) => (0..20).collect(),
    };
    let (tally, next) = (Tally::default(), AtomicU64::new(0));
    undisturbed();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    println!("seed {seed}");
                    tally.count("storms");
                    Storm::new(*seed, &tally).rage();
                }
            });
        }
    });
    println!("Processes {:?}", tally.0.lock().expect("tally"));
}
