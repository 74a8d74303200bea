//! Groups of trials over repeated seeds, on one data set and split each.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::families::arrange;
use super::statistics::{Sample, median};
use crate::id::TrialId;
use crate::metric::Direction;

/// How a trial counts in its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its value counts.
    Done,
    /// It will bring no value by itself: the word of its state.
    Lost(String),
    /// It goes on, or has not begun.
    Open,
}

/// Settings that repeats share: all but the seed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Point {
    /// Values of the paths that are asked for; none where the settings have no such path.
    pub values: Vec<Option<Value>>,
    /// `model.name`.
    pub network: String,
    /// What it was validated on, as far as settings tell: data set and split.
    pub dataset: String,
    /// Its split in words.
    pub split: Option<String>,
    /// Name of the data set, split and fraction for validation, by their paths.
    pub data: BTreeMap<String, Value>,
    /// Whether neighbours of its validation patches are trained on.
    pub is_leaky: bool,
    /// `samples_per_epoch`, where it is set.
    pub samples: Option<u64>,
    /// What its sweep varies, by dotted path.
    pub parameters: Map<String, Value>,
}

/// A trial in a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its sweep.
    pub sweep: String,
    /// Its identity.
    pub trial: TrialId,
    /// Its seed.
    pub seed: u64,
    /// Its settings: index of a [`Point`].
    pub point: usize,
    /// How it counts.
    pub fate: Fate,
    /// Its value.
    pub value: Option<f64>,
    /// The epoch of that value.
    pub epoch: Option<u64>,
    /// Training seconds.
    pub seconds: Option<f64>,
    /// Epochs that are done.
    pub epochs_done: Option<u64>,
    /// Epochs to do in all.
    pub epochs: Option<u64>,
    /// Whether it had learnt, and tells foreground from background no more.
    pub is_collapsed: bool,
    /// Whether it never told foreground from background.
    pub never_learnt: bool,
    /// Whether it took nearly all for foreground in the epoch of its value.
    pub takes_all: bool,
    /// Whether `max_train_time` ended it.
    pub is_spent: bool,
    /// Whether neighbours of its validation patches were trained on.
    pub is_leaky: bool,
    /// SHA-256 over its data, once an attempt told. None where a part of the files is left out of training.
    pub data_sha256: Option<String>,
    /// The same over the files for validation; of all trials with data, or of none.
    pub val_sha256: Option<String>,
}

impl Member {
    /// Says whether its value counts in the mean of its group.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.fate == Fate::Done && self.value.is_some()
    }

    /// What tells whether two trials were validated on the same files.
    fn files(&self) -> Option<&str> {
        self.val_sha256.as_deref().or(self.data_sha256.as_deref())
    }
}

/// Whether the first group of the same family can be told from this one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Against {
    /// It is the first.
    First,
    /// Yes, with this probability of Welch's test, and after Holm's correction.
    Separable(f64, f64),
    /// No.
    NotSeparable(f64, f64),
    /// One of the two has a single value.
    OneSeed,
    /// All values of each are the same.
    NoSpread,
    /// It has no value.
    NoValue,
    /// None of its trials that count learnt.
    NeverLearnt,
    /// Its trials were validated on different files.
    NotComparable,
}

/// Trials that are compared as one.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// A letter or more, by which tables and notes name it.
    pub name: String,
    /// Values of the paths that it is made by.
    pub values: Vec<Option<Value>>,
    /// Its network; empty where it has several.
    pub network: String,
    /// All its trials.
    pub members: Vec<Member>,
    /// The values that count.
    pub sample: Sample,
    /// Index of the member with the best value that counts.
    pub best: Option<usize>,
    /// Median training time of the trials that count.
    pub median_seconds: Option<f64>,
    /// Lost trials by the word of their state.
    pub lost: BTreeMap<String, usize>,
    /// Different settings in it, the seed aside.
    pub points: usize,
    /// What its trials were validated on, as far as settings tell.
    pub dataset: String,
    /// Whether neighbours of its validation patches were trained on.
    pub is_leaky: bool,
    /// The same, as far as files tell: hashes of those for validation, or else of all.
    pub files: BTreeSet<String>,
    /// Hashes of all files, those for training among them.
    pub all_files: BTreeSet<String>,
    /// `samples_per_epoch` of its trials.
    pub samples: BTreeSet<Option<u64>>,
    /// Groups of one family, counted from 0, were validated on the same; none where its own trials were not.
    pub family: Option<usize>,
    /// Whether the first group of its family can be told from it.
    pub against: Against,
}

