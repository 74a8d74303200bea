//! A root whose report has everything on it, for `scripts/report-tests`: seeds, collapses, preemptions,
//! GPUs.

use std::path::Path;

use regatta::event::{Act, Cursor, Decision, Event, Outcome, StopReason};
use regatta::id::{AttemptUuid, Token, TrialId};
use regatta::journal;
use regatta::layout::Root;
use regatta::metric::Metrics;
use serde_json::json;

use crate::runs::at;
use crate::scale::Text;

/// What a trial of the scene is.
struct Part {
    number: u64,
    lr: f64,
    batch: u64,
    network: &'static str,
    split: &'static str,
    seed: u64,
}

/// Writes into the folder that `REGATTA_SCENE` names: `lr-batch` with 60 trials, `leaky` with two, and `many`
/// with `REGATTA_SCENE_TRIALS` trials of 50 epochs (2000 for none).
#[test]
#[ignore = "writes thousands of files; scripts/report-tests calls it"]
fn a_root_for_the_report() {
    let folder = std::env::var("REGATTA_SCENE").expect("REGATTA_SCENE is not set");
    let many = std::env::var("REGATTA_SCENE_TRIALS").map_or(2000, |n| n.parse().expect("a number"));
    scene(&Root::new(folder), many);
}

fn scene(root: &Root, many: u64) {
    let grid = (0..60).map(|number| Part {
        number,
        lr: [1e-4, 3e-4, 1e-3, 3e-3, 1e-2][usize::try_from(number / 12).expect("small")],
        batch: [2, 4, 8, 16][usize::try_from(number / 3 % 4).expect("small")],
        network: "unet",
        split: "file",
        seed: number % 3,
    });
    sweep(root, "lr-batch", &grid.collect::<Vec<_>>(), 30);
    let leaky = (0..2).map(|number| Part {
        number: 5000 + number,
        lr: 1e-3,
        batch: 4,
        // Names may hold anything.
        network: ["unet", "</script><img src=x onerror=alert(1)>"][usize::from(number > 0)],
        split: "leaky_random_patches",
        seed: number,
    });
    sweep(root, "leaky", &leaky.collect::<Vec<_>>(), 12);
    let random = (0..many).map(|number| Part {
        number: 10_000 + number,
        lr: 10_f64.powf(-4.5 + 3.0 * chance(number, 1)),
        batch: [2, 4, 8, 16, 32][usize::try_from(number % 5).expect("small")],
        network: ["unet", "attention_unet", "swin_unet"]
            [usize::try_from(number % 3).expect("small")],
        split: "file",
        seed: 0,
    });
    sweep(root, "many", &random.collect::<Vec<_>>(), 50);
}

/// A number in 0..1 that looks like chance, and is the same each time.
fn chance(number: u64, of: u64) -> f64 {
    let mut x = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ of.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    let fraction = ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
    fraction
}

fn identity(number: u64) -> TrialId {
    format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).parse().expect("id")
}

fn sweep(root: &Root, name: &str, parts: &[Part], epochs: u64) {
    let folder = root.sweep(name);
    std::fs::create_dir_all(folder.path()).expect("sweep");
    let trials: Vec<_> = parts.iter().map(|part| trial(part, epochs)).collect();
    let plan = json!({
        "format": 1, "sweep": name, "trials": trials, "groups": [],
        "objective": { "metric": "val/jaccard", "direction": "maximize" },
        "budget": {
            "margin": 120.0, "max_attempt_time": null, "max_train_time": null, "checkpoint_every": 600.0,
        },
    });
    std::fs::write(folder.plan(), plan.to_string()).expect("plan");
    std::fs::write(folder.document(), format!("name: {name}\n")).expect("document");
    let token = Token::at(at(1));
    let mut acts = Text::default();
    acts.add(0, &Act::Header { format: 1, sweep: name.to_owned(), version: "1".to_owned() });
    let trials = parts.iter().map(|part| identity(part.number)).collect();
    let (scheduler, decision) = ("slurm".to_owned(), Decision::Submit);
    acts.add(1, &Act::Intent { token, scheduler, decision, trials });
    acts.add(1, &Act::Accepted { token, job: "100".to_owned() });
    std::fs::write(folder.controller_journal(), &acts.text).expect("journal");
    for part in parts {
        let trial = folder.trial(&identity(part.number));
        std::fs::create_dir_all(trial.claims()).expect("claims");
        live(part, epochs, token, &trial);
    }
}

