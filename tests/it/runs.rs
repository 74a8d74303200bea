//! Folders as controller and workers leave them, without running either.

use jiff::Timestamp;
use regatta::event::{Act, Cursor, Decision, Event, Outcome, StopReason};
use regatta::id::{AttemptUuid, Token, TrialId};
use regatta::journal;
use regatta::layout::{self, Root};
use regatta::metric::{Metrics, Objective};
use regatta::scheduler::JobRef;
use regatta::store::{Mode, Store};
use regatta::sweep::Trial;
use serde_json::json;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("moment")
}

pub(crate) fn id(number: u64) -> TrialId {
    format!("{:016x}", number.wrapping_mul(0x0123_4567_89ab_cdef)).parse().expect("id")
}

pub(crate) fn trial(number: u64) -> Trial {
    let value = json!({
        "trial": id(number), "seed": number, "repeat": 0,
        "parameters": { "optimizer.lr": 0.001, "batch_size": number },
        "settings": {
            "model": { "name": "toy" }, "optimizer": { "name": "adamw", "lr": 0.001 },
            "batch_size": number, "epochs": 3,
        },
    });
    serde_json::from_value(value).expect("trial")
}

/// A root with one sweep, written as controller and workers write.
pub(crate) struct Runs {
    folder: std::rc::Rc<tempfile::TempDir>,
    sweep: &'static str,
}

impl Runs {
    pub(crate) fn new(trials: u64) -> Self {
        let folder = std::rc::Rc::new(tempfile::tempdir().expect("folder"));
        Self::beside(folder, "lr-batch", trials)
    }

    /// Another sweep under the same root.
    pub(crate) fn another(&self, sweep: &'static str, trials: u64) -> Self {
        Self::beside(self.folder.clone(), sweep, trials)
    }

    fn beside(folder: std::rc::Rc<tempfile::TempDir>, sweep: &'static str, trials: u64) -> Self {
        let runs = Self { folder, sweep };
        std::fs::create_dir_all(runs.root().sweep(runs.sweep).path()).expect("sweep");
        runs.plan(Objective::default(), &(0..trials).map(trial).collect::<Vec<_>>());
        let version = "1".to_owned();
        let sweep = runs.sweep.to_owned();
        runs.act(0, &Act::Header { format: journal::FORMAT, sweep, version });
        runs
    }

    pub(crate) fn root(&self) -> Root {
        Root::new(self.folder.path())
    }

    pub(crate) fn plan(&self, objective: Objective, trials: &[Trial]) {
        let plan = json!({
            "format": 1, "sweep": self.sweep, "objective": objective, "trials": trials,
            "groups": [],
        });
        let folder = self.root().sweep(self.sweep);
        layout::write_atomic(&folder.plan(), plan.to_string().as_bytes()).expect("plan");
        layout::write_atomic(&folder.document(), b"name: lr-batch\n").expect("document");
    }

    pub(crate) fn act(&self, second: i64, act: &Act) {
        let path = self.root().sweep(self.sweep).controller_journal();
        let mut writer = journal::Writer::open(&path).expect("journal");
        writer.append(at(second), act, true).expect("append");
    }

    pub(crate) fn submit(&self, second: i64, trials: &[u64]) -> Token {
        let token = Token::at(at(second));
        let ids = trials.iter().map(|number| id(*number)).collect();
        let scheduler = "slurm".to_owned();
        let decision = Decision::Submit;
        self.act(second, &Act::Intent { token, scheduler, decision, trials: ids });
        self.act(second + 1, &Act::Accepted { token, job: "123".to_owned() });
        token
    }

    pub(crate) fn job(&self, token: Token) -> JobRef {
        let folder = self.root().sweep(self.sweep).path().to_owned();
        JobRef { id: "123".to_owned(), token, folder, tasks: 2 }
    }

    pub(crate) fn attempt(&self, number: u64, attempt: u32) -> Attempt {
        let folder = self.root().sweep(self.sweep).trial(&id(number));
        std::fs::create_dir_all(folder.claims()).expect("claims");
        layout::create_exclusive(&folder.claim(attempt), b"{}").expect("claim");
        Attempt { path: folder.journal(attempt), trial: id(number), attempt, second: 100 }
    }

    pub(crate) async fn store(&self) -> Store {
        Store::open(&self.root().database(), Mode::ReadWrite).await.expect("store")
    }
}

/// A worker's hand.
pub(crate) struct Attempt {
    pub(crate) path: std::path::PathBuf,
    trial: TrialId,
    attempt: u32,
    second: i64,
}

impl Attempt {
    pub(crate) fn write(&mut self, event: &Event) -> &mut Self {
        self.second += 10;
        let mut writer = journal::Writer::open(&self.path).expect("journal");
        writer.append(at(self.second), event, false).expect("append");
        self
    }

    pub(crate) fn header(&mut self, token: Option<Token>) -> &mut Self {
        let header = Event::Header {
            format: journal::FORMAT,
            trial: self.trial.clone(),
            attempt: self.attempt,
            uuid: AttemptUuid::at(at(self.second)),
            token,
            origin: "slurm:123_0:0".to_owned(),
            host: "n1".to_owned(),
            pid: 1,
            worker_version: format!("0.{}", self.attempt),
            scratch: None,
        };
        self.write(&header)
    }

    pub(crate) fn epoch(&mut self, epoch: u64, values: &[(&str, f64)]) -> &mut Self {
        let mut metrics = Metrics::default();
        for (name, value) in values {
            metrics.set(*name, *value);
        }
        self.write(&Event::EpochEnded {
            epoch,
            step: epoch * 10,
            metrics,
            weights_sha256: format!("{epoch:064}"),
            train_seconds: 3.0,
            eval_seconds: 1.0,
            images_per_second: 9.0,
            is_best: false,
        })
    }

    pub(crate) fn end(&mut self, outcome: Outcome, reason: Option<StopReason>) -> &mut Self {
        let cursor = Cursor { epoch: 4, step: 0 };
        self.write(&Event::Ended {
            outcome,
            reason,
            cursor,
            elapsed: 12.0,
            time_left: None,
            seconds_to_leave: None,
            error: None,
        })
    }
}

/// A small life: one trial finished, one stopped and resumed, one planned.
pub(crate) fn life(runs: &Runs) {
    let token = runs.submit(10, &[0, 1]);
    runs.attempt(0, 1)
        .header(Some(token))
        .epoch(1, &[("val/jaccard", 0.5), ("val/loss", 0.3)])
        .epoch(2, &[("val/jaccard", 0.6), ("val/loss", 0.2)])
        .end(Outcome::Finished, None);
    runs.attempt(1, 1)
        .header(Some(token))
        .epoch(1, &[("val/jaccard", 0.9)])
        .write(&Event::Warning { text: "slow disk".to_owned() })
        .end(Outcome::Stopped, Some(StopReason::Warned));
    runs.attempt(1, 2).header(Some(token)).epoch(1, &[("val/jaccard", 0.4)]);
}
