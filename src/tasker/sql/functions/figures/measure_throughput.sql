-- measure_throughput: read_throughput of any number of tasks, with percentile_error; see measure_performance. Figures know whole
-- hours: for intervals of other lengths the last _most tasks are looked at. Where they are used, intervals begin with an hour, and
-- steps are counted where their task ended.
create or replace function tasker_engine.measure_throughput(
  _from timestamptz, _until timestamptz, _interval_s double precision, _namespaces text[] default null, _name text default null,
  _version text default null, _most int default 100000, _exact int default 10000)
returns table (
  at timestamptz, completed bigint, failed bigint, cancelled bigint, task_avg_s double precision, task_p95_s double precision, steps bigint,
  percentile_error double precision)
language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = on set enable_indexscan = on set enable_indexonlyscan = on
set enable_hashjoin = on set jit = off set join_collapse_limit = 8 set from_collapse_limit = 8 as $$
#variable_conflict use_column
declare
  width interval := make_interval(secs => _interval_s);
begin
  if not (_interval_s > 0 and mod(_interval_s::numeric, 3600) = 0
      and tasker_engine.are_many(_from, _until, _namespaces, _name, _version, least(_exact, _most), clock_timestamp())) then
    return query
      select t.*, 0::float8 from tasker_engine.read_throughput(_from, _until, _interval_s, _namespaces, _name, _version, _most) t;
    return;
  end if;
  perform tasker_engine.check_scope(_most);
  perform tasker_engine.check_intervals(_from, _until, _interval_s);
  _from := date_trunc('hour', _from, 'UTC');
  return query
  with bucketed as (
    select date_bin(width, f.at, _from) as at, f.number > 0 as is_step, f.bucket, sum(f.count)::bigint as count, sum(f.errors)::bigint as errors,
      sum(f.cancelled)::bigint as cancelled, sum(f.total_s) as total_s, min(f.min_s) as min_s, max(f.max_s) as max_s
    from tasker_engine.figures_between(_from, _until, _namespaces, _name, _version) f group by 1, 2, 3),
  summed as (
    select b.at, b.is_step, sum(b.count)::bigint as count, sum(b.errors)::bigint as errors, sum(b.cancelled)::bigint as cancelled,
      sum(b.total_s) / sum(b.count) as avg_s,
      tasker_engine.bucket_percentiles(array_agg(b.bucket), array_agg(b.count), min(b.min_s), max(b.max_s)) as p
    from bucketed b group by 1, 2)
  select g.at, coalesce(t.count - t.errors - t.cancelled, 0), coalesce(t.errors, 0), coalesce(t.cancelled, 0), t.avg_s, t.p[3],
    coalesce(s.count, 0), 0.05::float8
  from generate_series(_from, _until - interval '1 microsecond', width) as g(at)
  left join summed t on t.at = g.at and not t.is_step
  left join summed s on s.at = g.at and s.is_step
  order by g.at;
end $$;

-- check_intervals: a time is cut into a thousand intervals at most.
create or replace function tasker_engine.check_intervals(_from timestamptz, _until timestamptz, _interval_s double precision) returns void
language plpgsql as $$
begin
  if not (_interval_s > 0 and _until > _from and date_part('epoch', _until - _from) / _interval_s <= 1000) then
    raise exception 'a time is cut into 1 to 1000 intervals: % s from % to % are others', _interval_s, _from, _until using errcode = 'TK008';
  end if;
end $$;
