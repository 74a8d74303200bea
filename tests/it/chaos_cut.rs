//! What befalls a trial in a random life, and the toy that it befalls.

use std::cell::Cell;
use std::rc::Rc;

use regatta::event::{Cursor, StopReason};
use regatta::layout::{fault, is_dead};
use regatta::metric::Metrics;
use regatta::worker::learner::{Description, Learner, LearnerError, State};
use regatta::worker::stop::StopFlag;
use regatta::worker::toy::ToyLearner;

/// What ends an attempt.
#[derive(Clone, Debug)]
pub(crate) enum Cut {
    /// It has so many seconds.
    Time(u64),
    /// A signal comes in so many steps.
    Signal(u64),
    /// It is killed in so many steps.
    Kill(u64),
    /// It is killed while it writes, at this point after so many passes.
    KillWriting(&'static str, u32),
    /// Nothing does.
    Nothing,
}

/// Points at which a process can be killed while it writes.
pub(crate) const WRITING: [&str; 12] = [
    "write.create",
    "write.content",
    "write.sync",
    "write.rename",
    "write.done",
    "checkpoint.save",
    "checkpoint.manifest",
    "checkpoint.prune",
    "journal.append",
    "journal.sync",
    "link",
    "remove",
];

/// Points at which the disk refuses, and what it says.
pub(crate) const REFUSING: [&str; 13] = [
    "checkpoint.save",
    "checkpoint.manifest",
    "checkpoint.prune",
    "checkpoint.read",
    "write.create",
    "write.content",
    "write.sync",
    "write.rename",
    "journal.append",
    "journal.sync",
    "append.open",
    "link",
    "remove",
];
pub(crate) const WORDS: [&str; 6] = ["full", "quota", "io", "stale", "readonly", "error"];

/// A toy that is cut.
pub(crate) struct Struck {
    pub(crate) toy: ToyLearner,
    pub(crate) stop: StopFlag,
    pub(crate) signal_after: Option<u64>,
    pub(crate) kill_after: Option<u64>,
    pub(crate) steps: u64,
    pub(crate) reached: Rc<Cell<u64>>,
    pub(crate) first: Rc<Cell<Option<u64>>>,
    pub(crate) per_epoch: u64,
}

impl Learner for Struck {
    fn describe(&self) -> Description {
        self.toy.describe()
    }

    fn train_step(&mut self, cursor: Cursor, learning_rate: f64) -> Result<f64, LearnerError> {
        let done = (cursor.epoch - 1) * self.per_epoch + cursor.step;
        if self.first.get().is_none() {
            self.first.set(Some(done));
        }
        if self.kill_after == Some(self.steps) {
            let _ = fault("test.kill");
        }
        assert!(!is_dead(), "killed");
        self.steps += 1;
        if self.signal_after == Some(self.steps) {
            self.stop.raise(StopReason::Terminated);
        }
        let loss = self.toy.train_step(cursor, learning_rate);
        self.reached.set(done + 1);
        loss
    }

    fn evaluate(
        &mut self,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Metrics>, LearnerError> {
        assert!(!is_dead(), "killed");
        self.toy.evaluate(go_on)
    }

    fn state(&self) -> Result<State, LearnerError> {
        self.toy.state()
    }

    fn reset(&mut self) -> Result<(), LearnerError> {
        self.toy.reset()
    }

    fn restore(&mut self, state: &State) -> Result<(), LearnerError> {
        self.toy.restore(state)
    }
}

/// A kill is a panic here, which nobody wants to read thousands of times.
pub(crate) fn quiet_kills() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !is_dead() {
                before(info);
            }
        }));
    });
}
