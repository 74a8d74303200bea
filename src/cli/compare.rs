//! `regatta compare`: trials side by side, or groups over repeated seeds and whether they can be told
//! apart.

mod groups;
mod markdown;
mod sweeps;
mod told;
mod trials;
mod view;
mod words;

use std::borrow::Cow;
use std::process::ExitCode;

use super::ask::{Asked, ask, from_store};
use super::output::{Answer, Format, Output};
use super::question::Question;
use super::select::{sweep_here, unknown};
use super::sheet::Sheet;
use super::{Context, Failure};
use crate::analysis::notes;
use crate::help::{Example, examples};
use crate::query::{Aggregate, is_pattern};
use crate::setting::{known_paths, nearest};
use crate::store::{Rivals, StoreError};

pub(super) use told::{Told, told};
use view::View;

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("is one learning rate better?", "regatta compare lr-batch --by optimizer.lr"),
    ("two trials side by side", "regatta compare 3fa9 81c0"),
    ("the best setting of each network, for a document", "regatta compare 'unet-*' --markdown"),
];

/// Compare trials, or groups of trials over repeated seeds
///
/// To learn whether a setting is better or only luckier. Of sweeps, trials that differ in their seed alone
/// make a group (or by network, where there are several); on each data set and split, the group with the best
/// mean is tested against each other one. docs/analysis.md defines what is told.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    /// Sweeps (names, patterns or files), or two or more trials (the first digits of their ids) [default: all
    /// sweeps]
    #[arg(value_name = "SWEEP|TRIAL")]
    what: Vec<String>,
    #[command(flatten)]
    question: Question,
    #[command(flatten)]
    output: Output,
    /// Print a Markdown table with the best setting of each network
    #[arg(long, conflicts_with_all = ["json", "csv", "format", "group_by", "top", "sort", "columns"])]
    markdown: bool,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    args.output.format(ctx)?;
    let is_here = |word: &String| {
        let is_file = word.ends_with(".yaml") || word.ends_with(".yml");
        is_file || is_pattern(word) || sweep_here(&ctx.root, word).is_some()
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
            asked.name(ctx, &args.what).await?;
            of_sweeps(ctx, args, asked).await
        }
        (Some(sweep), Some(other)) => Err(Failure::usage(format!(
            "`{sweep}` is a sweep and `{other}` is none: sweeps are compared with sweeps, trials with trials"
        ))
        .hint("`regatta status` lists the sweeps, `regatta trials SWEEP` their trials")),
    }
}

async fn of_sweeps(ctx: &Context, args: &Args, mut asked: Asked) -> Result<ExitCode, Failure> {
    if args.markdown {
        let selector = args.question.understand_groups(&mut asked).await?;
        let rivals = asked.store.rivals(&selector, &[]).await.map_err(from_store)?;
        if args.output.format(ctx)? != Format::Table {
            return Err(Failure::usage(
                "--markdown writes Markdown, and the name of the file ends in another form",
            )
            .hint("end it in .md, or leave --markdown out"));
        }
        let (text, leaky) = markdown::text(&rivals);
        // Other forms were refused above.
        let (json, sheet) = (&|| serde_json::Value::Null, &|| Cow::Owned(Sheet::default()));
        args.output.deliver(ctx, &Answer { table: &|| text.clone(), json, sheet })?;
        tell_of_leaks(ctx, leaky, rivals.members.len());
        return Ok(ExitCode::SUCCESS);
    }
    groups(ctx, &args.question, &args.output, asked, true).await?;
    Ok(ExitCode::SUCCESS)
}

/// Tells of groups; of the sweeps as well, where that is wanted. Returns the number of trials that go on.
pub(super) async fn groups(
    ctx: &Context,
    question: &Question,
    output: &Output,
    mut asked: Asked,
    with_sweeps: bool,
) -> Result<usize, Failure> {
    let by = question.group_by.as_slice();
    let selector = question.understand_groups(&mut asked).await?;
    let rivals = asked.store.rivals(&selector, by).await.map_err(from_store)?;
    check_paths(by, &rivals)?;
    let sweeps = match with_sweeps {
        true => Some(sweeps::summaries(&mut asked.store, &rivals).await?),
        false => None,
    };
    let mut view = View::new(rivals, by, selector.aggregate);
    let is_last = selector.aggregate == Aggregate::Last;
    let told = notes(&view.comparison, is_last);
    let mut sheet = groups::as_sheet(&view);
    let (rows, columns) = question.arrange(&sheet)?;
    view.arrange(&rows);
    sheet.rows = rows.iter().map(|at| sheet.rows[*at].clone()).collect();
    let whole = output.is_whole(ctx)?;
    let shown = question.top((!whole).then_some(SHOWN)).map_or(usize::MAX, |top| top as usize);
    sheet.rows.truncate(shown);
    if !columns.is_empty() {
        sheet.keep(&columns);
    }
    output.deliver(
        ctx,
        &Answer {
            table: &|| match columns.is_empty() {
                true => groups::as_text(&view, shown, &told, sweeps.as_deref()),
                false => sheet.table(),
            },
            json: &|| groups::as_json(&view, shown, &told, sweeps.as_deref()),
            sheet: &|| Cow::Borrowed(&sheet),
        },
    )?;
    let members = view.comparison.groups.iter().flat_map(|group| &group.members);
    tell_of_leaks(ctx, members.clone().filter(|member| member.is_leaky).count(), members.count());
    if !is_told(output, ctx, &columns)? {
        told.iter().for_each(|note| ctx.screen.note(format!("note: {note}")));
    }
    let hidden = view.comparison.groups.len().saturating_sub(shown);
    if hidden > 0 {
        ctx.screen.note(format!("note: {hidden} more groups not shown (--top)"));
    }
    Ok(view.comparison.groups.iter().map(crate::analysis::Group::open_trials).sum())
}

/// Says whether the answer itself tells what weakens the comparison.
fn is_told(output: &Output, ctx: &Context, columns: &[usize]) -> Result<bool, Failure> {
    Ok(match output.format(ctx)? {
        Format::Table => columns.is_empty(),
        format => format == Format::Json,
    })
}

/// Groups of the table where no number was asked for.
const SHOWN: u32 = 20;

fn check_paths(by: &[String], rivals: &Rivals) -> Result<(), Failure> {
    for path in by {
        // A mapping is told by its values.
        let is_it = |found: &String| {
            found == path
                || found.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        let places: Vec<usize> =
            (0..rivals.paths.len()).filter(|at| is_it(&rivals.paths[*at])).collect();
        let has_it =
            |point: &crate::analysis::Point| places.iter().any(|at| point.values[*at].is_some());
        if rivals.points.is_empty() || rivals.points.iter().any(has_it) {
            continue;
        }
        if path == "data.val_fraction" {
            return Err(Failure::user(format!("no trial has `{path}` with an effect"))
                .hint("`split.csv` and `folds` say themselves what is validation data"));
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
