//! Groups and verdicts over made-up trials.

use serde_json::json;

use super::*;
use crate::metric::Direction;

fn point(lr: f64, dataset: &str) -> Point {
    Point {
        values: vec![Some(json!(lr))],
        network: "unet".to_owned(),
        dataset: dataset.to_owned(),
        ..Point::default()
    }
}

fn trial(number: u64, point: usize, fate: Fate, value: Option<f64>) -> Member {
    Member {
        sweep: "s".to_owned(),
        trial: format!("{number:016x}").parse().expect("id"),
        seed: number,
        point,
        fate,
        value,
        epoch: value.map(|_| 3),
        seconds: Some(60.0),
        epochs_done: Some(5),
        epochs: Some(5),
        is_collapsed: false,
        never_learnt: false,
        takes_all: false,
        is_spent: false,
        is_leaky: false,
        data_sha256: None,
        val_sha256: None,
    }
}

/// Finished trials of points 0, 1, …, with these values.
fn trials(values: &[&[f64]]) -> Vec<Member> {
    let all = values.iter().enumerate().flat_map(|(at, own)| own.iter().map(move |v| (at, *v)));
    (0..).zip(all).map(|(n, (at, value))| trial(n, at, Fate::Done, Some(value))).collect()
}

fn points(count: u32) -> Vec<Point> {
    (0..count).map(|n| point(f64::from(n), "d (file)")).collect()
}

fn told(comparison: &Comparison) -> Vec<String> {
    notes(comparison, false)
}

#[test]
fn the_better_mean_comes_first_and_is_tested_against_each_other() {
    let values: [&[f64]; 3] =
        [&[0.8551, 0.8312, 0.8420, 0.8499], &[0.9238, 0.8990, 0.9105], &[0.9301, 0.8855, 0.9042]];
    let found = compare(trials(&values), &points(3), false, Direction::Maximize);
    let lr: Vec<_> = found.groups.iter().map(|group| group.values[0].clone()).collect();
    assert_eq!(lr, [Some(json!(1.0)), Some(json!(2.0)), Some(json!(0.0))]);
    assert_eq!((found.groups[0].against, found.tests.clone()), (Against::First, vec![2]));
    let (Against::NotSeparable(p, adjusted), Against::Separable(low, twice)) =
        (found.groups[1].against, found.groups[2].against)
    else {
        panic!("{found:#?}");
    };
    // scipy 1.17 `ttest_ind(equal_var=False)`, and Holm for two tests.
    assert!((p - 0.779_992_1).abs() < 1e-6 && (adjusted - p).abs() < 1e-12);
    assert!((low - 0.001_790_12).abs() < 1e-7 && (twice - 2.0 * low).abs() < 1e-12);
    let found = compare(trials(&values), &points(3), false, Direction::Minimize);
    assert_eq!(found.groups[0].values[0], Some(json!(0.0)), "small values are better");
    assert!(told(&found).is_empty());
}

#[test]
fn what_would_be_separable_alone_may_not_be_among_many() {
    // Alone p = 0.0213 (t = 3.674, 4 degrees of freedom).
    let two: [&[f64]; 2] = [&[0.90, 0.91, 0.92], &[0.87, 0.88, 0.89]];
    let alone = compare(trials(&two), &points(2), false, Direction::Maximize);
    assert!(matches!(alone.groups[1].against, Against::Separable(..)), "{alone:#?}");
    let many: [&[f64]; 4] = [two[0], two[1], two[1], two[1]];
    let among = compare(trials(&many), &points(4), false, Direction::Maximize);
    assert!(
        matches!(among.groups[1].against, Against::NotSeparable(p, _) if p < 0.05),
        "{among:#?}"
    );
}

#[test]
fn one_seed_no_spread_and_no_value_are_said() {
    let values: [&[f64]; 3] = [&[0.9, 0.9], &[0.8], &[0.7, 0.7]];
    let mut all = trials(&values);
    all.push(trial(90, 3, Fate::Lost("failed".to_owned()), None));
    let found = compare(all, &points(4), false, Direction::Maximize);
    let against: Vec<_> = found.groups.iter().map(|group| group.against).collect();
    assert_eq!(against, [Against::First, Against::OneSeed, Against::NoSpread, Against::NoValue]);
    assert_eq!(found.tests, [0]);
}

