-- Retention. `pruned_at`, `pruned_id`: the end and the id of the task that was looked at last; a round begins before all of them.
alter table tasker_engine.sweeps
  add column pruned_at timestamptz not null default '-infinity',
  add column pruned_id uuid not null default '00000000-0000-0000-0000-000000000000';
