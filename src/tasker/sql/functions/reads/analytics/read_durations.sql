-- read_step_durations: how long steps ran (their last tries), grouped by namespace, template (each version), step or handler;
-- the groups with the most of _order first: p95, avg, max, total, errors or count. Percentiles are of all executions.
create or replace function tasker_engine.read_step_durations(
  _by text, _from timestamptz, _until timestamptz, _namespaces text[] default null, _name text default null, _version text default null,
  _order text default 'p95', _least int default 1, _limit int default 50, _most int default 100000)
returns table (
  namespace text, name text, version text, step text, handler text, count bigint, errors bigint, retries bigint, avg_s double precision,
  min_s double precision, max_s double precision, p50_s double precision, p90_s double precision, p95_s double precision, p99_s double precision,
  total_s double precision, last_at timestamptz)
language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = on set enable_indexscan = on set enable_indexonlyscan = on
set enable_hashjoin = on set enable_mergejoin = on set jit = off set join_collapse_limit = 8 set from_collapse_limit = 8 as $$
#variable_conflict use_column
begin
  perform tasker_engine.check_scope(_most);
  perform tasker_engine.check_grouping(_by, array['namespace', 'template', 'step', 'handler'], _order);
  return query
  with named as (
    select p.template_id, p.number, n.name as namespace, case when _by in ('template', 'step') then t.name end as name,
      case when _by in ('template', 'step') then t.version end as version, case when _by = 'step' then p.name end as step,
      case when _by = 'handler' then c.handler end as handler
    from tasker_engine.templates t
    join tasker_engine.namespaces n on n.namespace_id = t.namespace_id
    join tasker_engine.template_steps p on p.template_id = t.template_id
    join tasker_engine.channels c on c.channel_id = p.channel_id),
  labelled as materialized (  -- a number for each group: hundreds of thousands of executions are sorted by it, not by names
    select n.*, dense_rank() over (order by n.namespace, n.name, n.version, n.step, n.handler) as label from named n),
  grouped as (
    select l.label, count(*) as count, count(*) filter (where s.state = 'error') as errors,
      sum(s.retries)::bigint as retries, avg(s.run_s) as avg_s, min(s.run_s) as min_s, max(s.run_s) as max_s,
      percentile_cont(array[0.5, 0.9, 0.95, 0.99]) within group (order by s.run_s) as p, sum(s.run_s) as total_s, max(s.finished_at) as last_at
    from tasker_engine.executed_steps(_from, _until, _namespaces, _name, _version, _most) s
    join labelled l on l.template_id = s.template_id and l.number = s.plan
    group by l.label having count(*) >= _least)
  select n.namespace, n.name, n.version, n.step, n.handler, g.count, g.errors, g.retries, g.avg_s, g.min_s, g.max_s,
    g.p[1], g.p[2], g.p[3], g.p[4], g.total_s, g.last_at
  from grouped g
  join (select distinct on (l.label) l.* from labelled l order by l.label) n on n.label = g.label
  order by case _order when 'p95' then g.p[3] when 'avg' then g.avg_s when 'max' then g.max_s when 'total' then g.total_s
    when 'errors' then g.errors else g.count end desc, g.label
  limit _limit;
end $$;

-- read_task_durations: the same for whole tasks, from when they might begin until they ended, by namespace or template.
create or replace function tasker_engine.read_task_durations(
  _by text, _from timestamptz, _until timestamptz, _namespaces text[] default null, _name text default null, _version text default null,
  _order text default 'p95', _least int default 1, _limit int default 50, _most int default 100000)
returns table (
  namespace text, name text, version text, count bigint, errors bigint, cancelled bigint, avg_s double precision, min_s double precision,
  max_s double precision, p50_s double precision, p90_s double precision, p95_s double precision, p99_s double precision,
  total_s double precision, step_count double precision, last_at timestamptz)
