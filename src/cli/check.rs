//! `regatta check`: pre-flight, a line each.

mod grace;
mod job;
mod worker;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Map, Value, json};

use self::job::Looker;

use super::ask::plural;
use super::gate::{Gate, absolute};
use super::sweep_file::SweepFile;
use super::{Context, Failure, plan, preflight};
use crate::help::{Example, examples};
use crate::plan::Plan;
use crate::sweep::Trial;

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("with a short job on a node", "regatta check sweeps/lr-batch.yaml"),
    ("all of it on this machine", "regatta check sweeps/lr-batch.yaml --scheduler local"),
    (
        "the file, the images' names and the script alone, in a moment",
        "regatta check sweeps/lr-batch.yaml --no-worker",
    ),
];

/// Check a sweep before it costs anything: exit 1 if something would fail
///
/// Before the first submission, and after each change of network, images or resources. The worker's part
/// (network, images, memory) goes through the cluster as a short job, where SLURM answers, and is done on
/// this machine where it does not or with `--scheduler local`.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    #[command(flatten)]
    file: SweepFile,
    #[command(flatten)]
    gate: Gate,
    /// Leave the worker's part out: building the network, reading the images
    #[arg(long)]
    no_worker: bool,
    /// Seconds to wait for the job that checks on a node
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    patience: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Good,
    Warning,
    Bad,
    NotChecked,
}

struct Line {
    mark: Mark,
    what: &'static str,
    words: String,
    /// What a program may want to read, beside the words.
    facts: Map<String, Value>,
}

impl Line {
    /// What a worker stumbled over in a data folder is told already, with what to do.
    fn defer_to_data(&mut self, plan: &Plan) {
        let path =
            |trial: &Trial| Some(trial.settings.get("data")?.get("path")?.as_str()?.to_owned());
        let mut paths = plan.trials.iter().filter_map(path);
        if self.mark == Mark::Bad && paths.any(|path| self.words.contains(&path)) {
            self.mark = Mark::NotChecked;
            self.words = "its data cannot be used, see above".to_owned();
        }
    }
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let (sweep, plan) = args.file.read(ctx)?;
    let mut lines = vec![line(
        Mark::Good,
        "sweep",
        format!("{}: {}", plan.sweep, plural(plan.trials.len() as u64, "trial")),
    )];
    lines.push(script(ctx, &plan));
    match preflight::data(&plan) {
        Ok(found) if found.is_empty() => {
            lines.push(line(Mark::Good, "data", "none needed".to_owned()))
        }
        Ok(found) => lines.extend(found.iter().flat_map(|f| {
            let pairs = format!("{}: {} pairs of image and mask", f.path, f.pairs);
            let note = f.note.clone().map(|note| line(Mark::Warning, "data", note));
            [line(Mark::Good, "data", pairs)].into_iter().chain(note)
        })),
        Err(failure) => lines.push(line(Mark::Bad, "data", with_hints(&failure))),
    }
    lines.extend(leakage(&plan));
    lines.extend(budget(&plan));
    lines.push(root(ctx)?);
    let (told, slurm_answers) = grace::cluster(&plan).await;
    lines.extend(told);
    let patience = Duration::from_secs(args.patience);
    let looker = match args.no_worker {
        true => None,
        false => Some(Looker::new(ctx, &plan, &args.gate, slurm_answers, patience)),
    };
    let (mut told, state_bytes) = worker::check(&sweep, &plan, looker).await;
    if lines.iter().any(|line| line.what == "data" && line.mark == Mark::Bad) {
        told.iter_mut().for_each(|line| line.defer_to_data(&plan));
    }
    lines.extend(told);
    lines.push(grace::saving(ctx, &plan, state_bytes)?);
    lines.extend(grace::room(ctx, &plan, state_bytes)?);
    // Several networks on the same images have the same to say of these.
    let mut told = BTreeSet::new();
    lines
        .retain(|line| told.insert((line.what, line.words.clone(), json!(line.facts).to_string())));
    Ok(tell(ctx, &lines))
}

