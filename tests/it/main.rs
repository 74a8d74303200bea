//! One binary for all integration tests.
mod store;
mod sweeps;
