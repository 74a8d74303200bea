//! A root with very many trials, for `scripts/reliability rebuild`.

use std::fmt::Write as _;
use std::path::Path;

use regatta::event::{Act, Cursor, Decision, Event, Outcome};
use regatta::id::{AttemptUuid, Token, TrialId};
use regatta::journal::{self, Record};
use regatta::layout::Root;
use regatta::metric::Metrics;
use serde_json::json;

use crate::runs::at;

/// Tasks of an array.
const ARRAY: usize = 1000;

/// Writes sweeps into the folder that `REGATTA_SCALE` names: `REGATTA_SCALE_SWEEPS` of
/// `REGATTA_SCALE_TRIALS` trials of `REGATTA_SCALE_EPOCHS` epochs.
#[test]
#[ignore = "writes up to a million files; scripts/reliability rebuild calls it"]
fn a_root_with_very_many_trials() {
    let value = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let number = |name: &str| value(name).parse::<u64>().expect("a number");
    let root = Root::new(value("REGATTA_SCALE"));
    let mut events = 0;
    for sweep in 0..number("REGATTA_SCALE_SWEEPS") {
        let (trials, epochs) = (number("REGATTA_SCALE_TRIALS"), number("REGATTA_SCALE_EPOCHS"));
        events += write_sweep(&root, &format!("sweep-{sweep}"), trials, epochs);
    }
    println!("{events} events");
}

fn write_sweep(root: &Root, name: &str, count: u64, epochs: u64) -> u64 {
    let folder = root.sweep(name);
    std::fs::create_dir_all(folder.path()).expect("sweep");
    let ids: Vec<TrialId> = (0..count).map(identity).collect();
    let mut plan = format!(
        r#"{{"format":1,"sweep":"{name}","objective":{{"metric":"val/jaccard","direction":"maximize"}},"#
    );
    plan.push_str(r#""budget":{"margin":120.0,"max_attempt_time":null,"max_train_time":null,"checkpoint_every":600.0},"trials":["#);
    for (number, id) in (0..).zip(&ids) {
        let comma = if number == 0 { "" } else { "," };
        write!(plan, "{comma}{}", trial(number, id, epochs)).expect("text");
    }
    plan.push_str("]}");
    std::fs::write(folder.plan(), plan).expect("plan");
    std::fs::write(folder.document(), format!("name: {name}\n")).expect("document");
    let (mut acts, mut tokens) = (Text::default(), Vec::new());
    acts.add(0, &Act::Header { format: 1, sweep: name.to_owned(), version: "1".to_owned() });
    for (second, trials) in (1..).zip(ids.chunks(ARRAY)) {
        let token = Token::at(at(second));
        tokens.push(token);
        let (scheduler, trials) = ("slurm".to_owned(), trials.to_vec());
        acts.add(second, &Act::Intent { token, scheduler, decision: Decision::Submit, trials });
        acts.add(second, &Act::Accepted { token, job: format!("{}", 100 + second) });
    }
    std::fs::write(folder.controller_journal(), &acts.text).expect("journal");
    let mut events = acts.seq;
    for (index, id) in ids.iter().enumerate() {
        let trial = folder.trial(id);
        std::fs::create_dir_all(trial.claims()).expect("claims");
        std::fs::write(trial.claim(1), b"{}").expect("claim");
        events += write_attempt(&trial.journal(1), id, tokens[index / ARRAY], epochs);
    }
    events
}

fn write_attempt(path: &Path, id: &TrialId, token: Token, epochs: u64) -> u64 {
    let mut text = Text::default();
    text.add(
        100,
        &Event::Header {
            format: journal::FORMAT,
            trial: id.clone(),
            attempt: 1,
            uuid: AttemptUuid::at(at(100)),
            token: Some(token),
            origin: "slurm:123_4:0".to_owned(),
            host: "node-17".to_owned(),
            pid: 4711,
            worker_version: "0.1.0".to_owned(),
            scratch: None,
        },
    );
    for epoch in 1..=epochs {
        let second = 100 + 10 * i64::try_from(epoch).expect("small");
        let cursor = Cursor { epoch, step: 50 };
        text.add(second, &Event::Heartbeat { cursor, loss: Some(0.25), remaining: Some(60.0) });
        let mut metrics = Metrics::default();
        for name in ["train/loss", "val/loss", "val/jaccard", "val/dice", "learning_rate"] {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            metrics.set(name, epoch as f64 / 7.0);
        }
        text.add(second, &Event::Sample { metrics: metrics.clone() });
        text.add(
            second,
            &Event::EpochEnded {
                epoch,
                step: epoch * 100,
                metrics,
                weights_sha256: format!("{epoch:064x}"),
                train_seconds: 9.0,
                eval_seconds: 1.0,
                images_per_second: 12.5,
                is_best: true,
            },
        );
    }
    let cursor = Cursor { epoch: epochs + 1, step: 0 };
    text.add(
        160,
        &Event::Ended {
            outcome: Outcome::Finished,
            reason: None,
            cursor,
            elapsed: 50.0,
            time_left: None,
            seconds_to_leave: None,
            error: None,
        },
    );
    std::fs::write(path, &text.text).expect("journal");
    text.seq
}

/// A journal in memory.
#[derive(Default)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) seq: u64,
}

impl Text {
    pub(crate) fn add<T: serde::Serialize>(&mut self, second: i64, body: &T) {
        self.seq += 1;
        self.text +=
            &journal::encode(&Record { seq: self.seq, at: at(second), body }).expect("json");
    }
}

fn identity(number: u64) -> TrialId {
    format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).parse().expect("id")
}

/// As large as a trial of a U-Net.
fn trial(number: u64, id: &TrialId, epochs: u64) -> serde_json::Value {
    json!({
        "trial": id, "seed": number, "repeat": 0,
        "parameters": { "optimizer.lr": 1e-3, "batch_size": number, "model.base": 16 },
        "settings": {
            "model": { "name": "unet", "base": 16, "depth": 4, "norm": "batch", "dropout": 0.1, "up": "transposed" },
            "data": { "name": "epfl-lucchi", "path": "/scratch/group/data/epfl-lucchi", "patch": 256, "split": "file", "overlap": 0.0 },
            "optimizer": { "name": "adamw", "lr": 1e-3, "weight_decay": 1e-4, "clip_norm": 1.0, "l2_conv": 0.0, "betas": [0.9, 0.999] },
            "schedule": { "name": "cosine", "warmup": 2, "floor": 0.01 },
            "loss": { "bce": 0.5, "dice": 0.5, "focal": 0.0 },
            "augmentation": { "flip": true, "rotate": true, "elastic": 0.1, "brightness": 0.1, "noise": 0.01 },
            "guards": { "divergence": 10.0, "patience": 20, "collapse": 0.01, "rewind": 2 },
            "batch_size": number, "epochs": epochs, "gradient_accumulation": 1, "precision": "f32",
        },
    })
}
