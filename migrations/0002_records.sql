-- What the user's workspace looked like at a submission, where it is under git.
alter table submission add column workspace   text;    -- the folder that was looked at
alter table submission add column git_commit  text;    -- full name
alter table submission add column git_dirty   integer; -- 1: something differs from the commit
alter table submission add column diff_sha256 text;    -- of jobs/TOKEN.diff

-- More of what attempts tell.
alter table attempt add column restarts         integer; -- of its job, as its origin tells
alter table attempt add column surroundings     text;    -- JSON: program, machine, command line, settings
alter table attempt add column scratch          text;    -- folder for checkpoints that the shared one refuses
alter table attempt add column threads          integer;
alter table attempt add column differs          text;    -- JSON: what is not as it was when the checkpoint was written
alter table attempt add column time_given       real;    -- left when training began; null: no limit
alter table attempt add column elapsed_before   real;    -- training time of earlier attempts
alter table attempt add column predicted_step   real;    -- at the request to stop: the next unit with a checkpoint
alter table attempt add column predicted_save   real;    -- at the request to stop: the checkpoint that follows
alter table attempt add column stop_time_left   real;    -- at the request to stop
alter table attempt add column seconds_to_leave real;    -- from that request to the end
alter table attempt add column time_left_unused real;    -- at the end
alter table attempt add column checkpoints        integer not null default 0; -- written
alter table attempt add column checkpoint_bytes   integer; -- size of the newest
alter table attempt add column checkpoint_seconds real not null default 0; -- for all of them, in the background
alter table attempt add column checkpoint_pause   real not null default 0; -- of that, training stood still

-- The journals are read once more, from their beginning: an attempt with the offset 0 is read even if
-- its end is known. What is known already stays as it is.
update sweep   set journal_offset = 0, journal_seq = 0, journal_bad = 0;
update attempt set journal_offset = 0, journal_seq = 0, journal_bad = 0;
