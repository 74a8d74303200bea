//! What stands in for libtorch in a worker that was built without.

use std::error::Error;

use super::{Looked, fail};

use regatta::setting::Settings;
use regatta::worker::command::{Check, Evaluate, Export, Models, Predict, Synth};
use regatta::worker::learner::{Learner, LearnerError};
use regatta::worker::stop::StopFlag;

const WITHOUT: &str = "this worker was built without libtorch and knows the toy only: build it \
                       with `cargo build --features train --bin regatta-worker`";

pub(crate) fn build(_: &Settings, _: u64) -> Result<Box<dyn Learner>, LearnerError> {
    Err(LearnerError::Setting { setting: "model.name".to_owned(), what: WITHOUT.to_owned() })
}

pub(crate) fn predict(_: &Predict, _: &StopFlag) -> u8 {
    fail(&*Box::<dyn Error>::from(WITHOUT))
}

pub(crate) fn evaluate(_: &Evaluate, _: &StopFlag) -> u8 {
    fail(&*Box::<dyn Error>::from(WITHOUT))
}

pub(crate) fn export(_: &Export) -> Result<String, Box<dyn Error>> {
    Err(WITHOUT.into())
}

pub(crate) fn check(_: &Check) -> Result<Looked, Box<dyn Error>> {
    Err(WITHOUT.into())
}

pub(crate) fn models(_: &Models) -> Result<String, Box<dyn Error>> {
    Err(WITHOUT.into())
}

pub(crate) fn synth(_: &Synth) -> Result<String, Box<dyn Error>> {
    Err(WITHOUT.into())
}
