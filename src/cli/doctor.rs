//! `regatta doctor`: what this site has, and whether the folder keeps its promises.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::gate::{absolute, worker_program};
use super::{Context, Failure};
use crate::clock::SystemClock;
use crate::help::{Example, examples};
use crate::layout::{self, Limit};
use crate::scheduler::{Slurm, SlurmSettings, program};

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("the folder that you will use", "regatta --root /scratch/you/runs doctor"),
    ("for whoever helps you", "regatta doctor --json"),
];

/// Test this site: SLURM and its limits, the worker, the folder
///
/// Once on the login node, with the --root you will use, and when something is odd.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {}

struct Finding {
    what: &'static str,
    good: bool,
    words: String,
}

fn finding(what: &'static str, good: bool, words: impl Into<String>) -> Finding {
    Finding { what, good, words: words.into() }
}

pub(super) async fn run(ctx: &Context, _args: &Args) -> Result<ExitCode, Failure> {
    let mut found = vec![finding("regatta", true, env!("CARGO_PKG_VERSION"))];
    for name in ["sbatch", "squeue", "scancel", "scontrol", "sacct", "srun"] {
        found.push(program_on_path(name).await);
    }
    found.extend(limits().await);
    found.push(worker().await);
    let root = absolute(ctx.root.path())?;
    found.extend(folder(&root));
    // Without SLURM the local scheduler still works; a folder that breaks promises is the end.
    let broken = found.iter().any(|f| !f.good && f.what.starts_with("folder"));
    if ctx.screen.is_json() {
        let all: Vec<_> = found
            .iter()
            .map(|f| json!({ "check": f.what, "ok": f.good, "text": f.words }))
            .collect();
        ctx.screen.json(&json!({ "schema_version": 1, "findings": all }));
    } else {
        for f in &found {
            let word = if f.good {
                ctx.screen.paint("32", "ok     ")
            } else {
                ctx.screen.paint("33", "not ok ")
            };
            ctx.screen.answer(format!("{word}  {:20}{}", f.what, f.words));
        }
    }
    Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn program_on_path(name: &'static str) -> Finding {
    let needed_for = match name {
        "sacct" => "not needed; tells why old jobs ended",
        "srun" => "not needed; without it the worker takes the place of the job's shell",
        _ => "needed for `--scheduler slurm`",
    };
    match program::ask(Path::new(name), &["--version".into()]).await {
        Ok((0, out, _)) => finding(name, true, out.trim()),
        // It is there but cannot be asked; its last words say why.
        Ok((_, _, errors)) => {
            finding(name, false, errors.trim().lines().last().unwrap_or_default())
        }
        Err(_) => finding(name, false, format!("not found ({needed_for})")),
    }
}

async fn limits() -> Vec<Finding> {
    let slurm =
        Slurm::new(SlurmSettings::new(std::env::vars_os().collect(), Arc::new(SystemClock::new())));
    let limits = match slurm.limits().await {
        Ok(limits) => limits,
        Err(error) => {
            let text = error.to_string();
            return vec![finding("cluster", false, text.rsplit("; ").next().unwrap_or(&text))];
        }
    };
    let text = |value: Option<String>| value.unwrap_or_else(|| "not told".to_owned());
    let cluster =
        format!("{} (SLURM {})", text(limits.cluster.clone()), text(limits.version.clone()));
    let seconds =
        |value: Option<std::time::Duration>| text(value.map(|v| format!("{} s", v.as_secs())));
    vec![
        finding("cluster", true, cluster),
        finding("array tasks", true, text(limits.tasks_per_array().map(|n| n.to_string()))),
        finding("jobs", true, text(limits.max_job_count.map(|n| n.to_string()))),
        finding("ended jobs kept", true, seconds(limits.min_job_age)),
        finding("TERM to KILL", true, seconds(limits.kill_wait)),
        finding("preemption", true, text(limits.preempt_mode.clone())),
        finding(
            "accounting",
            limits.accounting,
            if limits.accounting {
                "sacct knows old jobs"
            } else {
                "off: only journals tell of old jobs"
            },
        ),
    ]
}

async fn worker() -> Finding {
    let program = match worker_program() {
        Ok(program) => program,
        Err(failure) => return finding("worker", false, failure.message),
    };
    match program::ask(&program, &["--version".into()]).await {
        Ok((0, out, _)) => {
            finding("worker", true, format!("{} at {}", out.trim(), program.display()))
        }
        Ok((_, _, errors)) => {
            finding("worker", false, format!("{}: {}", program.display(), errors.trim()))
        }
        Err(error) => finding("worker", false, format!("{}: {error}", program.display())),
    }
}

/// Tries what the journals and checkpoints build on, in a folder of its own that is removed.
fn folder(root: &Path) -> Vec<Finding> {
    let existed = root.is_dir();
    let place = root.join(format!(".doctor-{}", std::process::id()));
    if let Err(error) =
        layout::create_private_folder(root).and_then(|()| layout::create_folder(&place))
    {
        return vec![finding("folder", false, format!("{}: {error}", root.display()))];
    }
    let result = promises(&place);
    let _ = std::fs::remove_dir_all(&place);
    if !existed {
        let _ = std::fs::remove_dir(root);
    }
    result
}

fn promises(place: &Path) -> Vec<Finding> {
    let file = |name: &str| -> PathBuf { place.join(name) };
    let told = |result: std::io::Result<()>| match result {
        Ok(()) => (true, "holds".to_owned()),
        Err(error) => (false, error.to_string()),
    };
    let rename = (|| {
        layout::write_atomic(&file("a"), b"old")?;
        layout::write_atomic(&file("a"), b"new")?;
        let now = layout::read_limited(&file("a"), Limit::CLAIM)?;
        if now == b"new" {
            Ok(())
        } else {
            Err(std::io::Error::other("the old content is still there"))
        }
    })();
    let exclusive = (|| {
        layout::create_exclusive(&file("b"), b"first")?;
        match layout::create_exclusive(&file("b"), b"second") {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
            Ok(()) => Err(std::io::Error::other("a second maker succeeded too")),
        }
    })();
    let append = (|| {
        use std::io::Write;
        let mut one = layout::open_append(&file("c"))?;
        one.write_all(b"x\n")?;
        one.sync_data()
    })();
    let lock = layout::lock(&file("d"), std::time::Duration::ZERO)
        .map(drop)
        .map_err(|error| std::io::Error::other(error.to_string()));
    [
        ("folder rename", rename),
        ("folder exclusive", exclusive),
        ("folder append+sync", append),
        ("folder lock", lock),
    ]
    .into_iter()
    .map(|(what, result)| {
        let (good, words) = told(result);
        finding(what, good, words)
    })
    .collect()
}
