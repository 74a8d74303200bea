//! One binary for all integration tests.
mod store;
mod sweeps;
#[cfg(feature = "train")]
mod train;
