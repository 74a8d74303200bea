//! Identity of a process, so that its absence can be known for certain.

use std::fs;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What Linux counts in for programs (`USER_HZ`, on all its usual architectures).
const TICKS_A_SECOND: f64 = 100.0;

/// A process: its id alone may have been given to another one since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// When it started, in the machine's ticks (proc(5), field 22 of `stat`).
    pub ticks: Option<u64>,
    /// The machine since it was last started, and the space in which `pid` counts. Containers may
    /// share a host's name, not this.
    pub space: Option<String>,
}

impl Process {
    /// Describes this process.
    #[must_use]
    pub fn this() -> Self {
        let pid = std::process::id();
        Self { pid, ticks: stat(&pid.to_string()).map(|(_, ticks)| ticks), space: space() }
    }

    /// Returns the time since this process was started: before its first line of code the system has
    /// to load it with its libraries. None where that cannot be seen.
    #[must_use]
    pub fn age() -> Option<Duration> {
        // Not by its number: in a container that may be another process's in the /proc of the host.
        let (_, ticks) = stat("self")?;
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let uptime: f64 = uptime.split_ascii_whitespace().next()?.parse().ok()?;
        #[expect(clippy::cast_precision_loss, reason = "ticks stay far below 2^53")]
        let age = uptime - ticks as f64 / TICKS_A_SECOND;
        Duration::try_from_secs_f64(age.max(0.0)).ok()
    }

    /// Says whether it certainly runs no more; `false` where that cannot be seen from here.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        if self.space.is_none() || self.space != space() {
            return false;
        }
        match stat(&self.pid.to_string()) {
            // A zombie has ended; its parent has not noticed yet.
            Some((state, ticks)) => matches!(state, 'Z' | 'X') || Some(ticks) != self.ticks,
            None => !fs::exists(format!("/proc/{}", self.pid)).unwrap_or(true),
        }
    }
}

/// State letter and start of a process.
fn stat(process: &str) -> Option<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may hold anything; the third field follows the last parenthesis.
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

fn space() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let pids = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), pids.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_its_id_in_another_time_or_place_is_told_apart() {
        let this = Process::this();
        assert!(this.ticks.is_some() && this.space.is_some());
        assert!(!this.is_gone());
        assert!(Process::age().is_some_and(|age| age < Duration::from_hours(1)));
        let earlier = Process { ticks: this.ticks.map(|ticks| ticks - 1), ..this.clone() };
        assert!(earlier.is_gone());
        let elsewhere = Process { space: Some("other".to_owned()), ..earlier };
        assert!(!elsewhere.is_gone());
        let unheard = Process { pid: 0, ..this };
        assert!(unheard.is_gone());
    }
}
