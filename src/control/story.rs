//! The story of a trial in the order of time, from the journals alone: nobody is asked, nothing is
//! written.

mod words;

use std::collections::BTreeMap;
use std::io;

use jiff::{SignedDuration, Timestamp};

use super::decide::{Ground, Next};
use super::ledger::Ledger;
use crate::event::{Act, Event};
use crate::id::TrialId;
use crate::journal;
use crate::layout::{self, Limit, SweepFolder};
use crate::plan::Plan;
use crate::store::TrialRow;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// When, by the controller's clock as far as that is known.
    pub at: Timestamp,
    /// Who tells of it: `controller`, the scheduler's name, `attempt 2`.
    pub who: String,
    /// What, in words.
    pub what: String,
}

/// What the journals tell of a trial.
#[derive(Clone, Debug)]
pub struct Story {
    /// What happened, the oldest first.
    pub happenings: Vec<Happening>,
    /// Damaged lines that were skipped.
    pub bad_lines: u64,
}

impl Story {
    /// Reads the journals. `ahead`: seconds by which the clocks of attempts are ahead, where known.
    ///
    /// # Errors
    /// When a file cannot be read. One that is not there is empty.
    pub fn read(
        folder: &SweepFolder,
        trial: &TrialId,
        ahead: &BTreeMap<u32, f64>,
    ) -> io::Result<Self> {
        let mut story = Self { happenings: Vec::new(), bad_lines: 0 };
        story.controller(folder, trial)?;
        let attempts = folder.trial(trial).attempts()?;
        for number in attempts {
            let found = journal::replay::<Event>(&folder.trial(trial).journal(number))?;
            story.bad_lines += found.bad;
            story.attempt(number, &found.records, ahead.get(&number).copied().unwrap_or(0.0));
        }
        // What happened at the same moment stays in the order of its journal.
        story.happenings.sort_by_key(|happening| happening.at);
        Ok(story)
    }

    fn controller(&mut self, folder: &SweepFolder, trial: &TrialId) -> io::Result<()> {
        let found = journal::replay::<Act>(&folder.controller_journal())?;
        self.bad_lines += found.bad;
        let mut teller = words::Teller::new(trial);
        for record in &found.records {
            if let Some((who, what)) = teller.tell(&record.body) {
                self.happenings.push(Happening { at: record.at, who, what });
            }
        }
        Ok(())
    }

    fn attempt(&mut self, number: u32, records: &[journal::Record<Event>], ahead: f64) {
        let who = format!("attempt {number}");
        // Of checkpoints the newest is enough.
        let newest = records
            .iter()
            .rposition(|record| matches!(record.body, Event::CheckpointWritten { .. }));
        let saved =
            records.iter().filter(|r| matches!(r.body, Event::CheckpointWritten { .. })).count();
        for (place, record) in records.iter().enumerate() {
            let told = words::of_attempt(&record.body);
            let told = match &record.body {
                Event::CheckpointWritten { .. } if newest != Some(place) => None,
                Event::CheckpointWritten { .. } if saved > 1 => {
                    told.map(|words| format!("{words}; {} before it", saved - 1))
                }
                _ => told,
            };
            if let Some(what) = told {
                let at = earlier(record.at, ahead);
                self.happenings.push(Happening { at, who: who.clone(), what });
            }
        }
    }
}

/// Returns what policy would do next with a trial, from the journals alone. None where the sweep has
/// no readable plan.
///
/// # Errors
/// When a file cannot be read.
pub fn next(folder: &SweepFolder, row: &TrialRow, now: Timestamp) -> io::Result<Option<Next>> {
    let bytes = layout::read_if_any(&folder.plan(), Limit::PLAN)?;
    let Ok(plan) = serde_json::from_slice::<Plan>(&bytes) else { return Ok(None) };
    let ledger = Ledger::read(folder, &plan.sweep)?;
    let newest = ledger.submissions().last();
    let ground = Ground {
        ledger: &ledger,
        policy: &plan.policy,
        usual_backoff: newest.is_none_or(|submission| submission.scheduler != "local"),
        max_train_time: plan.budget.max_train_time,
        now,
    };
    Ok(Some(ground.decide(row)))
}

fn earlier(at: Timestamp, seconds: f64) -> Timestamp {
    let ahead = SignedDuration::try_from_secs_f64(seconds).unwrap_or_default();
    at.checked_sub(ahead).unwrap_or(at)
}
