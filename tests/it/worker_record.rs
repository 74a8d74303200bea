//! What the real worker leaves in the record: what differs, the environment, never secrets.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use regatta::event::Event;
use regatta::layout;
use serde_json::{Value, json};

use crate::toy_trial::ToyTrial;
use crate::worker_process::{send, start, status, uncut, worker};

fn differs(trial: &ToyTrial, attempt: u32) -> Vec<String> {
    let started = trial.events(attempt).into_iter().find_map(|event| match event {
        Event::Started { differs, resumed_from: Some(_), .. } => Some(differs),
        _ => None,
    });
    started.expect("a resumed attempt")
}

#[test]
fn another_program_is_told_and_training_goes_on() {
    let toy = json!({ "step_seconds": 0.03 });
    let trial = ToyTrial::new(&toy);
    for attempt in 1..=2 {
        let log = trial.folder().log(attempt);
        let mut child =
            if attempt == 1 { start(&trial) } else { worker(&trial).spawn().expect("worker") };
        crate::worker_process::wait_until("training", || {
            std::fs::read_to_string(&log).is_ok_and(|text| text.contains(" at epoch "))
        });
        send(&child, Signal::SIGTERM);
        assert_eq!(child.wait().expect("wait").code(), Some(75));
    }
    assert_eq!(differs(&trial, 2), [""; 0], "the same program");
    let name = *trial.folder().checkpoints().names().expect("names").last().expect("one");
    let path = trial.folder().checkpoints().manifest(name);
    let mut manifest: Value =
        serde_json::from_slice(&std::fs::read(&path).expect("read")).expect("json");
    let sum = &mut manifest["made"]["binary_sha256"];
    assert!(sum.as_str().is_some_and(|sum| sum.len() == 64), "{sum}");
    *sum = json!("0123456789ab".repeat(6)[..64]);
    layout::write_atomic(&path, manifest.to_string().as_bytes()).expect("write");

    assert_eq!(status(&trial, &[], "").code(), Some(0));
    let differs = differs(&trial, 3);
    assert!(differs.len() == 1 && differs[0].ends_with("was 0123456789ab"), "{differs:?}");
    let warned = trial.events(3).into_iter().any(|event| {
        matches!(event, Event::Warning { text } if text.contains(&differs[0]) && text.contains("bit-equal"))
    });
    assert!(warned);
    assert_eq!(trial.essence(), uncut(&toy), "it was the same program after all");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn no_file_of_a_trial_has_a_secret() {
    let trial = ToyTrial::new(&json!({}));
    let secrets = [
        ("SLURM_JWT", "c2VjcmV0LW9uZQ"),
        ("WANDB_API_KEY", "c2VjcmV0LXR3bw"),
        ("MY_TOKEN", "c2VjcmV0LXRocmVl"),
        ("REGATTA_PASSWORD", "c2VjcmV0LWZvdXI"),
        ("DATABASE_URL", "sqlite://c2VjcmV0LWZpdmU"),
    ];
    let mut command = worker(&trial);
    command.envs(secrets).env("OMP_NUM_THREADS", "3").env("SLURM_JOB_ID", "4711");
    command.env("RUST_LOG", "trace");
    assert_eq!(command.status().expect("worker").code(), Some(0));
    let all = files(trial.folder().path());
    assert!(all.len() >= 7, "{all:?}");
    for path in all {
        let bytes = std::fs::read(&path).expect("read");
        let text = String::from_utf8_lossy(&bytes);
        for (name, secret) in secrets {
            assert!(!text.contains(secret), "{name} in {}", path.display());
        }
    }
    let kept = trial.events(1).into_iter().find_map(|event| match event {
        Event::Surroundings { environment, .. } => Some(environment),
        _ => None,
    });
    let kept = kept.expect("surroundings");
    assert_eq!(kept.get("OMP_NUM_THREADS").map(String::as_str), Some("3"));
    assert_eq!(kept.get("SLURM_JOB_ID").map(String::as_str), Some("4711"));
    assert!(secrets.iter().all(|(name, _)| !kept.contains_key(*name)), "{kept:?}");
}
