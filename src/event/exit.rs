//! How the scheduler says a process ended: exit code and signal.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Exit code and signal of a task as SLURM tells them; in text `7:0`, as sacct prints it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct ExitCode {
    /// What the script returned.
    pub code: u32,
    /// The signal that ended it; 0: none.
    pub signal: u32,
}

impl ExitCode {
    /// SLURM's own mark of a task that ran over its memory (`0:125`).
    pub const OUT_OF_MEMORY: Self = Self { code: 0, signal: 125 };

    /// Reads a raw wait status, as squeue's column `exit_code` has it (`man 2 wait`): 512 is exit code
    /// 2, 15 is signal 15.
    #[must_use]
    pub fn of_status(status: u32) -> Self {
        Self { code: status >> 8 & 0xff, signal: status & 0x7f }
    }

    /// Says whether a process was killed outright: by KILL, or by what a shell returns after that.
    #[must_use]
    pub fn is_killed(self) -> bool {
        self.signal == 9 || self.code == 137
    }
}

impl fmt::Display for ExitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.code, self.signal)
    }
}

impl FromStr for ExitCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (code, signal) = text.split_once(':')?;
            Some(Self { code: code.parse().ok()?, signal: signal.parse().ok()? })
        };
        read().ok_or_else(|| format!("`{text}` is no exit code such as 0:9"))
    }
}

impl TryFrom<String> for ExitCode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ExitCode> for String {
    fn from(exit: ExitCode) -> Self {
        exit.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_status_is_taken_apart() {
        assert_eq!(ExitCode::of_status(512).to_string(), "2:0");
        assert_eq!(ExitCode::of_status(15).to_string(), "0:15");
        assert_eq!(ExitCode::of_status(125), ExitCode::OUT_OF_MEMORY);
        assert_eq!("0:9".parse::<ExitCode>().map(ExitCode::is_killed), Ok(true));
        assert!("9".parse::<ExitCode>().is_err());
        let json = serde_json::to_string(&ExitCode { code: 7, signal: 0 }).expect("json");
        assert_eq!(json, "\"7:0\"");
        assert_eq!(serde_json::from_str::<ExitCode>(&json).expect("back").code, 7);
    }
}