fn trial(part: &Part, epochs: u64) -> serde_json::Value {
    let mut parameters = json!({ "optimizer.lr": part.lr, "batch_size": part.batch });
    if part.number >= 5000 {
        parameters["model.name"] = json!(part.network);
    }
    json!({
        "trial": identity(part.number), "seed": part.seed, "repeat": part.seed, "parameters": parameters,
        "settings": {
            "model": { "name": part.network }, "optimizer": { "name": "adamw", "lr": part.lr },
            "data": { "name": "em", "path": "/data/em", "split": part.split, "val_fraction": 0.2 },
            "batch_size": part.batch, "epochs": epochs,
        },
    })
}

/// How a trial ends.
#[derive(PartialEq)]
enum End {
    Good,
    Collapsed,
    Diverged,
    Failed,
    Running,
}

fn live(part: &Part, epochs: u64, token: Token, folder: &regatta::layout::TrialFolder) {
    let end = match part.number % 60 {
        7 | 31 => End::Collapsed,
        50 => End::Diverged,
        22 => End::Failed,
        59 if part.number < 60 => End::Running,
        _ => End::Good,
    };
    let last = if end == End::Failed || end == End::Running { epochs / 2 } else { epochs };
    let is_preempted = part.number % 4 == 1;
    let cut = if is_preempted { epochs / 3 } else { 0 };
    let mut second = 100 + i64::try_from(part.number % 50).expect("small");
    let mut first = 1;
    if is_preempted {
        let mut text = header(part, 1, token, second, epochs);
        second = stretch(&mut text, part, &end, 1..=cut, second, epochs);
        // Half of them were preempted, the others came to their limit.
        let (reason, left) = match part.number % 8 {
            1 => (StopReason::Warned, 2400.0),
            _ => (StopReason::TimeBudget, 130.0),
        };
        text.add(
            second + 1,
            &Event::StopRequested {
                reason,
                cursor: Cursor { epoch: cut + 1, step: 0 },
                predicted: None,
                predicted_save: None,
                time_left: Some(left),
            },
        );
        ended(&mut text, second, (Outcome::Stopped, Some(reason)), cut, 10.0 * whole(cut));
        write(folder, 1, &text);
        second += 240 + i64::try_from(part.number % 7).expect("small") * 60;
        first = 2;
    }
    let mut text = header(part, first, token, second, epochs);
    second = stretch(&mut text, part, &end, cut + 1..=last, second, epochs);
    let outcome = match end {
        End::Running => None,
        End::Failed => Some(Outcome::Failed),
        End::Diverged => Some(Outcome::Diverged),
        _ => Some(Outcome::Finished),
    };
    if let Some(outcome) = outcome {
        ended(&mut text, second, (outcome, None), last, 10.0 * whole(last) + 7.0);
    }
    write(folder, first, &text);
}

fn write(folder: &regatta::layout::TrialFolder, attempt: u32, text: &Text) {
    std::fs::write(folder.claim(attempt), b"{}").expect("claim");
    let path: &Path = &folder.journal(attempt);
    std::fs::write(path, &text.text).expect("journal");
}

