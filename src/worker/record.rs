//! What is left behind for others: the attempt's journal and the trial's result.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::event::{Event, Outcome, StopReason};
use crate::id::TrialId;
use crate::journal::Writer;
use crate::layout::{self, Limit, TrialFolder};
use crate::metric::{Metrics, Objective};

use super::callback::{Callback, Outlook, Wish};
use super::estimate::Estimate;
use super::stop;
use super::telemetry::Telemetry;

/// Pause between two signs of life in the journal.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Tries to bring the last record to a disk that refuses, and the pause between them.
const LAST_TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(2);

/// Writes the journal of an attempt. It never stops training: what a failing disk refuses is kept in
/// memory and tried again.
pub struct Recorder {
    writer: Writer,
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    telemetry: Telemetry,
    failing: bool,
    next_heartbeat: Duration,
    pace: Pace,
}

/// How fast the work goes, for the estimate of what remains.
#[derive(Debug, Default)]
struct Pace {
    steps_per_epoch: u64,
    epochs: u64,
    step: Estimate,
    evaluation: Estimate,
}

impl Pace {
    /// Estimated seconds from `cursor` to the end of the trial; `None` before the first step.
    #[expect(clippy::cast_precision_loss, reason = "steps stay far below 2^53")]
    fn remaining(&self, cursor: crate::event::Cursor) -> Option<f64> {
        let epochs = (self.epochs + 1).saturating_sub(cursor.epoch);
        let steps = (epochs * self.steps_per_epoch).saturating_sub(cursor.step);
        let evaluations = self.evaluation.mean().unwrap_or(0.0) * epochs as f64;
        Some(self.step.mean()? * steps as f64 + evaluations)
    }
}

impl Recorder {
    /// Opens the journal of attempt `attempt`. Where the disk refuses, records wait in memory.
    #[must_use]
    pub fn open(folder: &TrialFolder, attempt: u32, clock: Arc<dyn Clock>) -> Self {
        let path = folder.journal(attempt);
        let opened = Writer::open(&path);
        let failing = opened.is_err();
        let writer = opened.unwrap_or_else(|error| {
            tracing::warn!("failed to open the journal ({error}); records wait in memory");
            Writer::unopened(&path)
        });
        let next_heartbeat = clock.monotonic() + HEARTBEAT;
        let telemetry = Telemetry::start();
        let pace = Pace::default();
        let folder = folder.path().to_owned();
        Self { writer, folder, clock, telemetry, failing, next_heartbeat, pace }
    }

    /// Returns name and driver version of the GPU, if there is one.
    #[must_use]
    pub fn gpu(&self) -> (Option<String>, Option<String>) {
        self.telemetry.gpu()
    }

    /// Writes an event, if journals keep it.
    pub fn write(&mut self, event: &Event) {
        if !event.is_recorded() {
            return;
        }
        let written = self.writer.append(self.clock.now(), event, event.is_durable());
        self.note(&written);
    }

    /// Writes the last record, patiently: who reads the journal decides by it.
    pub fn write_last(&mut self, event: &Event) {
        self.write(event);
        for _ in 1..LAST_TRIES {
            if !self.failing {
                return;
            }
            self.clock.sleep(PAUSE);
            let written = self.writer.flush(true);
            self.note(&written);
        }
    }

    fn note(&mut self, written: &io::Result<()>) {
        match written {
            Ok(()) if self.failing => tracing::info!("the journal can be written again"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Somebody removed the trial's folder: what comes now is worth a new one.
                let made = layout::create_folder(&self.folder);
                tracing::warn!("the journal's folder is gone ({error}); made again: {made:?}");
            }
            Err(error) if !self.failing => {
                tracing::warn!("failed to write the journal ({error}); records wait in memory");
            }
            _ => {}
        }
        self.failing = written.is_err();
    }

    fn heartbeat(&mut self, cursor: crate::event::Cursor, loss: f64) {
        let now = self.clock.monotonic();
        if now < self.next_heartbeat {
            return;
        }
        self.next_heartbeat = now + HEARTBEAT;
        let loss = Some(loss).filter(|loss| loss.is_finite());
        let remaining = self.pace.remaining(cursor);
        self.write(&Event::Heartbeat { cursor, loss, remaining });
    }
}

