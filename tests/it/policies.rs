//! What policy does after each kind of end, limits of a site, and the story that is told of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use regatta::clock::Clock;
use regatta::control::{Outcome, Story, Wish};
use regatta::event::Act;
use regatta::id::Token;
use regatta::journal;
use regatta::layout::SweepFolder;
use regatta::scheduler::{Fate, JobRef, Reports, Scheduler, SchedulerError, Submission, TaskRef};
use regatta::store::{Mode, Store, TrialState};

use crate::sweep_life::{Life, TOY};

/// A site with rules of its own before the simulated cluster.
struct Site<'a> {
    life: &'a Life,
    /// Tasks that it lets in.
    room: Cell<u32>,
    /// Words of a refusal for everything that leaves a node out.
    picky: Option<&'static str>,
    /// Number of tasks and header of each script that was submitted, let in or not.
    asked: RefCell<Vec<(u32, String)>>,
}

impl<'a> Site<'a> {
    fn new(life: &'a Life, room: u32) -> Self {
        Self { life, room: Cell::new(room), picky: None, asked: RefCell::default() }
    }

    async fn submit_new(&self) -> Outcome {
        self.life.act(self.life.staged(), self, Wish::New).await.1
    }

    async fn tick(&self) -> (Vec<TrialState>, Outcome) {
        let (sight, outcome) = self.life.act(self.life.desk(), self, Wish::Policy).await;
        (sight.trials.into_iter().map(|row| row.state).collect(), outcome)
    }

    fn sizes(&self) -> Vec<u32> {
        self.asked.borrow().iter().map(|(tasks, _)| *tasks).collect()
    }

    fn last_script(&self) -> String {
        self.asked.borrow().last().expect("a script").1.clone()
    }
}

impl Scheduler for Site<'_> {
    fn name(&self) -> &'static str {
        self.life.cluster.name()
    }

    async fn submit(&self, job: &Submission) -> Result<JobRef, SchedulerError> {
        let script = std::fs::read_to_string(job.folder.script(job.token)).expect("script");
        let refuses = self.picky.filter(|_| script.contains("--exclude"));
        self.asked.borrow_mut().push((job.tasks, script));
        if let Some(words) = refuses {
            return Err(SchedulerError::Refused { program: "sbatch", words: words.to_owned() });
        }
        let Some(room) = self.room.get().checked_sub(job.tasks) else {
            let words = "QOSMaxSubmitJobPerUserLimit".to_owned();
            return Err(SchedulerError::Limit { program: "sbatch", words });
        };
        self.room.set(room);
        self.life.cluster.submit(job).await
    }

    async fn states(&self, jobs: &[JobRef]) -> Result<Reports, SchedulerError> {
        self.life.cluster.states(jobs).await
    }

    async fn cancel(&self, tasks: &[TaskRef]) -> Result<(), SchedulerError> {
        self.life.cluster.cancel(tasks).await
    }

    async fn requeue(&self, task: &TaskRef) -> Result<(), SchedulerError> {
        self.life.cluster.requeue(task).await
    }

    async fn find(
        &self,
        token: Token,
        folder: &SweepFolder,
        since: Timestamp,
    ) -> Result<Option<JobRef>, SchedulerError> {
        self.life.cluster.find(token, folder, since).await
    }
}

/// Number of trials that the scheduler took.
fn sent_by(outcome: &Outcome) -> usize {
    outcome.accepted.iter().map(|(_, tasks)| tasks).sum()
}

/// Eight trials.
const EIGHT: &str = "\
name: life
fixed:
  model: { name: toy, steps_per_epoch: 10, step_seconds: 1 }
  epochs: 2
grid: { optimizer.lr: [1e-2, 1e-1], batch_size: [2, 4, 8, 16] }
budget: { margin: 3s }
";

