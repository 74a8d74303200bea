//! One binary for all integration tests.

mod home;
mod layers;
mod mistakes;
mod store;
mod sweeps;
