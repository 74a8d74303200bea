//! One binary for all integration tests.

#![expect(clippy::expect_used, reason = "a test that cannot prepare has failed")]

mod fake_slurm;
mod local;
mod script;
mod slurm;
mod stage;
