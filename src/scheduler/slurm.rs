//! SLURM, through the text of its programs: sbatch, squeue, scancel, scontrol, and sacct where it
//! works.
//!
//! A job id alone is no identity: after a crash of its controller SLURM may give it out again. So
//! every line about a job is believed only if the job's name carries our token, and jobs are
//! checked before they are cancelled.

mod assign;
mod call;
mod explain;
mod find;
mod grace;
mod hear;
mod parse;
mod queue;
mod state;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assign::assign;
pub(super) use call::hint;
use call::{Answer, Caller, complaint, not_submitted};
pub use grace::Grace;
#[doc(hidden)]
pub use hear::hear;
pub use parse::Limits;
use parse::{Row, SQUEUE_COLUMNS};
use queue::Snapshot;
pub use queue::{MAX_AGE, QueueCache, cluster_key};

use jiff::Timestamp;

use super::{JobRef, Recent, Reports, Scheduler, SchedulerError, Submission, TaskRef, TaskState};
use crate::clock::Clock;
use crate::id::Token;
use crate::layout::{SweepFolder, create_folder};

/// Ids or tasks in one call: far below the limit of a command line.
const AT_ONCE: usize = 400;

/// Time after which a submission whose sbatch has ended has arrived or never will.
const TO_ARRIVE: Duration = Duration::from_secs(5);

/// How to call SLURM.
pub struct SlurmSettings {
    /// The environment for its programs; what would disturb them is left out.
    pub environment: Vec<(OsString, OsString)>,
    /// How long a program may take. A controller that is down is reported by squeue after 9 s.
    pub patience: Duration,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where answers of squeue are shared.
    pub cache: QueueCache,
}

impl SlurmSettings {
    /// Waits 30 s for each answer, and shares none.
    #[must_use]
    pub fn new(environment: Vec<(OsString, OsString)>, clock: Arc<dyn Clock>) -> Self {
        Self { environment, patience: Duration::from_secs(30), clock, cache: QueueCache::none() }
    }
}

/// Runs jobs on the cluster.
pub struct Slurm {
    caller: Caller,
    clock: Arc<dyn Clock>,
    cache: QueueCache,
    /// What the cluster allows, once it has told.
    limits: Mutex<Option<Limits>>,
    /// Whether sacct said that there are no accounts here.
    no_accounts: AtomicBool,
    /// Ends that sacct told; they do not change, and sacct is slow.
    ended: Mutex<Reports>,
    /// What the newest answer said under our numbers that is not about our jobs.
    foreign: Mutex<Vec<(JobRef, String)>>,
}

impl Slurm {
    /// Makes one; nothing is called.
    #[must_use]
    pub fn new(settings: SlurmSettings) -> Self {
        Self {
            caller: Caller::new(settings.environment, settings.patience),
            clock: settings.clock,
            cache: settings.cache,
            limits: Mutex::new(None),
            no_accounts: AtomicBool::new(false),
            ended: Mutex::new(Reports::new()),
            foreign: Mutex::new(Vec::new()),
        }
    }

