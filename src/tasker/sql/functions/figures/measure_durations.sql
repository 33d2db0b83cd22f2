-- measure_step_durations: read_step_durations of any number of tasks, with percentile_error; see measure_performance.
create or replace function tasker_engine.measure_step_durations(
  _by text, _from timestamptz, _until timestamptz, _namespaces text[] default null, _name text default null, _version text default null,
  _order text default 'p95', _least int default 1, _limit int default 50, _most int default 100000, _exact int default 10000)
returns table (
  namespace text, name text, version text, step text, handler text, count bigint, errors bigint, retries bigint, avg_s double precision,
  min_s double precision, max_s double precision, p50_s double precision, p90_s double precision, p95_s double precision, p99_s double precision,
  total_s double precision, last_at timestamptz, percentile_error double precision)
language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = on set enable_indexscan = on set enable_indexonlyscan = on
set enable_hashjoin = on set enable_mergejoin = on set jit = off set join_collapse_limit = 8 set from_collapse_limit = 8 as $$
#variable_conflict use_column
begin
  perform tasker_engine.check_scope(_most);
  perform tasker_engine.check_grouping(_by, array['namespace', 'template', 'step', 'handler'], _order);
  if not tasker_engine.are_many(_from, _until, _namespaces, _name, _version, least(_exact, _most), clock_timestamp()) then
    return query select d.*, 0::float8
      from tasker_engine.read_step_durations(_by, _from, _until, _namespaces, _name, _version, _order, _least, _limit, _most) d;
    return;
  end if;
  return query
  with bucketed as (
    select n.name as namespace, case when _by in ('template', 'step') then t.name end as name,
      case when _by in ('template', 'step') then t.version end as version, case when _by = 'step' then p.name end as step,
      case when _by = 'handler' then c.handler end as handler, f.bucket, sum(f.count)::bigint as count, sum(f.errors)::bigint as errors,
      sum(f.retries)::bigint as retries, sum(f.total_s) as total_s, min(f.min_s) as min_s, max(f.max_s) as max_s, max(f.last_at) as last_at
    from (
      select f.template_id, f.number, f.bucket, sum(f.count) as count, sum(f.errors) as errors, sum(f.retries) as retries,
        sum(f.total_s) as total_s, min(f.min_s) as min_s, max(f.max_s) as max_s, max(f.last_at) as last_at
      from tasker_engine.figures_between(_from, _until, _namespaces, _name, _version) f where f.number > 0 group by 1, 2, 3) f
    join tasker_engine.templates t on t.template_id = f.template_id
    join tasker_engine.namespaces n on n.namespace_id = t.namespace_id
    join tasker_engine.template_steps p on p.template_id = f.template_id and p.number = f.number
    join tasker_engine.channels c on c.channel_id = p.channel_id
    group by 1, 2, 3, 4, 5, 6),
  grouped as (
    select b.namespace, b.name, b.version, b.step, b.handler, sum(b.count)::bigint as count, sum(b.errors)::bigint as errors,
      sum(b.retries)::bigint as retries, sum(b.total_s) / sum(b.count) as avg_s, min(b.min_s) as min_s, max(b.max_s) as max_s,
      tasker_engine.bucket_percentiles(array_agg(b.bucket), array_agg(b.count), min(b.min_s), max(b.max_s)) as p,
      sum(b.total_s) as total_s, max(b.last_at) as last_at
    from bucketed b group by 1, 2, 3, 4, 5 having sum(b.count) >= _least)
  select g.namespace, g.name, g.version, g.step, g.handler, g.count, g.errors, g.retries, g.avg_s, g.min_s, g.max_s,
    g.p[1], g.p[2], g.p[3], g.p[4], g.total_s, g.last_at, 0.05::float8
  from grouped g
  order by case _order when 'p95' then g.p[3] when 'avg' then g.avg_s when 'max' then g.max_s when 'total' then g.total_s
    when 'errors' then g.errors else g.count end desc, g.namespace, g.name, g.version, g.step, g.handler
  limit _limit;
end $$;

-- measure_task_durations: the same for whole tasks, by namespace or template.
create or replace function tasker_engine.measure_task_durations(
  _by text, _from timestamptz, _until timestamptz, _namespaces text[] default null, _name text default null, _version text default null,
  _order text default 'p95', _least int default 1, _limit int default 50, _most int default 100000, _exact int default 10000)
returns table (
  namespace text, name text, version text, count bigint, errors bigint, cancelled bigint, avg_s double precision, min_s double precision,
  max_s double precision, p50_s double precision, p90_s double precision, p95_s double precision, p99_s double precision,
  total_s double precision, step_count double precision, last_at timestamptz, percentile_error double precision)
language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = on set enable_indexscan = on set enable_indexonlyscan = on
set enable_hashjoin = on set enable_mergejoin = on set jit = off set join_collapse_limit = 8 set from_collapse_limit = 8 as $$
#variable_conflict use_column
begin
  perform tasker_engine.check_scope(_most);
  perform tasker_engine.check_grouping(_by, array['namespace', 'template'], _order);
  if not tasker_engine.are_many(_from, _until, _namespaces, _name, _version, least(_exact, _most), clock_timestamp()) then
    return query select d.*, 0::float8
      from tasker_engine.read_task_durations(_by, _from, _until, _namespaces, _name, _version, _order, _least, _limit, _most) d;
    return;
  end if;
  return query
  with bucketed as (
    select n.name as namespace, case when _by = 'template' then p.name end as name, case when _by = 'template' then p.version end as version,
      f.bucket, sum(f.count)::bigint as count, sum(f.errors)::bigint as errors, sum(f.cancelled)::bigint as cancelled, sum(f.total_s) as total_s,
      min(f.min_s) as min_s, max(f.max_s) as max_s, sum(f.count * p.step_count) as steps, max(f.last_at) as last_at
    from tasker_engine.figures_between(_from, _until, _namespaces, _name, _version) f
    join tasker_engine.templates p on p.template_id = f.template_id
    join tasker_engine.namespaces n on n.namespace_id = p.namespace_id
    where f.number = 0 group by 1, 2, 3, 4),
  grouped as (
    select b.namespace, b.name, b.version, sum(b.count)::bigint as count, sum(b.errors)::bigint as errors, sum(b.cancelled)::bigint as cancelled,
      sum(b.total_s) / sum(b.count) as avg_s, min(b.min_s) as min_s, max(b.max_s) as max_s,
      tasker_engine.bucket_percentiles(array_agg(b.bucket), array_agg(b.count), min(b.min_s), max(b.max_s)) as p,
      sum(b.total_s) as total_s, (sum(b.steps) / sum(b.count))::float8 as step_count, max(b.last_at) as last_at
    from bucketed b group by 1, 2, 3 having sum(b.count) >= _least)
  select g.namespace, g.name, g.version, g.count, g.errors, g.cancelled, g.avg_s, g.min_s, g.max_s, g.p[1], g.p[2], g.p[3], g.p[4],
    g.total_s, g.step_count, g.last_at, 0.05::float8
  from grouped g
  order by case _order when 'p95' then g.p[3] when 'avg' then g.avg_s when 'max' then g.max_s when 'total' then g.total_s
    when 'errors' then g.errors else g.count end desc, g.namespace, g.name, g.version
  limit _limit;
end $$;
