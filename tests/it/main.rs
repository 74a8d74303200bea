//! One binary for all integration tests.

#[cfg(feature = "train")]
mod train;
