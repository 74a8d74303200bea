//! `regatta compare`: trials side by side, or groups over repeated seeds and whether they can be told
//! apart.

mod groups;
mod markdown;
mod sweeps;
mod trials;
mod view;

use std::process::ExitCode;

use super::ask::{Asked, ask, from_store, sweep_name};
use super::select::{sweep_here, unknown};
use super::{Context, Failure};
use crate::analysis::notes;
use crate::setting::{known_paths, nearest};
use crate::store::{Aggregate, Rivals, Selector, StoreError};

use view::View;

/// Compare trials, or groups of trials over repeated seeds
///
/// Of sweeps, trials that differ in their seed alone make a group (or by network, where there are
/// several); the group with the best mean is tested against each other one. docs/analysis.md defines
/// what is told. Example: regatta compare lr-batch --by optimizer.lr
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Sweeps (names or files), or two or more trials (the first digits of their ids) [default: all
    /// sweeps]
    #[arg(value_name = "SWEEP|TRIAL")]
    what: Vec<String>,
    /// Group by this setting, such as optimizer.lr; may be given several times [default: `model.name`
    /// where there are several networks, else all that differs but the seed]
    #[arg(long, value_name = "PATH", value_parser = path)]
    by: Vec<String>,
    /// Compare by this metric [default: the objective]
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// Take the value of each trial's newest epoch instead of its best
    #[arg(long)]
    last: bool,
    /// Show so many groups, 0 for all; all are tested [default: 20; all with --json and --csv]
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Print comma-separated values
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print a Markdown table with the best setting of each network
    #[arg(long, conflicts_with_all = ["json", "csv", "by", "top"])]
    markdown: bool,
}

fn path(text: &str) -> Result<String, String> {
    match text {
        "seed" | "repeat" => {
            Err("repeats over seeds are what a group is made of; name another setting".to_owned())
        }
        "" => Err("name a setting, such as optimizer.lr".to_owned()),
        path => Ok(path.to_owned()),
    }
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let is_here = |word: &String| {
        let is_file = word.ends_with(".yaml") || word.ends_with(".yml");
        is_file || sweep_here(&ctx.root, word).is_some()
    };
    if args.what.iter().all(is_here) {
        let asked = ask(ctx, &args.what).await?;
        return of_sweeps(ctx, args, asked).await;
    }
    let mut asked = ask(ctx, &[]).await?;
    // A sweep whose folder is gone is still known.
    let known = asked.store.sweep_names().await.map_err(from_store)?;
    let is_sweep = |word: &&String| is_here(word) || known.contains(word);
    let (sweeps, others): (Vec<_>, Vec<_>) = args.what.iter().partition(is_sweep);
    match (sweeps.first(), others.first()) {
        (None, _) => trials::run(ctx, args, asked).await,
        (Some(_), None) => {
            let names = args.what.iter().map(|word| sweep_name(word));
            asked.sweeps = names.collect::<Result<_, _>>()?;
            of_sweeps(ctx, args, asked).await
        }
        (Some(sweep), Some(other)) => Err(Failure::usage(format!(
            "`{sweep}` is a sweep and `{other}` is none: sweeps are compared with sweeps, trials with trials"
        ))
        .hint("`regatta status` lists the sweeps, `regatta trials SWEEP` their trials")),
    }
}

async fn of_sweeps(ctx: &Context, args: &Args, mut asked: Asked) -> Result<ExitCode, Failure> {
    let selector = Selector {
        sweeps: asked.sweeps,
        metric: args.metric.clone(),
        aggregate: if args.last { Aggregate::Last } else { Aggregate::Best },
        ..Selector::default()
    };
    let rivals = asked.store.rivals(&selector, &args.by).await.map_err(from_store)?;
    check_paths(&args.by, &rivals)?;
    if args.markdown {
        let (text, leaky) = markdown::text(&rivals);
        ctx.screen.answer(text);
        tell_of_leaks(ctx, leaky, rivals.members.len());
        return Ok(ExitCode::SUCCESS);
    }
    let sweeps = sweeps::summaries(&mut asked.store, &rivals).await?;
    let view = View::new(rivals, &args.by, args.last);
    let told = notes(&view.comparison, &|group| view.label(group), args.last);
    let whole = ctx.screen.is_json() || args.csv;
    let most = args.top.unwrap_or(if whole { 0 } else { SHOWN });
    let shown = if most == 0 { usize::MAX } else { most };
    if ctx.screen.is_json() {
        ctx.screen.json(&groups::as_json(&view, shown, &told, &sweeps));
    } else if args.csv {
        ctx.screen.answer(groups::as_csv(&view, shown));
    } else {
        ctx.screen.answer(groups::as_text(&view, shown, &told, &sweeps));
    }
    let members = view.comparison.groups.iter().flat_map(|group| &group.members);
    tell_of_leaks(ctx, members.clone().filter(|member| member.is_leaky).count(), members.count());
    if args.csv {
        told.iter().for_each(|note| ctx.screen.note(format!("note: {note}")));
    }
    let hidden = view.comparison.groups.len().saturating_sub(shown);
    if hidden > 0 {
        ctx.screen.note(format!("note: {hidden} more groups not shown (--top)"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Groups of the table where no number was asked for.
const SHOWN: usize = 20;

fn check_paths(by: &[String], rivals: &Rivals) -> Result<(), Failure> {
    for (at, path) in by.iter().enumerate() {
        if rivals.points.is_empty() || rivals.points.iter().any(|point| point.values[at].is_some())
        {
            continue;
        }
        let known: Vec<String> = known_paths().collect();
        let near = nearest(path, known.iter().map(String::as_str));
        let failure = Failure::user(format!("no trial has the setting `{path}`"));
        return Err(match near {
            Some(near) if near != path => failure.hint(format!("did you mean `{near}`?")),
            _ => failure.hint("`regatta show TRIAL` lists the settings of a trial"),
        });
    }
    Ok(())
}

fn tell_of_leaks(ctx: &Context, leaky: usize, all: usize) {
    super::best::tell_of_leaks(ctx, leaky, all, "compared");
}

/// Finds a trial, or says that a word is nothing.
fn no_trial(word: &str, error: StoreError) -> Failure {
    unknown(word, error)
}
