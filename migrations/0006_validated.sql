-- The files that a trial was validated on, apart from those it was trained on: two trials with the same ones can be
-- compared though one saw fewer files in training. Null where a worker of an earlier version wrote.
alter table attempt add column val_sha256 text;

drop view attempts;
create view attempts as
select sweep.name as sweep,
       trial.identity as trial,
       attempt.number as attempt,
       attempt.origin,
       attempt.host,
       attempt.device,
       attempt.worker_version,
       attempt.library,
       attempt.started_at,
       attempt.seen_at,
       attempt.ended_at,
       attempt.outcome,
       attempt.reason,
       attempt.error,
       attempt.elapsed,
       attempt.resumed_from,
       attempt.checkpoints,
       attempt.checkpoint_bytes,
       attempt.weights as network_parameters,
       attempt.data_sha256,
       attempt.val_sha256
from attempt
    join trial using (trial_id)
    join sweep using (sweep_id);
