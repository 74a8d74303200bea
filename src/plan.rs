//! From trials to jobs: a pure value that can be shown before anything is submitted.
//!
//! Trials that ask for the same resources share a job array; what exceeds the cluster's largest
//! array becomes several.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{Token, TrialId};
use crate::metric::Objective;
use crate::script::{Resources, TemplateSource};
use crate::setting::SETTINGS_VERSION;
use crate::sweep::{Assignment, Budget, Policy, Step, Sweep, SweepError, Trial};

/// Warning signals may come up to a minute early (seen with SLURM 22.05): below this limit one would
/// cost more than it brings, as the worker counts its time itself.
const SHORTEST_WARNED: Duration = Duration::from_mins(10);

/// What a cluster allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tasks of one array. SLURM's MaxArraySize caps the highest index, which is one less.
    pub max_array_tasks: u32,
}

impl Default for Limits {
    /// SLURM's own default.
    fn default() -> Self {
        Self { max_array_tasks: 1000 }
    }
}

/// Version of the staged plan's form.
pub const FORMAT: u32 = 1;

/// A whole sweep, expanded: what is staged as `plan.json`, and all that later commands need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this form.
    pub format: u32,
    /// Name of the sweep.
    pub sweep: String,
    /// What is good.
    pub objective: Objective,
    /// Time limits.
    pub budget: Budget,
    /// What to do after each kind of end.
    pub policy: Policy,
    /// Tasks that may be in flight at the same time.
    pub max_in_flight: Option<u32>,
    /// Shell command to call when the sweep ends.
    pub notify: Option<String>,
    /// Text of the site's template, if it has one.
    pub site_template: Option<String>,
    /// Text of the sweep's own template, if it has one.
    pub sweep_template: Option<String>,
    /// The different resources that trials ask for.
    pub resources: Vec<Resources>,
    /// For each trial, which of the resources it asks for.
    pub asks: Vec<usize>,
    /// All trials.
    pub trials: Vec<Trial>,
}

impl Plan {
    /// Makes the plan of a sweep.
    ///
    /// # Errors
    /// When a resource is not well written, with its place.
    pub fn new(sweep: &Sweep) -> Result<Self, SweepError> {
        let mut resources: Vec<Resources> = Vec::new();
        let mut asks = Vec::with_capacity(sweep.trials.len());
        let known = Known::read(sweep)?;
        for trial in &sweep.trials {
            let wanted = known.of(&trial.settings);
            let at = resources.iter().position(|other| *other == wanted);
            asks.push(at.unwrap_or(resources.len()));
            if at.is_none() {
                resources.push(wanted);
            }
        }
        Ok(Self {
            format: FORMAT,
            sweep: sweep.name.clone(),
            objective: sweep.objective.clone(),
            budget: sweep.budget.clone(),
            policy: sweep.policy.clone(),
            max_in_flight: sweep.max_in_flight,
            notify: sweep.notify.as_ref().map(|notify| notify.command.clone()),
            site_template: None,
            sweep_template: None,
            resources,
            asks,
            trials: sweep.trials.clone(),
        })
    }

