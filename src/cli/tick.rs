//! `regatta tick`: move sweeps on once; for cron, scrontab, or the end of a job.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::ask::sweep_name;
use super::gate::{Gate, absolute};
use super::step::{Step, is_busy, step};
use super::submit::{PATIENCE, from_control, open_store};
use super::{Context, Failure, resume};
use crate::control::Desk;
use crate::help::{Example, examples};
use crate::layout::Root;
use crate::store::TrialState;

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("all sweeps, once", "regatta tick"),
    (
        "every ten minutes, as a line of scrontab -e",
        "*/10 * * * * regatta --root ~/runs tick --quiet",
    ),
];

/// Look once at sweeps and submit again what their policy says
///
/// For cron, where no `submit --wait` stays: SLURM restarts preempted jobs by itself, all else needs this.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
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
        args.sweeps.iter().map(|typed| sweep_name(typed)).collect::<Result<_, _>>()?
    };
    if sweeps.is_empty() {
        let (root, submit) = (root.path().display(), ctx.command("submit SWEEP.yaml"));
        ctx.screen.note(format!("note: there are no sweeps in {root} yet; {submit} begins one"));
    }
    let mut code = ExitCode::SUCCESS;
    let mut told = Vec::new();
    for sweep in sweeps {
        // What is wrong with one sweep does not keep the others waiting.
        match one(ctx, args, &root, &sweep).await {
            Ok(value) => told.push(value),
            Err(failure) => {
                ctx.screen.warn(format!("{sweep}: {failure}"));
                told.push(json!({ "sweep": sweep, "error": failure.message }));
                for hint in &failure.at(&ctx.root_option).hints {
                    ctx.screen.note(format!("   hint: {hint}"));
                }
                code = ExitCode::FAILURE;
            }
        }
    }
    if ctx.screen.is_json() {
        ctx.screen.json(&json!({ "schema_version": 1, "sweeps": told }));
    }
    Ok(code)
}

async fn one(ctx: &Context, args: &Args, root: &Root, sweep: &str) -> Result<Value, Failure> {
    let mut desk = match Desk::open(root, sweep, &ctx.clock, PATIENCE) {
        Ok(desk) => desk,
        Err(error) if is_busy(&error) => {
            ctx.screen.note(format!("{sweep}: another regatta is at it"));
            return Ok(json!({ "sweep": sweep, "busy": true }));
        }
        Err(error) => return Err(from_control(error)),
    };
    let scheduler = args.gate.open(ctx, resume::used(&desk))?;
    let mut store = open_store(root).await?;
    let Step { sight, goes_on, .. } = step(ctx, &mut desk, &scheduler, &mut store).await?;
    let mut states = std::collections::BTreeMap::new();
    for row in &sight.trials {
        *states.entry(row.state.word()).or_insert(0_u64) += 1;
    }
    let finished = sight.trials.iter().filter(|row| row.state == TrialState::Finished).count();
    let silent = sight.scheduler_silent.map(|error| error.to_string());
    let words = silent.as_ref().map_or(String::new(), |words| format!("; {words}"));
    let told: Vec<_> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let trials = sight.trials.len();
    ctx.screen
        .note(format!("{sweep}: {finished} of {trials} finished ({}){words}", told.join(", ")));
    Ok(json!({ "states": states,
        "sweep": sweep, "finished": finished, "trials": sight.trials.len(), "goes_on": goes_on,
        "scheduler": { "asked_at": sight.asked_at, "silent": silent },
    }))
}
