//! Fencing: of several attempts at a trial one works.
//!
//! A node that its scheduler declared dead may still run an old attempt. Attempt *n* owns the trial
//! when it made `claims/n` (of several makers one succeeds) and no higher claim exists. It shows that
//! it lives by touching its claim.

mod process;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::event::Event;
use crate::id::{AttemptUuid, Token};
use crate::journal;
use crate::layout::{self, Limit, TrialFolder};

use super::stop::StopFlag;

pub use process::Process;

/// Content of a claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// The submission.
    pub token: Option<Token>,
    /// Who started the attempt: `slurm:123_4:1`.
    pub origin: String,
    /// Unique name of the attempt.
    pub uuid: AttemptUuid,
    /// Name of the machine.
    pub host: String,
    /// The process on that machine.
    #[serde(flatten)]
    pub process: Process,
    /// When (UTC).
    pub at: Timestamp,
}

/// When a heartbeat is taken for dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Pause between two beats.
    pub beat: Duration,
    /// Silence after which an attempt is dead.
    pub stale: Duration,
    /// Silence after which it is dead if the controller has submitted the trial anew.
    pub resubmitted: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            beat: Duration::from_secs(5),
            stale: Duration::from_secs(90),
            resubmitted: Duration::from_secs(30),
        }
    }
}

/// What is seen of the attempt that owns the trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sight {
    /// Its journal tells of its end.
    ended: bool,
    /// Its process was on this machine and is gone.
    gone: bool,
    /// Time since its last beat.
    silence: Duration,
}

/// What follows for a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Take over.
    Wins,
    /// Take over when the silence has lasted so long.
    WinsAfter(Duration),
    /// Leave.
    Loses(&'static str),
}

/// Judges whether a newcomer may take over from the owner.
fn judge(owner: Option<&Claim>, newcomer: &Claim, sight: Sight, patience: Patience) -> Verdict {
    if sight.ended || sight.gone {
        return Verdict::Wins;
    }
    let mut needed = patience.stale;
    if let Some(owner) = owner {
        if let (Some((job, first)), Some((same, second))) =
            (start_of(&owner.origin), start_of(&newcomer.origin))
            && job == same
            && owner.token == newcomer.token
        {
            if second > first {
                return Verdict::Wins;
            }
            if second < first {
                return Verdict::Loses("a later start of the same job works on it");
            }
        }
        if newcomer.token > owner.token {
            needed = patience.resubmitted;
        }
    }
    if sight.silence >= needed { Verdict::Wins } else { Verdict::WinsAfter(needed) }
}

/// Divides `slurm:123_4:1` into the job's task and the number of the start.
fn start_of(origin: &str) -> Option<(&str, u32)> {
    let (job, start) = origin.rsplit_once(':')?;
    Some((job, start.parse().ok()?))
}

/// Why a trial could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another attempt owns it.
    #[error("attempt {attempt} ({origin} on {host}) owns the trial: {why}")]
    Owned {
        /// Its number.
        attempt: u32,
        /// Who started it.
        origin: String,
        /// Where it runs.
        host: String,
        /// What was seen of it.
        why: &'static str,
    },
    /// Asked to stop while waiting for signs of life of the owner.
    #[error("asked to stop while attempt {attempt} was watched for signs of life")]
    Stopped {
        /// The owner.
        attempt: u32,
    },
    /// The folder cannot be used.
    #[error("failed to claim the trial in {}: {source}", path.display())]
    Folder {
        /// The folder of claims.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Claims a trial; returns the number of the attempt.
///
/// Where the owner may be dead it is watched: one beat and the newcomer leaves, silence for long
/// enough and it takes over.
///
/// # Errors
/// When another attempt owns the trial, or the folder cannot be used.
pub fn claim(
    folder: &TrialFolder,
    newcomer: &Claim,
    patience: Patience,
    clock: &Arc<dyn Clock>,
    stop: &StopFlag,
) -> Result<u32, ClaimError> {
    let failed = |source| ClaimError::Folder { path: folder.claims(), source };
    layout::create_folder(&folder.claims()).map_err(failed)?;
    loop {
        // 1. Look: may the trial be had?
        let newest = folder.attempts().map_err(failed)?.last().copied().unwrap_or(0);
        if newest > 0 {
            wait_for(folder, newest, newcomer, patience, clock.as_ref(), stop)?;
        }
        // 2. Take it.
        let Some(attempt) = newest.checked_add(1) else {
            let words = format!("claim {newest} leaves no number for another");
            return Err(failed(io::Error::other(words)));
        };
        let content = serde_json::to_vec_pretty(newcomer).map_err(|e| failed(e.into()))?;
        let taken = layout::fault("claim.create")
            .and_then(|()| layout::create_exclusive(&folder.claim(attempt), &content));
        match taken {
            Ok(()) => return Ok(attempt),
            // 3. Somebody was faster: look again.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

fn wait_for(
    folder: &TrialFolder,
    attempt: u32,
    newcomer: &Claim,
    patience: Patience,
    clock: &dyn Clock,
    stop: &StopFlag,
) -> Result<(), ClaimError> {
    // A claim that cannot be read was cut short by a crash of its machine: only silence counts.
    let owner = read(folder, attempt);
    let owned = |why| ClaimError::Owned {
        attempt,
        origin: owner.as_ref().map_or_else(String::new, |claim| claim.origin.clone()),
        host: owner.as_ref().map_or_else(String::new, |claim| claim.host.clone()),
        why,
    };
    let began = clock.monotonic();
    let mut last = None;
    loop {
        let sight = look(folder, attempt, owner.as_ref())
            .map_err(|source| ClaimError::Folder { path: folder.claims(), source })?;
        let needed = match judge(owner.as_ref(), newcomer, sight, patience) {
            Verdict::Wins => return Ok(()),
            Verdict::Loses(why) => return Err(owned(why)),
            Verdict::WinsAfter(needed) => needed,
        };
        if last.is_some_and(|before| sight.silence < before) {
            return Err(owned("its heart beats"));
        }
        if clock.monotonic().saturating_sub(began) > needed + 2 * patience.beat {
            return Err(owned("its last sign of life is fresh"));
        }
        if stop.reason().is_some() {
            return Err(ClaimError::Stopped { attempt });
        }
        last = Some(sight.silence);
        clock.sleep(patience.beat / 2);
    }
}

fn read(folder: &TrialFolder, attempt: u32) -> Option<Claim> {
    serde_json::from_slice(&layout::read_limited(&folder.claim(attempt), Limit::CLAIM).ok()?).ok()
}

fn look(folder: &TrialFolder, attempt: u32, owner: Option<&Claim>) -> io::Result<Sight> {
    let records = journal::replay::<Event>(&folder.journal(attempt))?.records;
    Ok(Sight {
        ended: records.iter().any(|record| matches!(record.body, Event::Ended { .. })),
        gone: owner.is_some_and(|claim| claim.process.is_gone()),
        silence: layout::age(&folder.claim(attempt))?,
    })
}

/// The heartbeat of a claim: touches it until dropped. It beats by the machine's clock, whatever the
/// loop is doing.
#[derive(Debug)]
pub struct Heart {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heart {
    /// Begins to beat.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(claim: PathBuf, beat: Duration) -> io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::Builder::new().name("heart".to_owned()).spawn(move || {
            let mut fails = false;
            while stopped.recv_timeout(beat) == Err(RecvTimeoutError::Timeout) {
                match layout::touch(&claim) {
                    Err(error) if !fails => {
                        fails = true;
                        tracing::warn!("failed to touch the claim: {error}");
                    }
                    touched => fails = touched.is_err(),
                }
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
