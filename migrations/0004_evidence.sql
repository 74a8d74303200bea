-- More of what the scheduler said, as the controller's journal keeps it.
alter table submission      add column refused_kind text; -- limit: later it may go; absent: it never arrived
alter table submission_task add column ended_node   text;
alter table submission_task add column ended_exit   text; -- exit code and signal (0:9)
alter table submission_task add column ended_judged text; -- how the trial stood with it
alter table submission_task add column lost_node    text; -- where it was last seen

-- Volatile, not part of the content hash.
alter table submission_task add column report_exit    text;
alter table submission_task add column report_foreign text; -- what was said under the job's number that is not about it
alter table attempt add column heard_at text; -- when something new was last read of it, by the controller's clock
alter table attempt add column skew     real; -- seconds that its clock is ahead of the controller's; negative: behind
