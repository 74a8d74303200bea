//! `regatta logs`: what an attempt said.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::ask::{self, from_store};
use super::{Context, Failure};
use crate::event::Act;
use crate::help::{Example, examples};
use crate::id::TrialId;
use crate::journal;
use crate::layout::{self, Limit, SweepFolder, TrialFolder};

/// Time between looks of `--follow`.
const PAUSE: Duration = Duration::from_millis(500);

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("the newest attempt", "regatta logs 3fa9"),
    ("go on as it says more", "regatta logs 3fa9 -f"),
    ("the first attempt", "regatta logs 3fa9 --attempt 1"),
    ("open its file", "less \"$(regatta logs 3fa9 --path)\""),
];

/// Show what the newest attempt of a trial said
///
/// When a trial failed, or to watch one learn.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
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
    let mut store = ask::ask(ctx, &[]).await?.store;
    let key = store.resolve_trial(&args.trial).await.map_err(from_store)?;
    let sweep = ctx.root.sweep(&key.sweep);
    let path = path_of(&sweep, &key.trial, args.attempt)?;
    if args.path {
        ctx.screen.answer(path.display().to_string());
        return Ok(ExitCode::SUCCESS);
    }
    ctx.screen.note(format!("# {}", path.display()));
    let mut offset = 0;
    loop {
        let bytes = layout::read_piece(&path, offset, Limit::LOG_PIECE)
            .map_err(|error| Failure::file("read", &path, &error))?;
        if !bytes.is_empty() {
            let piece = &bytes[..whole_lines(&bytes)];
            ctx.screen.answer(String::from_utf8_lossy(piece));
            offset += piece.len() as u64;
            // A long log comes in pieces, without a pause between them.
            if bytes.len() as u64 == Limit::LOG_PIECE.bytes {
                continue;
            }
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

/// The file with what an attempt of a trial said, the newest where none is named. Where no worker ever
/// wrote, what the job itself said is all there is.
pub(super) fn path_of(
    sweep: &SweepFolder,
    trial: &TrialId,
    attempt: Option<u32>,
) -> Result<PathBuf, Failure> {
    let folder = sweep.trial(trial);
    if folder.attempts().is_ok_and(|made| made.is_empty())
        && let Some(path) = job_output(sweep, trial)
    {
        return Ok(path);
    }
    log_of(&folder, attempt)
}

/// The length of a full piece up to its last line break, so that no character is torn; of another
/// one its own.
fn whole_lines(bytes: &[u8]) -> usize {
    if (bytes.len() as u64) < Limit::LOG_PIECE.bytes {
        return bytes.len();
    }
    bytes.iter().rposition(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1)
}

/// Returns the output file of a trial's newest job, if there is one.
fn job_output(sweep: &SweepFolder, trial: &TrialId) -> Option<PathBuf> {
    let acts = journal::replay::<Act>(&sweep.controller_journal()).ok()?.records;
    let newest = acts.iter().rev().find_map(|record| match &record.body {
        Act::Intent { token, trials, .. } => {
            trials.iter().position(|other| other == trial).map(|task| (*token, task))
        }
        _ => None,
    });
    let (token, task) = newest?;
    let job = acts.iter().find_map(|record| match &record.body {
        Act::Accepted { token: accepted, job } if *accepted == token => Some(job),
        _ => None,
    })?;
    let local = sweep.local_log(token, u32::try_from(task).ok()?);
    [local, sweep.slurm_log(&format!("{job}_{task}"))].into_iter().find(|path| path.is_file())
}

fn log_of(folder: &TrialFolder, attempt: Option<u32>) -> Result<PathBuf, Failure> {
    let made =
        folder.attempts().map_err(|error| Failure::file("read", &folder.claims(), &error))?;
    let Some(newest) = made.last() else {
        return Err(Failure::user("no attempt has begun yet")
            .hint("`regatta explain TRIAL` tells what it waits for"));
    };
    let wanted = attempt.unwrap_or(*newest);
    if !made.contains(&wanted) {
        let known: Vec<_> = made.iter().map(ToString::to_string).collect();
        return Err(Failure::user(format!("there is no attempt {wanted}"))
            .hint(format!("known: {}", known.join(", "))));
    }
    Ok(folder.log(wanted))
}