#[tokio::test]
async fn a_site_that_lets_few_in_is_filled_and_the_rest_waits() {
    let life = Life::new(EIGHT);
    let site = Site::new(&life, 3);
    let sent = site.submit_new().await;
    assert_eq!(site.sizes(), [8, 4, 2, 2, 1, 1]);
    let accepted = sent_by(&sent);
    assert_eq!((accepted, sent.limited.len(), sent.limited[0].1), (3, 1, 5));
    assert!(sent.refused.is_empty() && sent.goes_on(), "no failure: it goes on");
    let (states, later) = site.tick().await;
    assert_eq!(states.iter().filter(|state| **state == TrialState::Planned).count(), 5);
    assert_eq!((sent_by(&later), later.waiting), (0, 5), "not before a minute has passed");
    let mut store = life.store().await;
    let rows = store.trials(&["life".to_owned()]).await.expect("rows");
    let waits = rows.iter().find(|row| row.state == TrialState::Planned).expect("planned");
    assert!(
        waits.why.contains("limit of the site") && waits.why.contains("QOSMaxSubmit"),
        "{}",
        waits.why
    );
    // Still full: one question, and twice the patience afterwards.
    life.clock.advance(Duration::from_secs(61));
    site.asked.borrow_mut().clear();
    assert_eq!(sent_by(&site.tick().await.1), 0);
    assert_eq!(site.sizes(), [1]);
    life.clock.advance(Duration::from_secs(61));
    assert_eq!(site.tick().await.1.waiting, 5);
    // Room again, also for a controller that knows nothing but the journal, after a rebuild.
    life.clock.advance(Duration::from_secs(61));
    site.room.set(100);
    let mut store = Store::open(&life.root.database(), Mode::ReadWrite).await.expect("store");
    store.rebuild(&life.root, life.clock.now()).await.expect("rebuild");
    site.asked.borrow_mut().clear();
    assert_eq!(sent_by(&site.tick().await.1), 5);
    assert_eq!(site.sizes(), [1, 2, 2]);
    for _ in 0..4 {
        life.run_tasks();
        life.clock.advance(Duration::from_secs(30));
        site.tick().await;
    }
    assert_eq!(site.tick().await.0, vec![TrialState::Finished; 8]);
    for trial in &life.trials {
        assert_eq!(life.epochs(trial), [1, 2], "{trial}");
    }
}

#[tokio::test]
async fn a_retry_that_meets_a_limit_is_not_burnt() {
    let life = Life::new(&format!("{TOY}policy: {{ timed_out: {{ retry: 1 }} }}\n"));
    let site = Site::new(&life, 2);
    life.cluster.expect(Fate::TimeOut(15));
    site.submit_new().await;
    life.run_tasks();
    for wait in [61, 121, 241] {
        let (states, sent) = site.tick().await;
        assert_eq!((states[0].clone(), sent_by(&sent)), (TrialState::TimedOut, 0));
        life.clock.advance(Duration::from_secs(wait));
    }
    site.room.set(1);
    assert_eq!(sent_by(&site.tick().await.1), 1);
    life.run_tasks();
    assert_eq!(site.tick().await.0, vec![TrialState::Finished; 2]);
    assert_eq!(life.epochs(&life.trials[0]), [1, 2, 3, 4], "it went on where it was");
}