fn header(part: &Part, attempt: u32, token: Token, second: i64, epochs: u64) -> Text {
    let mut text = Text::default();
    text.add(
        second,
        &Event::Header {
            format: journal::FORMAT,
            trial: identity(part.number),
            attempt,
            uuid: AttemptUuid::at(at(second)),
            token: Some(token),
            origin: format!("slurm:100_{}:{}", part.number, attempt - 1),
            host: "node-17".to_owned(),
            pid: 4711,
            worker_version: "0.1.0".to_owned(),
            scratch: None,
        },
    );
    text.add(
        second + 4,
        &Event::Started {
            cursor: Cursor { epoch: 1, step: 0 },
            resumed_from: None,
            parameters: 1_900_000,
            device: "cuda:0".to_owned(),
            threads: 4,
            library: "libtorch 2.11.0".to_owned(),
            data: None,
            steps_per_epoch: 100,
            epochs,
            time_left: Some(3600.0),
            seconds_to_start: 4.0,
            elapsed_before: 0.0,
            differs: Vec::new(),
            expected: None,
            train_density: None,
        },
    );
    text
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn whole(number: u64) -> f64 {
    number as f64
}

/// Epochs of ten seconds; returns the second at the end.
fn stretch(
    text: &mut Text,
    part: &Part,
    end: &End,
    epochs: std::ops::RangeInclusive<u64>,
    second: i64,
    all: u64,
) -> i64 {
    let mut now = second + 4;
    for epoch in epochs {
        now += 10;
        let values = values(part, end, epoch, all);
        if epoch % 10 == 5 {
            let mut sample = Metrics::default();
            sample.set(
                "gpu/utilisation",
                70.0 + 25.0 * chance(part.number, epoch) - 150.0 / whole(part.batch + 4),
            );
            sample.set("gpu/memory", 1e9 + 4e8 * whole(part.batch));
            sample.set("gpu/power", 180.0 + 60.0 * chance(part.number, 3));
            text.add(now, &Event::Sample { metrics: sample });
        }
        text.add(
            now,
            &Event::EpochEnded {
                epoch,
                step: epoch * 100,
                metrics: values,
                weights_sha256: format!("{epoch:064x}"),
                train_seconds: 8.5,
                eval_seconds: 1.0,
                images_per_second: 20.0 + 3.0 * whole(part.batch) + chance(part.number, epoch),
                is_best: false,
            },
        );
    }
    now
}

fn values(part: &Part, end: &End, epoch: u64, all: u64) -> Metrics {
    let (x, size) = (part.lr.log10() + 2.9, (whole(part.batch).log2() - 2.5).abs());
    let network = match part.network {
        "swin_unet" => -0.03,
        "attention_unet" => 0.01,
        _ => 0.0,
    };
    let best =
        0.90 - 0.11 * x * x - 0.015 * size + network + 0.02 * (chance(part.number, 99) - 0.5);
    let noise = 0.03 * (chance(part.number, epoch + 1000) - 0.5) * (0.3 + part.lr * 60.0).min(1.5);
    let grown = 1.0 - (-whole(epoch) / (2.0 + 6e-4 / part.lr)).exp();
    let mut jaccard = (best.max(0.05) * grown + noise).clamp(0.001, 0.99);
    let late = whole(epoch) / whole(all);
    let mut val = 0.9 - 0.8 * jaccard + 0.12 * late * late * (part.lr * 300.0).min(1.0);
    let train = 0.88 - 0.84 * jaccard - 0.08 * late;
    let mut recall = (jaccard + 0.06).min(0.99);
    if *end == End::Collapsed && epoch * 10 > all * 6 {
        (jaccard, recall, val) = (1e-9, 0.0, 0.8287);
    }
    if *end == End::Diverged && epoch + 3 > all {
        (val, jaccard) = (f64::NAN, f64::NAN);
    }
    let mut metrics = Metrics::default();
    for (name, value) in [
        ("val/jaccard", jaccard),
        ("val/dice", 2.0 * jaccard / (1.0 + jaccard)),
        ("val/recall", recall),
        ("val/coverage", 0.06),
        ("val/loss", val),
        ("train/loss", train),
        ("learning_rate", part.lr),
    ] {
        metrics.set(name, value);
    }
    metrics
}

fn ended(
    text: &mut Text,
    second: i64,
    how: (Outcome, Option<StopReason>),
    epoch: u64,
    elapsed: f64,
) {
    text.add(
        second + 2,
        &Event::Ended {
            outcome: how.0,
            reason: how.1,
            cursor: Cursor { epoch: epoch + 1, step: 0 },
            elapsed,
            time_left: Some(900.0),
            seconds_to_leave: None,
            error: None,
        },
    );
}
