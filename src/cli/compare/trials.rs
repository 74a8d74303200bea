//! Two or more trials side by side: what differs in their settings, and what they came to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Args, no_trial};
use crate::analysis::{Analysis, different_paths, flat};
use crate::cli::analysis::{COLUMNS, fields, rows};
use crate::cli::ask::{Asked, from_store, unique_length};
use crate::cli::output::Answer;
use crate::cli::sheet::Sheet;
use crate::cli::{Context, Failure, best, table};
use crate::metric::{Direction, Objective};
use crate::query::Kind;
use crate::store::TrialDetail;

/// A trial with its settings by path; its seed is one of them here.
struct Shown {
    detail: TrialDetail,
    settings: BTreeMap<String, Value>,
    analysis: Analysis,
}

pub(super) async fn run(ctx: &Context, args: &Args, mut asked: Asked) -> Result<ExitCode, Failure> {
    let mut keys = Vec::new();
    for word in &args.what {
        let key = asked.store.resolve_trial(word).await.map_err(|error| no_trial(word, error))?;
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    check(args, keys.len())?;
    let mut shown = Vec::new();
    for key in &keys {
        let detail = asked.store.show(key).await.map_err(from_store)?;
        let mut settings = flat(&detail.settings);
        settings.remove("data.path");
        settings.insert("seed".to_owned(), Value::from(detail.row.seed));
        let ids = [(key.sweep.clone(), key.trial.clone())];
        let objective = objective(args, &detail.objective)?;
        let found = asked.store.analyses(&ids, objective.as_ref()).await.map_err(from_store)?;
        shown.extend(found.into_iter().map(|analysis| {
            let (detail, settings) = (detail.clone(), settings.clone());
            Shown { detail, settings, analysis }
        }));
    }
    let metrics: Vec<&str> = shown.iter().map(|one| metric_of(args, one)).collect();
    if metrics.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(Failure::user(format!(
            "the trials have different objectives: {}",
            metrics.join(", ")
        ))
        .hint("name one metric with --metric"));
    }
    let metric = metrics[0];
    args.output.deliver(
        ctx,
        &Answer {
            table: &|| as_text(&shown, metric),
            json: &|| as_json(&shown, metric),
            sheet: &|| Cow::Owned(as_sheet(&shown)),
        },
    )?;
    tell(ctx, &shown);
    Ok(ExitCode::SUCCESS)
}

fn check(args: &Args, trials: usize) -> Result<(), Failure> {
    if args.question.is_about_many() || args.markdown {
        return Err(Failure::usage(
            "--by, --last, --where and --markdown are for sweeps: trials are shown as they are",
        )
        .hint(
            "name sweeps, or leave the option out; best and last values of trials are both shown",
        ));
    }
    if trials < 2 {
        return Err(Failure::usage("one trial alone cannot be compared")
            .hint("name two or more; `regatta show TRIAL` tells of one"));
    }
    Ok(())
}

fn objective(args: &Args, own: &Objective) -> Result<Option<Objective>, Failure> {
    let Some(metric) = args.question.metric_name() else { return Ok(None) };
    let direction = if own.metric == metric { own.direction } else { Direction::usual(metric) };
    Ok(Some(Objective { metric: metric.to_owned(), direction }))
}

fn metric_of<'a>(args: &'a Args, shown: &'a Shown) -> &'a str {
    args.question.metric_name().unwrap_or(&shown.detail.objective.metric)
}

fn different(shown: &[Shown]) -> Vec<String> {
    different_paths(&shown.iter().map(|one| one.settings.clone()).collect::<Vec<_>>())
}

