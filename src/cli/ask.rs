//! What every question begins with: which sweeps, the database, and what is new in their journals.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Context, Failure};
use crate::clock::Clock;
use crate::layout::{self, Limit};
use crate::query::{is_pattern, matches};
use crate::store::{Collected, Mode, Store, StoreError};
use crate::sweep;

/// The database, fresh, and the sweeps that are asked about.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) store: Store,
    /// Names; none means all.
    pub(super) sweeps: Vec<String>,
    /// Of when the answer is: when journals were last read, of that sweep for which it is longest ago.
    pub(super) as_of: Option<Timestamp>,
}

impl Asked {
    /// Takes sweeps by name, pattern or sweep file.
    pub(super) async fn name(&mut self, ctx: &Context, typed: &[String]) -> Result<(), Failure> {
        self.sweeps = names(ctx, &mut self.store, typed).await?;
        Ok(())
    }
}

/// Names of sweeps that were typed as names, patterns such as `lr-*`, or files; each once.
async fn names(ctx: &Context, store: &mut Store, typed: &[String]) -> Result<Vec<String>, Failure> {
    let mut known = BTreeSet::new();
    if typed.iter().any(|word| is_pattern(word)) {
        known.extend(store.sweep_names().await.map_err(from_store)?);
        let here = ctx.root.sweeps();
        known.extend(here.map_err(|error| Failure::file("read", ctx.root.path(), &error))?);
    }
    let mut names: Vec<String> = Vec::new();
    for word in typed {
        let found = match is_pattern(word) {
            false => vec![sweep_name(word)?],
            true => known.iter().filter(|name| matches(word, name)).cloned().collect(),
        };
        if found.is_empty() {
            return Err(Failure::user(format!("no sweep fits `{word}`"))
                .hint(format!("{} lists the sweeps", ctx.command("status"))));
        }
        names.extend(found);
    }
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

/// Finds sweeps by name, pattern or sweep file, and says so where one is not there. Collects nothing.
pub(super) async fn named(ctx: &Context, typed: &[String]) -> Result<Vec<String>, Failure> {
    let mut store = open(ctx).await?;
    let sweeps = names(ctx, &mut store, typed).await?;
    for sweep in sweeps.iter().filter(|sweep| !ctx.root.sweep(sweep).plan().is_file()) {
        // The database may remember it.
        store.may_move(sweep).await.map_err(from_store)?;
    }
    Ok(sweeps)
}

/// Opens the database and collects the sweeps named, by name, pattern or sweep file; all for none. Tells
/// of damaged journals and of answers that are not fresh.
pub(super) async fn ask(ctx: &Context, sweeps: &[String]) -> Result<Asked, Failure> {
    let mut store = open(ctx).await?;
    let typed = sweeps;
    let sweeps = names(ctx, &mut store, typed).await?;
    let as_of = match collect(ctx, &mut store, &sweeps).await {
        Ok(collected) => {
            collected.iter().for_each(|one| tell(ctx, one));
            collected.iter().filter(|one| !one.is_gone).filter_map(|one| one.as_of).min()
        }
        // What is known already can be told all the same.
        Err(error) if error.may_pass() => {
            let why = super::failure::chain(&error);
            drop(store);
            store = Store::open(&ctx.root.database(), Mode::ReadOnly).await.map_err(from_store)?;
            let known = store.newest_collect().await.map_err(from_store)?;
            let of = known.map_or("empty".to_owned(), |at| format!("of {at:.0}"));
            ctx.screen.warn(format!("{why}; the answer is {of}"));
            known
        }
        Err(error) => return Err(not_submitted(from_store(error), typed)),
    };
    if sweeps.is_empty() && store.sweep_names().await.map_err(from_store)?.is_empty() {
        let (root, submit) = (ctx.root.path().display(), ctx.command("submit SWEEP.yaml"));
        ctx.screen.note(format!("note: there are no sweeps in {root} yet; {submit} begins one"));
    }
    Ok(Asked { store, sweeps, as_of })
}

async fn collect(
    ctx: &Context,
    store: &mut Store,
    sweeps: &[String],
) -> Result<Vec<Collected>, StoreError> {
    let now = ctx.clock.now();
    if sweeps.is_empty() {
        return store.collect_all(&ctx.root, now).await;
    }
    let mut collected = Vec::new();
    for sweep in sweeps {
        collected.push(store.collect(&ctx.root, sweep, now).await?);
    }
    Ok(collected)
}

/// A sweep that was named by its file may not have been submitted.
fn not_submitted(failure: Failure, typed: &[String]) -> Failure {
    match typed.iter().find(|word| is_file(word)) {
        Some(file) => failure.hint(format!("`regatta submit {file}` submits that file")),
        None => failure,
    }
}

/// Fails where there is no folder of sweeps.
pub(super) fn check_root(ctx: &Context) -> Result<(), Failure> {
    let path = ctx.root.path();
    if path.is_dir() {
        return Ok(());
    }
    if path.symlink_metadata().is_ok() {
        let what = format!("{} is a file, the folder of all sweeps is needed", path.display());
        return Err(Failure::user(what).hint("name it with --root or REGATTA_ROOT"));
    }
    Err(Failure::user(format!("there is no folder {}", path.display()))
        .hint("`regatta submit SWEEP.yaml` makes it; `regatta init` writes a sweep to start from")
        .hint("or name the right one with --root or REGATTA_ROOT"))
}

/// Opens the database; for reading only where it cannot be written. Where it cannot be used at all,
/// the journals alone are asked.
pub(super) async fn open(ctx: &Context) -> Result<Store, Failure> {
    check_root(ctx)?;
    let path = ctx.root.database();
    let opened = match Store::open(&path, Mode::ReadWrite).await {
        Err(StoreError::Open { .. } | StoreError::Migrate { .. }) if path.is_file() => {
            Store::open(&path, Mode::ReadOnly).await
        }
        other => other,
    };
    match opened {
        Err(
            error @ (StoreError::Open { .. }
            | StoreError::Older { .. }
            | StoreError::Migrate { .. }
            | StoreError::Sqlite(_)),
        ) => {
            let why = super::failure::chain(&error);
            let hint = error.hint().map_or(String::new(), |hint| format!(" ({hint})"));
            ctx.screen.warn(format!("{why}{hint}; the answer is read from the journals alone"));
            Store::in_memory().await.map_err(from_store)
        }
        other => other.map_err(from_store),
    }
}

/// Tells what is not as it should be with a sweep's files, and how old the answer is.
pub(super) fn tell(ctx: &Context, collected: &Collected) {
    let Collected { sweep, bad_lines, damaged, problems, as_of, from_cache, is_gone, .. } =
        collected;
    for problem in problems {
        ctx.screen.warn(format!("{sweep}: {problem}"));
    }
    if *bad_lines > 0 {
        let lines = plural(*bad_lines, "damaged line");
        let files = in_files(damaged, *bad_lines);
        ctx.screen.note(format!("note: {sweep}: {lines} in journals skipped{files}"));
    }
    let of = as_of.map_or("empty".to_owned(), |at| format!("of {at:.0}"));
    if *is_gone {
        ctx.screen.warn(format!(
            "{sweep}: its folder is gone; the answer is {of}, and {} forgets it",
            ctx.command("rebuild")
        ));
    } else if *from_cache {
        ctx.screen.note(format!(
            "note: {sweep}: journals are not read now (another regatta does, or the folder cannot \
             be written); the answer is {of}"
        ));
    }
}

/// The files with damaged lines, `: PATH (2), PATH (1)`.
pub(super) fn in_files(damaged: &[(PathBuf, u64)], all: u64) -> String {
    let told: u64 = damaged.iter().map(|(_, lines)| lines).sum();
    let file = |(path, lines): &(PathBuf, u64)| format!("{} ({lines})", path.display());
    let mut files: Vec<_> = damaged.iter().map(file).collect();
    if told < all {
        files.push("…".to_owned());
    }
    if files.is_empty() { String::new() } else { format!(": {}", files.join(", ")) }
}

/// The name of a sweep, given by name or by its file.
pub(super) fn sweep_name(typed: &str) -> Result<String, Failure> {
    let path = Path::new(typed);
    if !is_file(typed) {
        return as_name(typed.trim_end_matches('/'));
    }
    let text = layout::read_named_text(path, Limit::SWEEP)
        .map_err(|error| Failure::file("read", path, &error))?;
    let document: serde_yaml::Value = serde_yaml::from_str(&text)
        .map_err(|error| Failure::user(format!("{typed} is no sweep file: {error}")))?;
    let name = document.get("name").and_then(serde_yaml::Value::as_str);
    as_name(name.ok_or_else(|| {
        Failure::user(format!("{typed} has no `name`")).hint("give the name of the sweep itself")
    })?)
}

/// Says whether a word names a sweep by its file.
fn is_file(typed: &str) -> bool {
    Path::new(typed).extension().is_some_and(|end| end == "yaml" || end == "yml")
}

/// A name that leads to a folder of the root, and to no other.
fn as_name(text: &str) -> Result<String, Failure> {
    match sweep::name_complaint(text) {
        None => Ok(text.to_owned()),
        Some(what) => Err(Failure::user(format!("`{text}` is no name of a sweep: {what}")).hint(
            "a sweep is given by its name or by its file; `--root` says where its folder is",
        )),
    }
}

/// A failure of the cellar, with its advice.
pub(super) fn from_store(error: StoreError) -> Failure {
    let hint = error.hint();
    let text = super::failure::chain(&error);
    let failure = match &error {
        StoreError::NoSweep { .. }
        | StoreError::NoTrial { .. }
        | StoreError::SweepForTrial { .. }
        | StoreError::Ambiguous { .. }
        | StoreError::NoMetric { .. }
        | StoreError::NoQuestion { .. }
        | StoreError::MixedObjectives { .. } => Failure::user(text),
        _ => Failure::site(text),
    };
    hint.iter().fold(failure, |failure, hint| failure.hint(hint))
}

/// A number with its noun.
pub(super) fn plural(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Seconds as people say them: `45s`, `3m 20s`, `2h 05m`, `3d 04h`.
pub(super) fn span(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let seconds = seconds.round() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0, ..) => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {:02}h", hours % 24),
    }
}

