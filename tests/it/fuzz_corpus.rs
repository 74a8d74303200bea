//! The inputs that fuzzing kept, through the same doors, with an ordinary compiler.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regatta::fuzzing::DOORS;

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|e| e.expect("entry").file_name().to_string_lossy().into_owned()).collect()
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

#[test]
fn nothing_that_was_found_comes_back() {
    for (target, door) in DOORS {
        let folder = fuzz().join("corpus").join(target);
        let (mut size, names) = (0, names(&folder));
        for name in &names {
            let input = std::fs::read(folder.join(name)).expect("input");
            size += input.len();
            // Which one it was: a panic tells only where.
            eprintln!("{target}/{name}");
            door(&input);
            // What is cut or wrong in one place is what a broken disk makes of it.
            for at in (0..input.len()).step_by(input.len().div_ceil(40).max(1)) {
                door(&input[..at]);
                let mut wrong = input.clone();
                wrong[at] ^= 0x15;
                door(&wrong);
            }
        }
        assert!(names.len() >= 3, "{target} has a corpus");
        assert!(size <= 16_000, "the corpus of {target} is small: {size} bytes");
    }
}

#[test]
fn every_door_has_a_target_and_every_target_a_door() {
    let targets = names(&fuzz().join("fuzz_targets"));
    let doors = DOORS.iter().map(|(name, _)| format!("{name}.rs")).collect();
    assert_eq!(targets, doors);
    let doors = DOORS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz().join("corpus")), doors);
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).expect("manifest");
    for (name, _) in DOORS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} has a program");
    }
}
