-- The tables of the engine.
--
-- Hot and narrow: `ready`, `due` and `grants` are inserted and deleted; step and task rows are updated in place (HOT: no
-- index on a column that changes with a step's state). `transitions` and `acts` only grow. Large JSON of a task lies
-- beside its hot row, in `inputs`.

create schema tasker_engine;

-- One vocabulary for tasks and steps; docs/lifecycle.md has the moves.
create type tasker_engine.state as enum (
  'pending', 'initializing', 'enqueuing_steps', 'steps_in_process', 'evaluating_results', 'waiting_for_dependencies',
  'waiting_for_retry', 'blocked_by_failures', 'enqueued', 'in_progress', 'enqueued_for_orchestration',
  'enqueued_as_error_for_orchestration', 'error', 'complete', 'cancelled', 'resolved_manually');

-- Definitions ---------------------------------------------------------------------------------------------------------

create table tasker_engine.namespaces (
  namespace_id int generated always as identity primary key,
  name text not null unique);

create table tasker_engine.templates (
  template_id int generated always as identity primary key,
  namespace_id int not null references tasker_engine.namespaces,
  name text not null,
  version text not null,
  revision int not null default 1,
  version_order int[] not null,
  digest text not null,
  definition jsonb not null,
  identity_strategy text not null check (identity_strategy in ('always_unique', 'strict', 'caller_provided')),
  step_count int not null check (step_count > 0),
  has_schema boolean not null,
  published_at timestamptz not null default clock_timestamp(),
  unique (namespace_id, name, version, revision));

-- Where work of one kind waits: the steps of one handler, in one queue, of one namespace.
create table tasker_engine.channels (
  channel_id int generated always as identity primary key,
  namespace_id int not null references tasker_engine.namespaces,
  queue text not null,
  handler text not null,
  unique (namespace_id, queue, handler));

-- A channel's work by kind (0 new tasks, 1 started tasks, 2 suspects: steps that lost a worker) and priority class
-- (0 to 4; 2 is the ordinary one). `bound` is a hint: below this `seq` nothing lies ready, as far as the sweep knows.
create table tasker_engine.lanes (
  lane int primary key,
  channel_id int not null references tasker_engine.channels,
  kind smallint not null check (kind between 0 and 2),
  class smallint not null check (class between 0 and 4),
  bound bigint not null default 0,
  unique (channel_id, kind, class)) with (fillfactor = 50);

-- Of each child its channel and the number of its parents stand beside it, so that a report reads one row per step.
create table tasker_engine.template_steps (
  template_id int not null references tasker_engine.templates,
  number int not null check (number > 0),
  name text not null,
  channel_id int not null references tasker_engine.channels,
  parents int[] not null,
  children int[] not null,
  child_channels int[] not null,
  child_parents int[] not null,
  is_retryable boolean not null,
  max_attempts int not null check (max_attempts > 0),
  backoff text not null check (backoff in ('none', 'linear', 'exponential', 'fibonacci')),
  backoff_base_s double precision not null,
  backoff_max_s double precision not null,
  jitter double precision not null,
  timeout_s double precision,
  primary key (template_id, number),
  unique (template_id, name));

-- Tasks and steps -----------------------------------------------------------------------------------------------------

-- Counters: `open` steps are not finished; `live` ones can move by themselves (granted, ready, due), `due` of them wait
-- for a time; `failed` steps are in error. `moves` numbers the history. (No foreign key: each new task would look up its
-- template by itself, and lock its row.)
create table tasker_engine.tasks (
  task_id uuid primary key,
  template_id int not null,
  namespace_id int not null,
  state tasker_engine.state not null,
  class smallint not null default 2,
  is_checked boolean not null,
  open int not null check (open >= 0),
  live int not null check (live >= 0),
  due int not null default 0 check (due >= 0),
  failed int not null default 0 check (failed >= 0),
  moves int not null default 1,
  born_at timestamptz not null,
  created_at timestamptz not null,
  finished_at timestamptz,
  paused_at timestamptz) with (fillfactor = 50);
create index tasks_by_state on tasker_engine.tasks (state, task_id);
create index tasks_by_namespace on tasker_engine.tasks (namespace_id, task_id);

create table tasker_engine.inputs (
  task_id uuid primary key,
  context jsonb not null,
  bytes int not null,
  priority int not null default 0,
  initiator text,
  source_system text,
  reason text,
  tags text[],
  correlation_id uuid,
  parent_correlation_id uuid,
  idempotency_key text);

-- `attempt` is the fence: raised by every grant, never lowered. `tries` counts executions that ended, `losses` those
-- that took their worker with them while they ran alone. `waiting` counts parents that do not satisfy the step yet. A row
-- grows by half and more in its life: pages begin a third full, so that it stays where it is, and its index entry with it.
create table tasker_engine.steps (
  task_id uuid not null,
  number int not null,
  state tasker_engine.state not null,
  waiting int not null check (waiting >= 0),
  attempt int not null default 0,
  tries int not null default 0,
  losses int not null default 0,
  moves int not null default 0,
  session_id int,
  is_suspect boolean not null default false,
  result_bytes int,
  granted_at timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  result jsonb,
  error jsonb,
  primary key (task_id, number)) with (fillfactor = 35);

-- Queues --------------------------------------------------------------------------------------------------------------

create table tasker_engine.ready (
  lane int not null,
  seq bigint generated always as identity,
  task_id uuid not null,
  number int not null,
  born_at timestamptz not null,
  primary key (lane, seq));

-- A row counts only while its step still has this `attempt`.
create table tasker_engine.due (
  due_at timestamptz not null,
  task_id uuid not null,
  number int not null,
  attempt int not null,
  primary key (due_at, task_id, number));

-- What one verb call granted to a session: deleted as a whole when the worker has reported all of it. The step rows say
-- what is still held; this table only says where to look.
create table tasker_engine.grants (
  session_id int not null,
  grant_no bigint generated always as identity,
  task_ids uuid[] not null,
  numbers int[] not null,
  primary key (session_id, grant_no));

alter table tasker_engine.ready set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_cost_delay = 0);
alter table tasker_engine.due set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_cost_delay = 0);
alter table tasker_engine.grants set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_cost_delay = 0);

