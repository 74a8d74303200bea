-- What the journals tell, in tables that can be asked. Everything here can be made again from the
-- journals (`regatta rebuild`). Times are UTC, RFC 3339; durations are seconds.

create table sweep (
    sweep_id        integer primary key,
    name            text    not null unique,
    metric          text    not null default 'val/jaccard',
    direction       text    not null default 'maximize' check (direction in ('maximize', 'minimize')),
    document        text    not null default '',    -- the sweep file as submitted
    plan_sha256     text,                           -- of the plan.json that was read
    journal_offset  integer not null default 0,     -- how far the controller's journal was read
    journal_seq     integer not null default 0,
    journal_bad     integer not null default 0,     -- damaged lines that were skipped
    collected_at    text
) strict;

create table trial (
    trial_id        integer primary key,
    sweep_id        integer not null references sweep on delete cascade,
    identity        text    not null,               -- the same point of two sweeps has the same one
    seed            integer not null default 0,
    repeat          integer not null default 0,
    parameters      text    not null default '{}',  -- JSON by dotted path: what the sweep varies
    settings        text    not null default '{}',  -- JSON: everything, resolved
    epochs          integer,                        -- to do in all
    planned         integer not null default 0,     -- 1: stands in the newest plan
    cancel_seq      integer,                        -- record of the newest cancel
    cancelled_at    text,
    cancelled_by    text,
    state           text    not null default 'planned',
    why             text    not null default '',
    unique (sweep_id, identity)
) strict;

-- TRIAL on the command line is a prefix of the identity, in any sweep.
create index trial_identity on trial (identity);
-- Status counts by state; collect asks for the trials that may still change.
create index trial_state on trial (sweep_id, state);
-- The two settings that are asked for most, however they were set.
create index trial_lr on trial (json_extract(settings, '$.optimizer.lr'));
create index trial_batch_size on trial (json_extract(settings, '$.batch_size'));

create table submission (
    submission_id   integer primary key,
    sweep_id        integer not null references sweep on delete cascade,
    seq             integer not null,               -- record of the intent: orders submissions and cancels
    token           text    not null,
    scheduler       text    not null,
    decision        text    not null,
    intended_at     text    not null,
    job             text,                           -- the scheduler's id; null: not heard
    accepted_at     text,
    refused         text,                           -- in the scheduler's words
    refused_at      text,
    unique (sweep_id, token)
) strict;

create table submission_task (
    submission_id   integer not null references submission on delete cascade,
    task            integer not null,               -- number in the array, from 0
    trial_id        integer not null references trial on delete cascade,
    ended           text,                           -- the scheduler's word for its end
    ended_at        text,
    lost            text,                           -- what was seen when it vanished
    lost_at         text,
    -- The newest poll. Volatile: not part of the content hash.
    report          text,                           -- pending, running, ended, unknown, absent
    report_end      text,                           -- how, if ended
    report_word     text,
    report_restarts integer,
    report_node     text,
    reported_at     text,
    primary key (submission_id, task)
) strict, without rowid;

-- The newest submission of a trial decides its state.
create index submission_task_trial on submission_task (trial_id, submission_id);

create table attempt (
    attempt_id      integer primary key,
    trial_id        integer not null references trial on delete cascade,
    number          integer not null,               -- within the trial, from 1
    uuid            text,
    token           text,                           -- its submission, if any
    origin          text,
    host            text,
    pid             integer,
    worker_version  text,
    started_at      text,
    resumed_from    text,                           -- checkpoint
    device          text,
    library         text,
    weights         integer,                        -- number of trainable parameters
    data_sha256     text,
    steps_per_epoch integer,
    epochs          integer,
    seconds_to_start real,
    epoch           integer,                        -- the cursor: training goes on here
    step            integer,
    loss            real,
    remaining       real,                           -- its own estimate
    seen_at         text,                           -- newest record
    checkpoint      text,                           -- newest
    weights_sha256  text,                           -- at the end of its newest epoch
    stop_reason     text,
    ended_at        text,
    outcome         text,
    reason          text,
    error           text,
    elapsed         real,                           -- training time of all attempts so far
    journal_offset  integer not null default 0,
    journal_seq     integer not null default 0,
    journal_bad     integer not null default 0,
    unique (trial_id, number)
) strict;

-- Collect reads the journals of attempts without an end.
create index attempt_live on attempt (trial_id) where ended_at is null;

create table epoch (
    trial_id        integer not null references trial on delete cascade,
    epoch           integer not null,
    attempt         integer not null,               -- of several that did this epoch, the newest
    step            integer not null,               -- optimizer updates since the start of training
    at              text    not null,
    metrics         text    not null,               -- JSON by name; null for a value that was not finite
    weights_sha256  text    not null,
    train_seconds   real,
    eval_seconds    real,
    images_per_second real,
    is_best         integer not null,
    primary key (trial_id, epoch)
) strict, without rowid;

-- One row a trial and metric, over its epochs: small enough to rank 100,000 trials in no time.
create table summary (
    trial_id        integer not null references trial on delete cascade,
    metric          text    not null,
    sweep_id        integer not null references sweep on delete cascade,
    maximum         real,                           -- null: every value was missing or not finite
    maximum_epoch   integer,                        -- the first epoch that reached it
    minimum         real,
    minimum_epoch   integer,
    last            real,                           -- of the newest epoch; null where not finite
    last_epoch      integer not null,
    primary key (trial_id, metric)
) strict, without rowid;

-- `best` reads the first N rows of one metric of a sweep, from the good end, ties by epoch.
create index summary_maximum on summary (sweep_id, metric, maximum desc, maximum_epoch);
create index summary_minimum on summary (sweep_id, metric, minimum, minimum_epoch);

create table sample (
    attempt_id      integer not null references attempt on delete cascade,
    seq             integer not null,
    at              text    not null,
    metrics         text    not null,               -- JSON by name
    primary key (attempt_id, seq)
) strict, without rowid;

create table warning (
    attempt_id      integer not null references attempt on delete cascade,
    seq             integer not null,
    at              text    not null,
    text            text    not null,
    primary key (attempt_id, seq)
) strict, without rowid;

-- For people: every trial with its best value of the objective, best first.
create view trial_best as
with ranked as (
    select trial.sweep_id, trial.trial_id,
           iif(sweep.direction = 'minimize', summary.minimum, summary.maximum) as value,
           iif(sweep.direction = 'minimize', summary.minimum_epoch, summary.maximum_epoch) as epoch
    from trial
    join sweep using (sweep_id)
    left join summary on summary.trial_id = trial.trial_id and summary.metric = sweep.metric
)
select sweep.name as sweep,
       row_number() over (
           partition by ranked.sweep_id
           order by iif(sweep.direction = 'minimize', value, -value) nulls last, epoch, identity
       ) as rank,
       trial.identity as trial,
       trial.state,
       sweep.metric,
       ranked.value,
       ranked.epoch,
       json_extract(trial.settings, '$.model.name') as model,
       json_extract(trial.settings, '$.optimizer.lr') as lr,
       json_extract(trial.settings, '$.batch_size') as batch_size,
       trial.seed,
       trial.parameters
from ranked
join trial using (trial_id)
join sweep on sweep.sweep_id = ranked.sweep_id
order by sweep.name, rank;
