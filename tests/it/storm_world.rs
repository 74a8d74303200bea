//! The world in which a storm rages: real controller, journals and attempts, a simulated cluster that
//! lies, and a clock that only tests move.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use regatta::clock::{Clock, VirtualClock};
use regatta::control::{ControlError, Desk, Order as Wanted, Sight, Wish};
use regatta::event::Act;
use regatta::id::TrialId;
use regatta::journal;
use regatta::layout::{self, Root, is_dead, with_faults};
use regatta::plan::Limits;
use regatta::scheduler::SimulatedScheduler;
use regatta::store::{Mode, Store, StoreError, TrialState};
use tokio::runtime::Runtime;

use crate::storm_scene::{Damage, Mishap, Order, Scene, Strike};
use crate::storm_task;
use crate::sweep_life::plan_of;

/// Four trials of 2 epochs of 4 steps of a second, in two jobs. All that ends early is sent again.
pub(crate) const TEXT: &str = "\
name: storm
fixed:
  model: { name: toy, steps_per_epoch: 4, step_seconds: 1, eval_seconds: 0.5, save_seconds: 0.5 }
  epochs: 2
grid: { optimizer.lr: [1e-2, 1e-1], batch_size: [4, 8] }
resources: { mem: 1G }
overrides: [ { when: { batch_size: 8 }, resources: { mem: 2G } } ]
budget: { margin: 1s, checkpoint_every: 3s }
policy: { lost: { retry: 1000 }, node_failed: { retry: 1000 }, timed_out: { retry: 1000 }, \
          out_of_memory: { retry: 1000 } }
";

/// Two controllers may want the folder for a moment.
const PATIENCE: Duration = Duration::ZERO;

/// What happened in a storm.
pub(crate) type Tally = BTreeMap<String, u64>;

/// One sweep in a storm.
pub(crate) struct World {
    folder: tempfile::TempDir,
    place: Cell<u32>,
    runtime: Runtime,
    pub(crate) clock: VirtualClock,
    pub(crate) cluster: SimulatedScheduler,
    pub(crate) trials: Vec<TrialId>,
    /// Processes that stand still at this moment.
    pub(crate) depth: Cell<u32>,
    /// Records of the controller's journal that were there once, by number.
    kept: RefCell<BTreeMap<u64, String>>,
    /// What must not be.
    pub(crate) wrong: RefCell<Vec<String>>,
    /// What happened, for people.
    pub(crate) story: RefCell<Vec<String>>,
    pub(crate) tally: RefCell<Tally>,
}

/// What came of a command.
#[derive(Debug)]
pub(crate) enum Failed {
    Control(ControlError),
    Store(StoreError),
}

