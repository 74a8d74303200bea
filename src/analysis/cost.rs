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
    /// What was left of it when it was asked to stop.
    pub stop_time_left: Option<f64>,
    /// What the scheduler said of its end, where it said anything.
    pub told: Option<Cause>,
}

/// What cut an attempt short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The scheduler took its place for another job.
    Preempted,
    /// Its time limit was near, or reached.
    TimeLimit,
    /// A signal that both a preemption and a time limit send, and nothing tells which it was.
    Signal,
    /// The trial's `max_train_time` was used up.
    TrainTime,
    /// `regatta cancel`, a cancel mark, or scancel.
    Cancelled,
    /// Ctrl-C.
    ByHand,
    /// Its memory did not suffice.
    OutOfMemory,
    /// Its node failed.
    NodeFailed,
    /// Gone without a word, and nobody knows why.
    Killed,
    /// A word of another version.
    Other,
}

/// Attempts that one cause cut short; times are seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Toll {
    /// Number of them.
    pub count: u64,
    /// From their start to their last sign of life.
    pub wall: f64,
    /// What those of them with a limit had that told how much was left.
    pub given: f64,
    /// What these left unused.
    pub unused: f64,
    /// From their end to the start of the next attempt.
    pub waiting: f64,
    /// From the start of the next attempt's process to training.
    pub starting: f64,
}

/// A signal with no more seconds left than this came for the time limit: warnings are asked for two minutes
/// before it as a rule, and SLURM may send them a minute early.
const NEAR: f64 = 180.0;

/// One with more left than this did not; in between, a sweep with a large `budget.margin` may have asked so.
const FAR: f64 = 900.0;

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
    pub interruptions: BTreeMap<Cause, Toll>,
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
            let (given, unused) = stint.budget().unwrap_or_default();
            cost.given += given;
            cost.unused += unused;
            let next = own.get(at + 1);
            let waiting = next.map_or(0.0, |next| between(end, next.started_at));
            cost.waiting += waiting;
            if let Some(cause) = stint.interruption(next.is_some(), goes_on) {
                let starting = next.and_then(|next| next.seconds_to_start).unwrap_or(0.0);
                let wall = between(stint.started_at, end);
                let toll = Toll { count: 1, wall, given, unused, waiting, starting };
                cost.interruptions.entry(cause).or_default().add(&toll);
            }
        }
        let known = cost.counted + cost.first_start + cost.later_starts + cost.checkpoints;
        cost.rest = (cost.wall - known).max(0.0);
        cost
    }

    /// Number of interruptions.
    #[must_use]
    pub fn interrupted(&self) -> u64 {
        self.interruptions.values().map(|toll| toll.count).sum()
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
        for (cause, toll) in &other.interruptions {
            self.interruptions.entry(*cause).or_default().add(toll);
        }
    }
}

impl Toll {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        for (sum, more) in [
            (&mut self.wall, other.wall),
            (&mut self.given, other.given),
            (&mut self.unused, other.unused),
            (&mut self.waiting, other.waiting),
            (&mut self.starting, other.starting),
        ] {
            *sum += more;
        }
    }
}

impl Stint {
    /// The time it had and what it left of that, where it tells both.
    fn budget(&self) -> Option<(f64, f64)> {
        Some((self.time_given?, self.time_left_unused?.max(0.0)))
    }

    /// What cut it short; none for an attempt that ended by itself or goes on.
    fn interruption(&self, was_followed: bool, goes_on: bool) -> Option<Cause> {
        match (self.outcome.as_deref(), self.reason.as_deref()) {
            (Some("stopped" | "spent"), Some("time_budget")) => Some(Cause::TimeLimit),
            (Some("stopped" | "spent"), Some("train_time")) => Some(Cause::TrainTime),
            (Some("stopped"), Some("cancelled")) => Some(Cause::Cancelled),
            (Some("stopped"), Some("interrupted")) => Some(Cause::ByHand),
            (Some("stopped"), Some("warned" | "terminated")) => Some(self.signalled(was_followed)),
            (Some("stopped" | "spent"), _) => Some(Cause::Other),
            (None, _) if was_followed || !goes_on => Some(self.told.unwrap_or(Cause::Killed)),
            _ => None,
        }
    }

    /// A preemption and a time limit send the same signals: the scheduler's word tells them apart, or how much
    /// of the limit was left.
    fn signalled(&self, was_followed: bool) -> Cause {
        if let Some(told) = self.told {
            return told;
        }
        match (self.time_given, self.stop_time_left) {
            (_, Some(left)) if left <= NEAR => Cause::TimeLimit,
            (_, Some(left)) if left >= FAR => Cause::Preempted,
            // It trained without a limit, and what was cancelled does not come back.
            (None, None) if was_followed && self.seconds_to_start.is_some() => Cause::Preempted,
            _ => Cause::Signal,
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
            ..Stint::default()
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
        let signal =
            Toll { count: 1, wall: 50.0, given: 100.0, unused: 10.0, waiting: 30.0, starting: 2.0 };
        let killed = Toll { count: 1, wall: 30.0, waiting: 10.0, starting: 2.0, ..Toll::default() };
        assert_eq!(cost.interruptions, [(Cause::Signal, signal), (Cause::Killed, killed)].into());
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

    #[test]
    fn a_preemption_is_told_from_a_time_limit_where_anything_tells() {
        let of = |reason: &str, given: Option<f64>, left: Option<f64>, told: Option<Cause>| {
            let stint = Stint {
                time_given: given,
                stop_time_left: left,
                told,
                ..stint(0.0, 50.0, Some("stopped"), Some(reason))
            };
            stint.interruption(true, false)
        };
        let hour = Some(3600.0);
        for (found, cause) in [
            (of("time_budget", hour, Some(2000.0), None), Cause::TimeLimit),
            (of("warned", hour, Some(2000.0), None), Cause::Preempted),
            (of("terminated", hour, Some(2000.0), Some(Cause::TimeLimit)), Cause::TimeLimit),
            (of("warned", hour, Some(100.0), None), Cause::TimeLimit),
            (of("warned", hour, Some(600.0), None), Cause::Signal),
            (of("terminated", hour, None, None), Cause::Signal),
            (of("terminated", None, None, None), Cause::Preempted),
            (of("train_time", hour, None, None), Cause::TrainTime),
            (of("cancelled", hour, None, Some(Cause::Preempted)), Cause::Cancelled),
            (of("a new word", hour, None, None), Cause::Other),
        ] {
            assert_eq!(found, Some(cause));
        }
        let gone = Stint { told: Some(Cause::NodeFailed), ..stint(0.0, 50.0, None, None) };
        assert_eq!(gone.interruption(false, false), Some(Cause::NodeFailed));
        let alone = stint(0.0, 50.0, Some("stopped"), Some("terminated"));
        let alone = Stint { time_given: None, ..alone };
        assert_eq!(alone.interruption(false, false), Some(Cause::Signal));
    }
}
