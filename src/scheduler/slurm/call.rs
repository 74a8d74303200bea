//! Calls of SLURM's programs: a clean environment, a time limit, and what their complaints mean.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::scheduler::{SchedulerError, program as heard};

/// What a program answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) code: Option<i32>,
    pub(super) output: String,
    pub(super) errors: String,
}

impl Answer {
    pub(super) fn is_good(&self) -> bool {
        self.code == Some(0)
    }

    /// Says whether sbatch was ended while it waited to be let in.
    pub(super) fn is_retrying(&self) -> bool {
        matches!(self.code, Some(124 | 137)) && self.errors.contains("retrying")
    }

    /// What it said, on one line.
    pub(super) fn words(&self) -> String {
        let text = if self.errors.trim().is_empty() { &self.output } else { &self.errors };
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        match lines.is_empty() {
            true => self.code.map_or("killed".to_owned(), |code| format!("exit code {code}")),
            false => lines.join("; "),
        }
    }
}

/// Starts SLURM's programs.
#[derive(Debug)]
pub(super) struct Caller {
    environment: Vec<(OsString, OsString)>,
    pub(super) patience: Duration,
}

impl Caller {
    pub(super) fn new(environment: Vec<(OsString, OsString)>, patience: Duration) -> Self {
        let environment = environment.into_iter().filter(|(name, _)| is_kept(name)).collect();
        Self { environment, patience }
    }

    /// Calls a program and waits for it; one that takes too long is killed.
    pub(super) async fn call(
        &self,
        program: &'static str,
        arguments: &[String],
    ) -> Result<Answer, SchedulerError> {
        let command = self.command(program, arguments);
        self.answer(program, command, self.patience).await
    }

    /// Calls sbatch so that it ends in time even when this process is killed meanwhile: whoever looks
    /// for the job later knows when nothing can come any more.
    pub(super) async fn submit(
        &self,
        folder: &Path,
        arguments: &[String],
    ) -> Result<Answer, SchedulerError> {
        let seconds = self.patience.as_secs_f64().to_string();
        let mut all = vec!["--kill-after=2".to_owned(), seconds, "sbatch".to_owned()];
        all.extend_from_slice(arguments);
        let mut command = self.command("timeout", &all);
        // Not killed with us: `timeout` without its sbatch would leave that without a limit.
        command.current_dir(folder).kill_on_drop(false);
        let answer = self.answer("sbatch", command, self.patience + Duration::from_secs(4)).await?;
        match answer.code {
            // `man timeout`: 124 and 137 at the limit, 127 where there is no such program.
            // One that SLURM told to come again later slept when it was ended.
            Some(124 | 137) if !answer.is_retrying() => Err(late("sbatch", self.patience)),
            Some(127) => Err(SchedulerError::Missing { program: "sbatch" }),
            _ => Ok(answer),
        }
    }