    /// Says whether each trial asks for resources that the plan has: one that was read from a file
    /// may be another's, or damaged.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.asks.len() == self.trials.len()
            && self.asks.iter().all(|ask| *ask < self.resources.len())
    }

    /// Groups the wanted trials into jobs, in the order of the sweep. `adjust` may ask for more than
    /// the plan does, for trials that once had too little.
    #[must_use]
    pub fn jobs(
        &self,
        wanted: &BTreeSet<TrialId>,
        limits: Limits,
        adjust: impl Fn(&TrialId, &Resources) -> Resources,
    ) -> Vec<JobSpec> {
        let size = limits.max_array_tasks.max(1) as usize;
        let mut groups: Vec<(Resources, Vec<usize>)> = Vec::new();
        for (index, (trial, ask)) in self.trials.iter().zip(&self.asks).enumerate() {
            if !wanted.contains(&trial.id) {
                continue;
            }
            let resources = adjust(&trial.id, &self.resources[*ask]);
            let fits = |(group, trials): &&mut (Resources, Vec<usize>)| {
                *group == resources && trials.len() < size
            };
            match groups.iter_mut().find(fits) {
                Some((_, trials)) => trials.push(index),
                None => groups.push((resources, vec![index])),
            }
        }
        // An array's throttle is its own: the sweep's is shared out.
        let count = u32::try_from(groups.len()).unwrap_or(u32::MAX).max(1);
        let throttle = self.max_in_flight.map(|all| (all / count).max(1));
        groups
            .into_iter()
            .map(|(resources, trials)| JobSpec { resources, trials, throttle })
            .collect()
    }

    /// Groups all trials as a first submission does.
    #[must_use]
    pub fn all_jobs(&self, limits: Limits) -> Vec<JobSpec> {
        let all = self.trials.iter().map(|trial| trial.id.clone()).collect();
        self.jobs(&all, limits, |_, resources| resources.clone())
    }

    /// Returns the templates of its scripts.
    #[must_use]
    pub fn templates(&self) -> TemplateSource {
        TemplateSource { site: self.site_template.clone(), sweep: self.sweep_template.clone() }
    }

    /// Returns the line of a job file for a trial.
    #[must_use]
    pub fn assignment(&self, trial: &Trial, token: Token) -> Assignment {
        Assignment {
            trial: trial.clone(),
            sweep: self.sweep.clone(),
            settings_version: SETTINGS_VERSION,
            objective: self.objective.clone(),
            budget: self.budget.clone(),
            token: Some(token),
            only_check: false,
        }
    }
}

/// A job to submit.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSpec {
    /// What each of its tasks asks for.
    pub resources: Resources,
    /// Its trials by their number in the plan, one a task, in order.
    pub trials: Vec<usize>,
    /// Tasks that may run at the same time.
    pub throttle: Option<u32>,
}
impl JobSpec {
    /// Returns how long before the time limit a task is warned.
    #[must_use]
    pub fn warn_before(&self, margin: f64) -> Duration {
        match self.resources.time_limit() {
            Some(limit) if limit >= SHORTEST_WARNED => {
                Duration::try_from_secs_f64(margin).unwrap_or_default().min(limit / 10)
            }
            _ => Duration::ZERO,
        }
    }
}

/// Returns how often a task may be started again under the same job. A script cannot tell a
/// preemption from the end of its time: the stricter policy holds for both.
#[must_use]
pub fn restart_limit(policy: &Policy) -> u32 {
    policy.preempted.retry.min(policy.timed_out.retry)
}

/// The resources of a sweep and its overrides, checked.
struct Known<'a> {
    base: Resources,
    overrides: Vec<(&'a Map<String, Value>, Resources)>,
}

impl<'a> Known<'a> {
    fn read(sweep: &'a Sweep) -> Result<Self, SweepError> {
        let base = read(sweep, &[key("resources")], &sweep.resources)?;
        let mut overrides = Vec::new();
        for (index, entry) in sweep.overrides.iter().enumerate() {
            let at = [key("overrides"), Step::Index(index), key("resources")];
            overrides.push((&entry.when, read(sweep, &at, &entry.resources)?));
        }
        Ok(Self { base, overrides })
    }

    fn of(&self, settings: &Map<String, Value>) -> Resources {
        let matching = self.overrides.iter().filter(|(when, _)| matches(settings, when));
        matching.fold(self.base.clone(), |below, (_, over)| below.overlaid(over))
    }
}

fn read(sweep: &Sweep, at: &[Step], map: &Map<String, Value>) -> Result<Resources, SweepError> {
    for (name, value) in map {
        // One at a time, so that an error knows its key.
        let one = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
        if let Err(error) = serde_json::from_value::<Resources>(one) {
            return Err(bad_resource(sweep, at, name, &error.to_string()));
        }
    }
    serde_json::from_value(Value::Object(map.clone()))
        .map_err(|error| sweep.complain(at, error.to_string(), None))
}

