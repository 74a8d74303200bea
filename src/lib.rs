//! Regatta races hyperparameter trials on a SLURM cluster.
//!
//! A controller (`regatta`) expands a YAML sweep into sbatch scripts; each job runs a worker
//! (`regatta-worker`) that knows its time budget, stops safely and resumes exactly; the results of
//! every trial end in one SQLite file that can be asked for the best Jaccard.
//!
//! # A tour of the house
//! **The hall** holds the words that both programs speak, and no I/O: [`id`], [`metric`],
//! [`event`], [`setting`]; and the seam of time, [`clock`].
//!
//! **The study** turns YAML into a plan and a plan into scripts, purely: [`sweep`], [`script`].
//!
//! **The courtyard** is the shared folder, the only channel between the programs: [`layout`] names
//! and writes files, [`journal`] appends and forgives.
//!
//! **The gatehouse** is [`scheduler`]. **The cellar** is [`store`]: SQLite, built from the journals.
//!
//! **The workshop** is [`worker`]: one attempt, no SLURM, no SQLite, no torch. **The annex** is
//! `train`, everything that touches libtorch.

pub mod cli;
pub mod clock;
pub mod control;
pub mod event;
pub mod id;
pub mod journal;
pub mod layout;
pub mod metric;
pub mod plan;
pub mod scheduler;
pub mod script;
pub mod setting;
pub mod store;
pub mod sweep;
#[cfg(feature = "train")]
pub mod train;
pub mod worker;
