//! Reading `plan.json`, which may be large, in pieces: nobody holds all of its trials at once.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::id::hex;
use crate::layout;
use crate::metric::Objective;
use crate::sweep::Trial;

/// Bytes read at a time.
const PIECE: usize = 256 * 1024;

/// Trials handed over at a time, and how many such hands may wait.
const HAND: usize = 200;
const WAITING: usize = 2;

/// Why a plan makes no sense.
pub(super) type PlanError = serde_json::Error;

/// A plan that was not read yet, or not surely.
pub(super) struct Staged {
    /// SHA-256 in hex of the file.
    pub(super) sha256: String,
    /// What tells, without reading it, that it is still the same.
    pub(super) stat: Option<String>,
}

impl Staged {
    /// Looks at the file; nothing where there is none, or where it is known by its marks.
    pub(super) fn look(path: &Path, known: Option<&str>) -> io::Result<Option<Self>> {
        let Some((mut file, size)) = layout::open_plain(path)? else { return Ok(None) };
        if size == 0 {
            return Ok(None);
        }
        let about = file.metadata()?;
        // A staged plan is always a new file with a new number.
        let stat = format!("{size} {} {}.{:09}", about.ino(), about.mtime(), about.mtime_nsec());
        if known == Some(stat.as_str()) {
            return Ok(None);
        }
        let mut digest = Sha256::new();
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => digest.update(&piece[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(Self { sha256: hex(&digest.finalize()), stat: Some(stat) }))
    }
}

/// A plan that is being read on a thread of its own.
pub(super) struct Reading {
    trials: Receiver<Vec<Trial>>,
    thread: Option<JoinHandle<Result<Objective, PlanError>>>,
}

impl Reading {
    /// Returns the next trials, in the order of the plan.
    pub(super) async fn next(&mut self) -> Option<Vec<Trial>> {
        self.trials.recv().await
    }

    /// Returns what else stands in the plan, or why it makes no sense.
    pub(super) fn end(mut self) -> Result<Objective, PlanError> {
        self.trials.close();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(end)) => end,
            _ => Err(PlanError::custom("nobody could read it")),
        }
    }
}

/// Begins to read the plan of the sweep `name`.
pub(super) fn begin(path: PathBuf, name: String) -> Reading {
    let (send, trials) = channel(WAITING);
    let read = move || -> Result<Objective, PlanError> {
        let opened = layout::open_plain(&path).map_err(PlanError::io)?;
        let Some((file, _)) = opened else { return Err(PlanError::custom("it is gone")) };
        let mut hand = Hand { trials: Vec::with_capacity(HAND), send };
        let objective = parse(file, &name, &mut hand)?;
        hand.pass();
        Ok(objective)
    };
    let thread = std::thread::Builder::new().name("plan".to_owned()).spawn(read).ok();
    Reading { trials, thread }
}

fn parse(file: File, name: &str, hand: &mut Hand) -> Result<Objective, PlanError> {
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(PIECE, file));
    let objective = json.deserialize_map(Plan { name, hand })?;
    json.end()?;
    Ok(objective)
}

/// Trials on their way to the database.
struct Hand {
    trials: Vec<Trial>,
    send: Sender<Vec<Trial>>,
}

impl Hand {
    fn take(&mut self, trial: Trial) {
        self.trials.push(trial);
        if self.trials.len() == HAND {
            self.pass();
        }
    }

    /// Where nobody waits for them any more they are dropped.
    fn pass(&mut self) {
        let trials = std::mem::replace(&mut self.trials, Vec::with_capacity(HAND));
        let _ = self.send.blocking_send(trials);
    }
}

/// The part of the plan that the database keeps.
struct Plan<'a> {
    name: &'a str,
    hand: &'a mut Hand,
}

impl<'de> Visitor<'de> for Plan<'_> {
    type Value = Objective;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plan")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Objective, A::Error> {
        let (mut objective, mut has_trials) = (Objective::default(), false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "objective" => objective = map.next_value()?,
                "sweep" => {
                    let sweep: String = map.next_value()?;
                    if sweep != self.name {
                        let what = format!(
                            "it is the plan of the sweep `{sweep}`; a sweep's folder has its name"
                        );
                        return Err(A::Error::custom(what));
                    }
                }
                "trials" => {
                    has_trials = true;
                    map.next_value_seed(Trials(self.hand))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if has_trials { Ok(objective) } else { Err(A::Error::missing_field("trials")) }
    }
}

struct Trials<'a>(&'a mut Hand);

impl<'de> DeserializeSeed<'de> for Trials<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Trials<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of trials")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(trial) = seq.next_element()? {
            self.0.take(trial);
        }
        Ok(())
    }
}
