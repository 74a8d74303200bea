use std::time::Duration;

use super::*;
use crate::clock::VirtualClock;
use crate::layout::{self, CheckpointFolder, TrialFolder, with_faults};
use crate::worker::learner::Array;

struct Home {
    temporary: tempfile::TempDir,
    folder: CheckpointFolder,
}

fn home() -> Home {
    let temporary = tempfile::tempdir().expect("folder");
    let folder = TrialFolder::new(temporary.path()).checkpoints();
    Home { temporary, folder }
}

fn trial() -> TrialId {
    "0123456789abcdef".parse().expect("id")
}

fn owner(attempt: u32, data: Option<Fingerprint>) -> Owner {
    Owner { trial: trial(), seed: 7, data, made: Made::default(), attempt }
}

fn clock() -> VirtualClock {
    VirtualClock::starting(Timestamp::UNIX_EPOCH)
}

/// A saver that counts its snapshots.
struct Counting(Saver, u32);

impl Counting {
    fn write(&mut self, state: &LoopState) -> Result<Written, NotSaved> {
        self.1 += 1;
        self.0.save(&snapshot(self.1, state, 12.5))
    }
}

impl Home {
    fn places(&self) -> Places {
        Places { own: self.folder.clone(), scratch: None }
    }

    /// An attempt that knows what stands.
    fn attempt(&self, attempt: u32) -> Counting {
        let Finding { found, damaged, .. } = self.newest();
        let best = found.and_then(|found| found.best);
        Counting(Saver::new(owner(attempt, None), self.places(), best, damaged), 0)
    }

    fn newest(&self) -> Finding {
        Shelf::new(trial(), self.folder.clone()).newest(None, &clock()).expect("newest")
    }

    fn names(&self) -> Vec<String> {
        let names = self.folder.names().expect("list");
        names.iter().map(ToString::to_string).collect()
    }
}

fn arrays(value: f64) -> State {
    State::from([
        ("model.w".to_owned(), Array::of_f64(&[value, 2.0 * value])),
        ("optimizer.m".to_owned(), Array::of_f64(&[-value])),
    ])
}

fn at(epoch: u64, best: u64) -> LoopState {
    LoopState {
        cursor: Cursor { epoch: epoch + 1, step: 0 },
        loss_sum: 0.1 + 0.2,
        best: Some(Best { epoch: best, value: 0.5 }),
        last: None,
        plateau: Some(Plateau { factor: 0.1, best: Some(1.0 / 3.0), bad: 2, cooldown: 1 }),
        health: Health { factor: 0.1, best: Some(0.1 + 0.2), blind: 1, ..Health::default() },
    }
}

#[expect(clippy::cast_precision_loss, reason = "small")]
fn snapshot(generation: u32, state: &LoopState, elapsed: f64) -> Snapshot {
    Snapshot {
        generation,
        arrays: Arc::new(arrays(state.cursor.epoch as f64)),
        state: state.clone(),
        worked: Worked { elapsed, epoch_seconds: 1.5, ..Worked::default() },
        at: Timestamp::from_millisecond((elapsed * 1e3) as i64).expect("time"),
        unrecorded: Vec::new(),
    }
}

#[test]
fn what_was_saved_comes_back_exactly() {
    let home = home();
    let state = at(3, 3);
    home.attempt(1).write(&state).expect("write");
    let Finding { found, warnings, .. } = home.newest();
    let found = found.expect("saved");
    assert_eq!((found.saved.arrays, found.saved.manifest.state), (arrays(4.0), state));
    let worked = found.saved.manifest.worked;
    assert_eq!((worked.elapsed, worked.epoch_seconds), (12.5, 1.5));
    assert!(warnings.is_empty());
}

#[test]
fn the_tensors_are_free_of_time_and_attempt() {
    let (first, second) = (home(), home());
    let a = first.attempt(1).write(&at(3, 3)).expect("write");
    let mut later = owner(5, None);
    later.made.threads = 8;
    let b = Saver::new(later, second.places(), None, Vec::new());
    let b = { b }.save(&snapshot(9, &at(3, 3), 99.0)).expect("write");
    let read = |home: &Home, name| std::fs::read(home.folder.tensors(name)).expect("read");
    assert!(read(&first, a.name) == read(&second, b.name));
}

