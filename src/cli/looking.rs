//! A look at a sweep, as `status` and `watch` take it: its scheduler is asked politely, and what policy
//! sends again is sent.

use std::time::Duration;

use jiff::Timestamp;

use super::ask::{from_store, span};
use super::gate::{Gate, Name};
use super::step::{Step, is_busy, step};
use super::submit::from_control;
use super::{Context, Failure, resume};
use crate::clock::Clock;
use crate::control::Desk;
use crate::layout::Root;
use crate::store::Store;

/// Whether a scheduler is asked, which one, and what may follow.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Way {
    /// Do not ask the scheduler: tell only what the journals know
    #[arg(long)]
    pub(super) offline: bool,
    /// Ask the scheduler, and submit nothing again
    #[arg(long, conflicts_with = "offline")]
    only_look: bool,
    #[command(flatten)]
    pub(super) gate: Gate,
}

/// What a look at a sweep found out about its scheduler.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) at: Option<Timestamp>,
    pub(super) silent: Option<String>,
    /// Trials that were submitted again.
    pub(super) sent: usize,
    /// Who was asked; nobody while another regatta works on the sweep, or where nothing was submitted.
    pub(super) scheduler: Option<Name>,
    /// Whether something is in flight or policy sends it later; not known where nothing may be sent.
    pub(super) goes_on: Option<bool>,
}

/// Looks once at a sweep, and sends again what its policy says unless it is only looked at. A sweep that
/// another regatta works on is looked at by that one.
pub(super) async fn look_at(
    ctx: &Context,
    way: &Way,
    store: &mut Store,
    root: &Root,
    sweep: &str,
) -> Result<Asked, Failure> {
    let mut desk = match Desk::open(root, sweep, &ctx.clock, Duration::ZERO) {
        Err(error) if is_busy(&error) => return Ok(Asked::default()),
        other => other.map_err(from_control)?,
    };
    let Some(used) = resume::used(&desk) else { return Ok(Asked::default()) };
    let scheduler = way.gate.open(ctx, Some(used))?;
    // The answer to a submission that was made a moment ago may be on its way: nobody waits for it here.
    let (sight, sent, goes_on) = if desk.is_clear() && !way.only_look {
        let Step { sight, sent, goes_on } = step(ctx, &mut desk, &scheduler, store).await?;
        store.collect(root, sweep, ctx.clock.now()).await.map_err(from_store)?;
        (sight, sent, Some(goes_on))
    } else {
        (desk.look(&scheduler, store).await.map_err(from_control)?, 0, None)
    };
    let silent = sight.scheduler_silent.map(|error| error.to_string());
    let scheduler = Some(way.gate.scheduler.unwrap_or(used));
    Ok(Asked { at: sight.asked_at, silent, sent, scheduler, goes_on })
}

/// The age of an answer that is not quite fresh, in words.
pub(super) fn old(ctx: &Context, at: Timestamp) -> Option<String> {
    let seconds = ctx.clock.now().duration_since(at).as_secs_f64();
    (seconds >= 5.0).then(|| span(seconds))
}
