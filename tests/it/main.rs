//! One binary for all integration tests.

mod fake_slurm;
mod home;
mod layers;
mod local;
mod mistakes;
mod script;
mod slurm;
mod stage;
mod store;
mod sweeps;
#[cfg(feature = "train")]
mod train;
