-- The dead letter queue: tasks that somebody should look at, each with what was found out about it.
--
-- `failures` says where to look: a row for each task of which a step has just failed for good. The sweep takes it and judges.
create table tasker_engine.failures (
  failure_no bigint generated always as identity primary key,
  task_id uuid not null);
alter table tasker_engine.failures set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_cost_delay = 0);

-- An entry is an investigation, of which a task has one at a time that is pending. `snapshot`: the task as it was then.
create table tasker_engine.dlq (
  entry_id uuid primary key,
  task_id uuid not null,
  namespace_id int not null,
  reason text not null check (reason in
    ('staleness_timeout', 'max_retries_exceeded', 'dependency_cycle_detected', 'worker_unavailable', 'manual_dlq')),
  original_state tasker_engine.state not null,
  status text not null default 'pending' check (status in ('pending', 'manually_resolved', 'permanently_failed', 'cancelled')),
  assigned_to text,
  notes text,
  resolved_by text,
  resolved_at timestamptz,
  snapshot jsonb not null,
  metadata jsonb not null default '{}',
  created_at timestamptz not null,
  updated_at timestamptz not null);
create unique index dlq_pending on tasker_engine.dlq (task_id) where status = 'pending';
create index dlq_by_task on tasker_engine.dlq (task_id);
create index dlq_by_status on tasker_engine.dlq (status, entry_id);

-- What was done to an entry, by whom.
create table tasker_engine.dlq_events (
  entry_id uuid not null references tasker_engine.dlq on delete cascade,
  seq int not null,
  at timestamptz not null,
  actor text not null,
  action text not null,
  detail jsonb not null default '{}',
  primary key (entry_id, seq));

-- How long tasks of a template may stand still (null: as the settings say), and how far the sweep has looked for such.
alter table tasker_engine.templates add column lifecycle jsonb;
create index templates_with_lifecycle on tasker_engine.templates (template_id) where lifecycle is not null;
alter table tasker_engine.sweeps add column stale_after uuid not null default '00000000-0000-0000-0000-000000000000';
