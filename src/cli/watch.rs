//! `regatta watch`: how sweeps stand, live in the terminal, or as lines for screen readers and files.
//!
//! A thread collects and reads (`feed`), another one asks the scheduler (`looker`) and acts (`hand`), a third
//! one hears the keys (`terminal`). What they send becomes a [`model::Model`], which changes in one place
//! (`update`) and is drawn by functions of it alone (`view`).

mod act;
mod feed;
mod filter;
mod hand;
mod looker;
mod model;
mod pace;
mod places;
mod plain;
mod seen;
mod stage;
mod terminal;
mod theme;
mod thread;
mod update;
mod view;
mod walk;

use std::process::ExitCode;
use std::time::Duration;

use super::looking::Way;
use super::{Context, Failure, ask};
use crate::help::{Example, examples};

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("one sweep", "regatta watch lr-batch"),
    ("all of them, without asking SLURM", "regatta watch --offline"),
    ("a line for each change, into a file", "regatta watch --plain --every 30 > changes.log"),
];

/// Watch sweeps live: states, progress, curves, logs; cancel, resume and retry by keys
///
/// Keys are shown at the bottom, all of them with `?`. As `regatta status` it submits again what the sweep's
/// policy says, and asks squeue at most once a minute. Where stdout is no terminal, and with --plain, it
/// prints a line for each change and ends when nothing is in flight: exit code 3 if some trials are not
/// finished.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    /// Names or files of sweeps, or patterns such as 'lr-*' [default: all]
    #[arg(value_name = "SWEEP")]
    sweeps: Vec<String>,
    /// Print a line for each change, for screen readers and files
    #[arg(long)]
    plain: bool,
    /// Seconds between two looks at the journals [default: 1, with --plain 5]
    #[arg(long, value_name = "SECONDS", value_parser = every)]
    every: Option<Duration>,
    #[command(flatten)]
    way: Way,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let sweeps = ask::named(ctx, &args.sweeps).await?;
    if args.plain || ctx.screen.is_json() || !ctx.screen.can_be_drawn_on() {
        return plain::run(ctx, args, &sweeps).await;
    }
    stage::run(ctx, args, sweeps).await
}

/// Reads a number of seconds.
fn every(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|pause| *pause >= Duration::from_millis(50))
        .ok_or_else(|| "a number of seconds is needed, at least 0.05".to_owned())
}