#[test]
fn lost_and_open_trials_are_never_dropped_without_a_word() {
    let mut all = trials(&[&[0.9, 0.91], &[0.8, 0.81]]);
    all.push(trial(90, 0, Fate::Lost("diverged".to_owned()), Some(0.99)));
    all.push(trial(91, 0, Fate::Done, None));
    all.push(trial(92, 1, Fate::Open, Some(0.99)));
    let mut collapsed = trial(93, 1, Fate::Done, Some(0.82));
    collapsed.is_collapsed = true;
    all.push(collapsed);
    let found = compare(all, &points(2), false, Direction::Maximize);
    let first = &found.groups[0];
    assert_eq!((first.sample.n, first.members.len(), first.lost_trials()), (2, 4, 2));
    assert_eq!(first.best.map(|at| first.members[at].value), Some(Some(0.91)));
    assert_eq!(found.groups[1].open_trials(), 1);
    let notes = told(&found);
    for words in [
        "trials were lost, and means are over the others, which may flatter: A: 2 of 4 (1 diverged, 1 without a value)",
        "trials are not finished and do not count yet: B: 1 of 4",
        "trials ended collapsed and count with the value of an earlier epoch: B: 1 of 4",
    ] {
        assert!(notes.iter().any(|note| note == words), "{words}\n{notes:#?}");
    }
}

#[test]
fn other_data_or_splits_are_not_comparable() {
    let values: [&[f64]; 3] = [&[0.9, 0.91], &[0.8, 0.81], &[0.7, 0.72]];
    let own = vec![point(0.0, "d (file)"), point(1.0, "d (leaky)"), point(2.0, "d (file)")];
    let found = compare(trials(&values), &own, false, Direction::Maximize);
    let told_of = |found: &Comparison| -> Vec<(Option<usize>, bool, String)> {
        let of =
            |group: &Group| (group.family, group.against == Against::First, group.dataset.clone());
        found.groups.iter().map(of).collect()
    };
    let (file, leaky) = ("d (file)".to_owned(), "d (leaky)".to_owned());
    let expected = [(Some(0), true, file.clone()), (Some(0), false, file), (Some(1), true, leaky)];
    assert_eq!(told_of(&found), expected);
    assert!(matches!(found.groups[1].against, Against::Separable(..)));
    assert_eq!(found.tests, [1, 0]);
    assert!(told(&found)[0].starts_with("values on different data or splits are not comparable"));
    // The same settings on two splits are two groups.
    let mut own = own;
    own[1].values = own[0].values.clone();
    let found = compare(trials(&values), &own, false, Direction::Maximize);
    assert_eq!(told_of(&found), expected);
    // An honest split comes first, whatever the means.
    let mut all = trials(&values);
    all.iter_mut().filter(|one| one.point != 1).for_each(|one| one.is_leaky = true);
    let found = compare(all, &own, false, Direction::Maximize);
    assert_eq!(found.groups[0].dataset, "d (leaky)", "whose trials are the honest ones here");
    // The same name, but other files.
    let mut all = trials(&values);
    for (at, member) in all.iter_mut().enumerate() {
        member.data_sha256 = Some(if at < 2 { "a" } else { "b" }.to_owned());
    }
    let found = compare(all.clone(), &points(3), false, Direction::Maximize);
    let families = |found: &Comparison| found.groups.iter().map(|g| g.family).collect::<Vec<_>>();
    assert_eq!(families(&found), [Some(0), Some(1), Some(1)]);
    assert!(told(&found)[0].starts_with("groups whose files for validation differ (data_sha256)"));
    // A group that mixes them can be compared with none.
    all[0].data_sha256 = Some("b".to_owned());
    let found = compare(all, &points(3), false, Direction::Maximize);
    assert_eq!(families(&found), [Some(0), Some(0), None]);
    assert_eq!(found.groups[2].against, Against::NotComparable);
    assert!(told(&found)[0].contains("are mixed, and not comparable: C: d (file)"));
    // The same files for validation, though others for training.
    let mut all = trials(&values);
    for (at, member) in all.iter_mut().enumerate() {
        member.data_sha256 = Some(if at < 2 { "a" } else { "b" }.to_owned());
        member.val_sha256 = Some("v".to_owned());
    }
    let found = compare(all.clone(), &points(3), false, Direction::Maximize);
    assert!(matches!(found.groups[1].against, Against::Separable(..)));
    assert_eq!(
        told(&found),
        ["trials were trained on different files (data_sha256), and validated on the same"]
    );
    // Other files for validation, whatever those for training.
    for (at, member) in all.iter_mut().enumerate() {
        member.data_sha256 = None;
        member.val_sha256 = Some(if at < 2 { "v" } else { "w" }.to_owned());
    }
    let found = compare(all, &points(3), false, Direction::Maximize);
    assert_eq!(families(&found), [Some(0), Some(1), Some(1)]);
}

