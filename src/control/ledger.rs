//! The controller's own journal of a sweep, and what it says was submitted.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::history::{Decided, History, Limited};
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
    /// When it was about to be submitted.
    pub at: Timestamp,
    /// What came of it.
    pub fate: Fate,
}

/// Why a submission came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The scheduler said no.
    Refused,
    /// The scheduler said no for now, or to so many.
    Limit,
    /// It never arrived.
    Absent,
}

/// What came of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nobody knows: it may be there or not.
    Unheard,
    /// It is this job.
    Accepted(String),
    /// It was made before the sweep was carried here: nothing of it is in flight here.
    Elsewhere,
    /// It never came to be.
    Refused(Refusal),
}

impl Fate {
    /// Says whether it came to nothing, for certain.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// Says whether it is still to be made.
    #[must_use]
    pub fn is_put_off(&self) -> bool {
        matches!(self, Self::Refused(Refusal::Limit | Refusal::Absent))
    }
}

/// The journal with its replayed meaning. Whoever holds it holds the sweep's lock.
#[derive(Debug)]
pub struct Ledger {
    writer: Writer,
    needs_header: bool,
    submissions: Vec<Submitted>,
    by_token: BTreeMap<Token, usize>,
    histories: BTreeMap<TrialId, History>,
    decided: Vec<Decided>,
    limited: Option<Limited>,
    plan_sha256: Option<String>,
    workspace: Option<PathBuf>,
}

