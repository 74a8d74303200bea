//! `regatta submit`: stage, submit, and with `--wait` stay until the end.

use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

pub(super) use super::ask::from_store;
use super::ask::plural;
use super::gate::{Gate, absolute, worker_program};
use super::sweep_file::SweepFile;
use super::{Context, Failure, plan, preflight, wait};
use crate::control::{ControlError, Desk, Order, Outcome, Wish};
use crate::help::{Example, examples};
use crate::layout::{BundleError, Root};
use crate::plan::Limits;
use crate::scheduler::{AnyScheduler, Scheduler};
use crate::store::{Mode, Store};

/// Time that this command waits for another one to finish with the sweep.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("to the cluster, and come back at once", "regatta submit sweeps/lr-batch.yaml"),
    ("stay, show progress, send again what stops", "regatta submit sweeps/lr-batch.yaml --wait"),
    (
        "on this machine, two trials side by side",
        "regatta submit sweeps/toy.yaml --scheduler local --slots 2 --wait",
    ),
    ("what would happen", "regatta submit sweeps/lr-batch.yaml --dry-run"),
];

/// Submit a sweep: to SLURM, or to this machine
///
/// Trials that are done, in flight or stopped are left alone, so that a sweep that has grown can be
/// submitted again.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    #[command(flatten)]
    file: SweepFile,
    #[command(flatten)]
    gate: Gate,
    /// Show the plan; touch nothing
    #[arg(long)]
    dry_run: bool,
    /// Write scripts and job files; submit nothing
    #[arg(long, conflicts_with = "dry_run")]
    stage_only: bool,
    /// Stay until all trials ended; exit 3 if some are not finished. Ctrl-C leaves the jobs running
    #[arg(long, conflicts_with_all = ["dry_run", "stage_only"])]
    wait: bool,
    #[command(flatten)]
    pace: wait::Pace,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let (sweep, plan) = args.file.read(ctx)?;
    if args.dry_run {
        plan::show(ctx, &plan, Limits::default(), false)?;
        return Ok(ExitCode::SUCCESS);
    }
    let data = preflight::data(&plan)?;
    for found in data {
        ctx.screen.note(format!("data {}: {} pairs of image and mask", found.path, found.pairs));
        if let Some(note) = found.note {
            ctx.screen.note(format!("note: {note}"));
        }
    }
    let worker = worker_program()?;
    let scheduler = args.gate.open_for(ctx, None, args.pace.poll)?;
    let limits = limits(&scheduler).await;
    let name = plan.sweep.clone();
    let root = Root::new(absolute(ctx.root.path())?);
    if let Some(other) = results_above(ctx.root.path(), root.path()) {
        ctx.screen.note(format!(
            "note: {} has results already; these go into {}, which is new (--root names another)",
            other.display(),
            root.path().display()
        ));
    }
    let outcome = {
        let mut desk =
            Desk::stage(&root, plan, &sweep.text, &ctx.clock, PATIENCE).map_err(from_control)?;
        let mut store = open_store(&root).await?;
        for error in desk.reconcile(&scheduler).await.map_err(from_control)? {
            ctx.screen.warn(format!("an earlier submission is still unclear: {error}"));
        }
        let sight = desk.look(&scheduler, &mut store).await.map_err(from_control)?;
        let order = Order {
            worker,
            limits,
            wish: Wish::New,
            stage_only: args.stage_only,
            workspace: args.file.workspace(),
        };
        let outcome = desk.submit(&scheduler, &sight, &order).await.map_err(from_control)?;
        collect_after(ctx, &mut store, &root, &name).await;
        outcome
    };
    tell(ctx, &name, &scheduler, &outcome);
    if args.wait && outcome.refused.is_empty() {
        return wait::until_the_end(ctx, &root, &name, &scheduler, &args.pace).await;
    }
    Ok(if is_incomplete(&outcome) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A folder of results in one of the folders above, where the one that is meant is not there yet: somebody may have
/// changed into another working folder.
fn results_above(typed: &Path, root: &Path) -> Option<PathBuf> {
    if typed.is_absolute() || root.exists() {
        return None;
    }
    // `./runs` is `runs`.
    let typed: PathBuf = typed.components().filter(|part| *part != Component::CurDir).collect();
    let here = root.ancestors().nth(typed.components().count())?;
    let above = here.ancestors().skip(1).map(|folder| Root::new(folder.join(&typed)));
    above.filter(|other| other.database().is_file()).map(|other| other.path().to_owned()).next()
}

/// Says whether something that was asked for is not with the scheduler.
pub(super) fn is_incomplete(outcome: &Outcome) -> bool {
    !(outcome.refused.is_empty() && outcome.unheard.is_empty() && outcome.limited.is_empty())
}

/// Collects what was just submitted. What was accepted is in the journal: that the database takes it
/// only later is no failure.
pub(super) async fn collect_after(ctx: &Context, store: &mut Store, root: &Root, sweep: &str) {
    if let Err(error) = store.collect(root, sweep, crate::clock::Clock::now(&ctx.clock)).await {
        let why = super::failure::chain(&error);
        ctx.screen.warn(format!("the database is behind, what was submitted stands: {why}"));
    }
}

/// Tells what came of a submission.
pub(super) fn tell(ctx: &Context, sweep: &str, scheduler: &AnyScheduler, outcome: &Outcome) {
    if ctx.screen.is_json() {
        ctx.screen.json(&json!({
            "schema_version": 1, "sweep": sweep, "scheduler": scheduler.name(),
            "accepted": outcome.accepted.iter().map(|(job, tasks)| json!({ "job": job.id, "token": job.token, "tasks": tasks })).collect::<Vec<_>>(),
            "refused": outcome.refused.iter().map(|(error, tasks)| json!({ "error": error.to_string(), "tasks": tasks })).collect::<Vec<_>>(),
            "unheard": outcome.unheard.iter().map(|(error, tasks)| json!({ "error": error.to_string(), "tasks": tasks })).collect::<Vec<_>>(),
            "limited": outcome.limited.iter().map(|(error, tasks)| json!({ "error": error.to_string(), "tasks": tasks })).collect::<Vec<_>>(),
            "staged": outcome.staged, "waiting": outcome.waiting, "due": outcome.due, "notes": outcome.notes,
            "skipped": { "finished": outcome.finished, "in_flight": outcome.in_flight, "stopped": outcome.stopped },
        }));
    }
    note(ctx, sweep, scheduler, outcome);
}

/// Tells what came of a submission that is not the answer of a command.
pub(super) fn note(ctx: &Context, sweep: &str, scheduler: &AnyScheduler, outcome: &Outcome) {
    for (job, tasks) in &outcome.accepted {
        ctx.screen.note(format!(
            "submitted {} of {sweep} as {} job {}",
            plural(*tasks as u64, "trial"),
            scheduler.name(),
            job.id
        ));
    }
    for path in &outcome.staged {
        ctx.screen.note(format!("staged {}", path.display()));
    }
    for (error, tasks) in &outcome.refused {
        let trials = plural(*tasks as u64, "trial");
        ctx.screen.warn(format!("{trials} not submitted: {error}"));
        if let Some(hint) = error.hint() {
            ctx.screen.note(format!("   hint: {hint}"));
        }
    }
    for (error, tasks) in &outcome.limited {
        let trials = plural(*tasks as u64, "trial");
        ctx.screen.warn(format!("{trials} not submitted yet: {error}"));
        ctx.screen.note(format!(
            "   they are submitted when there is room: by `--wait`, or by {}",
            ctx.command(&format!("tick {sweep}"))
        ));
    }
    for note in &outcome.notes {
        ctx.screen.note(format!("note: {note}"));
    }
    if let Some(due) = outcome.due.filter(|_| outcome.waiting > 0) {
        let trials = plural(outcome.waiting as u64, "trial");
        ctx.screen.note(format!("{trials} submitted again later, the first not before {due:.0}"));
    }
    for (error, tasks) in &outcome.unheard {
        ctx.screen.warn(format!(
            "{tasks} trials may or may not be submitted: {error}; the next command looks for them"
        ));
    }
    left_alone(ctx, sweep, outcome);
}

/// Trials to which nothing happened, by how they stand, and what would make those that stopped go on.
fn left_alone(ctx: &Context, sweep: &str, outcome: &Outcome) {
    let states = outcome.stopped_as.iter().map(|(word, count)| (*count, word.replace('_', " ")));
    let skipped = [(outcome.finished, "finished"), (outcome.in_flight, "in flight")];
    let skipped = skipped.map(|(count, word)| (count, word.to_owned())).into_iter().chain(states);
    let skipped: Vec<_> = skipped
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if !skipped.is_empty() {
        ctx.screen.note(format!("left alone: {}", skipped.join(", ")));
    }
    let mut ways: Vec<(&str, String)> = Vec::new();
    for word in outcome.stopped_as.keys() {
        let way = match word.as_str() {
            "cancelled" => ("cancelled", format!("resume {sweep} --state cancelled")),
            "failed" | "diverged" | "out_of_memory" => ("failed", format!("retry {sweep}")),
            _ => ("stopped", format!("resume {sweep}")),
        };
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    let told: Vec<String> = ways
        .iter()
        .map(|(which, way)| format!("{which} ones go on with {}", ctx.command(way)))
        .collect();
    if !told.is_empty() {
        ctx.screen.note(format!("   {}", told.join(", ")));
    }
}

/// Asks the cluster for its limits; what it does not tell is SLURM's default.
pub(super) async fn limits(scheduler: &AnyScheduler) -> Limits {
    let told = match scheduler {
        AnyScheduler::Slurm(slurm) => {
            slurm.limits().await.ok().and_then(|limits| limits.tasks_per_array())
        }
        AnyScheduler::Local(_) => None,
    };
    told.map_or_else(Limits::default, |size| Limits { max_array_tasks: size.max(1) })
}

/// Opens the database for writing.
pub(super) async fn open_store(root: &Root) -> Result<Store, Failure> {
    Store::open(&root.database(), Mode::ReadWrite).await.map_err(from_store)
}

pub(super) fn from_control(error: ControlError) -> Failure {
    let hint = match &error {
        ControlError::Busy { .. } => Some("wait for it to end, or look for it with `ps`"),
        ControlError::Folder { .. } => Some(
            "is the disk full, or the folder somebody else's? `--root` (or REGATTA_ROOT) names another one",
        ),
        ControlError::NoSweep { .. } => Some(
            "`regatta status` lists the sweeps; a YAML file is submitted with `regatta submit`",
        ),
        ControlError::Script(_) => Some("`regatta plan SWEEP.yaml --scripts` shows the scripts"),
        ControlError::Scheduler(error) => error.hint(),
        ControlError::Exists { .. } => Some(
            "a sweep keeps its name, which its journals hold: import it under another root (`--root`), or move the one that is there away",
        ),
        ControlError::Bundle(BundleError::Newer { .. }) => Some("use the newer regatta"),
        ControlError::Bundle(BundleError::Refused { .. }) => {
            Some("nothing was imported; copy the bundle again, or pack it again")
        }
        ControlError::Bundle(BundleError::Io { .. }) => Some(
            "is the path right, and is there room? `regatta export SWEEP --bundle FILE` packs a sweep",
        ),
        ControlError::Damaged { .. } | ControlError::Store(_) => None,
    };
    let failure = Failure::site(super::failure::chain(&error));
    hint.into_iter().fold(failure, Failure::hint)
}