fn as_text(shown: &[Shown], metric: &str) -> String {
    let length = unique_length(shown.iter().map(|one| one.detail.row.trial.as_str()));
    let ids = shown.iter().map(|one| one.detail.row.trial.as_str()[..length].to_owned());
    let ids: Vec<String> = ids.collect();
    let mut settings = table::new();
    settings
        .set_header(std::iter::once("SETTING".to_owned()).chain(ids.clone()).collect::<Vec<_>>());
    if shown.windows(2).any(|pair| pair[0].detail.row.sweep != pair[1].detail.row.sweep) {
        let sweeps = shown.iter().map(|one| one.detail.row.sweep.clone());
        settings.add_row(std::iter::once("sweep".to_owned()).chain(sweeps));
    }
    for path in different(shown) {
        let value = |one: &Shown| one.settings.get(&path).map_or("-".to_owned(), table::value);
        settings.add_row(std::iter::once(path.clone()).chain(shown.iter().map(value)));
    }
    let mut values = table::new();
    values.set_header(std::iter::once("ANALYSIS".to_owned()).chain(ids).collect::<Vec<_>>());
    let states = shown.iter().map(|one| one.detail.row.state.to_string());
    values.add_row(std::iter::once("state".to_owned()).chain(states));
    // Trials have rows of their own (`rollbacks`) only where there is something to tell.
    let told: Vec<BTreeMap<String, String>> =
        shown.iter().map(|one| rows(metric, &one.analysis).into_iter().collect()).collect();
    let longest = shown.iter().map(|one| rows(metric, &one.analysis));
    let mut names: Vec<String> = Vec::new();
    for (name, _) in longest.flatten() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        let cell =
            |own: &BTreeMap<String, String>| own.get(&name).map_or("-".to_owned(), String::clone);
        values.add_row(std::iter::once(name.clone()).chain(told.iter().map(cell)));
    }
    format!("{}\n\n{}", table::text(&settings), table::text(&values))
}

fn as_sheet(shown: &[Shown]) -> Sheet {
    let paths = different(shown);
    let mut sheet = Sheet::default();
    for name in ["sweep", "trial", "state"] {
        sheet.column(name, Kind::Text);
    }
    sheet.columns(paths.iter().cloned().chain(COLUMNS.map(str::to_owned)));
    let row = |one: &Shown| {
        let row = &one.detail.row;
        let cells = [json!(row.sweep), json!(row.trial), json!(row.state)].into_iter();
        let own = paths.iter().map(|path| one.settings.get(path).cloned().unwrap_or_default());
        cells.chain(own).chain(fields(&one.analysis)).collect()
    };
    sheet.rows = shown.iter().map(row).collect();
    sheet
}

fn as_json(shown: &[Shown], metric: &str) -> Value {
    let paths = different(shown);
    let trial = |one: &Shown| {
        let own = paths.iter().map(|path| (path.clone(), one.settings.get(path).cloned()));
        json!({
            "trial": one.detail.row.trial, "sweep": one.detail.row.sweep,
            "state": one.detail.row.state, "seed": one.detail.row.seed,
            "leaky": is_leaky(one),
            "settings": own.collect::<BTreeMap<_, _>>(), "analysis": one.analysis,
        })
    };
    json!({
        "schema_version": 1, "kind": "trials", "metric": metric, "differs": paths,
        "trials": shown.iter().map(trial).collect::<Vec<_>>(),
    })
}

fn is_leaky(one: &Shown) -> bool {
    one.settings.get("data.split").is_some_and(|split| split == "leaky_random_patches")
}

fn tell(ctx: &Context, shown: &[Shown]) {
    let leaky = shown.iter().filter(|one| is_leaky(one)).count();
    best::tell_of_leaks(ctx, leaky, shown.len(), "compared");
    let differs = |path: &String| {
        path == "data.name" || path == "data.val_fraction" || path.starts_with("data.split")
    };
    let paths = different(shown);
    if paths.iter().any(differs) {
        ctx.screen.warn("validated on different data or splits: the values are not comparable");
    }
    if paths.iter().any(|path| path == "epochs" || path == "samples_per_epoch") {
        ctx.screen
            .note("note: the trials have different training budgets (epochs, samples_per_epoch)");
    }
    ctx.screen.note(
        "note: single trials say nothing about the spread over seeds; sweeps with `repeats` do",
    );
}
