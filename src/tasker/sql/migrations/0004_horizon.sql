-- When the sweep saw `seq_seen`, and the first transaction that began after that: once all older ones are over, no row below
-- it can still appear.
alter table tasker_engine.sweeps
  add column seen_at timestamptz not null default 'epoch',
  add column seen_before xid8 not null default '0';
