//! One step of a sweep: hear what became of submissions, look, and send again what policy says.

use super::gate::worker_program;
use super::submit::{from_control, limits, note};
use super::{Context, Failure};
use crate::control::{ControlError, Desk, Next, Order, Sight, Wish};
use crate::scheduler::{AnyScheduler, Scheduler};
use crate::store::{Store, TrialState};

/// What a step saw and did.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) sight: Sight,
    /// Trials that were sent, heard of or not.
    pub(super) sent: usize,
    /// Something is in flight, or policy sends it later.
    pub(super) goes_on: bool,
}

/// Moves a sweep on by one step.
pub(super) async fn step(
    ctx: &Context,
    desk: &mut Desk<'_>,
    scheduler: &AnyScheduler,
    store: &mut Store,
) -> Result<Step, Failure> {
    let unknown = desk.reconcile(scheduler).await.map_err(from_control)?;
    let sight = desk.look(scheduler, store).await.map_err(from_control)?;
    let sent = send(ctx, desk, scheduler, &sight).await?;
    let in_flight = sight.trials.iter().any(|row| row.state.is_in_flight());
    let goes_on = in_flight || sent.trials > 0 || sent.later || !unknown.is_empty();
    Ok(Step { sight, sent: sent.trials, goes_on })
}

/// What came of sending again what policy says.
#[derive(Clone, Copy, Debug)]
struct Sent {
    trials: usize,
    /// Whether there may be more to send later.
    later: bool,
}

async fn send(
    ctx: &Context,
    desk: &mut Desk<'_>,
    scheduler: &AnyScheduler,
    sight: &Sight,
) -> Result<Sent, Failure> {
    // Who does not answer would not hear either; and most looks find nothing to send.
    let is_over =
        |state: &TrialState| state.is_in_flight() || matches!(state, TrialState::Finished);
    if sight.scheduler_silent.is_some() || sight.trials.iter().all(|row| is_over(&row.state)) {
        // What policy would send is sent when somebody answers.
        let comes = |row| !matches!(desk.next(scheduler.name(), row), Next::Leave { .. });
        return Ok(Sent { trials: 0, later: sight.trials.iter().any(comes) });
    }
    let order = Order {
        worker: worker_program()?,
        limits: limits(scheduler).await,
        wish: Wish::Policy,
        stage_only: false,
        workspace: None,
    };
    let sweep = desk.plan().sweep.clone();
    let outcome = match desk.submit(scheduler, sight, &order).await {
        // What was answered from an older database is no ground to submit on.
        Err(error) if is_busy(&error) => return Ok(Sent { trials: 0, later: true }),
        other => other.map_err(from_control)?,
    };
    let accepted = outcome.accepted.iter().map(|(_, tasks)| tasks);
    let trials = accepted.chain(outcome.unheard.iter().map(|(_, tasks)| tasks)).sum();
    if trials > 0 || !outcome.refused.is_empty() || !outcome.limited.is_empty() {
        note(ctx, &sweep, scheduler, &outcome);
    }
    Ok(Sent { trials, later: outcome.goes_on() })
}

/// Says that a sweep is busy, for verbs that can do without its lock.
pub(super) fn is_busy(error: &ControlError) -> bool {
    matches!(error, ControlError::Busy { .. })
}
