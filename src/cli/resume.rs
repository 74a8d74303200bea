//! `regatta resume` and `regatta retry`: submit again what stopped, or what failed.

use std::collections::BTreeSet;
use std::process::ExitCode;

use super::ask::check_root;
use super::gate::{Gate, Name, absolute, worker_program};
use super::select::Select;
use super::submit::{PATIENCE, from_control, is_incomplete, limits, open_store, tell};
use super::{Context, Failure, wait};
use crate::control::{Desk, Order, Wish};
use crate::help::{Example, examples};
use crate::layout::Root;
use crate::store::TrialState;

/// Which ends a verb is about when only a sweep is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// Those that can go on from a checkpoint, and what was never submitted.
    Stopped,
    /// Those that went wrong.
    Failed,
}

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("what stopped", "regatta resume lr-batch"),
    (
        "what was cancelled, too, and stay until the end",
        "regatta resume lr-batch --state cancelled --wait",
    ),
    ("one trial", "regatta resume 3fa9"),
];

/// The same for `regatta retry`.
pub(super) const RETRY_EXAMPLES: &[Example] = &[
    ("what went wrong", "regatta retry lr-batch"),
    (
        "only what ran out of memory, and stay until the end",
        "regatta retry lr-batch --state out_of_memory --wait",
    ),
    ("one trial", "regatta retry 3fa9"),
];

/// Submit again what was preempted, timed out, lost or never submitted
///
/// Each trial goes on from its last checkpoint. What was cancelled stays so, unless trials or
/// `--state cancelled` are named; what failed is for `regatta retry`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    gate: Gate,
    /// Stay until all trials of the sweep ended; exit 3 if some are not finished
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    pace: wait::Pace,
}

impl Args {
    /// The words of a command line that names one sweep or trial.
    pub(super) fn of(word: String, gate: Gate) -> Self {
        let pace = wait::Pace { poll: None };
        Self { select: Select::of(word), gate, wait: false, pace }
    }
}

pub(super) async fn run(ctx: &Context, args: &Args, ends: Ends) -> Result<ExitCode, Failure> {
    check_root(ctx)?;
    let root = Root::new(absolute(ctx.root.path())?);
    let mut store = open_store(&root).await?;
    let selected = args.select.find(ctx, &root, &mut store).await?;
    let mut desk =
        Desk::open(&root, &selected.sweep, &ctx.clock, PATIENCE).map_err(from_control)?;
    let scheduler = args.gate.open_for(ctx, used(&desk), args.pace.poll)?;
    let limits = limits(&scheduler).await;
    for error in desk.reconcile(&scheduler).await.map_err(from_control)? {
        ctx.screen.warn(format!("an earlier submission is still unclear: {error}"));
    }
    let sight = desk.look(&scheduler, &mut store).await.map_err(from_control)?;
    if let Some(error) = &sight.scheduler_silent {
        ctx.screen.warn(format!(
            "the scheduler does not answer, so what it has counts as in flight: {error}"
        ));
    }
    let meant = |state: &TrialState| match (selected.is_explicit, ends) {
        (true, _) => true,
        (false, Ends::Stopped) => matches!(
            state,
            TrialState::Planned
                | TrialState::Preempted
                | TrialState::TimedOut
                | TrialState::NodeFailed
                | TrialState::Lost
        ),
        (false, Ends::Failed) => {
            matches!(state, TrialState::Failed | TrialState::Diverged | TrialState::OutOfMemory)
        }
    };
    let rows =
        sight.trials.iter().filter(|row| selected.trials.contains(&row.trial) && meant(&row.state));
    let these: BTreeSet<_> = rows.map(|row| row.trial.clone()).collect();
    let order = Order {
        worker: worker_program()?,
        limits,
        wish: Wish::These(these),
        stage_only: false,
        workspace: None,
    };
    let outcome = desk.submit(&scheduler, &sight, &order).await.map_err(from_control)?;
    super::submit::collect_after(ctx, &mut store, &root, &selected.sweep).await;
    drop(desk);
    tell(ctx, &selected.sweep, &scheduler, &outcome);
    if !outcome.has_sent() && !is_incomplete(&outcome) {
        let sweep = &selected.sweep;
        let is_done = sight.trials.iter().all(|row| row.state == TrialState::Finished);
        let next = match is_done {
            true => format!(
                "all trials are finished, {} ranks them",
                ctx.command(&format!("best {sweep}"))
            ),
            false => format!("{} tells how they stand", ctx.command(&format!("status {sweep}"))),
        };
        ctx.screen.note(format!("there was nothing to submit; {next}"));
    }
    if args.wait && outcome.refused.is_empty() {
        return wait::until_the_end(ctx, &root, &selected.sweep, &scheduler, &args.pace).await;
    }
    Ok(if is_incomplete(&outcome) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Returns the scheduler that a sweep was last submitted to, here.
pub(super) fn used(desk: &Desk<'_>) -> Option<Name> {
    match desk.ledger().scheduler()? {
        "local" => Some(Name::Local),
        "slurm" => Some(Name::Slurm),
        _ => None,
    }
}
