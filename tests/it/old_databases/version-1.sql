BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO "_sqlx_migrations" VALUES(1,'first','2026-11-24 02:49:22',1,X'F469158DE4D528E260CB981E5C91623041F14BCF1D6FF3B85A77E30E7B2FEB9861C1F8BEC75D6270350A810A92F3C4B9',2170276);
CREATE TABLE attempt (
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
INSERT INTO "attempt" VALUES(1,1,1,'01a3185d-d6a0-787d-be08-40aa4ea4fc86','01a3185c-7710-72c2-9e3d-f2e46cbb83a5','slurm:123_0:0','n1',1,'0.1','2027-01-15T08:01:50.000000Z',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,4,0,NULL,NULL,'2027-01-15T08:02:20.000000Z',NULL,'0000000000000000000000000000000000000000000000000000000000000002',NULL,'2027-01-15T08:02:20.000000Z','finished',NULL,NULL,12.0,1066,4,0);
INSERT INTO "attempt" VALUES(2,2,1,'01a3185d-d6a0-702b-8730-ef873ea0b332','01a3185c-7710-72c2-9e3d-f2e46cbb83a5','slurm:123_0:0','n1',1,'0.1','2027-01-15T08:01:50.000000Z',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,4,0,NULL,NULL,'2027-01-15T08:02:20.000000Z',NULL,'0000000000000000000000000000000000000000000000000000000000000001',NULL,'2027-01-15T08:02:20.000000Z','stopped','warned',NULL,12.0,841,4,0);
INSERT INTO "attempt" VALUES(3,2,2,'01a3185d-d6a0-73ee-bd49-9b93e90350d9','01a3185c-7710-72c2-9e3d-f2e46cbb83a5','slurm:123_0:0','n1',1,'0.2','2027-01-15T08:01:50.000000Z',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,2,0,NULL,NULL,'2027-01-15T08:02:00.000000Z',NULL,'0000000000000000000000000000000000000000000000000000000000000001',NULL,NULL,NULL,NULL,NULL,NULL,557,2,0);
CREATE TABLE epoch (
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
INSERT INTO "epoch" VALUES(1,1,1,10,'2027-01-15T08:02:00.000000Z','{"val/jaccard":0.5,"val/loss":0.3}','0000000000000000000000000000000000000000000000000000000000000001',3.0,1.0,9.0,0);
INSERT INTO "epoch" VALUES(1,2,1,20,'2027-01-15T08:02:10.000000Z','{"val/jaccard":0.6,"val/loss":0.2}','0000000000000000000000000000000000000000000000000000000000000002',3.0,1.0,9.0,0);
INSERT INTO "epoch" VALUES(2,1,2,10,'2027-01-15T08:02:00.000000Z','{"val/jaccard":0.4}','0000000000000000000000000000000000000000000000000000000000000001',3.0,1.0,9.0,0);
CREATE TABLE sample (
    attempt_id      integer not null references attempt on delete cascade,
    seq             integer not null,
    at              text    not null,
    metrics         text    not null,               -- JSON by name
    primary key (attempt_id, seq)
) strict, without rowid;
CREATE TABLE submission (
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
INSERT INTO "submission" VALUES(1,1,2,'01a3185c-7710-72c2-9e3d-f2e46cbb83a5','slurm','submit','2027-01-15T08:00:10.000000Z','123','2027-01-15T08:00:11.000000Z',NULL,NULL);
CREATE TABLE submission_task (
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
INSERT INTO "submission_task" VALUES(1,0,1,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "submission_task" VALUES(1,1,2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE summary (
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
INSERT INTO "summary" VALUES(1,'val/jaccard',1,0.6,2,0.5,1,0.6,2);
INSERT INTO "summary" VALUES(1,'val/loss',1,0.3,1,0.2,2,0.2,2);
INSERT INTO "summary" VALUES(2,'val/jaccard',1,0.4,1,0.4,1,0.4,1);
CREATE TABLE sweep (
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
INSERT INTO "sweep" VALUES(1,'lr-batch','val/jaccard','maximize','name: lr-batch
','a5ff57dff5faf298e355c29c186b2b032040df1aa0102b36b2182554667c2215',427,3,0,'2026-11-24T02:49:22.028987Z');
CREATE TABLE trial (
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
INSERT INTO "trial" VALUES(1,1,'0000000000000000',0,0,'{"batch_size":0,"optimizer.lr":0.001}','{"batch_size":0,"epochs":3,"model":{"name":"toy"},"optimizer":{"lr":0.001,"name":"adamw"}}',3,1,NULL,NULL,NULL,'finished','attempt 1 reached the end');
INSERT INTO "trial" VALUES(2,1,'0123456789abcdef',1,0,'{"batch_size":1,"optimizer.lr":0.001}','{"batch_size":1,"epochs":3,"model":{"name":"toy"},"optimizer":{"lr":0.001,"name":"adamw"}}',3,1,NULL,NULL,NULL,'running','attempt 2''s last record is 0 s old; the scheduler was not asked since');
INSERT INTO "trial" VALUES(3,1,'02468acf13579bde',2,0,'{"batch_size":2,"optimizer.lr":0.001}','{"batch_size":2,"epochs":3,"model":{"name":"toy"},"optimizer":{"lr":0.001,"name":"adamw"}}',3,1,NULL,NULL,NULL,'planned','nothing was submitted');
CREATE TABLE warning (
    attempt_id      integer not null references attempt on delete cascade,
    seq             integer not null,
    at              text    not null,
    text            text    not null,
    primary key (attempt_id, seq)
) strict, without rowid;
INSERT INTO "warning" VALUES(2,3,'2027-01-15T08:02:10.000000Z','slow disk');
CREATE INDEX trial_identity on trial (identity);
CREATE INDEX trial_state on trial (sweep_id, state);
CREATE INDEX trial_lr on trial (json_extract(settings, '$.optimizer.lr'));
CREATE INDEX trial_batch_size on trial (json_extract(settings, '$.batch_size'));
CREATE INDEX submission_task_trial on submission_task (trial_id, submission_id);
CREATE INDEX attempt_live on attempt (trial_id) where ended_at is null;
CREATE INDEX summary_maximum on summary (sweep_id, metric, maximum desc, maximum_epoch);
CREATE INDEX summary_minimum on summary (sweep_id, metric, minimum, minimum_epoch);
CREATE VIEW trial_best as
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
COMMIT;