#[test]
fn the_last_two_and_the_best_are_kept() {
    let home = home();
    let mut first = home.attempt(1);
    for (epoch, best) in [(1, 1), (2, 2), (3, 2), (4, 2), (5, 2)] {
        first.write(&at(epoch, best)).expect("write");
    }
    assert_eq!(home.names(), ["1-2", "1-4", "1-5"]);
    // The best one stays pinned for the attempts after.
    let mut second = home.attempt(2);
    for epoch in 6..9 {
        second.write(&at(epoch, 2)).expect("write");
    }
    assert_eq!(home.names(), ["1-2", "2-2", "2-3"]);
    let link = |name| std::fs::read_link(home.folder.link(name)).expect("link");
    assert_eq!(link("last").to_str(), Some("2-3.safetensors"));
    assert_eq!(link("best").to_str(), Some("1-2.safetensors"));
}

#[test]
fn a_best_epoch_that_waited_is_not_taken_for_the_newest() {
    let home = home();
    let Counting(mut saver, _) = home.attempt(1);
    saver.save(&snapshot(2, &at(5, 3), 1.0)).expect("the newest first");
    saver.save(&snapshot(1, &at(3, 3), 1.0)).expect("then the best");
    let found = home.newest().found.expect("one");
    assert_eq!((found.saved.name.generation, found.best.expect("best").generation), (2, 1));
    let link = |name| std::fs::read_link(home.folder.link(name)).expect("link");
    assert_eq!(link("last").to_str(), Some("1-2.safetensors"));
    assert_eq!(link("best").to_str(), Some("1-1.safetensors"));
}

#[test]
fn the_best_epochs_checkpoint_is_found_and_replaced_by_the_newest_where_it_is_damaged() {
    let home = home();
    let mut first = home.attempt(1);
    for (epoch, best) in [(1, 1), (2, 1), (3, 1)] {
        first.write(&at(epoch, best)).expect("write");
    }
    let best = |warnings: &mut Vec<String>| {
        let shelf = Shelf::new(trial(), home.folder.clone());
        shelf.best(&clock(), warnings).expect("best").expect("one").0
    };
    let mut warnings = Vec::new();
    assert_eq!((best(&mut warnings).as_str(), warnings.len()), ("1-1", 0));
    let name = CheckpointName { attempt: 1, generation: 1 };
    layout::write_atomic(&home.folder.tensors(name), b"damaged").expect("write");
    assert_eq!(best(&mut warnings), "1-3");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}

#[test]
fn an_older_attempt_only_adds_files_that_nobody_reads() {
    let home = home();
    let (mut old, mut new) = (home.attempt(1), home.attempt(2));
    old.write(&at(1, 9)).expect("write");
    new.write(&at(5, 9)).expect("write");
    for epoch in 2..6 {
        old.write(&at(epoch, 9)).expect("write");
    }
    // Not even to make room.
    let full = with_faults("checkpoint.save=full", || old.write(&at(6, 9))).expect("rule");
    assert!(full.is_err());
    assert!(home.names().contains(&"2-1".to_owned()));
    assert_eq!(home.newest().found.expect("one").saved.name.to_string(), "2-1");
}

#[test]
fn every_damaged_byte_falls_back_to_the_one_before() {
    for (file, place) in [("tensors", 3), ("tensors", 40), ("tensors", 9999), ("manifest", 5)] {
        let home = home();
        let mut first = home.attempt(1);
        first.write(&at(1, 9)).expect("write");
        let second = first.write(&at(2, 9)).expect("write");
        let path = match file {
            "tensors" => home.folder.tensors(second.name),
            _ => home.folder.manifest(second.name),
        };
        let mut bytes = std::fs::read(&path).expect("read");
        let place = place.min(bytes.len() - 1);
        bytes[place] ^= 0x20;
        layout::write_atomic(&path, &bytes).expect("damage");
        let Finding { found, warnings, .. } = home.newest();
        assert_eq!(found.expect("one").saved.name.to_string(), "1-1", "{file} {place}");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        // The damaged one must not push the whole one out.
        home.attempt(2).write(&at(2, 9)).expect("write");
        assert_eq!(home.names(), ["1-1", "2-1"]);
    }
}

