//! Regatta races hyperparameter trials on a SLURM cluster.
//!
//! A controller (`regatta`) expands a YAML sweep into sbatch scripts; each job runs a worker
//! (`regatta-worker`) that knows its time budget, stops safely and resumes exactly; the results of
//! every trial end in one SQLite file that can be asked for the best Jaccard.
//!
//! # A tour of the house
//! **The hall** holds the words that both programs speak, and no I/O: [`id`], [`metric`], [`event`]
//! (what happens, as values) and [`setting`] (what may be set, in which range, with which default);
//! what both show when they are asked for help, [`help`]; and the seam of time, [`clock`].
//!
//! **The study** turns YAML into text for sbatch, purely: [`sweep`] reads and expands the file into
//! trials, [`plan`] groups them into job arrays, [`script`] renders each job's script.
//!
//! **The tower** is [`analysis`]: what the epochs of a trial say, and whether groups of trials can be told
//! apart; pure, and the controller's alone. Beside it stands [`query`], the language in which people ask.
//!
//! **The courtyard** is the shared folder, the only channel between the programs: [`layout`] names
//! and writes files, [`journal`] appends and forgives.
//!
//! **The gatehouse** is [`scheduler`]: SLURM, its twin on this machine, and one for tests, behind
//! one trait. Only here are processes started.
//!
//! **The office** is [`control`], the controller's acts: stage, submit, look, cancel, with an intent
//! in the journal before each submission.
//!
//! **The cellar** is [`store`]: SQLite, made from the journals; it judges how each trial stands and
//! answers questions.
//!
//! **The front rooms** are [`cli`], one file a verb; only they ask and print.
//!
//! **The workshop** is [`worker`]: one attempt at one trial, from the claim to the exit code, with
//! budget, callbacks and checkpoints; no SLURM, no SQLite, no torch. Its toy learner needs no images.
//!
//! **The annex** is `train` (feature `train`), everything that touches libtorch: images, networks,
//! losses, optimizers, prediction.
//!
//! The controller never reaches workshop and annex, and they never reach the controller's rooms:
//! ARCHITECTURE.md tells of the walls and of the tests that hold them.

pub mod analysis;
pub mod cli;
pub mod clock;
pub mod control;
pub mod event;
#[doc(hidden)]
pub mod fuzzing;
pub mod help;
pub mod id;
pub mod journal;
pub mod layout;
pub mod metric;
pub mod plan;
pub mod query;
pub mod scheduler;
pub mod script;
pub mod setting;
pub mod store;
pub mod sweep;
#[cfg(feature = "train")]
pub mod train;
pub mod worker;