fn bad_resource(sweep: &Sweep, at: &[Step], name: &str, words: &str) -> SweepError {
    let mut path = at.to_vec();
    path.push(key(name));
    if words.starts_with("unknown field") {
        let known: Vec<&str> = words.split('`').skip(3).step_by(2).collect();
        let near = crate::setting::nearest(name, known.iter().copied());
        let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
        let hint = format!("{near}known: {}", known.join(", "));
        return sweep.complain(&path, format!("unknown resource `{name}`"), Some(hint));
    }
    match words.split_once(": write ") {
        Some((what, hint)) => sweep.complain(&path, what, Some(format!("write {hint}"))),
        None => sweep.complain(&path, words, None),
    }
}

fn matches(settings: &Map<String, Value>, when: &Map<String, Value>) -> bool {
    when.iter().all(|(path, wanted)| {
        let mut parts = path.split('.');
        let first = parts.next().and_then(|part| settings.get(part));
        let value = parts.try_fold(first, |node, part| node.map(|node| node.get(part)));
        value.flatten().is_some_and(|value| equal(value, wanted))
    })
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b).is_eq(),
        _ => a == b,
    }
}

fn key(name: &str) -> Step {
    Step::Key(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::{Loaded, Loader};

    struct Text(String);

    impl Loader for Text {
        fn load(&self, _: Option<&str>, name: &str) -> Result<Loaded, String> {
            let bytes = self.0.clone().into_bytes();
            Ok(Loaded {
                name: name.to_owned(),
                folder: "/w".to_owned(),
                identity: name.to_owned(),
                bytes,
            })
        }
    }

    fn plan(rest: &str) -> Plan {
        let text = format!(
            "name: p\nfixed: {{ model: {{ name: toy }} }}\ngrid: {{ batch_size: [2, 4, 8], epochs: [1, 2] }}\n{rest}"
        );
        let sweep = Sweep::read(&Text(text), "s.yaml", 100).expect("sweep");
        Plan::new(&sweep).expect("plan")
    }

    fn sizes(jobs: &[JobSpec]) -> Vec<usize> {
        jobs.iter().map(|job| job.trials.len()).collect()
    }

    #[test]
    fn trials_that_ask_for_the_same_share_an_array() {
        let plan = plan(
            "resources: { mem: 1G }\noverrides: [{ when: { batch_size: 8 }, resources: { mem: 4G } }]\nmax_in_flight: 5\n",
        );
        let jobs = plan.all_jobs(Limits::default());
        assert_eq!(sizes(&jobs), [4, 2]);
        assert_eq!(jobs[1].resources.mem.map(|mem| mem.mebibytes()), Some(4096));
        assert!(jobs.iter().all(|job| job.throttle == Some(2)));
    }

    #[test]
    fn a_plan_whose_parts_do_not_fit_is_seen() {
        let good = plan("");
        assert!(good.is_whole());
        assert!(!Plan { resources: Vec::new(), ..good.clone() }.is_whole());
        assert!(!Plan { asks: vec![0], ..good }.is_whole());
    }

    #[test]
    fn an_array_is_never_larger_than_the_cluster_allows() {
        let jobs = plan("").all_jobs(Limits { max_array_tasks: 4 });
        assert_eq!(sizes(&jobs), [4, 2]);
        assert_eq!(jobs[1].trials, [4, 5]);
    }

    #[test]
    fn a_short_limit_has_no_warning() {
        let jobs = plan("resources: { time: 5 }\n").all_jobs(Limits::default());
        assert_eq!(jobs[0].warn_before(120.0), Duration::ZERO);
        let jobs = plan("resources: { time: 60 }\n").all_jobs(Limits::default());
        assert_eq!(jobs[0].warn_before(120.0), Duration::from_secs(120));
        let jobs = plan("resources: { time: 12 }\n").all_jobs(Limits::default());
        assert_eq!(jobs[0].warn_before(120.0), Duration::from_secs(72));
    }
}
