//! Which trained networks a verb uses, and how it shows images to them: what the worker is told.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use super::ask::{self, from_store, metric};
use super::gate::worker_program;
use super::{Context, Failure};
use crate::id::TrialId;
use crate::layout::TrialFolder;
use crate::metric::Threshold;
use crate::scheduler::program;
use crate::store::{BestRow, Selector, Store};

/// Has the C library keep the memory of large tensors for the next ones, instead of giving it back to the
/// system page by page: two thirds of the time on a processor (docs/export.md). Of glibc; others do not
/// read it.
const KEEP_MEMORY: [(&str, &str); 2] =
    [("MALLOC_MMAP_MAX_", "0"), ("MALLOC_TRIM_THRESHOLD_", "4294967296")];

/// Trained networks, and how images are shown to them.
#[derive(Debug, clap::Args)]
pub(super) struct Members {
    /// Take the N best trials by the objective instead of naming some
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) top: Option<u32>,
    /// With --top: only of this sweep, or of those that fit a pattern; several times for several [default: all]
    #[arg(long, value_name = "SWEEP", requires = "top")]
    sweep: Vec<String>,
    /// Where the trials' own data lie now, for --split and --threshold val [default: where they were
    /// trained]
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Edge of the tiles of large images, in pixels [default: 1024, more for networks that see far]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(16..=65536))]
    tile: Option<u32>,
    /// Pixels that tiles share [default: what makes seams vanish]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(0..=65536))]
    overlap: Option<u32>,
    /// Tiles that go through a network together [default: 1 on a CPU, by memory on a GPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    tiles_at_once: Option<u32>,
    /// Show each image in 1, 4 (mirrored) or 8 ways (turned, too), and take the mean
    #[arg(long, value_name = "WHICH", default_value = "none", value_parser = ["none", "flips", "all"])]
    tta: String,
    /// Foreground has a larger probability than this; `val` chooses the best one on the validation split
    #[arg(long, value_name = "P|val", default_value = "0.5", value_parser = threshold)]
    threshold: String,
}

/// Checks a threshold; the worker reads it again.
fn threshold(text: &str) -> Result<String, String> {
    text.parse::<Threshold>().map(|_| text.to_owned())
}

impl Members {
    /// Divides the words of a command line: with `--top` all are the verb's own, else the first names
    /// trials.
    pub(super) fn divide<'a>(
        &self,
        words: &'a [PathBuf],
    ) -> Result<(String, &'a [PathBuf]), Failure> {
        if self.top.is_some() {
            return Ok((String::new(), words));
        }
        let Some((trials, rest)) = words.split_first() else {
            return Err(
                Failure::usage("no trial is named").hint("name one, several as A,B, or --top N")
            );
        };
        Ok((trials.to_string_lossy().into_owned(), rest))
    }

    /// Refuses a place of the trials' data where other images are named and no threshold is chosen: nothing
    /// would be read there.
    pub(super) fn refuse_idle_data(&self) -> Result<(), Failure> {
        if self.data.is_none() || self.threshold == "val" {
            return Ok(());
        }
        Err(Failure::usage("images are named, and so is --data, where nothing would be read")
            .hint("--data says where the trials' own data lie, for --split and --threshold val"))
    }

    /// Finds the trials, tells which they are, and returns the words that name them to the worker.
    pub(super) async fn words(
        &self,
        ctx: &Context,
        trials: &str,
    ) -> Result<Vec<OsString>, Failure> {
        let ask::Asked { mut store, sweeps, .. } = ask::ask(ctx, &self.sweep).await?;
        let found = match self.top {
            Some(top) => Self::best(ctx, &mut store, sweeps, top).await?,
            None => named(&mut store, trials).await?,
        };
        let mut words: Vec<OsString> = Vec::new();
        for (sweep, trial) in found {
            let folder = begun(ctx, &sweep, &trial)?;
            refuse_toy(&mut store, &sweep, &trial).await?;
            words.extend(["--trial".into(), folder.path().into()]);
        }
        let mut number = |option: &str, value: Option<u32>| {
            if let Some(value) = value {
                words.extend([option.into(), value.to_string().into()]);
            }
        };
        number("--tile", self.tile);
        number("--overlap", self.overlap);
        number("--tiles-at-once", self.tiles_at_once);
        if let Some(data) = &self.data {
            words.extend(["--data".into(), data.clone().into()]);
        }
        words.extend(["--tta".into(), self.tta.clone().into()]);
        words.extend(["--threshold".into(), self.threshold.clone().into()]);
        if ctx.screen.is_json() {
            words.push("--json".into());
        }
        if ctx.screen.is_quiet() {
            words.push("--quiet".into());
        }
        Ok(words)
    }

    /// The best trials that have a checkpoint, finished or not.
    async fn best(
        ctx: &Context,
        store: &mut Store,
        sweeps: Vec<String>,
        top: u32,
    ) -> Result<Vec<(String, TrialId)>, Failure> {
        let ranking =
            store.best(&Selector { sweeps, ..Selector::default() }).await.map_err(from_store)?;
        let mut seen = BTreeSet::new();
        let has_checkpoint = |row: &&BestRow| {
            let checkpoints = ctx.root.sweep(&row.sweep).trial(&row.trial).checkpoints();
            checkpoints.names().is_ok_and(|names| !names.is_empty())
        };
        let rows = ranking.rows.iter().filter(|row| row.value.is_some()).filter(has_checkpoint);
        let rows: Vec<&BestRow> =
            rows.filter(|row| seen.insert(row.trial.clone())).take(top as usize).collect();
        for (number, row) in (1..).zip(&rows) {
            let epoch = row.epoch.map_or(String::new(), |epoch| format!(", epoch {epoch}"));
            ctx.screen.note(format!(
                "{number}. {}/{}  {} {}{epoch}, {}",
                row.sweep,
                row.trial,
                ranking.metric,
                metric(row.value),
                row.state
            ));
        }
        if rows.iter().any(|row| row.is_leaky) {
            ctx.screen.warn(
                "some of these were ranked by values of `leaky_random_patches`, which say nothing about \
                 new images",
            );
        }
        match rows.len() {
            0 => Err(Failure::user("no trial has a value and a checkpoint")
                .hint("`regatta status` tells how they stand")),
            found if found < top as usize => {
                ctx.screen
                    .warn(format!("only {found} of {top} trials have a value and a checkpoint"));
                Ok(rows.iter().map(|row| (row.sweep.clone(), row.trial.clone())).collect())
            }
            _ => Ok(rows.iter().map(|row| (row.sweep.clone(), row.trial.clone())).collect()),
        }
    }
}

