//! Choosing: which trials to submit, with what, and what to ask for less of where the site says no.

use std::collections::{BTreeMap, BTreeSet};

use super::decide::{Again, Ground, Next};
use super::{Desk, Outcome, Sight, Wish, nodes};
use crate::id::TrialId;
use crate::plan::JobSpec;
use crate::script::Resources;
use crate::store::{TrialRow, TrialState};
use crate::sweep::EndKind;

/// A trial that is to be submitted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    /// Why once more; none for a first time.
    pub(super) again: Option<Again>,
    /// How it ended.
    pub(super) kind: Option<EndKind>,
}

impl Wanted {
    /// Says whether policy wants it, and would again.
    pub(super) fn is_by_policy(&self) -> bool {
        self.again.as_ref().is_some_and(|again| again.of.is_some())
    }
}

impl Desk<'_> {
    /// Returns what policy does next with a trial of a sweep that was looked at.
    #[must_use]
    pub fn next(&self, scheduler: &str, row: &TrialRow) -> Next {
        self.ground(scheduler).decide(row)
    }

    fn ground(&self, scheduler: &str) -> Ground<'_> {
        Ground {
            ledger: &self.ledger,
            policy: &self.plan.policy,
            usual_backoff: scheduler != "local",
            max_train_time: self.plan.budget.max_train_time,
            now: self.clock.now(),
        }
    }

    /// Chooses by a wish, and counts what is left alone.
    pub(super) fn choose(
        &self,
        scheduler: &str,
        sight: &Sight,
        wish: &Wish,
        outcome: &mut Outcome,
    ) -> BTreeMap<TrialId, Wanted> {
        let rows: BTreeMap<_, _> = sight.trials.iter().map(|row| (&row.trial, row)).collect();
        let ground = self.ground(scheduler);
        let mut chosen = BTreeMap::new();
        for trial in &self.plan.trials {
            let Some(row) = rows.get(&trial.id) else { continue };
            let kind = EndKind::of_word(&row.state.word());
            let want = match wish {
                Wish::New => (row.state == TrialState::Planned).then(Wanted::default),
                Wish::These(these) => {
                    let good = these.contains(&trial.id)
                        && !row.state.is_in_flight()
                        && row.state != TrialState::Finished;
                    good.then(|| Wanted { again: by_hand(&row.state), kind })
                }
                Wish::Policy => match ground.decide(row) {
                    Next::Submit(again) => Some(Wanted { again: Some(again), kind }),
                    Next::Wait { until, .. } => {
                        outcome.waiting += 1;
                        outcome.due = Some(outcome.due.map_or(until, |due| due.min(until)));
                        None
                    }
                    Next::Leave { .. } => None,
                },
            };
            if let Some(want) = want.filter(|_| !ground.is_spent(row)) {
                chosen.insert(trial.id.clone(), want);
            } else if row.state.is_in_flight() {
                outcome.in_flight += 1;
            } else if row.state == TrialState::Finished {
                outcome.finished += 1;
            } else {
                outcome.stopped += 1;
                *outcome.stopped_as.entry(row.state.word()).or_default() += 1;
            }
        }
        chosen
    }

    /// Times that a trial was or is now submitted again after this kind of end.
    pub(super) fn times(&self, trial: &TrialId, kind: EndKind, now: Option<EndKind>) -> usize {
        let decided = self.ledger.decisions(trial).filter(|d| d.after == kind.word()).count();
        let decided = decided + usize::from(now == Some(kind));
        // Controllers of earlier versions wrote no decisions.
        let ends = self.ledger.history(trial).map_or(&[][..], |history| history.ends());
        let told = ends.iter().filter(|end| end.kind == Some(kind)).count();
        if kind == EndKind::OutOfMemory { decided.max(told) } else { decided }
    }

    /// What a job asks for beside what the plan says, in words.
    pub(super) fn changes(&self, job: &JobSpec) -> Vec<String> {
        let Some(base) = self.base(job) else { return Vec::new() };
        let mut changes = Vec::new();
        if let Some(mem) = job.resources.mem.filter(|mem| base.mem != Some(*mem)) {
            changes.push(format!("memory {mem}"));
        }
        if let Some(time) = job.resources.time.filter(|time| base.time != Some(*time)) {
            changes.push(format!("time {time}"));
        }
        changes.extend(left_out(job, base).iter().map(|node| format!("without node {node}")));
        changes
    }

    fn base(&self, job: &JobSpec) -> Option<&Resources> {
        let ask = self.plan.asks.get(*job.trials.first()?)?;
        self.plan.resources.get(*ask)
    }

    /// A refused job once more, without what policy itself added and the site may have refused it for.
    pub(super) fn milder(&self, job: &JobSpec, outcome: &mut Outcome) -> Option<JobSpec> {
        let base = self.base(job)?;
        let words = outcome.refused.last().map(|(error, _)| error.to_string())?;
        let nodes = left_out(job, base);
        let resources = if !nodes.is_empty() && nodes::may_be_the_cause(&words) {
            let nodes = nodes.into_iter().collect::<Vec<_>>().join(", ");
            outcome.notes.push(format!("submitted with {nodes} after all: without, {words}"));
            Resources { exclude: base.exclude.clone(), ..job.resources.clone() }
        } else if job.resources.time != base.time && is_about_time(&words) {
            outcome.notes.push(format!("submitted with the time of the sweep file: {words}"));
            Resources { time: base.time, ..job.resources.clone() }
        } else {
            return None;
        };
        outcome.refused.pop();
        Some(JobSpec { resources, ..job.clone() })
    }
}

fn by_hand(state: &TrialState) -> Option<Again> {
    let again = Again { after: state.word(), number: 0, of: None };
    (*state != TrialState::Planned).then_some(again)
}

/// Nodes that policy leaves out.
fn left_out(job: &JobSpec, base: &Resources) -> BTreeSet<String> {
    let ours = job.resources.exclude.iter().filter(|word| !base.exclude.contains(word));
    ours.map(|word| word.as_str().to_owned()).collect()
}

fn is_about_time(words: &str) -> bool {
    ["time limit is invalid", "MaxWall", "TimeLimit"].iter().any(|part| words.contains(part))
}
