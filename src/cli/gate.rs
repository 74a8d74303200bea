//! Which scheduler, and which worker program.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{Context, Failure};
use crate::clock::SystemClock;
use crate::layout::Root;
use crate::scheduler::{AnyScheduler, LocalScheduler, Slurm, SlurmSettings};
use std::sync::Arc;

/// A scheduler by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Name {
    /// The cluster
    Slurm,
    /// This machine: child processes, with the time limits and signals that SLURM would give
    Local,
}

/// Options of verbs that talk to a scheduler.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Gate {
    /// Who runs the jobs [default: slurm for `submit`; for the rest the one that
    /// the sweep was last submitted to]
    #[arg(long, value_enum, env = "REGATTA_SCHEDULER", value_name = "NAME")]
    pub(super) scheduler: Option<Name>,
    /// Trials that the local scheduler trains side by side [default: number of cores]
    #[arg(long, env = "REGATTA_SLOTS", value_name = "N")]
    pub(super) slots: Option<u32>,
}

impl Gate {
    /// Opens the scheduler.
    pub(super) fn open(&self, ctx: &Context, used: Option<Name>) -> Result<AnyScheduler, Failure> {
        match self.scheduler.or(used).unwrap_or(Name::Slurm) {
            Name::Slurm => {
                let settings =
                    SlurmSettings::new(std::env::vars_os().collect(), Arc::new(SystemClock::new()));
                Ok(AnyScheduler::Slurm(Slurm::new(settings)))
            }
            Name::Local => {
                let program = this_program()?;
                let root = absolute(ctx.root.path())?;
                let cores = std::thread::available_parallelism()
                    .map_or(1, |n| u32::try_from(n.get()).unwrap_or(1));
                Ok(AnyScheduler::Local(LocalScheduler::new(
                    program,
                    Root::new(root),
                    self.slots.unwrap_or(cores),
                )))
            }
        }
    }
}

/// Returns the path of this program.
pub(super) fn this_program() -> Result<PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|error| Failure::site(format!("failed to find this program: {error}")))
}

/// Returns the worker program: `REGATTA_WORKER`, or the one beside this program.
#[expect(clippy::disallowed_methods, reason = "a front room reads the environment")]
pub(super) fn worker_program() -> Result<PathBuf, Failure> {
    let named =
        std::env::var_os("REGATTA_WORKER").filter(|path| !path.is_empty()).map(PathBuf::from);
    let beside = || this_program().map(|program| program.with_file_name("regatta-worker"));
    let path = named.map_or_else(beside, Ok)?;
    if path.is_file() {
        return absolute(&path);
    }
    Err(Failure::site(format!("there is no worker program {}", path.display())).hint(
        "`cargo build --features train --bin regatta-worker` makes it beside regatta; or name it with REGATTA_WORKER",
    ))
}

/// Returns an absolute path; symbolic links stay.
pub(super) fn absolute(path: &std::path::Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::file("find", path, &error))
}
