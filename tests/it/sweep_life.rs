//! A whole sweep in one process: real controller, journals and attempts of the toy, a simulated
//! cluster, and a clock that only tests move.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use regatta::clock::{Clock, VirtualClock};
use regatta::control::{Desk, Order, Outcome, Sight, Wish};
use regatta::event::{Event, StopReason};
use regatta::id::TrialId;
use regatta::journal;
use regatta::layout::{self, Root, TrialFolder};
use regatta::plan::{Limits, Plan};
use regatta::scheduler::{Scheduler, SimulatedScheduler, TaskLaunch, TaskState};
use regatta::setting::Settings;
use regatta::store::{Mode, Store, TrialState};
use regatta::sweep::{Assignment, Loaded, Loader, Sweep};
use regatta::worker::attempt::{self, Request};
use regatta::worker::learner::{Learner, LearnerError};
use regatta::worker::record::TrialResult;
use regatta::worker::stop::StopFlag;
use regatta::worker::toy::ToyLearner;

use crate::watched::{Moment, Watched};

/// Two trials of 4 epochs of 10 steps of a second.
pub(crate) const TOY: &str = "\
name: life
fixed:
  model: { name: toy, steps_per_epoch: 10, step_seconds: 1, eval_seconds: 2, save_seconds: 0.5 }
  epochs: 4
grid: { optimizer.lr: [1e-2, 1e-1] }
budget: { margin: 3s, checkpoint_every: 12s }
";

/// A sweep on its way.
pub(crate) struct Life {
    _folder: tempfile::TempDir,
    pub(crate) root: Root,
    pub(crate) clock: VirtualClock,
    pub(crate) cluster: SimulatedScheduler,
    text: String,
    pub(crate) trials: Vec<TrialId>,
}

struct OneFile<'a>(&'a str);

impl Loader for OneFile<'_> {
    fn load(&self, _: Option<&str>, name: &str) -> Result<Loaded, String> {
        let (folder, identity) = ("/w".to_owned(), format!("/w/{name}"));
        Ok(Loaded { name: name.to_owned(), folder, identity, bytes: self.0.as_bytes().to_vec() })
    }
}

pub(crate) fn plan_of(text: &str) -> Plan {
    let sweep = Sweep::read(&OneFile(text), "s.yaml", 100).unwrap_or_else(|e| panic!("{e}"));
    Plan::new(&sweep).expect("plan")
}

/// A process that another test starts holds a copy of the lock for a moment, until it is a program.
const PATIENCE: Duration = Duration::from_secs(5);

