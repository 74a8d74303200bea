//! Time to leave: what the cluster gives a job that must go, and what a checkpoint takes here.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Line, Mark, line, nearest_folder};
use crate::cli::show::size;
use crate::cli::{Context, Failure};
use crate::clock::{Clock, SystemClock};
use crate::layout;
use crate::plan::Plan;
use crate::scheduler::{Grace, Slurm, SlurmSettings};

/// Largest file that is written to see how fast the folder is, in bytes.
const LARGEST_PROBE: u64 = 64 << 20;

/// How long SLURM may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks SLURM, where there is one, for the time between the signal to end and the kill. Says whether it
/// answered.
pub(super) async fn cluster(plan: &Plan) -> (Vec<Line>, bool) {
    let settings = SlurmSettings::new(std::env::vars_os().collect(), Arc::new(SystemClock::new()));
    let slurm = Slurm::new(SlurmSettings { patience: PATIENCE, ..settings });
    let mut partitions = BTreeSet::new();
    for resources in &plan.resources {
        match &resources.partition {
            Some(names) => partitions.extend(names.as_str().split(',').map(|n| Some(n.to_owned()))),
            None => drop(partitions.insert(None)),
        }
    }
    let (mut lines, mut answers) = (Vec::new(), true);
    for partition in &partitions {
        match slurm.grace(partition.as_deref()).await {
            Ok(grace) => lines.push(judge(&grace, plan.budget.grace)),
            Err(error) => {
                tracing::debug!(%error, "the cluster was not asked");
                let given = plan.budget.grace;
                let words = format!("no answer from SLURM; `budget.grace` is {given} s");
                lines.push(line(Mark::NotChecked, "grace", words));
                answers = !error.is_no_cluster();
                break;
            }
        }
    }
    (lines, answers)
}

fn judge(grace: &Grace, wanted: f64) -> Line {
    let Grace { partition, kill_wait, preemption } = grace;
    let Some(kill_wait) = kill_wait else {
        let words = format!("SLURM does not tell its KillWait; `budget.grace` is {wanted} s");
        return line(Mark::NotChecked, "grace", words);
    };
    let (wait, preempted) = (kill_wait.as_secs(), preemption.as_secs());
    let words = format!(
        "a job gets {wait} s between TERM and KILL at a time limit, {preempted} + {wait} s at a \
         preemption (partition {partition})"
    );
    if wanted > kill_wait.as_secs_f64() {
        let words = format!(
            "{words}; `budget.grace` is {wanted} s, more than that: a checkpoint that takes so long \
             would be cut off"
        );
        return line(Mark::Warning, "grace", words);
    }
    line(Mark::Good, "grace", words)
}

/// Writes as much as a checkpoint has, or a part of it, and says how long a checkpoint takes.
pub(super) fn saving(
    ctx: &Context,
    plan: &Plan,
    state_bytes: Option<u64>,
) -> Result<Line, Failure> {
    let Some(bytes) = state_bytes else {
        let words = "the worker did not tell the size of a checkpoint".to_owned();
        return Ok(line(Mark::NotChecked, "saving", words));
    };
    let folder = nearest_folder(ctx)?;
    let seconds = match measure(&ctx.clock, &folder, bytes.min(LARGEST_PROBE)) {
        Ok(seconds) => seconds,
        Err(error) => {
            let words = format!("failed to write a file into {}: {error}", folder.display());
            return Ok(line(Mark::Bad, "saving", words));
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let scale = bytes as f64 / bytes.clamp(1, LARGEST_PROBE) as f64;
    Ok(tell(bytes, seconds * scale, plan.budget.grace))
}

/// Room for the checkpoints of all trials: each keeps the best and the newest one, and those that train
/// at the same time write a third.
pub(super) fn room(
    ctx: &Context,
    plan: &Plan,
    state_bytes: Option<u64>,
) -> Result<Option<Line>, Failure> {
    let Some(bytes) = state_bytes else { return Ok(None) };
    let trials = plan.trials.len() as u64;
    let at_once = plan.max_in_flight.map_or(trials, |most| trials.min(most.into()));
    let needed = bytes.saturating_mul(2 * trials + at_once);
    let folder = nearest_folder(ctx)?;
    let free = match layout::free_bytes(&folder) {
        Ok(free) => free,
        Err(error) => {
            let words = format!("{} does not tell its free room: {error}", folder.display());
            return Ok(Some(line(Mark::NotChecked, "disk", words)));
        }
    };
    let words = format!(
        "{} free under {}, up to {} for checkpoints of {trials} trials; quotas are not seen",
        size(free),
        folder.display(),
        size(needed)
    );
    let mark = match free {
        free if free < 3 * bytes => Mark::Bad,
        free if free < needed => Mark::Warning,
        _ => Mark::Good,
    };
    let advice = if mark == Mark::Good { "" } else { ": make room, or name another `--root`" };
    Ok(Some(line(mark, "disk", format!("{words}{advice}"))))
}

fn tell(bytes: u64, seconds: f64, grace: f64) -> Line {
    let takes = format!("a checkpoint of {} takes about {} here", size(bytes), round(seconds));
    if seconds > grace {
        let words = format!(
            "{takes}, more than the grace of {grace} s: what a killed job has done since its last \
             checkpoint is done again; the worker shortens `checkpoint_every` by itself"
        );
        return line(Mark::Warning, "saving", words);
    }
    line(Mark::Good, "saving", format!("{takes}; `budget.grace` is {grace} s"))
}

/// Seconds that it took to write and sync a file of this size.
fn measure(clock: &impl Clock, folder: &Path, bytes: u64) -> std::io::Result<f64> {
    let start = clock.monotonic();
    let path = layout::write_probe(folder, bytes)?;
    let seconds = (clock.monotonic() - start).as_secs_f64();
    layout::remove(&path)?;
    Ok(seconds)
}

fn round(seconds: f64) -> String {
    match seconds {
        ..0.0995 => format!("{:.0} ms", 1e3 * seconds),
        ..9.95 => format!("{seconds:.1} s"),
        _ => format!("{seconds:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_that_takes_longer_than_the_grace_is_worth_a_warning() {
        let good = tell(240, 0.01, 2.0);
        assert!(good.mark == Mark::Good && good.words.contains("240 B takes about 10 ms"));
        let bad = tell(420_000_000, 6.04, 2.0);
        assert!(bad.mark == Mark::Warning, "{}", bad.words);
        let begin = "a checkpoint of 420 MB takes about 6.0 s here, more than the grace of 2 s: ";
        assert!(bad.words.starts_with(begin), "{}", bad.words);
    }

    #[test]
    fn a_grace_that_the_cluster_does_not_give_is_worth_a_warning() {
        let given = |kill_wait, preemption| Grace {
            partition: "gpu".to_owned(),
            kill_wait,
            preemption: Duration::from_secs(preemption),
        };
        let usual = given(Some(Duration::from_secs(30)), 5);
        let good = judge(&usual, 30.0);
        assert!(good.mark == Mark::Good && good.words.contains("5 + 30 s at a preemption"));
        assert!(judge(&usual, 31.0).mark == Mark::Warning);
        assert!(judge(&given(None, 0), 30.0).mark == Mark::NotChecked);
    }
}
