//! `regatta cancel`: stop trials; what has a little time left saves a checkpoint.

use std::process::ExitCode;

use super::gate::{Gate, absolute};
use super::select::Select;
use super::submit::{PATIENCE, from_control, open_store};
use super::{Context, Failure, resume};
use crate::control::Desk;
use crate::layout::Root;

/// Cancel trials; a running one saves a checkpoint first if it has the time
///
/// Nothing starts them again but `regatta resume SWEEP --state cancelled`.
///
/// Example: regatta cancel lr-batch --state running
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    gate: Gate,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
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
    let alive = sight.trials.iter().filter(|row| row.state.is_in_flight());
    let trials: std::collections::BTreeSet<_> = alive
        .map(|row| row.trial.clone())
        .filter(|trial| selected.trials.contains(trial))
        .collect();
    if trials.is_empty() {
        ctx.screen.note(format!("nothing of {} is in flight", selected.sweep));
        return Ok(ExitCode::SUCCESS);
    }
    let by = nix::unistd::User::from_uid(nix::unistd::getuid())
        .ok()
        .flatten()
        .map_or("unknown".to_owned(), |user| user.name);
    desk.cancel(&scheduler, &trials, &by).await.map_err(from_control)?;
    ctx.screen.note(format!(
        "cancelled {} of {}; `regatta resume {} --state cancelled` takes them up again",
        super::ask::plural(trials.len() as u64, "trial"),
        selected.sweep,
        selected.sweep
    ));
    Ok(ExitCode::SUCCESS)
}
