//! One binary for all integration tests.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod resume;
mod store;
mod sweeps;
mod toy_trial;
#[cfg(feature = "train")]
mod train;
mod worker_process;
