//! `regatta tick`: move sweeps on once; for cron, scrontab, or the end of a job.

use std::process::ExitCode;

use super::gate::{Gate, absolute};
use super::submit::{PATIENCE, from_control, limits};
use super::{Context, Failure, resume, wait};
use crate::control::Desk;
use crate::layout::Root;

/// Look once at sweeps and submit again what their policy says
///
/// For when no `submit --wait` stays: SLURM restarts preempted jobs by itself, all else needs this.
///
/// Example, every ten minutes in scrontab: */10 * * * * regatta --root ~/runs tick
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Names of sweeps [default: all]
    #[arg(value_name = "SWEEP")]
    sweeps: Vec<String>,
    #[command(flatten)]
    gate: Gate,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let root = Root::new(absolute(ctx.root.path())?);
    let sweeps = if args.sweeps.is_empty() {
        root.sweeps().map_err(|error| Failure::file("read", root.path(), &error))?
    } else {
        args.sweeps.clone()
    };
    for sweep in sweeps {
        let used = match Desk::open(&root, &sweep, &ctx.clock, PATIENCE) {
            Ok(desk) => resume::used(&desk),
            Err(error) if wait::is_busy(&error) => {
                ctx.screen.note(format!("{sweep}: another regatta is at it"));
                continue;
            }
            Err(error) => return Err(from_control(error)),
        };
        let scheduler = args.gate.open(ctx, used)?;
        let limits = limits(&scheduler).await;
        let (sight, _) = wait::tick(ctx, &root, &sweep, &scheduler, limits).await?;
        let finished = sight
            .trials
            .iter()
            .filter(|row| row.state == crate::store::TrialState::Finished)
            .count();
        ctx.screen.note(format!("{sweep}: {finished} of {} finished", sight.trials.len()));
    }
    Ok(ExitCode::SUCCESS)
}