#[test]
fn what_the_disk_does_not_give_is_tried_again_and_never_thrown_away() {
    let home = home();
    let mut first = home.attempt(1);
    first.write(&at(1, 9)).expect("write");
    first.write(&at(2, 9)).expect("write");
    let shelf = Shelf::new(trial(), home.folder.clone());
    let time = clock();
    let read = |faults: &str| with_faults(faults, || shelf.newest(None, &time)).expect("rule");
    let name = |finding: Finding| finding.found.expect("one").saved.name.to_string();
    assert_eq!(name(read("checkpoint.read:0:3=stale").expect("comes back")), "1-2");
    let older = read("checkpoint.read:0:4=io").expect("the one before");
    assert!(older.damaged.is_empty() && older.warnings.len() == 1);
    assert_eq!(name(older), "1-1");
    let none = read("checkpoint.read:0:99=stale").expect_err("not a new beginning");
    assert!(matches!(none, CheckpointError::Unreadable { .. }), "{none}");
    assert!(crate::clock::Clock::monotonic(&time) >= Duration::from_secs(18), "it waited");
}

#[test]
fn a_full_disk_at_any_moment_leaves_the_older_one_and_no_half() {
    for point in [
        "checkpoint.save",
        "write.content:0",
        "write.rename",
        "checkpoint.manifest",
        "write.sync:1",
    ] {
        for word in ["full", "quota", "io", "stale", "readonly"] {
            let home = home();
            let mut first = home.attempt(1);
            first.write(&at(1, 9)).expect("write");
            let rule = format!("{point}={word},checkpoint.weights=full");
            let failed = with_faults(&rule, || first.write(&at(2, 9))).expect("rule");
            assert_eq!(failed.expect_err("a fault").weights, None, "{point}");
            assert_eq!(home.names(), ["1-1"], "{point}");
            assert!(!home.folder.tensors(CheckpointName { attempt: 1, generation: 2 }).exists());
            first.write(&at(2, 9)).expect("again");
            assert_eq!(home.names(), ["1-1", "1-3"], "{point}");
        }
    }
}

#[test]
fn on_a_full_disk_older_checkpoints_make_room_but_for_the_newest_and_the_best() {
    let home = home();
    let mut first = home.attempt(1);
    for epoch in 1..=4 {
        first.write(&at(epoch, 1)).expect("write");
    }
    assert_eq!(home.names(), ["1-1", "1-3", "1-4"]);
    let room = with_faults("write.content=full", || first.write(&at(5, 1))).expect("rule");
    assert_eq!(room.expect("the second try").name.generation, 5);
    assert_eq!(home.names(), ["1-1", "1-4", "1-5"]);
    // Nothing is left that could go: the newest and the best stay.
    let full =
        with_faults("write.content:0:2=full,checkpoint.weights=full", || first.write(&at(6, 1)));
    full.expect("rule").expect_err("no room");
    assert_eq!(home.names(), ["1-1", "1-5"]);
}

#[test]
fn what_the_shared_folder_refuses_goes_to_the_node_then_weights_alone() {
    let home = home();
    let scratch = CheckpointFolder::new(home.temporary.path().join("node/regatta-x"));
    let places = Places { own: home.folder.clone(), scratch: Some(scratch.clone()) };
    let mut saver = Saver::new(owner(1, None), places, None, Vec::new());
    let mut save = |generation, epoch, faults: &str| {
        with_faults(faults, || saver.save(&snapshot(generation, &at(epoch, 9), 1.0))).expect("rule")
    };
    assert_eq!(save(1, 1, "").expect("shared").elsewhere, None);
    let spilled = save(2, 2, "checkpoint.save=quota").expect("node");
    assert_eq!(spilled.elsewhere.as_deref(), Some(scratch.path()));
    // Resumed on the same node: the newer one counts.
    let mut shelf = Shelf::new(trial(), home.folder.clone());
    assert_eq!(
        shelf.newest(None, &clock()).expect("read").found.expect("one").saved.name.generation,
        1
    );
    shelf.add(scratch.clone());
    let found = shelf.newest(None, &clock()).expect("read").found.expect("one");
    assert_eq!((found.saved.name.generation, found.folder), (2, scratch.clone()));

    let nowhere = "checkpoint.save=io,checkpoint.scratch=full";
    let weights = save(3, 3, nowhere).expect_err("no checkpoint").weights.expect("weights");
    assert_eq!(weights, home.folder.weights(CheckpointName { attempt: 1, generation: 3 }));
    let on_node = format!("{nowhere},checkpoint.weights=readonly");
    let weights = save(4, 4, &on_node).expect_err("no checkpoint").weights.expect("weights");
    assert!(weights.starts_with(scratch.path()), "{}", weights.display());
    assert_eq!(home.names(), ["1-1"], "weights are no checkpoint");

    save(5, 5, "").expect("shared again");
    assert_eq!(home.names(), ["1-1", "1-5"]);
    assert!(!scratch.path().exists(), "nothing is left on the node");
    assert!(home.folder.weights_names().expect("list").is_empty());
}