impl From<ControlError> for Failed {
    fn from(error: ControlError) -> Self {
        Self::Control(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl World {
    pub(crate) fn new() -> Rc<Self> {
        // In memory where that is to be had: thousands of records are fsynced here.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let clock = VirtualClock::starting(Timestamp::from_second(1_800_000_000).expect("moment"));
        clock.advance(Duration::from_secs(1000));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Rc::new(Self {
            folder: folder.expect("folder"),
            place: Cell::new(0),
            runtime: runtime.expect("runtime"),
            cluster: SimulatedScheduler::new(clock.clone()),
            clock,
            trials: plan_of(TEXT).trials.into_iter().map(|trial| trial.id).collect(),
            depth: Cell::new(0),
            kept: RefCell::default(),
            wrong: RefCell::default(),
            story: RefCell::default(),
            tally: RefCell::default(),
        })
    }

    pub(crate) fn root(&self) -> Root {
        Root::new(self.root_at(self.place.get()))
    }

    fn root_at(&self, place: u32) -> PathBuf {
        self.folder.path().join(format!("runs-{place}"))
    }

    pub(crate) fn count(&self, what: &str, how_many: u64) {
        *self.tally.borrow_mut().entry(what.to_owned()).or_default() += how_many;
    }

    pub(crate) fn tell(&self, what: String) {
        let pad = "  ".repeat(self.depth.get() as usize);
        self.story.borrow_mut().push(format!("{pad}{} {what}", self.clock.monotonic().as_secs()));
    }

    pub(crate) fn accuse(&self, what: String) {
        self.tell(format!("WRONG: {what}"));
        self.wrong.borrow_mut().push(what);
    }

    /// Lets a scene happen.
    pub(crate) fn play(self: &Rc<Self>, scene: &Scene) {
        match scene {
            Scene::Act(order, mishap) => {
                let _ = self.act(*order, mishap);
            }
            Scene::Work(strikes) => strikes.iter().for_each(|strike| self.start(strike)),
            Scene::Pass(seconds) => self.clock.advance(Duration::from_secs(*seconds)),
            Scene::Damage(damage) => self.damage(*damage),
            Scene::ForgetNewest => {
                if let Some(job) = self.cluster.newest() {
                    self.tell(format!("the cluster forgets job {}", job.id));
                    self.count("jobs forgotten by the cluster", 1);
                    self.cluster.forget(&job);
                }
            }
            Scene::ForgetEnded => self.cluster.forget_ended(),
            Scene::Move if self.depth.get() == 0 && self.cluster.live().is_empty() => {
                let (from, to) = (self.root_at(self.place.get()), self.place.get() + 1);
                if std::fs::rename(from, self.root_at(to)).is_ok() {
                    self.place.set(to);
                    self.count("moved roots", 1);
                    self.tell("the root is moved".to_owned());
                }
            }
            Scene::Move => {}
        }
        self.look_on();
    }

    fn start(self: &Rc<Self>, strike: &Strike) {
        let waiting = self.cluster.waiting();
        let Some(task) = waiting.get(strike.pick % waiting.len().max(1)) else { return };
        let Some(launch) = self.cluster.start(task) else { return };
        let ending = storm_task::work(self, &launch, strike);
        self.clock.advance(Duration::from_secs(1));
        self.cluster.finish(&launch, ending);
        self.tell(format!("{} left: {ending:?}", launch.origin));
        self.look_on();
    }

    /// Somebody gives a command, and something may befall it.
    pub(crate) fn act(&self, order: Order, mishap: &Mishap) -> Option<Sight> {
        for fate in &mishap.fates {
            self.cluster.expect(*fate);
        }
        let rival = mishap.rival.then(|| layout::lock(&self.root().collect_lock(), PATIENCE));
        let done =
            with_faults(&mishap.faults, || (self.runtime.block_on(self.perform(order)), is_dead()));
        drop(rival);
        let (done, dead) = done.expect("rules");
        self.count("commands", 1);
        self.count("commands killed", u64::from(dead));
        let left = self.cluster.calm();
        let struck = mishap.fates.iter().filter(|fate| !left.contains(fate));
        for fate in struck.clone() {
            let kind = format!("{fate:?}");
            self.count(&format!("lie {}", kind.split('(').next().unwrap_or_default()), 1);
        }
        let struck = struck.count();
        if !mishap.faults.is_empty() && !dead {
            self.count("commands on a disk that refuses", u64::from(done.is_err()));
        }
        let said = match &done {
            Ok(sight) => sight.as_ref().map(told).unwrap_or_default(),
            Err(error) => format!("{error:?}"),
        };
        self.tell(format!("{order:?} {mishap:?} struck {struck} dead {dead}: {said}"));
        if dead && mishap.torn > 0 {
            self.tear(mishap.torn);
        }
        let may_fail = !mishap.faults.is_empty()
            || mishap.rival
            || matches!(
                done,
                Err(Failed::Control(ControlError::Scheduler(_) | ControlError::NoSweep { .. }))
                    | Err(Failed::Store(StoreError::NoSweep { .. }))
            );
        match done {
            Ok(sight) => sight.filter(|_| !dead),
            Err(error) if !may_fail => {
                self.accuse(format!("{order:?} failed on a good day: {error:?}"));
                None
            }
            Err(_) => None,
        }
    }

    async fn perform(&self, order: Order) -> Result<Option<Sight>, Failed> {
        let root = self.root();
        // A process that another test starts holds a copy of the lock until it is a program.
        let patience = Duration::from_secs(5);
        let desk = match order {
            Order::Submit => Desk::stage(&root, plan_of(TEXT), TEXT, &self.clock, patience)?,
            Order::Rebuild => return self.rebuild(&root).await.map(|_| None),
            _ => Desk::open(&root, "storm", &self.clock, patience)?,
        };
        let mut desk = desk;
        let other = Desk::open(&root, "storm", &self.clock, PATIENCE);
        if !is_dead() && !matches!(other, Err(ControlError::Busy { .. })) {
            self.accuse(format!("another controller is let in: {other:?}"));
        }
        let mut store = Store::open(&root.database(), Mode::ReadWrite).await?;
        if order != Order::Status {
            desk.reconcile(&self.cluster).await?;
        }
        let sight = desk.look(&self.cluster, &mut store).await?;
        let of = |states: &[TrialState]| {
            let rows = sight.trials.iter().filter(|row| states.contains(&row.state));
            Wish::These(rows.map(|row| row.trial.clone()).collect())
        };
        use TrialState as S;
        let wish = match order {
            Order::Submit => Wish::New,
            Order::Tick => Wish::Policy,
            Order::Resume => of(&[S::Planned, S::Preempted, S::TimedOut, S::NodeFailed, S::Lost]),
            Order::Retry => of(&[S::Failed, S::Diverged, S::OutOfMemory]),
            Order::ResumeCancelled => of(&[S::Cancelled]),
            Order::Cancel(place) => {
                let row = sight.trials.get(place).filter(|row| row.state.is_in_flight());
                let these = row.into_iter().map(|row| row.trial.clone()).collect();
                desk.cancel(&self.cluster, &these, "ada").await?;
                return Ok(Some(sight));
            }
            Order::Status | Order::Rebuild => return Ok(Some(sight)),
        };
        let worker = "/bin/regatta-worker".into();
        let limits = Limits::default();
        let order = Wanted { worker, limits, wish, stage_only: false, workspace: None };
        let outcome = desk.submit(&self.cluster, &sight, &order).await?;
        if !outcome.accepted.is_empty() {
            self.tell(format!("accepted {:?}", outcome.accepted));
        }
        store.collect(&root, "storm", self.clock.now()).await?;
        Ok(Some(sight))
    }

    /// What `regatta rebuild` does. Returns the hash of the content.
    pub(crate) async fn rebuild(&self, root: &Root) -> Result<String, Failed> {
        if !root.path().is_dir() {
            return Ok(String::new());
        }
        let mut store = match Store::open(&root.database(), Mode::ReadWrite).await {
            Ok(store) => store,
            Err(_) => {
                layout::remove_database(root).map_err(|source| {
                    let path = root.database();
                    Failed::Store(StoreError::Read { path, source })
                })?;
                Store::open(&root.database(), Mode::ReadWrite).await?
            }
        };
        store.rebuild(root, self.clock.now()).await?;
        Ok(store.content_hash().await?)
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Looks from outside: nothing is there twice, nothing that was written is gone.
    fn look_on(&self) {
        let mut live: BTreeMap<TrialId, u64> = BTreeMap::new();
        for task in self.cluster.live() {
            if let Some(trial) = storm_task::trial_of(&task) {
                *live.entry(trial).or_default() += 1;
            }
        }
        for (trial, count) in live.into_iter().filter(|(_, count)| *count > 1) {
            self.accuse(format!("{trial} has {count} live tasks"));
        }
        self.check_kept();
    }

    pub(crate) fn check_kept(&self) {
        let path = self.root().sweep("storm").controller_journal();
        let found = journal::replay::<Act>(&path).expect("journal");
        let there: BTreeMap<u64, String> = found
            .records
            .iter()
            .map(|record| (record.seq, serde_json::to_string(record).expect("json")))
            .collect();
        let mut kept = self.kept.borrow_mut();
        for (seq, record) in kept.iter().filter(|(seq, record)| there.get(seq) != Some(record)) {
            self.accuse(format!("record {seq} is lost: {record}"));
        }
        *kept = there;
    }

    /// A kill in the middle of a record.
    fn tear(&self, bytes: usize) {
        let line = b"00000000 {\"seq\":9999,\"at\":\"2027-01-15T08:30:00Z\",\"act\":\"intent\"";
        self.append(&self.root().sweep("storm").controller_journal(), &line[..bytes]);
    }

    fn append(&self, path: &std::path::Path, bytes: &[u8]) {
        use std::io::Write as _;
        if let Ok(mut file) = std::fs::OpenOptions::new().append(true).open(path) {
            file.write_all(bytes).expect("append");
        }
    }

    fn damage(&self, damage: Damage) {
        let journal = self.root().sweep("storm").controller_journal();
        let text = std::fs::read(&journal).unwrap_or_default();
        let mut lines = text.split_inclusive(|byte| *byte == b'\n');
        self.tell(format!("{damage:?}"));
        self.count("damages", 1);
        match damage {
            Damage::Foreign(0) => self.append(&journal, b"\xff\x00 this is somebody else's\n"),
            Damage::Foreign(place) => {
                let folder = self.root().sweep("storm").trial(&self.trials[place - 1]);
                if let Some(last) = folder.attempts().expect("attempts").last() {
                    self.append(&folder.journal(*last), b"{\"seq\":1,\"event\":\"ended\"}\n");
                }
            }
            Damage::Torn => self.tear(40),
            Damage::Twice(place) => {
                let line = lines.nth(place).unwrap_or_default();
                // Behind a torn line it would be part of that.
                if text.ends_with(b"\n") {
                    self.append(&journal, line);
                }
            }
            Damage::Interleaved(place) => {
                let line = lines.nth(place).unwrap_or_default();
                let halves = [&line[..line.len() / 2], &line[..line.len() / 2], b"\n"].concat();
                self.append(&journal, &halves);
            }
            Damage::NoDatabase => {
                let _ = layout::remove_database(&self.root());
            }
            Damage::RottenDatabase => {
                let _ = layout::remove_database(&self.root());
                if self.root().path().is_dir() {
                    std::fs::write(self.root().database(), [b'x'; 9000]).expect("garbage");
                    let _ = self.act(Order::Rebuild, &Mishap::default());
                }
            }
        }
    }
}

fn told(sight: &Sight) -> String {
    let silent = sight.scheduler_silent.as_ref().map(|error| format!(" ({error})"));
    let rows = sight
        .trials
        .iter()
        .map(|row| format!("{}={} [{}]", &row.trial.as_str()[..4], row.state, row.why));
    rows.collect::<Vec<_>>().join("; ") + &silent.unwrap_or_default()
}
