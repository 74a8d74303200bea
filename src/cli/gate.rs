//! Which scheduler, and which worker program.

use std::path::PathBuf;

use clap::ValueEnum;

use std::sync::Arc;
use std::time::Duration;

use super::{Context, Failure};
use crate::clock::SystemClock;
use crate::layout::{self, Root};
use crate::scheduler::{
    AnyScheduler, LocalScheduler, MAX_AGE, QueueCache, Slurm, SlurmSettings, cluster_key,
};

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
    /// Seconds for which an answer of squeue serves all commands of a user [default: 60]
    #[arg(long, env = "REGATTA_MAX_AGE", value_name = "SECONDS", hide_short_help = true)]
    pub(super) max_age: Option<f64>,
    /// Seconds that a program of SLURM may take to answer; the same for all commands of a sweep
    /// [default: 30]
    #[arg(long, env = "REGATTA_SLURM_PATIENCE", value_name = "SECONDS", hide_short_help = true)]
    pub(super) slurm_patience: Option<f64>,
}

impl Gate {
    /// Opens the scheduler.
    pub(super) fn open(&self, ctx: &Context, used: Option<Name>) -> Result<AnyScheduler, Failure> {
        self.open_for(ctx, used, None)
    }

    /// Opens the scheduler for a command that looks every `poll` seconds.
    pub(super) fn open_for(
        &self,
        ctx: &Context,
        used: Option<Name>,
        poll: Option<f64>,
    ) -> Result<AnyScheduler, Failure> {
        match self.scheduler.or(used).unwrap_or(Name::Slurm) {
            Name::Slurm => {
                let mut settings =
                    SlurmSettings::new(std::env::vars_os().collect(), Arc::new(SystemClock::new()));
                let age = poll.or(self.max_age).map(Duration::try_from_secs_f64);
                let cache = QueueCache {
                    file: Some(queue_file(ctx)),
                    max_age: age.and_then(Result::ok).unwrap_or(MAX_AGE),
                };
                let named = self.slurm_patience.map(Duration::try_from_secs_f64);
                if let Some(Ok(patience)) = named {
                    settings.patience = patience.max(Duration::from_secs(1));
                }
                Ok(AnyScheduler::Slurm(Box::new(Slurm::new(SlurmSettings { cache, ..settings }))))
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

/// Returns the file of what squeue last said to this user about this cluster: in the cache folder of
/// the user, whose terminals share it; without a home below the root.
#[expect(clippy::disallowed_methods, reason = "a front room reads the environment")]
fn queue_file(ctx: &Context) -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty());
    let folder = named("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| named("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_else(|| ctx.root.path().to_owned());
    let conf = named("SLURM_CONF").map(PathBuf::from);
    let file = layout::queue_cache(&folder, &cluster_key(conf.as_deref()));
    if let Some(parent) = file.parent()
        && let Err(error) = layout::create_private_folder(parent)
    {
        tracing::debug!(%error, folder = %parent.display(), "answers of squeue are not shared");
    }
    file
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
