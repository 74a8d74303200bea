//! One binary for all integration tests.

mod resume;
mod toy_trial;
mod worker_process;
