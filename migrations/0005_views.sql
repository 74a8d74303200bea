-- What every question asks first, of attempts that are hardly ever there: a journal that was never read, one
-- with damaged lines; and the few versions of the worker.
create index attempt_unread on attempt (trial_id) where journal_offset = 0;
create index attempt_damaged on attempt (trial_id) where journal_bad > 0;
create index attempt_version on attempt (worker_version);

-- Views for people and programs, documented in docs/sql.md: names instead of keys, and nothing that is
-- only Regatta's own. Their columns stay; new ones may come.

create view sweeps as
select sweep.name as sweep,
       sweep.metric,
       sweep.direction,
       (select count(*) from trial where trial.sweep_id = sweep.sweep_id) as trials,
       (select count(*) from trial
        where trial.sweep_id = sweep.sweep_id and trial.state = 'finished') as finished,
       sweep.collected_at,
       sweep.document
from sweep;

-- Every trial, with the best value of its sweep's objective.
create view trials as
select sweep.name as sweep,
       trial.identity as trial,
       trial.state,
       trial.why,
       trial.seed,
       trial.repeat,
       (select coalesce(max(epoch.epoch), 0) from epoch
        where epoch.trial_id = trial.trial_id) as epochs_done,
       trial.epochs,
       (select count(*) from attempt where attempt.trial_id = trial.trial_id) as attempts,
       (select max(attempt.elapsed) from attempt
        where attempt.trial_id = trial.trial_id) as elapsed,
       sweep.metric,
       sweep.direction,
       iif(sweep.direction = 'minimize', summary.minimum, summary.maximum) as value,
       iif(sweep.direction = 'minimize', summary.minimum_epoch, summary.maximum_epoch) as epoch,
       trial.parameters,                            -- JSON by dotted path
       trial.settings                               -- JSON
from trial
    join sweep using (sweep_id)
    left join summary on summary.trial_id = trial.trial_id and summary.metric = sweep.metric;

-- A row a trial and metric.
create view metrics as
select sweep.name as sweep,
       trial.identity as trial,
       summary.metric,
       summary.maximum,
       summary.maximum_epoch,
       summary.minimum,
       summary.minimum_epoch,
       summary.last,
       summary.last_epoch
from summary
    join trial on trial.trial_id = summary.trial_id
    join sweep on sweep.sweep_id = summary.sweep_id;

-- A row an epoch and metric: learning curves.
create view epochs as
select sweep.name as sweep,
       trial.identity as trial,
       epoch.epoch,
       epoch.attempt,
       epoch.step,
       epoch.at,
       measured.key as metric,
       measured.value,
       epoch.train_seconds,
       epoch.eval_seconds,
       epoch.images_per_second
from epoch
    join trial using (trial_id)
    join sweep using (sweep_id)
    join json_each(epoch.metrics) as measured;

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
       attempt.data_sha256
from attempt
    join trial using (trial_id)
    join sweep using (sweep_id);

create view warnings as
select sweep.name as sweep,
       trial.identity as trial,
       attempt.number as attempt,
       warning.at,
       warning.text
from warning
    join attempt using (attempt_id)
    join trial using (trial_id)
    join sweep using (sweep_id);
