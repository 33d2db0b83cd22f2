-- read_performance: how tasks fared that ended within a time. One row.
--
-- Rates are shares (0 to 1) of the tasks that ended. covered_from: from when on the answer holds, later than _from where more
-- than _most tasks ended. active: open tasks now, up to 10,000. health_score: the share that did not end in error, times the
-- share of open tasks that no failure blocks. _from null: a day back.
create or replace function tasker_engine.read_performance(
  _from timestamptz default null, _until timestamptz default null, _namespaces text[] default null, _name text default null,
  _version text default null, _most int default 100000, _now timestamptz default null)
returns table (
  since timestamptz, until timestamptz, covered_from timestamptz, ended bigint, active bigint, blocked bigint, completed bigint, failed bigint,
  cancelled bigint, completion_rate double precision, error_rate double precision, tasks_per_hour double precision,
  task_avg_s double precision, task_percentiles_s double precision[], steps bigint, step_errors bigint, retries bigint,
  steps_per_hour double precision, step_avg_s double precision, step_percentiles_s double precision[], health_score double precision)
language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = on set enable_indexscan = on set enable_indexonlyscan = on
set enable_hashjoin = on set enable_mergejoin = on set jit = off set join_collapse_limit = 8 set from_collapse_limit = 8 as $$
declare
  every record;
  executed record;
  open_now record;
  hours double precision;
begin
  perform tasker_engine.check_scope(_most);
  _now := coalesce(_now, clock_timestamp());
  until := coalesce(_until, _now);
  since := coalesce(_from, until - interval '1 day');
  select count(*) as count, count(*) filter (where t.state in ('complete', 'resolved_manually')) as completed,
    count(*) filter (where t.state = 'error') as failed, count(*) filter (where t.state = 'cancelled') as cancelled, avg(t.took_s) as avg_s,
    percentile_cont(array[0.5, 0.9, 0.95, 0.99]) within group (order by t.took_s) as percentiles_s, min(t.finished_at) as first_at
  into every from tasker_engine.ended_between(since, until, _namespaces, _name, _version, _most) t;
  select count(*) as count, count(*) filter (where s.state = 'error') as errors, coalesce(sum(s.retries), 0) as retries, avg(s.run_s) as avg_s,
    percentile_cont(array[0.5, 0.9, 0.95, 0.99]) within group (order by s.run_s) as percentiles_s
  into executed from tasker_engine.executed_steps(since, until, _namespaces, _name, _version, _most) s;
  select * into open_now from tasker_engine.count_open(tasker_engine.templates_of(_namespaces, _name, _version));
  covered_from := case when every.count >= _most then every.first_at else since end;
  hours := nullif(date_part('epoch', until - covered_from) / 3600, 0);
  ended := every.count;
  active := open_now.active;
  blocked := open_now.blocked;
  completed := every.completed;
  failed := every.failed;
  cancelled := every.cancelled;
  completion_rate := every.completed::float8 / nullif(every.count, 0);
  error_rate := every.failed::float8 / nullif(every.count, 0);
  tasks_per_hour := every.count / hours;
  task_avg_s := every.avg_s;
  task_percentiles_s := every.percentiles_s;
  steps := executed.count;
  step_errors := executed.errors;
  retries := executed.retries;
  steps_per_hour := executed.count / hours;
  step_avg_s := executed.avg_s;
  step_percentiles_s := executed.percentiles_s;
  health_score := (1 - coalesce(error_rate, 0)) * (1 - coalesce(blocked::float8 / nullif(active, 0), 0));
  return next;
end $$;

-- count_open: tasks that have not ended, and those of them that a failure blocks; each state is counted up to 10,000. The owner's
-- function, for templates that the caller reaches: so an index alone tells confined callers too.
create or replace function tasker_engine.count_open(_templates int[], out active bigint, out blocked bigint) language plpgsql stable
security definer set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_indexscan = on set enable_indexonlyscan = on as $$
begin
  _templates := tasker_engine.reached_templates(_templates);
  select sum(c.count), coalesce(sum(c.count) filter (where w.state = 'blocked_by_failures'), 0) into active, blocked
  from unnest(array['pending', 'steps_in_process', 'waiting_for_retry', 'blocked_by_failures']::tasker_engine.state[]) as w(state)
  cross join lateral (
    select count(*) from (
      select from tasker_engine.tasks t
      where t.state = w.state and t.template_id > 0 and (_templates is null or t.template_id = any (_templates)) limit 10000) t) c;
end $$;

-- reached_templates: those of these templates (null: of all) that the caller reaches; null: all there are. For functions that run
-- with their owner's rights.
create or replace function tasker_engine.reached_templates(_templates int[]) returns int[] language plpgsql stable as $$
begin
  return case when tasker_engine.is_confined() then array(
    select t.template_id from tasker_engine.templates t
    where t.namespace_id = any (tasker_engine.reached_namespaces()) and (_templates is null or t.template_id = any (_templates)))
    else _templates end;
end $$;

-- read_throughput: what ended in each interval of a time, the empty ones too; at most a thousand intervals. steps: executions that
-- ended then, of tasks that ended within the time.
create or replace function tasker_engine.read_throughput(
  _from timestamptz, _until timestamptz, _interval_s double precision, _namespaces text[] default null, _name text default null,
  _version text default null, _most int default 100000)
returns table (
  at timestamptz, completed bigint, failed bigint, cancelled bigint, task_avg_s double precision, task_p95_s double precision, steps bigint)
language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = on set enable_indexscan = on set enable_indexonlyscan = on
set enable_hashjoin = on set enable_mergejoin = on set jit = off set join_collapse_limit = 8 set from_collapse_limit = 8 as $$
#variable_conflict use_column
declare
  width interval := make_interval(secs => _interval_s);
begin
  perform tasker_engine.check_scope(_most);
  perform tasker_engine.check_intervals(_from, _until, _interval_s);
  return query
  with ended as (
    select date_bin(width, t.finished_at, _from) as at, count(*) filter (where t.state in ('complete', 'resolved_manually')) as completed,
      count(*) filter (where t.state = 'error') as failed, count(*) filter (where t.state = 'cancelled') as cancelled,
      avg(t.took_s) as avg_s, percentile_cont(0.95) within group (order by t.took_s) as p95_s
    from tasker_engine.ended_between(_from, _until, _namespaces, _name, _version, _most) t group by 1),
  ran as (
    select date_bin(width, s.finished_at, _from) as at, count(*) as steps
    from tasker_engine.executed_steps(_from, _until, _namespaces, _name, _version, _most) s group by 1)
  select b.at, coalesce(e.completed, 0), coalesce(e.failed, 0), coalesce(e.cancelled, 0), e.avg_s, e.p95_s, coalesce(r.steps, 0)
  from generate_series(_from, _until - interval '1 microsecond', width) as b(at)
  left join ended e on e.at = b.at
  left join ran r on r.at = b.at
  order by b.at;
end $$;
