//! `regatta cancel`: stop trials; what has a little time left saves a checkpoint.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use super::ask::{check_root, plural, span};
use super::gate::{Gate, absolute};
use super::progress::Display;
use super::select::Select;
use super::submit::{PATIENCE, from_control, open_store};
use super::{Context, Failure, resume};
use crate::clock::Clock;
use crate::control::{ControlError, Desk, Next};
use crate::help::{Example, examples};
use crate::id::TrialId;
use crate::layout::Root;
use crate::scheduler::{AnyScheduler, Scheduler};
use crate::store::TrialRow;
use crate::sweep::duration_seconds;

/// Time between two looks while workers save.
const LOCAL: Duration = Duration::from_millis(500);
const CLUSTER: Duration = Duration::from_secs(5);

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("a whole sweep", "regatta cancel lr-batch"),
    (
        "let what runs save and leave by itself",
        "regatta cancel lr-batch --checkpoint --patience 10min",
    ),
    ("only what has not begun", "regatta cancel lr-batch --state submitted"),
    ("two trials", "regatta cancel 3fa9 81c0"),
];

/// Cancel trials; a running one saves a checkpoint first if it has the time
///
/// Nothing starts them again but `regatta resume SWEEP --state cancelled`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    gate: Gate,
    /// Let running trials save and leave by themselves, and kill nothing meanwhile
    ///
    /// Without it the scheduler ends them after its grace time, which may be too short for a large
    /// checkpoint. Trials that wait in the queue are cancelled at once.
    #[arg(long)]
    checkpoint: bool,
    /// With --checkpoint: how long to wait before what still runs is cancelled as usual
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = patience)]
    patience: Duration,
}

