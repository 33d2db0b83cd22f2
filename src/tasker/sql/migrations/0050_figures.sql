-- What ended, in figures: for each hour and template the tasks (number 0) and the steps, by how long they took. A row counts those
-- whose duration lies in one bucket (`duration_bucket`), so that percentiles of many can be told without reading each again. The
-- sweep fills it from ended tasks, in the order in which they ended (`gather_figures`).
create table tasker_engine.figures (
  at timestamptz not null,  -- the hour in which the task ended
  template_id int not null references tasker_engine.templates,
  number int not null,
  bucket int not null,
  count bigint not null check (count > 0),
  errors bigint not null,
  cancelled bigint not null,
  retries bigint not null,
  total_s double precision not null,
  min_s double precision not null,
  max_s double precision not null,
  last_at timestamptz not null,
  primary key (at, template_id, number, bucket)) with (fillfactor = 80);

alter table tasker_engine.figures enable row level security;
create policy confined on tasker_engine.figures
  using ((select not tasker_engine.is_confined())
    or template_id = any (array(select t.template_id from tasker_engine.templates t))) with check (true);

-- How far the figures go: all tasks that ended before `figures_until`, and of those that ended then the ones up to `figures_id`.
-- `figures_seen_at` is a moment at which the sweep looked, and `figures_seen_before` the first transaction that began after it.
alter table tasker_engine.sweeps
  add column figures_until timestamptz not null default '-infinity',
  add column figures_id uuid not null default '00000000-0000-0000-0000-000000000000',
  add column figures_seen_at timestamptz not null default '-infinity',
  add column figures_seen_before xid8 not null default '0';