impl Callback for Recorder {
    fn on(&mut self, event: &Event) -> Wish {
        match event {
            Event::Started { steps_per_epoch, epochs, expected, .. } => {
                let expected = expected.unwrap_or_default();
                self.pace.step = Estimate::inherited(expected.step);
                self.pace.evaluation = Estimate::inherited(expected.evaluation);
                (self.pace.steps_per_epoch, self.pace.epochs) = (*steps_per_epoch, *epochs);
            }
            Event::StepEnded { cursor, loss, seconds } => {
                self.pace.step.add(*seconds);
                self.heartbeat(*cursor, *loss);
            }
            Event::EpochEnded { eval_seconds, .. } => self.pace.evaluation.add(*eval_seconds),
            _ => {}
        }
        self.write(event);
        if matches!(event, Event::EpochEnded { .. }) {
            let metrics = self.telemetry.latest();
            self.write(&Event::Sample { metrics });
        }
        Wish::Continue
    }

    fn outlook(&self) -> Outlook {
        Outlook { journal_fails: self.failing, ..Outlook::default() }
    }
}

/// Content of `result.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialResult {
    /// The trial.
    pub trial: TrialId,
    /// The attempt that ended it.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// What asked for it, when it stopped early.
    pub reason: Option<StopReason>,
    /// What went wrong.
    pub error: Option<String>,
    /// Complete epochs.
    pub epochs: u64,
    /// Metrics of the last complete epoch.
    pub metrics: Metrics,
    /// SHA-256 in hex over the weights after the last complete epoch.
    pub weights_sha256: Option<String>,
    /// What is good.
    pub objective: Objective,
    /// Best value of the objective.
    pub best_value: Option<f64>,
    /// Its epoch.
    pub best_epoch: Option<u64>,
    /// Training seconds over all attempts.
    pub elapsed: f64,
}

impl TrialResult {
    /// Reads the result of a trial; `None` where there is none that can be read.
    #[must_use]
    pub fn read(folder: &TrialFolder) -> Option<Self> {
        serde_json::from_slice(&layout::read_limited(&folder.result(), Limit::RESULT).ok()?).ok()
    }

    /// Writes it, unless another attempt owns the trial by now or has finished it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &TrialFolder) -> io::Result<()> {
        let finished = Self::read(folder).is_some_and(|old| old.outcome == Outcome::Finished);
        if stop::is_superseded(folder, self.attempt) || finished {
            return Ok(());
        }
        layout::write_atomic(&folder.result(), &serde_json::to_vec_pretty(self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;
    use crate::event::Cursor;
    use crate::journal;
    use crate::layout::with_faults;
    use jiff::Timestamp;

    fn events(folder: &TrialFolder) -> Vec<Event> {
        let found = journal::replay::<Event>(&folder.journal(1)).expect("journal");
        found.records.into_iter().map(|record| record.body).collect()
    }

    #[test]
    fn a_disk_that_comes_back_loses_nothing() {
        let home = tempfile::tempdir().expect("folder");
        let folder = TrialFolder::new(home.path());
        let clock = Arc::new(VirtualClock::starting(Timestamp::UNIX_EPOCH));
        let mut recorder = Recorder::open(&folder, 1, clock);
        let warn = |n: u32| Event::Warning { text: n.to_string() };
        let faults = "journal.append:1:2=error,append.open:0:1=error";
        with_faults(faults, || {
            for n in 0..3 {
                assert_eq!(recorder.on(&warn(n)), Wish::Continue);
            }
            recorder.write_last(&warn(3));
        })
        .expect("rule");
        assert_eq!(events(&folder), (0..4).map(warn).collect::<Vec<_>>());
    }

    #[test]
    fn signs_of_life_come_every_fifteen_seconds_with_an_estimate() {
        let home = tempfile::tempdir().expect("folder");
        let folder = TrialFolder::new(home.path());
        let clock = Arc::new(VirtualClock::starting(Timestamp::UNIX_EPOCH));
        let mut recorder = Recorder::open(&folder, 1, clock.clone());
        (recorder.pace.steps_per_epoch, recorder.pace.epochs) = (100, 2);
        for step in 1..=20 {
            clock.advance(Duration::from_secs(2));
            let cursor = Cursor { epoch: 1, step };
            recorder.on(&Event::StepEnded { cursor, loss: f64::NAN, seconds: 2.0 });
        }
        let beats = events(&folder);
        assert_eq!(beats.len(), 2);
        let cursor = Cursor { epoch: 1, step: 8 };
        assert_eq!(beats[0], Event::Heartbeat { cursor, loss: None, remaining: Some(384.0) });
    }
}
