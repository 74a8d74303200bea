//! The worker's part of a check: would a trial of each kind start, and what does it take.

use serde::Deserialize;
use serde_json::{Value, json};

use super::job::{Looker, Unlooked};
use super::{Line, Mark, line, with_hints};
use crate::cli::Failure;
use crate::plan::Plan;
use crate::setting::known_paths;
use crate::sweep::{CheckSaid, Sweep};

/// Kinds of trials that are tried at most.
const MAX_KINDS: usize = 24;

/// What `regatta-worker check --json` tells; a worker of another version may leave things out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Report {
    parameters: Option<u64>,
    device: Option<String>,
    library: Option<String>,
    memory_bytes: Option<u64>,
    peak_bytes: Option<u64>,
    step_seconds: Option<f64>,
    state_bytes: Option<u64>,
    steps_per_epoch: Option<u64>,
    train_files: Option<u64>,
    val_files: Option<u64>,
    train_density: Option<f64>,
    val_density: Option<f64>,
    data: Option<Data>,
    leak_jaccard: Option<f64>,
    leak_reason: Option<String>,
    leak_warning: Option<String>,
    warnings: Vec<String>,
}

/// What a worker tells of the images.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Data {
    train: Share,
    val: Share,
    all: Share,
    test_files: u64,
    unused_files: u64,
    left_out: u64,
    bits: Vec<u32>,
    planes: Vec<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Share {
    slices: u64,
    density: f64,
    empty_slices: u64,
    brightness: f64,
    brightness_std: f64,
}

impl Share {
    fn as_text(&self, name: &str) -> String {
        let empty = match self.empty_slices {
            0 => String::new(),
            empty => format!(" ({empty} without foreground)"),
        };
        format!(
            "{name} {} slices{empty}, foreground {:.2} %, brightness {:.3} ± {:.3}",
            self.slices,
            100.0 * self.density,
            self.brightness,
            self.brightness_std
        )
    }
}

impl Data {
    fn as_text(&self) -> String {
        let list =
            |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(" and ");
        let planes = if self.planes == [1] { "grey".to_owned() } else { "colour".to_owned() };
        let mut parts = vec![
            format!("{}-bit {planes}", list(&self.bits)),
            self.train.as_text("training"),
            self.val.as_text("validation"),
            format!("foreground of both {:.2} %", 100.0 * self.all.density),
        ];
        for (count, what) in [
            (self.left_out, "files or patches left out by data.train_fraction"),
            (self.test_files, "files for the test"),
            (self.unused_files, "files unused"),
        ] {
            parts.extend((count > 0).then(|| format!("{count} {what}")));
        }
        parts.join("; ")
    }
}

/// The lines, and the size of the largest checkpoint in bytes, as far as workers told it.
pub(super) async fn check(
    sweep: &Sweep,
    plan: &Plan,
    looker: Option<Result<Looker<'_>, Failure>>,
) -> (Vec<Line>, Option<u64>) {
    let looker = match looker {
        None => return (vec![line(Mark::NotChecked, "worker", "left out".to_owned())], None),
        Some(Err(failure)) => {
            return (vec![line(Mark::NotChecked, "worker", with_hints(&failure))], None);
        }
        Some(Ok(looker)) => looker,
    };
    let (mut lines, mut largest) = (Vec::new(), None);
    let (tried, others) = kinds(plan);
    for index in tried.iter().copied() {
        let said = match looker.look(index).await {
            Ok(said) => said,
            Err(Unlooked::Failed(words)) => {
                lines.push(line(Mark::Bad, "worker", one_line(&words)));
                continue;
            }
            Err(Unlooked::NotChecked(words)) => {
                lines.push(line(Mark::NotChecked, "worker", one_line(&words)));
                continue;
            }
        };
        let CheckSaid { exit_code, output: out, errors, host } = said;
        let model = plan.trials[index].settings.get("model").and_then(|model| model.get("name"));
        let model = model.and_then(Value::as_str).unwrap_or("network");
        let on_a_node = host.is_some();
        let on = match host {
            Some(host) => format!("on {host}: {model}: "),
            None => format!("{model}: "),
        };
        if exit_code != 0 {
            let words = one_line(&format!("{out}\n{errors}"));
            let place = place_of(sweep, &words);
            lines.push(line(Mark::Bad, "worker", format!("{on}{words}{place}")));
            continue;
        }
        let report = serde_json::from_str::<Report>(&out).ok();
        let found = report.as_ref().map_or(out, Report::as_text);
        let report = report.unwrap_or_default();
        let words = one_line(&format!("{on}{found}\n{errors}"));
        lines.push(if report.warnings.is_empty() && !errors.trim().is_empty() {
            line(Mark::Warning, "worker", words)
        } else {
            line(Mark::Good, "worker", one_line(&format!("{on}{found}")))
        });
        let split = plan.trials[index].settings.get("data").and_then(|data| data.get("split"));
        lines.extend(report.data_lines(split));
        largest = largest.max(report.state_bytes);
        lines.extend(memory(plan, index, report.memory_bytes.max(report.peak_bytes)));
        lines.extend(gpu(plan, index, report.device.as_deref(), on_a_node));
    }
    if others > 0 {
        let words = format!(
            "{others} more kinds of network and data: {} are tried at most; check them by a sweep of \
             their own",
            tried.len()
        );
        lines.push(line(Mark::NotChecked, "worker", words));
    }
    (lines, largest)
}

