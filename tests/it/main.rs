//! One binary for all integration tests.
mod answers;
mod runs;
mod store;
mod sweeps;