/// The folder of a trial, once a worker has begun it.
pub(super) fn begun(ctx: &Context, sweep: &str, trial: &TrialId) -> Result<TrialFolder, Failure> {
    let folder = ctx.root.sweep(sweep).trial(trial);
    if folder.assignment().exists() {
        return Ok(folder);
    }
    let what = format!("trial {trial} has no checkpoint yet: no worker has begun it");
    let status = ctx.command(&format!("status {sweep}"));
    Err(Failure::user(what).hint(format!("{status} tells how things stand")))
}

/// The toy learner has no network, which its worker would say in other words.
async fn refuse_toy(store: &mut Store, sweep: &str, trial: &TrialId) -> Result<(), Failure> {
    let key = store.resolve_trial(&format!("{sweep}/{trial}")).await.map_err(from_store)?;
    let settings = store.show(&key).await.map_err(from_store)?.settings;
    if settings.get("model").and_then(|model| model.get("name")).is_none_or(|name| name != "toy") {
        return Ok(());
    }
    Err(Failure::user(format!("trial {trial} is of the toy learner, which sees no images"))
        .hint("`regatta trials` lists others; a sweep with a network begins as sweeps/own-data.yaml of `regatta init`"))
}

/// The trials of `A,B,C`, each once.
async fn named(store: &mut Store, trials: &str) -> Result<Vec<(String, TrialId)>, Failure> {
    let mut found: Vec<(String, TrialId)> = Vec::new();
    for typed in trials.split(',').map(str::trim).filter(|typed| !typed.is_empty()) {
        let key = store.resolve_trial(typed).await.map_err(from_store)?;
        if found.iter().any(|(_, trial)| *trial == key.trial) {
            return Err(Failure::usage(format!("trial {} is named twice", key.trial))
                .hint("a network that votes twice is no ensemble"));
        }
        found.push((key.sweep, key.trial));
    }
    match found.is_empty() {
        true => Err(Failure::usage("no trial is named").hint("name one, or several as A,B")),
        false => Ok(found),
    }
}

/// Has the worker do it, with this terminal; returns its exit code.
#[expect(clippy::disallowed_methods, reason = "a front room reads the environment")]
pub(super) async fn have_done(words: &[OsString]) -> Result<ExitCode, Failure> {
    let worker = worker_program()?;
    let is_free = |(name, _): &(&str, &str)| std::env::var_os(name).is_none();
    let environment: Vec<_> = KEEP_MEMORY.into_iter().filter(is_free).collect();
    let code = program::call(&worker, words, &environment)
        .await
        .map_err(|error| Failure::file("start", &worker, &error))?;
    Ok(ExitCode::from(code))
}