#[tokio::test]
async fn memory_time_and_nodes_follow_policy_and_are_written_down() {
    let policy = "policy: { node_failed: { retry: 3, mem: x2, time: x1.5, exclude_node: true } }\n\
                  resources: { mem: 1G, time: '01:00:00' }\n";
    let life = Life::new(&format!("{TOY}{policy}"));
    let site = Site::new(&life, 100);
    life.cluster.expect(Fate::Lose(15));
    site.submit_new().await;
    life.run_tasks();
    // The task is gone; the site says what befell it.
    let (trial, token) = (life.trials[0].clone(), life.desk().ledger().submissions()[0].token);
    let (state, node) = ("NODE_FAIL".to_owned(), Some("n3".to_owned()));
    let judged = Some("node_failed".to_owned());
    let exit = Some("0:9".parse().expect("exit"));
    let act = Act::TaskEnded { trial: trial.clone(), token, state, node, exit, judged };
    let path = life.root.sweep("life").controller_journal();
    let mut journal = journal::Writer::open(&path).expect("journal");
    life.clock.advance(Duration::from_secs(5));
    journal.append(life.clock.now(), &act, true).expect("append");
    let (states, sent) = site.tick().await;
    assert_eq!((states[0].clone(), sent.waiting), (TrialState::NodeFailed, 1), "back-off");
    life.clock.advance(Duration::from_secs(61));
    assert_eq!(sent_by(&site.tick().await.1), 1);
    let script = site.last_script();
    for line in ["--exclude=n3", "--mem=2G", "--time=01:30:00"] {
        assert!(script.contains(line), "{line}: {script}");
    }
    life.run_tasks();
    assert_eq!(site.tick().await.0, vec![TrialState::Finished; 2]);
    let folder = life.root.sweep("life");
    let story = Story::read(&folder, &trial, &BTreeMap::new()).expect("story");
    let told: Vec<String> =
        story.happenings.iter().map(|h| format!("{}: {}", h.who, h.what)).collect();
    let order = [
        "controller: the sweep was planned with 2 trials",
        "controller: about to submit with simulated, task 0 of 2",
        "simulated: accepted it as job 1_0",
        "attempt 1: began on",
        "attempt 1: saved the checkpoint",
        "simulated: the task ended: NODE_FAIL, exit code 0:9, on n3; the trial was then node_failed",
        "controller: policy: submission 1 of 3 after node_failed; with memory 2G, time 01:30:00, without node n3",
        "controller: about to submit again with simulated",
        "simulated: accepted it as job 2_0",
        "attempt 2: began on",
        "attempt 2: trains on cpu from epoch",
        "attempt 2: last word: finished",
    ];
    let mut rest = told.iter();
    for words in order {
        assert!(rest.any(|line| line.starts_with(words)), "{words}\n{told:#?}");
    }
    assert!(told.iter().any(|line| line.contains("resumed from 1-")), "{told:#?}");
}

#[tokio::test]
async fn a_bad_node_is_left_out_unless_nothing_else_is_there() {
    let policy = "policy: { breaker: { failures: 2, for: 1h } }\n";
    let mut life = Life::new(&format!("{TOY}{policy}"));
    life.submit().await;
    let token = life.desk().ledger().submissions()[0].token;
    let path = life.root.sweep("life").controller_journal();
    let mut journal = journal::Writer::open(&path).expect("journal");
    for trial in &life.trials {
        let (state, node) = ("NODE_FAIL".to_owned(), Some("n7".to_owned()));
        let judged = Some("node_failed".to_owned());
        let act = Act::TaskEnded { trial: trial.clone(), token, state, node, exit: None, judged };
        journal.append(life.clock.now(), &act, true).expect("append");
    }
    drop(journal);
    // The sweep grows: the new trial does not go there.
    life.rewrite("[1e-2, 1e-1]", "[1e-2, 1e-1, 2e-1]");
    {
        let site = Site::new(&life, 100);
        let sent = site.submit_new().await;
        assert_eq!(sent_by(&sent), 1);
        assert!(sent.notes[0].contains("node n7 is left out: 2 attempts"), "{:?}", sent.notes);
        assert!(site.last_script().contains("--exclude=n7"));
    }
    // A site with one node only says no: then better there than nowhere.
    life.rewrite("1e-1, 2e-1]", "1e-1, 2e-1, 3e-1]");
    let mut site = Site::new(&life, 100);
    site.picky = Some("Batch job submission failed: Requested node configuration is not available");
    let sent = site.submit_new().await;
    assert_eq!((sent_by(&sent), sent.refused.len()), (1, 0));
    assert!(!site.last_script().contains("--exclude"));
    assert!(sent.notes.iter().any(|note| note.contains("with n7 after all")), "{:?}", sent.notes);
}

#[tokio::test]
async fn what_waits_can_be_cancelled() {
    let life = Life::new(EIGHT);
    let site = Site::new(&life, 0);
    assert_eq!(site.submit_new().await.limited[0].1, 8);
    let all = life.trials.iter().cloned().collect();
    life.desk().cancel(&site, &all, "ada").await.expect("cancel");
    life.clock.advance(Duration::from_secs(3600));
    site.room.set(100);
    let (states, sent) = site.tick().await;
    assert_eq!((states, sent_by(&sent), sent.waiting), (vec![TrialState::Cancelled; 8], 0, 0));
}
