//! One attempt: the loop that trains, evaluates, saves, stops and resumes. No SLURM, no SQLite, no
//! torch.
//!
//! [`attempt`] is the way in: claim, restore, train, tell. [`training`] is the loop; it tells what
//! happens as events, and [`callback`]s wish: [`record`] keeps, [`progress`] reports, [`guard`] sees
//! divergence, [`stop`] hears signals, [`budget`] counts time, [`saving`] saves; [`plateau`] lowers the learning rate,
//! [`health`] knows improvement and collapse. [`keeper`],
//! [`checkpoint`] and [`claim`] are what makes an end at any moment harmless; [`past`] knows what
//! earlier attempts did, [`surroundings`] is for the record. [`learner`] is the seam to what is
//! trained; the [`toy`] is one. [`verify`] proves on a user's own trial that a cut one ends as an
//! uncut one.

pub mod attempt;
pub mod budget;
pub mod callback;
pub mod checkpoint;
pub mod claim;
pub mod command;
pub mod estimate;
pub mod guard;
pub mod health;
pub mod keeper;
pub mod learner;
pub mod past;
pub mod plateau;
pub mod progress;
pub mod record;
pub mod saving;
pub mod stop;
pub mod surroundings;
pub mod telemetry;
pub mod toy;
pub mod trained;
pub mod training;
pub mod verify;
