//! A hash over the content: the same journals give the same one, however they were collected.

use sha2::{Digest, Sha256};

use super::rows::Rows;
use super::{Store, StoreError};
use crate::id::hex;

/// Everything but polls, states (they follow from evidence and the time), reading positions, and how
/// many damaged lines an attempt's journal has (behind its last word nobody reads on); by names instead
/// of keys.
const CONTENT: &[&str] = &[
    "select json_array(name, metric, direction, document, plan_sha256, journal_bad, imported_from,
         imported_at)
     from sweep order by name",
    "select json_array(name, identity, seed, repeat, parameters, settings, epochs, planned,
         cancel_seq, cancelled_at, cancelled_by)
     from trial join sweep using (sweep_id) order by name, identity",
    "select json_array(name, seq, token, scheduler, decision, intended_at, job, accepted_at,
         refused, refused_kind, refused_at, workspace, git_commit, git_dirty, diff_sha256, elsewhere)
     from submission join sweep using (sweep_id) order by name, seq",
    "select json_array(token, task, identity, ended, ended_at, ended_node, ended_exit,
         ended_judged, lost, lost_at, lost_node)
     from submission_task join submission using (submission_id) join trial using (trial_id)
     order by token, task",
    "select json_array(name, identity, number, uuid, token, origin, host, pid, worker_version,
         started_at, resumed_from, device, library, weights, data_sha256, val_sha256, steps_per_epoch,
         attempt.epochs, seconds_to_start, epoch, step, loss, remaining, seen_at, checkpoint,
         weights_sha256, stop_reason, ended_at, outcome, reason, error, elapsed, restarts,
         surroundings, scratch, threads, differs, time_given, elapsed_before, predicted_step,
         predicted_save, stop_time_left, seconds_to_leave, time_left_unused, checkpoints,
         checkpoint_bytes, checkpoint_seconds, checkpoint_pause, attempt.journal_seq)
     from attempt join trial using (trial_id) join sweep using (sweep_id)
     order by name, identity, number",
    "select json_array(name, identity, epoch, attempt, step, at, metrics, weights_sha256,
         train_seconds, eval_seconds, images_per_second, is_best)
     from epoch join trial using (trial_id) join sweep using (sweep_id)
     order by name, identity, epoch",
    "select json_array(name, identity, summary.metric, maximum, maximum_epoch, minimum,
         minimum_epoch, last, last_epoch)
     from summary join trial using (trial_id) join sweep on sweep.sweep_id = trial.sweep_id
     order by name, identity, summary.metric",
    "select json_array(name, identity, number, seq, at, sample.metrics)
     from sample join attempt using (attempt_id) join trial using (trial_id)
         join sweep using (sweep_id)
     order by name, identity, number, seq",
    "select json_array(name, identity, number, seq, at, text)
     from warning join attempt using (attempt_id) join trial using (trial_id)
         join sweep using (sweep_id)
     order by name, identity, number, seq",
];

impl Store {
    /// Returns a SHA-256 in hex over the content, without what a rebuild cannot bring back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn content_hash(&mut self) -> Result<String, StoreError> {
        let mut digest = Sha256::new();
        for sql in CONTENT {
            let rows = sqlx::query_scalar::<_, String>(*sql).fetch(&mut self.connection);
            let mut rows = Rows::new(rows);
            while let Some(row) = rows.next().await? {
                digest.update(row.as_bytes());
                digest.update(b"\n");
            }
            digest.update(b"\n");
        }
        Ok(hex(&digest.finalize()))
    }
}