fn tell(ctx: &Context, lines: &[Line]) -> ExitCode {
    let word = |mark| match mark {
        Mark::Good => "ok",
        Mark::Warning => "warning",
        Mark::Bad => "failed",
        Mark::NotChecked => "not checked",
    };
    if ctx.screen.is_json() {
        let all: Vec<_> = lines
            .iter()
            .map(|l| {
                let mut all = json!({ "check": l.what, "result": word(l.mark), "text": l.words });
                l.facts.iter().for_each(|(key, value)| all[key.as_str()] = value.clone());
                all
            })
            .collect();
        ctx.screen.json(&json!({ "schema_version": 1, "checks": all }));
    } else {
        for l in lines {
            let color = match l.mark {
                Mark::Good => "32",
                Mark::Warning => "33",
                Mark::Bad => "31;1",
                Mark::NotChecked => "2",
            };
            ctx.screen.answer(format!(
                "{}  {:9}{}",
                ctx.screen.paint(color, &format!("{:11}", word(l.mark))),
                l.what,
                l.words
            ));
        }
    }
    if lines.iter().any(|l| l.mark == Mark::Bad) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn line(mark: Mark, what: &'static str, words: String) -> Line {
    Line { mark, what, words, facts: Map::new() }
}

fn with_hints(failure: &Failure) -> String {
    std::iter::once(failure.message.clone())
        .chain(failure.hints.iter().cloned())
        .collect::<Vec<_>>()
        .join("; ")
}

fn script(ctx: &Context, plan: &Plan) -> Line {
    match plan::scripts(ctx, plan) {
        Ok(scripts) => line(
            Mark::Good,
            "script",
            format!("{} rendered", plural(scripts.len() as u64, "job script")),
        ),
        Err(failure) => line(Mark::Bad, "script", with_hints(&failure)),
    }
}

fn leakage(plan: &Plan) -> Option<Line> {
    let split = |trial: &crate::sweep::Trial| {
        trial.settings.get("data").and_then(|data| data.get("split")).cloned()
    };
    let leaky = plan
        .trials
        .iter()
        .filter(|trial| split(trial).is_some_and(|split| split == "leaky_random_patches"))
        .count();
    (leaky > 0).then(|| {
        let words = "`leaky_random_patches` puts neighbours of validation patches into training: its values are no measure of generalisation";
        line(Mark::Warning, "leakage", words.to_owned())
    })
}

fn budget(plan: &Plan) -> Vec<Line> {
    let budget = &plan.budget;
    let mut lines = Vec::new();
    for resources in &plan.resources {
        let Some(limit) = resources.time_limit() else {
            lines.push(line(Mark::Warning, "budget", "no `resources.time`: the cluster's default limit holds, and SLURM cannot backfill the job".to_owned()));
            continue;
        };
        let limit = limit.as_secs_f64();
        let hours = limit / 3600.0;
        if budget.margin >= limit / 2.0 {
            lines.push(line(Mark::Warning, "budget", format!("the margin of {} s is more than half of the time limit of {limit} s: it is cut to a fifth", budget.margin)));
        } else if budget.checkpoint_every > limit {
            lines.push(line(Mark::Warning, "budget", format!("checkpoints every {} s are rarer than the time limit of {limit} s: a killed job loses everything since its last epoch's best", budget.checkpoint_every)));
        } else {
            lines.push(line(
                Mark::Good,
                "budget",
                format!(
                    "{hours:.2} h a job, {} s kept free, a checkpoint at least every {} s",
                    // The worker keeps a fifth of its time free at most.
                    budget.margin.min(limit / 5.0),
                    budget.checkpoint_every
                ),
            ));
        }
    }
    lines
}

/// The root itself need not exist: the nearest folder above it must let it be made.
fn nearest_folder(ctx: &Context) -> Result<PathBuf, Failure> {
    let root = absolute(ctx.root.path())?;
    Ok(root.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned())
}

fn root(ctx: &Context) -> Result<Line, Failure> {
    use nix::unistd::{AccessFlags, access};
    let root = absolute(ctx.root.path())?;
    let nearest = nearest_folder(ctx)?;
    Ok(match access(nearest.as_path(), AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => line(Mark::Good, "root", root.display().to_string()),
        Err(error) => line(
            Mark::Bad,
            "root",
            format!(
                "{} cannot be written: {}; `--root` names another",
                nearest.display(),
                error.desc()
            ),
        ),
    })
}
