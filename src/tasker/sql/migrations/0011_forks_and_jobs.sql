-- Reruns: a task that began at a step of another one, with what that had done before. The origin stays as it is.
create table tasker_engine.forks (
  task_id uuid primary key,
  origin_id uuid not null,
  namespace_id int not null,
  from_number int not null,
  is_edited boolean not null,
  copied int not null,
  actor text not null,
  reason text,
  at timestamptz not null);
create index forks_by_origin on tasker_engine.forks (origin_id);

-- Actions on many tasks. A job goes on wherever it was: `below` is the id under which it looks for the next tasks. namespaces:
-- those that its filter names; null: all.
create table tasker_engine.jobs (
  job_id uuid primary key,
  action text not null check (action in ('cancel', 'pause', 'resume', 'retry')),
  filter jsonb not null,
  namespaces text[],
  actor text not null,
  reason text,
  status text not null default 'running' check (status in ('running', 'done', 'stopped')),
  tasks_max int not null check (tasks_max > 0),
  matched bigint not null,
  below uuid not null,
  done int not null default 0,
  refused int not null default 0,
  busy int not null default 0,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  finished_at timestamptz,
  stopped_by text);
create index jobs_running on tasker_engine.jobs (job_id) where status = 'running';

-- What became of each task: done, refused (and why), or busy: another verb held it, and it comes again.
create table tasker_engine.job_items (
  job_id uuid not null references tasker_engine.jobs on delete cascade,
  task_id uuid not null,
  status text not null check (status in ('done', 'refused', 'busy')),
  said text,
  at timestamptz not null,
  primary key (job_id, task_id));
