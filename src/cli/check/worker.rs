//! The worker's part of a check: would a trial of each kind start, and what does it take.

use serde::Deserialize;

use super::job::{Looker, Said, Unlooked};
use super::{Line, Mark, line, with_hints};
use crate::cli::Failure;
use crate::plan::Plan;
use crate::setting::known_paths;
use crate::sweep::Sweep;

/// Kinds of trials that are tried at most.
const MAX_KINDS: usize = 8;

/// What `regatta-worker check --json` tells; a worker of another version may leave things out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Report {
    parameters: Option<u64>,
    device: Option<String>,
    library: Option<String>,
    memory_bytes: Option<u64>,
    state_bytes: Option<u64>,
    steps_per_epoch: Option<u64>,
    train_files: Option<u64>,
    val_files: Option<u64>,
    train_density: Option<f64>,
    val_density: Option<f64>,
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
    for index in kinds(plan) {
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
        let Said { exit_code, output: out, errors, host } = said;
        let on = host.map_or(String::new(), |host| format!("on {host}: "));
        if exit_code != 0 {
            let words = one_line(&format!("{out}\n{errors}"));
            let place = place_of(sweep, &words);
            lines.push(line(Mark::Bad, "worker", format!("{on}{words}{place}")));
            continue;
        }
        let report = serde_json::from_str::<Report>(&out).ok();
        let found = report.as_ref().map_or(out, Report::as_text);
        let words = one_line(&format!("{on}{found}\n{errors}"));
        let mark = if errors.trim().is_empty() { Mark::Good } else { Mark::Warning };
        lines.push(line(mark, "worker", words));
        let report = report.unwrap_or_default();
        largest = largest.max(report.state_bytes);
        lines.extend(memory(plan, index, report.memory_bytes));
        lines.extend(gpu(plan, index, report.device.as_deref(), !on.is_empty()));
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
/// memory.
fn kinds(plan: &Plan) -> Vec<usize> {
    let of = |index: usize, key: &str| plan.trials[index].settings.get(key);
    let minibatch = |index| of(index, "batch_size").and_then(serde_json::Value::as_u64);
    let mut found: Vec<usize> = Vec::new();
    for index in 0..plan.trials.len() {
        let is_alike =
            |other: &usize| ["model", "data"].iter().all(|key| of(index, key) == of(*other, key));
        match found.iter().position(is_alike) {
            Some(at) if minibatch(index) > minibatch(found[at]) => found[at] = index,
            Some(_) => {}
            None if found.len() < MAX_KINDS => found.push(index),
            None => {}
        }
    }
    found
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
        let work: Vec<String> = images.into_iter().chain(steps).collect();
        parts.extend((!work.is_empty()).then(|| work.join(", ")));
        if let Some((train, val)) = self.train_density.zip(self.val_density) {
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
}
