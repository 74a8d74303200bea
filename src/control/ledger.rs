//! The controller's own journal of a sweep, and what it says was submitted.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::event::{Act, Decision};
use crate::id::{Token, TrialId};
use crate::journal::{self, Mark, Opened, Reader, Whose, Writer};
use crate::layout::SweepFolder;

/// A submission as the journal tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Submitted {
    /// Its mark.
    pub token: Token,
    /// `slurm` or `local`.
    pub scheduler: String,
    /// What for.
    pub decision: Decision,
    /// One trial a task.
    pub trials: Vec<TrialId>,
    /// What came of it.
    pub fate: Fate,
}

/// What came of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nobody knows: it may be there or not.
    Unheard,
    /// It is this job.
    Accepted(String),
    /// It never came to be.
    Refused,
    /// It was made before the sweep was carried here: nothing of it is in flight here.
    Elsewhere,
}

/// The journal with its replayed meaning. Whoever holds it holds the sweep's lock.
#[derive(Debug)]
pub struct Ledger {
    writer: Writer,
    submissions: Vec<Submitted>,
    ended: Vec<(TrialId, Token, String)>,
    plan_sha256: Option<String>,
    workspace: Option<PathBuf>,
}

impl Ledger {
    /// Reads the journal of a sweep and opens it for writing.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(folder: &SweepFolder, sweep: &str, now: Timestamp) -> io::Result<Self> {
        let path = folder.controller_journal();
        let Opened::Here(mut reader) = Reader::<Act>::open(&path, Mark::default())? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut acts = Vec::new();
        while let Some(record) = reader.next(|act| Whose::of(act.owner(), &sweep))? {
            acts.push(record.body);
        }
        let writer = Writer::open(&path)?;
        let mut ledger = Self {
            writer,
            submissions: Vec::new(),
            ended: Vec::new(),
            plan_sha256: None,
            workspace: None,
        };
        for act in &acts {
            ledger.take(act);
        }
        // After another writer's records, what follows must be known as ours.
        if acts.is_empty() || reader.mark().foreign.is_some() {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            ledger.append(
                now,
                &Act::Header { format: journal::FORMAT, sweep: sweep.to_owned(), version },
            )?;
        }
        Ok(ledger)
    }

    /// Writes an act, durably, before anything follows from it.
    ///
    /// # Errors
    /// When it is not on disk; what was about to be done must then not be done.
    pub fn append(&mut self, now: Timestamp, act: &Act) -> io::Result<()> {
        self.writer.append(now, act, true)?;
        self.take(act);
        Ok(())
    }

    fn take(&mut self, act: &Act) {
        match act {
            Act::Intent { token, scheduler, decision, trials } => {
                self.submissions.push(Submitted {
                    token: *token,
                    scheduler: scheduler.clone(),
                    decision: *decision,
                    trials: trials.clone(),
                    fate: Fate::Unheard,
                })
            }
            Act::Accepted { token, job } => self.settle(*token, Fate::Accepted(job.clone())),
            Act::Refused { token, .. } => self.settle(*token, Fate::Refused),
            Act::TaskEnded { trial, token, state, .. } => {
                self.ended.push((trial.clone(), *token, state.clone()))
            }
            Act::Lost { trial, token, .. } => {
                self.ended.push((trial.clone(), *token, "LOST".to_owned()))
            }
            Act::Planned { plan_sha256, .. } => self.plan_sha256 = Some(plan_sha256.clone()),
            Act::Workspace { folder, .. } => self.workspace = Some(folder.clone()),
            Act::Imported { .. } => {
                let made = self.submissions.iter_mut().filter(|s| s.fate != Fate::Refused);
                made.for_each(|submission| submission.fate = Fate::Elsewhere);
                // A folder of another machine.
                self.workspace = None;
            }
            Act::Header { .. } | Act::Cancelled { .. } | Act::Decided { .. } | Act::Unknown => {}
        }
    }

    fn settle(&mut self, token: Token, fate: Fate) {
        if let Some(submission) = self.submissions.iter_mut().find(|s| s.token == token) {
            submission.fate = fate;
        }
    }

    /// SHA-256 in hex of the plan that was written down last.
    #[must_use]
    pub fn plan_sha256(&self) -> Option<&str> {
        self.plan_sha256.as_deref()
    }

    /// The workspace that was looked at last.
    #[must_use]
    pub fn workspace(&self) -> Option<&Path> {
        self.workspace.as_deref()
    }

    /// All submissions, the oldest first.
    #[must_use]
    pub fn submissions(&self) -> &[Submitted] {
        &self.submissions
    }

    /// Name of the scheduler that was last given something here.
    #[must_use]
    pub fn scheduler(&self) -> Option<&str> {
        let here = self.submissions.iter().rfind(|s| s.fate != Fate::Elsewhere);
        here.map(|submission| submission.scheduler.as_str())
    }

    /// Says whether the end of a task is written down already.
    #[must_use]
    pub fn knows_end(&self, trial: &TrialId, token: Token) -> bool {
        self.ended.iter().any(|(t, k, _)| t == trial && *k == token)
    }

    /// Times that the scheduler ended a trial with this word (`OUT_OF_MEMORY`).
    #[must_use]
    pub fn ends(&self, trial: &TrialId, word: &str) -> usize {
        self.ended.iter().filter(|(t, _, w)| t == trial && w == word).count()
    }

    /// Times a trial was submitted after its first.
    #[must_use]
    pub fn resubmissions(&self, trial: &TrialId) -> u32 {
        let with =
            self.submissions.iter().filter(|s| s.fate != Fate::Refused && s.trials.contains(trial));
        u32::try_from(with.count()).unwrap_or(u32::MAX).saturating_sub(1)
    }
}