language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = on set enable_indexscan = on set enable_indexonlyscan = on
set enable_hashjoin = on set enable_mergejoin = on set jit = off set join_collapse_limit = 8 set from_collapse_limit = 8 as $$
#variable_conflict use_column
begin
  perform tasker_engine.check_scope(_most);
  perform tasker_engine.check_grouping(_by, array['namespace', 'template'], _order);
  return query
  with grouped as (
    select n.name as namespace, case when _by = 'template' then p.name end as name, case when _by = 'template' then p.version end as version,
      count(*) as count, count(*) filter (where t.state = 'error') as errors, count(*) filter (where t.state = 'cancelled') as cancelled,
      avg(t.took_s) as avg_s, min(t.took_s) as min_s, max(t.took_s) as max_s,
      percentile_cont(array[0.5, 0.9, 0.95, 0.99]) within group (order by t.took_s) as p, sum(t.took_s) as total_s,
      avg(p.step_count)::float8 as step_count, max(t.finished_at) as last_at
    from tasker_engine.ended_between(_from, _until, _namespaces, _name, _version, _most) t
    join tasker_engine.templates p on p.template_id = t.template_id
    join tasker_engine.namespaces n on n.namespace_id = p.namespace_id
    group by 1, 2, 3 having count(*) >= _least)
  select g.namespace, g.name, g.version, g.count, g.errors, g.cancelled, g.avg_s, g.min_s, g.max_s, g.p[1], g.p[2], g.p[3], g.p[4],
    g.total_s, g.step_count, g.last_at
  from grouped g
  order by case _order when 'p95' then g.p[3] when 'avg' then g.avg_s when 'max' then g.max_s when 'total' then g.total_s
    when 'errors' then g.errors else g.count end desc, g.namespace, g.name, g.version
  limit _limit;
end $$;

create or replace function tasker_engine.check_grouping(_by text, _known text[], _order text) returns void language plpgsql as $$
begin
  if _by <> all (_known) then
    raise exception 'durations are not grouped by "%": choose %', _by, array_to_string(_known, ', ') using errcode = 'TK008';
  elsif _order <> all (array['p95', 'avg', 'max', 'total', 'errors', 'count']) then
    raise exception 'there is no order by "%": choose p95, avg, max, total, errors or count', _order using errcode = 'TK008';
  end if;
end $$;

-- read_errors: what the steps failed of that ended in error, the most frequent first: by code (or type) and step. Of the tasks with
-- such a step that ended in the time, in error or cancelled, the newest _most of each are looked at.
create or replace function tasker_engine.read_errors(
  _from timestamptz, _until timestamptz, _namespaces text[] default null, _name text default null, _version text default null,
  _limit int default 20, _most int default 100000)
returns table (
  code text, error_type text, namespace text, name text, step text, count bigint, last_at timestamptz, message text, task_id uuid)
language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = on set enable_indexscan = on set enable_indexonlyscan = on
set enable_hashjoin = on set enable_mergejoin = on set jit = off set join_collapse_limit = 8 set from_collapse_limit = 8 as $$
#variable_conflict use_column
declare
  templates int[] := tasker_engine.templates_of(_namespaces, _name, _version);
begin
  perform tasker_engine.check_scope(_most);
  return query
  select coalesce(s.error ->> 'error_code', s.error ->> 'error_type', 'error'), s.error ->> 'error_type', n.name, t.name, p.name, count(*),
    max(s.finished_at), left((array_agg(s.error ->> 'message' order by s.finished_at desc))[1], 500),
    (array_agg(s.task_id order by s.finished_at desc))[1]
  from tasker_engine.failed_between(_from, _until, templates, _most) f
  cross join lateral (select * from tasker_engine.steps s where s.task_id = f.task_id and s.state = 'error' offset 0) s
  join tasker_engine.templates t on t.template_id = f.template_id
  join tasker_engine.namespaces n on n.namespace_id = t.namespace_id
  join tasker_engine.template_steps p on p.template_id = f.template_id and p.number = tasker_engine.plan_number(s.number)
  where s.granted_at is not null and s.finished_at is not null
  group by 1, 2, 3, 4, 5
  order by count(*) desc, max(s.finished_at) desc limit _limit;
end $$;

-- failed_between: the tasks that ended in a time with a step that failed, of each kind of end the newest _most. The owner's function,
-- for templates that the caller reaches.
create or replace function tasker_engine.failed_between(_from timestamptz, _until timestamptz, _templates int[], _most int)
returns table (task_id uuid, template_id int) language plpgsql stable security definer set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_indexscan = on as $$
#variable_conflict use_column
begin
  _templates := tasker_engine.reached_templates(_templates);
  return query
  select f.task_id, f.template_id
  from unnest(array['error', 'cancelled']::tasker_engine.state[]) as w(state)
  cross join lateral (
    select t.task_id, t.template_id from tasker_engine.tasks t
    where t.state = w.state and t.template_id > 0 and t.failed > 0 and t.finished_at >= _from and t.finished_at < _until
      and (_templates is null or t.template_id = any (_templates))
    order by t.task_id desc limit _most) f;
end $$;
