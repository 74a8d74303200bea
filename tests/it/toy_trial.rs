//! A toy trial in a folder of its own, for tests.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use regatta::clock::{Clock, VirtualClock};
use regatta::event::{Event, Outcome};
use regatta::journal;
use regatta::layout::{self, SweepFolder, TrialFolder};
use regatta::metric::Objective;
use regatta::setting;
use regatta::sweep::{Assignment, Budget, Trial};
use regatta::worker::attempt::{self, Request};
use regatta::worker::record::TrialResult;
use regatta::worker::stop::StopFlag;
use regatta::worker::toy::ToyLearner;
use serde_json::{Value, json};

/// A trial and where it lives.
pub(crate) struct ToyTrial {
    _temporary: tempfile::TempDir,
    pub(crate) sweep: SweepFolder,
    pub(crate) assignment: Assignment,
}

impl ToyTrial {
    /// Makes one with these settings of the toy beside four epochs of ten steps.
    pub(crate) fn new(toy: &Value) -> Self {
        Self::with(toy, &json!({}))
    }

    /// Makes one whose other settings are changed too, a section or setting at a time.
    pub(crate) fn with(toy: &Value, changes: &Value) -> Self {
        let mut model = json!({ "name": "toy", "steps_per_epoch": 10 });
        let given = toy.as_object().expect("object").clone();
        model.as_object_mut().expect("object").extend(given);
        let mut settings = json!({
            "model": model, "epochs": 4, "batch_size": 4, "optimizer": { "lr": 0.05 },
            "schedule": { "name": "warmup_cosine", "warmup_epochs": 1 },
        });
        for (name, value) in changes.as_object().expect("object") {
            settings[name] = value.clone();
        }
        let settings = setting::resolve(settings.as_object().expect("object")).expect("settings");
        let id = "00112233445566aa".parse().expect("id");
        let trial = Trial {
            id,
            seed: 5,
            repeat: 0,
            parameters: std::sync::Arc::default(),
            settings: settings.into(),
        };
        // In memory where that is to be had: thousands of checkpoints are fsynced here.
        let memory = std::path::Path::new("/dev/shm");
        let temporary =
            tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).expect("folder");
        Self {
            sweep: SweepFolder::new(temporary.path().join("toy")),
            _temporary: temporary,
            assignment: Assignment {
                trial,
                sweep: "toy".to_owned(),
                settings_version: setting::SETTINGS_VERSION,
                objective: Objective::default(),
                budget: Budget { margin: 3.0, checkpoint_every: 12.0, ..Budget::default() },
                token: None,
                only_check: false,
            },
        }
    }

    pub(crate) fn folder(&self) -> TrialFolder {
        self.sweep.trial(&self.assignment.trial.id)
    }

    /// Asks for start `start` of one job.
    pub(crate) fn request(&self, start: u32) -> Request {
        let request = Request::new(self.assignment.clone(), self.folder());
        // Nobody pushes a virtual clock while a thread writes.
        Request { origin: format!("slurm:1_0:{start}"), write_behind: false, ..request }
    }

    /// Runs it in one go on a virtual clock.
    pub(crate) fn run_uncut(&self) -> Outcome {
        let clock: Arc<dyn Clock> = Arc::new(virtual_clock());
        attempt::run(&self.request(0), &clock, &StopFlag::default(), &|settings, seed, clock| {
            Ok(Box::new(ToyLearner::new(settings, seed, Arc::clone(clock))?))
        })
    }

    /// Writes a job file with this trial on its second line.
    pub(crate) fn job_file(&self) -> PathBuf {
        let token = regatta::id::Token::placeholder();
        layout::create_folder(&self.sweep.jobs()).expect("folder");
        let line = serde_json::to_string(&self.assignment).expect("json");
        let path = self.sweep.job_file(token);
        layout::write_atomic(&path, format!("{{}}\n{line}\n").as_bytes()).expect("job file");
        path
    }

    pub(crate) fn result(&self) -> TrialResult {
        TrialResult::read(&self.folder()).expect("result")
    }

    /// All recorded events of an attempt.
    pub(crate) fn events(&self, attempt: u32) -> Vec<Event> {
        let path = self.folder().journal(attempt);
        let replay = journal::replay::<Event>(&path).expect("journal");
        assert_eq!(replay.bad, 0);
        replay.records.into_iter().map(|record| record.body).collect()
    }

    /// What must be the same however often a trial was cut: for each epoch its last record, the
    /// final values, and the last checkpoint's tensors.
    pub(crate) fn essence(&self) -> String {
        let mut epochs = std::collections::BTreeMap::new();
        for attempt in self.folder().attempts().expect("attempts") {
            for event in self.events(attempt) {
                if let Event::EpochEnded { epoch, step, metrics, weights_sha256, is_best, .. } =
                    event
                {
                    let line = format!("{step} {metrics:?} {weights_sha256} {is_best}");
                    if let Some(before) = epochs.insert(epoch, line.clone()) {
                        assert_eq!(before, line, "epoch {epoch} was done twice and differs");
                    }
                }
            }
        }
        let result = self.result();
        let tensors = std::fs::read(self.folder().checkpoints().link("last")).expect("last");
        let tensors = regatta::worker::checkpoint::sha256_hex(&tensors);
        format!(
            "{epochs:#?}\n{:?} {:?} {:?} {:?} {:?} {tensors}",
            result.outcome,
            result.metrics,
            result.weights_sha256,
            result.best_value,
            result.best_epoch
        )
    }
}

pub(crate) fn virtual_clock() -> VirtualClock {
    let clock = VirtualClock::starting(Timestamp::UNIX_EPOCH);
    clock.advance(Duration::from_secs(1000));
    clock
}
