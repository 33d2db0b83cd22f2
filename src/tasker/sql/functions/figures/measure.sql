-- How tasks and steps fared, however many they are: worked out of each where few ended (the reads in reads/analytics), else told
-- from the figures that the sweep keeps. These know whole hours; counts, sums, the shortest and the longest are exact, and a
-- percentile is within percentile_error (a share) of a true one. What ended in the last seconds may be missing.

-- are_many: whether more than _exact tasks ended in a time, and the figures reach to its end: but for the last minutes, or a tenth
-- of _exact. So long as the sweep has not come that far, the last tasks are looked at one by one.
create or replace function tasker_engine.are_many(
  _from timestamptz, _until timestamptz, _namespaces text[], _name text, _version text, _exact int, _now timestamptz)
returns boolean language plpgsql stable as $$
declare
  gathered timestamptz := tasker_engine.figures_until();
begin
  return (gathered >= least(_until, _now - interval '5 min') or gathered > _from and (
      select count(*) from tasker_engine.ended_between(gathered, _until, _namespaces, _name, _version, _exact / 10 + 1)) <= _exact / 10)
    and (select count(*) from tasker_engine.ended_between(_from, _until, _namespaces, _name, _version, _exact + 1)) > _exact;
end $$;

-- figures_until: how far the figures go. The owner's function: it tells confined callers a time, and nothing of anybody.
create or replace function tasker_engine.figures_until() returns timestamptz language sql stable security definer
set search_path = pg_catalog, pg_temp as $$
  select w.figures_until from tasker_engine.sweeps w
$$;

-- figures_between: the figures of the hours that a time touches, of these templates (null: all).
create or replace function tasker_engine.figures_between(
  _from timestamptz, _until timestamptz, _namespaces text[], _name text, _version text)
returns setof tasker_engine.figures language sql stable as $$
  select f.* from tasker_engine.figures f
  where f.at >= date_trunc('hour', _from, 'UTC') and f.at < _until
    and ((select tasker_engine.templates_of(_namespaces, _name, _version)) is null
      or f.template_id = any ((select tasker_engine.templates_of(_namespaces, _name, _version))::int[]))
$$;

-- bucket_percentiles: the durations below which a half, nine tenths, 95 and 99 of a hundred lie, of counts by bucket in rising
-- order; never outside of the shortest and the longest.
create or replace function tasker_engine.bucket_percentiles(
  _buckets int[], _counts bigint[], _min_s double precision, _max_s double precision)
returns double precision[] language sql immutable as $$
  with summed as (
    select b.bucket, sum(b.count) over (order by b.bucket) as upto, sum(b.count) over () as total
    from unnest(_buckets, _counts) as b(bucket, count))
  select array_agg(least(_max_s, greatest(_min_s, tasker_engine.bucket_s(w.bucket))) order by w.share)
  from (select p.share, min(s.bucket) as bucket from unnest(array[0.5, 0.9, 0.95, 0.99]) as p(share)
        join summed s on s.upto >= p.share * s.total group by p.share) w
$$;

-- measure_performance: read_performance of any number of tasks, with percentile_error: 0 where every task was looked at. Where
-- not, since and until say which hours the figures are of.
create or replace function tasker_engine.measure_performance(
  _from timestamptz default null, _until timestamptz default null, _namespaces text[] default null, _name text default null,
  _version text default null, _most int default 100000, _now timestamptz default null, _exact int default 10000)
returns table (
  since timestamptz, until timestamptz, covered_from timestamptz, ended bigint, active bigint, blocked bigint, completed bigint, failed bigint,
  cancelled bigint, completion_rate double precision, error_rate double precision, tasks_per_hour double precision,
  task_avg_s double precision, task_percentiles_s double precision[], steps bigint, step_errors bigint, retries bigint,
  steps_per_hour double precision, step_avg_s double precision, step_percentiles_s double precision[], health_score double precision,
  percentile_error double precision)
language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = on set enable_indexscan = on set enable_indexonlyscan = on
set enable_hashjoin = on set jit = off as $$
#variable_conflict use_column
declare
  ends timestamptz;
  hours double precision;
begin
  perform tasker_engine.check_scope(_most);
  _now := coalesce(_now, clock_timestamp());
  ends := coalesce(_until, _now);
  _from := coalesce(_from, ends - interval '1 day');
  if not tasker_engine.are_many(_from, ends, _namespaces, _name, _version, least(_exact, _most), _now) then
    return query select p.*, 0::float8 from tasker_engine.read_performance(_from, _until, _namespaces, _name, _version, _most, _now) p;
    return;
  end if;
  _from := date_trunc('hour', _from, 'UTC');
  ends := least(date_trunc('hour', ends, 'UTC') + case when ends > date_trunc('hour', ends, 'UTC') then interval '1 hour' else '0' end,
    tasker_engine.figures_until());
  hours := nullif(date_part('epoch', ends - _from) / 3600, 0);
  return query
  with bucketed as (
    select f.number > 0 as is_step, f.bucket, sum(f.count)::bigint as count, sum(f.errors)::bigint as errors, sum(f.cancelled)::bigint as cancelled,
      sum(f.retries)::bigint as retries, sum(f.total_s) as total_s, min(f.min_s) as min_s, max(f.max_s) as max_s
    from tasker_engine.figures_between(_from, ends, _namespaces, _name, _version) f group by 1, 2),
  summed as (
    select b.is_step, sum(b.count)::bigint as count, sum(b.errors)::bigint as errors, sum(b.cancelled)::bigint as cancelled,
      sum(b.retries)::bigint as retries, sum(b.total_s) / sum(b.count) as avg_s,
      tasker_engine.bucket_percentiles(array_agg(b.bucket), array_agg(b.count), min(b.min_s), max(b.max_s)) as p
    from bucketed b group by 1),
  rated as (
    select t.*, (t.count - t.errors - t.cancelled)::float8 / t.count as completion_rate, t.errors::float8 / t.count as error_rate
    from summed t where not t.is_step)
  select _from, ends, _from, t.count, o.active, o.blocked, t.count - t.errors - t.cancelled, t.errors, t.cancelled, t.completion_rate,
    t.error_rate, t.count / hours, t.avg_s, t.p, coalesce(s.count, 0), coalesce(s.errors, 0), coalesce(s.retries, 0),
    coalesce(s.count, 0) / hours, s.avg_s, s.p,
    (1 - t.error_rate) * (1 - coalesce(o.blocked::float8 / nullif(o.active, 0), 0)), 0.05::float8
  from rated t left join summed s on s.is_step
  cross join tasker_engine.count_open(tasker_engine.templates_of(_namespaces, _name, _version)) o;
end $$;
