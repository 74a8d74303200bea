//! What squeue last said, shared by all commands of a user: at most one call a minute.
//!
//! The answer lies in a file with its time. Whoever needs one looks there first; where it is too old,
//! one of them asks, and the others take what that one heard. A controller of SLURM that does not
//! answer is asked no more often.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::hex;
use crate::layout::{self, LockError};
use crate::scheduler::SchedulerError;

/// How old an answer may be where nobody says otherwise.
pub const MAX_AGE: Duration = Duration::from_mins(1);

/// How long to wait for another command that is asking.
const PATIENCE: Duration = Duration::from_secs(3);

/// Largest file that is read, in bytes: a million tasks.
const MAX_BYTES: u64 = 256 << 20;

/// Where answers are kept, and how old they may be.
#[derive(Clone, Debug)]
pub struct QueueCache {
    /// The file; none: every question is asked.
    pub file: Option<PathBuf>,
    /// Older answers are asked for anew.
    pub max_age: Duration,
}

impl QueueCache {
    /// Keeps nothing.
    #[must_use]
    pub fn none() -> Self {
        Self { file: None, max_age: Duration::ZERO }
    }
}

/// A short name for the cluster that SLURM's programs ask: users may have one home on several. It is
/// a hash of the configuration that they read (`man slurm.conf`), or of the machine's name where that
/// is not to be found.
#[must_use]
pub fn cluster_key(conf: Option<&Path>) -> String {
    let places =
        ["/etc/slurm/slurm.conf", "/run/slurm/conf/slurm.conf", "/etc/slurm-llnl/slurm.conf"];
    let named = conf.map(Path::to_owned);
    let mut files = named.into_iter().chain(places.map(PathBuf::from));
    let text = files.find_map(|file| std::fs::read(file).ok());
    let host = || nix::unistd::gethostname().map(|name| name.into_encoded_bytes());
    let identity = text.unwrap_or_else(|| host().unwrap_or_default());
    hex(&Sha256::digest(identity)[..6])
}

/// An answer of squeue about all jobs of the user, or that there was none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    /// When squeue was called.
    pub(super) at: Timestamp,
    /// What it printed.
    pub(super) lines: String,
    /// Why there is no answer.
    pub(super) silent: Option<String>,
    /// Ids of jobs that the accounts were asked about since.
    #[serde(default)]
    pub(super) explained: Vec<String>,
    /// What sacct printed of them.
    #[serde(default)]
    pub(super) accounts: String,
}

impl Snapshot {
    /// An answer as squeue printed it.
    pub(super) fn heard(at: Timestamp, text: &str) -> Self {
        Self {
            at,
            lines: text.to_owned(),
            silent: None,
            explained: vec![],
            accounts: String::new(),
        }
    }

    /// No answer.
    pub(super) fn silent(at: Timestamp, why: &str) -> Self {
        Self { silent: Some(why.to_owned()), ..Self::heard(at, "") }
    }

    /// Adds what the accounts told of these jobs.
    pub(super) fn explain(&mut self, ids: &[String], told: &str) {
        self.explained.extend_from_slice(ids);
        self.accounts.push_str(told);
        self.accounts.push('\n');
    }

    /// The answer, or why there is none.
    pub(super) fn answer(&self) -> Result<&str, SchedulerError> {
        match &self.silent {
            None => Ok(&self.lines),
            Some(words) => {
                let words = format!("{words} (asked at {:.0})", self.at);
                Err(SchedulerError::Unavailable { program: "squeue", words })
            }
        }
    }
}

impl QueueCache {
    /// Returns an answer that is young enough: from the file, or by asking.
    pub(super) async fn get(
        &self,
        now: impl Fn() -> Timestamp,
        ask: impl AsyncFnOnce() -> Result<Snapshot, SchedulerError>,
    ) -> Result<Snapshot, SchedulerError> {
        let Some(file) = &self.file else { return ask().await };
        if let Some(known) = self.young(file, now()) {
            return Ok(known);
        }
        let _lock = match layout::lock(&layout::lock_of(file), PATIENCE) {
            Ok(lock) => Some(lock),
            // Somebody waits for SLURM: what was known is told with its time.
            Err(LockError::Held { .. }) => {
                let words = "another command is waiting for its answer";
                return Ok(read(file).unwrap_or_else(|| Snapshot::silent(now(), words)));
            }
            Err(error) => {
                tracing::debug!(%error, "answers of squeue are not shared");
                None
            }
        };
        // It may have been asked while we waited.
        if let Some(known) = self.young(file, now()) {
            return Ok(known);
        }
        let snapshot = ask().await?;
        self.keep(&snapshot, now());
        Ok(snapshot)
    }

