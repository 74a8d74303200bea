//! Schedules, the plateau and metrics against those of PyTorch, timm and torchmetrics. What needs
//! libtorch stands beside the code in `src/train`.
#![expect(clippy::expect_used, reason = "helpers of tests fail like tests")]

use regatta::metric::{Confusion, Metrics};
use regatta::setting::{Plateau, Schedule};
use regatta::worker::plateau;
use serde_json::Value;

const SCHEDULES: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/training_schedules.json"));
const METRICS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/training_metrics.json"));

fn cases<'a>(all: &'a Value, of: &str) -> &'a [Value] {
    all[of].as_array().expect("cases")
}

fn numbers(values: &Value) -> Vec<f64> {
    let values = values.as_array().expect("numbers");
    values.iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
}

#[test]
fn the_factors_of_schedules_are_those_of_the_reference() {
    let all: Value = serde_json::from_str(SCHEDULES).expect("JSON");
    let cases = cases(&all, "cases");
    assert!(cases.len() >= 11);
    for case in cases {
        let schedule: Schedule =
            serde_json::from_value(case["settings"].clone()).expect("settings");
        let whole = |name: &str| case[name].as_u64().expect("a number");
        let (total, per_epoch) = (whole("total"), whole("steps_per_epoch"));
        let expected = numbers(&case["factors"]);
        assert_eq!(expected.len() as u64, total);
        for (done, expected) in (0..).zip(expected) {
            let factor = schedule.factor(done, total, per_epoch);
            // Theirs multiply from step to step, and round each time.
            assert!((factor - expected).abs() < 1e-12, "{schedule:?} {done}: {factor} {expected}");
        }
    }
}

#[test]
fn the_falls_of_a_plateau_are_those_of_the_reference() {
    let all: Value = serde_json::from_str(SCHEDULES).expect("JSON");
    let cases = cases(&all, "plateaus");
    assert!(cases.len() >= 12);
    for case in cases {
        let settings: Plateau = serde_json::from_value(case["settings"].clone()).expect("settings");
        let mut state = plateau::Plateau::start();
        let expected = numbers(&case["factors"]);
        assert!(expected.last().is_some_and(|last| *last < 1.0), "nothing falls: {settings:?}");
        for (epoch, (value, expected)) in
            numbers(&case["values"]).into_iter().zip(expected).enumerate()
        {
            let mut metrics = Metrics::default();
            metrics.set(settings.metric.as_str(), value);
            state = state.after(&settings, &metrics);
            let apart = (state.factor - expected).abs();
            assert!(apart <= 1e-12 * expected, "{settings:?} {epoch}: {} {expected}", state.factor);
        }
    }
}

#[test]
fn metrics_are_those_of_the_reference() {
    let all: Value = serde_json::from_str(METRICS).expect("JSON");
    let cases = cases(&all, "cases");
    assert!(cases.len() >= 4);
    for case in cases {
        let pixels = |name: &str| case[name].as_str().expect("a word").bytes().map(|b| b == b'1');
        let mut counts = Confusion::default();
        for (predicted, truth) in pixels("predicted").zip(pixels("truth")) {
            counts.count(predicted, truth);
        }
        for (name, value) in [
            ("jaccard", counts.jaccard()),
            ("dice", counts.dice()),
            ("precision", counts.precision()),
            ("recall", counts.recall()),
        ] {
            let expected = case[name].as_f64().expect("a number");
            // Theirs are 32-bit.
            assert!((value - expected).abs() < 1e-6, "{name}: {value} {expected}");
        }
    }
}
