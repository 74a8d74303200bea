//! Who looks for `check`: the worker in a short job on a node of the cluster, or here.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::gate::{Gate, Name, absolute, worker_program};
use crate::cli::{Context, Failure};
use crate::clock::{Clock, SystemClock};
use crate::control::{ControlError, Preflight};
use crate::layout::Root;
use crate::plan::Plan;
use crate::scheduler::{AnyScheduler, JobRef, TaskState, program};
use crate::sweep::CheckSaid;

/// Pause between two looks for the answer, and between two questions to the scheduler.
const PAUSE: Duration = Duration::from_millis(200);
const ASK_EVERY: Duration = Duration::from_secs(15);

/// What the file server may need to show what a job wrote before it ended.
const SETTLE: Duration = Duration::from_secs(10);

/// Why nobody looked.
pub(super) enum Unlooked {
    /// It could not be tried; the words say why.
    NotChecked(String),
    /// A job would fail before its worker can look.
    Failed(String),
}

/// Looks for one kind of trial after another.
pub(super) struct Looker<'a> {
    ctx: &'a Context,
    plan: &'a Plan,
    program: PathBuf,
    /// The cluster; none: here.
    cluster: Option<(AnyScheduler, Root)>,
    patience: Duration,
}

impl<'a> Looker<'a> {
    /// Through the cluster where SLURM answers, unless somebody chose: a login node is no place to
    /// build networks and read volumes.
    pub(super) fn new(
        ctx: &'a Context,
        plan: &'a Plan,
        gate: &Gate,
        slurm_answers: bool,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let usual = if slurm_answers { Name::Slurm } else { Name::Local };
        let cluster = match gate.scheduler.unwrap_or(usual) {
            Name::Local => None,
            Name::Slurm => {
                let root = Root::new(absolute(ctx.root.path())?);
                Some((gate.open(ctx, Some(Name::Slurm))?, root))
            }
        };
        Ok(Self { ctx, plan, program: worker_program()?, cluster, patience })
    }

    /// Has the worker look at trial `index` of the plan.
    pub(super) async fn look(&self, index: usize) -> Result<CheckSaid, Unlooked> {
        match &self.cluster {
            Some((scheduler, root)) => self.on_a_node(scheduler, root, index).await,
            None => self.here(index).await,
        }
    }

    async fn here(&self, index: usize) -> Result<CheckSaid, Unlooked> {
        let settings = serde_json::json!(self.plan.trials[index].settings).to_string();
        let words = ["check".into(), "--settings".into(), settings.into(), "--json".into()];
        let words: Vec<OsString> = words.into();
        let (exit_code, output, errors) =
            program::ask(&self.program, &words).await.map_err(|error| {
                Unlooked::Failed(format!("failed to start {}: {error}", self.program.display()))
            })?;
        Ok(CheckSaid { exit_code, output, errors, host: None })
    }

    async fn on_a_node(
        &self,
        scheduler: &AnyScheduler,
        root: &Root,
        index: usize,
    ) -> Result<CheckSaid, Unlooked> {
        let clock = SystemClock::new();
        let failed = |error: ControlError| Unlooked::Failed(error.to_string());
        let preflight = Preflight::stage(root, self.plan, index, &self.program, &clock);
        let preflight = preflight.map_err(failed)?;
        let job = match preflight.submit(scheduler).await {
            Ok(job) => job,
            Err(ControlError::Scheduler(error)) if !error.is_certain() => {
                return Err(Unlooked::NotChecked(error.to_string()));
            }
            Err(error) => return Err(failed(error)),
        };
        let waited = self.wait(&preflight, scheduler, &job, &clock);
        let said = tokio::select! {
            said = waited => said,
            _ = tokio::signal::ctrl_c() => Err(Unlooked::NotChecked("interrupted".to_owned())),
        };
        if said.is_err()
            && let Err(error) = preflight.cancel(scheduler, job.clone()).await
        {
            self.ctx.screen.warn(format!("failed to cancel the job {}: {error}", job.id));
        }
        said
    }

    async fn wait(
        &self,
        preflight: &Preflight,
        scheduler: &AnyScheduler,
        job: &JobRef,
        clock: &SystemClock,
    ) -> Result<CheckSaid, Unlooked> {
        let began = clock.monotonic();
        let mut next = began + Duration::from_secs(2);
        let mut ended = None;
        let mut told = String::new();
        loop {
            if let Some(said) = preflight.said() {
                return Ok(said);
            }
            let now = clock.monotonic();
            if ended.is_some_and(|ended| now > ended + SETTLE) {
                let log = preflight.log(job);
                let log = log.trim();
                let log = if log.is_empty() { "its log is empty" } else { log };
                let words = format!("job {} ended before its worker said a word: {log}", job.id);
                return Err(Unlooked::Failed(words));
            }
            if now > began + self.patience {
                let words = format!(
                    "job {} did not answer within {} s ({told}); `--patience` waits longer, \
                     `--scheduler local` looks on this machine",
                    job.id,
                    self.patience.as_secs()
                );
                return Err(Unlooked::NotChecked(words));
            }
            if now >= next && ended.is_none() {
                next = now + ASK_EVERY;
                if let Ok(reports) = preflight.states(scheduler, job).await {
                    let state = reports.values().next();
                    let word = match state.map(|report| &report.state) {
                        None => "no longer known to SLURM".to_owned(),
                        Some(TaskState::Pending(reason)) => format!("pending: {reason}"),
                        Some(_) => state.map(|r| r.word.to_lowercase()).unwrap_or_default(),
                    };
                    let is_over =
                        matches!(state.map(|r| &r.state), None | Some(TaskState::Ended(_)));
                    ended = is_over.then_some(now);
                    if word != told {
                        self.ctx.screen.note(format!("the checking job {}: {word}", job.id));
                        told = word;
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
