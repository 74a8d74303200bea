//! How long SLURM lets a task that must go live on: `KillWait`, and a partition's `GraceTime`.

use std::time::Duration;

use super::call::complaint;
use super::{Slurm, words};
use crate::scheduler::SchedulerError;

/// Time between the first TERM and the KILL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grace {
    /// The partition.
    pub partition: String,
    /// At a time limit, and after [`Self::preemption`] where a job is preempted; `None`: not told.
    pub kill_wait: Option<Duration>,
    /// Further time at a preemption.
    pub preemption: Duration,
}

impl Slurm {
    /// Asks for the time that a partition gives, or the default one.
    ///
    /// # Errors
    /// When the cluster cannot be asked or knows no such partition.
    pub async fn grace(&self, partition: Option<&str>) -> Result<Grace, SchedulerError> {
        let kill_wait = self.limits().await?.kill_wait;
        let mut arguments = words(&["-o", "show", "partition"]);
        arguments.extend(partition.map(str::to_owned));
        let answer = self.caller.call("scontrol", &arguments).await?;
        if !answer.is_good() {
            return Err(complaint("scontrol", &answer));
        }
        let found = parse(&answer.output, partition.is_none());
        let Some((partition, preemption)) = found else {
            return Err(SchedulerError::Garbled { program: "scontrol", words: answer.words() });
        };
        Ok(Grace { partition, kill_wait, preemption })
    }
}

/// Reads `scontrol -o show partition`: the default partition, or the first.
fn parse(text: &str, default: bool) -> Option<(String, Duration)> {
    let mut partitions = text.lines().filter_map(|line| {
        let value = |key: &str| {
            line.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
        };
        let grace = value("GraceTime").and_then(|text| text.parse().ok()).unwrap_or(0);
        let name = value("PartitionName")?.to_owned();
        (!default || value("Default") == Some("YES")).then_some((name, Duration::from_secs(grace)))
    });
    partitions.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
PartitionName=high AllowGroups=ALL Default=NO QoS=N/A DisableRootJobs=NO GraceTime=0 Hidden=NO
PartitionName=low AllowGroups=ALL Default=YES QoS=N/A DefaultTime=00:01:00 GraceTime=5 Hidden=NO
";

    #[test]
    fn a_partition_that_was_named_or_the_default_one_is_read() {
        let of = |name: &str, seconds| Some((name.to_owned(), Duration::from_secs(seconds)));
        assert_eq!(parse(TEXT, true), of("low", 5));
        assert_eq!(parse(TEXT, false), of("high", 0));
        assert_eq!(parse("No partitions in the system\n", true), None);
    }
}