impl Life {
    pub(crate) fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let clock = VirtualClock::starting(Timestamp::from_second(1_800_000_000).expect("moment"));
        clock.advance(Duration::from_secs(1000));
        let trials = plan_of(text).trials.into_iter().map(|trial| trial.id).collect();
        Self {
            root: Root::new(folder.path().join("runs")),
            cluster: SimulatedScheduler::new(clock.clone()),
            _folder: folder,
            clock,
            text: text.to_owned(),
            trials,
        }
    }

    /// Writes the sweep file anew: budgets and policies change, trials stay.
    pub(crate) fn rewrite(&mut self, from: &str, to: &str) {
        assert!(self.text.contains(from), "there is no {from}");
        self.text = self.text.replace(from, to);
    }

    pub(crate) async fn store(&self) -> Store {
        std::fs::create_dir_all(self.root.path()).expect("root");
        Store::open(&self.root.database(), Mode::ReadWrite).await.expect("store")
    }

    /// What `regatta submit` does.
    pub(crate) async fn submit(&self) -> Outcome {
        self.act(self.staged(), &self.cluster, Wish::New).await.1
    }

    /// The sweep as it is staged now.
    pub(crate) fn staged(&self) -> Desk<'_> {
        let plan = plan_of(&self.text);
        let desk = Desk::stage(&self.root, plan, &self.text, &self.clock, Duration::ZERO);
        desk.expect("desk")
    }

    /// What `regatta tick` does.
    pub(crate) async fn tick(&self) -> (Sight, Outcome) {
        self.act(self.desk(), &self.cluster, Wish::Policy).await
    }

    /// What `regatta resume TRIAL…` does.
    pub(crate) async fn resume(&self) -> Outcome {
        let these = self.trials.iter().cloned().collect();
        self.act(self.desk(), &self.cluster, Wish::These(these)).await.1
    }

    pub(crate) fn desk(&self) -> Desk<'_> {
        Desk::open(&self.root, "life", &self.clock, PATIENCE).expect("desk")
    }

    /// Looks at the sweep and submits what is wished for.
    pub(crate) async fn act<S: Scheduler>(
        &self,
        mut desk: Desk<'_>,
        cluster: &S,
        wish: Wish,
    ) -> (Sight, Outcome) {
        let mut store = self.store().await;
        desk.reconcile(cluster).await.expect("reconcile");
        let sight = desk.look(cluster, &mut store).await.expect("look");
        let worker = "/bin/regatta-worker".into();
        let limits = Limits::default();
        let order = Order { worker, limits, wish, stage_only: false, workspace: None };
        let outcome = desk.submit(cluster, &sight, &order).await.expect("submit");
        (sight, outcome)
    }

    /// Lets every waiting task run once.
    pub(crate) fn run_tasks(&self) -> usize {
        self.cluster.advance(|launch| work(&self.clock, launch))
    }

    /// Cluster and controller take turns until nothing is in flight and nothing is sent.
    pub(crate) async fn until_the_end(&self) -> Vec<TrialState> {
        for _ in 0..60 {
            self.run_tasks();
            self.clock.advance(Duration::from_secs(30));
            let (sight, sent) = self.tick().await;
            let in_flight = sight.trials.iter().any(|row| row.state.is_in_flight());
            if !in_flight && !sent.goes_on() && sent.refused.is_empty() {
                return sight.trials.into_iter().map(|row| row.state).collect();
            }
        }
        panic!("it never ends: {:#?}", self.states().await);
    }

    pub(crate) async fn states(&self) -> Vec<TrialState> {
        let mut store = self.store().await;
        let mut desk = self.desk();
        let sight = desk.look(&self.cluster, &mut store).await.expect("look");
        sight.trials.into_iter().map(|row| row.state).collect()
    }

    pub(crate) fn folder(&self, trial: &TrialId) -> TrialFolder {
        self.root.sweep("life").trial(trial)
    }

    pub(crate) fn result(&self, trial: &TrialId) -> TrialResult {
        TrialResult::read(&self.folder(trial)).expect("result")
    }

    pub(crate) fn events(&self, trial: &TrialId, attempt: u32) -> Vec<Event> {
        let path = self.folder(trial).journal(attempt);
        let found = journal::replay::<Event>(&path).expect("journal");
        assert_eq!(found.bad, 0);
        found.records.into_iter().map(|record| record.body).collect()
    }

    /// All epochs in the order in which they were trained.
    pub(crate) fn epochs(&self, trial: &TrialId) -> Vec<u64> {
        let attempts = self.folder(trial).attempts().expect("attempts");
        let events = attempts.into_iter().flat_map(|attempt| self.events(trial, attempt));
        let epoch = |event| match event {
            Event::EpochEnded { epoch, .. } => Some(epoch),
            _ => None,
        };
        events.filter_map(epoch).collect()
    }

    /// What must not depend on what befell the trials on their way.
    pub(crate) fn essence(&self) -> Vec<String> {
        let tell = |trial: &TrialId| {
            let TrialResult { outcome, metrics, weights_sha256, best_value, best_epoch, .. } =
                self.result(trial);
            format!("{outcome:?} {metrics:?} {weights_sha256:?} {best_value:?} {best_epoch:?}")
        };
        self.trials.iter().map(tell).collect()
    }

    /// Tasks of each trial that wait or run, also those that no answer told of.
    pub(crate) async fn live_tasks(&self) -> BTreeMap<TrialId, usize> {
        let desk = self.desk();
        let mut live: BTreeMap<_, _> = self.trials.iter().cloned().map(|t| (t, 0)).collect();
        for submission in desk.ledger().submissions() {
            let found = self
                .cluster
                .find(submission.token, desk.folder(), submission.at)
                .await
                .expect("find");
            let Some(job) = found else { continue };
            for (task, report) in self.cluster.states(&[job]).await.expect("states") {
                let trial = &submission.trials[task.index as usize];
                let is_live = matches!(report.state, TaskState::Pending(_) | TaskState::Running);
                *live.get_mut(trial).expect("of this sweep") += usize::from(is_live);
            }
        }
        live
    }
}

