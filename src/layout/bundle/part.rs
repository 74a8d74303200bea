//! The names that a bundle may hold: those that this wing gives to files of a sweep.

use super::super::{CheckpointName, SweepFolder};
use crate::id::{Token, TrialId};

/// A file of a sweep that travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The sweep file.
    Document,
    /// The plan.
    Plan,
    /// The controller's journal.
    ControllerJournal,
    /// A job script.
    Script(Token),
    /// A job file.
    JobFile(Token),
    /// What differed from the commit.
    Diff(Token),
    /// A trial as resolved.
    Assignment(TrialId),
    /// Its final values.
    Result(TrialId),
    /// A claim.
    Claim(TrialId, u32),
    /// An attempt's journal.
    Journal(TrialId, u32),
    /// Tensors of a checkpoint.
    Tensors(TrialId, CheckpointName),
    /// Its manifest.
    Manifest(TrialId, CheckpointName),
    /// Weights alone.
    Weights(TrialId, CheckpointName),
}

impl Part {
    /// Reads a path within a sweep's folder. Only the one spelling that [`Self::path`] gives is
    /// known: nothing that leads elsewhere is spelt so.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        let part = match parts.as_slice() {
            ["sweep.yaml"] => Self::Document,
            ["plan.json"] => Self::Plan,
            ["controller.journal"] => Self::ControllerJournal,
            ["jobs", name] => {
                let (token, kind) = name.split_once('.')?;
                let token = token.parse().ok()?;
                match kind {
                    "sh" => Self::Script(token),
                    "jsonl" => Self::JobFile(token),
                    "diff" => Self::Diff(token),
                    _ => return None,
                }
            }
            [trial, rest @ ..] => Self::of_trial(trial.parse().ok()?, rest)?,
            [] => return None,
        };
        (part.path() == path).then_some(part)
    }

    fn of_trial(trial: TrialId, rest: &[&str]) -> Option<Self> {
        Some(match rest {
            ["trial.json"] => Self::Assignment(trial),
            ["result.json"] => Self::Result(trial),
            ["claims", number] => Self::Claim(trial, number.parse().ok()?),
            ["checkpoint", name] => {
                let (stem, kind) = name.split_once('.')?;
                let checkpoint = CheckpointName::parse(stem)?;
                match kind {
                    "safetensors" => Self::Tensors(trial, checkpoint),
                    "json" => Self::Manifest(trial, checkpoint),
                    "weights.safetensors" => Self::Weights(trial, checkpoint),
                    _ => return None,
                }
            }
            [name] => Self::Journal(trial, name.strip_suffix(".journal")?.parse().ok()?),
            _ => return None,
        })
    }

    /// Its place in the folder of a sweep.
    #[must_use]
    pub fn place(&self, sweep: &SweepFolder) -> std::path::PathBuf {
        match self {
            Self::Document => sweep.document(),
            Self::Plan => sweep.plan(),
            Self::ControllerJournal => sweep.controller_journal(),
            Self::Script(token) => sweep.script(*token),
            Self::JobFile(token) => sweep.job_file(*token),
            Self::Diff(token) => sweep.workspace_diff(*token),
            Self::Assignment(trial) => sweep.trial(trial).assignment(),
            Self::Result(trial) => sweep.trial(trial).result(),
            Self::Claim(trial, number) => sweep.trial(trial).claim(*number),
            Self::Journal(trial, number) => sweep.trial(trial).journal(*number),
            Self::Tensors(trial, name) => sweep.trial(trial).checkpoints().tensors(*name),
            Self::Manifest(trial, name) => sweep.trial(trial).checkpoints().manifest(*name),
            Self::Weights(trial, name) => sweep.trial(trial).checkpoints().weights(*name),
        }
    }

    /// Its path within the folder.
    #[must_use]
    pub fn path(&self) -> String {
        self.place(&SweepFolder::new("")).to_string_lossy().into_owned()
    }

    /// Bytes that such a file has at most.
    #[must_use]
    pub fn most(&self) -> u64 {
        const MB: u64 = 1024 * 1024;
        match self {
            Self::Claim(..) => MB / 16,
            Self::Script(_) | Self::Assignment(_) => MB,
            Self::Document | Self::Diff(_) | Self::Result(_) | Self::Manifest(..) => 64 * MB,
            Self::Plan | Self::ControllerJournal | Self::JobFile(_) => 4096 * MB,
            Self::Journal(..) => 16_384 * MB,
            Self::Tensors(..) | Self::Weights(..) => 1024 * 1024 * MB,
        }
    }
}

/// Says whether a folder may be a sweep's, by its name.
#[must_use]
pub fn is_sweep_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.len() <= 64
        && name.chars().all(good)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && !name.starts_with(crate::layout::DATABASE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIAL: &str = "0123456789abcdef";
    const TOKEN: &str = "0190a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1b";

    #[test]
    fn every_name_of_a_sweep_is_read_back() {
        let names = [
            "sweep.yaml".to_owned(),
            "plan.json".to_owned(),
            "controller.journal".to_owned(),
            format!("jobs/{TOKEN}.sh"),
            format!("jobs/{TOKEN}.jsonl"),
            format!("jobs/{TOKEN}.diff"),
            format!("{TRIAL}/trial.json"),
            format!("{TRIAL}/result.json"),
            format!("{TRIAL}/claims/12"),
            format!("{TRIAL}/12.journal"),
            format!("{TRIAL}/checkpoint/1-20.safetensors"),
            format!("{TRIAL}/checkpoint/1-20.json"),
            format!("{TRIAL}/checkpoint/1-20.weights.safetensors"),
        ];
        for name in names {
            assert_eq!(Part::parse(&name).map(|part| part.path()), Some(name));
        }
    }

    #[test]
    fn whatever_leads_elsewhere_is_no_name() {
        let names = [
            "",
            ".",
            "..",
            "/plan.json",
            "./plan.json",
            "plan.json/",
            "//plan.json",
            "../plan.json",
            "jobs/../plan.json",
            "plan.json\0",
            "plan.JSON",
            "controller.lock",
            "logs/1_0.out",
            "jobs/a.sh",
            "jobs/0190A0B1-C2D3-7E4F-8A5B-6C7D8E9F0A1B.sh",
            "jobs/0190a0b1c2d37e4f8a5b6c7d8e9f0a1b.sh",
            "0123456789abcdef",
            "0123456789abcdef/",
            "0123456789abcdef/cancel",
            "0123456789abcdef/claims/+1",
            "0123456789abcdef/claims/01",
            "0123456789abcdef/claims/-1",
            "0123456789abcdef/claims/99999999999",
            "0123456789abcdef/1.journal/x",
            "0123456789abcdef/../1.journal",
            "0123456789abcdef/checkpoint/last.safetensors",
            "0123456789abcdef/checkpoint/1-01.json",
            "0123456789abcdef/checkpoint/1-2-3.json",
            "0123456789ABCDEF/1.journal",
        ];
        for name in names {
            assert_eq!(Part::parse(name), None, "{name:?}");
        }
        for name in ["", ".hidden", "a/b", "..", "a b", "é", "-x", "regatta.db", "regatta.db.lock"]
        {
            assert!(!is_sweep_name(name), "{name:?}");
        }
        assert!(is_sweep_name("lr-batch.2_x"));
    }
}