    fn command(&self, program: &str, arguments: &[String]) -> Command {
        #[expect(clippy::disallowed_methods, reason = "this wing starts processes")]
        let mut command = Command::new(program);
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("LC_ALL", "C").args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn answer(
        &self,
        program: &'static str,
        mut command: Command,
        patience: Duration,
    ) -> Result<Answer, SchedulerError> {
        let heard = tokio::time::timeout(patience, heard::output(&mut command));
        let output = match heard.await {
            Err(_) => return Err(late(program, patience)),
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SchedulerError::Missing { program });
            }
            Ok(Err(error)) => {
                return Err(SchedulerError::Unavailable { program, words: error.to_string() });
            }
            Ok(Ok(output)) => output,
        };
        Ok(Answer {
            code: output.status.code(),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

fn late(program: &'static str, patience: Duration) -> SchedulerError {
    let words = format!("nothing heard for {} seconds", patience.as_secs_f64());
    SchedulerError::Unavailable { program, words }
}

/// Says whether SLURM's programs may see a variable. Those of a job around us would get into the new
/// job (CPU binding, memory, GPUs), and `SBATCH_…` and `SQUEUE_…` silently win over what stands in the
/// script or on the command line (`man sbatch`, "INPUT ENVIRONMENT VARIABLES").
fn is_kept(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let prefixes =
        ["SLURM_", "SLURMD_", "SBATCH_", "SQUEUE_", "SACCT_", "SCANCEL_", "SRUN_", "REGATTA_"];
    let names =
        ["CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"];
    matches!(&*name, "SLURM_CONF" | "SLURM_CONF_SERVER" | "SLURM_JWT")
        || !(prefixes.iter().any(|prefix| name.starts_with(prefix)) || names.contains(&&*name))
}

/// What a program that did not succeed means by it.
pub(super) fn complaint(program: &'static str, answer: &Answer) -> SchedulerError {
    let words = answer.words();
    let says = |any: &[&str]| any.iter().any(|text| words.contains(text));
    if says(&UNAVAILABLE) || answer.code.is_none() {
        return SchedulerError::Unavailable { program, words };
    }
    if is_limit(&words) {
        return SchedulerError::Limit { program, words };
    }
    SchedulerError::Refused { program, words }
}

/// What an sbatch that did not succeed means by it. That nothing was submitted is certain only where it
/// said no: one that printed an id, was ended by a signal, gave no reason or lost its connection may
/// have been heard.
pub(super) fn not_submitted(answer: &Answer) -> SchedulerError {
    let program = "sbatch";
    let is_ended = answer.code.is_none_or(|code| code >= FIRST_OF_SIGNALS);
    let has_id = super::parse::job_id(&answer.output).is_some();
    let has_reason = !(answer.errors.trim().is_empty() && answer.output.trim().is_empty());
    let is_lost = LOST.iter().any(|text| answer.words().contains(text));
    if is_ended || has_id || !has_reason || is_lost {
        return SchedulerError::Unavailable { program, words: answer.words() };
    }
    complaint(program, answer)
}

/// Exit codes from here on tell of a signal (`man bash`, "EXIT STATUS"): of sbatch or of a site's wrapper.
const FIRST_OF_SIGNALS: i32 = 128;

/// Words of the system for a connection that broke (`man 3 strerror`): SLURM hands them on as they are.
const LOST: [&str; 12] = [
    "Connection reset by peer",
    "connection abort",
    "Broken pipe",
    "No route to host",
    "Network is unreachable",
    "Network is down",
    "Network dropped connection",
    "Host is down",
    "Input/output error",
    "Interrupted system call",
    "Protocol error",
    "timed out",
];

/// The controller of the cluster could not be asked, or its answer was lost on the way.
const UNAVAILABLE: [&str; 10] = [
    "Unable to contact slurm controller",
    "Socket timed out",
    "Communication connection failure",
    "Connection refused",
    "Connection timed out",
    "Zero Bytes were transmitted",
    "Transport endpoint",
    "Unexpected message received",
    "standby mode",
    "authentication error",
];

/// It said no for now, or to so many: slurm_errno.c (EAGAIN at MaxJobCount, ESLURM_INVALID_ARRAY beyond
/// MaxArraySize, ESLURM_ERROR_ON_DESC_TO_RECORD_COPY) and sbatch.c.
const LIMITS: [&str; 6] = [
    "Resource temporarily unavailable",
    "temporarily unable to accept job",
    "job queue full",
    "Job creation temporarily disabled",
    "Unable to create job record",
    "Invalid job array specification",
];

/// The general words of a refusal by accounting; which limit it was may stand beside them.
const POLICY: &str = "Job violates accounting/QOS policy";

/// Says whether a refusal passes with time or with fewer tasks. A limit on the number of jobs does
/// (`AssocMaxSubmitJobLimit`, `QOSMaxSubmitJobPerUserLimit`, `QOSGrpSubmitJobsLimit`). One on the size of
/// each job (`QOSMaxWallDurationPerJobLimit`, `QOSMaxCpuPerUserLimit`) does not: SLURM refuses for those
/// only what could never start.
pub(super) fn is_limit(words: &str) -> bool {
    let named: Vec<&str> = words
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| {
            let rest = ["QOS", "Assoc", "Max", "Grp", "Min"]
                .iter()
                .find_map(|begin| word.strip_prefix(begin));
            rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
        })
        .collect();
    let submit = |word: &&str| word.contains("Submit");
    LIMITS.iter().any(|text| words.contains(text))
        || named.iter().any(submit)
        || (words.contains(POLICY) && named.is_empty())
}

/// Returns what a person may do about a refusal, where its words are known.
pub(crate) fn hint(words: &str) -> Option<&'static str> {
    let hints = [
        (
            "configuration source",
            "SLURM is not set up on this machine: `regatta doctor` tries it; log in to the cluster, or run here \
             with `--scheduler local`",
        ),
        (
            "invalid partition",
            "see `sinfo -s` for the partitions there are; set `resources.partition`",
        ),
        (
            "Invalid partition",
            "see `sinfo -s` for the partitions there are; set `resources.partition`",
        ),
        (
            "Invalid account",
            "see `sacctmgr show associations user=$USER` for your accounts; set `resources.account`",
        ),
        (
            "Invalid qos",
            "see `sacctmgr show associations user=$USER format=qos`; set `resources.qos`",
        ),
        ("Memory specification", "no node has so much memory; lower `resources.mem`"),
        (
            "node configuration is not available",
            "no node has that many CPUs, GPUs or so much memory; see `sinfo -N -o '%N %c %m %G'`",
        ),
        (
            "Invalid feature",
            "see `sinfo -o '%N %f'` for what nodes offer; set `resources.constraint`",
        ),
        (
            "Invalid generic resource",
            "see `sinfo -o '%N %G'` for the GPUs there are; set `resources.gpus`",
        ),
        ("reservation", "see `scontrol show reservation`; set `resources.reservation`"),
        ("Invalid node name", "see `sinfo -N`; set `resources.nodelist` or `resources.exclude`"),
        ("time limit", "see `sinfo -o '%P %l'` for the longest time; lower `resources.time`"),
        (
            "MaxWall",
            "see `sacctmgr show qos format=name,maxwall` for the longest time; lower `resources.time`",
        ),
        (
            POLICY,
            "each job asks for more than your account or QOS allows; see `sacctmgr show qos` and \
             `sacctmgr show associations user=$USER`, and lower `resources`",
        ),
        (
            "unrecognized option",
            "this version of SLURM does not know an option of `resources.extra`",
        ),
        ("Invalid job id", "the cluster has forgotten this job"),
        ("permission denied", "the job is somebody else's"),
    ];
    hints.iter().find(|(text, _)| words.contains(text)).map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(errors: &str) -> SchedulerError {
        complaint(
            "sbatch",
            &Answer { code: Some(1), output: String::new(), errors: errors.to_owned() },
        )
    }

    #[test]
    fn a_silent_controller_is_no_refusal() {
        for text in [
            "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
            "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
        ] {
            assert!(matches!(said(text), SchedulerError::Unavailable { .. }), "{text}");
            assert!(!said(text).is_certain());
        }
    }

    #[test]
    fn only_an_sbatch_that_said_no_has_submitted_nothing_for_certain() {
        let ended = |code, output: &str, errors: &str| {
            let (output, errors) = (output.to_owned(), errors.to_owned());
            not_submitted(&Answer { code, output, errors }).is_certain()
        };
        let partition =
            "sbatch: error: Batch job submission failed: Invalid partition name specified";
        assert!(ended(Some(1), "", partition));
        assert!(ended(Some(1), "", "sbatch: error: QOSMaxSubmitJobPerUserLimit"));
        assert!(
            ended(Some(2), "project: you have no hours left\n", ""),
            "a site's wrapper says no"
        );
        for (code, output, errors) in [
            (None, "", partition),
            (Some(139), "", "Segmentation fault"),
            (Some(143), "", "Terminated"),
            (Some(1), "17\n", "wrapper: accounting failed"),
            (Some(1), "17;cluster\n", ""),
            (Some(1), "", ""),
            (Some(1), "", "sbatch: error: Batch job submission failed: Connection reset by peer"),
            (Some(1), "", "sbatch: error: Batch job submission failed: Broken pipe"),
            (
                Some(1),
                "",
                "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
            ),
        ] {
            assert!(!ended(code, output, errors), "{code:?} {output:?} {errors:?}");
        }
    }

    #[test]
    fn limits_and_refusals_are_told_apart() {
        let policy = "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)";
        for text in [
            &format!("sbatch: error: QOSMaxSubmitJobPerUserLimit\n{policy}"),
            &format!("sbatch: error: QOSGrpSubmitJobsLimit\n{policy}"),
            "sbatch: error: AssocMaxSubmitJobLimit",
            policy,
            "sbatch: error: Batch job submission failed: Invalid job array specification",
            "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\nsbatch: error: Batch job submission failed: Resource temporarily unavailable",
        ] {
            assert!(matches!(said(text), SchedulerError::Limit { .. }), "{text}");
        }
        for text in [
            &format!("sbatch: error: QOSMaxWallDurationPerJobLimit\n{policy}"),
            &format!("sbatch: error: AssocMaxCpuPerJobLimit\n{policy}"),
            &format!("sbatch: error: MaxGRESPerJob\n{policy}"),
            "sbatch: error: Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)",
            "sbatch: error: Batch job submission failed: Requested node configuration is not available",
        ] {
            let error = said(text);
            assert!(matches!(error, SchedulerError::Refused { .. }), "{text}");
            assert!(error.hint().is_some(), "{text}");
        }
        let error = said(
            "sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission failed: Invalid partition name specified\n",
        );
        assert!(matches!(error, SchedulerError::Refused { .. }) && error.is_certain());
        assert!(error.hint().expect("hint").contains("sinfo"));
    }

    #[test]
    fn variables_of_a_job_around_us_are_kept_away() {
        for gone in [
            "SLURM_CPU_BIND",
            "SLURM_JOB_ID",
            "SBATCH_PARTITION",
            "SQUEUE_STATES",
            "CUDA_VISIBLE_DEVICES",
            "REGATTA_TASK",
        ] {
            assert!(!is_kept(OsStr::new(gone)), "{gone}");
        }
        for kept in ["SLURM_CONF", "PATH", "HOME", "LD_LIBRARY_PATH"] {
            assert!(is_kept(OsStr::new(kept)), "{kept}");
        }
    }
}