impl Ledger {
    /// Reads the journal of a sweep and opens it for writing.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(folder: &SweepFolder, sweep: &str, now: Timestamp) -> io::Result<Self> {
        let writer = Writer::open(&folder.controller_journal())?;
        let mut ledger = Self::replay(folder, sweep, writer)?;
        if ledger.needs_header {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            ledger.append(
                now,
                &Act::Header { format: journal::FORMAT, sweep: sweep.to_owned(), version },
            )?;
        }
        Ok(ledger)
    }

    /// Reads the journal of a sweep, to tell of it. Nothing must be written to it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(folder: &SweepFolder, sweep: &str) -> io::Result<Self> {
        Self::replay(folder, sweep, Writer::unopened(&folder.controller_journal()))
    }

    fn replay(folder: &SweepFolder, sweep: &str, writer: Writer) -> io::Result<Self> {
        let path = folder.controller_journal();
        let Opened::Here(mut reader) = Reader::<Act>::open(&path, Mark::default())? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut acts = Vec::new();
        while let Some(record) = reader.next(|act| Whose::of(act.owner(), &sweep))? {
            acts.push((record.at, record.body));
        }
        let mut ledger = Self {
            writer,
            // After another writer's records, what follows must be known as ours.
            needs_header: acts.is_empty() || reader.mark().foreign.is_some(),
            submissions: Vec::new(),
            by_token: BTreeMap::new(),
            histories: BTreeMap::new(),
            decided: Vec::new(),
            limited: None,
            plan_sha256: None,
            workspace: None,
        };
        for (at, act) in &acts {
            ledger.take(*at, act);
        }
        Ok(ledger)
    }

    /// Writes an act, durably, before anything follows from it.
    ///
    /// # Errors
    /// When it is not on disk; what was about to be done must then not be done.
    pub fn append(&mut self, now: Timestamp, act: &Act) -> io::Result<()> {
        self.writer.append(now, act, true)?;
        self.take(now, act);
        Ok(())
    }

    fn take(&mut self, at: Timestamp, act: &Act) {
        match act {
            Act::Intent { token, scheduler, decision, trials } => {
                self.intent(Submitted {
                    token: *token,
                    scheduler: scheduler.clone(),
                    decision: *decision,
                    trials: trials.clone(),
                    at,
                    fate: Fate::Unheard,
                });
            }
            Act::Accepted { token, job } => {
                self.limited = None;
                self.settle(*token, Fate::Accepted(job.clone()));
            }
            Act::Refused { token, limit, absent, .. } => {
                let refusal = match (limit, absent) {
                    (true, _) => Refusal::Limit,
                    (_, true) => Refusal::Absent,
                    _ => Refusal::Refused,
                };
                if *limit {
                    // What was not even tried says nothing new.
                    let one =
                        self.submission(*token).is_some_and(|s| s.trials.len() == 1) && !absent;
                    let tries = self.limited.map_or(0, |limited| limited.tries) + u32::from(one);
                    self.limited = Some(Limited { at, tries });
                }
                self.settle(*token, Fate::Refused(refusal));
            }
            Act::Decided { token, after, number, of, trials, .. } => {
                let (after, number, of) = (after.clone(), *number, *of);
                let place = self.decided.len();
                self.decided.push(Decided { token: *token, after, number, of });
                for trial in trials {
                    self.history_mut(trial).decided.push(place);
                }
            }
            Act::TaskEnded { trial, token, state, node, judged, .. } => {
                let history = self.histories.entry(trial.clone()).or_default();
                history.ended(*token, at, state, node.as_deref(), judged.as_deref());
            }
            Act::Lost { trial, token, node, .. } => {
                let history = self.histories.entry(trial.clone()).or_default();
                history.ended(*token, at, "LOST", node.as_deref(), Some("lost"));
            }
            Act::Cancelled { trials, .. } => {
                for trial in trials {
                    self.history_mut(trial).cancelled = true;
                }
            }
            Act::Planned { plan_sha256, .. } => self.plan_sha256 = Some(plan_sha256.clone()),
            Act::Workspace { folder, .. } => self.workspace = Some(folder.clone()),
            Act::Imported { .. } => {
                let made = self.submissions.iter_mut().filter(|s| !s.fate.is_refused());
                made.for_each(|submission| submission.fate = Fate::Elsewhere);
                // A folder, limits and nodes of another site.
                (self.workspace, self.limited) = (None, None);
                for end in self.histories.values_mut().flat_map(|history| &mut history.ends) {
                    end.node = None;
                }
            }
            Act::Header { .. } | Act::Unknown => {}
        }
    }

    fn intent(&mut self, submitted: Submitted) {
        let place = self.submissions.len();
        for trial in &submitted.trials {
            let history = self.histories.entry(trial.clone()).or_default();
            history.submissions.push(place);
            history.cancelled = false;
        }
        self.by_token.insert(submitted.token, place);
        self.submissions.push(submitted);
    }

    fn history_mut(&mut self, trial: &TrialId) -> &mut History {
        self.histories.entry(trial.clone()).or_default()
    }

    fn settle(&mut self, token: Token, fate: Fate) {
        let place = self.by_token.get(&token).copied();
        if let Some(submission) = place.and_then(|place| self.submissions.get_mut(place)) {
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

    /// The submission of this mark.
    #[must_use]
    pub fn submission(&self, token: Token) -> Option<&Submitted> {
        self.by_token.get(&token).and_then(|place| self.submissions.get(*place))
    }

    /// Submissions of a trial, the newest first.
    pub fn submissions_of(&self, trial: &TrialId) -> impl Iterator<Item = &Submitted> {
        let places = self.histories.get(trial).map_or(&[][..], |history| &history.submissions);
        places.iter().rev().filter_map(|place| self.submissions.get(*place))
    }

    /// The newest submission of a trial that was not refused.
    #[must_use]
    pub fn holder(&self, trial: &TrialId) -> Option<&Submitted> {
        self.submissions_of(trial).find(|submission| !submission.fate.is_refused())
    }

    /// What befell a trial, as far as it was submitted.
    #[must_use]
    pub fn history(&self, trial: &TrialId) -> Option<&History> {
        self.histories.get(trial)
    }

    /// What befell all trials.
    pub fn histories(&self) -> impl Iterator<Item = (&TrialId, &History)> {
        self.histories.iter()
    }

    /// The limit of the site that let nobody in when something was last submitted.
    #[must_use]
    pub fn limited(&self) -> Option<Limited> {
        self.limited
    }

    /// Decisions to submit a trial again that came to a submission, the newest first.
    pub fn decisions(&self, trial: &TrialId) -> impl Iterator<Item = &Decided> {
        self.all_decisions(trial).filter(|decided| {
            let made = self.submission(decided.token);
            made.is_some_and(|submission| !submission.fate.is_refused())
        })
    }

    /// The decision that stood before this submission of a trial.
    #[must_use]
    pub fn decision(&self, trial: &TrialId, token: Token) -> Option<&Decided> {
        self.all_decisions(trial).find(|decided| decided.token == token)
    }

    fn all_decisions(&self, trial: &TrialId) -> impl Iterator<Item = &Decided> {
        let places = self.histories.get(trial).map_or(&[][..], |history| &history.decided);
        places.iter().rev().filter_map(|place| self.decided.get(*place))
    }

    /// Says whether the end of a task is written down already.
    #[must_use]
    pub fn knows_end(&self, trial: &TrialId, token: Token) -> bool {
        self.histories.get(trial).is_some_and(|h| h.ends.iter().any(|end| end.token == token))
    }
}
