//! What a trial cost: training that counts, and what interruptions and preparations took.

use std::collections::BTreeMap;

use serde::Serialize;

/// What one attempt tells of its time. Moments are seconds since the epoch of Unix, spans are seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stint {
    /// When it began.
    pub started_at: Option<f64>,
    /// Its newest record.
    pub seen_at: Option<f64>,
    /// When it ended; none where it was killed without a word, or goes on.
    pub ended_at: Option<f64>,
    /// How: the word of its journal.
    pub outcome: Option<String>,
    /// What it stopped for.
    pub reason: Option<String>,
    /// From the start of the process to the start of training.
    pub seconds_to_start: Option<f64>,
    /// Training that stood still for checkpoints.
    pub checkpoint_pause: f64,
    /// What it had when training began; none: no limit.
    pub time_given: Option<f64>,
    /// What was left of that at its end.
    pub time_left_unused: Option<f64>,
}

/// What a trial cost, in seconds over all its attempts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Attempts that did not leave at once to another one.
    pub attempts: u64,
    /// From the start of each attempt to its last sign of life.
    pub wall: f64,
    /// Epochs that stand in the record, each once: training and evaluation.
    pub counted: f64,
    /// From the start of the first attempt's process to training.
    pub first_start: f64,
    /// The same of all later attempts: an interruption costs it again.
    pub later_starts: f64,
    /// Training that stood still for checkpoints.
    pub checkpoints: f64,
    /// The rest: work that was done again or is in no epoch yet, and leaving.
    pub rest: f64,
    /// From the end of an attempt to the start of the next one.
    pub waiting: f64,
    /// Attempts that another one followed, or should have, by what ended them.
    pub interruptions: BTreeMap<String, u64>,
    /// What attempts with a limit had, of those that told how much was left.
    pub given: f64,
    /// What they left unused.
    pub unused: f64,
}

impl Cost {
    /// Adds up attempts, the oldest first; `counted` are the seconds of all epochs on record, `goes_on`
    /// says whether the newest attempt may still be at work.
    #[must_use]
    pub fn of(stints: &[Stint], counted: f64, goes_on: bool) -> Self {
        let mut cost = Self { counted, ..Self::default() };
        let superseded = |stint: &&Stint| stint.outcome.as_deref() == Some("superseded");
        let own: Vec<&Stint> = stints.iter().filter(|stint| !superseded(stint)).collect();
        for (at, stint) in own.iter().enumerate() {
            cost.attempts += 1;
            let end = stint.ended_at.or(stint.seen_at);
            cost.wall += between(stint.started_at, end);
            let start = stint.seconds_to_start.unwrap_or(0.0);
            *(if at == 0 { &mut cost.first_start } else { &mut cost.later_starts }) += start;
            cost.checkpoints += stint.checkpoint_pause;
            if let (Some(given), Some(unused)) = (stint.time_given, stint.time_left_unused) {
                cost.given += given;
                cost.unused += unused.max(0.0);
            }
            let next = own.get(at + 1);
            cost.waiting += next.map_or(0.0, |next| between(end, next.started_at));
            if let Some(word) = stint.interruption(next.is_some(), goes_on) {
                *cost.interruptions.entry(word).or_default() += 1;
            }
        }
        let known = cost.counted + cost.first_start + cost.later_starts + cost.checkpoints;
        cost.rest = (cost.wall - known).max(0.0);
        cost
    }

    /// Number of interruptions.
    #[must_use]
    pub fn interrupted(&self) -> u64 {
        self.interruptions.values().sum()
    }

    /// Adds another trial's.
    pub fn add(&mut self, other: &Self) {
        self.attempts += other.attempts;
        for (sum, more) in [
            (&mut self.wall, other.wall),
            (&mut self.counted, other.counted),
            (&mut self.first_start, other.first_start),
            (&mut self.later_starts, other.later_starts),
            (&mut self.checkpoints, other.checkpoints),
            (&mut self.rest, other.rest),
            (&mut self.waiting, other.waiting),
            (&mut self.given, other.given),
            (&mut self.unused, other.unused),
        ] {
            *sum += more;
        }
        for (word, count) in &other.interruptions {
            *self.interruptions.entry(word.clone()).or_default() += count;
        }
    }
}

impl Stint {
    /// What cut it short, in a word; none for an attempt that ended by itself or goes on.
    fn interruption(&self, was_followed: bool, goes_on: bool) -> Option<String> {
        match (self.outcome.as_deref(), self.reason.as_deref()) {
            (Some("stopped" | "spent"), Some(reason)) => Some(reason.to_owned()),
            (Some("stopped"), None) => Some("stopped".to_owned()),
            (None, _) if was_followed || !goes_on => Some("killed".to_owned()),
            _ => None,
        }
    }
}

fn between(from: Option<f64>, to: Option<f64>) -> f64 {
    from.zip(to).map_or(0.0, |(from, to)| (to - from).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stint(from: f64, to: f64, outcome: Option<&str>, reason: Option<&str>) -> Stint {
        Stint {
            started_at: Some(from),
            seen_at: Some(to),
            ended_at: outcome.map(|_| to),
            outcome: outcome.map(str::to_owned),
            reason: reason.map(str::to_owned),
            seconds_to_start: Some(2.0),
            checkpoint_pause: 1.0,
            time_given: Some(100.0),
            time_left_unused: outcome.map(|_| 10.0),
        }
    }

    #[test]
    fn each_second_is_told_once() {
        let stints = [
            stint(0.0, 50.0, Some("stopped"), Some("terminated")),
            stint(55.0, 55.5, Some("superseded"), None),
            stint(80.0, 110.0, None, None),
            stint(120.0, 160.0, Some("finished"), None),
        ];
        let cost = Cost::of(&stints, 90.0, false);
        assert_eq!((cost.attempts, cost.wall, cost.waiting), (3, 120.0, 40.0));
        assert_eq!((cost.first_start, cost.later_starts, cost.checkpoints), (2.0, 4.0, 3.0));
        assert_eq!((cost.counted, cost.rest), (90.0, 21.0));
        assert_eq!((cost.given, cost.unused), (200.0, 20.0));
        let words = [("killed", 1), ("terminated", 1)];
        assert_eq!(cost.interruptions, words.map(|(word, n)| (word.to_owned(), n)).into());
        let mut sum = Cost::default();
        sum.add(&cost);
        sum.add(&cost);
        assert_eq!((sum.interrupted(), sum.rest), (4, 42.0));
    }

    #[test]
    fn an_attempt_at_work_was_not_interrupted() {
        let open = [stint(0.0, 50.0, None, None)];
        assert_eq!(Cost::of(&open, 20.0, true).interrupted(), 0);
        assert_eq!(Cost::of(&open, 20.0, false).interrupted(), 1);
        assert_eq!(Cost::of(&[], 0.0, false), Cost::default());
    }
}
