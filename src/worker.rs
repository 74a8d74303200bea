//! One attempt: the loop that trains, evaluates, saves, stops and resumes. No SLURM, no SQLite, no
//! torch.

pub mod learner;
