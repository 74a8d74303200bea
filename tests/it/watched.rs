//! A learner with somebody who looks at each of its moments, and may end it there.

use regatta::event::Cursor;
use regatta::metric::Metrics;
use regatta::worker::learner::{Description, Learner, LearnerError, State};

/// What the learner is about to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// The step after this cursor.
    Step(Cursor),
    /// An evaluation.
    Evaluation,
}

/// A learner that calls `watch` before each moment.
pub(crate) struct Watched<L, W> {
    learner: L,
    watch: W,
}

impl<L: Learner + 'static, W: FnMut(Moment) + 'static> Watched<L, W> {
    pub(crate) fn boxed(learner: L, watch: W) -> Box<dyn Learner> {
        Box::new(Self { learner, watch })
    }
}

impl<L: Learner, W: FnMut(Moment)> Learner for Watched<L, W> {
    fn describe(&self) -> Description {
        self.learner.describe()
    }

    fn warnings(&self) -> Vec<String> {
        self.learner.warnings()
    }

    fn train_step(&mut self, cursor: Cursor, learning_rate: f64) -> Result<f64, LearnerError> {
        (self.watch)(Moment::Step(cursor));
        self.learner.train_step(cursor, learning_rate)
    }

    fn reset(&mut self) -> Result<(), LearnerError> {
        self.learner.reset()
    }

    fn evaluate(
        &mut self,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Metrics>, LearnerError> {
        (self.watch)(Moment::Evaluation);
        self.learner.evaluate(go_on)
    }

    fn state(&self) -> Result<State, LearnerError> {
        self.learner.state()
    }

    fn restore(&mut self, state: &State) -> Result<(), LearnerError> {
        self.learner.restore(state)
    }
}
