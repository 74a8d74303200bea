//! Waiting for a sweep: take a step, show how far it is, sleep.

use std::process::ExitCode;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::signal::unix::{SignalKind, signal};

use super::progress::Display;
use super::step::{Step, is_busy, step};
use super::submit::{PATIENCE, from_control, from_store, open_store};
use super::{Context, Failure, UNFINISHED};
use crate::clock::Clock;
use crate::control::{Desk, Sight};
use crate::layout::Root;
use crate::scheduler::{AnyScheduler, MAX_AGE, program};
use crate::store::TrialState;

/// Longest wait for the last files of ended workers.
const SETTLE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// How often to look.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Pace {
    /// Seconds between questions to the scheduler while waiting [default: 1 local, 60 SLURM]
    #[arg(long, value_name = "SECONDS")]
    pub(super) poll: Option<f64>,
}

/// Stays until no trial of the sweep is in flight and policy sends none again.
pub(super) async fn until_the_end(
    ctx: &Context,
    root: &Root,
    sweep: &str,
    scheduler: &AnyScheduler,
    pace: &Pace,
) -> Result<ExitCode, Failure> {
    let is_local = matches!(scheduler, AnyScheduler::Local(_));
    let default = if is_local { Duration::from_secs(1) } else { MAX_AGE };
    let asked = pace.poll.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let pause = asked.unwrap_or(default);
    let mut display = Display::new(ctx);
    let (aside, said) = ctx.aside();
    // Heard of from here on, also while somebody else is waited for.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::internal)?;
    let leave = |display: &mut Display| {
        display.end();
        let (show, end) =
            (ctx.command(&format!("status {sweep}")), ctx.command(&format!("cancel {sweep}")));
        ctx.screen.note(format!("the jobs go on: {show} shows them, {end} ends them"));
        Ok(ExitCode::from(UNFINISHED))
    };
    loop {
        if interrupt.recv().now_or_never().is_some() {
            return leave(&mut display);
        }
        let mut desk = match Desk::open(root, sweep, &ctx.clock, PATIENCE) {
            // In another terminal somebody waits for SLURM: that one moves the sweep on.
            Err(error) if is_busy(&error) => {
                display.say(ctx, "another regatta is at it, looking again");
                continue;
            }
            other => other.map_err(from_control)?,
        };
        let mut store = open_store(root).await?;
        // To leave in the middle of it is what a kill would be: the journal knows what was begun.
        let Step { sight, goes_on, .. } = tokio::select! {
            step = step(&aside, &mut desk, scheduler, &mut store) => step?,
            _ = interrupt.recv() => return leave(&mut display),
        };
        drop((desk, store));
        said.take().iter().for_each(|text| display.pass_on(ctx, text));
        if let Some(error) = &sight.scheduler_silent {
            display.say(ctx, &format!("the scheduler does not answer, asking again: {error}"));
        }
        display.show(ctx, &sight.trials);
        if !goes_on {
            display.end();
            settle(root, sweep, &sight).await;
            notify(ctx, root, sweep, &sight).await;
            return Ok(summary(ctx, sweep, &sight));
        }
        // Journals tell of progress between two questions to the scheduler.
        let mut waited = Duration::ZERO;
        while waited < pause {
            let nap = (pause - waited).min(Duration::from_secs(1));
            tokio::select! {
                () = tokio::time::sleep(nap) => waited += nap,
                _ = interrupt.recv() => return leave(&mut display),
            }
            if display.is_live() && waited < pause {
                let mut store = open_store(root).await?;
                store.collect(root, sweep, ctx.clock.now()).await.map_err(from_store)?;
                let rows = store.trials(&[sweep.to_owned()]).await.map_err(from_store)?;
                display.show(ctx, &rows);
                if rows.iter().all(|row| !row.state.is_in_flight()) {
                    break;
                }
            }
        }
    }
}

/// Waits a moment for the last files of workers whose journals have ended, so that whoever reads
/// them next finds them. A worker that was killed leaves none: that is not waited for long.
async fn settle(root: &Root, sweep: &str, sight: &Sight) {
    let folder = root.sweep(sweep);
    let ended = sight.trials.iter().filter(|row| row.attempts > 0 && !row.state.is_in_flight());
    let results: Vec<_> = ended.map(|row| folder.trial(&row.trial).result()).collect();
    for _ in 0..SETTLE.as_millis() / PAUSE.as_millis() {
        if results.iter().all(|path| path.is_file()) {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Tells the sweep's `notify` command how it ended. A command that fails is a warning.
async fn notify(ctx: &Context, root: &Root, sweep: &str, sight: &Sight) {
    let command = Desk::open(root, sweep, &ctx.clock, PATIENCE)
        .ok()
        .and_then(|desk| desk.plan().notify.clone());
    let Some(command) = command else { return };
    let mut text = format!("sweep {sweep} has ended\n");
    for row in &sight.trials {
        let value = row.value.map_or("no value".to_owned(), |value| format!("best {value}"));
        text.push_str(&format!("{} {} {value}\n", row.trial, row.state));
    }
    match program::tell(&command, &text).await {
        Ok(true) => {}
        Ok(false) => ctx.screen.warn(format!("the notify command failed: {command}")),
        Err(error) => ctx.screen.warn(format!("the notify command failed: {command}: {error}")),
    }
}

fn summary(ctx: &Context, sweep: &str, sight: &Sight) -> ExitCode {
    let finished = sight.trials.iter().filter(|row| row.state == TrialState::Finished).count();
    let all = sight.trials.len();
    ctx.screen.note(format!("{sweep}: {finished} of {all} trials finished"));
    for row in sight.trials.iter().filter(|row| row.state != TrialState::Finished).take(10) {
        ctx.screen.note(format!("  {} {}: {}", row.trial, row.state, row.why));
    }
    if finished == all {
        ctx.screen.note(format!("ask for the best: {}", ctx.command(&format!("best {sweep}"))));
        return ExitCode::SUCCESS;
    }
    advise(ctx, sweep, sight);
    ExitCode::from(UNFINISHED)
}

/// Says which command takes up what did not finish.
fn advise(ctx: &Context, sweep: &str, sight: &Sight) {
    use TrialState as S;
    let any = |states: &[S]| sight.trials.iter().any(|row| states.contains(&row.state));
    if any(&[S::Planned, S::Preempted, S::TimedOut, S::NodeFailed, S::Lost]) {
        ctx.screen.note(format!("go on with {}", ctx.command(&format!("resume {sweep}"))));
    }
    if any(&[S::Failed, S::Diverged, S::OutOfMemory]) {
        let again = ctx.command(&format!("retry {sweep}"));
        ctx.screen.note(format!("try what failed again with {again}"));
    }
    if any(&[S::Cancelled]) {
        let again = ctx.command(&format!("resume {sweep} --state cancelled"));
        ctx.screen.note(format!("take up what was cancelled with {again}"));
    }
    let (show, logs) = (ctx.command("show TRIAL"), ctx.command("logs TRIAL"));
    ctx.screen.note(format!("look closer with {show} and {logs}"));
}
