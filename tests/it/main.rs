//! One binary for all integration tests.

mod fake_slurm;
mod local;
mod script;
mod slurm;
mod stage;
