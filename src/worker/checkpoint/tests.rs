use super::*;
use crate::layout::with_faults;
use crate::worker::learner::Array;

struct Home {
    _folder: tempfile::TempDir,
    folder: TrialFolder,
}

fn home() -> Home {
    let temporary = tempfile::tempdir().expect("folder");
    Home { folder: TrialFolder::new(temporary.path()), _folder: temporary }
}

fn trial() -> TrialId {
    "0123456789abcdef".parse().expect("id")
}

impl Home {
    fn attempt(&self, attempt: u32) -> Checkpoints {
        Checkpoints::new(self.folder.clone(), trial(), 7, attempt)
    }

    fn names(&self) -> Vec<String> {
        let names = self.folder.checkpoint_names().expect("list");
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
        plateau: None,
    }
}

fn write(checkpoints: &mut Checkpoints, state: &LoopState) -> io::Result<Written> {
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let arrays = arrays(state.cursor.epoch as f64);
    let worked = Worked { elapsed: 12.5, epoch_seconds: 1.5 };
    checkpoints.write(&Content { arrays: &arrays, state, worked, now: Timestamp::UNIX_EPOCH })
}

fn newest(checkpoints: &mut Checkpoints) -> (Option<Saved>, Vec<String>) {
    let mut warnings = Vec::new();
    (checkpoints.newest(None, &mut warnings).expect("newest"), warnings)
}

#[test]
fn what_was_saved_comes_back_exactly() {
    let home = home();
    let state = at(3, 3);
    write(&mut home.attempt(1), &state).expect("write");
    let (saved, warnings) = newest(&mut home.attempt(2));
    let saved = saved.expect("saved");
    assert_eq!((saved.arrays, saved.manifest.state), (arrays(4.0), state));
    assert_eq!(saved.manifest.worked, Worked { elapsed: 12.5, epoch_seconds: 1.5 });
    assert!(warnings.is_empty());
}

#[test]
fn the_tensors_are_free_of_time_and_attempt() {
    let (first, second) = (home(), home());
    let a = write(&mut first.attempt(1), &at(3, 3)).expect("write");
    let state = at(3, 3);
    let content = Content {
        arrays: &arrays(4.0),
        state: &state,
        worked: Worked { elapsed: 99.0, epoch_seconds: 0.0 },
        now: Timestamp::from_second(1_000_000).expect("time"),
    };
    let b = second.attempt(5).write(&content).expect("write");
    let read = |home: &Home, name| std::fs::read(home.folder.tensors(name)).expect("read");
    assert!(read(&first, a.name) == read(&second, b.name));
}

#[test]
fn the_last_two_and_the_best_are_kept() {
    let home = home();
    let mut first = home.attempt(1);
    for (epoch, best) in [(1, 1), (2, 2), (3, 2), (4, 2), (5, 2)] {
        write(&mut first, &at(epoch, best)).expect("write");
    }
    assert_eq!(home.names(), ["1-2", "1-4", "1-5"]);
    // The best one stays pinned for the attempts after.
    let mut second = home.attempt(2);
    newest(&mut second);
    for epoch in 6..9 {
        write(&mut second, &at(epoch, 2)).expect("write");
    }
    assert_eq!(home.names(), ["1-2", "2-2", "2-3"]);
    let link = |name| std::fs::read_link(home.folder.checkpoint_link(name)).expect("link");
    assert_eq!(link("last").to_str(), Some("2-3.safetensors"));
    assert_eq!(link("best").to_str(), Some("1-2.safetensors"));
}

#[test]
fn the_best_epochs_checkpoint_is_found_and_replaced_by_the_newest_where_it_is_damaged() {
    let home = home();
    let mut first = home.attempt(1);
    for (epoch, best) in [(1, 1), (2, 1), (3, 1)] {
        write(&mut first, &at(epoch, best)).expect("write");
    }
    let best = |warnings: &mut Vec<String>| {
        let saved = home.attempt(0).best(warnings).expect("best").expect("one");
        saved.manifest.state.cursor.epoch - 1
    };
    let mut warnings = Vec::new();
    assert_eq!((best(&mut warnings), warnings.len()), (1, 0));
    let name = CheckpointName { attempt: 1, generation: 1 };
    layout::write_atomic(&home.folder.tensors(name), b"damaged").expect("write");
    assert_eq!(best(&mut warnings), 3);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}

