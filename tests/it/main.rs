//! One binary for all integration tests.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "helpers of tests start processes, write files and may fail loudly"
)]

#[cfg(feature = "train")]
mod accumulation;
mod answers;
mod asked_formats;
mod asking;
mod beginning;
mod bundle;
mod cancels;
mod chaos;
mod chaos_cut;
mod checks;
mod cluster;
mod cluster_life;
mod compare;
mod controller_killed;
mod damage;
#[cfg(feature = "train")]
mod data;
mod database_gone;
mod earlier_failures;
mod earlier_failures_guards;
#[cfg(feature = "train")]
mod earlier_failures_net;
mod explained;
#[cfg(feature = "train")]
mod exported;
mod fake_queue;
mod fake_slurm;
#[cfg(feature = "train")]
mod files;
mod fuzz_corpus;
mod guards;
mod home;
mod hostile;
mod interrupted;
mod judged;
mod layers;
mod life;
mod local;
mod loopholes;
mod mistakes;
mod next_command;
mod old_databases;
mod parity_training;
mod policies;
#[cfg(feature = "train")]
mod predict;
#[cfg(feature = "train")]
mod predict_told;
#[cfg(feature = "train")]
mod predict_trust;
#[cfg(feature = "train")]
mod predict_typed;
mod presets;
#[cfg(feature = "train")]
mod presets_net;
mod programs;
mod queue;
mod readme;
mod records;
mod refused;
mod replanned;
mod report;
mod report_scene;
mod resume;
#[cfg(feature = "train")]
mod resume_net;
#[cfg(feature = "train")]
mod resume_net_process;
#[cfg(feature = "train")]
mod resume_net_rows;
mod runs;
mod safe_ends;
mod safe_shutdown;
mod saved;
mod scale;
mod script;
mod secrets;
mod security;
mod served;
mod settings_page;
mod situation;
mod slurm;
mod slurm_down;
mod sql;
mod stage;
mod store;
mod storm;
mod storm_distil;
mod storm_end;
mod storm_found;
mod storm_processes;
mod storm_scene;
mod storm_task;
mod storm_world;
mod study;
mod sweep_life;
mod sweep_schema;
mod sweep_schema_settings;
mod sweeps;
mod tab;
mod tmux;
mod toy_trial;
#[cfg(feature = "train")]
mod train;
#[cfg(feature = "train")]
mod train_data;
mod training_page;
mod verify;
mod watched;
mod watching;
mod worker_chaos;
mod worker_disk;
mod worker_process;
mod worker_record;
mod worker_terminal;
mod worker_time;
