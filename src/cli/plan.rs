//! `regatta plan`: everything that would happen, and nothing happens.

use std::process::ExitCode;

use serde_json::json;

use super::ask::plural;
use super::gate::{absolute, worker_program};
use super::sweep_file::SweepFile;
use super::{Context, Failure, table};
use crate::help::{Example, examples};
use crate::id::Token;
use crate::plan::{JobSpec, Limits, Plan, restart_limit};
use crate::script::{self, JobScript};

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("the trials and the jobs", "regatta plan sweeps/lr-batch.yaml"),
    ("what sbatch would get, too", "regatta plan sweeps/lr-batch.yaml --scripts"),
    ("the settings of all trials, for a program", "regatta plan sweeps/lr-batch.yaml --json"),
];

/// Show the trials and jobs of a sweep; touch nothing
///
/// To see what a sweep file means before it is submitted: every trial with its id, every job with what it
/// asks for.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    #[command(flatten)]
    file: SweepFile,
    /// Show the rendered job scripts too
    #[arg(long)]
    scripts: bool,
    /// Trials that one job array may hold (SLURM's MaxArraySize less one)
    #[arg(long, default_value_t = 1000, value_name = "N")]
    max_array_tasks: u32,
}

pub(super) fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let (_, plan) = args.file.read(ctx)?;
    show(ctx, &plan, Limits { max_array_tasks: args.max_array_tasks }, args.scripts)?;
    // The process ends here: freeing 10,000 trials one by one would take a third of its time.
    std::mem::forget(plan);
    Ok(ExitCode::SUCCESS)
}

/// Shows a plan, for `plan` and `submit --dry-run`.
pub(super) fn show(
    ctx: &Context,
    plan: &Plan,
    limits: Limits,
    scripts: bool,
) -> Result<(), Failure> {
    let jobs = plan.all_jobs(limits);
    let rendered = if scripts { render_all(ctx, plan, &jobs)? } else { Vec::new() };
    if ctx.screen.is_json() {
        let trials: Vec<_> = plan.trials.iter().map(|trial| json!({
            "trial": trial.id, "seed": trial.seed, "parameters": trial.parameters, "settings": trial.settings,
        })).collect();
        let jobs: Vec<_> = jobs.iter().map(|job| json!({
            "resources": job.resources, "tasks": job.trials.len(), "throttle": job.throttle,
            "trials": job.trials.iter().map(|index| &plan.trials[*index].id).collect::<Vec<_>>(),
        })).collect();
        ctx.screen.json(&json!({
            "schema_version": 1, "sweep": plan.sweep, "objective": plan.objective, "budget": plan.budget,
            "policy": plan.policy, "trials": trials, "jobs": jobs, "scripts": rendered,
        }));
        return Ok(());
    }
    ctx.screen.answer(trials_table(plan));
    ctx.screen.answer(format!(
        "\n{}: {} in {}; {} {}",
        plan.sweep,
        plural(plan.trials.len() as u64, "trial"),
        plural(jobs.len() as u64, "job"),
        plan.objective.direction,
        plan.objective.metric
    ));
    for (index, job) in jobs.iter().enumerate() {
        ctx.screen.answer(describe(index, job));
    }
    for (index, text) in rendered.iter().enumerate() {
        ctx.screen.answer(format!("\n# ---- script of job {} ----\n{text}", index + 1));
    }
    Ok(())
}

fn trials_table(plan: &Plan) -> String {
    let rows = table::Parameters::new(plan.trials.iter().map(|trial| &*trial.parameters));
    let mut shown = table::new();
    shown.set_header(
        std::iter::once("TRIAL".to_owned()).chain(rows.headers()).chain(["SEED".to_owned()]),
    );
    for trial in &plan.trials {
        let cells = std::iter::once(trial.id.to_string())
            .chain(rows.cells(&trial.parameters))
            .chain([trial.seed.to_string()]);
        shown.add_row(cells.collect::<Vec<_>>());
    }
    table::text(&shown)
}

fn describe(index: usize, job: &JobSpec) -> String {
    let asks = job
        .resources
        .directives()
        .map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    let asks = asks.unwrap_or_else(|error| error.to_string());
    let throttle = job.throttle.map_or(String::new(), |n| format!(", {n} at a time"));
    let asks = if asks.is_empty() { "the cluster's defaults".to_owned() } else { asks };
    format!("  job {}: {}{throttle}; {asks}", index + 1, plural(job.trials.len() as u64, "task"))
}

/// Renders the scripts of all jobs as a first submission would.
pub(super) fn scripts(ctx: &Context, plan: &Plan) -> Result<Vec<String>, Failure> {
    render_all(ctx, plan, &plan.all_jobs(Limits::default()))
}

fn render_all(ctx: &Context, plan: &Plan, jobs: &[JobSpec]) -> Result<Vec<String>, Failure> {
    jobs.iter().map(|job| render(ctx, plan, job)).collect()
}

fn render(ctx: &Context, plan: &Plan, job: &JobSpec) -> Result<String, Failure> {
    let root = absolute(ctx.root.path())?;
    let worker = worker_program().unwrap_or_else(|_| "/path/to/regatta-worker".into());
    let script = JobScript {
        token: Token::placeholder(),
        folder: crate::layout::Root::new(root).sweep(&plan.sweep),
        worker,
        tasks: u32::try_from(job.trials.len()).unwrap_or(u32::MAX),
        throttle: job.throttle,
        warn_before: job.warn_before(plan.budget.margin),
        restart_limit: restart_limit(&plan.policy),
        resources: job.resources.clone(),
    };
    script::render(&plan.templates(), &script).map_err(Failure::user)
}