    /// Keeps an answer for others, unless there is a newer one. One from after `now` was dated by another
    /// clock, and would be in the way until then.
    pub(super) fn keep(&self, snapshot: &Snapshot, now: Timestamp) {
        let Some(file) = &self.file else { return };
        if read(file).is_some_and(|known| known.at > snapshot.at && known.at <= now) {
            return;
        }
        let written = serde_json::to_vec(snapshot)
            .map_err(std::io::Error::from)
            .and_then(|bytes| layout::write_atomic(file, &bytes));
        if let Err(error) = written {
            tracing::debug!(%error, file = %file.display(), "an answer of squeue is not shared");
        }
    }

    /// Returns the newest answer if it is young enough.
    fn young(&self, file: &Path, now: Timestamp) -> Option<Snapshot> {
        read(file).filter(|known| {
            // One from the future was dated by another clock: it does not count.
            Duration::try_from(now.duration_since(known.at)).is_ok_and(|age| age < self.max_age)
        })
    }

    /// Says whether SLURM was asked a moment ago and did not answer.
    pub(super) fn is_silent(&self, now: Timestamp) -> Option<SchedulerError> {
        self.young(self.file.as_deref()?, now)?.answer().err()
    }
}

fn read(file: &Path) -> Option<Snapshot> {
    let size = std::fs::metadata(file).ok()?.len();
    let bytes = (size <= MAX_BYTES).then(|| std::fs::read(file).ok())??;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("moment")
    }

    #[tokio::test]
    async fn one_asks_and_the_others_hear_it_until_it_is_old() {
        let folder = tempfile::tempdir().expect("folder");
        let cache = QueueCache { file: Some(folder.path().join("q.json")), max_age: MAX_AGE };
        let asked = Cell::new(0);
        let get = async |second| {
            let ask = async || {
                asked.set(asked.get() + 1);
                Ok(Snapshot::heard(at(second), "7|0|regatta-x|"))
            };
            cache.get(|| at(second), ask).await.expect("told")
        };
        let first = get(1000).await;
        assert_eq!((first.answer().expect("heard"), first.at), ("7|0|regatta-x|", at(1000)));
        // After a clock was put back, what it dated is in nobody's way.
        for (second, of, calls) in
            [(1059, 1000, 1), (1060, 1060, 2), (1061, 1060, 2), (30, 30, 3), (31, 30, 3)]
        {
            assert_eq!((get(second).await.at, asked.get()), (at(of), calls), "{second}");
        }
    }

    #[tokio::test]
    async fn silence_is_shared_too_and_damage_is_no_answer() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("q.json");
        let cache = QueueCache { file: Some(file.clone()), max_age: MAX_AGE };
        let silent = async || Ok(Snapshot::silent(at(1000), "down"));
        cache.get(|| at(1000), silent).await.expect("told");
        let told = cache.is_silent(at(1030)).expect("silent").to_string();
        assert!(told.contains("down") && told.contains("asked at"), "{told}");
        assert!(cache.is_silent(at(1060)).is_none());
        layout::write_atomic(&file, b"{\"at\":").expect("write");
        let heard = cache.get(|| at(1001), async || Ok(Snapshot::heard(at(1001), "")));
        assert!(heard.await.expect("told").answer().is_ok());
    }

    #[tokio::test]
    async fn while_one_asks_the_others_take_what_was_known() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("q.json");
        let cache = QueueCache { file: Some(file.clone()), max_age: MAX_AGE };
        cache.keep(&Snapshot::heard(at(1000), ""), at(1000));
        let _held = layout::lock(&layout::lock_of(&file), Duration::ZERO).expect("lock");
        let never = async || panic!("asked twice");
        assert_eq!(cache.get(|| at(2000), never).await.expect("told").at, at(1000));
    }
}
