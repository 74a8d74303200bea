-- Every question asks which trials may have news, and there may be thousands that failed: their names are read from
-- the index, and no row of theirs.
drop index trial_state;
create index trial_state on trial (sweep_id, state, identity);
