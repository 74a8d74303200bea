//! What a job asks the cluster for: the `resources` of a sweep file, each value checked.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::directive::{Directive, DirectiveError};
use super::time::TimeLimit;
use super::value::{Count, Gpus, Memory, Word};

/// The resources of a task. What is `None` or empty is left to the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Partition, or several with commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<Word>,
    /// Wall-clock limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeLimit>,
    /// CPU cores of a task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Count>,
    /// Memory of a task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem: Option<Memory>,
    /// GPUs of a task: a number, or kind and number (`a100:1`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<Gpus>,
    /// Account that pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Word>,
    /// Quality of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos: Option<Word>,
    /// Features that a node must have (`a100`, `a100|h100`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraint: Option<Word>,
    /// Reservation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<Word>,
    /// Nodes to use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodelist: Vec<Word>,
    /// Nodes not to use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Word>,
    /// Further options of sbatch, `--option` or `--option=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<Directive>,
}

impl Resources {
    /// Returns the wall-clock limit; `None` where none is asked for, or `UNLIMITED`.
    #[must_use]
    pub fn time_limit(&self) -> Option<Duration> {
        self.time.and_then(TimeLimit::duration)
    }

    /// Returns these resources with those of `over` in their place, where it names any.
    #[must_use]
    pub fn overlaid(&self, over: &Self) -> Self {
        let list =
            |low: &Vec<Word>, high: &Vec<Word>| if high.is_empty() { low } else { high }.clone();
        let word =
            |low: &Option<Word>, high: &Option<Word>| high.as_ref().or(low.as_ref()).cloned();
        Self {
            partition: word(&self.partition, &over.partition),
            time: over.time.or(self.time),
            cpus: over.cpus.or(self.cpus),
            mem: over.mem.or(self.mem),
            gpus: over.gpus.as_ref().or(self.gpus.as_ref()).cloned(),
            account: word(&self.account, &over.account),
            qos: word(&self.qos, &over.qos),
            constraint: word(&self.constraint, &over.constraint),
            reservation: word(&self.reservation, &over.reservation),
            nodelist: list(&self.nodelist, &over.nodelist),
            exclude: list(&self.exclude, &over.exclude),
            extra: if over.extra.is_empty() { &self.extra } else { &over.extra }.clone(),
        }
    }

    /// Returns the options of sbatch that ask for them.
    ///
    /// # Errors
    /// When `extra` names an option that the script itself must set.
    pub fn directives(&self) -> Result<Vec<Directive>, DirectiveError> {
        let joined = |nodes: &[Word]| {
            let names: Vec<&str> = nodes.iter().map(Word::as_str).collect();
            (!names.is_empty()).then(|| names.join(","))
        };
        let text = |value: &dyn fmt::Display| value.to_string();
        let named: [(&str, Option<String>); 11] = [
            ("partition", self.partition.as_ref().map(|v| text(v))),
            ("time", self.time.map(|v| text(&v))),
            ("cpus-per-task", self.cpus.map(|v| text(&v))),
            ("mem", self.mem.map(|v| text(&v))),
            ("gres", self.gpus.as_ref().filter(|g| g.count > 0).map(|v| format!("gpu:{v}"))),
            ("account", self.account.as_ref().map(|v| text(v))),
            ("qos", self.qos.as_ref().map(|v| text(v))),
            ("constraint", self.constraint.as_ref().map(|v| text(v))),
            ("reservation", self.reservation.as_ref().map(|v| text(v))),
            ("nodelist", joined(&self.nodelist)),
            ("exclude", joined(&self.exclude)),
        ];
        let mut directives = Vec::new();
        for (name, value) in named {
            if let Some(value) = value {
                directives.push(Directive::new(name, &value)?);
            }
        }
        for extra in &self.extra {
            extra.refuse_reserved()?;
            directives.push(extra.clone());
        }
        Ok(directives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_named_with_what_would_do() {
        let error =
            |yaml: &str| serde_yaml::from_str::<Resources>(yaml).expect_err("wrong").to_string();
        assert!(error("time: 4 hours").contains("write \"HH:MM:SS\""));
        assert!(error("mem: lots").contains("16G"));
        assert!(error("cpus: 0").contains("1 or more"));
        assert!(error("gpus: two").contains("a100:1"));
        assert!(error("partition: \"a\\nb\"").contains("line break"));
        assert!(error("partitoin: gpu").contains("unknown field"));
        assert!(error("extra: [\"--output=x\"]").contains("--output"));
    }

    #[test]
    fn numbers_and_texts_are_read_alike() {
        let read = |yaml: &str| serde_yaml::from_str::<Resources>(yaml).expect("good");
        assert_eq!(
            read("{ time: 30, cpus: 4, gpus: 1 }"),
            read("{ time: '30', cpus: '4', gpus: '1' }")
        );
        let all = read(
            "{ partition: gpu, time: '04:00:00', cpus: 4, mem: 16G, gpus: a100:2, account: lab, qos: normal, \
             constraint: 'a100|h100', reservation: r, nodelist: [n1], exclude: [n7, 'n[1-3]'], extra: [--nice=5] }",
        );
        let json = serde_json::to_string(&all).expect("json");
        assert_eq!(serde_json::from_str::<Resources>(&json).expect("back"), all);
    }

    #[test]
    fn what_lies_above_wins_and_the_rest_stays() {
        let read = |yaml: &str| serde_yaml::from_str::<Resources>(yaml).expect("good");
        let both = read("{ mem: 16G, cpus: 4, exclude: [a] }").overlaid(&read("{ mem: 32G }"));
        assert_eq!(both, read("{ mem: 32G, cpus: 4, exclude: [a] }"));
    }
}