#[test]
fn an_older_attempt_only_adds_files_that_nobody_reads() {
    let home = home();
    let (mut old, mut new) = (home.attempt(1), home.attempt(2));
    write(&mut old, &at(1, 9)).expect("write");
    write(&mut new, &at(5, 9)).expect("write");
    for epoch in 2..6 {
        write(&mut old, &at(epoch, 9)).expect("write");
    }
    assert!(home.names().contains(&"2-1".to_owned()));
    let (saved, _) = newest(&mut home.attempt(3));
    assert_eq!(saved.expect("saved").name.to_string(), "2-1");
}

#[test]
fn every_damaged_byte_falls_back_to_the_one_before() {
    for (file, place) in [("tensors", 3), ("tensors", 40), ("tensors", 9999), ("manifest", 5)] {
        let home = home();
        let mut first = home.attempt(1);
        write(&mut first, &at(1, 9)).expect("write");
        let second = write(&mut first, &at(2, 9)).expect("write");
        let path = match file {
            "tensors" => home.folder.tensors(second.name),
            _ => home.folder.manifest(second.name),
        };
        let mut bytes = std::fs::read(&path).expect("read");
        let place = place.min(bytes.len() - 1);
        bytes[place] ^= 0x20;
        layout::write_atomic(&path, &bytes).expect("damage");
        let mut third = home.attempt(2);
        let (saved, warnings) = newest(&mut third);
        assert_eq!(saved.expect("saved").name.to_string(), "1-1", "{file} {place}");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        // The damaged one must not push the whole one out.
        write(&mut third, &at(2, 9)).expect("write");
        assert_eq!(home.names(), ["1-1", "2-1"]);
    }
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
        let home = home();
        let mut first = home.attempt(1);
        write(&mut first, &at(1, 9)).expect("write");
        let failed =
            with_faults(&format!("{point}=full"), || write(&mut first, &at(2, 9))).expect("rule");
        assert!(failed.is_err(), "{point}");
        assert_eq!(home.names(), ["1-1"], "{point}");
        assert!(!home.folder.tensors(CheckpointName { attempt: 1, generation: 2 }).exists());
        write(&mut first, &at(2, 9)).expect("again");
        assert_eq!(home.names(), ["1-1", "1-2"], "{point}");
    }
}

#[test]
fn another_trials_checkpoint_and_other_data_are_errors() {
    let home = home();
    let print =
        |sum: &str| Some(Fingerprint { sha256: sum.to_owned(), train_files: 1, val_files: 1 });
    let mut first = home.attempt(1);
    first.newest(print("a"), &mut Vec::new()).expect("none");
    write(&mut first, &at(1, 1)).expect("write");
    let again = home.attempt(2).newest(print("a"), &mut Vec::new());
    assert!(again.expect("same data").is_some());
    let other = home.attempt(2).newest(print("b"), &mut Vec::new());
    assert!(matches!(other, Err(CheckpointError::OtherData { .. })));
    let foreign = "fedcba9876543210".parse().expect("id");
    let found = Checkpoints::new(home.folder.clone(), foreign, 7, 2).newest(None, &mut Vec::new());
    assert!(matches!(found, Err(CheckpointError::Foreign { .. })));
}

#[test]
fn what_a_killed_attempt_left_is_swept_by_the_next() {
    let home = home();
    let mut first = home.attempt(1);
    write(&mut first, &at(1, 9)).expect("write");
    let litter = home.folder.checkpoints();
    layout::write_atomic(&litter.join("1-2.safetensors"), b"no manifest").expect("write");
    layout::write_atomic(&litter.join(".1-3.safetensors.node.1.1.tmp"), b"half").expect("write");
    layout::write_atomic(&litter.join("3-1.safetensors"), b"a newer attempt's").expect("write");
    write(&mut home.attempt(2), &at(2, 9)).expect("write");
    let names = layout::list(&litter).expect("list");
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
