//! Reports for people: to the program's log, never as data.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

use crate::event::Event;
use crate::layout;

use super::callback::{Callback, Wish};

/// First epochs that are all reported, and reports of a trial after them.
const FIRST: u64 = 3;
const REPORTS: u64 = 20;

/// What is kept for the log before there is a file.
const EARLY: usize = 64 * 1024;

/// Tells how training goes: the first epochs, some of the others, each new best.
#[derive(Debug, Default)]
pub struct Progress {
    objective: String,
    epochs: u64,
    /// Epochs between two reports, where somebody chose.
    every: Option<u64>,
}

impl Progress {
    /// Reports on the metric `objective`: the first epochs, the last, each best one, and every so
    /// many epochs; where `every` is none, about twenty in all.
    #[must_use]
    pub fn new(objective: &str, every: Option<u64>) -> Self {
        Self { objective: objective.to_owned(), epochs: 0, every }
    }

    fn is_due(&self, epoch: u64, is_best: bool) -> bool {
        let every = self.every.unwrap_or_else(|| self.epochs.div_ceil(REPORTS)).max(1);
        is_best || epoch <= FIRST || epoch.is_multiple_of(every) || epoch == self.epochs
    }
}

impl Callback for Progress {
    fn on(&mut self, event: &Event) -> Wish {
        match event {
            Event::Started {
                cursor, resumed_from, epochs, parameters, device, threads, ..
            } => {
                self.epochs = *epochs;
                let from = resumed_from.as_deref().unwrap_or("the beginning");
                tracing::info!(
                    "from {from} at {cursor} of {epochs} epochs; {parameters} parameters on \
                     {device}, {threads} threads"
                );
            }
            Event::EpochEnded { epoch, metrics, images_per_second, is_best, .. }
                if self.is_due(*epoch, *is_best) =>
            {
                let show = |name: &str| {
                    metrics.get(name).map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
                };
                tracing::info!(
                    "epoch {epoch}/{}: {} {}{}, train/loss {}, {images_per_second:.1} samples/s",
                    self.epochs,
                    self.objective,
                    show(&self.objective),
                    if *is_best { " (best so far)" } else { "" },
                    show("train/loss"),
                );
            }
            Event::StepEnded { cursor, .. } => tracing::trace!("step {cursor}"),
            Event::CheckpointBegun { cursor } => tracing::trace!("checkpoint begun at {cursor}"),
            Event::CheckpointWritten { name, cursor, seconds, .. } => {
                tracing::debug!("checkpoint {name} at {cursor} in {seconds:.2} s");
            }
            Event::CheckpointFailed { cursor, error, .. } => {
                tracing::warn!("failed to save at {cursor}: {error}; training goes on");
            }
            Event::RolledBack { .. } => tracing::warn!("{}", event.words()),
            Event::EndedEarly { .. } => tracing::info!("{}", event.words()),
            Event::Warning { text } => tracing::warn!("{text}"),
            Event::StopRequested { reason, cursor, .. } => {
                tracing::info!("asked to stop at {cursor}: {reason:?}");
            }
            _ => {}
        }
        Wish::Continue
    }
}

/// The log file of an attempt, as a writer for `tracing`. What comes before the attempt has its
/// number is kept. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct LogFile(Arc<Mutex<Target>>);

#[derive(Debug, Default)]
struct Target {
    file: Option<File>,
    early: Vec<u8>,
}

impl LogFile {
    /// Goes on in this file. Where it cannot be opened there is none.
    pub fn open(&self, path: &Path) {
        let mut target = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match layout::open_append(path) {
            Ok(mut file) => {
                let _ = file.write_all(&std::mem::take(&mut target.early));
                target.file = Some(file);
            }
            Err(error) => {
                drop(target);
                tracing::warn!("there is no log file {}: {error}", path.display());
            }
        }
    }
}

impl Write for LogFile {
    /// Never fails: a log that cannot be written must not disturb.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut target = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &mut target.file {
            let _ = file.write_all(bytes);
        } else if target.early.len() + bytes.len() <= EARLY {
            target.early.extend(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogFile {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_epochs_some_are_reported_and_every_best() {
        let progress = Progress { epochs: 1000, ..Progress::default() };
        let due = (1..=1000).filter(|epoch| progress.is_due(*epoch, false)).count();
        assert_eq!(due, 23);
        assert!(progress.is_due(777, true));
        let chosen = Progress { every: Some(7), ..progress };
        assert!(chosen.is_due(777, false) && !chosen.is_due(50, false));
    }

    #[test]
    fn early_lines_reach_the_file() {
        let home = tempfile::tempdir().expect("folder");
        let path = home.path().join("1.log");
        let log = LogFile::default();
        log.make_writer().write_all(b"early\n").expect("write");
        log.open(&path);
        log.make_writer().write_all(b"late\n").expect("write");
        assert_eq!(std::fs::read(path).expect("read"), b"early\nlate\n");
    }
}