#[test]
fn weights_alone_can_be_used_to_predict_where_there_is_nothing_else() {
    let home = home();
    let mut first = home.attempt(1);
    let only = with_faults("checkpoint.save=full", || first.write(&at(2, 2))).expect("rule");
    assert!(only.expect_err("no checkpoint").weights.is_some());
    assert!(home.newest().found.is_none(), "training begins anew");
    let mut warnings = Vec::new();
    let shelf = Shelf::new(trial(), home.folder.clone());
    let (name, weights) = shelf.best(&clock(), &mut warnings).expect("read").expect("weights");
    assert_eq!((name.as_str(), warnings.len()), ("1-1 (weights)", 1));
    assert_eq!(weights.keys().collect::<Vec<_>>(), ["model.w"]);
    assert_eq!(weights["model.w"], arrays(3.0)["model.w"]);
}

#[test]
fn another_trials_checkpoint_and_other_data_are_errors() {
    let home = home();
    let print = |sum: &str| Fingerprint {
        sha256: sum.to_owned(),
        val_sha256: None,
        train_files: 1,
        val_files: 1,
    };
    let mut saver = Saver::new(owner(1, Some(print("a"))), home.places(), None, Vec::new());
    saver.save(&snapshot(1, &at(1, 1), 1.0)).expect("write");
    let shelf = |trial| Shelf::new(trial, home.folder.clone());
    let again = shelf(trial()).newest(Some(&print("a")), &clock());
    assert!(again.expect("same data").found.is_some());
    let other = shelf(trial()).newest(Some(&print("b")), &clock());
    assert!(matches!(other, Err(CheckpointError::OtherData { .. })));
    let foreign = shelf("fedcba9876543210".parse().expect("id")).newest(None, &clock());
    assert!(matches!(foreign, Err(CheckpointError::Foreign { .. })));
}

#[test]
fn what_a_killed_attempt_left_is_swept_by_the_next() {
    let home = home();
    home.attempt(1).write(&at(1, 9)).expect("write");
    let litter = home.folder.path();
    layout::write_atomic(&litter.join("1-2.safetensors"), b"no manifest").expect("write");
    layout::write_atomic(&litter.join(".1-3.safetensors.node.1.1.tmp"), b"half").expect("write");
    layout::write_atomic(&litter.join("3-1.safetensors"), b"a newer attempt's").expect("write");
    home.attempt(2).write(&at(2, 9)).expect("write");
    let names = layout::list(litter).expect("list");
    assert!(!names.iter().any(|name| name.contains("1-2") || name.contains("1-3")), "{names:?}");
    assert!(names.contains(&"3-1.safetensors".to_owned()));
}

#[test]
fn the_weights_checksum_sees_names_shapes_and_bytes_of_the_model_only() {
    let sum = weights_sha256(&arrays(1.0));
    let mut moments = arrays(1.0);
    moments.insert("optimizer.v".to_owned(), Array::of_f64(&[9.0]));
    assert_eq!(weights_sha256(&moments), sum);
    let mut reshaped = arrays(1.0);
    reshaped.get_mut("model.w").expect("array").shape = vec![2, 1];
    let mut renamed = arrays(1.0);
    let weights = renamed.remove("model.w").expect("array");
    renamed.insert("model.x".to_owned(), weights);
    let sums =
        [sum, weights_sha256(&reshaped), weights_sha256(&renamed), weights_sha256(&arrays(1.1))];
    assert_eq!(sums.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
}

#[test]
fn what_changed_between_attempts_is_told() {
    let made = Made {
        worker_version: "0.1.0".to_owned(),
        binary_sha256: Some("a".repeat(64)),
        library: "libtorch".to_owned(),
        device: "cpu".to_owned(),
        cpu: "some".to_owned(),
        threads: 4,
    };
    assert!(made.differences(&made).is_empty());
    let now = Made { threads: 1, binary_sha256: Some("b".repeat(64)), ..made.clone() };
    assert_eq!(
        made.differences(&now),
        ["program: bbbbbbbbbbbb, was aaaaaaaaaaaa", "threads: 1, was 4"]
    );
}
