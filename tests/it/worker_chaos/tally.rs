//! What came of the cuts, by the traces that they left.

use std::collections::BTreeMap;

use jiff::Timestamp;
use regatta::event::Event;

use super::{Case, Cut};

/// What stands in a log: when (UTC), and how many updates were done.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) start: Option<(Timestamp, u64)>,
    pub(super) last: Option<(Timestamp, u64)>,
    pub(super) steps: BTreeMap<u64, Timestamp>,
    pub(super) begun: Vec<(Timestamp, u64)>,
    pub(super) asked: Option<(Timestamp, u64)>,
}

/// What came of all cases.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) cases: u64,
    pub(super) attempts: u64,
    pub(super) cuts: BTreeMap<String, u64>,
    /// Cuts with work behind the last checkpoint that was begun.
    pub(super) between: u64,
    /// Cuts after training had begun.
    pub(super) training: u64,
    pub(super) gave_up: u64,
    /// For each kill: updates and intervals done again.
    pub(super) redone: Vec<(u64, f64)>,
    /// Kills that cost more than an interval and a step.
    pub(super) longer: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.attempts += other.attempts;
        self.between += other.between;
        self.training += other.training;
        self.gave_up += other.gave_up;
        self.longer += other.longer;
        self.redone.extend(other.redone);
        for (kind, count) in other.cuts {
            *self.cuts.entry(kind).or_default() += count;
        }
    }

    /// Takes note of a cut by its traces.
    pub(super) fn note(&mut self, case: &Case, cut: &Cut, attempt: u32, killed: bool) {
        *self.cuts.entry(cut.kind()).or_default() += 1;
        let log = case.log(attempt);
        let Some(start) = log.start else { return };
        self.training += 1;
        let last = log.last.unwrap_or(start);
        let at = log.asked.map_or(last.1, |asked| asked.1);
        // What is begun in answer to the stop does not count.
        let mut earlier = log.begun.iter().rev();
        let copy = earlier.find(|begun| log.asked.is_none_or(|asked| begun.0 < asked.0));
        self.between += u64::from(at > copy.map_or(start.1, |begun| begun.1));
        if killed {
            self.note_redone(case, attempt, &log, start, last);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "small")]
    fn note_redone(
        &mut self,
        case: &Case,
        attempt: u32,
        log: &Log,
        start: (Timestamp, u64),
        last: (Timestamp, u64),
    ) {
        let saved = case.on_disk();
        let copied = log.steps.get(&saved).copied().unwrap_or(start.0);
        let since_copy = |at: Timestamp| at.duration_since(copied).as_secs_f64().max(0.0);
        let redone = last.1.saturating_sub(saved);
        let work = redone as f64 * case.step_seconds;
        self.redone.push((redone, work / case.every));
        self.longer += u64::from(work > case.every + case.step_seconds);
        // The next copy is due an interval after the last one, or when that one is written.
        let next = log.begun.iter().find(|begun| begun.1 > saved);
        let writing = case.trial.events(attempt).iter().rev().find_map(|event| match event {
            Event::CheckpointWritten { cursor, seconds, .. } => {
                (case.updates(*cursor) == saved).then_some(*seconds)
            }
            _ => None,
        });
        let begun = log.begun.iter().rfind(|begun| begun.1 == saved);
        let told = begun.is_none() || writing.is_some();
        let until = if told { next.map_or(last.1, |next| next.1) } else { saved };
        // It may have waited for the one before; its end is heard of between two steps.
        let waited = begun.map_or(0.0, |begun| since_copy(begun.0));
        let busy = waited + writing.unwrap_or(0.0) + case.step_seconds;
        let longest = case.every.max(busy) / case.step_seconds;
        assert!(
            (until - saved) as f64 <= longest + 1.0,
            "{redone} steps done again, {} before the next copy; {longest} fit between two: {log:?}",
            until - saved
        );
    }

    /// One line that a document can cite.
    #[expect(clippy::cast_precision_loss, reason = "small")]
    pub(super) fn summary(&self) -> String {
        let cuts: u64 = self.cuts.values().sum();
        let kinds: Vec<_> =
            self.cuts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let mut intervals: Vec<_> = self.redone.iter().map(|redone| redone.1).collect();
        intervals.sort_by(f64::total_cmp);
        format!(
            "{} trials, {} attempts, {cuts} cuts ({}); {:.0} % of {} cuts in training fell between \
             checkpoints; {} kills: {} steps done again at most, {:.2} intervals in the median and \
             {:.2} at most; {} cost more than an interval and a step, all of them while a checkpoint \
             was being written; {} attempts were refused for no progress; all ends bit-equal",
            self.cases,
            self.attempts,
            kinds.join(", "),
            100.0 * self.between as f64 / self.training as f64,
            self.training,
            intervals.len(),
            self.redone.iter().map(|redone| redone.0).max().unwrap_or(0),
            intervals.get(intervals.len() / 2).unwrap_or(&0.0),
            intervals.last().unwrap_or(&0.0),
            self.longer,
            self.gave_up,
        )
    }
}
