-- A sweep may be carried to another cluster in a bundle: what was submitted before is over here.
alter table sweep add column imported_from text;        -- its folder where it was packed
alter table sweep add column imported_at   text;
alter table submission add column elsewhere integer not null default 0; -- 1: made before it was moved

-- A journal that was replaced is told by its first bytes, and is read again from its start.
alter table sweep   add column journal_head text;
alter table attempt add column journal_head text;
-- Newest number of a stretch that another writer left in the file; null: it is this one's own.
alter table sweep   add column journal_foreign integer;
alter table attempt add column journal_foreign integer;

-- Size, number and date of the plan.json that was read: as long as they hold, so does plan_sha256.
alter table sweep add column plan_stat text;
