//! What the controller does with a sweep; records of its journal.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ExitCode;
use crate::id::{Token, TrialId};

/// What the controller decided about a trial that ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// A first submission.
    Submit,
    /// A new job for a trial that can go on from its checkpoint.
    Resume,
    /// A new job for a trial that failed.
    Retry,
}

impl Act {
    /// Name of the sweep whose journal this is, where the record says so.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        match self {
            Self::Header { sweep, .. } => Some(sweep),
            _ => None,
        }
    }
}

/// Something the controller did or is about to do with a sweep; a record of `controller.journal`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// First record: what this file is.
    Header {
        /// Version of the journal format.
        format: u32,
        /// Name of the sweep.
        sweep: String,
        /// Version of the controller.
        version: String,
    },
    /// The plan of the sweep as staged; a later one replaces an earlier one.
    Planned {
        /// SHA-256 in hex of the staged `plan.json`.
        plan_sha256: String,
        /// Number of trials.
        trials: u64,
    },
    /// About to submit: durable before the scheduler is called.
    Intent {
        /// The submission.
        token: Token,
        /// `slurm` or `local`.
        scheduler: String,
        /// What for.
        decision: Decision,
        /// One trial per array task, in order.
        trials: Vec<TrialId>,
    },
    /// What the user's workspace looked like when it was submitted, where it is under git.
    Workspace {
        /// The submission.
        token: Token,
        /// The folder that was looked at.
        folder: PathBuf,
        /// Full name of the commit.
        commit: String,
        /// Whether something differs from the commit: changed or new files.
        dirty: bool,
        /// SHA-256 in hex of the diff beside the job's script; none if clean, or if it could not be
        /// written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        diff_sha256: Option<String>,
    },
    /// The scheduler accepted it.
    Accepted {
        /// The submission.
        token: Token,
        /// The scheduler's id of the job.
        job: String,
    },
    /// The scheduler refused it, or it is certain that it never got it.
    Refused {
        /// The submission.
        token: Token,
        /// In the scheduler's words.
        error: String,
        /// Whether it was refused because so many are let in only: it is tried again later.
        #[serde(default, skip_serializing_if = "is_false")]
        limit: bool,
        /// Whether nobody refused it, but the scheduler knows of no such job: it never arrived.
        #[serde(default, skip_serializing_if = "is_false")]
        absent: bool,
    },
    /// Why trials are about to be submitted once more. Stands before the intent; without one that was
    /// accepted it counts for nothing.
    Decided {
        /// The submission that is about to be made.
        token: Token,
        /// The state that they ended in (`timed_out`).
        after: String,
        /// Which submission after this kind of end it is, from 1.
        #[serde(default)]
        number: u32,
        /// How many policy allows; none: somebody asked for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<u32>,
        /// What is other than before, in words (`memory 32G`, `without node n7`).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changes: Vec<String>,
        /// Which.
        trials: Vec<TrialId>,
    },
    /// Somebody asked for these trials to be cancelled.
    Cancelled {
        /// Which.
        trials: Vec<TrialId>,
        /// Who (login name).
        by: String,
    },
    /// A task vanished without a record of its end.
    Lost {
        /// The trial.
        trial: TrialId,
        /// The submission.
        token: Token,
        /// What was seen.
        evidence: String,
        /// The node on which the scheduler last saw it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
    },
    /// How the scheduler says a task ended; kept because it forgets.
    TaskEnded {
        /// The trial.
        trial: TrialId,
        /// The submission.
        token: Token,
        /// The scheduler's word (`TIMEOUT`).
        state: String,
        /// The node, in the scheduler's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
        /// Exit code and signal, in the scheduler's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<ExitCode>,
        /// How the trial stood with this: the scheduler's word alone does not tell a failure from a
        /// worker that stopped with a checkpoint.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        judged: Option<String>,
    },
    /// The sweep came here in a bundle: what stands above happened elsewhere, and no submission made
    /// there is in flight here.
    Imported {
        /// Folder of the sweep where it was packed.
        from: PathBuf,
        /// When it was packed (UTC).
        exported_at: Timestamp,
        /// Version of the controller that packed it.
        version: String,
    },
    /// A kind of another version.
    #[serde(other)]
    Unknown,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands the field over like this")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_earlier_versions_are_read_and_written_as_they_were() {
        let token = "018bcfe5-6800-7000-8000-000000000001";
        for old in [
            format!(r#"{{"act":"refused","token":"{token}","error":"no"}}"#),
            format!(
                r#"{{"act":"task_ended","trial":"0123456789abcdef","token":"{token}","state":"FAILED"}}"#
            ),
            format!(
                r#"{{"act":"lost","trial":"0123456789abcdef","token":"{token}","evidence":"gone"}}"#
            ),
        ] {
            let act: Act = serde_json::from_str(&old).expect("read");
            assert_ne!(act, Act::Unknown);
            assert_eq!(serde_json::to_string(&act).expect("written"), old);
        }
    }
}