    /// Asks what the cluster allows.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn limits(&self) -> Result<Limits, SchedulerError> {
        let known = || self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limits) = known().clone() {
            return Ok(limits);
        }
        if let Some(error) = self.cache.is_silent(self.clock.now()) {
            return Err(error);
        }
        let answer = self.caller.call("scontrol", &words(&["show", "config"])).await?;
        if !answer.is_good() {
            return Err(complaint("scontrol", &answer));
        }
        let limits = Limits::parse(&answer.output);
        *known() = Some(limits.clone());
        Ok(limits)
    }

    /// How long an ended job is remembered, if that can be found out.
    async fn min_job_age(&self) -> Option<Duration> {
        self.limits().await.ok()?.min_job_age
    }

    /// Time since the intent to submit; `None` for tokens without a moment.
    fn age(&self, token: Token) -> Option<Duration> {
        Duration::try_from(self.clock.now().duration_since(token.moment()?)).ok()
    }

    async fn squeue(&self, which: &[&str]) -> Result<Vec<Row>, SchedulerError> {
        let mut arguments = words(&["-h", "-r", "-t", "all", "-O", SQUEUE_COLUMNS]);
        arguments.extend(words(which));
        let answer = self.caller.call("squeue", &arguments).await?;
        match answer.is_good() {
            true => {
                let rows = parse::squeue(&answer.output);
                match is_garbled(&answer, &rows) {
                    true => {
                        Err(SchedulerError::Garbled { program: "squeue", words: answer.words() })
                    }
                    false => Ok(rows),
                }
            }
            // It says so only when it knows none of the ids.
            false if answer.errors.contains("Invalid job id specified") => Ok(Vec::new()),
            false => Err(not_answered("squeue", &answer)),
        }
    }

    /// Lines of the user's jobs that are ours, as they were a moment ago.
    async fn queue(&self) -> Result<Snapshot, SchedulerError> {
        let ask = async || {
            let at = self.clock.now();
            let user = nix::unistd::getuid().to_string();
            let mut arguments = words(&["-h", "-r", "-t", "all", "-O", SQUEUE_COLUMNS]);
            arguments.extend(words(&["-u", &user]));
            match self.caller.call("squeue", &arguments).await {
                Ok(answer) if is_garbled(&answer, &parse::squeue(&answer.output)) => {
                    let words = format!("it answered what nobody understands: {}", answer.words());
                    Ok(Snapshot::silent(at, &words))
                }
                Ok(answer) if answer.is_good() => Ok(Snapshot::heard(at, &answer.output)),
                Ok(answer) => Ok(Snapshot::silent(at, &answer.words())),
                Err(SchedulerError::Unavailable { words, .. }) => Ok(Snapshot::silent(at, &words)),
                // No SLURM on this machine is nothing to share.
                Err(error) => Err(error),
            }
        };
        self.cache.get(|| self.clock.now(), ask).await
    }

    /// sbatch was ended while SLURM let it wait: whether its last try went through shows in the queue.
    async fn after_retries(
        &self,
        job: &Submission,
        answer: &Answer,
    ) -> Result<JobRef, SchedulerError> {
        tokio::time::sleep(TO_ARRIVE).await;
        match self.look_for(job.token).await? {
            Some(id) => {
                let folder = job.folder.path().to_owned();
                Ok(JobRef { id, token: job.token, folder, tasks: job.tasks })
            }
            None => Err(SchedulerError::Limit { program: "sbatch", words: answer.words() }),
        }
    }

    fn remember(&self, foreign: Vec<(JobRef, String)>) {
        *self.foreign.lock().unwrap_or_else(PoisonError::into_inner) = foreign;
    }

    /// Says whether a job is so young that nothing of it can be forgotten yet.
    async fn is_young(&self, token: Token) -> bool {
        match (self.age(token), self.min_job_age().await) {
            (Some(age), Some(remembered)) => age < remembered,
            _ => false,
        }
    }
}

