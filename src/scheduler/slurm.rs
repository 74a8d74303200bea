//! SLURM, through the text of its programs: sbatch, squeue, scancel, scontrol, and sacct where it
//! works.
//!
//! A job id alone is no identity: after a crash of its controller SLURM may give it out again. So
//! every line about a job is believed only if the job's name carries our token, and jobs are
//! checked before they are cancelled.

mod assign;
mod call;
mod find;
mod grace;
mod hear;
mod parse;
mod queue;
mod state;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assign::{assign, cancelled, is_anonymous, missing};
pub(super) use call::hint;
use call::{Answer, Caller, complaint};
pub use grace::Grace;
#[doc(hidden)]
pub use hear::hear;
pub use parse::Limits;
use parse::{Row, SACCT_COLUMNS, SQUEUE_COLUMNS};
use queue::Snapshot;
pub use queue::{MAX_AGE, QueueCache, cluster_key};

use super::{
    JobRef, Recent, Reports, Scheduler, SchedulerError, Submission, TaskRef, TaskReport, TaskState,
};
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

    /// Asks the accounts; nothing where there are none or they do not answer.
    async fn sacct(&self, which: &[&str]) -> String {
        if self.no_accounts.load(Ordering::Relaxed) {
            return String::new();
        }
        let mut arguments = words(&["-n", "-P", "-X", "-o", SACCT_COLUMNS]);
        arguments.extend(words(which));
        match self.caller.call("sacct", &arguments).await {
            Ok(answer) if answer.is_good() => answer.output,
            Ok(answer) => {
                let disabled = answer.errors.contains("accounting storage is disabled");
                self.no_accounts.store(disabled, Ordering::Relaxed);
                String::new()
            }
            Err(error) => {
                let missing = matches!(error, SchedulerError::Missing { .. });
                self.no_accounts.store(missing, Ordering::Relaxed);
                String::new()
            }
        }
    }

    /// Explains tasks of which squeue knows nothing: ended and forgotten, or cancelled while pending
    /// (such tasks of an array leave no record at all: seen with SLURM 22.05). What accounts told
    /// others since the snapshot is not asked again.
    async fn explain(&self, jobs: &[JobRef], reports: &mut Reports, snapshot: &mut Snapshot) {
        {
            let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            for task in missing(jobs, reports) {
                if let Some(report) = ended.get(&task) {
                    reports.insert(task, report.clone());
                }
            }
            for (task, report) in reports.iter_mut().filter(|(_, report)| is_anonymous(report)) {
                // Asked once, whatever came of it.
                *report = ended.get(task).unwrap_or(report).clone();
            }
        }
        let mut ids: BTreeSet<String> =
            missing(jobs, reports).into_iter().map(|task| task.job.id).collect();
        ids.extend(self.anonymous(reports));
        ids.retain(|id| !snapshot.explained.contains(id));
        for some in ids.into_iter().collect::<Vec<_>>().chunks(AT_ONCE) {
            let told = self.sacct(&["-j", &some.join(",")]).await;
            snapshot.explain(some, &told);
        }
        let told = assign(jobs, parse::sacct(&snapshot.accounts), &mut Vec::new());
        let is_over = |report: &TaskReport| matches!(report.state, TaskState::Ended(_));
        {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            for (task, report) in told {
                // What still lives is squeue's to tell; the accounts may lag.
                let says_more = reports.get(&task).is_none_or(is_anonymous);
                if is_over(&report) && says_more {
                    ended.insert(task.clone(), report.clone());
                    reports.insert(task, report);
                }
            }
        }
        let known: BTreeSet<JobRef> = reports.keys().map(|task| task.job.clone()).collect();
        for task in missing(jobs, reports) {
            if known.contains(&task.job) && self.is_young(task.job.token).await {
                reports.insert(task, cancelled());
            }
        }
    }

    /// Jobs with tasks of which nobody said yet who cancelled them, where there are accounts to ask.
    fn anonymous(&self, reports: &Reports) -> Vec<String> {
        if self.no_accounts.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let anonymous = reports.iter().filter(|(_, report)| is_anonymous(report));
        let unasked = anonymous.filter(|(task, report)| {
            let is_new = !ended.contains_key(task);
            if is_new {
                ended.insert((*task).clone(), (*report).clone());
            }
            is_new
        });
        unasked.map(|(task, _)| task.job.id.clone()).collect()
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
            return Err(complaint("sbatch", &answer));
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
            self.cache.keep(&snapshot);
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
    ) -> Result<Option<JobRef>, SchedulerError> {
        self.search(token, folder).await
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