impl Args {
    /// The words of a command line that names one sweep or trial.
    pub(super) fn of(word: String, gate: Gate) -> Self {
        Self { select: Select::of(word), gate, checkpoint: false, patience: Duration::ZERO }
    }
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    check_root(ctx)?;
    let root = Root::new(absolute(ctx.root.path())?);
    let mut store = open_store(&root).await?;
    let selected = args.select.find(ctx, &root, &mut store).await?;
    let mut desk =
        Desk::open(&root, &selected.sweep, &ctx.clock, PATIENCE).map_err(from_control)?;
    let scheduler = args.gate.open(ctx, resume::used(&desk))?;
    for error in desk.reconcile(&scheduler).await.map_err(from_control)? {
        ctx.screen.warn(format!("an earlier submission is still unclear: {error}"));
    }
    let sight = desk.look(&scheduler, &mut store).await.map_err(from_control)?;
    // What policy would submit again is as good as in flight.
    let comes_back =
        |row: &TrialRow| !matches!(desk.next(scheduler.name(), row), Next::Leave { .. });
    let alive = sight.trials.iter().filter(|row| row.state.is_in_flight() || comes_back(row));
    let trials: BTreeSet<_> = alive
        .map(|row| row.trial.clone())
        .filter(|trial| selected.trials.contains(trial))
        .collect();
    // One that was cancelled while SLURM was down may still wait there.
    let settled: BTreeSet<_> = selected.trials.difference(&trials).cloned().collect();
    let outliving =
        settled.into_iter().filter(|trial| desk.may_outlive_its_cancel(trial)).collect();
    desk.end(&scheduler, &outliving).await.map_err(from_control)?;
    if trials.is_empty() {
        let status = ctx.command(&format!("status {}", selected.sweep));
        ctx.screen.note(format!(
            "nothing of {} is in flight; {status} tells how it stands",
            selected.sweep
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let by = nix::unistd::User::from_uid(nix::unistd::getuid())
        .ok()
        .flatten()
        .map_or("unknown".to_owned(), |user| user.name);
    if args.checkpoint {
        desk.mark(&trials, &by).map_err(from_control)?;
        drop(desk);
        let leaving = Leaving { root: &root, sweep: &selected.sweep, scheduler: &scheduler };
        leaving.wait(ctx, &trials, args.patience).await?;
    } else {
        desk.cancel(&scheduler, &trials, &by).await.map_err(not_ended)?;
    }
    ctx.screen.note(format!(
        "cancelled {} of {}; {} takes them up again",
        plural(trials.len() as u64, "trial"),
        selected.sweep,
        ctx.command(&format!("resume {} --state cancelled", selected.sweep))
    ));
    Ok(ExitCode::SUCCESS)
}

/// Where the scheduler did not hear, the marks stand all the same.
fn not_ended(error: ControlError) -> Failure {
    if !matches!(error, ControlError::Scheduler(_)) {
        return from_control(error);
    }
    let failure = from_control(error);
    let message = format!("marked as cancelled, but not ended: {failure}");
    Failure { message, hints: Vec::new(), ..failure }.hint(
        "trials that run save and leave by themselves, and nothing starts the others again; their jobs \
         stay in the queue until the same command is given once more",
    )
}

/// Trials of a sweep that are to save and leave by themselves.
struct Leaving<'a> {
    root: &'a Root,
    sweep: &'a str,
    scheduler: &'a AnyScheduler,
}

impl Leaving<'_> {
    /// Waits until the marked trials have left. Those that have not when the patience is at its end
    /// are told, and cancelled as usual.
    async fn wait(
        &self,
        ctx: &Context,
        marked: &BTreeSet<TrialId>,
        patience: Duration,
    ) -> Result<(), Failure> {
        let pause = if matches!(self.scheduler, AnyScheduler::Local(_)) { LOCAL } else { CLUSTER };
        let start = ctx.clock.monotonic();
        let mut display = Display::new(ctx);
        let mut told = false;
        let mut running = marked.clone();
        loop {
            let rows;
            (rows, running) = self.look(ctx, marked, &running).await?;
            let waited = ctx.clock.monotonic().saturating_sub(start);
            if running.is_empty() || waited >= patience {
                display.end();
                return self.give_up(ctx, &rows, &running, patience).await;
            }
            if !told {
                let trials = plural(running.len() as u64, "running trial");
                let most = span(patience.as_secs_f64());
                ctx.screen.note(format!("{trials} may save and leave; waiting at most {most}"));
                told = true;
            }
            display.show(ctx, &rows);
            tokio::time::sleep(pause.min(patience - waited)).await;
        }
    }

    /// Looks once: ends those that run no more, and returns the marked trials with those that still
    /// run.
    async fn look(
        &self,
        ctx: &Context,
        marked: &BTreeSet<TrialId>,
        running: &BTreeSet<TrialId>,
    ) -> Result<(Vec<TrialRow>, BTreeSet<TrialId>), Failure> {
        let mut desk =
            Desk::open(self.root, self.sweep, &ctx.clock, PATIENCE).map_err(from_control)?;
        let mut store = open_store(self.root).await?;
        let sight = desk.look(self.scheduler, &mut store).await.map_err(from_control)?;
        let running = desk.end_idle(self.scheduler, &sight, running).await.map_err(from_control)?;
        let rows = sight.trials.into_iter().filter(|row| marked.contains(&row.trial)).collect();
        Ok((rows, running))
    }

    async fn give_up(
        &self,
        ctx: &Context,
        rows: &[TrialRow],
        running: &BTreeSet<TrialId>,
        patience: Duration,
    ) -> Result<(), Failure> {
        if running.is_empty() {
            return Ok(());
        }
        for row in rows.iter().filter(|row| running.contains(&row.trial)) {
            ctx.screen.warn(format!(
                "{} has not saved and left within {}: it is cancelled now, and what it did since its \
                 last checkpoint may be lost",
                row.trial,
                span(patience.as_secs_f64())
            ));
        }
        let desk = Desk::open(self.root, self.sweep, &ctx.clock, PATIENCE).map_err(from_control)?;
        desk.end(self.scheduler, running).await.map_err(from_control)
    }
}

fn patience(text: &str) -> Result<Duration, String> {
    let seconds = duration_seconds(text).and_then(|s| Duration::try_from_secs_f64(s).ok());
    seconds.ok_or_else(|| "a time such as 90s, 10min or 1h is needed".to_owned())
}