/// The line of the sweep to change, where the worker's words begin with a setting.
fn place_of(sweep: &Sweep, words: &str) -> String {
    let words = words.strip_prefix("error: ").unwrap_or(words);
    let setting = words.split(": ").next().unwrap_or_default();
    let is_known = known_paths().any(|known| known == setting);
    let place = is_known.then(|| sweep.place_of(setting)).flatten();
    place.map_or(String::new(), |place| format!(" (see {place})"))
}

/// A failure where a job asks for a GPU and its worker computes without.
fn gpu(plan: &Plan, trial: usize, device: Option<&str>, on_a_node: bool) -> Option<Line> {
    let resources = plan.resources.get(*plan.asks.get(trial)?)?;
    let asked = resources.gpus.as_ref().map_or(0, |gpus| gpus.count);
    (on_a_node && asked > 0 && device == Some("cpu")).then(|| {
        let words = format!(
            "the job asks for {asked} (`resources.gpus`), and the worker computes on the CPU: does it \
             find the CUDA libraries of its libtorch (LD_LIBRARY_PATH, `environment` block)?"
        );
        line(Mark::Bad, "gpu", words)
    })
}

/// A trial of each kind of network and data: the one with the largest minibatch, which takes the most
/// memory. And how many more kinds there are.
fn kinds(plan: &Plan) -> (Vec<usize>, usize) {
    let of = |index: usize, key: &str| plan.trials[index].settings.get(key);
    let minibatch = |index| of(index, "batch_size").and_then(Value::as_u64);
    let (mut found, mut others): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    for index in 0..plan.trials.len() {
        let is_alike =
            |other: &usize| ["model", "data"].iter().all(|key| of(index, key) == of(*other, key));
        match found.iter().position(is_alike) {
            Some(at) if minibatch(index) > minibatch(found[at]) => found[at] = index,
            Some(_) => {}
            None if found.len() < MAX_KINDS => found.push(index),
            None if others.iter().any(is_alike) => {}
            None => others.push(index),
        }
    }
    (found, others.len())
}

/// A warning where a trial takes more memory than its job asks for.
fn memory(plan: &Plan, trial: usize, bytes: Option<u64>) -> Option<Line> {
    let needed = bytes?.div_ceil(1 << 20);
    let resources = plan.resources.get(*plan.asks.get(trial)?)?;
    let asked = resources.mem?.mebibytes();
    (needed > asked).then(|| {
        let words = format!(
            "about {needed} MiB are needed, more than the {asked} MiB of `resources.mem`: the job may \
             end with OUT_OF_MEMORY"
        );
        line(Mark::Warning, "memory", words)
    })
}

impl Report {
    /// What was found of the images with this split: their numbers, how much they leak, and each warning.
    fn data_lines(&self, split: Option<&Value>) -> Vec<Line> {
        let split_words = match split {
            Some(Value::String(word)) => format!("split {word}: "),
            Some(other) => format!("split {other}: "),
            None => String::new(),
        };
        let told =
            |data: &Data| line(Mark::Good, "images", format!("{split_words}{}", data.as_text()));
        let mut lines: Vec<Line> = self.data.iter().map(told).collect();
        let leak = match (self.leak_jaccard, &self.leak_warning, &self.leak_reason) {
            (Some(_), Some(warning), _) => Some(line(Mark::Warning, "leak", warning.clone())),
            (Some(jaccard), None, _) => {
                let words = format!(
                    "copying the mask of the nearest training slice scores a Jaccard of {jaccard:.3}"
                );
                Some(line(Mark::Good, "leak", words))
            }
            (None, _, Some(why)) => {
                Some(line(Mark::Good, "leak", format!("not applicable: {why}")))
            }
            (None, _, None) => None,
        };
        lines.extend(leak.map(|mut line| {
            let facts = json!({
                "leak_jaccard": self.leak_jaccard, "leak_reason": self.leak_reason, "split": split,
            });
            line.facts = facts.as_object().cloned().unwrap_or_default();
            line
        }));
        let others = self.warnings.iter().filter(|text| Some(*text) != self.leak_warning.as_ref());
        lines.extend(others.map(|text| line(Mark::Warning, "images", text.clone())));
        lines
    }

