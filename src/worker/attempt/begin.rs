//! The beginning of an attempt: the claim, the heartbeat, the journal.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{Attempt, AttemptError, Request, Shared};
use crate::clock::Clock;
use crate::event::Event;
use crate::id::AttemptUuid;
use crate::journal;
use crate::layout::{self, Limit, TrialFolder};
use crate::sweep::Assignment;
use crate::worker::checkpoint::LoopState;
use crate::worker::claim::{self, Claim, ClaimError, Heart, Process};
use crate::worker::record::Recorder;
use crate::worker::stop::StopFlag;
use crate::worker::surroundings;

/// How long a claim is tried on a disk that is full, and the pause between tries.
const FULL: Duration = Duration::from_mins(10);
const PAUSE: Duration = Duration::from_secs(5);

impl<'a> Attempt<'a> {
    /// Claims the trial and opens the journal.
    pub(super) fn begin(
        request: &'a Request,
        clock: &'a Arc<dyn Clock>,
        stop: &'a StopFlag,
        began: Duration,
    ) -> Result<(Self, Heart), AttemptError> {
        let Request { folder, assignment, .. } = request;
        let failed =
            |what| move |source| AttemptError::Folder { what, folder: folder.clone(), source };
        let claim = claim_of(request, clock.as_ref());
        let number = claim_patiently(request, &claim, clock, stop)?;
        let heart = Heart::start(folder.claim(number), request.patience.beat)
            .map_err(failed("start the heartbeat"))?;
        request.log.open(&folder.log(number));
        if let Err(error) = write_assignment(folder, assignment) {
            tracing::warn!("failed to write trial.json: {error}");
        }
        let mut recorder = Recorder::open(folder, number, Arc::clone(clock));
        recorder.write(&Event::Header {
            format: journal::FORMAT,
            trial: assignment.trial.id.clone(),
            attempt: number,
            uuid: claim.uuid,
            token: claim.token,
            origin: claim.origin,
            host: claim.host,
            pid: claim.process.pid,
            worker_version: env!("CARGO_PKG_VERSION").to_owned(),
            scratch: request.scratch.clone(),
        });
        let scratch = request.scratch.as_deref().map(|scratch| {
            layout::scratch_folder(scratch, &assignment.trial.id, number, claim.uuid)
        });
        let recorder = Shared(std::rc::Rc::new(std::cell::RefCell::new(recorder)));
        let attempt = Self {
            request,
            clock,
            stop,
            number,
            began,
            recorder,
            scratch,
            state: LoopState::start(),
            elapsed: 0.0,
            seconds_to_leave: None,
        };
        Ok((attempt, heart))
    }
}

/// Claims the trial; waits while the disk is full, since others may make room.
fn claim_patiently(
    request: &Request,
    claim: &Claim,
    clock: &Arc<dyn Clock>,
    stop: &StopFlag,
) -> Result<u32, ClaimError> {
    let began = clock.monotonic();
    loop {
        match claim::claim(&request.folder, claim, request.patience, clock, stop) {
            Err(ClaimError::Folder { source, .. })
                if matches!(
                    source.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                ) && stop.reason().is_none()
                    && clock.monotonic().saturating_sub(began) < FULL =>
            {
                tracing::warn!("failed to claim the trial ({source}); trying again");
                clock.sleep(PAUSE);
            }
            other => return other,
        }
    }
}

fn claim_of(request: &Request, clock: &dyn Clock) -> Claim {
    Claim {
        token: request.assignment.token,
        origin: request.origin.clone(),
        uuid: AttemptUuid::at(clock.now()),
        host: surroundings::host(),
        process: Process::this(),
        at: clock.now(),
    }
}

/// Writes `trial.json` unless it stands there already.
fn write_assignment(folder: &TrialFolder, assignment: &Assignment) -> io::Result<()> {
    let read = layout::read_limited(&folder.assignment(), Limit::TRIAL).ok();
    let old = read.and_then(|bytes| serde_json::from_slice::<Assignment>(&bytes).ok());
    if old.as_ref() == Some(assignment) {
        return Ok(());
    }
    layout::write_atomic(&folder.assignment(), &serde_json::to_vec_pretty(assignment)?)
}
