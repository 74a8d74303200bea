//! `regatta status`: how sweeps stand.

use std::collections::BTreeMap;
use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ask::{ask, from_store, metric, plural, span, unique_length};
use super::gate::absolute;
use super::looking::{Asked, Way, look_at, old};
use super::trials::epochs;
use super::{Context, Failure, table};
use crate::clock::Clock;
use crate::help::{Example, examples};
use crate::layout::Root;
use crate::store::Mode;
use crate::store::{Progress, Store, SweepStatus, TrialState};

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("all sweeps", "regatta status"),
    ("one of them", "regatta status lr-batch"),
    ("look, and submit nothing", "regatta status lr-batch --only-look"),
    ("what the journals know, while SLURM is down", "regatta status --offline"),
];

/// Show how sweeps stand: states, progress, time left
///
/// What stopped and what the sweep's policy sends again is submitted, as by `regatta tick`. squeue is
/// asked at most once a minute for all commands of a user.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    /// Names or files of sweeps [default: all]
    #[arg(value_name = "SWEEP")]
    sweeps: Vec<String>,
    #[command(flatten)]
    way: Way,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let mut asked = ask(ctx, &args.sweeps).await?;
    let mut looked = BTreeMap::new();
    if !args.way.offline && asked.store.mode() == Mode::ReadWrite {
        looked = look(ctx, args, &mut asked.store, &asked.sweeps).await?;
    }
    let all = asked.store.status(&asked.sweeps).await.map_err(from_store)?;
    if ctx.screen.is_json() {
        let sweeps: Vec<_> = all.iter().map(|one| as_json(one, looked.get(&one.sweep))).collect();
        ctx.screen.json(&json!({ "schema_version": 1, "sweeps": sweeps }));
    } else if !all.is_empty() {
        let parts: Vec<_> = all.iter().map(|status| as_text(ctx, status)).collect();
        ctx.screen.answer(parts.join("\n\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Looks at each sweep that is not at its end, and sends again what its policy says. A sweep that
/// another regatta works on is looked at by that one.
async fn look(
    ctx: &Context,
    args: &Args,
    store: &mut Store,
    sweeps: &[String],
) -> Result<BTreeMap<String, Asked>, Failure> {
    let root = Root::new(absolute(ctx.root.path())?);
    let all = if sweeps.is_empty() { store.sweep_names().await } else { Ok(sweeps.to_vec()) };
    let mut looked = BTreeMap::new();
    for sweep in all.map_err(from_store)? {
        if !store.may_move(&sweep).await.map_err(from_store)? {
            continue;
        }
        match look_at(ctx, &args.way, store, &root, &sweep).await {
            Ok(asked) => {
                if let Some(words) = &asked.silent {
                    ctx.screen
                        .note(format!("note: {sweep}: {words}; this is what the journals tell"));
                } else if let Some(age) = asked.at.and_then(|at| old(ctx, at)) {
                    ctx.screen.note(format!("note: {sweep}: the scheduler told this {age} ago"));
                }
                looked.insert(sweep, asked);
            }
            // The journals' answer stands.
            Err(failure) => {
                ctx.screen.note(format!("note: {sweep}: the scheduler was not asked: {failure}"));
            }
        }
    }
    Ok(looked)
}

fn as_json(status: &SweepStatus, asked: Option<&Asked>) -> Value {
    let states: serde_json::Map<_, _> =
        status.states.iter().map(|(state, count)| (state.word(), Value::from(*count))).collect();
    json!({
        "sweep": status.sweep, "metric": status.objective.metric,
        "direction": status.objective.direction, "trials": status.trials, "states": states,
        "best": status.best, "as_of": status.as_of, "progress": status.progress,
        "scheduler": {
            "asked_at": asked.and_then(|asked| asked.at),
            "silent": asked.and_then(|asked| asked.silent.as_deref()),
        },
        "submitted_again": asked.map_or(0, |asked| asked.sent),
    })
}

/// How a sweep stands, in a line and a table of what is under way.
pub(super) fn as_text(ctx: &Context, status: &SweepStatus) -> String {
    let mut text = format!("{}  {}", status.sweep, headline(ctx, status));
    if let Some(best) = status.best {
        let objective = &status.objective.metric;
        let is_done =
            |(state, count): &(TrialState, u64)| *count == 0 || *state == TrialState::Finished;
        let is_over = status.states.iter().all(is_done);
        let so_far = if is_over { "" } else { " so far" };
        text.push_str(&format!("\n  best {objective}{so_far}: {}", metric(Some(best))));
    }
    if !status.progress.is_empty() {
        text.push_str(&format!("\n{}", progress(ctx, &status.progress)));
    }
    let troubled = status.states.iter().find(|(state, _)| is_trouble(state));
    if let Some((state, _)) = troubled {
        let sweep = &status.sweep;
        let command = ctx.command(&format!("trials {sweep} --state {state} --why"));
        text.push_str(&format!("\n  why: {}", command.trim_matches('`')));
    }
    text
}

fn headline(ctx: &Context, status: &SweepStatus) -> String {
    let part = |(state, count): &(TrialState, u64)| {
        let color = match state {
            TrialState::Finished => "32",
            TrialState::Running => "36",
            state if is_trouble(state) => "31",
            _ => return format!("{count} {state}"),
        };
        ctx.screen.paint(color, &format!("{count} {state}"))
    };
    let states: Vec<_> = status.states.iter().map(part).collect();
    format!("{}: {}", plural(status.trials, "trial"), states.join(", "))
}

fn is_trouble(state: &TrialState) -> bool {
    !matches!(
        state,
        TrialState::Planned
            | TrialState::Submitted
            | TrialState::Running
            | TrialState::Waiting
            | TrialState::Finished
    )
}

fn progress(ctx: &Context, all: &[Progress]) -> String {
    let length = unique_length(all.iter().map(|one| one.trial.as_str()));
    let columns = table::Parameters::new(all.iter().map(|one| &one.parameters));
    let mut shown = table::new();
    let head = ["TRIAL", "STATE", "EPOCH", "PER EPOCH", "LEFT"].map(str::to_owned);
    // Where no attempt has a limit there is nothing to tell.
    let limited = all.iter().any(|one| one.attempt_ends_at.is_some());
    let job = limited.then(|| "JOB LEFT".to_owned());
    let head = head.into_iter().chain(job).chain(["SEEN".to_owned()]);
    // Trials of one point differ by their seeds alone.
    let has_seeds = all.iter().any(|one| one.repeat > 0 || one.seed != all[0].seed);
    let head = head.chain(columns.headers()).chain(has_seeds.then(|| "SEED".to_owned()));
    shown.set_header(head.collect::<Vec<_>>());
    let or_dash = |seconds: Option<f64>| seconds.map_or("-".to_owned(), span);
    let now = ctx.clock.now();
    for one in all {
        #[expect(clippy::cast_precision_loss, reason = "ages are small")]
        let seconds =
            |from: Timestamp, to: Timestamp| (to.as_second() - from.as_second()).max(0) as f64;
        let seen = one.seen_at.map(|at| seconds(at, now));
        let job = limited.then(|| or_dash(one.attempt_ends_at.map(|end| seconds(now, end))));
        let cells = [
            one.trial.as_str()[..length].to_owned(),
            one.state.to_string(),
            epochs(one.epochs_done, one.epochs),
            or_dash(one.seconds_per_epoch),
            or_dash(one.remaining),
        ];
        let seen = seen.map_or("-".to_owned(), |seconds| format!("{} ago", span(seconds)));
        let cells = cells.into_iter().chain(job).chain([seen]);
        let seed = has_seeds.then(|| one.seed.to_string());
        shown.add_row(cells.chain(columns.cells(&one.parameters)).chain(seed));
    }
    let indent = |line: &str| format!("  {line}");
    table::text(&shown).lines().map(indent).collect::<Vec<_>>().join("\n")
}
