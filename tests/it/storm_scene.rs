//! A storm as data: what befalls a sweep, drawn from a seed, so that it can be shown and replayed.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use regatta::scheduler::Fate;

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Scene {
    /// Somebody gives a command.
    Act(Order, Mishap),
    /// Tasks that wait are started, one after the other.
    Work(Vec<Strike>),
    /// Seconds pass.
    Pass(u64),
    /// Something happens to a file.
    Damage(Damage),
    /// The cluster's controller is killed and forgets its newest job.
    ForgetNewest,
    /// The cluster forgets all that is over.
    ForgetEnded,
    /// The folder of all sweeps gets another name, if nothing uses it.
    Move,
}

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Submit,
    Tick,
    Resume,
    Retry,
    /// Of the trial at this place.
    Cancel(usize),
    ResumeCancelled,
    Status,
    Rebuild,
}

/// What befalls a command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mishap {
    /// Rules of fault points: a kill, or a disk that refuses.
    pub(crate) faults: String,
    /// What a kill in the middle of a record leaves of it, in bytes.
    pub(crate) torn: usize,
    /// Lies of the cluster.
    pub(crate) fates: Vec<Fate>,
    /// Another command reads the journals all the while.
    pub(crate) rival: bool,
}

/// What befalls a task.
#[derive(Clone, Debug)]
pub(crate) struct Strike {
    /// Which of those that wait.
    pub(crate) pick: usize,
    /// At which step.
    pub(crate) at: u64,
    pub(crate) blow: Blow,
    /// What happens at that step while the process stands still.
    pub(crate) meanwhile: Vec<Scene>,
    /// Hours that the clock of its node is ahead.
    pub(crate) ahead: i64,
}

/// A blow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// Nothing.
    None,
    Preempt,
    TimeOut,
    NodeFails,
    OutOfMemory,
    /// Killed, and all that the cluster knew of it is gone.
    Lose,
    /// Killed; the script says so.
    Kill,
    /// Killed while it writes, at this point after so many passes.
    KillWriting(&'static str, u32),
    /// Its node is declared dead; the process goes on. Whether its heart stops.
    GivenUp(bool),
    /// The cluster's controller comes back as it was before the start.
    SteppedBack(bool),
    /// The cluster's controller forgets the job; the process goes on.
    Forgotten(bool),
}

/// What happens to a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Damage {
    /// A line of somebody else's in a journal: the controller's (0), or a trial's newest.
    Foreign(usize),
    /// Half a line at the end of the controller's journal.
    Torn,
    /// A line of the controller's journal stands there again.
    Twice(usize),
    /// Halves of two lines became one.
    Interleaved(usize),
    /// The database is gone.
    NoDatabase,
    /// The database is garbage; somebody rebuilds it.
    RottenDatabase,
}

/// Points at which a controller can be killed.
pub(crate) const KILLS: [&str; 18] = [
    "folder.create",
    "write.create",
    "write.content",
    "write.sync",
    "write.rename",
    "write.done",
    "append.open",
    "remove",
    "journal.append",
    "journal.sync",
    "submit.before_intent",
    "submit.after_intent",
    "submit.before_accepted",
    "submit.after_accepted",
    "cluster.asked",
    "cluster.accepted",
    "cluster.told",
    "cluster.searched",
];

/// Points at which a controller's disk refuses.
const REFUSALS: [&str; 9] = [
    "folder.create",
    "write.create",
    "write.content",
    "write.sync",
    "write.rename",
    "append.open",
    "remove",
    "journal.append",
    "journal.sync",
];

const WORDS: [&str; 5] = ["full", "quota", "io", "stale", "readonly"];

