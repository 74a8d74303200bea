//! Records of an attempt's journal: what they say of its row, and of those that belong to it.

use jiff::Timestamp;

use super::acts::stamp;
use super::batch::{Batch, Cell, DatedRow, EpochRow};
use super::{int, word};
use crate::event::{Cursor, Event};
use crate::journal::Record;

/// Checkpoints of an attempt so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Saved {
    pub(super) newest: Option<String>,
    pub(super) count: i64,
    pub(super) seconds: f64,
    pub(super) pause: f64,
}

/// Notes the records of one attempt.
#[derive(Debug)]
pub(super) struct Hand<'a> {
    pub(super) batch: &'a mut Batch,
    pub(super) trial_id: i64,
    pub(super) attempt_id: i64,
    pub(super) number: u32,
    pub(super) saved: &'a mut Saved,
}

impl Hand<'_> {
    /// Takes a record. One that was taken before must not be given again: sums would count it twice.
    pub(super) fn apply(&mut self, record: Record<Event>) {
        let Record { seq, at, body } = record;
        match body {
            header @ Event::Header { .. } => self.header(header, at),
            started @ Event::Started { .. } => self.started(started),
            epoch @ Event::EpochEnded { .. } => self.epoch(epoch, at),
            Event::CheckpointWritten { name, seconds, pause, bytes, .. } => {
                self.checkpoint(name, seconds, pause, bytes);
            }
            Event::CheckpointFailed { cursor, error, .. } => {
                self.warning(seq, at, format!("failed to save a checkpoint at {cursor}: {error}"));
            }
            Event::Heartbeat { cursor, loss, remaining } => {
                self.cursor(cursor);
                self.set("loss", loss);
                self.set("remaining", remaining);
            }
            Event::Sample { metrics } => {
                let text = serde_json::to_string(&metrics).unwrap_or_default();
                let row = self.dated(seq, at, text);
                self.batch.sample(row);
            }
            other @ (Event::RolledBack { .. } | Event::EndedEarly { .. }) => {
                self.warning(seq, at, other.words());
            }
            Event::Warning { text } => self.warning(seq, at, text),
            Event::StopRequested { reason, cursor, predicted, predicted_save, time_left } => {
                self.cursor(cursor);
                self.set("stop_reason", word(reason));
                self.set("predicted_step", predicted);
                self.set("predicted_save", predicted_save);
                self.set("stop_time_left", time_left);
            }
            ended @ Event::Ended { .. } => self.ended(ended, at),
            surroundings @ Event::Surroundings { .. } => self.surroundings(&surroundings),
            Event::StepEnded { .. } | Event::CheckpointBegun { .. } | Event::Unknown => {}
        }
    }

    fn set(&mut self, column: &'static str, value: impl Into<Cell>) {
        self.batch.set(self.attempt_id, column, value);
    }

    fn header(&mut self, event: Event, at: Timestamp) {
        let Event::Header { uuid, token, origin, host, pid, worker_version, scratch, .. } = event
        else {
            return;
        };
        self.set("uuid", uuid.to_string());
        self.set("token", token.map(|token| token.to_string()));
        self.set("restarts", restarts(&origin));
        self.set("origin", origin);
        self.set("host", host);
        self.set("pid", pid);
        self.set("worker_version", worker_version);
        self.set("scratch", scratch.map(|folder| folder.to_string_lossy().into_owned()));
        self.set("started_at", stamp(at));
    }

    fn surroundings(&mut self, event: &Event) {
        let mut json = serde_json::json!(event);
        if let Some(object) = json.as_object_mut() {
            object.remove("event");
        }
        self.set("surroundings", json.to_string());
    }

    fn started(&mut self, event: Event) {
        let Event::Started {
            cursor,
            resumed_from,
            parameters,
            device,
            library,
            data,
            steps_per_epoch,
            epochs,
            seconds_to_start,
            threads,
            time_left,
            elapsed_before,
            differs,
            expected: _,
            train_density: _,
        } = event
        else {
            return;
        };
        let (sha256, val_sha256) =
            data.map_or((None, None), |data| (Some(data.sha256), data.val_sha256));
        self.set("resumed_from", resumed_from);
        self.set("weights", int(parameters));
        self.set("device", device);
        self.set("library", library);
        self.set("data_sha256", sha256);
        self.set("val_sha256", val_sha256);
        self.set("steps_per_epoch", int(steps_per_epoch));
        self.set("epochs", int(epochs));
        self.set("seconds_to_start", seconds_to_start);
        self.set("threads", threads);
        self.set("time_given", time_left);
        self.set("elapsed_before", elapsed_before);
        let differs = (!differs.is_empty()).then(|| serde_json::json!(differs).to_string());
        self.set("differs", differs);
        self.cursor(cursor);
    }

    fn epoch(&mut self, event: Event, at: Timestamp) {
        let Event::EpochEnded {
            epoch,
            step,
            metrics,
            weights_sha256,
            train_seconds,
            eval_seconds,
            images_per_second,
            is_best,
        } = event
        else {
            return;
        };
        self.set("weights_sha256", weights_sha256.as_str());
        self.cursor(Cursor { epoch: epoch.saturating_add(1), step: 0 });
        self.batch.epoch(EpochRow {
            trial_id: self.trial_id,
            epoch: int(epoch),
            attempt: self.number,
            step: int(step),
            at: stamp(at),
            metrics: serde_json::to_string(&metrics).unwrap_or_default(),
            weights_sha256,
            train_seconds,
            eval_seconds,
            images_per_second,
            is_best,
        });
    }

    fn checkpoint(&mut self, name: String, seconds: f64, pause: f64, bytes: u64) {
        // A best epoch that had to wait is written after a newer state: the highest counts.
        let is_newer = |newest: &String| (name.len(), &name) > (newest.len(), newest);
        if self.saved.newest.as_ref().is_none_or(is_newer) {
            self.saved.newest = Some(name);
        }
        self.saved.count += 1;
        self.saved.seconds += seconds;
        self.saved.pause += pause;
        let Saved { newest, count, seconds, pause } = self.saved.clone();
        self.set("checkpoint", newest);
        self.set("checkpoint_bytes", int(bytes));
        self.set("checkpoints", count);
        self.set("checkpoint_seconds", seconds);
        self.set("checkpoint_pause", pause);
    }

    fn ended(&mut self, event: Event, at: Timestamp) {
        let Event::Ended { outcome, reason, cursor, elapsed, error, time_left, seconds_to_leave } =
            event
        else {
            return;
        };
        self.set("outcome", word(outcome));
        self.set("reason", reason.map(word));
        self.set("error", error);
        self.set("elapsed", elapsed);
        self.set("remaining", Cell::Null);
        self.set("time_left_unused", time_left);
        self.set("seconds_to_leave", seconds_to_leave);
        self.set("ended_at", stamp(at));
        self.cursor(cursor);
    }

    fn cursor(&mut self, cursor: Cursor) {
        self.set("epoch", int(cursor.epoch));
        self.set("step", int(cursor.step));
    }

    fn warning(&mut self, seq: u64, at: Timestamp, text: String) {
        let row = self.dated(seq, at, text);
        self.batch.warning(row);
    }

    fn dated(&self, seq: u64, at: Timestamp, text: String) -> DatedRow {
        DatedRow { attempt_id: self.attempt_id, seq: int(seq), at: stamp(at), text }
    }
}

/// Starts of the job before this one, as an origin such as `slurm:123_4:1` tells.
fn restarts(origin: &str) -> Option<u32> {
    let mut parts = origin.rsplitn(2, ':');
    let count = parts.next()?.parse().ok()?;
    parts.next()?.contains(':').then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_origin_with_a_job_tells_of_restarts() {
        let told = ["slurm:123_4:1", "local:0190:a_2:0", "by hand", "by hand: 3", "slurm:123_4"];
        assert_eq!(told.map(restarts), [Some(1), Some(0), None, None, None]);
    }
}