impl Scheduler for Slurm {
    fn name(&self) -> &'static str {
        "slurm"
    }

    async fn submit(&self, job: &Submission) -> Result<JobRef, SchedulerError> {
        // Without the folder for its output a job fails and leaves no word.
        create_folder(&job.folder.logs()).map_err(|error| {
            let words = format!("{}: {error}", job.folder.logs().display());
            SchedulerError::Refused { program: "sbatch", words }
        })?;
        let script = job.folder.script(job.token).to_string_lossy().into_owned();
        let arguments = ["--parsable".to_owned(), script];
        let answer = self.caller.submit(job.folder.path(), &arguments).await?;
        if answer.is_retrying() {
            return self.after_retries(job, &answer).await;
        }
        if !answer.is_good() {
            return Err(not_submitted(&answer));
        }
        let Some(id) = parse::job_id(&answer.output) else {
            return Err(SchedulerError::Garbled { program: "sbatch", words: answer.words() });
        };
        Ok(JobRef { id, token: job.token, folder: job.folder.path().to_owned(), tasks: job.tasks })
    }

    async fn states(&self, jobs: &[JobRef]) -> Result<Reports, SchedulerError> {
        let (mut reports, mut foreign) = (Reports::new(), Vec::new());
        for some in jobs.chunks(AT_ONCE) {
            let ids: Vec<&str> = some.iter().map(|job| job.id.as_str()).collect();
            let rows = self.squeue(&["-j", &ids.join(",")]).await?;
            reports.extend(assign(some, rows, &mut foreign));
        }
        self.remember(foreign);
        self.explain(jobs, &mut reports, &mut Snapshot::heard(self.clock.now(), "")).await;
        Ok(reports)
    }

    async fn recent(&self, jobs: &[JobRef]) -> Result<Recent, SchedulerError> {
        let mut snapshot = self.queue().await?;
        let at = snapshot.at;
        // What began later it cannot know.
        let jobs: Vec<JobRef> = jobs
            .iter()
            .filter(|job| job.token.moment().is_none_or(|moment| moment <= at))
            .cloned()
            .collect();
        let mut foreign = Vec::new();
        let mut reports = assign(&jobs, parse::squeue(snapshot.answer()?), &mut foreign);
        self.remember(foreign);
        let explained = snapshot.explained.len();
        self.explain(&jobs, &mut reports, &mut snapshot).await;
        if snapshot.explained.len() > explained {
            self.cache.keep(&snapshot, self.clock.now());
        }
        Ok(Recent { reports, at: Some(at) })
    }

    fn foreign(&self) -> Vec<(JobRef, String)> {
        self.foreign.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn cancel(&self, tasks: &[TaskRef]) -> Result<(), SchedulerError> {
        let jobs: Vec<JobRef> =
            tasks.iter().map(|t| t.job.clone()).collect::<BTreeSet<_>>().into_iter().collect();
        // scancel's own filter cannot check the name: with `--name` it cancels all pending tasks of
        // an array where one is named (seen with SLURM 22.05).
        let reports = self.states(&jobs).await?;
        let is_over = |task: &&TaskRef| {
            reports.get(task).is_none_or(|report| matches!(report.state, TaskState::Ended(_)))
        };
        let living: Vec<String> =
            tasks.iter().filter(|task| !is_over(task)).map(ToString::to_string).collect();
        for some in living.chunks(AT_ONCE) {
            let answer = self.caller.call("scancel", some).await?;
            // What ended in between is no error.
            if !answer.is_good() && !answer.errors.contains("Invalid job id specified") {
                return Err(complaint("scancel", &answer));
            }
        }
        Ok(())
    }

    async fn requeue(&self, task: &TaskRef) -> Result<(), SchedulerError> {
        if !self.states(std::slice::from_ref(&task.job)).await?.contains_key(task) {
            let words = format!("Invalid job id specified: {task}");
            return Err(SchedulerError::Refused { program: "scontrol", words });
        }
        let answer = self.caller.call("scontrol", &words(&["requeue", &task.to_string()])).await?;
        match answer.is_good() {
            true => Ok(()),
            false => Err(complaint("scontrol", &answer)),
        }
    }

    async fn find(
        &self,
        token: Token,
        folder: &SweepFolder,
        since: Timestamp,
    ) -> Result<Option<JobRef>, SchedulerError> {
        self.search(token, folder, since).await
    }
}

/// Says whether an answer makes no sense: it is then not one that knows of no job.
fn is_garbled(answer: &Answer, rows: &[Row]) -> bool {
    answer.is_good() && rows.is_empty() && !answer.output.trim().is_empty()
}

/// A question without an answer: whatever the program said, it does not mean that jobs are gone.
fn not_answered(program: &'static str, answer: &Answer) -> SchedulerError {
    SchedulerError::Unavailable { program, words: answer.words() }
}

fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