/// A value of a metric, short: four decimals, or four digits where it is very small or large.
pub(super) fn metric(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value != 0.0 && !(1e-3..1e5).contains(&value.abs()) => {
            format!("{value:.3e}")
        }
        Some(value) => format!("{value:.4}"),
    }
}

/// The length to which identities can be cut and still be told apart; at least 8 digits.
pub(super) fn unique_length<'a>(ids: impl Iterator<Item = &'a str>) -> usize {
    let mut ids: Vec<&str> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    let shared = |pair: &[&str]| {
        pair[0].bytes().zip(pair[1].bytes()).take_while(|(left, right)| left == right).count()
    };
    ids.windows(2).map(shared).max().unwrap_or(0).max(7) + 1
}

/// Rows as CSV (RFC 4180): the header first.
pub(super) fn csv(rows: impl Iterator<Item = Vec<String>>) -> String {
    let field = |field: &String| {
        if field.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.clone()
        }
    };
    let line = |row: Vec<String>| match row.as_slice() {
        // Readers pass over empty lines.
        [only] if only.is_empty() => "\"\"\n".to_owned(),
        fields => fields.iter().map(field).collect::<Vec<_>>().join(",") + "\n",
    };
    rows.map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_said_in_two_units() {
        let said = [0.4, 45.0, 200.0, 7500.0, 273_600.0].map(span);
        assert_eq!(said, ["0s", "45s", "3m 20s", "2h 05m", "3d 04h"]);
    }

    #[test]
    fn identities_stay_apart_when_cut() {
        assert_eq!(unique_length(["0123456789abcdef", "f"].into_iter()), 8);
        let close = ["0123456789abcdef", "0123456789abcdee", "0123456789abcdee"];
        assert_eq!(unique_length(close.into_iter()), 16);
    }

    #[test]
    fn csv_fields_that_need_it_are_quoted() {
        let rows = [vec!["a".to_owned(), "b,\"c\"\nd".to_owned()]];
        assert_eq!(csv(rows.into_iter()), "a,\"b,\"\"c\"\"\nd\"\n");
        let rows = ["a", ""].map(|only| vec![only.to_owned()]);
        assert_eq!(csv(rows.into_iter()), "a\n\"\"\n", "a line for each row");
    }
}