-- Workers -------------------------------------------------------------------------------------------------------------

create table tasker_engine.sessions (
  session_id int generated always as identity primary key,
  session_uuid uuid not null unique,
  name text not null,
  host text not null,
  pid int not null,
  lease_s double precision not null check (lease_s > 0),
  started_at timestamptz not null,
  beat_at timestamptz not null,
  is_idle boolean not null default false,
  stale_outcomes bigint not null default 0,
  ended_at timestamptz,
  end_reason text,
  is_loss boolean not null default false) with (fillfactor = 50);

create table tasker_engine.session_channels (
  session_id int not null references tasker_engine.sessions on delete cascade,
  channel_id int not null references tasker_engine.channels,
  primary key (session_id, channel_id));
create index session_channels_by_channel on tasker_engine.session_channels (channel_id);

create table tasker_engine.sweeps (
  only_row boolean primary key default true check (only_row),
  swept_at timestamptz not null,
  looked_below_at timestamptz not null,
  looked_below_s double precision not null default 0,
  seq_seen bigint not null default 0);
insert into tasker_engine.sweeps (swept_at, looked_below_at) values ('epoch', 'epoch');

-- Identity, history, operators ----------------------------------------------------------------------------------------

create table tasker_engine.identities (
  namespace_id int not null,
  template text not null,
  key text not null,
  task_id uuid not null,
  expires_at timestamptz,
  primary key (namespace_id, template, key));

-- number 0 is the task itself; seq counts the moves of one step (or of the task), `at` is for people.
create table tasker_engine.transitions (
  task_id uuid not null,
  number int not null,
  seq int not null,
  from_state tasker_engine.state,
  to_state tasker_engine.state not null,
  attempt int,
  session_id int,
  at timestamptz not null,
  detail jsonb);
create index transitions_by_task on tasker_engine.transitions (task_id);

create table tasker_engine.acts (
  act_id uuid primary key,
  task_id uuid not null,
  number int,
  action text not null,
  actor text not null,
  reason text,
  at timestamptz not null,
  answer jsonb not null);
create index acts_by_task on tasker_engine.acts (task_id);
