//! `regatta logs`: what an attempt said.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::submit::{from_store, open_store};
use super::{Context, Failure};
use crate::clock::Clock;
use crate::layout::{self, TrialFolder};

/// Time between looks of `--follow`.
const PAUSE: Duration = Duration::from_millis(500);

/// Show what the newest attempt of a trial said
///
/// Example: regatta logs 3fa9 -f
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The trial: the first digits of its id, as many as tell it from others
    #[arg(value_name = "TRIAL")]
    trial: String,
    /// Another attempt than the newest
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Go on as it says more
    #[arg(short, long)]
    follow: bool,
    /// Only print the path of the file
    #[arg(long)]
    path: bool,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let mut store = open_store(&ctx.root).await?;
    store.collect_all(&ctx.root, ctx.clock.now()).await.map_err(from_store)?;
    let key = store.resolve_trial(&args.trial).await.map_err(from_store)?;
    let sweep = ctx.root.sweep(&key.sweep);
    let folder = sweep.trial(&key.trial);
    let path = log_of(&folder, args.attempt)?;
    if args.path {
        ctx.screen.answer(path.display().to_string());
        return Ok(ExitCode::SUCCESS);
    }
    ctx.screen.note(format!("# {}", path.display()));
    let mut offset = 0;
    loop {
        let bytes = layout::read_tail(&path, offset)
            .map_err(|error| Failure::file("read", &path, &error))?;
        if !bytes.is_empty() {
            ctx.screen.answer(String::from_utf8_lossy(&bytes));
            offset += bytes.len() as u64;
        }
        if !args.follow {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
        }
    }
}

fn log_of(folder: &TrialFolder, attempt: Option<u32>) -> Result<PathBuf, Failure> {
    let made =
        folder.attempts().map_err(|error| Failure::file("read", &folder.claims(), &error))?;
    let Some(newest) = made.last() else {
        return Err(Failure::user("no attempt has begun yet")
            .hint("`regatta status` tells what it waits for"));
    };
    let wanted = attempt.unwrap_or(*newest);
    if !made.contains(&wanted) {
        let known: Vec<_> = made.iter().map(ToString::to_string).collect();
        return Err(Failure::user(format!("there is no attempt {wanted}"))
            .hint(format!("known: {}", known.join(", "))));
    }
    Ok(folder.log(wanted))
}
