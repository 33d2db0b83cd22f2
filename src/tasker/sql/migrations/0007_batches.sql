-- Batches: steps that run once for each cursor or item. Member `index` of batch `number` is the step `number << 16 | index`, so
-- that its plan is found by a shift, and all of a batch lie together.
alter table tasker_engine.template_steps
  drop constraint template_steps_type_check,
  add constraint template_steps_type_check
    check (type in ('standard', 'decision', 'deferred_convergence', 'batchable', 'batch_worker')),
  add column batch jsonb;  -- of a step that has members: parallelism, failure_strategy, source, and for a list of items its path

-- A step that has been expanded. `running` members are released and have not ended; below `next_index` nothing waits for its turn.
create table tasker_engine.batches (
  task_id uuid not null,
  number int not null,
  failure_strategy text not null check (failure_strategy in ('continue_on_failure', 'fail_fast', 'isolate')),
  parallelism int not null check (parallelism > 0),
  total int not null check (total >= 0),
  next_index int not null default 0,
  running int not null default 0 check (running >= 0),
  succeeded int not null default 0 check (succeeded >= 0),
  failed int not null default 0 check (failed >= 0),
  items bigint not null,
  items_done bigint not null default 0,
  expanded_at timestamptz not null,
  primary key (task_id, number)) with (fillfactor = 50);

-- What each member works on, handed to it alone. `items` says how many rows that is, as far as it is known.
create table tasker_engine.batch_items (
  task_id uuid not null,
  number int not null,
  batch_id text not null,
  cursor jsonb,
  items int not null default 0 check (items >= 0),
  primary key (task_id, number));

-- By how much the counters of a batch change, because of one member.
create type tasker_engine.batch_change as (task_id uuid, number int, running int, succeeded int, failed int);