/// Draws what happens.
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    /// The storm of a seed.
    pub(crate) fn storm(seed: u64) -> Vec<Scene> {
        let mut draw = Self(ChaCha8Rng::seed_from_u64(seed));
        let first = Scene::Act(Order::Submit, draw.mishap());
        let count = draw.0.random_range(3..=9);
        let rest = (0..count).map(|_| draw.scene(0)).collect::<Vec<_>>();
        std::iter::once(first).chain(rest).collect()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.random_range(0..of.len())]
    }

    fn scene(&mut self, depth: u32) -> Scene {
        match self.0.random_range(0..20) {
            0..=7 => Scene::Act(self.order(), self.mishap()),
            8..=12 if depth < 2 => {
                let count = self.0.random_range(1..=4);
                Scene::Work((0..count).map(|_| self.strike(depth)).collect())
            }
            13..=15 => Scene::Pass(self.one(&[1, 20, 60, 400, 700, 1000, 4000, 20_000])),
            16..=17 => Scene::Damage(self.damage()),
            18 => match self.0.random_range(0..3) {
                0 => Scene::ForgetNewest,
                1 => Scene::ForgetEnded,
                _ => Scene::Move,
            },
            _ => Scene::Act(Order::Tick, self.mishap()),
        }
    }

    fn order(&mut self) -> Order {
        match self.0.random_range(0..16) {
            0..=2 => Order::Submit,
            3..=7 => Order::Tick,
            8..=9 => Order::Resume,
            10 => Order::Retry,
            11 => Order::Cancel(self.0.random_range(0..4)),
            12 => Order::ResumeCancelled,
            13..=14 => Order::Status,
            _ => Order::Rebuild,
        }
    }

    fn mishap(&mut self) -> Mishap {
        let mut mishap = Mishap::default();
        match self.0.random_range(0..10) {
            0..=4 => {
                let (point, skip) = (self.one(&KILLS), self.one(&[0, 0, 0, 1, 1, 2, 3, 5]));
                mishap.faults = format!("{point}:{skip}=dead");
                mishap.torn = self.one(&[0, 0, 1, 9, 30]);
            }
            5 => {
                let (point, word) = (self.one(&REFUSALS), self.one(&WORDS));
                let (skip, times) = (self.0.random_range(0..5), self.0.random_range(1..4));
                mishap.faults = format!("{point}:{skip}:{times}={word}");
            }
            _ => {}
        }
        if self.0.random_bool(0.5) {
            let count = self.0.random_range(1..=2);
            mishap.fates = (0..count).map(|_| self.fate()).collect();
            // Of two answers in a row one is right.
            let is_left_out = |fate: &Fate| matches!(fate, Fate::Stale | Fate::LeaveOut(_));
            if mishap.fates.iter().filter(|fate| is_left_out(fate)).count() > 1 {
                mishap.fates.pop();
            }
        }
        mishap.rival = self.0.random_bool(0.001);
        mishap
    }

    fn fate(&mut self) -> Fate {
        match self.0.random_range(0..14) {
            0 => Fate::Refuse,
            1 => Fate::RefuseForLimit,
            2 => Fate::AcceptSilently,
            3 => Fate::AcceptGarbled,
            4 => Fate::AcceptLate(self.0.random_range(1..=30)),
            5 => Fate::DropSubmission,
            6 => Fate::Silence,
            7 => Fate::Garble,
            8 => Fate::Stale,
            9..=10 => Fate::LeaveOut(self.0.random_range(0..8)),
            11 => Fate::Babble,
            12 => Fate::FindSilence,
            _ => Fate::CancelSilence(self.0.random_bool(0.5)),
        }
    }

    fn strike(&mut self, depth: u32) -> Strike {
        let blow = match self.0.random_range(0..16) {
            0..=2 => Blow::None,
            3 => Blow::Preempt,
            4 => Blow::TimeOut,
            5 => Blow::NodeFails,
            6 => Blow::OutOfMemory,
            7..=8 => Blow::Lose,
            9 => Blow::Kill,
            10..=11 => {
                let point = self.one(&crate::chaos_cut::WRITING);
                Blow::KillWriting(point, self.0.random_range(0..12))
            }
            12..=13 => Blow::GivenUp(self.0.random_bool(0.5)),
            14 => Blow::SteppedBack(self.0.random_bool(0.5)),
            _ => Blow::Forgotten(self.0.random_bool(0.5)),
        };
        let is_beside = matches!(
            blow,
            Blow::None | Blow::GivenUp(_) | Blow::SteppedBack(_) | Blow::Forgotten(_)
        );
        let count = if is_beside && depth < 2 { self.0.random_range(0..=4) } else { 0 };
        Strike {
            pick: self.0.random_range(0..4),
            at: self.0.random_range(0..9),
            blow,
            meanwhile: (0..count).map(|_| self.scene(depth + 1)).collect(),
            ahead: if self.0.random_bool(0.1) { self.0.random_range(-6..=6) } else { 0 },
        }
    }

    fn damage(&mut self) -> Damage {
        match self.0.random_range(0..8) {
            0..=1 => Damage::Foreign(self.0.random_range(0..5)),
            2 => Damage::Torn,
            3 => Damage::Twice(self.0.random_range(0..20)),
            4 => Damage::Interleaved(self.0.random_range(0..20)),
            5..=6 => Damage::NoDatabase,
            _ => Damage::RottenDatabase,
        }
    }
}
