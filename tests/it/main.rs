//! One binary for all integration tests.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "helpers of tests start processes, write files and may fail loudly"
)]

mod answers;
mod cluster;
mod fake_slurm;
mod home;
mod layers;
mod local;
mod mistakes;
mod programs;
mod readme;
mod resume;
mod runs;
mod script;
mod settings_page;
mod slurm;
mod stage;
mod store;
mod sweeps;
mod toy_trial;
#[cfg(feature = "train")]
mod train;
mod whole;
mod worker_process;