impl Group {
    fn new(
        values: Vec<Option<Value>>,
        members: Vec<Member>,
        points: &[Point],
        good: Direction,
    ) -> Self {
        let done = || members.iter().filter(|member| member.counts());
        let mut lost = BTreeMap::new();
        for member in &members {
            let word = match &member.fate {
                Fate::Lost(word) => word.clone(),
                Fate::Done if member.value.is_none() => "without a value".to_owned(),
                _ => continue,
            };
            *lost.entry(word).or_default() += 1;
        }
        let indexed = members.iter().enumerate().filter(|(_, member)| member.counts());
        let best = indexed.min_by(|(_, a), (_, b)| {
            good.rank(a.value, b.value)
                .then_with(|| a.epoch.cmp(&b.epoch))
                .then_with(|| a.trial.cmp(&b.trial))
        });
        let own: BTreeSet<usize> = members.iter().map(|member| member.point).collect();
        let networks: BTreeSet<&str> = own.iter().map(|at| points[*at].network.as_str()).collect();
        Self {
            sample: Sample::of(done().filter_map(|member| member.value)),
            best: best.map(|(at, _)| at),
            median_seconds: median(done().filter_map(|member| member.seconds)),
            lost,
            points: own.len(),
            dataset: points[members[0].point].dataset.clone(),
            is_leaky: members.iter().any(|member| member.is_leaky),
            files: each_once(members.iter().filter_map(Member::files)),
            all_files: each_once(members.iter().filter_map(|member| member.data_sha256.as_deref())),
            samples: own.iter().map(|at| points[*at].samples).collect(),
            network: match Vec::from_iter(networks).as_slice() {
                [one] => (*one).to_owned(),
                _ => String::new(),
            },
            name: String::new(),
            family: None,
            against: Against::First,
            values,
            members,
        }
    }

    /// Number of trials that satisfy something.
    pub fn count(&self, is: impl Fn(&Member) -> bool) -> usize {
        self.members.iter().filter(|member| is(member)).count()
    }

    /// Number of lost trials.
    #[must_use]
    pub fn lost_trials(&self) -> usize {
        self.lost.values().sum()
    }

    /// Number of trials that go on, or have not begun.
    #[must_use]
    pub fn open_trials(&self) -> usize {
        self.count(|member| member.fate == Fate::Open)
    }

    /// The trials whose values count.
    pub fn counted(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.counts())
    }

    /// Says whether none of the trials that count learnt, or took all for foreground where it has its value:
    /// the mean says how frequent foreground is, and nothing of the network.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        self.best.is_some() && self.counted().all(|one| one.never_learnt || one.takes_all)
    }

    /// Says whether the trials that count took all for foreground.
    #[must_use]
    pub fn takes_all(&self) -> bool {
        self.best.is_some() && self.counted().all(|one| one.takes_all)
    }

    /// Says whether its trials were validated on different files.
    #[must_use]
    pub fn is_mixed(&self) -> bool {
        self.files.len() > 1
    }

    /// Says whether both were validated on the same, as far as is known.
    pub(super) fn is_comparable(&self, other: &Self) -> bool {
        let other_files =
            !self.files.is_empty() && !other.files.is_empty() && self.files != other.files;
        !self.is_mixed() && !other.is_mixed() && self.dataset == other.dataset && !other_files
    }
}

/// All groups, family by family: honest splits first, the better mean first, then those that never
/// learnt, those without a value last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// The groups.
    pub groups: Vec<Group>,
    /// Tests that were made in each family, for which Holm's correction accounts.
    pub tests: Vec<usize>,
    /// Trials that are the same as others; each counts once.
    pub twins: usize,
}

/// Groups trials by what they were validated on and the values of their points, or with `apart` by the
/// points themselves, and tests the first group of each family against each other one.
#[must_use]
pub fn compare(members: Vec<Member>, points: &[Point], apart: bool, good: Direction) -> Comparison {
    let (members, twins) = once_each(members);
    let group = |members: Vec<Member>| {
        let values = points[members[0].point].values.clone();
        Group::new(values, members, points, good)
    };
    let (groups, tests) = arrange(grouped(members, points, apart).map(group).collect(), good);
    Comparison { groups, tests, twins }
}

/// Members of each group, the groups in the order of what they are made by. There are many trials to a point:
/// what is done here for each of them is little.
fn grouped(
    members: Vec<Member>,
    points: &[Point],
    apart: bool,
) -> impl Iterator<Item = Vec<Member>> {
    let texts: Vec<String> = points.iter().map(|point| words(&point.values)).collect();
    let key =
        |at: usize| (texts[at].as_str(), points[at].dataset.as_str(), if apart { at } else { 0 });
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_unstable_by(|a, b| key(*a).cmp(&key(*b)));
    let (mut group_of, mut groups, mut newest) = (vec![0; points.len()], Vec::new(), None);
    for at in order {
        if newest != Some(key(at)) {
            newest = Some(key(at));
            groups.push(Vec::new());
        }
        group_of[at] = groups.len() - 1;
    }
    for member in members {
        groups[group_of[member.point]].push(member);
    }
    groups.into_iter().filter(|members| !members.is_empty())
}

/// Trials with the same settings and seed are one and the same, in whatever sweeps they stand; the one that
/// has a value is kept.
fn once_each(mut members: Vec<Member>) -> (Vec<Member>, usize) {
    let all = members.len();
    let rank = |member: &Member| (member.fate != Fate::Done, member.value.is_none());
    let same = |member: &Member| (member.point, member.seed);
    members.sort_by_key(|member| (same(member), rank(member)));
    members.dedup_by_key(|member| same(member));
    let twins = all - members.len();
    (members, twins)
}

fn each_once<'a>(words: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    words.collect::<BTreeSet<_>>().into_iter().map(str::to_owned).collect()
}

fn words(values: &[Option<Value>]) -> String {
    let word = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), Value::to_string);
    values.iter().map(word).collect::<Vec<_>>().join("\u{0}")
}