/// The worker on a node: returns the exit code of its process.
fn work(clock: &VirtualClock, launch: &TaskLaunch) -> i32 {
    let lines = std::fs::read_to_string(&launch.job_file).expect("job file");
    let line = lines.lines().nth(launch.index as usize).expect("line");
    let assignment: Assignment = serde_json::from_str(line).expect("assignment");
    let folder = launch.folder.trial(&assignment.trial.id);
    let request = Request {
        time_left: launch.time_left,
        origin: launch.origin.clone(),
        // Nobody pushes a virtual clock while a thread writes.
        write_behind: false,
        ..Request::new(assignment, folder.clone())
    };
    let (stop, death) = (StopFlag::default(), Rc::new(Cell::new(None)));
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let outcome = attempt::run(&request, &clock, &stop, &|settings, seed, clock| {
        struck(settings, seed, clock, launch, &stop, &death, &folder)
    });
    match death.take() {
        Some(death) => {
            death.undo(&folder);
            137
        }
        None => i32::from(outcome.exit_code()),
    }
}

/// What a killed process leaves behind. Its last words, which it only speaks because the test stays
/// alive, are taken back.
struct Death {
    attempt: u32,
    journal: Vec<u8>,
    result: Option<Vec<u8>>,
}

impl Death {
    fn of(folder: &TrialFolder) -> Self {
        let attempt = *folder.attempts().expect("attempts").last().expect("one");
        let journal = std::fs::read(folder.journal(attempt)).expect("journal");
        Self { attempt, journal, result: std::fs::read(folder.result()).ok() }
    }

    #[expect(clippy::disallowed_methods, reason = "the machine's clock dates files")]
    fn undo(self, folder: &TrialFolder) {
        layout::write_atomic(&folder.journal(self.attempt), &self.journal).expect("journal");
        match self.result {
            Some(old) => layout::write_atomic(&folder.result(), &old).expect("result"),
            None => layout::remove(&folder.result()).expect("result"),
        }
        // Its heart stopped long ago.
        let claim = File::options().append(true).open(folder.claim(self.attempt)).expect("claim");
        claim.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("date");
    }
}

fn struck(
    settings: &Settings,
    seed: u64,
    clock: &Arc<dyn Clock>,
    launch: &TaskLaunch,
    stop: &StopFlag,
    death: &Rc<Cell<Option<Death>>>,
    folder: &TrialFolder,
) -> Result<Box<dyn Learner>, LearnerError> {
    let toy = ToyLearner::new(settings, seed, Arc::clone(clock))?;
    let (signal_at, killed_at) = (launch.signal_at, launch.killed_at);
    let (stop, death, folder) = (stop.clone(), Rc::clone(death), folder.clone());
    let mut steps = 0;
    Ok(Watched::boxed(toy, move |moment| {
        let Moment::Step(_) = moment else { return };
        if killed_at == Some(steps) {
            death.set(Some(Death::of(&folder)));
            panic!("the process is killed here");
        }
        steps += 1;
        if signal_at == Some(steps) {
            stop.raise(StopReason::Terminated);
        }
    }))
}