    fn as_text(&self) -> String {
        let mut parts = Vec::new();
        let device = self.device.as_deref().unwrap_or("an unknown device");
        let library = self.library.as_ref().map_or(String::new(), |library| format!("{library}: "));
        let memory = self.memory_bytes.map(|bytes| bytes.div_ceil(1 << 20));
        let memory = memory.map_or(String::new(), |mebibytes| format!(", about {mebibytes} MiB"));
        if let Some(parameters) = self.parameters {
            parts.push(format!("{library}{parameters} parameters on {device}{memory}"));
        }
        let images = self
            .train_files
            .zip(self.val_files)
            .map(|(train, val)| format!("{train} training and {val} validation images"));
        let steps = self.steps_per_epoch.map(|steps| format!("{steps} steps an epoch"));
        let first = self.step_seconds.map(|seconds| format!("the first took {seconds:.2} s"));
        let work: Vec<String> = images.into_iter().chain(steps).chain(first).collect();
        parts.extend((!work.is_empty()).then(|| work.join(", ")));
        if let Some((train, val)) = self.train_density.zip(self.val_density)
            && self.data.is_none()
        {
            parts.push(format!("foreground {:.1} % and {:.1} %", 100.0 * train, 100.0 * val));
        }
        parts.join("; ")
    }
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_as_a_sentence_whatever_it_leaves_out() {
        let text = |json: &str| serde_json::from_str::<Report>(json).expect("report").as_text();
        assert_eq!(
            text(
                r#"{"parameters":7477,"device":"cpu","memory_bytes":175000000,"steps_per_epoch":3,
                    "train_files":6,"val_files":2,"train_density":0.11,"val_density":0.097,"new":1}"#
            ),
            "7477 parameters on cpu, about 167 MiB; 6 training and 2 validation images, 3 steps an \
             epoch; foreground 11.0 % and 9.7 %"
        );
        assert_eq!(text(r#"{"steps_per_epoch":3}"#), "3 steps an epoch");
        assert_eq!(text("{}"), "");
    }

    #[test]
    fn images_leaks_and_warnings_have_lines_of_their_own() {
        let lines = |json: &str| {
            let report = serde_json::from_str::<Report>(json).expect("report");
            let word = |mark| if mark == Mark::Good { "ok" } else { "warning" };
            let split = json!({ "by": "blocks", "gap": 2 });
            let lines = report.data_lines(Some(&split));
            for line in lines.iter().filter(|line| line.what == "leak") {
                assert_eq!(line.facts["leak_jaccard"], json!(report.leak_jaccard));
                assert_eq!(line.facts["split"], split);
            }
            lines.iter().map(|l| format!("{} {}: {}", word(l.mark), l.what, l.words)).collect()
        };
        let none: Vec<String> = lines("{}");
        assert!(none.is_empty(), "{none:?}");
        let told: Vec<String> = lines(
            r#"{"data":{"bits":[8],"planes":[1],"train":{"slices":6,"density":0.11,"empty_slices":1,
                "brightness":0.5,"brightness_std":0.25},"val":{"slices":2,"density":0.0971},
                "all":{"density":0.1067},"left_out":7,"test_files":5},"leak_jaccard":0.919,"leak_warning":"copies",
                "warnings":["copies","odd masks"]}"#,
        );
        assert_eq!(
            told,
            [
                "ok images: split {\"by\":\"blocks\",\"gap\":2}: 8-bit grey; training 6 slices (1 without foreground), foreground 11.00 %, \
                 brightness 0.500 ± 0.250; validation 2 slices, foreground 9.71 %, brightness 0.000 ± \
                 0.000; foreground of both 10.67 %; 7 files or patches left out by data.train_fraction; \
                 5 files for the test",
                "warning leak: copies",
                "warning images: odd masks",
            ]
        );
        let fine: Vec<String> = lines(r#"{"leak_jaccard":0.22,"leak_reason":null}"#);
        assert_eq!(
            fine,
            ["ok leak: copying the mask of the nearest training slice scores a Jaccard of 0.220"]
        );
        let single: Vec<String> = lines(r#"{"leak_jaccard":null,"leak_reason":"too few"}"#);
        assert_eq!(single, ["ok leak: not applicable: too few"]);
    }
}