#[test]
fn what_never_learnt_stands_last_whatever_its_mean() {
    let mut all = trials(&[&[0.92, 0.92], &[0.80, 0.81], &[0.70, 0.72]]);
    all[0].never_learnt = true;
    all[0].takes_all = true;
    let found = compare(all.clone(), &points(3), false, Direction::Maximize);
    assert_eq!(found.groups[0].values[0], Some(json!(0.0)), "one of its trials learnt");
    all[1].takes_all = true;
    let found = compare(all, &points(3), false, Direction::Maximize);
    let against: Vec<_> = found.groups.iter().map(|group| group.against).collect();
    assert!(matches!(against[..], [Against::First, Against::Separable(..), Against::NeverLearnt]));
    assert_eq!(
        (found.groups[2].values[0].clone(), found.tests.clone()),
        (Some(json!(0.0)), vec![1])
    );
    assert!(told(&found)[0].ends_with("whatever their means: C: takes all for foreground"));
}

#[test]
fn budgets_that_differ_are_told() {
    let mut all = trials(&[&[0.9, 0.91], &[0.8, 0.81]]);
    (all[2].epochs, all[3].epochs) = (Some(9), Some(9));
    (all[2].seconds, all[3].seconds) = (Some(200.0), Some(220.0));
    all[3].is_spent = true;
    let notes = told(&compare(all.clone(), &points(2), false, Direction::Maximize));
    assert_eq!(
        notes,
        [
            "numbers of epochs differ: A: 5; B: 9",
            "trials ended by max_train_time: B: 1 of 2",
            "median training times differ by more than a factor of 2",
        ]
    );
    for member in &mut all {
        (member.epochs, member.seconds, member.is_spent) = (Some(9), Some(60.0), false);
    }
    all[3].epochs_done = Some(9);
    let notes = told(&compare(all, &points(2), false, Direction::Maximize));
    assert_eq!(notes, ["epochs that were done differ: A: 5; B: 5 to 9"]);
}

#[test]
fn a_trial_of_two_sweeps_counts_once_and_settings_stay_apart_where_wished() {
    let mut all = trials(&[&[0.9, 0.91], &[0.8, 0.81]]);
    let twin = Member { sweep: "t".to_owned(), fate: Fate::Open, value: None, ..all[0].clone() };
    all.insert(0, twin);
    let found = compare(all, &points(2), false, Direction::Maximize);
    assert_eq!((found.twins, found.groups[0].sample.n, found.groups[0].open_trials()), (1, 2, 0));
    // Two points that read alike.
    let mut own = points(2);
    own[1].values = own[0].values.clone();
    let all = trials(&[&[0.9, 0.91], &[0.8, 0.81]]);
    assert_eq!(compare(all.clone(), &own, true, Direction::Maximize).groups.len(), 2);
    let one = compare(all, &own, false, Direction::Maximize);
    assert_eq!(one.groups.len(), 1);
    assert!(told(&one)[0].contains("over settings as well as seeds: A: 2 settings"), "{one:#?}");
}
